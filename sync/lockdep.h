/*
 * Lock checking for debug builds: rank, recursion, and "may I sleep here".
 *
 * Each thread (and each CPU while in an interrupt) keeps a short stack of the locks it holds.  An acquisition whose
 * rank is not above all held ones, a release of what is not held, a spinlock with interrupts on or in a handler that
 * came while one was held, or a sleep with a spinlock held panics with both names; the report shows the call stack of
 * each acquisition: the new one's is the panic's own, each held one's was recorded when it was made.
 */
#pragma once

#include "lib/types.h"

/* Release builds keep no record: the stack in each thread is empty. */
#define LOCKDEP_DEPTH (CONFIG_DEBUG ? 24 : 0)

#define LOCKDEP_CALLERS 5

struct lockdep_held {
	const void *lock;
	const char *name;
	const void *where;		   /* return address of the acquisition */
	uint64_t callers[LOCKDEP_CALLERS]; /* and of the calls that led there, 0 past the last */
	uint8_t rank;
	bool sleeping;
};

/* Embedded in struct thread. */
struct lockdep_stack {
	struct lockdep_held held[LOCKDEP_DEPTH];
	unsigned depth;
};

/* Upper floor gives the current thread's stack (NULL before threads exist). */
extern struct lockdep_stack *(*lockdep_current)(void);

/* sleeping: it may sleep, else it spins and interrupts must be off. */
void lockdep_acquire(const void *lock, unsigned rank, const char *name, bool sleeping);
void lockdep_release(const void *lock);
/* Records a lock got by a try-lock: it cannot deadlock by itself, so its rank is not compared with those
 * already held. */
void lockdep_acquire_tried(const void *lock, unsigned rank, const char *name, bool sleeping);
/* Panics unless the caller may sleep here: thread context, no spinlock and, once the system is up, interrupts on.
 * lockdep_acquire() of a lock that sleeps asks for the first two itself, and names both locks. */
void lockdep_may_sleep(void);
/* The boot is over: from here on also "interrupts are on" is demanded of who sleeps. */
void lockdep_boot_done(void);
/* Whether the running context holds the lock. Release builds answer true, so that it may stand in an assertion. */
bool lockdep_holds(const void *lock);
/* What the running context holds, and in an interrupt also what the interrupted thread does; nothing if neither does.
 * For the panic report: no lock. */
void lockdep_print_held(void (*out)(const char *line));
/* For the panic report and the monitor. */
void lockdep_print(const struct lockdep_stack *s, void (*out)(const char *line));

/* Test kernels only: called in the middle of each change of a stack, in whatever context makes it. */
extern void (*lockdep_test_hook)(void);
