/*
 * Futures: events and deadlines.  See sched/async.h; how tasks are woken and run is executor.c's.
 *
 * An event is one word: nothing, "set", or the task that waits for it, of which it then owns a reference.  Every change
 * is one atomic exchange or compare-and-swap of that word, so "look, and leave my name if it has not happened" and "it
 * happened, who waits?" cannot pass each other by: no order between two places has to be argued.  Whoever gets a name
 * out of the word owns its reference; a signaller that is held up before it uses the name keeps the task alive.
 *
 * Memory order: acquire and release on each change, so that what was done before a signal is seen by who takes it.
 */
#include "sched/async.h"

#include <arch/time.h>
#include "sync/atomic.h"

void async_event_signal(struct async_event *e)
{
	uintptr_t before = atomic_exchange(&e->word, ASYNC_EVENT_SET);
	if (before != ASYNC_EVENT_NOTHING && before != ASYNC_EVENT_SET) {
		struct async_task *t = (struct async_task *)before;
		async_wake(t);
		async_put(t);
	}
}

bool async_event_wait(struct async_event *e, struct async_task *self)
{
	uintptr_t word = atomic_load_acquire(&e->word);
	if (word == ASYNC_EVENT_NOTHING) {
		async_get(self);
		if (atomic_cas(&e->word, &word, (uintptr_t)self))
			return false;
		async_put(self); /* it has just been set: `word` says so */
	}
	ASSERT(word == ASYNC_EVENT_SET || word == (uintptr_t)self); /* one waits at a time */
	return word == ASYNC_EVENT_SET;
}

void async_event_forget(struct async_event *e, struct async_task *self)
{
	uintptr_t word = (uintptr_t)self;
	if (atomic_cas(&e->word, &word, ASYNC_EVENT_NOTHING))
		async_put(self);
}

static void timer_fired(struct timer *timer)
{
	struct async_task *t = container_of(timer, struct async_timer, timer)->task;
	async_wake(t);
	async_put(t); /* from here on the timer's memory may be gone */
}

void async_timer_start(struct async_timer *a, struct async_task *self, uint64_t deadline_ns)
{
	async_timer_stop(a); /* it may be due by the clock with its interrupt still to come */
	async_get(self);
	timer_init(&a->timer, timer_fired);
	a->task = self;
	timer_set(&a->timer, deadline_ns);
}

bool async_timer_due(const struct async_timer *a)
{
	return time_ns() >= a->timer.deadline_ns;
}

void async_timer_stop(struct async_timer *a)
{
	if (a->task && timer_cancel(&a->timer))
		async_put(a->task);
	a->task = NULL;
}
