/*
 * Wait queues: sleeping until a condition holds, and being told.  Theory in wait.c.
 *
 *     sleeper                                       waker
 *     err = WAIT_UNTIL(&q, ready, flags, deadline); ready = true; wait_wake_all(&q);
 *
 * The condition is evaluated after the sleeper is on the queue and its state is set, so a wake-up between the two is
 * never lost. It must not sleep in a way that changes the thread's state (a mutex inside it is not allowed; a spinlock
 * is).
 *
 * The sleeper may go on as soon as the condition holds, before the waker has touched the queue. So the queue must
 * outlive the waker's call, and never lies on a stack (checked in debug builds): who wants that sleeps by wait_word().
 */
#pragma once

#include "abi/errno_kernel.h"
#include "lib/list.h"
#include "lib/types.h"
#include "sched/thread.h"
#include "sync/spinlock.h"

struct wait_queue {
	struct spinlock lock;
	struct list waiters;
};

struct waiter {
	struct list_node node;
	struct thread *thread;
	struct wait_queue *queue; /* set by wait_prepare */
	/* Called with the queue's lock held, any context. Returns true if it counts as one of wait_wake's `count`
	 * (exclusive). key: see wait_wake_key. */
	bool (*wake)(struct waiter *w, uint32_t key);
	bool exclusive;
	bool on_queue;
};

enum wait_flag {
	WAIT_INTERRUPTIBLE = 1 << 0, /* -ERESTARTSYS when a signal comes */
	WAIT_KILLABLE = 1 << 1,	     /* … when a fatal one comes */
	WAIT_EXCLUSIVE = 1 << 2,     /* woken one at a time */
};

#define WAIT_FOREVER UINT64_MAX
#define WAIT_QUEUE_INIT(name)                                                                    \
	{                                                                                        \
		.lock = SPINLOCK_INIT(LOCK_WAITQUEUE, #name), .waiters = LIST_INIT(name.waiters) \
	}

void wait_queue_init(struct wait_queue *q);
/* Wakes all, or up to `count` exclusive waiters (and every non-exclusive one). Any context. Cheap when nobody waits. */
void wait_wake_all(struct wait_queue *q);
void wait_wake(struct wait_queue *q, unsigned count);
/* Wakes all with poll events (POLLIN …) as key, so pollers that want others stay asleep. */
void wait_wake_key(struct wait_queue *q, uint32_t key);
static inline bool wait_queue_active(const struct wait_queue *q)
{
	atomic_fence(); /* orders the waker's store of the condition before the look at the list */
	return !list_empty(&q->waiters);
}

/*
 * The parts WAIT_UNTIL is made of.  Until the condition holds: wait_prepare, look at it, wait_sleep.
 * wait_sleep: 0 woken, -ERESTARTSYS, -ETIMEDOUT.  With 0 the waiter either is off the queue (woken through it, state
 * RUNNABLE) or still on it with its state set again; in both cases the condition is to be looked at next.  wait_prepare
 * wants w->on_queue initialised to false, the rest may be garbage; it may be called again for a waiter still on the
 * queue. wait_end: for a waiter that is on a queue or got an error. Hands an exclusive wake-up on that came too late
 * for one who gives up.
 */
void wait_prepare(struct wait_queue *q, struct waiter *w, unsigned flags);
int wait_sleep(struct waiter *w, unsigned flags, uint64_t deadline_ns);
void wait_end(struct wait_queue *q, struct waiter *w, int err);
/*
 * Sleeping without a queue, for whoever keeps its own list of waiters: until *word is not 0.  The waker stores to it
 * (release), and then calls sched_wake(thread, WAKE_NORMAL); it needs a hold on the thread for that, since the sleeper
 * may go on with the store: a reference, or a lock over both that the sleeper takes before it goes.  0, -ERESTARTSYS,
 * -ETIMEDOUT; *word may have been set meanwhile also after an error.
 */
int wait_word(const uint32_t *word, unsigned flags, uint64_t deadline_ns, const char *reason);
/* A waiter with a callback instead of a thread (poll, epoll). Off the queue after waiter_remove returns. */
void waiter_add(struct wait_queue *q, struct waiter *w);
void waiter_remove(struct wait_queue *q, struct waiter *w);

/* 0 when cond holds; -ERESTARTSYS; -ETIMEDOUT. Thread context. cond is evaluated once before anything else, and once
 * more after each wake-up. */
#define WAIT_UNTIL(q, cond, flags, deadline_ns)                                           \
	({                                                                                \
		int wait_err_ = 0;                                                        \
		struct waiter wait_w_ = {.on_queue = false};                              \
		for (;;) {                                                                \
			if (cond) {                                                       \
				if (wait_w_.on_queue)                                     \
					wait_end((q), &wait_w_, 0);                       \
				wait_err_ = 0;                                            \
				break;                                                    \
			}                                                                 \
			if (wait_err_) {                                                  \
				wait_end((q), &wait_w_, wait_err_);                       \
				break;                                                    \
			}                                                                 \
			if (!wait_w_.on_queue)                                            \
				wait_prepare((q), &wait_w_, (flags));                     \
			else                                                              \
				wait_err_ = wait_sleep(&wait_w_, (flags), (deadline_ns)); \
		}                                                                         \
		wait_err_;                                                                \
	})
