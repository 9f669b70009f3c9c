/*
 * The clock and the alarm, whichever the command line chose: tests/boot/clocks.py runs these under each. Sleeps are
 * judged by another counter of the same machine, so a slow host changes nothing.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "arch/x86_64/acpi_tables.h"
#include "arch/x86_64/clock.h"
#include "core/ktest.h"
#include "core/options.h"
#include "dev/irq.h"
#include "lib/string.h"
#include "sched/timer.h"

KTEST(time, never_goes_back)
{
	uint64_t last = time_ns();

	for (int i = 0; i < 20000; i++) {
		uint64_t now = time_ns();
		KTEST_TRUE(now >= last);
		last = now;
	}
}

/* As after a refinement; more often, and by nothing, so that all there is to see is a jump. */
KTEST(time, changes_its_rate_without_a_jump)
{
	if (!clock_is_tsc())
		ktest_skip("another clock than the TSC");
	for (int i = 0; i < 100; i++) {
		irqflags_t f = irq_save();
		uint64_t before = time_ns();
		clock_set_rate(clocksource_tsc.hz);
		uint64_t after = time_ns();
		irq_restore(f);
		KTEST_TRUE(after >= before && after - before < 10 * NSEC_PER_SEC);
	}
}

KTEST(time, command_line_chooses)
{
	if (options.clocksource)
		KTEST_TRUE(str_skip_prefix(time_source_name(), options.clocksource));
	else
		KTEST_TRUE(clock_is_tsc());
	if (options.clockevent)
		KTEST_TRUE(str_skip_prefix(time_alarm_name(), options.clockevent));
}

/* A counter that is not the clock. */
static const struct clocksource *witness(void)
{
	return !clock_is_tsc() ? &clocksource_tsc : acpi_fadt.pm_timer ? &clocksource_acpi_pm : &clocksource_pit;
}

/* Each counter that is there tells the same length of time, although all but one may have been measured by that one. */
KTEST(time, counters_agree)
{
	static struct clocksource *const all[] = {&clocksource_tsc, &clocksource_hpet, &clocksource_acpi_pm,
						  &clocksource_pit};
	uint64_t before[ARRAY_SIZE(all)] = {0}, after[ARRAY_SIZE(all)];

	for (int tries = 0; tries < 20; tries++) {
		bool agree = true;
		irqflags_t f = irq_save();
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			before[i] = all[i]->hz ? all[i]->read() : 0;
		uint64_t start = tsc_ordered();
		while (tsc_ordered() - start < clocksource_tsc.hz / 100) /* the PIT wraps after 55 ms */
			cpu_relax();
		for (size_t i = 0; i < ARRAY_SIZE(all); i++)
			after[i] = all[i]->hz ? all[i]->read() : 0;
		irq_restore(f);
		uint64_t first_ns = muldiv(after[0] - before[0], NSEC_PER_SEC, all[0]->hz);
		for (size_t i = 1; i < ARRAY_SIZE(all); i++) {
			uint64_t ns = all[i]->hz
				? muldiv((after[i] - before[i]) & all[i]->mask, NSEC_PER_SEC, all[i]->hz)
				: first_ns;
			agree &= ns > first_ns / 10 * 9 && ns < first_ns / 10 * 11;
		}
		if (agree)
			return;
	}
	KTEST_TRUE(!"the same time");
}

static uint64_t stopped(void)
{
	return 42;
}

static uint64_t slow_reads;

static uint64_t slow(void)
{
	return slow_reads++ / 10;
}

KTEST(time, what_stands_still_is_no_clock)
{
	struct clocksource s = {.name = "test", .mask = UINT32_MAX, .looks = 50, .read = stopped};

	KTEST_TRUE(!clocksource_ticks(&s));
	s.read = slow;
	KTEST_TRUE(clocksource_ticks(&s));
	s.looks = 5;
	slow_reads = 0;
	KTEST_TRUE(!clocksource_ticks(&s));
}

static void sleep_ns(uint64_t ns)
{
	int err = sleep_until_ns(time_ns() + ns, false);
	KTEST_EQ(err, 0);
}

/* Over several wraps of the PIT's counter, with the CPU idle and no timer but the one at the end. */
KTEST(time, runs_at_its_rate_while_idle)
{
	const struct clocksource *w = witness();
	if (w == &clocksource_pit)
		ktest_skip("nothing that counts to 200 ms to compare with");
	/* The host may take the CPU away between two readings that belong together: then another try. */
	for (int i = 0; i < 5; i++) {
		uint64_t before_ns = time_ns(), before = w->read();
		sleep_ns(200 * NSEC_PER_MSEC);
		uint64_t ns = time_ns() - before_ns;
		uint64_t witness_ns = muldiv((w->read() - before) & w->mask, NSEC_PER_SEC, w->hz);
		KTEST_TRUE(ns >= 200 * NSEC_PER_MSEC);
		if (ns > witness_ns / 10 * 9 && ns < witness_ns / 10 * 11)
			return;
	}
	KTEST_TRUE(!"at its rate");
}

KTEST(time, alarm_never_early_and_by_interrupt)
{
	static const uint64_t lengths_ns[] = {1, 50000, 999999, 3000000, 60000000, 120000000};

	uint64_t interrupts = irq_count_get(IRQ_TIMER, 0);
	for (size_t i = 0; i < ARRAY_SIZE(lengths_ns); i++) {
		uint64_t until = time_ns() + lengths_ns[i];
		int err = sleep_until_ns(until, false);
		KTEST_EQ(err, 0);
		KTEST_TRUE(time_ns() >= until);
	}
	KTEST_TRUE(irq_count_get(IRQ_TIMER, 0) > interrupts);
}

/* Of some alarms one is on time; the others may have met a busy host. */
KTEST(time, alarm_is_not_late)
{
	for (int i = 0; i < 50; i++) {
		uint64_t until = time_ns() + 2 * NSEC_PER_MSEC;
		int err = sleep_until_ns(until, false);
		KTEST_EQ(err, 0);
		if (time_ns() - until < 10 * NSEC_PER_MSEC)
			return;
	}
	KTEST_TRUE(!"on time");
}

static unsigned rung;
static struct timer *order[3];

static void ring(struct timer *t)
{
	order[rung++ % ARRAY_SIZE(order)] = t;
}

/* The nearest of several alarms rings first, one moved nearer is not missed, a cancelled one does not ring. */
KTEST(time, alarm_moves)
{
	struct timer far, near, never;

	rung = 0;
	timer_init(&far, ring);
	timer_init(&near, ring);
	timer_init(&never, ring);
	timer_set(&far, time_ns() + 100 * NSEC_PER_MSEC);
	timer_set(&never, time_ns() + 3600 * NSEC_PER_SEC);
	timer_set(&near, time_ns() + 5 * NSEC_PER_MSEC);
	KTEST_TRUE(timer_cancel(&never));
	while (READ_ONCE(near.armed) || READ_ONCE(far.armed))
		sleep_ns(NSEC_PER_MSEC);
	KTEST_EQ(rung, 2);
	KTEST_TRUE(order[0] == &near && order[1] == &far);
}
