/*
 * Load averages (man 5 proc_loadavg): how many threads ran or waited for the CPU or uninterruptibly, smoothed over 1, 5
 * and 15 minutes.
 *
 * Every five seconds each average moves towards the present number n: load = load·e + n·(1-e) with e = exp(-5 s /
 * period), in fixed point with 11 fraction bits.  There is no timer for it: whoever comes by (a tick, or a reader)
 * makes up for the periods that have passed.  While nobody comes by the CPU is idle, so the number for the missed
 * periods is what it is now minus whom the tick found running, that is the blocked ones; taking the present number for
 * the last period and 0 for those before errs by less than one thread for one period.
 */
#include <arch/time.h>
#include "sched/internal.h"
#include "sched/sched.h"
#include "sync/spinlock.h"

#define FRACTION_BITS 11
#define ONE (1u << FRACTION_BITS)
#define PERIOD_NS (5 * NSEC_PER_SEC)
#define PERIODS_FORGOTTEN 2160 /* three hours: nothing is left of a 15-minute average */

/* round(2048 · exp(-5/60)), exp(-5/300), exp(-5/900) */
static const uint32_t decay[3] = {1884, 2014, 2037};

static struct spinlock load_lock = SPINLOCK_INIT(LOCK_LEAF, "load average");
static uint64_t average[3];	     /* load_lock */
static uint64_t next_ns = PERIOD_NS; /* load_lock; read without it as a hint */

static void step(uint64_t active)
{
	for (unsigned i = 0; i < 3; i++)
		average[i] = (average[i] * decay[i] + (active << FRACTION_BITS) * (ONE - decay[i]) + ONE / 2) >>
			FRACTION_BITS;
}

void load_update(uint64_t now)
{
	if (likely(now < READ_ONCE(next_ns)))
		return;
	uint64_t active = sched_active_threads();
	SPIN_GUARD(&load_lock);
	if (now < next_ns)
		return;
	uint64_t periods = (now - next_ns) / PERIOD_NS + 1;
	next_ns += periods * PERIOD_NS;
	if (periods > PERIODS_FORGOTTEN)
		average[0] = average[1] = average[2] = 0;
	else
		for (uint64_t i = 1; i < periods; i++)
			step(0);
	step(active);
}

void sched_load_average(uint64_t out[3])
{
	load_update(time_ns());
	SPIN_GUARD(&load_lock);
	for (unsigned i = 0; i < 3; i++)
		out[i] = average[i];
}
