/*
 * PI futexes: theory.
 *
 * The word holds the owner's thread id, FUTEX_WAITERS and FUTEX_OWNER_DIED (man 2 futex).  As long as nobody waits it
 * is the program's alone: 0 → tid → 0 by compare-and-exchange.  Who finds a tid there calls the kernel, which sets
 * FUTEX_WAITERS, so that the owner will have to call it too, and makes a futex_pi: the kernel's own idea of who the
 * owner is, with the queue of sched/pi.c in it.  It lives while somebody waits.
 *
 * Everything that makes, changes and ends a futex_pi happens under its bucket's lock B, the word being changed there
 * too (interrupts are off, so a missing page makes that fail; it is then brought in without the lock and the step
 * repeated).  L inside is needed only against walks of pi.c, which come from elsewhere.  Under B and L:
 *   - unlock: the first waiter's tid goes into the word and it becomes the owner in the same step.  So no third one
 *     gets in between, and who wakes up owns the lock: it has nothing to do or to check.
 *   - the owner ends (futex_pi_exit): the first waiter becomes the owner, but the word may lie in memory that the dead
 *     one did not even know by an address.  The waiter writes it itself as soon as it runs; until then `fixing` keeps
 *     the futex_pi, and with it the knowledge of who owns the lock, even if nobody waits any more.
 *   - a waiter gives up; the last one ends the futex_pi. FUTEX_WAITERS stays in the word; the owner's unlock then finds
 *     nobody.
 *
 * The program's word is never trusted: where it contradicts the futex_pi the answer is -EINVAL, as on Linux.
 *
 * Owners: a futex_pi is on its owner's list (F), which the owner empties when it ends.  `life` says under F whether
 * that has begun: who comes then waits until it is over (-EBUSY), and looks at the word again.
 *
 * Locking: B → L → T (sched/pi.h), B → F. Grants wake the new owner before B is dropped: the old owner may have lost
 * its boost by then, and could be kept off the CPU before it came to it.
 *
 * Rejected: letting running threads take the lock before a woken waiter (as the kernel's own mutex does): the word,
 * which the program changes too, would have to be mended after each lost race.
 */
#include <asm/errno.h>

#include "mm/slab.h"
#include "proc/futex.h"
#include "proc/futex_internal.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/atomic.h"

static struct futex_pi *from_lock(struct pi_lock *l)
{
	return container_of(l, struct futex_pi, pi);
}

struct futex_pi *futex_pi_alloc(void)
{
	return kmalloc(sizeof(struct futex_pi));
}

void futex_pi_free(struct futex_pi *s)
{
	kfree(s);
}

struct futex_pi *futex_pi_find_locked(struct futex_bucket *b, const struct futex_key *key)
{
	struct futex_pi *s;

	LIST_FOR_EACH(s, &b->pi, node)
		if (futex_key_equal(&s->key, key))
			return s;
	return NULL;
}

static struct task *owner_of(const struct futex_pi *s)
{
	return (struct task *)pi_owner(&s->pi);
}

/* B held. */
static void owner_unlink_locked(struct futex_pi *s)
{
	struct task *t = owner_of(s);

	spin_acquire(&t->futex.lock);
	list_remove(&s->owner_node);
	spin_release(&t->futex.lock);
}

static void owner_link_locked(struct futex_pi *s, struct task *t)
{
	spin_acquire(&t->futex.lock);
	list_push_back(&t->futex.pi_owned, &s->owner_node);
	spin_release(&t->futex.lock);
}

/* B held, not L: ends it if nobody needs it any more. */
static void drop_unused_locked(struct futex_pi *s)
{
	if (s->pi.first || s->fixing)
		return;
	owner_unlink_locked(s);
	list_remove(&s->node);
	kfree(s);
}

/* The word from `expect` to `next`. B held. -EAGAIN: it was something else. */
static int word_change(uptr_t addr, uint32_t expect, uint32_t next)
{
	uint32_t seen;

	if (arch_cmpxchg_user_u32(addr.v, expect, next, &seen) != 0)
		return -EFAULT;
	return seen == expect ? 0 : -EAGAIN;
}

/* --- whom to wait for -------------------------------------------------------------------------------------------- */

/* B held. Whether the word agrees with what the kernel knows. */
static int check_locked(const struct futex_pi *s, uint32_t word)
{
	uint32_t tid = word & FUTEX_TID_MASK;

	if (s->fixing)
		return 0; /* the new owner has yet to write it */
	if (word & FUTEX_OWNER_DIED && !tid)
		return 0;
	return tid == (uint32_t)owner_of(s)->tid ? 0 : -EINVAL;
}

/* B held. There is no such thread, or not any more: unless the word says otherwise now. */
static int owner_missing(uptr_t addr, uint32_t word)
{
	uint32_t now;

	if (get_user_u32(&now, addr) != 0)
		return -EFAULT;
	return now != word ? -EAGAIN : -ESRCH;
}

/* B held. Makes the futex_pi of the owner the word names. */
static int attach_locked(struct futex_pi_attempt *a, uint32_t word)
{
	struct task *owner = task_find((int)(word & FUTEX_TID_MASK));
	struct futex_pi *s = a->spare;

	if (!owner)
		return owner_missing(a->addr, word);
	spin_acquire(&owner->futex.lock);
	uint8_t life = owner->futex.life;
	bool alive = life == FUTEX_ALIVE;
	if (alive) {
		s->key = *a->key;
		s->bucket = a->bucket;
		s->fixing = false;
		pi_lock_init(&s->pi, "PI futex");
		s->pi.word = (uintptr_t)&owner->thread;
		list_push_back(&owner->futex.pi_owned, &s->owner_node);
	}
	spin_release(&owner->futex.lock);
	if (!alive) {
		a->owner = owner; /* to be put without locks: it may be the last reference */
		return life == FUTEX_LEAVING ? -EBUSY : owner_missing(a->addr, word);
	}
	list_push_back(&a->bucket->pi, &s->node);
	a->spare = NULL;
	a->out = s;
	task_put(owner); /* not the last: it owns s, and has to take B before it ends */
	return 0;
}

int futex_pi_attempt_locked(struct futex_pi_attempt *a, struct task *t)
{
	uint32_t word;

	if (get_user_u32(&word, a->addr) != 0)
		return -EFAULT;
	if ((word & FUTEX_TID_MASK) == (uint32_t)t->tid)
		return -EDEADLK;
	struct futex_pi *s = futex_pi_find_locked(a->bucket, a->key);
	if (s) {
		a->out = s;
		int err = check_locked(s, word);
		return !err && owner_of(s) == t ? -EDEADLK : err;
	}
	if (!(word & FUTEX_TID_MASK)) {
		uint32_t next = (word & FUTEX_OWNER_DIED) | (uint32_t)t->tid | (a->more ? FUTEX_WAITERS : 0);
		int err = word_change(a->addr, word, next);
		return err ? err : 1;
	}
	int err = word & FUTEX_WAITERS ? 0 : word_change(a->addr, word, word | FUTEX_WAITERS);
	return err ? err : attach_locked(a, word | FUTEX_WAITERS);
}

int futex_pi_resolve(struct futex_pi_attempt *a, int err)
{
	struct task *t = a->owner;

	if (err == -EBUSY)
		(void)WAIT_UNTIL(&t->process->thread_event, READ_ONCE(t->futex.life) != FUTEX_LEAVING, 0, WAIT_FOREVER);
	a->owner = NULL;
	if (t)
		task_put(t);
	switch (err) {
	case -EFAULT:
		return futex_fault_in_writable(a->addr);
	case -EAGAIN:
		/* The word changes under our eyes; who keeps changing it must not keep us from being killed. */
		return signal_pending_current() ? -ERESTARTNOINTR : 0;
	case -EBUSY:
		return 0;
	}
	return err;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

struct thread *futex_pi_enter_locked(struct futex_pi *s, struct futex_pi_waiter *pw)
{
	spin_acquire(&s->pi.lock);
	s->pi.word |= PI_WAITERS;
	struct thread *walk = pi_enter_locked(&s->pi, &pw->w, true);
	spin_release(&s->pi.lock);
	return walk;
}

/* pw gives up, if it has not got the lock meanwhile. True: it has. */
static bool leave(struct futex_pi_waiter *pw)
{
	struct futex_bucket *b = futex_bucket_of(&pw->key);
	struct thread *walk = NULL;
	irqflags_t f = spin_lock(&b->lock);
	bool granted = pw->outcome != FUTEX_WAITS;

	if (!granted) {
		struct futex_pi *s = from_lock(pw->w.lock);
		spin_acquire(&s->pi.lock);
		walk = pi_leave_locked(&s->pi, &pw->w);
		if (!s->pi.first)
			s->pi.word &= ~PI_FLAGS;
		spin_release(&s->pi.lock);
		drop_unused_locked(s);
	}
	spin_unlock(&b->lock, f);
	if (walk)
		(void)pi_walk(walk, NULL);
	return granted;
}

/* B held, and L, which it drops: the owner gives it up, the first waiter owns it. outcome says whether it must write
 * the word. */
static void grant_locked(struct futex_pi *s, enum futex_outcome outcome)
{
	struct thread *old = pi_owner(&s->pi);
	struct pi_waiter *first = s->pi.first;
	struct futex_pi_waiter *pw = container_of(first, struct futex_pi_waiter, w);
	struct thread *t = first->thread;

	owner_unlink_locked(s);
	pi_disown_locked(&s->pi, old);
	pi_own_locked(&s->pi, first);
	owner_link_locked(s, (struct task *)t);
	spin_release(&s->pi.lock);
	s->fixing = outcome == FUTEX_GRANTED_DIED;
	thread_get(t);
	atomic_store_release(&pw->outcome, outcome); /* pw may be gone */
	(void)sched_wake(t, WAKE_NORMAL);
	thread_put(t); /* not the last: it owns s, and has to take B before it ends */
	drop_unused_locked(s);
}

/* The caller has got the lock from a dead owner: says so in the word. -EFAULT: it cannot, and passes the lock on. */
static int fix_word(struct futex_pi_waiter *pw, uptr_t addr)
{
	struct futex_pi *s = from_lock(pw->w.lock);
	uint32_t mine = (uint32_t)task_current()->tid | FUTEX_WAITERS | FUTEX_OWNER_DIED, word, seen;
	int err;

	do {
		err = get_user_u32(&word, addr);
		if (!err && arch_cmpxchg_user_u32(addr.v, word, mine, &seen) != 0)
			err = -EFAULT;
	} while (!err && seen != word);
	irqflags_t f = spin_lock(&s->bucket->lock);
	struct futex_bucket *b = s->bucket;
	s->fixing = false;
	if (err && s->pi.first) {
		spin_acquire(&s->pi.lock);
		grant_locked(s, FUTEX_GRANTED_DIED);
	} else {
		drop_unused_locked(s);
	}
	spin_unlock(&b->lock, f);
	return err;
}

int futex_pi_finish(struct futex_pi_waiter *pw, uptr_t addr, int err)
{
	if (err && leave(pw))
		err = 0;
	if (!err && atomic_load_acquire(&pw->outcome) == FUTEX_GRANTED_DIED)
		return fix_word(pw, addr);
	return err == -ERESTARTSYS ? -ERESTARTNOINTR : err;
}

/* --- the calls --------------------------------------------------------------------------------------------------- */

long futex_lock_pi(uptr_t addr, bool shared, uint64_t deadline_ns, bool try)
{
	struct futex_pi_waiter pw = {.w.thread = thread_current()};
	struct thread *walk = NULL;
	int n = futex_key_get(addr, shared, true, &pw.key);

	if (n)
		return n;
	struct futex_pi_attempt a = {.addr = addr, .key = &pw.key, .bucket = futex_bucket_of(&pw.key)};
	do {
		if (!a.spare && !(a.spare = futex_pi_alloc())) {
			n = -ENOMEM;
			break;
		}
		irqflags_t f = spin_lock(&a.bucket->lock);
		n = futex_pi_attempt_locked(&a, task_current());
		if (n == 0 && try)
			drop_unused_locked(a.out);
		else if (n == 0)
			walk = futex_pi_enter_locked(a.out, &pw);
		spin_unlock(&a.bucket->lock, f);
	} while (n < 0 && (n = futex_pi_resolve(&a, n)) == 0);
	futex_pi_free(a.spare);
	if (n == 0 && try) {
		n = -EAGAIN;
	} else if (n == 0) {
		n = walk ? pi_walk(walk, thread_current()) : 0;
		if (!n)
			n = wait_word(&pw.outcome, WAIT_INTERRUPTIBLE, deadline_ns, "PI futex");
		n = futex_pi_finish(&pw, addr, n);
	}
	futex_key_put(&pw.key);
	return n > 0 ? 0 : n;
}

/* B held: one attempt. -EFAULT, -EAGAIN, -EINVAL, -EPERM. */
static int unlock_locked(struct futex_bucket *b, const struct futex_key *key, uptr_t addr)
{
	struct task *me = task_current();
	struct futex_pi *s = futex_pi_find_locked(b, key);
	uint32_t word;

	if (get_user_u32(&word, addr) != 0)
		return -EFAULT;
	if ((word & FUTEX_TID_MASK) != (uint32_t)me->tid)
		return -EPERM;
	if (!s || !s->pi.first) /* without waiters: a late FUTEX_WAITERS, or a program that always calls */
		return word_change(addr, word, 0);
	if (owner_of(s) != me)
		return -EINVAL;
	/* Who stands first must not change until it is the owner: that may come from a walk, which needs L. */
	spin_acquire(&s->pi.lock);
	struct task *next = (struct task *)s->pi.first->thread;
	int err = word_change(addr, word, (uint32_t)next->tid | FUTEX_WAITERS);
	if (err)
		spin_release(&s->pi.lock);
	else
		grant_locked(s, FUTEX_GRANTED);
	return err;
}

long futex_unlock_pi(uptr_t addr, bool shared)
{
	struct futex_key key;
	uint32_t word;

	if (!user_range_ok(addr, 4) || get_user_u32(&word, addr) != 0)
		return -EFAULT;
	if ((word & FUTEX_TID_MASK) != (uint32_t)task_current()->tid)
		return -EPERM;
	int err = futex_key_get(addr, shared, true, &key);
	if (err)
		return err;
	struct futex_bucket *b = futex_bucket_of(&key);
	do {
		irqflags_t f = spin_lock(&b->lock);
		err = unlock_locked(b, &key, addr);
		spin_unlock(&b->lock, f);
		if (err == -EFAULT)
			err = futex_fault_in_writable(addr) == 0 ? -EAGAIN : -EFAULT;
	} while (err == -EAGAIN);
	futex_key_put(&key);
	return err;
}

/* --- the owner's end --------------------------------------------------------------------------------------------- */

void futex_pi_exit(struct task *t)
{
	for (;;) {
		/* F comes after B: so look whose bucket is to be locked first, then whether it is still so. */
		irqflags_t f = spin_lock(&t->futex.lock);
		struct futex_pi *s = LIST_FIRST(&t->futex.pi_owned, struct futex_pi, owner_node);
		struct futex_bucket *b = s ? s->bucket : NULL;
		spin_unlock(&t->futex.lock, f);
		if (!s)
			return;
		f = spin_lock(&b->lock);
		spin_acquire(&t->futex.lock);
		bool still = LIST_FIRST(&t->futex.pi_owned, struct futex_pi, owner_node) == s && s->bucket == b;
		spin_release(&t->futex.lock);
		if (still) {
			spin_acquire(&s->pi.lock);
			grant_locked(s, FUTEX_GRANTED_DIED);
		}
		spin_unlock(&b->lock, f);
	}
}
