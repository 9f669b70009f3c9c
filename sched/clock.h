/* The two clocks.  Monotonic comes from arch/time.h; the wall clock is an offset to it. */
#pragma once

#include <arch/time.h>
#include "lib/types.h"

static inline uint64_t clock_monotonic_ns(void)
{
	return time_ns();
}
/* Nanoseconds since 1970, UTC. */
uint64_t clock_realtime_ns(void);
/* Sets the wall clock (RTC at boot, clock_settime). Any context. */
void clock_realtime_set(uint64_t ns_since_epoch);
