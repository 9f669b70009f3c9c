/*
 * File descriptor tables: number → open file.  Theory in fdtable.c.
 *
 * Look-ups by the only user of a table take no reference (fd_borrow); shared tables count.
 */
#pragma once

#include "lib/types.h"
#include "sync/refcount.h"
#include "sync/spinlock.h"

struct file;

/* The most RLIMIT_NOFILE may be raised to (Linux's fs.nr_open). */
#define FDTABLE_MAX (1u << 20)

struct fdtable {
	struct refcount refs; /* tasks that share it, and /proc looking */
	struct spinlock lock; /* the rest, unless the only user looks */
	struct file **files;  /* capacity entries */
	uint64_t *open_map, *cloexec_map;
	uint32_t capacity;
	uint32_t next_free; /* no free number below */
	struct file *inline_files[64];
	uint64_t inline_maps[2]; /* most tables never need more */
};

int fdtable_create(struct fdtable **out) must_check;
int fdtable_copy(struct fdtable *from, struct fdtable **out) must_check; /* fork */
static inline void fdtable_get(struct fdtable *t)
{
	refcount_get(&t->refs);
}
void fdtable_put(struct fdtable *t); /* last: closes all */
void fdtable_close_on_exec(struct fdtable *t);

/* A borrowed file for the length of a system call: no counting when this thread is the table's only user. */
struct fd_ref {
	struct file *file; /* NULL: -EBADF */
	bool counted;
};
struct fd_ref fd_borrow(int fd);
void fd_release(struct fd_ref *r);
#define FD_BORROW(name, fd) struct fd_ref name cleanup_with(fd_release) = fd_borrow(fd)

/* Lowest free number >= min for f (takes f's reference on success). -EMFILE, -ENOMEM. */
int fd_install(struct file *f, int min, bool cloexec) must_check;
/* Two-step: reserve a number first (may fail), then commit (cannot) or cancel. */
int fd_reserve(int min, bool cloexec) must_check;
void fd_commit(int fd, struct file *f);
void fd_cancel(int fd);
int fd_close(int fd) must_check;				 /* -EBADF */
int fd_replace(int fd, struct file *f, bool cloexec) must_check; /* dup2: takes f */
int fd_get_cloexec(int fd);					 /* 0/1 or -EBADF */
int fd_set_cloexec(int fd, bool on) must_check;
int fd_close_range(uint32_t first, uint32_t last, bool only_cloexec) must_check;
/* Counted file of another process's table, for /proc; NULL. */
struct file *fdtable_file(struct fdtable *t, int fd);
int fdtable_next(struct fdtable *t, int fd); /* lowest open >= fd or -1 */

/* Gives the calling process a table of its own (close_range's UNSHARE, exec). -ENOMEM. */
int fdtable_unshare(void) must_check;
uint32_t fdtable_capacity(void); /* of the caller's: numbers at or above are not open */
/* The mode of the open file; -ENOENT: there is none. */
int fdtable_mode(struct fdtable *t, int fd);
bool fdtable_cloexec(struct fdtable *t, int fd);

/* The parts fd_… are made of, for fdtable.c and its tests; the table's lock held, except for grow. */
int fdtable_grow(struct fdtable *t, uint32_t fd) must_check; /* -ENOMEM, -EMFILE */
uint32_t fdtable_reserve_locked(struct fdtable *t, uint32_t min, bool cloexec);
struct file *fdtable_take_out_locked(struct fdtable *t, uint32_t fd);
