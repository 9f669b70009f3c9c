/* Descriptors and the bytes behind them: open, close, read, write, seek, dup, fcntl, ioctl, pipes, sync. */
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/openat2.h>
#include <linux/resource.h>

#include "fs/pipe.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "syscall/extensible.h"
#include "syscall/handlers.h"

/* Gives f a number or drops it. */
static long install_or_put(struct file *f, unsigned flags)
{
	int fd = fd_install(f, 0, flags & O_CLOEXEC);

	if (fd < 0)
		file_put(f);
	return fd;
}

static long open_at(int dirfd, uptr_t path, unsigned flags, uint32_t mode, unsigned resolve)
{
	struct actor who = process_actor();
	struct file *f;

	PATH_ARG(name, path);
	if (name.err)
		return name.err;
	BASE_ARG(base, name.name[0] == '/' && !resolve ? AT_FDCWD : dirfd);
	if (base.err)
		return base.err;
	/* The number first: when there is none, nothing must have been created. */
	int fd = fd_reserve(0, flags & O_CLOEXEC);
	if (fd < 0)
		return fd;
	int err = vfs_open(&who, base.path, name.name, flags, mode, resolve, &f);
	if (err) {
		fd_cancel(fd);
		return err;
	}
	fd_commit(fd, f);
	return fd;
}

long sys_open(const struct syscall_args *a)
{
	return open_at(AT_FDCWD, arg_uptr(a, 0), arg_uint(a, 1) | O_LARGEFILE, arg_uint(a, 2) & 07777, 0);
}

long sys_creat(const struct syscall_args *a)
{
	return open_at(AT_FDCWD, arg_uptr(a, 0), O_CREAT | O_WRONLY | O_TRUNC | O_LARGEFILE, arg_uint(a, 1) & 07777, 0);
}

long sys_openat(const struct syscall_args *a)
{
	return open_at(arg_int(a, 0), arg_uptr(a, 1), arg_uint(a, 2) | O_LARGEFILE, arg_uint(a, 3) & 07777, 0);
}

static unsigned resolve_flags(uint64_t resolve)
{
	unsigned lookup = 0;

	lookup |= resolve & RESOLVE_NO_XDEV ? LOOKUP_NO_XDEV : 0;
	lookup |= resolve & RESOLVE_NO_MAGICLINKS ? LOOKUP_NO_MAGICLINKS : 0;
	lookup |= resolve & RESOLVE_NO_SYMLINKS ? LOOKUP_NO_SYMLINKS : 0;
	lookup |= resolve & RESOLVE_BENEATH ? LOOKUP_BENEATH : 0;
	lookup |= resolve & RESOLVE_IN_ROOT ? LOOKUP_IN_ROOT : 0;
	return lookup;
}

long sys_openat2(const struct syscall_args *a)
{
	struct open_how how;
	const uint64_t known_resolve = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |
		RESOLVE_IN_ROOT;

	int err = extensible_struct(&how, sizeof(how), arg_uptr(a, 2), arg_u64(a, 3), sizeof(how));
	if (err)
		return err;
	if (how.resolve & ~known_resolve || how.flags > UINT32_MAX || how.mode & ~07777ull)
		return -EINVAL;
	if (how.mode && !(how.flags & (O_CREAT | __O_TMPFILE)))
		return -EINVAL;
	return open_at(arg_int(a, 0), arg_uptr(a, 1), (unsigned)how.flags, (uint32_t)how.mode,
		       resolve_flags(how.resolve));
}

long sys_close(const struct syscall_args *a)
{
	return fd_close(arg_int(a, 0));
}

long sys_close_range(const struct syscall_args *a)
{
	unsigned first = arg_uint(a, 0), last = arg_uint(a, 1), flags = arg_uint(a, 2);

	if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE) {
		int err = fdtable_unshare();
		if (err)
			return err;
	}
	return fd_close_range(first, last, flags & CLOSE_RANGE_CLOEXEC);
}

/* What a write's failure does to the writer besides the errno (man 2 write: EPIPE, EFBIG). */
static long write_result(int64_t n)
{
	if (unlikely(n == -EPIPE))
		signal_raise(SIGPIPE);
	else if (unlikely(n == -EFBIG))
		signal_raise(SIGXFSZ);
	return n;
}

/* pos -1: the file's own position. */
static always_inline long move_bytes(struct file *f, struct uio *u, int64_t pos, bool write)
{
	if (!write)
		return pos < 0 ? vfs_read(f, u) : vfs_pread(f, (uint64_t)pos, u);
	uint64_t limit = process_limit(RLIMIT_FSIZE);
	return write_result(pos < 0 ? vfs_write(f, u, limit) : vfs_pwrite(f, (uint64_t)pos, u, limit));
}

static always_inline long buffer_io(const struct syscall_args *a, int64_t pos, bool write)
{
	struct uio u;

	FD_BORROW(r, arg_int(a, 0));
	if (!r.file)
		return -EBADF;
	int err = uio_init_user(&u, arg_uptr(a, 1), arg_u64(a, 2));
	return err ? err : move_bytes(r.file, &u, pos, write);
}

long sys_read(const struct syscall_args *a)
{
	return buffer_io(a, -1, false);
}

long sys_write(const struct syscall_args *a)
{
	return buffer_io(a, -1, true);
}

long sys_pread64(const struct syscall_args *a)
{
	return arg_s64(a, 3) < 0 ? -EINVAL : buffer_io(a, arg_s64(a, 3), false);
}

long sys_pwrite64(const struct syscall_args *a)
{
	return arg_s64(a, 3) < 0 ? -EINVAL : buffer_io(a, arg_s64(a, 3), true);
}

/* The iovec forms. */
static long vector_io(const struct syscall_args *a, int64_t pos, bool write)
{
	struct uio_segment few[8];
	struct uio_segment *segs AUTO_KFREE = NULL;
	struct uio u;
	unsigned long count = arg_u64(a, 2);

	FD_BORROW(r, arg_int(a, 0));
	if (!r.file)
		return -EBADF;
	if (count > UIO_SEGMENTS_MAX)
		return -EINVAL;
	if (count > ARRAY_SIZE(few)) {
		segs = kmalloc(count * sizeof(*segs));
		if (!segs)
			return -ENOMEM;
	}
	int err = uio_import(arg_uptr(a, 1), count, segs ? segs : few, (unsigned)MAX(count, ARRAY_SIZE(few)));
	if (err)
		return err;
	uio_init_segments(&u, segs ? segs : few, (unsigned)count);
	return move_bytes(r.file, &u, pos, write);
}

long sys_readv(const struct syscall_args *a)
{
	return vector_io(a, -1, false);
}

long sys_writev(const struct syscall_args *a)
{
	return vector_io(a, -1, true);
}

long sys_preadv(const struct syscall_args *a)
{
	return arg_s64(a, 3) < 0 ? -EINVAL : vector_io(a, arg_s64(a, 3), false);
}

long sys_pwritev(const struct syscall_args *a)
{
	return arg_s64(a, 3) < 0 ? -EINVAL : vector_io(a, arg_s64(a, 3), true);
}

/* preadv2/pwritev2: position -1 means the file's own; none of the RWF_ flags is offered (man 2 preadv2: EOPNOTSUPP). */
static long vector_io2(const struct syscall_args *a, bool write)
{
	if (arg_uint(a, 5))
		return -EOPNOTSUPP;
	if (arg_s64(a, 3) < -1)
		return -EINVAL;
	return vector_io(a, arg_s64(a, 3), write);
}

long sys_preadv2(const struct syscall_args *a)
{
	return vector_io2(a, false);
}

long sys_pwritev2(const struct syscall_args *a)
{
	return vector_io2(a, true);
}

long sys_lseek(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	return r.file ? vfs_seek(r.file, arg_s64(a, 1), arg_int(a, 2)) : -EBADF;
}

long sys_dup(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	if (!r.file)
		return -EBADF;
	file_get(r.file);
	return install_or_put(r.file, 0);
}

static long dup_to(int from, int to, unsigned flags)
{
	FD_BORROW(r, from);
	if (!r.file)
		return -EBADF;
	file_get(r.file);
	int fd = fd_replace(to, r.file, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(r.file);
	return fd < 0 ? fd : to;
}

long sys_dup2(const struct syscall_args *a)
{
	if (arg_int(a, 0) == arg_int(a, 1)) {
		FD_BORROW(r, arg_int(a, 0));
		return r.file ? arg_int(a, 1) : -EBADF;
	}
	return dup_to(arg_int(a, 0), arg_int(a, 1), 0);
}

long sys_dup3(const struct syscall_args *a)
{
	if (arg_uint(a, 2) & ~(unsigned)O_CLOEXEC || arg_int(a, 0) == arg_int(a, 1))
		return -EINVAL;
	return dup_to(arg_int(a, 0), arg_int(a, 1), arg_uint(a, 2));
}

static long pipe_to_user(uptr_t where, unsigned flags)
{
	struct file *end[2];
	int fd[2];

	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	int err = pipe_create(flags, &end[0], &end[1]);
	if (err)
		return err;
	err = fd[0] = fd_reserve(0, flags & O_CLOEXEC);
	if (err < 0)
		goto err_files;
	err = fd[1] = fd_reserve(0, flags & O_CLOEXEC);
	if (err < 0)
		goto err_first;
	err = copy_to_user(where, fd, sizeof(fd));
	if (err)
		goto err_second;
	fd_commit(fd[0], end[0]);
	fd_commit(fd[1], end[1]);
	return 0;
err_second:
	fd_cancel(fd[1]);
err_first:
	fd_cancel(fd[0]);
err_files:
	file_put(end[0]);
	file_put(end[1]);
	return err;
}

long sys_pipe(const struct syscall_args *a)
{
	return pipe_to_user(arg_uptr(a, 0), 0);
}

long sys_pipe2(const struct syscall_args *a)
{
	return pipe_to_user(arg_uptr(a, 0), arg_uint(a, 1));
}

long sys_memfd_create(const struct syscall_args *a)
{
	unsigned flags = arg_uint(a, 1);
	char name[250];
	struct file *f;

	if (flags & ~MFD_CLOEXEC)
		return -EINVAL;
	int64_t n = strncpy_from_user(name, arg_uptr(a, 0), sizeof(name));
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	int err = file_create_memfd(name, O_RDWR | O_LARGEFILE, &f);
	return err ? err : install_or_put(f, flags ? O_CLOEXEC : 0);
}

static long lock_get(struct file *f, uptr_t p)
{
	struct flock fl;

	(void)f;
	if (copy_from_user(&fl, p, sizeof(fl)) != 0)
		return -EFAULT;
	if (fl.l_type != F_RDLCK && fl.l_type != F_WRLCK)
		return -EINVAL;
	return -ENOLCK;
}

long sys_fcntl(const struct syscall_args *a)
{
	int fd = arg_int(a, 0);
	uint64_t arg = arg_u64(a, 2);

	FD_BORROW(r, fd);
	if (!r.file)
		return -EBADF;
	bool path_only = r.file->mode & FILE_PATH;
	switch (arg_uint(a, 1)) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC: {
		if (arg > INT32_MAX)
			return -EINVAL;
		file_get(r.file);
		int to = fd_install(r.file, (int)arg, arg_uint(a, 1) == F_DUPFD_CLOEXEC);
		if (to < 0)
			file_put(r.file);
		return to;
	}
	case F_GETFD:
		return fd_get_cloexec(fd) == 1 ? FD_CLOEXEC : 0;
	case F_SETFD:
		return fd_set_cloexec(fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return READ_ONCE(r.file->flags) & ~(unsigned)O_CLOEXEC;
	case F_SETFL:
		return path_only ? -EBADF : vfs_set_flags(r.file, (unsigned)arg);
	case F_GETLK:
		return path_only ? -EBADF : lock_get(r.file, arg_uptr(a, 2));
	case F_SETLK:
	case F_SETLKW:
		return path_only ? -EBADF : -ENOLCK;
	case F_GETOWN:
		return path_only ? -EBADF : r.file->owner_pid;
	case F_SETOWN:
		if (path_only)
			return -EBADF;
		WRITE_ONCE(r.file->owner_pid, (int)arg);
		return 0;
	case F_GETSIG:
		return path_only ? -EBADF : r.file->owner_signal;
	case F_SETSIG:
		if (path_only)
			return -EBADF;
		if (arg > SIGNALS)
			return -EINVAL;
		WRITE_ONCE(r.file->owner_signal, (int)arg);
		return 0;
	case F_SETPIPE_SZ:
		return pipe_set_size(r.file, arg, capable(CAP_SYS_RESOURCE));
	case F_GETPIPE_SZ:
		return pipe_get_size(r.file);
	}
	return path_only ? -EBADF : -EINVAL;
}

long sys_ioctl(const struct syscall_args *a)
{
	int fd = arg_int(a, 0);

	FD_BORROW(r, fd);
	if (!r.file || r.file->mode & FILE_PATH)
		return -EBADF;
	switch (arg_uint(a, 1)) {
	case FIOCLEX:
		return fd_set_cloexec(fd, true);
	case FIONCLEX:
		return fd_set_cloexec(fd, false);
	case FIONBIO: {
		uint32_t on;
		if (get_user_u32(&on, arg_uptr(a, 2)) != 0)
			return -EFAULT;
		unsigned flags = READ_ONCE(r.file->flags);
		return vfs_set_flags(r.file, on ? flags | O_NONBLOCK : flags & ~(unsigned)O_NONBLOCK);
	}
	}
	return vfs_ioctl(r.file, arg_uint(a, 1), arg_u64(a, 2));
}

long sys_flock(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	if (!r.file || r.file->mode & FILE_PATH)
		return -EBADF;
	return -ENOLCK;
}

static long sync_file(int fd, bool data_only)
{
	FD_BORROW(r, fd);
	return r.file ? vfs_fsync(r.file, data_only) : -EBADF;
}

long sys_fsync(const struct syscall_args *a)
{
	return sync_file(arg_int(a, 0), false);
}

long sys_fdatasync(const struct syscall_args *a)
{
	return sync_file(arg_int(a, 0), true);
}

long sys_sync(const struct syscall_args *a)
{
	(void)a;
	(void)vfs_sync_all(); /* sync(2) reports no errors */
	return 0;
}

long sys_syncfs(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	return r.file ? vfs_sync_all() : -EBADF;
}

long sys_sync_file_range(const struct syscall_args *a)
{
	uint64_t end;

	if (arg_uint(a, 3) & ~7u || arg_s64(a, 1) < 0 || arg_s64(a, 2) < 0 ||
	    __builtin_add_overflow(arg_u64(a, 1), arg_u64(a, 2), &end))
		return -EINVAL;
	return sync_file(arg_int(a, 0), true);
}

long sys_ftruncate(const struct syscall_args *a)
{
	if (arg_s64(a, 1) < 0)
		return -EINVAL;
	FD_BORROW(r, arg_int(a, 0));
	return r.file ? write_result(vfs_ftruncate(r.file, arg_u64(a, 1), process_limit(RLIMIT_FSIZE))) : -EBADF;
}

long sys_fallocate(const struct syscall_args *a)
{
	if (arg_s64(a, 2) < 0 || arg_s64(a, 3) <= 0)
		return -EINVAL;
	FD_BORROW(r, arg_int(a, 0));
	if (!r.file)
		return -EBADF;
	return write_result(
		vfs_fallocate(r.file, arg_int(a, 1), arg_u64(a, 2), arg_u64(a, 3), process_limit(RLIMIT_FSIZE)));
}

/* Hints: checked, then not needed (man 2 posix_fadvise, readahead). */
long sys_fadvise64(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	if (!r.file || r.file->mode & FILE_PATH)
		return -EBADF;
	if (r.file->mode & FILE_STREAM)
		return -ESPIPE;
	return arg_uint(a, 3) > 5 || arg_s64(a, 2) < 0 ? -EINVAL : 0;
}

long sys_readahead(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	if (!r.file || !(r.file->mode & FILE_READ))
		return -EBADF;
	return r.file->inode && r.file->inode->object ? 0 : -EINVAL;
}
