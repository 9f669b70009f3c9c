/*
 * The name cache: theory.
 *
 * A dentry is a name in a directory: "there is an inode here" or, with inode NULL, "there is nothing here".  All
 * dentries with a parent form a tree (each counts its parent) and stand in one hash table keyed by (parent, name).
 * File systems in memory (tmpfs, devtmpfs, procfs's fixed part) keep their whole tree here: each name holds a reference
 * of its own ("pinned") until it is removed, and what is not in the table does not exist.  Other file systems are asked
 * on a miss, and what they said, also "no", is kept on an LRU list of bounded length when nobody uses it.
 *
 * Walking takes no lock and counts nothing on the way.  It goes on inside a section (sync/rcu.h), and memory taken out
 * of the tables goes through rcu_defer, so that a pointer read from a table stays valid, if perhaps out of date.
 * What can be out of date:
 *   - an entry that is being removed or added: the walk is then simply before or after that change;
 *   - an entry that moves (rename): its parent, name and chain change one after the other.  dcache_seq is odd meanwhile
 *     and differs afterwards; whoever found it changed looks again under the directory's lock.
 * Only the place a walk ends at is counted, by dentry_get_live, which fails for one that has died meanwhile; then the
 * walk starts again.
 *
 * Lifetime: a dentry with refs 0 lives as long as it is in the table.  The step from 1 to 0 is made under lru_lock, so
 * exactly one putter sees a dentry nobody can reach any more, sets DENTRY_DEAD and frees it.
 *
 * Locks: directory lock > lru_lock (LOCK_DCACHE) > bucket lock (LOCK_DENTRY).  Buckets share a fixed set of locks: only
 * changes take them.
 *
 * Rejected: a count per component (two locked instructions and a cache line bounced between CPUs each); a lock per
 * bucket (it doubles the table).
 */
#include "fs/dcache.h"

#include "dev/random.h"
#include "fs/inode.h"
#include "mm/kmap.h"
#include "mm/slab.h"

#define BUCKET_LOCKS 64

struct dentry **dcache_table;
uint64_t dcache_mask, dcache_seed, dcache_seq;

static struct spinlock bucket_locks[BUCKET_LOCKS];
static struct spinlock lru_lock = SPINLOCK_INIT(LOCK_DCACHE, "dcache_lru");
/* makes dcache_seq's writers take turns */
static struct spinlock move_lock = SPINLOCK_INIT(LOCK_DCACHE, "dcache_move");
static struct list lru = LIST_INIT(lru); /* newest first; lru_lock */
static uint64_t lru_count, lru_max;
static struct slab_cache *dentry_cache;

/* --- the table --------------------------------------------------------------------------------------------------- */

static struct spinlock *bucket_lock(uint64_t hash)
{
	return &bucket_locks[hash % BUCKET_LOCKS];
}

static void hash_add_locked(struct dentry *d)
{
	struct dentry **head = &dcache_table[d->hash & dcache_mask];

	d->hash_next = *head;
	d->hashed = true;
	atomic_store_release(head, d);
}

/* hash_next stays: a walker that stands on d goes on from there. */
static void hash_remove_locked(struct dentry *d)
{
	struct dentry **link = &dcache_table[d->hash & dcache_mask];

	while (*link != d)
		link = &(*link)->hash_next;
	atomic_store_release(link, d->hash_next);
	d->hashed = false;
}

static void hash_remove(struct dentry *d)
{
	SPIN_GUARD(bucket_lock(d->hash));
	if (d->hashed)
		hash_remove_locked(d);
}

static struct dentry *dcache_find_locked(struct dentry *parent, const struct name *n)
{
	for (struct dentry *d = dcache_table[n->hash & dcache_mask]; d; d = d->hash_next)
		if (d->hash == n->hash && d->parent == parent && d->len == n->len && name_matches(d, n) &&
		    dentry_get_live(d))
			return d;
	return NULL;
}

struct dentry *dcache_find(struct dentry *parent, const struct name *n)
{
	SPIN_GUARD(bucket_lock(n->hash));
	return dcache_find_locked(parent, n);
}

struct dentry *dcache_insert(struct dentry *d)
{
	struct name n;

	name_parse(&n, d->parent, d->name);
	SPIN_GUARD(bucket_lock(d->hash));
	struct dentry *there = dcache_find_locked(d->parent, &n);

	if (!there)
		hash_add_locked(d);
	return there;
}

void dentry_delete(struct dentry *d)
{
	d->deleted = true;
	hash_remove(d);
}

/* --- life -------------------------------------------------------------------------------------------------------- */

static uint64_t dentry_hash(const struct dentry *parent, const char *name)
{
	struct name n;

	name_parse(&n, parent, name);
	return n.hash;
}

static void dentry_name_free(const struct dentry *d, const char *name)
{
	if (name != d->name_inline)
		kfree(name);
}

static struct dentry *dentry_alloc(const char *name, size_t len)
{
	struct dentry *d = slab_alloc(dentry_cache, ALLOC_ZERO);
	char *text;

	if (!d)
		return NULL;
	text = len < DENTRY_NAME_INLINE ? d->name_inline : kzalloc(DENTRY_NAME_ALLOC);
	if (!text) {
		slab_free(dentry_cache, d);
		return NULL;
	}
	memcpy(text, name, len);
	d->name = text;
	d->len = (uint16_t)len;
	d->refs = 1;
	return d;
}

struct dentry *dentry_create(struct dentry *parent, const char *name, size_t len)
{
	struct dentry *d = dentry_alloc(name, len);

	if (!d)
		return NULL;
	dentry_get(parent);
	d->parent = parent;
	d->super = parent->super;
	d->hash = dentry_hash(parent, d->name);
	return d;
}

struct dentry *dentry_create_root(struct super *s, struct inode *i, const char *name)
{
	struct dentry *d = dentry_alloc(name, strlen(name));

	if (!d)
		return NULL;
	d->parent = d;
	d->super = s;
	d->inode = i;
	return d;
}

static void dentry_free(struct rcu_deferred *deferred)
{
	struct dentry *d = container_of(deferred, struct dentry, deferred);

	dentry_name_free(d, d->name);
	slab_free(dentry_cache, d);
}

/* d is DEAD and in no table. Returns its parent, whose reference is now the caller's to drop; NULL at a root. */
static struct dentry *dentry_destroy(struct dentry *d)
{
	struct dentry *parent = d->parent != d ? d->parent : NULL;

	if (d->inode)
		inode_put(d->inode);
	rcu_defer(&d->deferred, dentry_free);
	return parent;
}

/* lru_lock held, d->refs 0 and hashed. */
static void lru_add_locked(struct dentry *d)
{
	if (list_node_linked(&d->lru))
		return;
	list_push_front(&lru, &d->lru);
	lru_count++;
}

static bool lru_evict_locked(struct dentry *d)
{
	int32_t zero = 0;

	if (!atomic_cas(&d->refs, &zero, DENTRY_DEAD)) {
		if (zero > 0) { /* in use again: it comes back when it is put */
			list_remove(&d->lru);
			lru_count--;
		}
		return false;
	}
	list_remove(&d->lru);
	lru_count--;
	hash_remove(d);
	return true;
}

/* Drops one reference when it may be the last. Returns what is to be freed (DEAD), or NULL. */
static struct dentry *dentry_drop(struct dentry *d)
{
	struct dentry *victim = NULL;
	int32_t zero = 0;

	SPIN_GUARD(&lru_lock);
	if (__atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) != 1)
		return NULL;
	if (!d->hashed) {
		if (!atomic_cas(&d->refs, &zero, DENTRY_DEAD))
			return NULL;
		if (list_node_linked(&d->lru)) {
			list_remove(&d->lru);
			lru_count--;
		}
		return d;
	}
	lru_add_locked(d);
	while (lru_count > lru_max && !victim) {
		struct dentry *oldest = LIST_LAST(&lru, struct dentry, lru);

		if (lru_evict_locked(oldest))
			victim = oldest;
	}
	return victim;
}

void dentry_put_last(struct dentry *d)
{
	/* a child gone may make its parent the next */
	while (d) {
		d = dentry_drop(d);
		if (d)
			d = dentry_destroy(d);
	}
}

size_t dcache_shrink(struct super *s)
{
	size_t done = 0;
	bool found;

	do {
		struct dentry *d, *victim = NULL;

		found = false;
		irqflags_t f = spin_lock(&lru_lock);
		LIST_FOR_EACH_SAFE(d, &lru, lru)
			if ((!s || d->super == s) && lru_evict_locked(d)) {
				victim = d;
				break;
			}
		spin_unlock(&lru_lock, f);
		if (victim) {
			struct dentry *parent = dentry_destroy(victim);

			if (parent)
				dentry_put(parent);
			found = true;
			done++;
		}
	} while (found);
	return done;
}

/* --- rename ------------------------------------------------------------------------------------------------------ */

int dentry_move_prepare(struct dentry_move *m, struct dentry *d, struct dentry *to, bool exchange)
{
	*m = (struct dentry_move){0};
	if (to->len >= DENTRY_NAME_INLINE) {
		m->name = kmemdup(to->name, DENTRY_NAME_ALLOC);
		if (!m->name)
			return -ENOMEM;
	}
	if (exchange && d->len >= DENTRY_NAME_INLINE) {
		m->name_to = kmemdup(d->name, DENTRY_NAME_ALLOC);
		if (!m->name_to) {
			kfree(m->name);
			return -ENOMEM;
		}
	}
	return 0;
}

void dentry_move_abandon(struct dentry_move *m)
{
	kfree(m->name);
	kfree(m->name_to);
}

struct deferred_name {
	struct rcu_deferred deferred;
	const char *name;
};

static void deferred_name_free(struct rcu_deferred *d)
{
	kfree(container_of(d, struct deferred_name, deferred)->name);
}

/* Sets d's name. The old long one is returned: a walker may be comparing it. */
static const char *dentry_rename(struct dentry *d, char *prepared, const char *text, uint16_t len)
{
	const char *old = d->name != d->name_inline ? d->name : NULL;

	if (!prepared) {
		memset(d->name_inline, 0, sizeof(d->name_inline));
		memcpy(d->name_inline, text, len);
		prepared = d->name_inline;
	}
	WRITE_ONCE(d->name, prepared);
	WRITE_ONCE(d->len, len);
	return old;
}

/*
 * A long name that was replaced may still be under a walker's eyes, and there may be no memory to remember it in: so it
 * is put into the first bytes of its own buffer, which a walker then reads as a wrong name, as dcache_seq told it
 * anyway.
 */
static void old_name_free(const char *old)
{
	struct deferred_name *n = (struct deferred_name *)(uintptr_t)old;

	_Static_assert(sizeof(*n) <= DENTRY_NAME_INLINE, "fits into any long name");
	if (!old)
		return;
	n->name = old;
	rcu_defer(&n->deferred, deferred_name_free);
}

void dentry_move(struct dentry_move *m, struct dentry *d, struct dentry *to, bool exchange)
{
	struct dentry *from_parent = d->parent, *to_parent = to->parent;
	const char *old, *old_to = NULL;
	char kept[DENTRY_NAME_INLINE];
	uint16_t kept_len = d->len;

	if (exchange && !m->name_to)
		memcpy(kept, d->name, kept_len);
	/* Odd from before the first name is gone until the last is there: a name that is replaced is never missing. */
	irqflags_t f = spin_lock(&move_lock);
	__atomic_fetch_add(&dcache_seq, 1, __ATOMIC_SEQ_CST);
	hash_remove(d);
	hash_remove(to);
	old = dentry_rename(d, m->name, to->name, to->len);
	WRITE_ONCE(d->parent, to_parent);
	d->hash = dentry_hash(to_parent, d->name);
	if (exchange) {
		old_to = dentry_rename(to, m->name_to, kept, kept_len);
		WRITE_ONCE(to->parent, from_parent);
		to->hash = dentry_hash(from_parent, to->name);
	} else {
		to->deleted = true;
	}
	struct dentry *there = dcache_insert(d);
	ASSERT(!there);
	if (exchange) {
		there = dcache_insert(to);
		ASSERT(!there);
	}
	(void)there;
	__atomic_fetch_add(&dcache_seq, 1, __ATOMIC_SEQ_CST);
	spin_unlock(&move_lock, f);

	if (!exchange && from_parent != to_parent) {
		dentry_get(to_parent);
		dentry_put(from_parent);
	}
	old_name_free(old);
	old_name_free(old_to);
}

bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor)
{
	for (;; d = READ_ONCE(d->parent)) {
		if (d == ancestor)
			return true;
		if (d == READ_ONCE(d->parent))
			return false;
	}
}

void dcache_init(void)
{
	struct page_stats stats;
	uint64_t entries = 512;

	page_stats_get(&stats);
	while (entries < stats.total / 4 && entries < 128 * KIB) /* one for 16 KiB of memory */
		entries *= 2;
	dcache_mask = entries - 1;
	lru_max = entries;
	dcache_seed = random_u64();
	dcache_table = kcalloc(entries, sizeof(*dcache_table));
	dentry_cache = slab_cache_create("dentry", sizeof(struct dentry), 0);
	for (unsigned i = 0; i < BUCKET_LOCKS; i++)
		spin_init(&bucket_locks[i], LOCK_DENTRY, "dcache_bucket");
	if (!dcache_table || !dentry_cache)
		boot_stop("fs: no memory for a name cache of %lu entries at boot", (unsigned long)entries);
}
