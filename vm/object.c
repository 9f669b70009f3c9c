/*
 * Memory objects: theory.
 *
 * An object is a set of numbered pages with a size.  There are two kinds, told apart by pager_ops.fill.  An object with
 * a backing is a cache of something slower: an absent page is filled when it is wanted.  One without is the thing
 * itself (tmpfs, shared memory): an absent page is a hole, reads as zero and is made when it is written or mapped.
 *
 * A page in an object has owner = the object and index = its number, and holds one reference for the object; every
 * mapping and everybody who works on the page holds another.  So a page that truncation removes stays valid memory for
 * those who still have it, and it tells them: its owner is no longer the object.
 *
 * Locking.  object->lock guards the tree, page_count, page->owner and writes of size_bytes.  A page's content is
 * guarded by nobody: concurrent read and write of a file are serialised, if at all, by the file system's inode lock,
 * and mappings write whenever they please. What must never be seen is a page before its first content.  Where memory is
 * its own backing, pages enter the tree complete.  Where a fill is needed they enter LOCKED and not UPTODATE; the one
 * who entered the page fills it, everyone else sleeps until LOCKED goes.  After a failed fill the page leaves the tree
 * and each waiter tries for itself, so that an error is reported to those who asked and not remembered.
 *
 * No page is LOCKED while a program's memory is copied.  So a write() whose buffer is a mapping of the very page it
 * writes to just works: the fault inside the copy finds the page up to date.  And a page that a write() makes from
 * nothing is filled before it enters the tree, when nobody else can see it.
 *
 * size_bytes is read without lock.  Truncation stores the new size first, then removes pages, then mappings; a fault
 * that read the old size finds out when it makes the page (vm_object_page_within, under the lock) or when it maps it
 * (owner, see rmap.c).
 *
 * Rejected: a lock bit for every access to a page's content (write() into its own mapping deadlocks or needs
 * pre-faulting and retries); a busy state per page without the radix tree's help (two inserters would race);
 * remembering I/O errors in pages.
 */
#include "vm/object.h"

#include <asm/errno.h>
#include "core/panic.h"
#include "lib/hash.h"
#include "mm/slab.h"
#include "sched/wait.h"
#include "vm/internal.h"

uint64_t vm_object_pages_cached, vm_object_pages_shmem;

/* Whoever waits for a page's LOCKED bit sleeps on one of these. */
#define PAGE_WAIT_QUEUES 64
static struct wait_queue page_waits[PAGE_WAIT_QUEUES];

static struct slab_cache *radix_cache;

static void *radix_node_alloc(const struct radix_mem *mem)
{
	(void)mem;
	return slab_alloc(radix_cache, 0);
}

static void radix_node_free(const struct radix_mem *mem, void *node)
{
	(void)mem;
	slab_free(radix_cache, node);
}

static const struct radix_mem object_radix_mem = {.alloc = radix_node_alloc, .free = radix_node_free};

void object_cache_init(void)
{
	radix_cache = slab_cache_create("radix_node", RADIX_NODE_BYTES, 0);
	if (!radix_cache)
		boot_stop("vm: no memory for the first slab cache");
	for (unsigned i = 0; i < PAGE_WAIT_QUEUES; i++)
		wait_queue_init(&page_waits[i]);
}

static void anonymous_release(struct vm_object *o)
{
	kfree(o);
}

const struct pager_ops vm_anonymous_ops = {.release = anonymous_release};

void vm_object_init(struct vm_object *o, const struct pager_ops *ops, uint64_t size_bytes)
{
	refcount_init(&o->refs, 1);
	o->ops = ops;
	spin_init(&o->lock, LOCK_OBJECT, "object");
	radix_init(&o->pages, &object_radix_mem);
	o->page_count = 0;
	o->size_bytes = size_bytes;
	spin_init(&o->map_lock, LOCK_OBJECT_MAPS, "object maps");
	rb_init(&o->maps);
}

int vm_object_create(uint64_t size_bytes, struct vm_object **out)
{
	struct vm_object *o = kmalloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	vm_object_init(o, &vm_anonymous_ops, size_bytes);
	*out = o;
	return 0;
}

void object_count_pages(struct vm_object *o, int64_t pages)
{
	uint64_t *total = vm_object_has_backing(o) ? &vm_object_pages_cached : &vm_object_pages_shmem;

	__atomic_fetch_add(total, (uint64_t)pages, __ATOMIC_RELAXED);
}

static void drop_visit(void *ctx, uint64_t index, void *item)
{
	struct page *p = item;

	(void)ctx;
	(void)index;
	p->owner = NULL;
	page_put(p);
}

void vm_object_put(struct vm_object *o)
{
	if (!refcount_put(&o->refs))
		return;
	/* Areas hold references, so nothing maps it and nobody else can reach it. */
	ASSERT(rb_empty(&o->maps));
	object_count_pages(o, -(int64_t)o->page_count);
	o->page_count = 0;
	radix_clear(&o->pages, drop_visit, NULL);
	o->ops->release(o);
}

struct page *vm_object_lookup(struct vm_object *o, uint64_t index)
{
	SPIN_GUARD(&o->lock);
	struct page *p = radix_lookup(&o->pages, index);

	if (!p || !(atomic_load_acquire(&p->flags) & PAGE_UPTODATE))
		return NULL;
	page_get(p);
	return p;
}

/* ---- making and filling ---- */

int object_insert(struct vm_object *o, uint64_t index, struct page *p, bool within)
{
	SPIN_GUARD(&o->lock);
	if (within && index >= vm_object_page_limit(o))
		return -ENXIO;

	int err = radix_insert(&o->pages, index, p);

	if (err)
		return err;
	p->owner = o;
	p->index = index;
	page_get(p);
	o->page_count++;
	object_count_pages(o, 1);
	return 0;
}

int vm_object_add(struct vm_object *o, uint64_t index, struct page *p)
{
	p->flags = PAGE_UPTODATE;
	return object_insert(o, index, p, false);
}

static struct wait_queue *page_wait_queue(const struct page *p)
{
	return &page_waits[hash_ptr(p) % PAGE_WAIT_QUEUES];
}

static void page_unlock(struct page *p, unsigned set)
{
	if (set)
		atomic_fetch_or(&p->flags, set);
	atomic_fetch_and(&p->flags, (uint16_t)~PAGE_LOCKED);
	wait_wake_all(page_wait_queue(p));
}

/* Takes a page out again, unless truncation was faster. Drops the object's reference. */
static void object_remove_page(struct vm_object *o, struct page *p)
{
	{
		SPIN_GUARD(&o->lock);
		if (p->owner != o)
			return;
		radix_remove(&o->pages, p->index);
		p->owner = NULL;
		o->page_count--;
		object_count_pages(o, -1);
	}
	page_put(p);
}

/* Fills the LOCKED page that the caller has just entered. */
static int fill_page(struct vm_object *o, uint64_t index, struct page *p)
{
	int err = o->ops->fill(o, index, p);

	if (err)
		object_remove_page(o, p);
	page_unlock(p, err ? 0 : PAGE_UPTODATE);
	return err;
}

/* The page at index with a reference, up to date or somebody's to fill; NULL if there is none. */
static struct page *find_any(struct vm_object *o, uint64_t index)
{
	SPIN_GUARD(&o->lock);
	struct page *p = radix_lookup(&o->pages, index);

	if (p)
		page_get(p);
	return p;
}

static bool page_ready(struct page *p)
{
	if (atomic_load_acquire(&p->flags) & PAGE_UPTODATE)
		return true;
	WAIT_UNTIL(page_wait_queue(p), !(atomic_load_acquire(&p->flags) & PAGE_LOCKED), 0, WAIT_FOREVER);
	return atomic_load_acquire(&p->flags) & PAGE_UPTODATE;
}

/* Makes page `index`; -EEXIST if somebody else did meanwhile. */
static int make_page(struct vm_object *o, uint64_t index, bool within, struct page **out)
{
	bool fill = vm_object_has_backing(o);
	struct page *p = vm_user_page(fill ? 0 : ALLOC_ZERO);

	if (!p)
		return -ENOMEM;
	p->flags = fill ? PAGE_LOCKED : PAGE_UPTODATE;

	int err = object_insert(o, index, p, within);

	if (!err && fill)
		err = fill_page(o, index, p);
	if (err) {
		page_put(p);
		return err;
	}
	*out = p;
	return 0;
}

static int get_page(struct vm_object *o, uint64_t index, bool create, bool within, struct page **out)
{
	for (;;) {
		struct page *p = find_any(o, index);

		if (p) {
			if (page_ready(p)) {
				*out = p;
				return 0;
			}
			page_put(p); /* its fill failed and it has left the tree */
			continue;
		}
		if (!create && !vm_object_has_backing(o)) {
			*out = NULL;
			return 0;
		}

		int err = make_page(o, index, within, out);

		if (err != -EEXIST)
			return err;
	}
}

int vm_object_page(struct vm_object *o, uint64_t index, bool create, struct page **out)
{
	return get_page(o, index, create, false, out);
}

int vm_object_page_within(struct vm_object *o, uint64_t index, struct page **out)
{
	if (index >= vm_object_page_limit(o))
		return -ENXIO;
	return get_page(o, index, true, true, out);
}
