/*
 * The run queues of all CPUs: finding and locking them, and telling a CPU to look at its own.  Private to sched/.
 *
 * Locks: a thread's queue is that of t->cpu; that field changes only with its old queue's lock held.  Two queues are
 * locked in the order of their CPUs' numbers.
 */
#pragma once

#include <arch/cpu.h>
#include <arch/time.h>
#include "sched/internal.h"
#include "sched/runqueue.h"
#include "sync/atomic.h"

extern struct run_queue *run_queues[CPUS_MAX]; /* NULL where none was prepared; never taken away again */
extern uint64_t sched_cpu_mask;		       /* bit per CPU that takes threads; grows only; atomic */
extern uint64_t sched_idle_mask;	       /* … that is idle and not yet chosen for a thread; a hint; atomic */
extern bool sched_many;			       /* more than one CPU has been started */

static always_inline struct run_queue *my_queue(void)
{
	return run_queues[this_cpu()->id];
}

/*
 * Kicks.  A kick makes a CPU take an interrupt, at the end of which it looks at WORK_RESCHED and the other work bits.
 * Who asks for one mostly holds a lock that the other CPU will want at once; were it sent then, a host might give the
 * other the processor this one runs on, and it would spin there while the holder cannot run.  So it is noted, and sent
 * when the locks have been let go of.  All with interrupts off.
 */
static inline void cpu_kick(uint32_t cpu)
{
	if (cpu != this_cpu()->id && sched_kick_cpu)
		sched_kick_cpu(cpu);
}

static always_inline void kick_later(uint32_t cpu)
{
	my_queue()->kicks |= BIT(cpu);
}

/* sched.c */
void kicks_send_all(void);

static always_inline void kicks_send(void)
{
	if (unlikely(my_queue()->kicks))
		kicks_send_all();
}

/* The queue of the CPU t belongs to, locked. */
static always_inline struct run_queue *queue_lock(const struct thread *t, irqflags_t *f)
{
	for (;;) {
		uint32_t cpu = READ_ONCE(t->cpu);
		struct run_queue *rq = run_queues[cpu];
		*f = spin_lock(&rq->lock);
		if (likely(t->cpu == cpu))
			return rq;
		spin_unlock(&rq->lock, *f);
	}
}

/* Interrupts off. a != b. */
static inline void queues_lock(struct run_queue *a, struct run_queue *b)
{
	struct run_queue *first = a->cpu < b->cpu ? a : b;
	spin_acquire(&first->lock);
	spin_acquire_rank(&(first == a ? b : a)->lock, LOCK_RUNQUEUE_SECOND);
}

static inline void queues_unlock(struct run_queue *a, struct run_queue *b)
{
	spin_release(&a->lock);
	spin_release(&b->lock);
	kicks_send();
}

static always_inline void queue_unlock(struct run_queue *rq, irqflags_t f)
{
	spin_release(&rq->lock);
	kicks_send();
	irq_restore(f);
}

/* sched.c, all with rq->lock held: the running thread is to give up the CPU soon … */
void rq_resched(struct run_queue *rq, uint64_t now);
/* … the tick is wanted at deadline_ns at the latest */
void rq_tick_by(struct run_queue *rq, uint64_t deadline_ns);
/* wake.c: puts t, whose state is RUNNABLE and which is on no queue, on rq; r: if it is fair. rq->lock held. */
void rq_activate(struct run_queue *rq, struct thread *t, struct fair_request r, uint64_t now);
/* wake.c: t was just put on rq, whose running thread is accounted for: interrupts that one, or sets the tick. */
void rq_arrived(struct run_queue *rq, struct thread *t, uint64_t now);

/* wake.c: t, which woke somebody, goes to sleep. Its CPU, interrupts off. */
void wake_note_sleep(struct thread *t, uint64_t now);

/* balance.c */

/* Moves t, which waits on `from` and whose registers are saved, to `to`. Both locked. */
void rq_move(struct run_queue *from, struct run_queue *to, struct thread *t);
/* An idle CPU looks for a waiting thread elsewhere. True if it got one. Interrupts off, no lock. */
bool balance_steal(struct run_queue *rq);
/* rq's tick, interrupts off, no lock: gives a thread to a CPU that has less to do, if it is time for that. */
void balance_tick(struct run_queue *rq, uint64_t now);
/* Notes a kick for an idle CPU of `allowed`: there is something to steal. No lock needed. */
void balance_invite(uint64_t allowed);
/* Moves t off the CPU it waits on if it may not run there. Interrupts off, no lock. */
void balance_evict(struct thread *t);
/* The CPU of `allowed` with the fewest runnable threads, `hint` if it is one of them. */
uint32_t balance_least_loaded(uint64_t allowed, uint32_t hint);
