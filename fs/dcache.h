/*
 * The name cache: dentries, the hash table that finds them.  Theory in dcache.c.
 * For fs/ only; the floors above know struct path and the calls of vfs.h.
 */
#pragma once

#include "fs/vfs.h"
#include "lib/hash.h"
#include "lib/rbtree.h"
#include "lib/string.h"
#include "lib/unaligned.h"

#define DENTRY_NAME_INLINE 40
#define DENTRY_NAME_ALLOC ALIGN_UP(NAME_MAX_BYTES + 1u, 8u) /* of each longer one: see name_matches */
#define DENTRY_DEAD (INT32_MIN / 2)

/*
 *   I  immutable     b  bucket lock, and dcache_seq odd while an entry is moved      m  mount_lock    l  lru lock
 *   t  lock of the parent directory's inode
 */
struct dentry {
	struct dentry *hash_next; /* b; walkers read it without a lock */
	uint64_t hash;		  /* b: of parent and name */
	struct dentry *parent;	  /* b, counted; itself at a root */
	struct inode *inode;	  /* counted; NULL: negative. Set once, with release */
	const char *name;	  /* b: name_inline or allocated; zeroes from its end to the end of that 8-byte word */
	uint16_t len;		  /* b */
	bool hashed;		  /* b */
	bool deleted;		  /* its name is gone; set once */
	int32_t refs;		  /* users; 0: kept by the cache alone; DENTRY_DEAD: on its way out */
	uint32_t mounts;	  /* m: mounts that cover it, under any mount */
	struct super *super;	  /* I */
	struct rb_node tree_node; /* t: in a directory that lives in memory (tree.h) */
	uint64_t cookie;	  /* t: its position for readdir */
	struct list_node lru;	  /* l */
	struct rcu_deferred deferred;
	char name_inline[DENTRY_NAME_INLINE];
};

/* One component of a path. hash is that of the name in its directory; tail the last len % 8 bytes as a word. */
struct name {
	const char *text;
	uint32_t len;
	uint64_t hash, tail;
};

extern struct dentry **dcache_table;
extern uint64_t dcache_mask, dcache_seed;
extern uint64_t dcache_seq; /* odd while an entry moves: what was found without a lock meanwhile does not count */

/* Whether no entry moved since dcache_seq was read as `seq`, with acquire. */
static inline bool dcache_stood_still(uint64_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(seq & 1) && atomic_load_relaxed(&dcache_seq) == seq;
}

/* --- names -------------------------------------------------------------------------------------------------------- */
#define NAME_BYTES(c) (0x0101010101010101ull * (uint8_t)(c))

static always_inline uint64_t name_zero_bytes(uint64_t w)
{
	return (w - NAME_BYTES(1)) & ~w & NAME_BYTES(0x80);
}

/*
 * Measures and hashes the component at `text`, which ends at '/' or NUL, eight bytes at a time.  Reads past its end but
 * never past the page that holds it (KASAN, which sees bytes, gets the slow way).  The bytes of a word beyond the end
 * count as zero, so the hash depends on the name alone.
 */
static always_inline void name_parse(struct name *n, const struct dentry *parent, const char *text)
{
	uint64_t h = dcache_seed ^ (uintptr_t)parent;
	const char *p = text;

	for (;;) {
		uint64_t w, end;

		if (!CONFIG_KASAN && likely(((uintptr_t)p & (PAGE_SIZE - 1)) <= PAGE_SIZE - 8)) {
			w = load_le64(p);
			end = name_zero_bytes(w) | name_zero_bytes(w ^ NAME_BYTES('/'));
		} else {
			unsigned i = 0;

			for (w = 0; i < 8 && p[i] && p[i] != '/'; i++)
				w |= (uint64_t)(uint8_t)p[i] << (8 * i);
			end = i < 8 ? 0x80ull << (8 * i) : 0;
		}
		if (end) {
			unsigned bits = (unsigned)__builtin_ctzll(end) & ~7u;

			w &= (1ull << bits) - 1;
			p += bits / 8;
			n->tail = w;
			h = hash_mix(h ^ w, 0xd6e8feb86659fd93ull);
			break;
		}
		h = hash_mix(h ^ w, 0xd6e8feb86659fd93ull);
		p += 8;
	}
	n->text = text;
	n->len = (uint32_t)(p - text);
	n->hash = h;
}

/*
 * Compares by words.  A rename may change d's name and length meanwhile: what is read is then wrong, as dcache_seq
 * tells, but never outside of the buffer, since all allocated ones have room for any name and short ones are not read
 * further than they go.
 */
static always_inline bool name_matches(const struct dentry *d, const struct name *n)
{
	const char *stored = READ_ONCE(d->name);
	size_t whole = n->len & ~7u;

	if (unlikely(whole)) {
		if (n->len >= DENTRY_NAME_INLINE && stored == d->name_inline)
			return false;
		for (size_t i = 0; i < whole; i += 8)
			if (load_le64(stored + i) != load_le64(n->text + i))
				return false;
	}
	return load_le64(stored + whole) == n->tail;
}

static inline bool name_is_dots(const struct name *n)
{
	return n->text[0] == '.' && (n->len == 1 || (n->len == 2 && n->text[1] == '.'));
}

/* --- dentries ----------------------------------------------------------------------------------------------------- */
/* Inside a section of sync/rcu.h: uncounted, or NULL. True only if dcache_seq was even before and is the same after. */
static always_inline struct dentry *dcache_find_walking(const struct dentry *parent, const struct name *n)
{
	struct dentry *d = atomic_load_acquire(&dcache_table[n->hash & dcache_mask]);

	for (; d; d = atomic_load_acquire(&d->hash_next))
		if (d->hash == n->hash && READ_ONCE(d->parent) == parent && d->len == n->len && name_matches(d, n))
			break;
	return d;
}

/* Counted, or NULL. For holders of the directory's lock. */
struct dentry *dcache_find(struct dentry *parent, const struct name *n);
/* A new dentry, in no table, negative, with one reference; counts its parent. name need not be NUL-terminated. NULL:
 * out of memory. */
struct dentry *dentry_create(struct dentry *parent, const char *name, size_t len) must_check;
/* A root or a nameless file's: its own parent. Takes the inode's reference on success. */
struct dentry *dentry_create_root(struct super *s, struct inode *i, const char *name) must_check;
/* Puts d into the table. If one of that name is there already returns that one counted (d is untouched), else NULL. */
struct dentry *dcache_insert(struct dentry *d);
/* Gives a negative dentry its inode (takes the reference). */
static inline void dentry_set_inode(struct dentry *d, struct inode *i)
{
	atomic_store_release(&d->inode, i);
}
/* Takes d out of the table for good: its name was removed. */
void dentry_delete(struct dentry *d);
/*
 * Gives d the place of `to` (parent and name), which leaves the table; with exchange both swap places.  The new names
 * were prepared by dentry_move_prepare so that this cannot fail.  The directories' locks and the rename mutex (if they
 * differ) are held.
 */
struct dentry_move {
	char *name, *name_to; /* long names; NULL: fits inline */
};
int dentry_move_prepare(struct dentry_move *m, struct dentry *d, struct dentry *to, bool exchange) must_check;
void dentry_move_abandon(struct dentry_move *m);
void dentry_move(struct dentry_move *m, struct dentry *d, struct dentry *to, bool exchange);
/* Whether d is below (or is) ancestor. The rename mutex is held, or the answer may be old. */
bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor);

static always_inline void dentry_get(struct dentry *d)
{
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
}
/* Inside a section of sync/rcu.h: false if it is on its way out. */
static always_inline must_check bool dentry_get_live(struct dentry *d)
{
	int32_t old = atomic_load_relaxed(&d->refs);

	do {
		if (unlikely(old < 0))
			return false;
	} while (!atomic_cas(&d->refs, &old, old + 1));
	return true;
}
void dentry_put_last(struct dentry *d); /* drops a reference too */
/* May sleep when it was the last of an unlinked file. */
static always_inline void dentry_put(struct dentry *d)
{
	int32_t old = atomic_load_relaxed(&d->refs);

	/* 1 → 0 is made under a lock by dentry_put_last */
	while (likely(old > 1))
		if (atomic_cas(&d->refs, &old, old - 1))
			return;
	dentry_put_last(d);
}
/* Drops every unused dentry of a super (NULL: all) from the cache; returns how many. */
size_t dcache_shrink(struct super *s);
void dcache_init(void);
