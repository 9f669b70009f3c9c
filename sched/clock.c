/*
 * The wall clock: the monotonic clock plus an offset, which setting it changes.  One aligned word, so readers need no
 * lock.
 */
#include "sched/clock.h"

#include "sync/atomic.h"

static uint64_t realtime_offset_ns;

uint64_t clock_realtime_ns(void)
{
	return clock_monotonic_ns() + atomic_load_relaxed(&realtime_offset_ns);
}

void clock_realtime_set(uint64_t ns_since_epoch)
{
	atomic_store_relaxed(&realtime_offset_ns, ns_since_epoch - clock_monotonic_ns());
}
