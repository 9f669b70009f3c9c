/*
 * Futexes: theory.
 *
 * A futex is a word of a program's memory; the kernel knows it only while somebody waits.  Waiters stand in hash
 * buckets by key: the address space and address for private ones and for shared calls on private memory, the memory
 * object and offset for memory that is shared, so that processes that map it at different places meet.  A waiter counts
 * the object of its key; an address space is kept by the thread that sleeps in it.  So a key is not reused while it is
 * waited for, and private futexes touch no counter.
 *
 * No wake-up is lost.  Waiter: (S1) stand in the bucket's list, (S2) full fence, (S3) read the word, and leave the list
 * again if it has changed; all under one hold of the bucket's lock.  Waker: (W1) the program changes the word, (W2)
 * full fence, (W3) look whether the list is empty, without the lock.  If W3 finds it empty, S1 comes after W3 in the
 * order of the fences, hence S3 after W1: the waiter sees the change.  If not, the waker takes the lock, and so comes
 * after the whole step.  The word is read with interrupts off, where a missing page makes the read fail: then it is
 * brought in without the lock, and the step repeated.
 *
 * Waking.  Under the lock waiters are only claimed (moved to the waker's own list); they are woken after it is dropped,
 * with interrupts still off, so that they do not run into the lock.  `woken` is the waker's last touch: the waiter lies
 * on its sleeper's stack and goes with that.  A sleeper that was ended by something else and finds itself claimed waits
 * these few instructions.
 *
 * Locking: one bucket (LOCK_FUTEX), for requeue and wake_op the one with the lower address first (LOCK_FUTEX_SECOND
 * for the other). No lock is common to two buckets.
 *
 * The files: futex.c keys, wait, wake; futex_requeue.c what works on two words; futex_pi.c locks with priority
 * inheritance; futex_waitv.c; futex_exit.c the end of a thread.
 */
#include "proc/futex.h"

#include <asm/errno.h>
#include <linux/sched.h>

#include <arch/cpu.h>
#include "lib/hash.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/futex_internal.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "vm/aspace.h"

#define BUCKETS_PER_CPU 256u /* as many as Linux has */
#define BUCKETS_MAX 65536u

static struct futex_bucket *buckets;
static uint32_t bucket_count;

void futex_init(void)
{
	struct page_stats s;
	uint64_t wanted = (uint64_t)BUCKETS_PER_CPU * MAX(cpus_online, 1u);

	page_stats_get(&s);
	bucket_count = BUCKETS_PER_CPU;
	/* For the CPUs there are, and one for each MiB, since CPUs may come later and threads need memory. */
	while (bucket_count < BUCKETS_MAX && (bucket_count < wanted || (uint64_t)bucket_count * 256 < s.total))
		bucket_count *= 2;
	buckets = kcalloc(bucket_count, sizeof(*buckets));
	if (!buckets)
		boot_stop("no memory for the futex table");
	for (uint32_t i = 0; i < bucket_count; i++) {
		spin_init(&buckets[i].lock, LOCK_FUTEX, "futex bucket");
		list_init(&buckets[i].waiters);
		list_init(&buckets[i].pi);
	}
}

/* --- keys -------------------------------------------------------------------------------------------------------- */

/* as->lock held for reading. */
static struct area *area_at(struct aspace *as, uint64_t addr)
{
	struct rb_node *n = as->areas.node;

	while (n) {
		struct area *a = RB_ENTRY(n, struct area, node);
		if (addr >= a->start && addr < a->end)
			return a;
		n = addr < a->start ? n->left : n->right;
	}
	return NULL;
}

/* The object and offset of addr, counted, if its mapping is shared; otherwise *key is left alone. -EFAULT: a hole, or
 * no access. as->lock held for reading. */
static int shared_key(struct aspace *as, uint64_t addr, bool write, struct futex_key *key)
{
	struct area *a = area_at(as, addr);

	if (!a || !(a->flags & (write ? AREA_WRITE : AREA_READ | AREA_WRITE)))
		return -EFAULT;
	if (!(a->flags & AREA_SHARED) || !a->object)
		return 0;
	uint64_t offset = a->offset + (addr - a->start);
	if (offset / PAGE_SIZE >= vm_object_page_limit(a->object))
		return -EFAULT;
	vm_object_get(a->object);
	*key = (struct futex_key){(uintptr_t)a->object, offset, true};
	return 0;
}

int futex_key_get(uptr_t addr, bool shared, bool write, struct futex_key *key)
{
	struct aspace *as = process_current()->aspace;
	int err = 0;

	if (!IS_ALIGNED(addr.v, 4))
		return -EINVAL;
	if (!user_range_ok(addr, 4))
		return -EFAULT;
	*key = (struct futex_key){(uintptr_t)as, addr.v, false};
	if (shared) {
		rwlock_read_lock(&as->lock);
		err = shared_key(as, addr.v, write, key);
		rwlock_read_unlock(&as->lock);
	}
	return err;
}

void futex_key_put(const struct futex_key *key)
{
	if (key->object)
		vm_object_put((struct vm_object *)key->what);
}

void futex_key_ref(const struct futex_key *key)
{
	if (key->object)
		vm_object_get((struct vm_object *)key->what);
}

struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
	return &buckets[hash_mix(key->what ^ 0x9e3779b97f4a7c15ull, key->offset ^ 0xd6e8feb86659fd93ull) &
			(bucket_count - 1)];
}

irqflags_t futex_lock_two(struct futex_bucket *a, struct futex_bucket *b)
{
	irqflags_t f = spin_lock(a < b ? &a->lock : &b->lock);

	if (a != b)
		spin_acquire_rank(a < b ? &b->lock : &a->lock, LOCK_FUTEX_SECOND);
	return f;
}

void futex_release_two(struct futex_bucket *a, struct futex_bucket *b)
{
	if (a != b)
		spin_release(a < b ? &b->lock : &a->lock);
	spin_release(a < b ? &a->lock : &b->lock);
}

int futex_fault_in_writable(uptr_t addr)
{
	uint32_t v, seen;

	if (get_user_u32(&v, addr) != 0 || arch_cmpxchg_user_u32(addr.v, v, v, &seen) != 0)
		return -EFAULT;
	return 0;
}

/* --- waking ------------------------------------------------------------------------------------------------------ */

int futex_claim_locked(struct futex_bucket *b, const struct futex_key *key, int count, uint32_t bitset,
		       struct list *woken)
{
	struct futex_waiter *w;
	int n = 0;

	if (unlikely(!list_empty(&b->pi)) && futex_pi_find_locked(b, key))
		return -EINVAL;
	LIST_FOR_EACH_SAFE(w, &b->waiters, node) {
		if (!futex_key_equal(&w->key, key))
			continue;
		if (w->pi)
			return n ? n : -EINVAL;
		if (!(w->bitset & bitset))
			continue;
		list_remove(&w->node);
		list_push_back(woken, &w->node);
		w->claimed = true;
		if (++n >= count)
			break;
	}
	return n;
}

void futex_wake_claimed(struct list *woken)
{
	struct futex_waiter *w;

	while ((w = LIST_FIRST(woken, struct futex_waiter, node))) {
		struct thread *t = w->thread;
		list_remove(&w->node);
		thread_get(t);
		if (w->wake_word != &w->woken)
			atomic_store_release(w->wake_word, 1);
		atomic_store_release(&w->woken, 1); /* w may be gone */
		(void)sched_wake(t, WAKE_NORMAL);
		thread_put(t);
	}
}

long futex_wake(uptr_t addr, int count, uint32_t bitset, bool shared)
{
	struct futex_key key;
	struct list woken = LIST_INIT(woken);

	if (!bitset)
		return -EINVAL;
	int n = futex_key_get(addr, shared, false, &key);
	if (n)
		return n;
	struct futex_bucket *b = futex_bucket_of(&key);
	atomic_fence(); /* W2 */
	if (!list_empty(&b->waiters) || !list_empty(&b->pi)) {
		irqflags_t f = spin_lock(&b->lock);
		n = futex_claim_locked(b, &key, count, bitset, &woken);
		spin_release(&b->lock);
		futex_wake_claimed(&woken);
		irq_restore(f);
	}
	futex_key_put(&key);
	return n;
}

/* --- waiting ----------------------------------------------------------------------------------------------------- */

void futex_insert_locked(struct futex_bucket *b, struct futex_waiter *w)
{
	struct futex_waiter *other;

	if (unlikely(w->rank < 100)) {
		LIST_FOR_EACH(other, &b->waiters, node) {
			if (other->rank > w->rank) {
				list_insert_before(&other->node, &w->node);
				return;
			}
		}
	}
	list_push_back(&b->waiters, &w->node);
}

static uint8_t rank_of(const struct thread *t)
{
	if (likely(!t->policy))
		return 100;
	return t->rt_priority ? (uint8_t)(100 - t->rt_priority) : t->policy == SCHED_DEADLINE ? 0 : 100;
}

int futex_enqueue(struct futex_waiter *w, uptr_t addr, uint32_t value)
{
	struct futex_bucket *b = futex_bucket_of(&w->key);
	uint32_t now;

	w->thread = thread_current();
	w->rank = rank_of(w->thread);
	w->bucket = b;
	for (;;) {
		irqflags_t f = spin_lock(&b->lock);
		futex_insert_locked(b, w);
		atomic_fence(); /* S2 */
		int err = get_user_u32(&now, addr);
		bool joined = !err && now == value;
		if (!joined)
			list_remove(&w->node);
		spin_unlock(&b->lock, f);
		if (joined)
			return 0;
		if (!err)
			return -EAGAIN;
		err = get_user_u32(&now, addr); /* may sleep to bring the page in */
		if (err)
			return err;
	}
}

bool futex_dequeue(struct futex_waiter *w)
{
	for (;;) {
		struct futex_bucket *b = READ_ONCE(w->bucket);
		irqflags_t f = spin_lock(&b->lock);
		if (w->bucket != b) {
			spin_unlock(&b->lock, f);
			continue;
		}
		bool claimed = w->claimed;
		if (!claimed)
			list_remove(&w->node);
		spin_unlock(&b->lock, f);
		while (claimed && !atomic_load_acquire(&w->woken))
			cpu_relax(); /* its waker has interrupts off */
		return claimed;
	}
}

static long wait_restart(struct task *t)
{
	return futex_wait(t->restart.user, (uint32_t)t->restart.word[0], (uint32_t)t->restart.word[1],
			  t->restart.word[2], t->restart.deadline_ns);
}

long futex_wait(uptr_t addr, uint32_t value, uint32_t bitset, bool shared, uint64_t deadline_ns)
{
	struct futex_waiter w;

	if (!bitset)
		return -EINVAL;
	int err = futex_key_get(addr, shared, false, &w.key);
	if (err)
		return err;
	w.pi = NULL;
	w.bitset = bitset;
	w.claimed = false;
	w.woken = 0;
	w.wake_word = &w.woken;
	err = futex_enqueue(&w, addr, value);
	if (!err) {
		err = wait_word(&w.woken, WAIT_INTERRUPTIBLE, deadline_ns, "futex");
		if (err && futex_dequeue(&w))
			err = 0; /* woken at the last moment: the waker has counted us */
	}
	futex_key_put(&w.key);
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
