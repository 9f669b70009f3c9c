/*
 * The wall clock: the monotonic clock plus an offset, which setting it changes.  One aligned word, so readers need no
 * lock; it is on the page the vDSO reads, too.
 */
#include "sched/clock.h"

#include <arch/vdso.h>

#include "sync/atomic.h"

uint64_t clock_realtime_ns(void)
{
	return clock_monotonic_ns() + atomic_load_relaxed(&time_page.wall_offset_ns);
}

void clock_realtime_set(uint64_t ns_since_epoch)
{
	atomic_store_relaxed(&time_page.wall_offset_ns, ns_since_epoch - clock_monotonic_ns());
}
