/*
 * Timers: order, cancelling, re-arming.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "core/ktest.h"
#include "sched/clock.h"
#include "sched/timer.h"
#include "sched/wait.h"

#define COUNT 64u

static struct timer timers[COUNT];
static uint8_t fired[COUNT + 1];
static uint32_t fired_count;

static void note(struct timer *t)
{
	fired[fired_count++] = (uint8_t)(t - timers);
}

static void prepare(void)
{
	fired_count = 0;
	for (unsigned i = 0; i < COUNT; i++)
		timer_init(&timers[i], note);
}

/* Until *count is what is expected, and a little longer, for those that should not fire. The alarm may be late, never
 * lost. */
static void until_fired(const uint32_t *count, uint32_t expected, uint64_t at_least_ns)
{
	(void)!sleep_until_ns(at_least_ns, false);
	for (unsigned tries = 0; READ_ONCE(*count) < expected && tries < 5000; tries++)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	KTEST_EQ(READ_ONCE(*count), expected);
}

KTEST(sched, timers_fire_in_deadline_order)
{
	prepare();
	uint64_t start = time_ns() + 3 * NSEC_PER_MSEC;
	irqflags_t f = irq_save(); /* none fires before all are set */
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned k = i * 29 % COUNT;		     /* a permutation */
		timer_set(&timers[k], start + k / 2 * 1000); /* pairs with equal deadlines */
	}
	irq_restore(f);
	until_fired(&fired_count, COUNT, start + NSEC_PER_MSEC);
	for (unsigned i = 1; i < COUNT; i++)
		KTEST_TRUE(fired[i - 1] / 2 <= fired[i] / 2);
}

KTEST(sched, timers_cancel)
{
	prepare();
	uint64_t start = time_ns() + 2 * NSEC_PER_MSEC;
	unsigned armed = 0, twice = 0;
	irqflags_t f = irq_save();
	for (unsigned i = 0; i < COUNT; i++)
		timer_set(&timers[i], start + i);
	for (unsigned i = 0; i < COUNT; i += 2)
		armed += timer_cancel(&timers[i]);
	for (unsigned i = 0; i < COUNT; i += 2)
		twice += timer_cancel(&timers[i]);
	irq_restore(f);
	KTEST_EQ(armed, COUNT / 2);
	KTEST_EQ(twice, 0);
	until_fired(&fired_count, COUNT / 2, start + 2 * NSEC_PER_MSEC);
	for (unsigned i = 0; i < COUNT / 2; i++)
		KTEST_EQ(fired[i], 2 * i + 1);
	for (unsigned i = 0; i < COUNT; i++)
		KTEST_TRUE(!timer_cancel(&timers[i]));
}

KTEST(sched, timer_rearm_moves_it)
{
	prepare();
	uint64_t now = time_ns();
	irqflags_t f = irq_save();
	timer_set(&timers[0], now + 60 * NSEC_PER_SEC);
	timer_set(&timers[1], now + 2 * NSEC_PER_MSEC);
	timer_set(&timers[0], now + NSEC_PER_MSEC);
	irq_restore(f);
	until_fired(&fired_count, 2, now + 4 * NSEC_PER_MSEC);
	KTEST_TRUE(fired[0] == 0 && fired[1] == 1);
}

static uint32_t again;
static void fire_again(struct timer *t)
{
	if (++again < 5)
		timer_set(t, 0); /* long past: due at once */
}

KTEST(sched, timer_may_rearm_itself)
{
	again = 0;
	timer_init(&timers[0], fire_again);
	timer_set(&timers[0], time_ns());
	until_fired(&again, 5, time_ns() + 3 * NSEC_PER_MSEC);
}

KTEST(sched, sleep_is_not_shorter_than_asked)
{
	for (unsigned i = 0; i < 20; i++) {
		uint64_t until = time_ns() + i * 50000;
		KTEST_EQ(sleep_until_ns(until, false), 0);
		KTEST_TRUE(time_ns() >= until);
	}
}

KTEST(sched, realtime_is_settable)
{
	uint64_t before = clock_realtime_ns();
	clock_realtime_set(1000000000ull * NSEC_PER_SEC);
	uint64_t now = clock_realtime_ns();
	clock_realtime_set(before + (clock_realtime_ns() - now));
	KTEST_EQ(now / NSEC_PER_SEC, 1000000000);
}
