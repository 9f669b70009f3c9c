/*
 * The generator of perturbed schedules (sched/seed.h): one state per CPU, so that no CPU's draws depend on what another
 * does.  splitmix64: each seed gives another sequence, also neighbouring ones.
 *
 * Drawn are: whether a woken thread interrupts the running one, on which of its CPUs it is put, which of two candidates
 * runs next, and how long until the running one is interrupted though its request is not served.  None of them can
 * break a promise of the scheduler but the one of fairness, for a while.
 */
#include "sched/seed.h"

#include <arch/cpu.h>

bool sched_seeded;
static uint64_t state[CPUS_MAX]; /* own CPU's, interrupts off */

void sched_seed_set(uint64_t seed)
{
	for (unsigned i = 0; i < CPUS_MAX; i++)
		state[i] = seed + i * 0xd1342543de82ef95;
	sched_seeded = true;
}

uint32_t sched_seed_draw(uint32_t limit)
{
	uint64_t z = state[this_cpu()->id] += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return (uint32_t)((z >> 32) * limit >> 32);
}
