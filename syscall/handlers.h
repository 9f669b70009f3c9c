/* Prototypes of all handlers, from the one list, and what the families share. */
#pragma once

#include "fs/vfs.h"
#include "lib/types.h"
#include "mm/usercopy.h"
#include "proc/fdtable.h"
#include "proc/process.h"
#include "syscall/syscall.h"

#define CALL(name) syscall_handler sys_##name;
#define NONE(name)
#include "syscall/calls.h"
#undef CALL
#undef NONE

/*
 * A path argument, fetched once.  Short ones, nearly all, need no allocation.
 *
 *     PATH_ARG(path, arg_uptr(a, 0));
 *     if (path.err) return path.err;
 */
struct path_arg {
	const char *name; /* valid when err == 0 */
	int err;	  /* -EFAULT, -ENAMETOOLONG, -ENOMEM; -ENOENT is the walk's to say */
	char small[200];
};
void path_arg_fetch(struct path_arg *p, uptr_t from);
void path_arg_release(struct path_arg *p);
#define PATH_ARG(var, from)                                 \
	struct path_arg var cleanup_with(path_arg_release); \
	path_arg_fetch(&var, (from))

/*
 * The directory a path is relative to: AT_FDCWD or an open file's place.
 *
 *     BASE_ARG(base, arg_int(a, 0));
 *     if (base.err) return base.err;
 *     … base.path …
 */
struct base_arg {
	struct fd_ref ref;
	const struct path *path; /* NULL: the working directory */
	int err;		 /* -EBADF */
};
void base_arg_fetch(struct base_arg *b, int dirfd);
static inline void base_arg_release(struct base_arg *b)
{
	if (b->ref.file)
		fd_release(&b->ref);
}
#define BASE_ARG(var, dirfd)                                \
	struct base_arg var cleanup_with(base_arg_release); \
	base_arg_fetch(&var, (dirfd))

/* A path held to the end of the scope. */
#define AUTO_PATH cleanup_with(path_put_cleanup)
static inline void path_put_cleanup(struct path *p)
{
	if (p->dentry)
		path_put(p);
}

/* Looks up (dirfd, path, AT_* flags): AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH. *out counted, to be put by the caller. */
int lookup_at(int dirfd, uptr_t path, unsigned flags, struct path *out) must_check;
/* The same, by another actor than the calling process. */
int lookup_at_as(const struct actor *who, int dirfd, uptr_t path, unsigned flags, struct path *out) must_check;

/* struct timespec / timeval arguments. A NULL pointer is the caller's to look for. -EFAULT, -EINVAL (nanoseconds out of
 * range, negative). */
int timespec_arg(uptr_t p, uint64_t *ns) must_check;
int timespec_to_user(uptr_t p, uint64_t ns) must_check;
int timeval_to_user(uptr_t p, uint64_t ns) must_check;
/* now + ns, saturating. */
uint64_t deadline_after(uint64_t now_ns, uint64_t ns);

/* A signal mask argument (sigsetsize must be 8). */
int sigset_arg(uptr_t p, uint64_t size, uint64_t *mask) must_check;

static inline bool capable(unsigned cap)
{
	return cred_capable(task_current()->cred, cap);
}
