/*
 * Interrupt handlers.
 *
 * Each line has a singly linked list of actions. The dispatcher walks it without a lock: handlers may take any lock,
 * also ones of low rank, so none can be held around them. Instead a line counts the walks in progress:
 * irq_unregister() takes the action out (its own `next` stays as it is, so a walker on it finds on) and waits until no
 * walk that may have seen it is left. lines_lock guards changes of the lists only.
 *
 * Counts are per CPU, written with interrupts off by their CPU and read by anybody.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include "abi/errno_kernel.h"
#include "core/log.h"
#include "dev/irq.h"
#include "lib/printf.h"
#include "mm/slab.h"
#include "sync/atomic.h"
#include "sync/spinlock.h"

#define UNHANDLED_MAX 100 /* a line that nobody handles is masked after so many */

struct irq_line {
	struct irq_action *first;
	uint32_t walks;	    /* in progress; atomic */
	uint32_t unhandled; /* in a row */
};

static struct irq_line lines[IRQS_MAX];
static uint64_t boot_cpu_counts[IRQS_MAX];
static uint64_t *counts[CPUS_MAX] = {boot_cpu_counts}; /* the others get theirs with their CPU */
static struct spinlock lines_lock = SPINLOCK_INIT(LOCK_DEVICE, "irq lines");

void irq_count(unsigned irq)
{
	uint64_t *mine = counts[this_cpu()->id];
	if (likely(mine))
		mine[irq]++;
}

void irq_dispatch(unsigned irq)
{
	struct irq_line *line = &lines[irq];
	/* Either irq_unregister() sees this walk, or the walk the list without the action. */
	__atomic_fetch_add(&line->walks, 1, __ATOMIC_SEQ_CST);
	struct irq_action *a = __atomic_load_n(&line->first, __ATOMIC_SEQ_CST);
	if (unlikely(!a)) {
		if (++line->unhandled == UNHANDLED_MAX) {
			irqchip_disable(irq);
			log_warn("irq %u: %u interrupts and nobody wants them, switched off", irq, UNHANDLED_MAX);
		}
	}
	for (; a; a = atomic_load_acquire(&a->next))
		a->fn(a->arg);
	__atomic_fetch_sub(&line->walks, 1, __ATOMIC_RELEASE);
	irqchip_end(irq);
	irq_count(irq);
}

int irq_cpu_prepare(unsigned cpu)
{
	counts[cpu] = kzalloc(IRQS_MAX * sizeof(counts[cpu][0]));
	return counts[cpu] ? 0 : -ENOMEM;
}

int irq_register(unsigned irq, struct irq_action *a)
{
	if (irq >= IRQS_MAX)
		return -EINVAL;
	struct irq_line *line = &lines[irq];
	irqflags_t f = spin_lock(&lines_lock);
	struct irq_action **end = &line->first;
	while (*end)
		end = &(*end)->next;
	a->next = NULL;
	line->unhandled = 0;
	atomic_store_release(end, a);
	spin_unlock(&lines_lock, f);
	int err = irqchip_enable(irq);
	if (err)
		irq_unregister(irq, a);
	return err;
}

void irq_unregister(unsigned irq, struct irq_action *a)
{
	if (irq >= IRQS_MAX)
		return;
	struct irq_line *line = &lines[irq];
	irqflags_t f = spin_lock(&lines_lock);
	for (struct irq_action **at = &line->first; *at; at = &(*at)->next) {
		if (*at == a) {
			atomic_store_release(at, a->next);
			break;
		}
	}
	bool last = !line->first;
	spin_unlock(&lines_lock, f);
	if (last)
		irqchip_disable(irq);
	atomic_fence();
	while (atomic_load_acquire(&line->walks) != 0)
		cpu_relax();
}

uint64_t irq_count_get(unsigned irq, unsigned cpu)
{
	return irq < IRQS_MAX && cpu < CPUS_MAX && counts[cpu] ? READ_ONCE(counts[cpu][irq]) : 0;
}

uint64_t irq_count_total(void)
{
	uint64_t total = 0;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		for (unsigned irq = 0; counts[cpu] && irq < IRQS_MAX; irq++)
			total += READ_ONCE(counts[cpu][irq]);
	return total;
}

struct table_sink {
	struct fmt_sink sink;
	char *buf;
	size_t len, done;
};

static void table_put(struct fmt_sink *sink, const char *text, size_t len)
{
	struct table_sink *t = container_of(sink, struct table_sink, sink);
	for (size_t i = 0; i < len; i++, t->done++)
		if (t->done < t->len)
			t->buf[t->done] = text[i];
}

/* The layout is Linux's, which programs take apart (man 5 proc). */
static void table_counts(struct fmt_sink *out, unsigned irq, const char *label)
{
	fmt_print(out, "%3s: ", label);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		if (counts[cpu])
			fmt_print(out, "%10llu ", (unsigned long long)irq_count_get(irq, cpu));
}

/* What never comes by irq_dispatch(). */
static void table_others(struct fmt_sink *out, const char *label, uint64_t (*count)(unsigned cpu), const char *what)
{
	fmt_print(out, "%s: ", label);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		if (counts[cpu])
			fmt_print(out, "%10llu ", (unsigned long long)count(cpu));
	fmt_print(out, "  %s\n", what);
}

static void table_line(struct fmt_sink *out, unsigned irq)
{
	char text[40];
	snprintf(text, sizeof(text), "%u", irq);
	table_counts(out, irq, text);
	irqchip_describe(irq, text, sizeof(text));
	fmt_print(out, " %s", text);
	irqflags_t f = spin_lock(&lines_lock);
	const char *separator = "  ";
	for (struct irq_action *a = lines[irq].first; a; a = a->next) {
		fmt_print(out, "%s%s", separator, a->name);
		separator = ", ";
	}
	spin_unlock(&lines_lock, f);
	fmt_print(out, "\n");
}

size_t irq_table_print(char *buf, size_t len)
{
	struct table_sink t = {.sink = {table_put}, .buf = buf, .len = len};
	struct fmt_sink *out = &t.sink;
	fmt_print(out, "%11s", "");
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		if (counts[cpu])
			fmt_print(out, "CPU%-8u", cpu);
	fmt_print(out, "\n");
	for (unsigned irq = 0; irq < IRQS_MAX; irq++)
		if (irq != IRQ_TIMER && irq != IRQ_RESCHEDULE && irq != IRQ_CALL && lines[irq].first)
			table_line(out, irq);
	table_counts(out, IRQ_TIMER, "LOC");
	fmt_print(out, "  Local timer interrupts\n");
	table_counts(out, IRQ_RESCHEDULE, "RES");
	fmt_print(out, "  Rescheduling interrupts\n");
	table_counts(out, IRQ_CALL, "CAL");
	fmt_print(out, "  Function call interrupts\n");
	table_others(out, "NMI", irqchip_nmi_count, "Non-maskable interrupts");
	table_others(out, "SPU", irqchip_spurious_count, "Spurious interrupts");
	table_others(out, "MCE", irqchip_machine_check_count, "Machine check exceptions");
	fmt_print(out, "ERR: %10llu\n", (unsigned long long)irqchip_error_count());
	return t.done;
}
