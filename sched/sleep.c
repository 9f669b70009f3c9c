/*
 * Sleeping for a time, without a condition.
 */
#include <asm/errno.h>

#include <arch/time.h>
#include "abi/errno_kernel.h"
#include "sched/internal.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "sync/atomic.h"

struct sleeper {
	struct timer timer;
	struct thread *thread;
};

static void sleeper_wake(struct timer *timer)
{
	sched_wake(container_of(timer, struct sleeper, timer)->thread, WAKE_NORMAL);
}

int sleep_until_ns(uint64_t deadline_ns, bool interruptible)
{
	struct sleeper s = {.thread = thread_current()};
	struct thread *t = s.thread;
	int err = 0;

	timer_init(&s.timer, sleeper_wake);
	if (deadline_ns != UINT64_MAX)
		timer_set(&s.timer, deadline_ns);
	t->wait_reason = "sleep";
	for (;;) {
		/* State first, then the reasons not to sleep: see "No lost wake-up" in sched.c. */
		t->state = interruptible ? THREAD_SLEEPING : THREAD_BLOCKED;
		atomic_fence();
		if (time_ns() >= deadline_ns)
			break;
		if (interruptible && thread_has_work(t, WORK_SIGNAL | WORK_KILL)) {
			err = -ERESTARTSYS;
			break;
		}
		sched_switch();
	}
	t->state = THREAD_RUNNABLE;
	if (deadline_ns != UINT64_MAX)
		timer_cancel(&s.timer);
	return err;
}
