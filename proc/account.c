/*
 * What each user has in use, by real uid, for the limits that count per user and not per process: RLIMIT_NPROC,
 * RLIMIT_SIGPENDING (man 2 getrlimit).
 *
 * A small hash of counted records; a record lives while a task of that user (or a signal one queued) does.
 */
#include "lib/hash.h"
#include "mm/slab.h"
#include "proc/internal.h"

#define ACCOUNT_BUCKETS 64

static struct spinlock accounts_lock = SPINLOCK_INIT(LOCK_LEAF, "user accounts");
static struct list accounts[ACCOUNT_BUCKETS];

static struct list *bucket_of(uint32_t uid)
{
	struct list *b = &accounts[hash_u64(uid) % ACCOUNT_BUCKETS];
	if (!b->head.next)
		list_init(b);
	return b;
}

/* accounts_lock held. */
static struct user_account *find_locked(uint32_t uid)
{
	struct user_account *a;

	LIST_FOR_EACH(a, bucket_of(uid), node)
		if (a->uid == uid)
			return a;
	return NULL;
}

struct user_account *account_ref(struct user_account *a)
{
	__atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED);
	return a;
}

struct user_account *account_get(uint32_t uid)
{
	irqflags_t f = spin_lock(&accounts_lock);
	struct user_account *a = find_locked(uid);
	if (a)
		account_ref(a);
	spin_unlock(&accounts_lock, f);
	if (a)
		return a;

	struct user_account *fresh = kzalloc(sizeof(*fresh));
	if (!fresh)
		return NULL;
	f = spin_lock(&accounts_lock);
	a = find_locked(uid);
	if (!a) {
		fresh->uid = uid;
		list_push_front(bucket_of(uid), &fresh->node);
		a = fresh;
		fresh = NULL;
	}
	account_ref(a);
	spin_unlock(&accounts_lock, f);
	kfree(fresh);
	return a;
}

void account_put(struct user_account *a)
{
	uint32_t refs = atomic_load_relaxed(&a->refs);
	while (refs > 1)
		if (atomic_cas(&a->refs, &refs, refs - 1))
			return;

	irqflags_t f = spin_lock(&accounts_lock);
	bool last = __atomic_sub_fetch(&a->refs, 1, __ATOMIC_ACQ_REL) == 0;
	if (last)
		list_remove(&a->node);
	spin_unlock(&accounts_lock, f);
	if (last)
		kfree(a);
}
