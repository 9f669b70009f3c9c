/* What a file is: stat in its five forms, statx, statfs, and directory listings. */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "syscall/handlers.h"

/* dev_t as struct stat carries it. */
static uint64_t dev_encode(uint32_t major, uint32_t minor)
{
	return (minor & 0xff) | (uint64_t)(major & 0xfff) << 8 | (uint64_t)(minor & ~0xffu) << 12 |
		(uint64_t)(major & ~0xfffu) << 32;
}

static long stat_to_user(const struct path *at, uptr_t buf)
{
	struct statx x;
	struct stat s = {0};

	vfs_stat(at, &x);
	s.st_dev = dev_encode(x.stx_dev_major, x.stx_dev_minor);
	s.st_ino = x.stx_ino;
	s.st_nlink = x.stx_nlink;
	s.st_mode = x.stx_mode;
	s.st_uid = x.stx_uid;
	s.st_gid = x.stx_gid;
	s.st_rdev = dev_encode(x.stx_rdev_major, x.stx_rdev_minor);
	s.st_size = (long)x.stx_size;
	s.st_blksize = x.stx_blksize;
	s.st_blocks = (long)x.stx_blocks;
	s.st_atime = (unsigned long)x.stx_atime.tv_sec;
	s.st_atime_nsec = x.stx_atime.tv_nsec;
	s.st_mtime = (unsigned long)x.stx_mtime.tv_sec;
	s.st_mtime_nsec = x.stx_mtime.tv_nsec;
	s.st_ctime = (unsigned long)x.stx_ctime.tv_sec;
	s.st_ctime_nsec = x.stx_ctime.tv_nsec;
	return copy_to_user(buf, &s, sizeof(s));
}

static long stat_at(int dirfd, uptr_t path, uptr_t buf, unsigned flags)
{
	struct path at AUTO_PATH = {0};
	int err = lookup_at(dirfd, path, flags, &at);

	return err ? err : stat_to_user(&at, buf);
}

long sys_stat(const struct syscall_args *a)
{
	return stat_at(AT_FDCWD, arg_uptr(a, 0), arg_uptr(a, 1), 0);
}

long sys_lstat(const struct syscall_args *a)
{
	return stat_at(AT_FDCWD, arg_uptr(a, 0), arg_uptr(a, 1), AT_SYMLINK_NOFOLLOW);
}

long sys_fstat(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	return r.file ? stat_to_user(&r.file->path, arg_uptr(a, 1)) : -EBADF;
}

long sys_newfstatat(const struct syscall_args *a)
{
	unsigned flags = arg_uint(a, 3);

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -EINVAL;
	return stat_at(arg_int(a, 0), arg_uptr(a, 1), arg_uptr(a, 2), flags);
}

long sys_statx(const struct syscall_args *a)
{
	struct path at AUTO_PATH = {0};
	struct statx x;
	unsigned flags = arg_uint(a, 2);

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || arg_uint(a, 3) & STATX__RESERVED)
		return -EINVAL;
	int err = lookup_at(arg_int(a, 0), arg_uptr(a, 1), flags, &at);
	if (err)
		return err;
	vfs_stat(&at, &x);
	return copy_to_user(arg_uptr(a, 4), &x, sizeof(x));
}

static long statfs_to_user(const struct path *at, uptr_t buf)
{
	struct vfs_statfs v;
	int err = vfs_statfs(at, &v);

	if (err)
		return err;
	struct statfs s = {
		.f_type = (long)v.type,
		.f_bsize = (long)v.block_size,
		.f_blocks = (long)v.blocks,
		.f_bfree = (long)v.blocks_free,
		.f_bavail = (long)v.blocks_available,
		.f_files = (long)v.files,
		.f_ffree = (long)v.files_free,
		.f_namelen = (long)v.name_max,
		.f_frsize = (long)v.block_size,
		.f_flags = (long)v.flags,
	};
	return copy_to_user(buf, &s, sizeof(s));
}

long sys_statfs(const struct syscall_args *a)
{
	struct path at AUTO_PATH = {0};
	int err = lookup_at(AT_FDCWD, arg_uptr(a, 0), 0, &at);

	return err ? err : statfs_to_user(&at, arg_uptr(a, 1));
}

long sys_fstatfs(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	return r.file ? statfs_to_user(&r.file->path, arg_uptr(a, 1)) : -EBADF;
}

/*
 * getdents: entries are laid out in a kernel buffer, which goes to the program when the directory's lock is no longer
 * held (a user copy may fault and so take other locks).  Listings longer than the buffer take more than one call, as
 * they may.
 */
struct dirent_sink {
	struct dir_sink sink;
	uint8_t *buf;
	size_t size, used;
	bool old; /* getdents: struct linux_dirent */
	bool full;
};

struct new_dirent { /* man 2 getdents64 */
	uint64_t ino;
	int64_t off;
	unsigned short reclen;
	unsigned char type;
	char name[];
};

struct old_dirent { /* man 2 getdents: d_name, then a zero byte, then the type in the record's last byte */
	unsigned long ino, off;
	unsigned short reclen;
	char name[];
};

static bool dirent_put(struct dir_sink *s, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next_pos)
{
	struct dirent_sink *d = container_of(s, struct dirent_sink, sink);
	size_t head = d->old ? offsetof(struct old_dirent, name) : offsetof(struct new_dirent, name);
	size_t reclen = ALIGN_UP(head + len + (d->old ? 2 : 1), 8);
	uint8_t *at = d->buf + d->used;

	if (reclen > d->size - d->used) {
		d->full = true;
		return false;
	}
	memset(at, 0, reclen);
	if (d->old) {
		*(struct old_dirent *)at = (struct old_dirent){.ino = ino,
							       .off = next_pos,
							       .reclen = (unsigned short)reclen};
		at[reclen - 1] = (uint8_t)type;
	} else {
		*(struct new_dirent *)at = (struct new_dirent){ino, (int64_t)next_pos, (unsigned short)reclen,
							       (unsigned char)type};
	}
	memcpy(at + head, name, len);
	d->used += reclen;
	return true;
}

static long list_directory(const struct syscall_args *a, bool old)
{
	uint64_t size = MIN(arg_uint(a, 2), 32 * KIB);
	struct dirent_sink d = {.sink = {.entry = dirent_put}, .size = size, .old = old};

	FD_BORROW(r, arg_int(a, 0));
	if (!r.file)
		return -EBADF;
	uint8_t *buf AUTO_KFREE = kmalloc(size);
	if (!buf)
		return -ENOMEM;
	d.buf = buf;
	int64_t start = vfs_seek(r.file, 0, SEEK_CUR);
	int err = vfs_iterate(r.file, &d.sink);
	if (err)
		return err;
	if (d.used == 0)
		return d.full ? -EINVAL : 0;
	if (copy_to_user(arg_uptr(a, 1), buf, d.used) == 0)
		return (long)d.used;
	/* The program has seen none of it. */
	if (start >= 0)
		(void)!vfs_seek(r.file, start, SEEK_SET);
	return -EFAULT;
}

long sys_getdents64(const struct syscall_args *a)
{
	return list_directory(a, false);
}

long sys_getdents(const struct syscall_args *a)
{
	return list_directory(a, true);
}
