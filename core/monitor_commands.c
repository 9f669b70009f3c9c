/*
 * Monitor commands of no floor in particular: the machine's end, the log, the kernel's own functions and tests, and
 * ways to break it on purpose, so that its reports can be looked at.
 */
#include <asm/errno.h>

#include <arch/cpu.h>
#include <arch/early.h>
#include <arch/power.h>
#include <arch/time.h>
#include "core/ktest.h"
#include "core/log.h"
#include "core/monitor.h"
#include "core/panic.h"
#include "lib/string.h"
#include "lib/version.h"

MONITOR_COMMAND(clear, "", "clear the screen", MONITOR_AFTER_PANIC)
{
	monitor_print(out, "\x1b[H\x1b[2J");
}

MONITOR_COMMAND(reboot, "", "reset the machine, at once", MONITOR_AFTER_PANIC)
{
	power_reset();
}

MONITOR_COMMAND(poweroff, "", "switch the machine off, at once", MONITOR_AFTER_PANIC)
{
	power_off();
}

MONITOR_COMMAND(log, "[LINES]", "the kernel log, or its last lines", MONITOR_AFTER_PANIC)
{
	struct log_record r;
	uint64_t seq = log_first_seq(), next = log_next_seq(), lines;

	if (argc > 1) {
		if (!monitor_number(out, argv[1], &lines))
			return;
		if (lines < next - seq)
			seq = next - lines;
	}
	for (; seq < next && !out->interrupted && log_read(&seq, &r); seq++)
		monitor_print(out, "[%5llu.%06llu] %u %.*s\n", (unsigned long long)(r.time_ns / NSEC_PER_SEC),
			      (unsigned long long)(r.time_ns % NSEC_PER_SEC / NSEC_PER_USEC), r.facility_level & 7,
			      r.len, r.text);
}

MONITOR_COMMAND(cpu, "", "processors, clock, time since boot", MONITOR_AFTER_PANIC)
{
	uint64_t now = time_ns();

	monitor_print(out, "Ashlar %s, up %llu.%03llu s\n", ASHLAR_VERSION, (unsigned long long)(now / NSEC_PER_SEC),
		      (unsigned long long)(now % NSEC_PER_SEC / NSEC_PER_MSEC));
	monitor_print(out, "clock: %s, alarm: %s\n", time_source_name(), time_alarm_name());
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (cpus[i])
			monitor_print(out, "cpu %u: %s, %s, hardware id %u%s\n", i, cpu_model_name(),
				      cpus[i]->online ? "online" : "offline", cpus[i]->hardware_id,
				      cpus[i]->irq_depth ? ", in an interrupt" : "");
}

MONITOR_COMMAND(symbol, "ADDRESS", "which function of the kernel lies there", MONITOR_AFTER_PANIC)
{
	uint64_t addr;
	char name[96];

	if (argc < 2)
		monitor_print(out, "symbol: which address?\n");
	else if (monitor_number(out, argv[1], &addr))
		monitor_print(out, "%#llx:%s\n", (unsigned long long)addr,
			      *monitor_symbol(addr, name, sizeof(name)) ? name : " no function of the kernel");
}

MONITOR_COMMAND(tests, "[PREFIX]", "run the in-kernel tests, or those named PREFIX…", MONITOR_RUNNING)
{
	if (CONFIG_KTEST)
		monitor_print(out, "%u failed; the results are in the log\n", ktest_run(argc > 1 ? argv[1] : NULL));
	else
		monitor_print(out, "this kernel has no tests in it; the image `ashlar-ktest` beside it does\n");
}

/* Not inlined: so that the backtrace shows who did it. */
static noinline uint64_t crash_overflow(uint64_t depth)
{
	volatile uint8_t frame[512];

	if (depth == UINT64_MAX)
		return 0;
	frame[depth % sizeof(frame)] = (uint8_t)depth;
	return crash_overflow(depth + 1) + frame[0];
}

static noinline void crash_by(const char *how, uint64_t addr)
{
	if (str_equal(how, "read"))
		(void)*(volatile uint64_t *)addr;
	else if (str_equal(how, "write"))
		*(volatile uint64_t *)addr = 0;
	else
		((void (*)(void))addr)();
}

MONITOR_COMMAND(crash, "[HOW [ADDRESS]]", "panic: read, write or call an address, or overflow", MONITOR_RUNNING)
{
	uint64_t addr = 0;

	if (argc == 1)
		panic("crash: as the user wished");
	if (argc > 2 && !monitor_number(out, argv[2], &addr))
		return;
	if (str_equal(argv[1], "overflow"))
		monitor_print(out, "%llu\n", (unsigned long long)crash_overflow(0));
	else if (argc == 3 && (str_equal(argv[1], "read") || str_equal(argv[1], "write") || str_equal(argv[1], "call")))
		crash_by(argv[1], addr);
	else
		monitor_print(out, "crash [read|write|call ADDRESS | overflow]\n");
	monitor_print(out, "still alive\n");
}
