/*
 * File content through the pages of an object: read, write, truncation, holes, write-back.  Theory in object.c.
 *
 * The caller serialises write and truncate of one object by its inode lock; read, faults and everything else may run at
 * any time.
 */
#include <asm/errno.h>
#include "core/panic.h"
#include "lib/string.h"
#include "mm/uio.h"
#include "vm/internal.h"

int64_t vm_object_read(struct vm_object *o, uint64_t pos, struct uio *u)
{
	size_t before = u->left;
	int err = 0;

	while (u->left) {
		uint64_t size_bytes = READ_ONCE(o->size_bytes);
		unsigned offset = pos & PAGE_MASK;
		struct page *p;

		if (pos >= size_bytes)
			break;

		size_t len = MIN(MIN((uint64_t)u->left, size_bytes - pos), (uint64_t)PAGE_SIZE - offset);

		err = vm_object_page(o, pos >> PAGE_SHIFT, false, &p);
		if (err)
			break;
		if (p) {
			err = uio_put(u, (char *)page_to_ptr(p) + offset, len);
			page_put(p);
		} else {
			err = uio_put_zero(u, len);
		}
		if (err)
			break;
		pos += len;
	}
	return before != u->left ? (int64_t)(before - u->left) : err;
}

/* Growth after a page was written; before the size moves past it, so that nobody reads what is not there yet. */
static void size_grow(struct vm_object *o, uint64_t size_bytes)
{
	if (READ_ONCE(o->size_bytes) >= size_bytes)
		return;
	SPIN_GUARD(&o->lock);
	if (o->size_bytes < size_bytes)
		WRITE_ONCE(o->size_bytes, size_bytes);
}

/*
 * Writes to a page that does not exist yet and needs nothing from a backing: the bytes go into a fresh page that nobody
 * sees, zeroes around them, and the page enters the tree complete. *done: bytes that are now in the object.
 */
static int write_new_page(struct vm_object *o, uint64_t index, unsigned offset, size_t len, struct uio *u, size_t *done)
{
	struct page *p = vm_user_page(0);

	*done = 0;
	if (!p)
		return -ENOMEM;

	char *mem = page_to_ptr(p);
	size_t before = u->left;
	int err = uio_get(u, mem + offset, len);
	size_t got = before - u->left;

	if (got == 0 || (err && vm_object_has_backing(o))) {
		/* A backed page whose other bytes are unknown cannot be completed here. */
		page_put(p);
		return err;
	}
	memset(mem, 0, offset);
	memset(mem + offset + got, 0, PAGE_SIZE - offset - got);
	p->flags = PAGE_UPTODATE | PAGE_DIRTY;

	int inserted = object_insert(o, index, p, false);

	while (inserted == -EEXIST) {
		/* A fault or a read made the page meanwhile: hand the bytes over. */
		struct page *other;

		inserted = vm_object_page(o, index, true, &other);
		if (inserted == 0) {
			memcpy((char *)page_to_ptr(other) + offset, mem + offset, got);
			vm_page_mark_dirty(other);
			page_put(other);
		}
	}
	page_put(p);
	if (inserted)
		return inserted;
	*done = got;
	return err;
}

static int write_page(struct vm_object *o, uint64_t index, unsigned offset, size_t len, struct uio *u, size_t *done)
{
	struct page *p = vm_object_lookup(o, index);

	if (!p) {
		if (!vm_object_has_backing(o) || len == PAGE_SIZE)
			return write_new_page(o, index, offset, len, u, done);
		*done = 0;

		int err = vm_object_page(o, index, true, &p);

		if (err)
			return err;
	}

	size_t before = u->left;
	int err = uio_get(u, (char *)page_to_ptr(p) + offset, len);

	*done = before - u->left;
	if (*done)
		vm_page_mark_dirty(p);
	page_put(p);
	return err;
}

/* Clears what a mapping may have left behind the last byte in the last page, before the size moves over it. */
static void zero_tail(struct vm_object *o, uint64_t size_bytes)
{
	unsigned offset = size_bytes & PAGE_MASK;
	struct page *p = offset ? vm_object_lookup(o, size_bytes >> PAGE_SHIFT) : NULL;

	if (!p)
		return;
	memset((char *)page_to_ptr(p) + offset, 0, PAGE_SIZE - offset);
	vm_page_mark_dirty(p);
	page_put(p);
}

int64_t vm_object_write(struct vm_object *o, uint64_t pos, struct uio *u)
{
	uint64_t size_bytes = READ_ONCE(o->size_bytes);
	int64_t total = 0;
	int err = 0;

	if (pos > size_bytes)
		zero_tail(o, size_bytes);
	while (u->left && !err) {
		unsigned offset = pos & PAGE_MASK;
		size_t len = MIN(u->left, (size_t)PAGE_SIZE - offset), done;

		if (unlikely(oom_dying())) { /* what it still takes would stay in the file */
			err = -EINTR;
			break;
		}
		err = write_page(o, pos >> PAGE_SHIFT, offset, len, u, &done);
		pos += done;
		total += (int64_t)done;
		if (done)
			size_grow(o, pos);
	}
	return total ? total : err;
}

/* ---- taking pages away ---- */

/* Unhooks the pages of [first,end) onto a list by their link, in portions so that the lock is not held long. */
static uint64_t unhook_pages(struct vm_object *o, uint64_t first, uint64_t end, struct list *gone)
{
	const unsigned portion = 64;
	uint64_t total = 0;

	for (;;) {
		unsigned n = 0;
		SPIN_GUARD(&o->lock);

		while (n < portion) {
			uint64_t index = first;
			struct page *p = radix_next(&o->pages, &index);

			if (!p || index >= end)
				break;
			radix_remove(&o->pages, index);
			p->owner = NULL;
			list_push_back(gone, &p->link);
			first = index + 1;
			n++;
		}
		o->page_count -= n;
		object_count_pages(o, -(int64_t)n);
		total += n;
		if (n < portion)
			return total;
	}
}

void vm_object_drop(struct vm_object *o, uint64_t first_index, uint64_t end_index)
{
	struct list gone = LIST_INIT(gone);
	struct list_node *n;

	/* Mappings only exist of pages that were in the tree; see rmap.c for those that are just being made. */
	if (unhook_pages(o, first_index, end_index, &gone) == 0)
		return;
	vm_unmap_object_range(o, first_index, end_index);
	while ((n = list_pop_front(&gone)) != NULL)
		page_put(LIST_ENTRY(n, struct page, link));
}

void vm_object_truncate(struct vm_object *o, uint64_t size_bytes)
{
	uint64_t old_bytes;

	{
		SPIN_GUARD(&o->lock);
		old_bytes = o->size_bytes;
		WRITE_ONCE(o->size_bytes, size_bytes);
	}
	if (size_bytes < old_bytes)
		vm_object_drop(o, vm_object_page_limit(o), UINT64_MAX);
	zero_tail(o, MIN(old_bytes, size_bytes));
}

/* ---- holes ---- */

bool vm_object_next_data(struct vm_object *o, uint64_t *index)
{
	SPIN_GUARD(&o->lock);
	uint64_t found = *index;

	if (!radix_next(&o->pages, &found) || found >= vm_object_page_limit(o))
		return false;
	*index = found;
	return true;
}

uint64_t vm_object_next_hole(struct vm_object *o, uint64_t index)
{
	uint64_t limit = vm_object_page_limit(o);
	const uint64_t portion = 256; /* pages looked at in one go */

	while (index < limit) {
		SPIN_GUARD(&o->lock);
		for (uint64_t stop = MIN(limit, index + portion); index < stop; index++) {
			uint64_t found = index;

			if (!radix_next(&o->pages, &found) || found != index)
				return index;
		}
	}
	return limit;
}

/* ---- write-back ---- */

/* The next dirty page at or after *index, with a reference. */
static struct page *next_dirty(struct vm_object *o, uint64_t *index, uint64_t end)
{
	SPIN_GUARD(&o->lock);
	struct page *p;

	for (; (p = radix_next(&o->pages, index)) != NULL && *index < end; (*index)++) {
		if (!(READ_ONCE(p->flags) & PAGE_DIRTY))
			continue;
		page_get(p);
		return p;
	}
	return NULL;
}

int vm_object_sync(struct vm_object *o, uint64_t first_index, uint64_t end_index)
{
	uint64_t index = first_index;
	struct page *p;
	int result = 0;

	if (!o->ops->write)
		return 0;
	while ((p = next_dirty(o, &index, end_index)) != NULL) {
		/*
		 * Clean first, then unmapped, then written: a program that stores after this faults and marks the page
		 * dirty again, so no store is lost between the writing and the marking.
		 */
		atomic_fetch_and(&p->flags, (uint16_t)~PAGE_DIRTY);
		vm_unmap_object_range(o, index, index + 1);

		int err = o->ops->write(o, index, p);

		if (err) {
			vm_page_mark_dirty(p);
			result = result ? result : err;
		}
		page_put(p);
		index++;
	}
	return result;
}
