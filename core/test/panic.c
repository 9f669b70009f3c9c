/*
 * Ways to panic, for tests of the report: `ktest-panic=NAME` on the test image's command line (tests/boot/panic.py).
 * Each breaks the kernel in a state in which a report is hard: with a console's lock held, in an interrupt, inside the
 * allocator, without stack, inside another report.
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
#include "sched/sched.h"
#include "sched/timer.h"
#include "vm/aspace.h"

static void plain(void)
{
	panic("test: plain, number %d", 42);
}

static void under_console_lock(void)
{
	log_info("ktest-panic: a log line written under the screen's lock");
	panic("test: under the console's lock");
}

static void console_lock(void)
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

static void lock_order(void)
{
	irqflags_t f = take_outer();

	take_inner();
	spin_unlock(&outer_lock, f);
}

/* The kernel follows a program's pointer without the copy functions: a bug, however well the page could be brought in. */
static void stray_access(void)
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

static void interrupt(void)
{
	static struct timer timer;

	timer_init(&timer, in_timer);
	timer_set(&timer, clock_monotonic_ns() + NSEC_PER_MSEC);
	for (;;)
		cpu_relax();
}

/* The buddy allocator finds out under its own lock that a block comes back a second time. */
static void allocator(void)
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

static void stack_overflow(void)
{
	log_info("ktest-panic: %u", dig_deeper(1));
}

/* An invalid address inside the kernel's half. */
static void page_fault(void)
{
	*(volatile uint64_t *)(KMAP_BASE - 4096) = 1;
}

static void broken_write(const char *text maybe_unused, size_t len maybe_unused)
{
	if (panic_in_progress)
		*(volatile uint64_t *)(KMAP_BASE - 8192) = 1;
}

static struct log_console broken = {.name = "broken", .write = broken_write};

static void twice(void)
{
	log_console_register(&broken, false);
	panic("test: the first panic");
}

static void broken_begin(void)
{
	panic("test: the screen broke");
}

static void broken_line(const char *line maybe_unused)
{
}

static void twice_screen(void)
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
	{"lock-order", lock_order},
	{"stray-access", stray_access},
};

noreturn void ktest_panic(const char *how)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (str_equal(ways[i].name, how))
			ways[i].run();
	log_err("ktest-panic: there is no way to panic named %s", how);
	power_test_exit(2);
}
