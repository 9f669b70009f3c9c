/*
 * Ways to panic, for tests of the report: `ktest-panic=NAME` on the test image's command line (tests/boot/panic.py).
 * Each breaks the kernel in a state in which a report is hard: with a console's lock held, in an interrupt, inside the
 * allocator, without stack, inside another report.  Each way is a function of its own in the backtrace.
 */
#include <arch/cpu.h>
#include <arch/mmu.h>
#include <arch/power.h>

#include "core/ktest.h"
#include "core/log.h"
#include "core/panic.h"
#include "dev/char/screen_console.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/zone.h"
#include "sched/clock.h"
#include "sched/mutex.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "vm/aspace.h"

static noinline void plain(void)
{
	panic("test: plain, number %d", 42);
}

static void under_console_lock(void)
{
	log_info("ktest-panic: a log line written under the screen's lock");
	panic("test: under the console's lock");
}

static noinline void console_lock(void)
{
	if (!screen_console_locked(under_console_lock))
		panic("test: this machine has no screen");
}

static void in_timer(struct timer *t maybe_unused)
{
	panic("test: in an interrupt");
}

/* The inner lock ranks below the outer one: lockdep ends it, with both names and both call stacks. */
static struct spinlock outer_lock = SPINLOCK_INIT(LOCK_ZONE, "outer");
static struct spinlock inner_lock = SPINLOCK_INIT(LOCK_TIMER, "inner");

static noinline irqflags_t take_outer(void)
{
	return spin_lock(&outer_lock);
}

static noinline void take_inner(void)
{
	irqflags_t f = spin_lock(&inner_lock);
	spin_unlock(&inner_lock, f);
}

static noinline void lock_order(void)
{
	irqflags_t f = take_outer();

	take_inner();
	spin_unlock(&outer_lock, f);
}

static noinline void lock_again(void)
{
	irqflags_t f = take_outer();
	irqflags_t g = take_outer();

	spin_unlock(&outer_lock, g);
	spin_unlock(&outer_lock, f);
}

/* Two of a class: which comes first is not said, so the other way round may happen somewhere else. */
static struct spinlock twin_lock = SPINLOCK_INIT(LOCK_ZONE, "twin");

static noinline void lock_same_rank(void)
{
	irqflags_t f = take_outer();
	irqflags_t g = spin_lock(&twin_lock);

	spin_unlock(&twin_lock, g);
	spin_unlock(&outer_lock, f);
}

static noinline void lock_uninitialised(void)
{
	static struct spinlock blank;
	irqflags_t f = spin_lock(&blank);

	spin_unlock(&blank, f);
}

/* Without switching interrupts off: the first handler that wants it would spin on what its own CPU holds. */
static noinline void lock_interruptible(void)
{
	spin_acquire(&outer_lock);
	spin_release(&outer_lock);
}

static void have_interrupted(void (*fn)(struct timer *t))
{
	static struct timer timer;

	timer_init(&timer, fn);
	timer_set(&timer, clock_monotonic_ns() + NSEC_PER_MSEC);
}

static void wait_for_interrupt(void)
{
	irq_enable();
	for (uint64_t end = clock_monotonic_ns() + NSEC_PER_SEC; clock_monotonic_ns() < end;)
		cpu_relax();
}

static void in_timer_lock(struct timer *t maybe_unused)
{
	take_inner();
}

/* Switched off by the lock, and on again behind its back. */
static noinline void lock_in_handler(void)
{
	have_interrupted(in_timer_lock);
	irqflags_t f = take_outer();

	wait_for_interrupt();
	spin_unlock(&outer_lock, f);
}

static struct mutex sleeping_lock;

static noinline void take_sleeping(void)
{
	mutex_lock(&sleeping_lock);
	mutex_unlock(&sleeping_lock);
}

static noinline void mutex_under_lock(void)
{
	mutex_init(&sleeping_lock, LOCK_PIPE, "sleeping");
	irqflags_t f = take_outer();

	take_sleeping();
	spin_unlock(&outer_lock, f);
}

/* lockdep ends it first, where it watches; a try that failed leaves it to the mutex itself. */
static noinline void mutex_again(void)
{
	mutex_init(&sleeping_lock, LOCK_PIPE, "sleeping");
	mutex_lock(&sleeping_lock);
	take_sleeping();
}

static noinline void mutex_not_mine(void)
{
	mutex_init(&sleeping_lock, LOCK_PIPE, "sleeping");
	mutex_unlock(&sleeping_lock);
}

static void in_timer_mutex(struct timer *t maybe_unused)
{
	if (mutex_trylock(&sleeping_lock))
		mutex_unlock(&sleeping_lock);
}

static noinline void mutex_in_handler(void)
{
	mutex_init(&sleeping_lock, LOCK_PIPE, "sleeping");
	have_interrupted(in_timer_mutex);
	wait_for_interrupt();
}

static noinline void sleep_under_lock(void)
{
	irqflags_t f = take_outer();

	sched_switch();
	spin_unlock(&outer_lock, f);
}

static noinline void sleep_uninterruptible(void)
{
	irqflags_t f = irq_save();

	sched_switch();
	irq_restore(f);
}

static noinline void lock_not_held(void)
{
	spin_release(&outer_lock);
}

/* The kernel follows a program's pointer without the copy functions: a bug, however well the page could be
 * brought in. */
static noinline void stray_access(void)
{
	struct map_request r = {.len = PAGE_SIZE, .flags = AREA_READ | AREA_WRITE | AREA_MAY_WRITE};
	struct thread *t = thread_current();
	struct aspace *as;
	uint64_t at;

	if (aspace_create(&as) != 0 || aspace_map(as, &r, &at) != 0)
		return;
	t->aspace = as;
	irqflags_t f = irq_save();
	t->mmu = &as->mmu;
	mmu_switch(&as->mmu);
	irq_restore(f);
	*(volatile char *)at = 1;
}

/* A page that is mapped, for a program: SMAP and SMEP keep the kernel out, not the tables. */
static uint64_t program_page(void)
{
	static const uint8_t ret = 0xc3;
	struct map_request r = {.len = PAGE_SIZE, .flags = AREA_READ | AREA_WRITE | AREA_EXEC | AREA_MAY_WRITE};
	struct thread *t = thread_current();
	struct aspace *as;
	uint64_t at;

	if (aspace_create(&as) != 0 || aspace_map(as, &r, &at) != 0 ||
	    aspace_access(as, at, (void *)&ret, 1, true) != 1)
		panic("test: no page");
	t->aspace = as;
	irqflags_t f = irq_save();
	t->mmu = &as->mmu;
	mmu_switch(&as->mmu);
	irq_restore(f);
	return at;
}

static noinline void read_program(void)
{
	log_info("ktest-panic: read %#x", *(volatile uint8_t *)program_page());
}

static noinline void call_program(void)
{
	((void (*)(void))program_page())();
	log_info("ktest-panic: came back");
}

static noinline void interrupt(void)
{
	static struct timer timer;

	timer_init(&timer, in_timer);
	timer_set(&timer, clock_monotonic_ns() + NSEC_PER_MSEC);
	for (;;)
		cpu_relax();
}

/* The buddy allocator finds out under its own lock that a block comes back a second time. */
static noinline void allocator(void)
{
	struct page *p = page_alloc(3, 0);

	BUG_ON(!p);
	zone_free(&page_zone, p);
	zone_free(&page_zone, p);
}

static volatile unsigned never; /* 0, but the compiler does not know */

static noinline unsigned dig_deeper(unsigned n)
{
	volatile unsigned char room[200];

	room[n % sizeof(room)] = (unsigned char)n;
	if (n == never)
		return 0;
	return dig_deeper(n + 1) + room[n % sizeof(room)]; /* no tail call */
}

static noinline void stack_overflow(void)
{
	log_info("ktest-panic: %u", dig_deeper(1));
}

/* An invalid address inside the kernel's half. */
static noinline void page_fault(void)
{
	*(volatile uint64_t *)(KMAP_BASE - 4096) = 1;
}

static void broken_write(const char *text maybe_unused, size_t len maybe_unused)
{
	static unsigned calls;

	if (panic_in_progress) /* (The address tells which call it was.) */
		*(volatile uint64_t *)(KMAP_BASE - 8192 * ++calls) = 1;
}

static struct log_console broken = {.name = "broken", .write = broken_write};

static noinline void twice(void)
{
	log_console_register(&broken, false);
	panic("test: the first panic");
}

/* The log is being written to the consoles, by us, when one of them finds its driver broken. */
static void panic_in_write(const char *text, size_t len maybe_unused)
{
	if (!panic_in_progress && strstr(text, "ktest-panic: the last straw"))
		panic("test: in a console's write");
}

static struct log_console fragile = {.name = "fragile", .write = panic_in_write};

static void console_write(void)
{
	log_console_register(&fragile, false);
	log_err("ktest-panic: the last straw");
}

static void broken_begin(void)
{
	panic("test: the screen broke");
}

/* Not again. */
static void broken_line(const char *line maybe_unused)
{
	panic("test: the screen broke, and was written again");
}

static noinline void twice_screen(void)
{
	static const struct panic_screen_ops ops = {.begin = broken_begin, .line = broken_line, .end = broken_line};

	panic_screen = &ops;
	panic("test: the first panic");
}

static const struct {
	const char *name;
	void (*run)(void);
} ways[] = {
	{"plain", plain},
	{"console-lock", console_lock},
	{"interrupt", interrupt},
	{"allocator", allocator},
	{"stack-overflow", stack_overflow},
	{"page-fault", page_fault},
	{"twice", twice},
	{"twice-screen", twice_screen},
	{"console-write", console_write},
	{"lock-order", lock_order},
	{"lock-again", lock_again},
	{"lock-interruptible", lock_interruptible},
	{"lock-in-handler", lock_in_handler},
	{"lock-not-held", lock_not_held},
	{"lock-same-rank", lock_same_rank},
	{"lock-uninitialised", lock_uninitialised},
	{"mutex-again", mutex_again},
	{"mutex-not-mine", mutex_not_mine},
	{"mutex-under-lock", mutex_under_lock},
	{"mutex-in-handler", mutex_in_handler},
	{"sleep-under-lock", sleep_under_lock},
	{"sleep-uninterruptible", sleep_uninterruptible},
	{"stray-access", stray_access},
	{"read-program", read_program},
	{"call-program", call_program},
};

noreturn void ktest_panic(const char *how)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (str_equal(ways[i].name, how))
			ways[i].run();
	log_err("ktest-panic: there is no way to panic named %s", how);
	power_test_exit(2);
}
