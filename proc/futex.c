/*
 * Futexes: theory.
 *
 * A futex is a word of a program's memory; the kernel knows it only while somebody waits. Waiters stand in hash
 * buckets by key: the address space and address for private ones and for shared calls on private memory, the memory
 * object and offset for memory that is shared, so that processes that map it at different places meet. A waiter holds
 * a reference on whatever its key points to, so a key is never reused while it is waited for.
 *
 * No wake-up is lost: the waiter reads the word and joins the bucket under one hold of the bucket's lock, and a waker
 * changes the word before it takes that lock. The word is read with interrupts off, where a missing page makes the
 * read fail: then it is brought in without the lock, and the step repeated.
 *
 * A waiter lies on its sleeper's stack. Wakers touch it only under its bucket's lock, and the sleeper takes that lock
 * once more before it leaves.
 *
 * Locking: one bucket (LOCK_FUTEX), for requeue and wake_op the one with the lower address first (LOCK_FUTEX_SECOND
 * for the other). Not here: priority inheritance (-ENOSYS at the system call).
 */
#include "proc/futex.h"

#include <asm/errno.h>
#include <linux/futex.h>

#include "lib/hash.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/usercopy.h"
#include "proc/process.h"
#include "sched/wait.h"
#include "vm/aspace.h"

#define FUTEX_MIN_BUCKETS 64u
#define FUTEX_MAX_BUCKETS 4096u
#define ROBUST_LIST_MAX 2048 /* as on Linux: a list in a circle must end */

struct futex_key {
	void *what; /* struct aspace or struct vm_object, counted */
	uint64_t offset;
	bool object;
};

struct futex_bucket {
	struct spinlock lock;
	struct list waiters;
};

struct futex_waiter {
	struct list_node node; /* bucket */
	struct futex_key key;
	uint32_t bitset;
	bool woken;		     /* bucket lock to set */
	struct futex_bucket *bucket; /* changed by requeue under both locks */
	struct wait_queue queue;
};

static struct futex_bucket *buckets;
static uint32_t bucket_count;

void futex_init(void)
{
	struct page_stats s;

	page_stats_get(&s);
	bucket_count = FUTEX_MIN_BUCKETS;
	while (bucket_count < FUTEX_MAX_BUCKETS && (uint64_t)bucket_count * 1024 < s.total)
		bucket_count *= 2; /* one for each 4 MiB */
	buckets = kcalloc(bucket_count, sizeof(*buckets));
	if (!buckets)
		boot_stop("no memory for the futex table");
	for (uint32_t i = 0; i < bucket_count; i++) {
		spin_init(&buckets[i].lock, LOCK_FUTEX, "futex bucket");
		list_init(&buckets[i].waiters);
	}
}

/* --- keys -------------------------------------------------------------------------------------------------------- */

/* The object and offset of addr if its mapping is shared: counted. as->lock held for reading. */
static bool shared_key(struct aspace *as, uint64_t addr, struct futex_key *key)
{
	struct rb_node *n = as->areas.node;

	while (n) {
		struct area *a = RB_ENTRY(n, struct area, node);
		if (addr < a->start) {
			n = n->left;
		} else if (addr >= a->end) {
			n = n->right;
		} else {
			if (!(a->flags & AREA_SHARED) || !a->object)
				return false;
			vm_object_get(a->object);
			*key = (struct futex_key){a->object, a->offset + (addr - a->start), true};
			return true;
		}
	}
	return false;
}

static int key_get(uptr_t addr, bool shared, struct futex_key *key)
{
	struct aspace *as = process_current()->aspace;

	if (!IS_ALIGNED(addr.v, 4))
		return -EINVAL;
	if (!user_range_ok(addr, 4))
		return -EFAULT;
	if (shared) {
		rwlock_read_lock(&as->lock);
		bool found = shared_key(as, addr.v, key);
		rwlock_read_unlock(&as->lock);
		if (found)
			return 0;
	}
	*key = (struct futex_key){as, addr.v, false};
	aspace_get(as);
	return 0;
}

static void key_put(struct futex_key *key)
{
	if (key->object)
		vm_object_put(key->what);
	else
		aspace_put(key->what);
}

static void key_ref(const struct futex_key *key)
{
	if (key->object)
		vm_object_get(key->what);
	else
		aspace_get(key->what);
}

static bool key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->offset == b->offset && a->what == b->what;
}

static struct futex_bucket *bucket_of(const struct futex_key *key)
{
	return &buckets[hash_mix((uintptr_t)key->what ^ 0x9e3779b97f4a7c15ull, key->offset ^ 0xd6e8feb86659fd93ull) &
			(bucket_count - 1)];
}

/* --- waking ------------------------------------------------------------------------------------------------------ */

/* Bucket lock held. The waiter may leave as soon as the lock is dropped. */
static void wake_locked(struct futex_waiter *w)
{
	list_remove(&w->node);
	WRITE_ONCE(w->woken, true);
	wait_wake_all(&w->queue);
}

static int wake_key_locked(struct futex_bucket *b, const struct futex_key *key, int count, uint32_t bitset)
{
	struct futex_waiter *w;
	int n = 0;

	LIST_FOR_EACH_SAFE(w, &b->waiters, node) {
		if (n >= count)
			break;
		if (key_equal(&w->key, key) && (w->bitset & bitset)) {
			wake_locked(w);
			n++;
		}
	}
	return n;
}

long futex_wake(uptr_t addr, int count, uint32_t bitset, bool shared)
{
	struct futex_key key;

	if (!bitset)
		return -EINVAL;
	int err = key_get(addr, shared, &key);
	if (err)
		return err;
	struct futex_bucket *b = bucket_of(&key);
	int n = 0;
	atomic_fence(); /* the caller's store to the word before the look at the list */
	if (!list_empty(&b->waiters)) {
		SPIN_GUARD(&b->lock);
		n = wake_key_locked(b, &key, MAX(count, 1), bitset);
	}
	key_put(&key);
	return n;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

/* Joins the bucket if the word still is value. 0, -EAGAIN, -EFAULT. */
static int enqueue(struct futex_waiter *w, uptr_t addr, uint32_t value)
{
	struct futex_bucket *b = bucket_of(&w->key);
	uint32_t now;

	for (;;) {
		irqflags_t f = spin_lock(&b->lock);
		int err = get_user_u32(&now, addr);
		if (!err && now == value) {
			w->bucket = b;
			list_push_back(&b->waiters, &w->node);
		}
		spin_unlock(&b->lock, f);
		if (!err)
			return now == value ? 0 : -EAGAIN;
		err = get_user_u32(&now, addr); /* may sleep to bring the page in */
		if (err)
			return err;
	}
}

/* Off the bucket, wherever requeue has put it; afterwards nobody touches w. True: it had been woken. */
static bool dequeue(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = READ_ONCE(w->bucket);
		irqflags_t f = spin_lock(&b->lock);
		if (w->bucket != b) {
			spin_unlock(&b->lock, f);
			continue;
		}
		bool woken = w->woken;
		if (!woken)
			list_remove(&w->node);
		spin_unlock(&b->lock, f);
		return woken;
	}
}

static long wait_restart(struct task *t)
{
	return futex_wait(t->restart.user, (uint32_t)t->restart.word[0], (uint32_t)t->restart.word[1],
			  t->restart.word[2], t->restart.deadline_ns);
}

long futex_wait(uptr_t addr, uint32_t value, uint32_t bitset, bool shared, uint64_t deadline_ns)
{
	struct futex_waiter w = {.bitset = bitset};

	if (!bitset)
		return -EINVAL;
	int err = key_get(addr, shared, &w.key);
	if (err)
		return err;
	wait_queue_init(&w.queue);
	err = enqueue(&w, addr, value);
	if (!err) {
		err = WAIT_UNTIL(&w.queue, READ_ONCE(w.woken), WAIT_INTERRUPTIBLE, deadline_ns);
		if (dequeue(&w))
			err = 0; /* woken at the last moment: the waker has counted us */
	}
	key_put(&w.key);
	if (err == -ERESTARTSYS && deadline_ns != WAIT_FOREVER) {
		struct task *t = task_current();
		t->restart = (struct task_restart){.fn = wait_restart,
						   .deadline_ns = deadline_ns,
						   .user = addr,
						   .word = {value, bitset, shared}};
		return -ERESTART_RESTARTBLOCK;
	}
	return err;
}

/* --- two at once ------------------------------------------------------------------------------------------------- */

struct two {
	irqflags_t f1, f2;
};

static struct two lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	struct futex_bucket *first = a < b ? a : b, *second = a < b ? b : a;
	struct two s = {.f1 = spin_lock(&first->lock)};

	if (first != second)
		s.f2 = spin_lock_nested(&second->lock, LOCK_FUTEX_SECOND);
	return s;
}

static void unlock_two(struct futex_bucket *a, struct futex_bucket *b, struct two s)
{
	struct futex_bucket *first = a < b ? a : b, *second = a < b ? b : a;

	if (first != second)
		spin_unlock(&second->lock, s.f2);
	spin_unlock(&first->lock, s.f1);
}

static int requeue_locked(struct futex_bucket *b1, struct futex_bucket *b2, const struct futex_key *k1,
			  const struct futex_key *k2, int wake, int requeue)
{
	struct futex_waiter *w;
	int woken = 0, moved = 0;

	LIST_FOR_EACH_SAFE(w, &b1->waiters, node) {
		if (!key_equal(&w->key, k1))
			continue;
		if (woken < wake) {
			wake_locked(w);
			woken++;
		} else if (moved < requeue) {
			if (key_equal(k1, k2)) {
				moved++;
				continue;
			}
			list_remove(&w->node);
			/* Both keys are held by the caller, so this drops no last reference under the lock. */
			key_put(&w->key);
			w->key = *k2;
			key_ref(k2);
			WRITE_ONCE(w->bucket, b2);
			list_push_back(&b2->waiters, &w->node);
			moved++;
		} else {
			break;
		}
	}
	return woken + moved;
}

long futex_requeue(uptr_t from, uptr_t to, int wake, int requeue, const uint32_t *expect, bool shared)
{
	struct futex_key k1, k2;
	uint32_t now;

	if (wake < 0 || requeue < 0)
		return -EINVAL;
	int err = key_get(from, shared, &k1);
	if (err)
		return err;
	err = key_get(to, shared, &k2);
	if (err) {
		key_put(&k1);
		return err;
	}
	struct futex_bucket *b1 = bucket_of(&k1), *b2 = bucket_of(&k2);
	long result;
	for (;;) {
		struct two s = lock_two(b1, b2);
		err = expect ? get_user_u32(&now, from) : 0;
		if (err)
			result = -EFAULT;
		else if (expect && now != *expect)
			result = -EAGAIN;
		else
			result = requeue_locked(b1, b2, &k1, &k2, wake, requeue);
		unlock_two(b1, b2, s);
		if (!err || get_user_u32(&now, from) != 0)
			break;
	}
	key_put(&k2);
	key_put(&k1);
	return result;
}

/* man 2 futex, FUTEX_WAKE_OP: *old is the word before. 0, -EFAULT, -EAGAIN (changed meanwhile), -ENOSYS. */
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

/* Makes the page of addr present and writable without changing it. */
static int fault_in_writable(uptr_t addr)
{
	uint32_t v, seen;

	if (get_user_u32(&v, addr) != 0 || arch_cmpxchg_user_u32(addr.v, v, v, &seen) != 0)
		return -EFAULT;
	return 0;
}

long futex_wake_op(uptr_t a, uptr_t b, int wake_a, int wake_b, uint32_t op, bool shared)
{
	struct futex_key ka, kb;
	uint32_t old = 0;
	int err = key_get(a, shared, &ka);

	if (err)
		return err;
	err = key_get(b, shared, &kb);
	if (err) {
		key_put(&ka);
		return err;
	}
	struct futex_bucket *ba = bucket_of(&ka), *bb = bucket_of(&kb);
	long result = 0;
	for (;;) {
		struct two s = lock_two(ba, bb);
		err = apply_op(b, op, &old);
		int also = err ? 0 : compare_op(op, old);
		if (!err && also >= 0) {
			result = wake_key_locked(ba, &ka, MAX(wake_a, 1), ~0u);
			if (also)
				result += wake_key_locked(bb, &kb, MAX(wake_b, 1), ~0u);
		} else {
			result = err ? err : also;
		}
		unlock_two(ba, bb, s);
		if (err == -EFAULT && fault_in_writable(b) == 0)
			continue;
		if (err != -EAGAIN)
			break;
	}
	key_put(&kb);
	key_put(&ka);
	return result;
}

/* --- robust lists (man 2 set_robust_list) ------------------------------------------------------------------------ */

/* A lock word of a dead owner: marked, and one waiter told. */
static void owner_died(struct task *t, uptr_t word, bool pending)
{
	uint32_t v, seen;

	if (!IS_ALIGNED(word.v, 4))
		return;
	for (;;) {
		if (get_user_u32(&v, word) != 0)
			return;
		/* The owner died between taking itself out and waking: somebody may sleep on a free lock. */
		if (pending && v == 0) {
			(void)futex_wake(word, 1, ~0u, true);
			return;
		}
		if ((v & FUTEX_TID_MASK) != (uint32_t)t->tid)
			return;
		if (!user_range_ok(word, 4) ||
		    arch_cmpxchg_user_u32(word.v, v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen) != 0)
			return;
		if (seen == v)
			break;
	}
	if (v & FUTEX_WAITERS)
		(void)futex_wake(word, 1, ~0u, true);
}

void futex_exit_robust(struct task *t)
{
	struct robust_list_head head;
	uptr_t start = t->robust_list;

	t->robust_list = uptr(0);
	if (copy_from_user(&head, start, sizeof(head)) != 0)
		return;
	/* Bit 0 of a link marks a priority-inheriting lock; such locks cannot be had here. */
	uint64_t entry = (uint64_t)head.list.next & ~1ull, pending = (uint64_t)head.list_op_pending & ~1ull;
	for (unsigned n = 0; entry != start.v && n < ROBUST_LIST_MAX; n++) {
		uint64_t next;
		/* Read before the word is released: its new owner may unmap it. */
		int err = get_user_u64(&next, uptr(entry));
		if (entry != pending)
			owner_died(t, uptr(entry + (uint64_t)head.futex_offset), false);
		if (err)
			return;
		entry = next & ~1ull;
	}
	if (pending)
		owner_died(t, uptr(pending + (uint64_t)head.futex_offset), true);
}
