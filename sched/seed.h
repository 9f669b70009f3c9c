/*
 * Perturbed schedules: `sched_seed=N` on the command line makes the scheduler take some of its free decisions by lot,
 * from a generator that N starts, so that rare interleavings become likely; with QEMU's -icount the same N gives the
 * same
 * run.  Without the word the cost is a look at one flag.
 */
#pragma once

#include "lib/types.h"

extern bool sched_seeded; /* set once at boot */

/* From the boot order, before the scheduler; what follows "sched_seed=" as a number. */
void sched_seed_set(uint64_t seed);
/* The next draw of this CPU, below `limit`. Interrupts off. */
uint32_t sched_seed_draw(uint32_t limit);

/* True once in n draws if the schedule is seeded, else never. Interrupts off. */
static always_inline bool sched_seed_chance(uint32_t n)
{
	return unlikely(sched_seeded) && sched_seed_draw(n) == 0;
}
