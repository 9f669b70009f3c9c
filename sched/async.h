/*
 * Asynchronous tasks: work without a stack of its own, polled by the executor of a CPU.  Theory in executor.c.
 *
 * A task is a struct async_task inside a struct of the user's, which holds everything that must survive a wait.  Its
 * poll function is written as straight-line code:
 *
 *     static enum async_poll blink_poll(struct async_task *self)
 *     {
 *             struct blink *b = container_of(self, struct blink, task);
 *             ASYNC_BEGIN(self);
 *             for (;;) {
 *                     led_write(b->on = !b->on);
 *                     async_timer_start(&b->timer, self, time_ns() + 500 * NSEC_PER_MSEC);
 *                     AWAIT(self, async_timer_due(&b->timer) || async_event_take(&b->stop, self));
 *                     if (!async_timer_due(&b->timer))
 *                             break;
 *             }
 *             async_timer_stop(&b->timer);
 *             ASYNC_END(self);
 *     }
 *
 * A future is any expression that is true when its time has come, and otherwise has made sure that the task is woken
 * when it is worth asking again.  "One of two" is ||, "both" is &&.  A condition that others make true and then call
 * async_wake() is a future as it stands.
 *
 * The macros hide one thing: AWAIT may return ASYNC_PENDING, and the next poll goes on at the same place, asking
 * again.  So local variables do not survive an AWAIT (gcc's -Wmaybe-uninitialized and clang's "jump bypasses
 * initialization" find most who try), no lock may be held across one, none may stand inside a switch of its own
 * (ASYNC_BEGIN panics on it), and there is at most one on a line.
 */
#pragma once

#include "core/panic.h"
#include "lib/lifo.h"
#include "lib/types.h"
#include "sched/timer.h"
#include "sync/atomic.h"
#include "sync/refcount.h"

enum async_priority {
	ASYNC_HIGH,   /* a person waits: input */
	ASYNC_NORMAL, /* programs wait: completions */
	ASYNC_LOW,    /* nobody waits: the log's consoles */
};

enum async_poll { ASYNC_PENDING, ASYNC_DONE };

struct async_task;

struct async_ops {
	const char *name;
	/*
	 * Thread context, interrupts on, in the executor: it should not sleep (all other tasks of the CPU would), and
	 * be short. Never runs twice at once for one task. Not called again after ASYNC_DONE.
	 */
	enum async_poll (*poll)(struct async_task *self);
	/* Instead of the next poll after async_cancel(): stop timers, forget events. NULL: nothing to undo. */
	void (*cancelled)(struct async_task *self);
	/* The last reference is gone. Any context, must not sleep. NULL: static or the owner's storage. */
	void (*release)(struct async_task *self);
};

/*
 * Something happened, at least once since it was last taken. One task waits at a time; anybody signals. Zero: nothing
 * happened yet and nobody waits.
 */
struct async_event {
	uintptr_t word; /* atomic: one of these, or the task that waits, with a reference that the event owns */
};
#define ASYNC_EVENT_NOTHING ((uintptr_t)0)
#define ASYNC_EVENT_SET ((uintptr_t)1)

struct async_task {
	struct lifo_node ready_node; /* the ready queue's while TASK_QUEUED */
	const struct async_ops *ops; /* I */
	struct async_event ended;    /* set at the end and left so */
	uint32_t state;		     /* TASK_* bits, executor.c; atomic */
	struct refcount refs;
	int32_t result;	  /* the task's to set; -ECANCELED after a cancellation; stable once done */
	uint16_t at;	  /* where poll goes on: a line number; 0: at the start. The executor's */
	uint8_t priority; /* I */
	uint8_t cpu;	  /* whose executor polls it; set by async_spawn */
};

/* ---- life ---- */

/* In the caller's storage, with one reference, the caller's. */
void async_task_init(struct async_task *t, const struct async_ops *ops, enum async_priority priority);
/* Has it polled, by the executor of this CPU, for the first time soon. Any context in which async_wake may
 * be called. */
void async_spawn(struct async_task *t);
void async_put(struct async_task *t);
static inline void async_get(struct async_task *t)
{
	refcount_get(&t->refs);
}

/*
 * Has t polled soon: what the caller did before is seen by a poll that begins after this. Several calls before that
 * poll are one; after the task is done it does nothing. The caller must have a reference. Any context, interrupt
 * handlers included, in which no lock of LOCK_RUNQUEUE or above is held.
 */
void async_wake(struct async_task *t);
/* The same from anywhere at all: with any lock held, in an NMI. The executor may start a little later. */
void async_wake_anywhere(struct async_task *t);

/*
 * Ends t at its next turn: ops->cancelled() runs instead of poll(), the result is -ECANCELED. Nothing happens if it is
 * done by then. As async_wake.
 */
void async_cancel(struct async_task *t);
bool async_done(const struct async_task *t);
/*
 * Waits for the end; its result. Thread context, not in a task. The caller must have a reference. For a task in the
 * caller's storage (no release) it also waits until the caller's reference is the only one, so that the storage may go.
 */
int async_wait(struct async_task *t);

/* ---- straight-line code ---- */

#define ASYNC_BEGIN(self)                                                                       \
	switch ((self)->at) {                                                                   \
	default:                                                                                \
		panic("%s: an AWAIT inside a switch (line %u)", (self)->ops->name, (self)->at); \
	case 0:

/* Goes on when `ready` is true; until then each poll ends here. */
#define AWAIT(self, ready)                    \
	do {                                  \
		(self)->at = __LINE__;        \
		fallthrough;                  \
	case __LINE__:                        \
		if (!(ready))                 \
			return ASYNC_PENDING; \
	} while (0)

/* Lets all others that are ready go first. */
#define ASYNC_YIELD(self)              \
	do {                           \
		(self)->at = __LINE__; \
		async_wake(self);      \
		return ASYNC_PENDING;  \
	case __LINE__:;                \
	} while (0)

#define ASYNC_END(self) \
	}               \
	return ASYNC_DONE

/* ---- futures ---- */

/* As async_wake. */
void async_event_signal(struct async_event *e);
/* True: it is set. False: self will be woken when it is. */
bool async_event_wait(struct async_event *e, struct async_task *self);
/*
 * The same, and if it was set, it is not any more.  Inline: "it is set" is what a task finds that was woken by it, at
 * the start of nearly every poll.  The look alone decides, since only self takes a set event away; an exchange all the
 * same, to acquire what was done before the last signal and not only before the one seen.
 */
static inline bool async_event_take(struct async_event *e, struct async_task *self)
{
	if (unlikely(atomic_load_relaxed(&e->word) != ASYNC_EVENT_SET) && !async_event_wait(e, self))
		return false;
	(void)atomic_exchange(&e->word, ASYNC_EVENT_NOTHING);
	return true;
}
/* self does not wait any more; to be called before it ends while it may (it was cancelled, or took another way). */
void async_event_forget(struct async_event *e, struct async_task *self);

/* The end of another task, which self has a reference to. self is the only one that joins it. */
static inline bool async_join(struct async_task *t, struct async_task *self)
{
	return async_event_wait(&t->ended, self);
}

/* A deadline. */
struct async_timer {
	struct timer timer;
	struct async_task *task; /* owns a reference while the timer is armed */
};

/* Zero, or not armed any more. Wakes self at the deadline. Task or thread context. */
void async_timer_start(struct async_timer *a, struct async_task *self, uint64_t deadline_ns);
bool async_timer_due(const struct async_timer *a);
/* Must be called before a's memory goes away, also if it is due: its interrupt may still be to come. Any number of
 * times. */
void async_timer_stop(struct async_timer *a);
