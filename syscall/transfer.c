/* File to file without a program's buffer: sendfile, copy_file_range.  One kernel page carries the bytes. */
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <linux/stat.h>

#include "mm/slab.h"
#include "syscall/handlers.h"

#define COPY_MAX 0x7ffff000ull

struct end {
	struct file *file;
	bool own_position; /* the file's, else pos */
	uint64_t pos;
};

static int64_t end_read(struct end *e, void *buf, size_t len)
{
	struct uio u;

	uio_init_kernel(&u, buf, len);
	int64_t n = e->own_position ? vfs_read(e->file, &u) : vfs_pread(e->file, e->pos, &u);
	if (n > 0)
		e->pos += (uint64_t)n;
	return n;
}

static int64_t end_write(struct end *e, void *buf, size_t len)
{
	struct uio u;
	uint64_t limit = process_limit(RLIMIT_FSIZE);

	uio_init_kernel(&u, buf, len);
	int64_t n = e->own_position ? vfs_write(e->file, &u, limit) : vfs_pwrite(e->file, e->pos, &u, limit);
	if (n > 0)
		e->pos += (uint64_t)n;
	return n;
}

/* What was read but could not be written is given back to the source. */
static void end_rewind(struct end *e, uint64_t len)
{
	e->pos -= len;
	if (e->own_position)
		(void)vfs_seek(e->file, -(int64_t)len, 1 /* SEEK_CUR */);
}

static long transfer(struct end *from, struct end *to, uint64_t len)
{
	uint64_t done = 0;
	int64_t n = 0;
	void *buf AUTO_KFREE = kmalloc(PAGE_SIZE);

	if (!buf)
		return -ENOMEM;
	len = MIN(len, COPY_MAX);
	while (done < len) {
		int64_t got = n = end_read(from, buf, MIN(len - done, PAGE_SIZE));
		if (got <= 0)
			break;
		n = end_write(to, buf, (size_t)got);
		if (n < got)
			end_rewind(from, (uint64_t)(got - MAX(n, 0)));
		if (n > 0)
			done += (uint64_t)n;
		if (n < got || signal_pending_current())
			break;
	}
	return done ? (long)done : n;
}

static int position_in(struct end *e, struct file *f, uptr_t p)
{
	*e = (struct end){.file = f, .own_position = uptr_null(p)};
	if (e->own_position)
		return 0;
	if (f->mode & FILE_STREAM)
		return -ESPIPE;
	if (get_user_u64(&e->pos, p) != 0)
		return -EFAULT;
	return (int64_t)e->pos < 0 ? -EINVAL : 0;
}

static long position_out(const struct end *e, uptr_t p, long result)
{
	return e->own_position || put_user_u64(p, e->pos) == 0 ? result : -EFAULT;
}

long sys_sendfile(const struct syscall_args *a)
{
	struct end from, to;

	FD_BORROW(out, arg_int(a, 0));
	FD_BORROW(in, arg_int(a, 1));
	if (!out.file || !in.file || !(in.file->mode & FILE_READ) || !(out.file->mode & FILE_WRITE))
		return -EBADF;
	if (in.file->mode & FILE_STREAM || READ_ONCE(out.file->flags) & O_APPEND)
		return -EINVAL;
	int err = position_in(&from, in.file, arg_uptr(a, 2));
	if (err)
		return err;
	to = (struct end){.file = out.file, .own_position = true};
	return position_out(&from, arg_uptr(a, 2), transfer(&from, &to, arg_u64(a, 3)));
}

long sys_copy_file_range(const struct syscall_args *a)
{
	struct end from, to;

	if (arg_uint(a, 5))
		return -EINVAL;
	FD_BORROW(in, arg_int(a, 0));
	FD_BORROW(out, arg_int(a, 2));
	if (!out.file || !in.file || !(in.file->mode & FILE_READ) || !(out.file->mode & FILE_WRITE) ||
	    READ_ONCE(out.file->flags) & O_APPEND)
		return -EBADF;
	if ((in.file->inode->mode & S_IFMT) == S_IFDIR || (out.file->inode->mode & S_IFMT) == S_IFDIR)
		return -EISDIR;
	if ((in.file->inode->mode & S_IFMT) != S_IFREG || (out.file->inode->mode & S_IFMT) != S_IFREG)
		return -EINVAL;
	int err = position_in(&from, in.file, arg_uptr(a, 1));
	if (!err)
		err = position_in(&to, out.file, arg_uptr(a, 3));
	if (err)
		return err;
	if (in.file->inode == out.file->inode && !from.own_position && !to.own_position) {
		uint64_t len = arg_u64(a, 4);
		if (from.pos < to.pos + len && to.pos < from.pos + len)
			return -EINVAL; /* overlapping ranges of one file */
	}
	long n = transfer(&from, &to, arg_u64(a, 4));
	return position_out(&from, arg_uptr(a, 1), position_out(&to, arg_uptr(a, 3), n));
}
