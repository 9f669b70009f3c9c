/*
 * Panic: theory.
 *
 * Purpose: say what broke, with everything a reader needs to find it, on every console and on the screen whether it is
 * a console or not, whatever state the kernel is in.  It takes no lock, allocates nothing, waits for nobody, and reads
 * through no pointer whose page it has not looked up first.
 *
 * Order: what is most important comes first, since a small screen holds the first twenty lines only: the message and
 * its place, who ran, the backtrace, locks, registers, the log.
 *
 * Several at once: the first CPU to get here stops all others by NMI and reports, their backtraces too; one that panics
 * at the same time waits for that NMI.  A panic inside the report (a fault while reporting)
 * drops the console that was being written, since that is what broke, says on the remaining ones what happened, and
 * ends.  A third one speaks through the polled serial port alone, which can neither fault nor lock.
 *
 * What happens then is the user's choice (`panic=`): the monitor's safe commands (0, the report stays on the screen),
 * reset at once (<0) or after N seconds; the test image exits QEMU with a code the runner knows unless it is to wait.
 */
#include "core/panic.h"

#include <arch/cpu.h>
#include <arch/early.h>
#include <arch/mmu.h>
#include <arch/power.h>
#include <arch/smp.h>
#include <arch/time.h>
#include <arch/trap.h>

#include "core/log.h"
#include "core/monitor.h"
#include "core/options.h"
#include "core/symbols.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/pgtable.h"
#include "sched/thread.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

#define BACKTRACE_FRAMES_MAX (KSTACK_SIZE / 16) /* no stack has more */
#define BACKTRACE_LINES_MAX 24
#define BACKTRACE_LOG_FRAMES 16
#define LOG_LINES 10
#define TEST_EXIT_PANIC 0x7f

bool panic_in_progress;
void (*panic_details)(void (*out)(const char *line));
const struct panic_screen_ops *panic_screen;

static uint32_t panic_cpu = UINT32_MAX;
/* Below: touched by the panicking CPU only, interrupts off. */
static unsigned depth;				   /* how many panics deep */
static bool screen_busy;			   /* the screen is being written: a panic now means that it broke */
static char first_panic[320];			   /* the line of the first one */
static uint64_t panic_addrs[BACKTRACE_FRAMES_MAX]; /* not on a stack that may be nearly full */

static void line_out(const char *line)
{
	if (depth > 2) {
		early_console_write(line, strlen(line));
		early_console_write("\n", 1);
		return;
	}
	log_emergency(line);
	if (panic_screen) {
		screen_busy = true;
		panic_screen->line(line);
		screen_busy = false;
	}
}

static void line_log(const char *line)
{
	log_write(LOG_WARNING, "%s", line);
}

/* Whether a kernel address can be read: looked up in the page tables, no lock. */
static bool readable(uint64_t va)
{
	paddr_t pa;
	unsigned prot;

	return va >= DIRECT_MAP_BASE && pgtable_translate(mmu_kernel_root(), vaddr(va), &pa, &prot) &&
		!(prot & (MMU_DEVICE | MMU_WRITE_COMBINE));
}

/* The end of the mapped memory from fp on, at most one stack further; fp itself when it cannot be read. */
static uint64_t stack_end(uint64_t fp)
{
	uint64_t end = fp;

	while (end < fp + KSTACK_SIZE && readable(end))
		end = ALIGN_DOWN(end, (uint64_t)PAGE_SIZE) + PAGE_SIZE;
	return end;
}

static void backtrace_line(uint64_t at, bool is_return, void (*out)(const char *line))
{
	char line[160];
	uintptr_t offset = 0;
	/* A return address lies behind its call, which may be the last instruction of a function that does not
	 * return. */
	const char *name = symbol_lookup(at - is_return, &offset);

	snprintf(line, sizeof(line), "  %016llx  %s+0x%llx", (unsigned long long)at, name ? name : "?",
		 (unsigned long long)offset + is_return);
	out(line);
}

/* addrs: room for `max` addresses. Frames of a recursion become one line, so that who began it is seen too. */
static void backtrace_print(uint64_t ip, uint64_t fp, uint64_t *addrs, unsigned max, void (*out)(const char *line))
{
	char line[64];

	if (!fp)
		fp = (uint64_t)__builtin_frame_address(0);
	uint64_t end = stack_end(fp);
	unsigned n = end - fp >= 16 ? trap_backtrace(fp, fp, end, addrs, max) : 0;

	out("backtrace:");
	if (ip)
		backtrace_line(ip, false, out);
	for (unsigned i = 0, lines = 0; i < n; i++) {
		unsigned same = 1;
		if (lines++ == BACKTRACE_LINES_MAX) {
			snprintf(line, sizeof(line), "  ... and %u more", n - i);
			out(line);
			break;
		}
		backtrace_line(addrs[i], true, out);
		while (i + same < n && addrs[i + same] == addrs[i])
			same++;
		if (same > 2) { /* a recursion */
			snprintf(line, sizeof(line), "  ... and %u times more", same - 1);
			out(line);
			i += same - 1;
		}
	}
}

void backtrace_log(void)
{
	uint64_t addrs[BACKTRACE_LOG_FRAMES];

	backtrace_print(0, 0, addrs, ARRAY_SIZE(addrs), line_log);
}

static void backtrace_panic(const struct trap_frame *frame, uint64_t fp)
{
	if (frame)
		backtrace_print(trap_ip(frame).v, trap_frame_pointer(frame), panic_addrs, ARRAY_SIZE(panic_addrs),
				line_out);
	else
		backtrace_print(0, fp, panic_addrs, ARRAY_SIZE(panic_addrs), line_out);
}

static void last_log_lines(void)
{
	static struct log_record r;
	static char line[sizeof(r.text) + 32];
	uint64_t next = log_next_seq();
	uint64_t seq = next > LOG_LINES ? next - LOG_LINES : 0;

	line_out("last log lines:");
	for (; log_read(&seq, &r) && seq < next; seq++) {
		snprintf(line, sizeof(line), "[%5llu.%06llu] %.*s", (unsigned long long)(r.time_ns / NSEC_PER_SEC),
			 (unsigned long long)(r.time_ns % NSEC_PER_SEC / 1000), (int)r.len, r.text);
		line_out(line);
	}
}

/* The last line on the screen, and on the consoles. */
static void status_out(const char *line)
{
	if (depth > 2) {
		line_out(line);
		return;
	}
	log_emergency(line);
	if (panic_screen) {
		screen_busy = true;
		panic_screen->end(line);
		screen_busy = false;
	}
}

static noreturn void panic_end(void)
{
	if (CONFIG_KTEST && !options.monitor && options.panic_timeout <= 0) {
		status_out("*** end of panic report ***");
		power_test_exit(TEST_EXIT_PANIC);
	}
	if (options.panic_timeout < 0) {
		status_out("*** end of panic report *** resetting (panic=-1)");
		power_reset();
	}
	if (options.panic_timeout > 0) {
		char line[96];
		snprintf(line, sizeof(line), "*** end of panic report *** resetting in %d seconds (panic=%d)",
			 options.panic_timeout, options.panic_timeout);
		status_out(line);
		for (int i = 0; i < options.panic_timeout; i++)
			for (int ms = 0; ms < 1000; ms++)
				time_delay_us(1000);
		power_reset();
	}
	status_out("*** end of panic report *** (panic=N resets after N seconds)");
	monitor_after_panic();
	line_out("halted");
	cpu_stop();
}

static void who_ran(void)
{
	char line[160];
	const struct thread *t = thread_current();

	snprintf(line, sizeof(line), "cpu %u, thread %s%s, %llu.%06llu s after boot", this_cpu()->id,
		 t ? t->name : "(boot)", this_cpu()->irq_depth ? ", in an interrupt" : "",
		 (unsigned long long)(time_ns() / NSEC_PER_SEC), (unsigned long long)(time_ns() % NSEC_PER_SEC / 1000));
	line_out(line);
}

/* What the others were doing. */
static void other_cpus(void)
{
	char line[96];

	CPUS_FOR_EACH(cpu) {
		uint64_t ip, fp;
		const struct thread *t = cpus[cpu]->current;

		if (cpu == panic_cpu)
			continue;
		bool stopped = smp_stopped_place(cpu, &ip, &fp);
		snprintf(line, sizeof(line), "cpu %u, thread %s%s%s", cpu,
			 t && readable((uint64_t)t) ? t->name : "(none)",
			 cpus[cpu]->irq_depth ? ", in an interrupt" : "",
			 !stopped     ? ", does not answer"
				 : ip ? ""
				      : ", in its program");
		line_out(line);
		if (stopped && ip)
			backtrace_print(ip, fp, panic_addrs, ARRAY_SIZE(panic_addrs), line_out);
	}
}

static noreturn void report_first(const struct trap_frame *frame, uint64_t fp, const char *head)
{
	strlcpy(first_panic, head, sizeof(first_panic));
	log_flush();
	if (panic_screen) {
		screen_busy = true;
		panic_screen->begin();
		screen_busy = false;
	}
	log_emergency(""); /* whatever was being written there */
	line_out("*** kernel panic: this is a bug in Ashlar; please report all of it ***");
	line_out(head);
	who_ran();
	if (panic_details)
		panic_details(line_out);
	backtrace_panic(frame, fp);
	lockdep_print_held(line_out);
	if (frame)
		trap_frame_print(frame, line_out);
	other_cpus();
	last_log_lines();
	panic_end();
}

static noreturn void report_nested(const struct trap_frame *frame, uint64_t fp, const char *head)
{
	if (depth == 2) {
		log_emergency_drop();
		if (screen_busy)
			panic_screen = NULL;
	}
	line_out("*** panic inside the panic report ***");
	line_out(head);
	backtrace_panic(frame, fp);
	line_out("the first panic was:");
	line_out(first_panic);
	panic_end();
}

noreturn cold void panic_at(const char *file, int line, const struct trap_frame *frame, const char *fmt, ...)
{
	char text[256];
	char head[320];
	uint64_t fp = (uint64_t)__builtin_frame_address(0); /* the first return address is then our caller's */
	va_list ap;

	irq_disable();
	uint32_t cpu = this_cpu()->id;
	uint32_t nobody = UINT32_MAX;
	if (!atomic_cas(&panic_cpu, &nobody, cpu) && nobody != cpu)
		cpu_stop(); /* the NMI finds it here */
	panic_in_progress = true;
	if (depth++ == 0)
		smp_stop_others();

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(head, sizeof(head), "%s:%d: %s", file, line, text);
	if (depth == 1)
		report_first(frame, fp, head);
	report_nested(frame, fp, head);
}

noreturn cold void boot_stop(const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_write(LOG_EMERG, "boot: %s", text);
	if (CONFIG_KTEST)
		power_test_exit(TEST_EXIT_PANIC);
	if (options.panic_timeout != 0) /* no clock to wait by yet */
		power_reset();
	log_write(LOG_EMERG, "boot: halted; panic=-1 on the command line resets in this case");
	cpu_stop();
}
