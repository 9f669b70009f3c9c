/*
 * Wait queues: theory.
 *
 * A queue is a list of waiters; a waiter is a thread that sleeps, or a callback (poll, epoll).  Waking takes thread
 * waiters off the list, so each wake-up costs what it wakes and a second one finds nobody; callbacks stay until they
 * are removed.
 *
 * Order: those that want to be woken with all others stand in front, exclusive ones behind them in order of arrival.
 * wait_wake(q, n) therefore stops at the n-th exclusive one, and the longest waiter is served first.
 *
 * No lost wake-up: wait_prepare() enters the list, sets the state and fences before the condition is looked at; the
 * waker changes the condition and fences (wait_queue_active) before it looks at the list.  See also sched.c.
 *
 * Lifetime: a waiter lies on its thread's stack.  The waker touches it under the queue's lock only, and clears on_queue
 * as the last thing; a waiter leaves without taking the lock only if it finds on_queue clear, so the waker is done with
 * it by then.  It leaves with its state RUNNABLE, since the waker set that before.  One that runs and finds on_queue
 * still set was woken by something else, or by a waker who is not done yet; which of the two only the lock can tell. To
 * sleep again on the second would be for ever.
 *
 * An exclusive wake-up is not lost to a waiter that gives up (signal, time-out): it looks at the condition once more,
 * and if that does not hold but it was taken off the queue by a waker meanwhile, it wakes the next (wait_end).
 *
 * Locking: q->lock (LOCK_WAITQUEUE), under it the run queue's.  Callbacks run under it: they may wake other threads but
 * not queues of this rank.
 */
#include "sched/wait.h"

#include <arch/time.h>
#include "core/panic.h"
#include "mm/kmap.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "sync/atomic.h"

void wait_queue_init(struct wait_queue *q)
{
	spin_init(&q->lock, LOCK_WAITQUEUE, "wait queue");
	list_init(&q->waiters);
}

/* Lock held. True if w counts against the number of exclusive waiters to wake. */
static bool wake_one(struct waiter *w, uint32_t key)
{
	if (w->wake)
		return w->wake(w, key) && w->exclusive;
	bool exclusive = w->exclusive;
	list_remove(&w->node);
	bool woke = sched_wake(w->thread, WAKE_NORMAL | WAKE_KICK_LATER);
	atomic_store_release(&w->on_queue, false); /* from here on w may be gone */
	return exclusive && woke;
}

static noinline void wake_some(struct wait_queue *q, unsigned count, uint32_t key)
{
	irqflags_t f = spin_lock(&q->lock);
	struct waiter *w;
	LIST_FOR_EACH_SAFE(w, &q->waiters, node)
		if (wake_one(w, key) && --count == 0)
			break;
	spin_release(&q->lock);
	sched_send_kicks();
	irq_restore(f);
}

void wait_wake_all(struct wait_queue *q)
{
	if (wait_queue_active(q))
		wake_some(q, UINT32_MAX, UINT32_MAX);
}

void wait_wake(struct wait_queue *q, unsigned count)
{
	if (count && wait_queue_active(q))
		wake_some(q, count, UINT32_MAX);
}

void wait_wake_key(struct wait_queue *q, uint32_t key)
{
	if (wait_queue_active(q))
		wake_some(q, UINT32_MAX, key);
}

static void enter(struct wait_queue *q, struct waiter *w)
{
	ASSERT(!kstack_end_of((uint64_t)q)); /* it could be gone when it is woken */
	w->on_queue = true;
	if (w->exclusive)
		list_push_back(&q->waiters, &w->node);
	else
		list_push_front(&q->waiters, &w->node);
}

static always_inline uint32_t sleep_state(unsigned flags)
{
	return flags & (WAIT_INTERRUPTIBLE | WAIT_KILLABLE) ? THREAD_SLEEPING : THREAD_BLOCKED;
}

void wait_prepare(struct wait_queue *q, struct waiter *w, unsigned flags)
{
	struct thread *t = thread_current();
	w->thread = t;
	w->wake = NULL;
	w->queue = q;
	w->exclusive = flags & WAIT_EXCLUSIVE;
	irqflags_t f = spin_lock(&q->lock);
	if (likely(!w->on_queue))
		enter(q, w);
	t->wait_reason = q->lock.name;
	t->state = sleep_state(flags);
	spin_unlock(&q->lock, f);
	atomic_fence();
}

void wait_end(struct wait_queue *q, struct waiter *w, int err)
{
	irqflags_t f = spin_lock(&q->lock);
	bool was_woken = !w->on_queue;
	if (!was_woken) {
		list_remove(&w->node);
		w->on_queue = false;
	}
	spin_unlock(&q->lock, f);
	thread_current()->state = THREAD_RUNNABLE;
	if (err && was_woken && w->exclusive)
		wait_wake(q, 1);
}

void waiter_add(struct wait_queue *q, struct waiter *w)
{
	irqflags_t f = spin_lock(&q->lock);
	enter(q, w);
	spin_unlock(&q->lock, f);
	atomic_fence();
}

void waiter_remove(struct wait_queue *q, struct waiter *w)
{
	irqflags_t f = spin_lock(&q->lock);
	if (w->on_queue) {
		list_remove(&w->node);
		w->on_queue = false;
	}
	spin_unlock(&q->lock, f);
}

struct timeout {
	struct timer timer;
	struct thread *thread;
};

static void timeout_wake(struct timer *timer)
{
	sched_wake(container_of(timer, struct timeout, timer)->thread, WAKE_NORMAL);
}

static noinline int sleep_with_timeout(uint64_t deadline_ns)
{
	if (time_ns() >= deadline_ns)
		return -ETIMEDOUT;
	struct timeout out = {.thread = thread_current()};
	timer_init(&out.timer, timeout_wake);
	timer_set(&out.timer, deadline_ns);
	sched_switch();
	if (timer_cancel(&out.timer))
		return 0;
	return time_ns() >= deadline_ns ? -ETIMEDOUT : 0;
}

int wait_sleep(struct waiter *w, unsigned flags, uint64_t deadline_ns)
{
	uint32_t enders = 0;
	int err = 0;
	if (flags & WAIT_INTERRUPTIBLE)
		enders = WORK_SIGNAL | WORK_KILL;
	else if (flags & WAIT_KILLABLE)
		enders = WORK_KILL;
	if (unlikely(enders && thread_has_work(w->thread, enders)))
		return -ERESTARTSYS;
	if (unlikely(deadline_ns != WAIT_FOREVER))
		err = sleep_with_timeout(deadline_ns);
	else
		sched_switch();
	if (unlikely(atomic_load_acquire(&w->on_queue))) {
		irqflags_t f = spin_lock(&w->queue->lock);
		if (w->on_queue) /* not woken through the queue */
			w->thread->state = sleep_state(flags);
		spin_unlock(&w->queue->lock, f);
		atomic_fence();
	}
	return err;
}

int wait_word(const uint32_t *word, unsigned flags, uint64_t deadline_ns, const char *reason)
{
	struct thread *t = thread_current();
	uint32_t enders = flags & WAIT_INTERRUPTIBLE ? WORK_SIGNAL | WORK_KILL : flags & WAIT_KILLABLE ? WORK_KILL : 0;
	int err = 0;
	t->wait_reason = reason;
	for (;;) {
		t->state = sleep_state(flags);
		atomic_fence(); /* against the waker's store and its look at the state: sched.c */
		if (atomic_load_acquire(word)) {
			err = 0;
			break;
		}
		if (!err && enders && thread_has_work(t, enders))
			err = -ERESTARTSYS;
		if (err)
			break;
		if (deadline_ns != WAIT_FOREVER)
			err = sleep_with_timeout(deadline_ns);
		else
			sched_switch();
	}
	t->state = THREAD_RUNNABLE;
	return err;
}
