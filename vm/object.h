/*
 * Memory objects: numbered pages that files and shared memory are made of.  Theory in object.c.
 *
 * A file's object is its page cache: one copy of each page whoever reads, writes or maps it; tmpfs files ARE their
 * object.  Private anonymous memory has no object: its pages live in the page tables alone (vm/aspace.h).  Of address
 * spaces an object knows only which areas map it (vm/rmap.c), so that truncation can reach them.
 */
#pragma once

#include "lib/radix.h"
#include "lib/rbtree.h"
#include "lib/types.h"
#include "mm/page.h"
#include "sync/refcount.h"
#include "sync/spinlock.h"

struct vm_object;

/*
 * All three are called with no lock of vm/'s held; fill and write possibly inside a user copy, so while the caller's
 * caller holds any lock that may be held across one (an inode's, a file position's): they must take no lock ranked
 * below LOCK_ASPACE.
 */
struct pager_ops {
	/* Fills a locked, freshly allocated page with the object's page `index`; bytes past the end are zero. 0, -EIO,
	 * … May sleep. NULL: pages start zeroed and stay until truncated (tmpfs, shared anonymous). */
	int (*fill)(struct vm_object *o, uint64_t index, struct page *p);
	/* Writes a dirty page out. NULL: nothing to write to. May sleep. */
	int (*write)(struct vm_object *o, uint64_t index, struct page *p);
	/* Last reference gone, all pages dropped; frees the container. May not be NULL. */
	void (*release)(struct vm_object *o);
};

struct vm_object {
	struct refcount refs;
	const struct pager_ops *ops; /* I */
	struct spinlock lock;	     /* LOCK_OBJECT: pages, page_count, writes of size_bytes */
	struct radix_tree pages;     /* index → struct page */
	uint64_t page_count;
	uint64_t size_bytes;	  /* faults beyond its last page are SIGBUS; written under lock, read without */
	struct spinlock map_lock; /* LOCK_OBJECT_MAPS: maps */
	struct rb_root maps;	  /* the areas that map it, by offset, augmented with the largest end (vm/rmap.c) */
};

/* Pages the object's bytes take: faults at or above this index are SIGBUS. */
static inline uint64_t vm_object_page_limit(const struct vm_object *o)
{
	uint64_t size_bytes = READ_ONCE(o->size_bytes);

	return size_bytes / PAGE_SIZE + (size_bytes % PAGE_SIZE != 0);
}

/* Whether pages come from and go to somewhere: a file system's cache as opposed to memory that is its own home. */
static inline bool vm_object_has_backing(const struct vm_object *o)
{
	return o->ops->fill != NULL;
}

/* In the caller's storage, with one reference. */
void vm_object_init(struct vm_object *o, const struct pager_ops *ops, uint64_t size_bytes);
/* A stand-alone anonymous shared object (MAP_SHARED|MAP_ANONYMOUS). -ENOMEM. */
int vm_object_create(uint64_t size_bytes, struct vm_object **out) must_check;
static inline void vm_object_get(struct vm_object *o)
{
	refcount_get(&o->refs);
}
/* The last reference drops all pages and calls ops->release. Thread context, no spinlock held. */
void vm_object_put(struct vm_object *o);

/*
 * The page with a reference for the caller, brought in or (create) made when absent. Without create, an absent page of
 * an object without fill gives *out = NULL and 0: a hole. -ENOMEM, -EIO. May sleep.
 */
int vm_object_page(struct vm_object *o, uint64_t index, bool create, struct page **out) must_check;
/* The same with create, but -ENXIO at or past the end of the object: for faults. */
int vm_object_page_within(struct vm_object *o, uint64_t index, struct page **out) must_check;
/* Gives the object a page that somebody has already made, counted and up to date, as page `index`, where there is none
 * yet (-EEXIST); it takes a reference of its own. -ENOMEM. */
int vm_object_add(struct vm_object *o, uint64_t index, struct page *p) must_check;
/* Only if it is there and up to date: with a reference, or NULL. Any context. */
struct page *vm_object_lookup(struct vm_object *o, uint64_t index);

/* File content through the cache. Both return bytes done, or -errno if none. vm_object_read stops at size_bytes;
 * vm_object_write grows size_bytes. pos+len is checked by the caller against the file system's limit. May sleep (user
 * copies). */
struct uio;
int64_t vm_object_read(struct vm_object *o, uint64_t pos, struct uio *u);
int64_t vm_object_write(struct vm_object *o, uint64_t pos, struct uio *u);
/* Sets the size; pages wholly past it are dropped from the object and from every mapping; the tail of the last page is
 * zeroed. */
void vm_object_truncate(struct vm_object *o, uint64_t size_bytes);
/* Drops [start,end) pages (hole punch); they read as zero again. */
void vm_object_drop(struct vm_object *o, uint64_t first_index, uint64_t end_index);
/* First page >= *index with data, below the end of the object; false and *index untouched if there is none: for
 * SEEK_DATA. Of an object with a fill only the pages in memory count, so a file system that knows its holes better
 * answers itself. */
bool vm_object_next_data(struct vm_object *o, uint64_t *index);
/* First page >= index without data, the end of the object at the latest: for SEEK_HOLE. */
uint64_t vm_object_next_hole(struct vm_object *o, uint64_t index);
/* Writes the dirty pages of [first,end) out. 0 or the first error. May sleep. */
int vm_object_sync(struct vm_object *o, uint64_t first_index, uint64_t end_index) must_check;
/*
 * Notes that a page's content was changed by other means than vm_object_write. Any context. Also where it is dirty
 * already: a look alone could come before the stores to the content, which wait in the store buffer, while
 * vm_object_sync() cleans the page and reads it without them.
 */
static inline void vm_page_mark_dirty(struct page *p)
{
	atomic_fetch_or(&p->flags, PAGE_DIRTY);
}

/* All object pages of the system, for /proc/meminfo. cached: with a backing; shmem: without (Linux's "Cached" is the
 * sum of both). */
extern uint64_t vm_object_pages_cached, vm_object_pages_shmem;
