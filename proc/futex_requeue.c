/*
 * Futex operations on two words: FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, and the pair FUTEX_WAIT_REQUEUE_PI
 * and FUTEX_CMP_REQUEUE_PI (man 2 futex).
 *
 * A moved waiter changes its key, its reference and its bucket under both locks; whoever looks for it by w->bucket
 * takes that lock and looks again (futex_dequeue).
 *
 * WAIT_REQUEUE_PI is how a condition variable waits whose mutex inherits priority: the waiter sleeps on the plain word
 * until the signaller moves it to the mutex, where it stands as any other PI waiter; it wakes up as the owner.  It
 * sleeps on one word all the time, its outcome, which only a grant sets.
 */
#include <asm/errno.h>

#include "proc/futex.h"
#include "proc/futex_internal.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/atomic.h"

/* Keys of both words. */
static int keys_get(uptr_t a, bool write_a, uptr_t b, bool write_b, bool shared, struct futex_key *ka,
		    struct futex_key *kb)
{
	int err = futex_key_get(a, shared, write_a, ka);

	if (err)
		return err;
	err = futex_key_get(b, shared, write_b, kb);
	if (err)
		futex_key_put(ka);
	return err;
}

/* Both Bs held. The waiter of `from` becomes one of key `to`. */
static void move_locked(struct futex_waiter *w, struct futex_bucket *to, const struct futex_key *key)
{
	list_remove(&w->node);
	/* The caller holds both keys, so this drops no last reference under a lock. */
	futex_key_put(&w->key);
	futex_key_ref(key);
	w->key = *key;
	WRITE_ONCE(w->bucket, to);
	futex_insert_locked(to, w);
}

static int requeue_locked(struct futex_bucket *b1, struct futex_bucket *b2, const struct futex_key *k1,
			  const struct futex_key *k2, int wake, int requeue, struct list *claimed)
{
	struct futex_waiter *w;
	int woken = 0, moved = 0;

	if (futex_pi_find_locked(b1, k1))
		return -EINVAL;
	LIST_FOR_EACH_SAFE(w, &b1->waiters, node) {
		if (woken >= wake && moved >= requeue)
			break;
		if (!futex_key_equal(&w->key, k1))
			continue;
		if (w->pi)
			return woken + moved ? woken + moved : -EINVAL;
		if (woken < wake) {
			list_remove(&w->node);
			list_push_back(claimed, &w->node);
			w->claimed = true;
			woken++;
		} else {
			moved++;
			if (!futex_key_equal(k1, k2))
				move_locked(w, b2, k2);
		}
	}
	return woken + moved;
}

long futex_requeue(uptr_t from, uptr_t to, int wake, int requeue, const uint32_t *expect, bool shared)
{
	struct futex_key k1, k2;
	struct list claimed = LIST_INIT(claimed);
	uint32_t now;

	if (wake < 0 || requeue < 0)
		return -EINVAL;
	long result = keys_get(from, false, to, false, shared, &k1, &k2);
	if (result)
		return result;
	struct futex_bucket *b1 = futex_bucket_of(&k1), *b2 = futex_bucket_of(&k2);
	for (;;) {
		irqflags_t f = futex_lock_two(b1, b2);
		int err = expect ? get_user_u32(&now, from) : 0;
		if (err)
			result = err;
		else if (expect && now != *expect)
			result = -EAGAIN;
		else
			result = requeue_locked(b1, b2, &k1, &k2, wake, requeue, &claimed);
		futex_release_two(b1, b2);
		futex_wake_claimed(&claimed);
		irq_restore(f);
		if (!err || get_user_u32(&now, from) != 0)
			break;
	}
	futex_key_put(&k2);
	futex_key_put(&k1);
	return result;
}

/* --- FUTEX_WAKE_OP ----------------------------------------------------------------------------------------------- */

/* *old is the word before. 0, -EFAULT, -EAGAIN (changed meanwhile), -ENOSYS. */
static int apply_op(uptr_t addr, uint32_t op, uint32_t *old)
{
	uint32_t arg = (uint32_t)((int32_t)(op << 8) >> 20), now, seen, next;
	unsigned kind = op >> 28 & 7;

	if (op >> 28 & FUTEX_OP_OPARG_SHIFT)
		arg = 1u << (arg & 31);
	if (get_user_u32(&now, addr) != 0)
		return -EFAULT;
	switch (kind) {
	case FUTEX_OP_SET:
		next = arg;
		break;
	case FUTEX_OP_ADD:
		next = now + arg;
		break;
	case FUTEX_OP_OR:
		next = now | arg;
		break;
	case FUTEX_OP_ANDN:
		next = now & ~arg;
		break;
	case FUTEX_OP_XOR:
		next = now ^ arg;
		break;
	default:
		return -ENOSYS;
	}
	if (arch_cmpxchg_user_u32(addr.v, now, next, &seen) != 0)
		return -EFAULT;
	if (seen != now)
		return -EAGAIN;
	*old = now;
	return 0;
}

/* 1, 0 or -ENOSYS. */
static int compare_op(uint32_t op, uint32_t old)
{
	int32_t arg = (int32_t)(op << 20) >> 20, v = (int32_t)old;

	switch (op >> 24 & 15) {
	case FUTEX_OP_CMP_EQ:
		return v == arg;
	case FUTEX_OP_CMP_NE:
		return v != arg;
	case FUTEX_OP_CMP_LT:
		return v < arg;
	case FUTEX_OP_CMP_LE:
		return v <= arg;
	case FUTEX_OP_CMP_GT:
		return v > arg;
	case FUTEX_OP_CMP_GE:
		return v >= arg;
	default:
		return -ENOSYS;
	}
}

long futex_wake_op(uptr_t a, uptr_t b, int wake_a, int wake_b, uint32_t op, bool shared)
{
	struct futex_key ka, kb;
	struct list woken = LIST_INIT(woken);
	uint32_t old = 0;
	long result = keys_get(a, false, b, true, shared, &ka, &kb);

	if (result)
		return result;
	struct futex_bucket *ba = futex_bucket_of(&ka), *bb = futex_bucket_of(&kb);
	for (;;) {
		irqflags_t f = futex_lock_two(ba, bb);
		int err = apply_op(b, op, &old);
		int also = err ? 0 : compare_op(op, old);
		result = err ? err : also < 0 ? also : futex_claim_locked(ba, &ka, wake_a, ~0u, &woken);
		if (result >= 0 && also) {
			int n = futex_claim_locked(bb, &kb, wake_b, ~0u, &woken);
			result = n < 0 ? n : result + n;
		}
		futex_release_two(ba, bb);
		futex_wake_claimed(&woken);
		irq_restore(f);
		if (err == -EFAULT && futex_fault_in_writable(b) == 0)
			continue;
		if (err != -EAGAIN)
			break;
	}
	futex_key_put(&kb);
	futex_key_put(&ka);
	return result;
}

/* --- condition variables with PI mutexes ------------------------------------------------------------------------- */

/* Both Bs held: gives w the lock, or its place in the queue for it. 0 or as futex_pi_attempt_locked. */
static int move_to_pi_locked(struct futex_waiter *w, struct futex_pi_attempt *a, struct thread **walk)
{
	if (!w->pi || !futex_key_equal(&w->pi->key, a->key))
		return -EINVAL;
	int n = futex_pi_attempt_locked(a, (struct task *)w->thread);
	if (n < 0)
		return n;
	list_remove(&w->node);
	w->claimed = true;
	if (n) {
		struct thread *t = w->thread;
		thread_get(t);
		atomic_store_release(&w->pi->outcome, FUTEX_GRANTED);
		(void)sched_wake(t, WAKE_NORMAL);
		thread_put(t);
		return 0;
	}
	WRITE_ONCE(w->bucket, a->bucket);
	struct thread *from = futex_pi_enter_locked(a->out, w->pi);
	if (from && *walk)
		thread_put(from); /* the same owner as before: once is enough */
	else if (from)
		*walk = from;
	return 0;
}

/* Both Bs held. How many were moved; an error only if it is the first that makes it. */
static int requeue_pi_locked(struct futex_bucket *b1, const struct futex_key *k1, struct futex_pi_attempt *a, int most,
			     struct thread **walk)
{
	struct futex_waiter *w;
	int n = 0;

	LIST_FOR_EACH_SAFE(w, &b1->waiters, node) {
		if (n >= most)
			break;
		if (!futex_key_equal(&w->key, k1))
			continue;
		int err = move_to_pi_locked(w, a, walk);
		if (err)
			return n ? n : err;
		n++;
	}
	return n;
}

long futex_requeue_pi(uptr_t from, uptr_t to, int wake, int requeue, uint32_t expect, bool shared)
{
	struct futex_key k1, k2;
	uint32_t now;

	if (wake != 1 || requeue < 0 || from.v == to.v)
		return -EINVAL;
	int err = keys_get(from, false, to, true, shared, &k1, &k2);
	if (err)
		return err;
	struct futex_bucket *b1 = futex_bucket_of(&k1), *b2 = futex_bucket_of(&k2);
	struct futex_pi_attempt a = {.addr = to, .key = &k2, .bucket = b2, .more = requeue > 0};
	int most = requeue == INT32_MAX ? requeue : requeue + 1;
	if (futex_key_equal(&k1, &k2))
		err = -EINVAL;
	while (!err) {
		struct thread *walk = NULL;
		if (!a.spare && !(a.spare = futex_pi_alloc())) {
			err = -ENOMEM;
			break;
		}
		irqflags_t f = futex_lock_two(b1, b2);
		bool fault = get_user_u32(&now, from) != 0;
		if (!fault)
			err = now != expect ? -EAGAIN : requeue_pi_locked(b1, &k1, &a, most, &walk);
		futex_release_two(b1, b2);
		irq_restore(f);
		if (walk)
			(void)pi_walk(walk, NULL);
		if (fault)
			err = get_user_u32(&now, from);
		else if (err >= 0 || now != expect)
			break;
		else
			err = futex_pi_resolve(&a, err);
	}
	if (a.owner) /* some were moved before the one that could not be */
		task_put(a.owner);
	futex_pi_free(a.spare);
	futex_key_put(&k2);
	futex_key_put(&k1);
	return err;
}

/* The sleep is over with this error, and there was no grant. */
static int leave_first_word(struct futex_waiter *w, int err)
{
	for (;;) {
		struct futex_bucket *b = READ_ONCE(w->bucket);
		irqflags_t f = spin_lock(&b->lock);
		if (w->bucket != b) {
			spin_unlock(&b->lock, f);
			continue;
		}
		bool here = !w->claimed;
		if (here)
			list_remove(&w->node);
		spin_unlock(&b->lock, f);
		/* On the plain word: the call is begun again if a signal ended it. */
		return !here ? 0 : err == -ERESTARTSYS ? -ERESTARTNOINTR : err;
	}
}

long futex_wait_requeue_pi(uptr_t addr, uint32_t value, uptr_t to, bool shared, uint64_t deadline_ns)
{
	struct futex_pi_waiter pw = {.w.thread = thread_current()};
	struct futex_waiter w = {.pi = &pw, .bitset = ~0u};

	if (addr.v == to.v)
		return -EINVAL;
	int err = keys_get(addr, false, to, true, shared, &w.key, &pw.key);
	if (err)
		return err;
	w.wake_word = &w.woken; /* never used: plain operations leave it alone */
	err = futex_key_equal(&w.key, &pw.key) ? -EINVAL : futex_enqueue(&w, addr, value);
	if (!err) {
		err = wait_word(&pw.outcome, WAIT_INTERRUPTIBLE, deadline_ns, "futex");
		int left = err ? leave_first_word(&w, err) : 0;
		if (left) {
			err = left;
		} else {
			err = futex_pi_finish(&pw, to, err);
			/* It cannot start over: the plain word has changed. The program looks at its
			 * condition again. */
			if (err == -ERESTARTNOINTR)
				err = -EAGAIN;
		}
	}
	futex_key_put(&pw.key);
	futex_key_put(&w.key);
	return err;
}
