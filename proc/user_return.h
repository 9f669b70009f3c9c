/*
 * What a thread has to do before it goes back to its program: signals, rescheduling, FP state. Every entry from user
 * mode ends here.
 */
#pragma once

#include <arch/context.h>
#include <arch/cpu.h>
#include "lib/types.h"
#include "sched/thread.h"
#include "sync/atomic.h"

void user_return_work(struct trap_frame *f, struct thread *t);

/* Interrupts off on entry and on return; f is the program's frame at the top of the stack. May not return (the thread
 * ended). */
static always_inline void user_return(struct trap_frame *f)
{
	struct thread *t = thread_current();

	if (unlikely(atomic_load_relaxed(&t->arch.work)))
		user_return_work(f, t);
}
