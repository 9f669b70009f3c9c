/* Monitor command on devices: interrupts.  The text is /proc/interrupts's. */
#include "core/monitor.h"
#include "dev/irq.h"
#include "mm/slab.h"

MONITOR_COMMAND(irq, "", "interrupts: how many, and who handles them", MONITOR_RUNNING)
{
	size_t len = irq_table_print(NULL, 0) + 256; /* counts may grow meanwhile */
	char *text = kzalloc(len + 1);

	if (!text) {
		monitor_print(out, "no memory\n");
		return;
	}
	(void)irq_table_print(text, len);
	monitor_print(out, "%s", text);
	kfree(text);
}
