/*
 * What the files of the futexes share.
 *
 *   B  the bucket's lock (LOCK_FUTEX)   L  pi.lock (sched/pi.h)   F  task->futex.lock   I  immutable
 */
#pragma once

#include <linux/futex.h>

#include "mm/usercopy.h"
#include "proc/process.h"
#include "sched/pi.h"
#include "sync/spinlock.h"

/* Two words are the same futex if their keys are. */
struct futex_key {
	uintptr_t what; /* struct aspace, or struct vm_object (counted) */
	uint64_t offset;
	bool object;
};

struct futex_bucket {
	struct spinlock lock;
	struct list waiters; /* B: of struct futex_waiter; real-time threads first, else in order of arrival */
	struct list pi;	     /* B: of struct futex_pi */
} aligned_to(CACHE_LINE);

/* On its sleeper's stack. */
struct futex_waiter {
	struct list_node node;
	struct futex_key key; /* B; its object is counted */
	struct thread *thread;
	struct futex_pi_waiter *pi; /* it waits in FUTEX_WAIT_REQUEUE_PI; NULL: plain. I */
	uint32_t bitset;
	uint8_t rank;		     /* 0 DEADLINE, 100 - priority, 100 all others: as it came */
	bool claimed;		     /* off the bucket, to be woken; B */
	uint32_t woken;		     /* the waker is done with it: its last store */
	uint32_t *wake_word;	     /* what the thread sleeps on: &woken, or one word for several waiters */
	struct futex_bucket *bucket; /* changed by requeue under both Bs */
};

/* A PI futex somebody waits for: the kernel's own idea of who owns it, and the queue. */
struct futex_pi {
	struct list_node node;	     /* bucket->pi; B */
	struct list_node owner_node; /* the owner's futex.pi_owned; F, and B */
	struct futex_key key;	     /* not counted: those that wait count theirs */
	struct futex_bucket *bucket; /* I */
	struct pi_lock pi;	     /* the owner in it changes under B and L */
	bool fixing;		     /* the owner died; the next one is about to write itself into the word; B */
};

enum futex_outcome {
	FUTEX_WAITS,
	FUTEX_GRANTED,
	FUTEX_GRANTED_DIED, /* and the word is to be changed by the waiter: the owner died */
};

/* One who waits for a PI futex, or is to be moved to one. */
struct futex_pi_waiter {
	struct pi_waiter w;   /* w.lock: the futex_pi's, once moved */
	uint32_t outcome;     /* enum futex_outcome; B to change; what the thread sleeps on */
	struct futex_key key; /* of the PI futex; counted */
};

enum futex_life { FUTEX_ALIVE, FUTEX_LEAVING, FUTEX_GONE };

/* --- futex.c --- */
/* -EINVAL, -EFAULT. The caller's memory; write: the word will be changed. Counts an object. */
int futex_key_get(uptr_t addr, bool shared, bool write, struct futex_key *key) must_check;
void futex_key_ref(const struct futex_key *key);
void futex_key_put(const struct futex_key *key); /* may sleep, unless it is not the last */
static inline bool futex_key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->offset == b->offset && a->what == b->what;
}
struct futex_bucket *futex_bucket_of(const struct futex_key *key);
/* Joins the bucket of w->key if the word still is value. 0, -EAGAIN, -EFAULT. */
int futex_enqueue(struct futex_waiter *w, uptr_t addr, uint32_t value) must_check;
/* Off the bucket, wherever it has been moved. True: it had been woken. Afterwards nobody touches w. */
bool futex_dequeue(struct futex_waiter *w);
/* B held. Takes up to count (1 at least) plain waiters of the key off the bucket to `woken`: how many. -EINVAL
 * for PI. */
int futex_claim_locked(struct futex_bucket *b, const struct futex_key *key, int count, uint32_t bitset,
		       struct list *woken);
/* Wakes what was claimed. Interrupts still off since then, no lock needed. */
void futex_wake_claimed(struct list *woken);
/* Inserts by rank. B held. */
void futex_insert_locked(struct futex_bucket *b, struct futex_waiter *w);
/* Makes the page of addr present and writable without changing it. -EFAULT. May sleep. */
int futex_fault_in_writable(uptr_t addr) must_check;

/* Two buckets, the one with the lower address first; they may be the same. */
irqflags_t futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_release_two(struct futex_bucket *a, struct futex_bucket *b); /* leaves interrupts off */

/* --- futex_pi.c --- */
/* B held. */
struct futex_pi *futex_pi_find_locked(struct futex_bucket *b, const struct futex_key *key);
/*
 * B held: the PI lock at addr for t, who is about to wait for it (or gets it).  1: t owns it now, the word says so; 0:
 * out is what to wait for.  -EFAULT, -EAGAIN (the word changed), -EBUSY (its owner is about to give it up), -EDEADLK,
 * -ESRCH, -EINVAL: futex_pi_resolve comes next.  spare is used up if a futex_pi had to be made.
 */
struct futex_pi_attempt {
	uptr_t addr;
	const struct futex_key *key;
	struct futex_bucket *bucket;
	bool more; /* others will wait too */
	struct futex_pi *spare;
	struct futex_pi *out;
	struct task *owner; /* counted: for futex_pi_resolve */
};
int futex_pi_attempt_locked(struct futex_pi_attempt *a, struct task *t) must_check;
/* After a failed attempt, no lock held. 0: try again. May sleep. */
int futex_pi_resolve(struct futex_pi_attempt *a, int err) must_check;
/* B held: pw joins the queue. Returns where pi_walk has to begin, or NULL. */
struct thread *futex_pi_enter_locked(struct futex_pi *s, struct futex_pi_waiter *pw) must_check;
/* After the sleep, no lock held. addr: the word as the caller sees it. err: how the sleep ended. 0: it owns
 * the lock. */
int futex_pi_finish(struct futex_pi_waiter *pw, uptr_t addr, int err) must_check;
struct futex_pi *futex_pi_alloc(void) must_check;
void futex_pi_free(struct futex_pi *s); /* never used; NULL is allowed */
/* t (the caller) gives up all it owns. */
void futex_pi_exit(struct task *t);
