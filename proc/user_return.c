/*
 * Exit work. A restartable sequence is looked at after the signals, whose handlers have ended it. FP state goes last in
 * each round, since each of the others may switch threads and so take the registers away again; the loop ends only when
 * a look with interrupts off found nothing.
 */
#include "proc/user_return.h"

#include "proc/rseq.h"
#include "proc/signal.h"
#include "sched/sched.h"

noinline void user_return_work(struct trap_frame *f, struct thread *t)
{
	uint32_t work;

	while ((work = atomic_load_relaxed(&t->arch.work)) != 0) {
		if (work & WORK_RESCHED)
			sched_preempt();
		if (work & (WORK_SIGNAL | WORK_KILL)) {
			irq_enable();
			signal_deliver(f);
			irq_disable();
		}
		if (atomic_load_relaxed(&t->arch.work) & WORK_RSEQ)
			rseq_return(f);
		if (atomic_load_relaxed(&t->arch.work) & WORK_FPU)
			fpu_load_current();
	}
}
