/* Arguments that take more than a cast: paths, directories, times, signal sets. */
#include <linux/fcntl.h>
#include <linux/time_types.h>
#include <linux/time.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "syscall/extensible.h"
#include "syscall/handlers.h"

void path_arg_fetch(struct path_arg *p, uptr_t from)
{
	int64_t n = strncpy_from_user(p->small, from, sizeof(p->small));

	p->name = p->small;
	p->err = 0;
	if (n != -ENAMETOOLONG) {
		p->err = n < 0 ? (int)n : 0;
		return;
	}
	char *large = kmalloc(PATH_MAX_BYTES);
	if (!large) {
		p->err = -ENOMEM;
		return;
	}
	n = strncpy_from_user(large, from, PATH_MAX_BYTES);
	p->name = large;
	p->err = n < 0 ? (int)n : 0;
}

void path_arg_release(struct path_arg *p)
{
	if (p->name != p->small)
		kfree(p->name);
}

void base_arg_fetch(struct base_arg *b, int dirfd)
{
	b->ref = (struct fd_ref){0};
	b->path = NULL;
	b->err = 0;
	if (dirfd == AT_FDCWD)
		return;
	b->ref = fd_borrow(dirfd);
	if (b->ref.file)
		b->path = &b->ref.file->path;
	else
		b->err = -EBADF;
}

int lookup_at(int dirfd, uptr_t path, unsigned flags, struct path *out)
{
	struct actor who = process_actor();

	return lookup_at_as(&who, dirfd, path, flags, out);
}

int lookup_at_as(const struct actor *who, int dirfd, uptr_t path, unsigned flags, struct path *out)
{
	unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		(flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);

	PATH_ARG(name, path);
	if (name.err)
		return name.err;
	if (name.name[0] == '/') /* then dirfd does not matter, not even whether it is open */
		return vfs_lookup(who, NULL, name.name, lookup, out);
	BASE_ARG(base, dirfd);
	if (base.err)
		return base.err;
	return vfs_lookup(who, base.path, name.name, lookup, out);
}

int timespec_arg(uptr_t p, uint64_t *ns)
{
	struct __kernel_timespec ts;
	uint64_t total;

	if (copy_from_user(&ts, p, sizeof(ts)) != 0)
		return -EFAULT;
	if (ts.tv_sec < 0 || (uint64_t)ts.tv_nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (__builtin_mul_overflow((uint64_t)ts.tv_sec, NSEC_PER_SEC, &total) ||
	    __builtin_add_overflow(total, (uint64_t)ts.tv_nsec, &total))
		total = UINT64_MAX;
	*ns = total;
	return 0;
}

int timespec_to_user(uptr_t p, uint64_t ns)
{
	struct __kernel_timespec ts = {.tv_sec = (long long)(ns / NSEC_PER_SEC),
				       .tv_nsec = (long long)(ns % NSEC_PER_SEC)};

	return copy_to_user(p, &ts, sizeof(ts));
}

int timeval_to_user(uptr_t p, uint64_t ns)
{
	struct __kernel_old_timeval tv = {.tv_sec = (long)(ns / NSEC_PER_SEC),
					  .tv_usec = (long)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};

	return copy_to_user(p, &tv, sizeof(tv));
}

uint64_t deadline_after(uint64_t now_ns, uint64_t ns)
{
	uint64_t deadline;

	return __builtin_add_overflow(now_ns, ns, &deadline) ? UINT64_MAX : deadline;
}

int sigset_arg(uptr_t p, uint64_t size, uint64_t *mask)
{
	if (size != sizeof(*mask))
		return -EINVAL;
	return get_user_u64(mask, p);
}

int extensible_struct(void *dst, size_t known, uptr_t src, uint64_t size, size_t min)
{
	uint8_t rest[64];

	if (size < min)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	memset(dst, 0, known);
	if (copy_from_user(dst, src, MIN(size, known)) != 0)
		return -EFAULT;
	for (size_t at = known; at < size; at += sizeof(rest)) {
		size_t n = MIN(size - at, sizeof(rest));
		if (copy_from_user(rest, uptr_add(src, at), n) != 0)
			return -EFAULT;
		for (size_t i = 0; i < n; i++)
			if (rest[i])
				return -E2BIG;
	}
	return 0;
}
