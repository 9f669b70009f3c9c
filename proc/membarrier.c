/*
 * membarrier(2): a full memory barrier on each processor that runs a thread of this program (or of any that asked for
 * it), as if each thread had executed one, so that the fast side of an algorithm needs none.
 *
 * Who is not running needs no interrupt: a switch to or from a thread has full barriers (locked operations on its work
 * bits and on the context's CPU mask). A CPU enters its bit into as->mmu.cpus by a locked operation before the first
 * instruction of the program there. So either we see the bit, and interrupt that CPU, or it was set after our fence
 * below and look, and then that CPU sees what we wrote before; a bit that is gone was cleared after the last access
 * there. The interrupt itself is the barrier.
 *
 * SYNC_CORE: each of them also executes a serialising instruction: IRET, at the end of the interrupt. A CPU that loads
 * these tables later serialises by that load (SDM 3A 8.3). The caller, who leaves by SYSRET, does it by hand.
 *
 * RSEQ: whoever is in a restartable sequence there begins it again (rseq.c), of one CPU or of all.
 *
 * GLOBAL goes to all processors. GLOBAL_EXPEDITED, which Linux sends to registered programs only, too: it costs each of
 * them an interrupt, where finding out who runs there would cost a lock on its queue.
 *
 * Registration is a word of the address space: inherited by fork, gone with exec, as on Linux.
 */
#include "proc/membarrier.h"

#include <arch/cpu.h>
#include <asm/errno.h>
#include <linux/membarrier.h>

#include "proc/internal.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"

#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9) /* Linux 6.3 */
#define REGISTERS                                                                               \
	(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
	 MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)
#define COMMANDS                                                                                          \
	(MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |     \
	 MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | REGISTERS | \
	 MEMBARRIER_CMD_GET_REGISTRATIONS)

static void barrier_here(void *unused)
{
	(void)unused;
	atomic_fence();
}

static void serialise_here(void *unused)
{
	(void)unused;
	cpu_serialise();
}

static void restart_here(void *arg)
{
	struct thread *t = thread_current();

	if (t->aspace == arg)
		__atomic_fetch_or(&t->arch.work, t->arch.switch_work & WORK_RSEQ, __ATOMIC_RELAXED);
}

static int on_each(uint64_t cpu_mask, void (*fn)(void *arg), void *arg)
{
	atomic_fence(); /* what the program did before, before we look who runs; and afterwards the same */
	smp_call(cpu_mask & atomic_load_relaxed(&cpus_online_mask), fn, arg);
	atomic_fence();
	return 0;
}

/* The command that has to have been registered for cmd: the next bit. */
static bool registered(const struct aspace *as, int cmd)
{
	return atomic_load_relaxed(&as->membarrier) & (uint32_t)cmd << 1;
}

static int private_expedited(struct aspace *as, int cmd, int cpu)
{
	atomic_fence(); /* before the mask is read */
	uint64_t mask = atomic_load_relaxed(&as->mmu.cpus);

	if (!registered(as, cmd))
		return -EPERM;
	if (cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED)
		return on_each(mask, barrier_here, NULL);
	if (cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE) {
		cpu_serialise();
		return on_each(mask, serialise_here, NULL);
	}
	if (cpu >= 0)
		mask &= cpu < CPUS_MAX ? BIT(cpu) : 0;
	restart_here(as); /* the caller is not in a section, but its numbers may be wanted afresh */
	return on_each(mask, restart_here, as);
}

/* As Linux tells: who registered one of the private kinds is registered for the plain one, though not to use it. */
static long registrations(const struct aspace *as)
{
	uint32_t has = atomic_load_relaxed(&as->membarrier);

	if (has &
	    (MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ))
		has |= MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	return has;
}

long membarrier(int cmd, unsigned flags, int cpu)
{
	struct aspace *as = thread_current()->aspace;

	if (flags && (cmd != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ || flags != MEMBARRIER_CMD_FLAG_CPU))
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return COMMANDS;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return on_each(UINT64_MAX, barrier_here, NULL);
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
		atomic_fetch_or(&as->membarrier, (uint32_t)cmd);
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
		return private_expedited(as, cmd, flags ? cpu : -1);
	case MEMBARRIER_CMD_GET_REGISTRATIONS:
		return registrations(as);
	}
	return -EINVAL;
}
