/*
 * Panic: theory.
 *
 * Purpose: say what broke, with everything a reader needs to find it, on every console, whatever state the kernel is
 * in. It takes no lock and allocates nothing.  The first panic wins: a second one on the same CPU (a fault while
 * reporting) prints its one line and ends; one on another CPU stops there.  The consoles' write functions are the
 * polled ones the log uses.
 *
 * What happens then is the user's choice (`panic=`): stay (0, the screen stays readable), reset at once (<0) or after N
 * seconds; the test image exits QEMU with a code the runner knows.
 */
#include "core/panic.h"

#include <arch/cpu.h>
#include <arch/power.h>
#include <arch/time.h>
#include <arch/trap.h>

#include "core/log.h"
#include "core/options.h"
#include "core/symbols.h"
#include "lib/printf.h"
#include "sched/thread.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

#define BACKTRACE_MAX 32

bool panic_in_progress;
static uint32_t panic_cpu = UINT32_MAX;

static void line_out(const char *line)
{
	log_emergency(line);
}

static void line_log(const char *line)
{
	log_write(LOG_WARNING, "%s", line);
}

static void backtrace_print(uint64_t ip, uint64_t fp, void (*out)(const char *line))
{
	uint64_t addrs[BACKTRACE_MAX];
	unsigned n = trap_backtrace(fp, 0, UINT64_MAX, addrs, BACKTRACE_MAX);
	char line[160];

	out("backtrace:");
	for (unsigned i = 0; i <= n; i++) {
		uint64_t at = i == 0 ? ip : addrs[i - 1];
		uintptr_t offset = 0;
		/* A return address lies behind its call, which may be the last instruction of a function that does not
		 * return. */
		const char *name = at ? symbol_lookup(i == 0 ? at : at - 1, &offset) : NULL;
		if (i == 0 && !at)
			continue;
		snprintf(line, sizeof(line), "  %016llx  %s+0x%llx", (unsigned long long)at, name ? name : "?",
			 (unsigned long long)offset + (i != 0));
		out(line);
	}
}

void backtrace_log(void)
{
	backtrace_print(0, 0, line_log);
}

static noreturn void panic_end(void)
{
	if (CONFIG_KTEST)
		power_test_exit(0x7f);
	if (options.panic_timeout < 0)
		power_reset();
	if (options.panic_timeout > 0) {
		char line[64];
		snprintf(line, sizeof(line), "resetting in %d seconds (panic=%d)", options.panic_timeout,
			 options.panic_timeout);
		line_out(line);
		for (int i = 0; i < options.panic_timeout; i++)
			for (int ms = 0; ms < 1000; ms++)
				time_delay_us(1000);
		power_reset();
	}
	line_out("halted; panic=N on the command line resets after N seconds instead");
	cpu_stop();
}

noreturn cold void panic_at(const char *file, int line, const struct trap_frame *frame, const char *fmt, ...)
{
	char text[256];
	char head[320];
	va_list ap;

	irq_disable();
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(head, sizeof(head), "%s:%d: %s", file, line, text);

	uint32_t cpu = this_cpu()->id;
	uint32_t nobody = UINT32_MAX;
	if (!atomic_cas(&panic_cpu, &nobody, cpu)) {
		if (nobody != cpu)
			cpu_stop();
		line_out("panic inside the panic report:");
		line_out(head);
		panic_end();
	}
	panic_in_progress = true;

	line_out("");
	line_out("*** kernel panic: this is a bug in Ashlar, please report all lines up to the end mark ***");
	line_out(head);
	const struct thread *t = thread_current();
	snprintf(head, sizeof(head), "cpu %u, thread %s%s, %llu.%06llu s after boot", cpu, t ? t->name : "(boot)",
		 this_cpu()->irq_depth ? ", in an interrupt" : "", (unsigned long long)(time_ns() / NSEC_PER_SEC),
		 (unsigned long long)(time_ns() % NSEC_PER_SEC / 1000));
	line_out(head);
	if (frame) {
		trap_frame_print(frame, line_out);
		backtrace_print(trap_ip(frame).v, trap_frame_pointer(frame), line_out);
	} else {
		backtrace_print(0, 0, line_out);
	}
	if (CONFIG_DEBUG && lockdep_current && lockdep_current())
		lockdep_print(lockdep_current(), line_out);
	line_out("*** end of panic report ***");
	panic_end();
}
