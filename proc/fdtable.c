/*
 * File descriptor tables: theory.
 *
 * A table is an array of file pointers and two bitmaps (open, close-on-exec). The first 64 numbers lie in the table's
 * own struct, so fork copies one object and most programs never see the array grow. A number that is reserved
 * (fd_reserve) has its open bit set and no file: look-ups say -EBADF.
 *
 * Locking: the spinlock guards everything, and it is not needed by a task that is the table's only user for what it
 * does itself: nobody else can change the table, and another user can only come into being by the task's own clone.
 * /proc's readers take a reference too; they only read, so they do not disturb a user that saw itself alone before.
 * Writers always lock because of these readers.
 *
 * Look-up (fd_borrow): alone, two loads and no counting, as nobody can close the file before the call ends; shared, a
 * counted reference under the lock. Rejected: RCU-like deferred freeing for shared look-ups; the lock is held for ten
 * instructions and is per table.
 *
 * Files are released (file_put may sleep) only after the lock is dropped.
 */
#include "proc/fdtable.h"

#include <asm/errno.h>
#include <linux/resource.h>
#include <linux/sched.h>

#include "fs/vfs.h"
#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/process.h"

#define INLINE_FDS 64u

static struct fdtable *table_alloc(void)
{
	struct fdtable *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	refcount_init(&t->refs, 1);
	spin_init(&t->lock, LOCK_FDTABLE, "fd table");
	t->files = t->inline_files;
	t->open_map = &t->inline_maps[0];
	t->cloexec_map = &t->inline_maps[1];
	t->capacity = INLINE_FDS;
	return t;
}

static void arrays_free(struct fdtable *t)
{
	if (t->files != t->inline_files)
		kfree(t->files); /* the maps are in the same block */
}

/* One block: the pointers, then both maps. */
static void *arrays_alloc(uint32_t capacity)
{
	return kzalloc(capacity * sizeof(struct file *) + 2 * BITMAP_WORDS(capacity) * sizeof(uint64_t));
}

static void arrays_set(struct fdtable *t, void *block, uint32_t capacity)
{
	t->files = block;
	t->open_map = (uint64_t *)(t->files + capacity);
	t->cloexec_map = t->open_map + BITMAP_WORDS(capacity);
	t->capacity = capacity;
}

int fdtable_create(struct fdtable **out)
{
	struct fdtable *t = table_alloc();
	if (!t)
		return -ENOMEM;
	*out = t;
	return 0;
}

/* Makes room for number fd. -ENOMEM, -EMFILE. No lock held. */
int fdtable_grow(struct fdtable *t, uint32_t fd)
{
	if (fd >= FDTABLE_MAX)
		return -EMFILE;
	uint32_t capacity = INLINE_FDS;
	while (capacity <= fd)
		capacity *= 2;
	void *block = arrays_alloc(capacity);
	if (!block)
		return -ENOMEM;

	irqflags_t f = spin_lock(&t->lock);
	void *old = NULL;
	if (t->capacity < capacity) {
		struct fdtable before = {.files = t->files,
					 .open_map = t->open_map,
					 .cloexec_map = t->cloexec_map,
					 .capacity = t->capacity};
		arrays_set(t, block, capacity);
		memcpy(t->files, before.files, before.capacity * sizeof(*t->files));
		memcpy(t->open_map, before.open_map, BITMAP_WORDS(before.capacity) * sizeof(uint64_t));
		memcpy(t->cloexec_map, before.cloexec_map, BITMAP_WORDS(before.capacity) * sizeof(uint64_t));
		if (before.files != t->inline_files)
			old = before.files;
	} else {
		old = block; /* another thread was faster */
	}
	spin_unlock(&t->lock, f);
	kfree(old);
	return 0;
}

/* One past the highest open number. Lock held, or alone. */
static uint32_t table_top(const struct fdtable *t)
{
	for (size_t w = BITMAP_WORDS(t->capacity); w > 0; w--)
		if (t->open_map[w - 1])
			return (uint32_t)(w * 64 - (unsigned)__builtin_clzll(t->open_map[w - 1]));
	return 0;
}

/* Lock of from held; to is large enough for `top` and nobody else's. */
static void copy_locked(struct fdtable *from, struct fdtable *to, uint32_t top)
{
	size_t words = BITMAP_WORDS(top);

	memcpy(to->open_map, from->open_map, words * sizeof(uint64_t));
	memcpy(to->cloexec_map, from->cloexec_map, words * sizeof(uint64_t));
	for (uint32_t fd = 0; fd < top; fd++) {
		struct file *f = from->files[fd];
		to->files[fd] = f;
		if (f)
			file_get(f);
		else
			bitmap_clear(to->open_map,
				     fd); /* reserved by another thread's call: its file will not come here */
	}
	to->next_free = MIN(from->next_free, top);
	for (uint32_t fd = 0; fd < to->next_free; fd++)
		if (!to->files[fd])
			to->next_free = fd;
}

int fdtable_copy(struct fdtable *from, struct fdtable **out)
{
	struct fdtable *to = table_alloc();
	if (!to)
		return -ENOMEM;
	for (;;) {
		irqflags_t f = spin_lock(&from->lock);
		uint32_t top = table_top(from);
		if (top <= to->capacity) {
			copy_locked(from, to, top);
			spin_unlock(&from->lock, f);
			*out = to;
			return 0;
		}
		spin_unlock(&from->lock, f);
		int err = fdtable_grow(to, top - 1);
		if (err) {
			fdtable_put(to);
			return err;
		}
	}
}

void fdtable_put(struct fdtable *t)
{
	if (!refcount_put(&t->refs))
		return;
	uint32_t top = table_top(t);
	for (uint32_t fd = 0; fd < top; fd++)
		if (t->files[fd])
			file_put(t->files[fd]);
	arrays_free(t);
	kfree(t);
}

/* Lock held. What was there goes to the caller to be put. */
struct file *fdtable_take_out_locked(struct fdtable *t, uint32_t fd)
{
	struct file *f = t->files[fd];

	t->files[fd] = NULL;
	bitmap_clear(t->open_map, fd);
	bitmap_clear(t->cloexec_map, fd);
	t->next_free = MIN(t->next_free, fd);
	return f;
}

void fdtable_close_on_exec(struct fdtable *t)
{
	/* The table is the caller's alone here; the lock is for /proc. */
	for (uint32_t fd = 0;; fd++) {
		irqflags_t f = spin_lock(&t->lock);
		fd = (uint32_t)bitmap_next_set(t->cloexec_map, t->capacity, fd);
		struct file *file = fd < t->capacity ? fdtable_take_out_locked(t, fd) : NULL;
		bool end = fd >= t->capacity;
		spin_unlock(&t->lock, f);
		if (file)
			file_put(file);
		if (end)
			return;
	}
}

/* --- look-up ----------------------------------------------------------------------------------------------------- */

struct fd_ref fd_borrow(int fd)
{
	struct fdtable *t = task_current()->files;
	struct fd_ref r = {NULL, false};

	/* acquire: what the last of the others changed is seen by who finds itself alone */
	if (likely(atomic_load_acquire(&t->refs.n) == 1)) {
		if ((uint32_t)fd < t->capacity)
			r.file = t->files[fd];
		return r;
	}
	SPIN_GUARD(&t->lock);
	if ((uint32_t)fd < t->capacity && t->files[fd]) {
		r.file = t->files[fd];
		r.counted = true;
		file_get(r.file);
	}
	return r;
}

void fd_release(struct fd_ref *r)
{
	if (unlikely(r->counted))
		file_put(r->file);
}

struct file *fdtable_file(struct fdtable *t, int fd)
{
	SPIN_GUARD(&t->lock);
	struct file *f = (uint32_t)fd < t->capacity ? t->files[fd] : NULL;

	if (f)
		file_get(f);
	return f;
}

int fdtable_next(struct fdtable *t, int fd)
{
	SPIN_GUARD(&t->lock);

	for (size_t n = (size_t)MAX(fd, 0); (n = bitmap_next_set(t->open_map, t->capacity, n)) < t->capacity; n++)
		if (t->files[n])
			return (int)n;
	return -1;
}

int fdtable_mode(struct fdtable *t, int fd)
{
	SPIN_GUARD(&t->lock);
	const struct file *f = (uint32_t)fd < t->capacity ? t->files[fd] : NULL;
	return f ? (int)f->mode : -ENOENT;
}

bool fdtable_cloexec(struct fdtable *t, int fd)
{
	SPIN_GUARD(&t->lock);
	return (uint32_t)fd < t->capacity && bitmap_test(t->cloexec_map, (size_t)fd);
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

/* Lock held: marks the lowest free number >= min used. capacity when the table is full up to there. */
uint32_t fdtable_reserve_locked(struct fdtable *t, uint32_t min, bool cloexec)
{
	uint32_t fd = (uint32_t)bitmap_next_zero(t->open_map, t->capacity, MAX(min, t->next_free));

	if (fd >= t->capacity)
		return fd;
	bitmap_set(t->open_map, fd);
	if (cloexec)
		bitmap_set(t->cloexec_map, fd);
	else
		bitmap_clear(t->cloexec_map, fd);
	if (min <= t->next_free)
		t->next_free = fd + 1;
	return fd;
}

/* Reserves and, if file is not NULL, fills in one step. */
static int fd_take(struct file *file, int min, bool cloexec)
{
	struct fdtable *t = task_current()->files;
	uint64_t limit = MIN(process_limit(RLIMIT_NOFILE), (uint64_t)FDTABLE_MAX);

	if (min < 0 || (uint64_t)min >= limit)
		return min ? -EINVAL : -EMFILE; /* man 2 fcntl, F_DUPFD; man 2 open */
	for (;;) {
		irqflags_t f = spin_lock(&t->lock);
		uint32_t fd = fdtable_reserve_locked(t, (uint32_t)min, cloexec);
		uint32_t capacity = t->capacity;
		if (fd < capacity) {
			if (fd >= limit) {
				(void)fdtable_take_out_locked(t, fd);
				spin_unlock(&t->lock, f);
				return -EMFILE;
			}
			t->files[fd] = file;
			spin_unlock(&t->lock, f);
			return (int)fd;
		}
		spin_unlock(&t->lock, f);
		fd = MAX(capacity, (uint32_t)min);
		if (fd >= limit)
			return -EMFILE;
		int err = fdtable_grow(t, fd);
		if (err)
			return err;
	}
}

int fd_install(struct file *f, int min, bool cloexec)
{
	return fd_take(f, min, cloexec);
}

int fd_reserve(int min, bool cloexec)
{
	return fd_take(NULL, min, cloexec);
}

void fd_commit(int fd, struct file *f)
{
	struct fdtable *t = task_current()->files;
	SPIN_GUARD(&t->lock);

	t->files[fd] = f;
}

void fd_cancel(int fd)
{
	struct fdtable *t = task_current()->files;
	SPIN_GUARD(&t->lock);

	(void)fdtable_take_out_locked(t, (uint32_t)fd);
}

int fd_close(int fd)
{
	struct fdtable *t = task_current()->files;
	irqflags_t f = spin_lock(&t->lock);
	struct file *file = NULL;

	if ((uint32_t)fd < t->capacity && t->files[fd])
		file = fdtable_take_out_locked(t, (uint32_t)fd);
	spin_unlock(&t->lock, f);
	if (!file)
		return -EBADF;
	file_put(file);
	return 0;
}

int fd_replace(int fd, struct file *file, bool cloexec)
{
	struct fdtable *t = task_current()->files;

	if (fd < 0 || (uint64_t)fd >= MIN(process_limit(RLIMIT_NOFILE), (uint64_t)FDTABLE_MAX))
		return -EBADF;
	if ((uint32_t)fd >= READ_ONCE(t->capacity)) {
		int err = fdtable_grow(t, (uint32_t)fd);
		if (err)
			return err;
	}
	irqflags_t f = spin_lock(&t->lock);
	if (bitmap_test(t->open_map, (size_t)fd) && !t->files[fd]) {
		spin_unlock(&t->lock, f);
		return -EBUSY; /* man 2 dup: another thread's open is about to use the number */
	}
	struct file *old = t->files[fd];
	t->files[fd] = file;
	bitmap_set(t->open_map, (size_t)fd);
	if (cloexec)
		bitmap_set(t->cloexec_map, (size_t)fd);
	else
		bitmap_clear(t->cloexec_map, (size_t)fd);
	spin_unlock(&t->lock, f);
	if (old)
		file_put(old);
	return 0;
}

int fd_get_cloexec(int fd)
{
	struct fdtable *t = task_current()->files;
	SPIN_GUARD(&t->lock);

	if ((uint32_t)fd >= t->capacity || !t->files[fd])
		return -EBADF;
	return bitmap_test(t->cloexec_map, (size_t)fd);
}

int fd_set_cloexec(int fd, bool on)
{
	struct fdtable *t = task_current()->files;
	SPIN_GUARD(&t->lock);

	if ((uint32_t)fd >= t->capacity || !t->files[fd])
		return -EBADF;
	if (on)
		bitmap_set(t->cloexec_map, (size_t)fd);
	else
		bitmap_clear(t->cloexec_map, (size_t)fd);
	return 0;
}

int fd_close_range(uint32_t first, uint32_t last, bool only_cloexec)
{
	struct fdtable *t = task_current()->files;

	if (first > last)
		return -EINVAL;
	for (uint32_t fd = first;; fd++) {
		irqflags_t f = spin_lock(&t->lock);
		fd = (uint32_t)bitmap_next_set(t->open_map, t->capacity, fd);
		bool end = fd >= t->capacity || fd > last;
		struct file *file = NULL;
		if (!end && t->files[fd]) {
			if (only_cloexec)
				bitmap_set(t->cloexec_map, fd);
			else
				file = fdtable_take_out_locked(t, fd);
		}
		spin_unlock(&t->lock, f);
		if (file)
			file_put(file);
		if (end || fd == UINT32_MAX)
			return 0;
	}
}

int fdtable_unshare(void)
{
	return process_unshare(CLONE_FILES);
}

uint32_t fdtable_capacity(void)
{
	return READ_ONCE(task_current()->files->capacity);
}
