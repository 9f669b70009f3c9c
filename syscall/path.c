/* Names: directories, links, rename, attributes by path, working directory and root, mounts. */
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/resource.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include <linux/time.h>
#include <linux/utime.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "sched/clock.h"
#include "syscall/handlers.h"

/* Calls of the shape "one path below one directory". */
#define ONE_PATH(dirfd, p)                                        \
	struct actor who = process_actor();                       \
	PATH_ARG(name, (p));                                      \
	if (name.err)                                             \
		return name.err;                                  \
	BASE_ARG(base, name.name[0] == '/' ? AT_FDCWD : (dirfd)); \
	if (base.err)                                             \
	return base.err

static long mkdir_at(int dirfd, uptr_t path, uint32_t mode)
{
	ONE_PATH(dirfd, path);
	return vfs_mkdir(&who, base.path, name.name, mode & 07777);
}

long sys_mkdir(const struct syscall_args *a)
{
	return mkdir_at(AT_FDCWD, arg_uptr(a, 0), arg_uint(a, 1));
}

long sys_mkdirat(const struct syscall_args *a)
{
	return mkdir_at(arg_int(a, 0), arg_uptr(a, 1), arg_uint(a, 2));
}

/* A program's dev_t, as glibc and musl encode it, to ours. */
static uint64_t dev_decode(uint32_t dev)
{
	uint64_t major = dev >> 8 & 0xfff, minor = (dev & 0xff) | (dev >> 12 & 0xfff00);

	return major << 32 | minor;
}

static long mknod_at(int dirfd, uptr_t path, uint32_t mode, uint32_t dev)
{
	ONE_PATH(dirfd, path);
	if ((mode & S_IFMT) == 0)
		mode |= S_IFREG;
	if ((mode & S_IFMT) == S_IFDIR)
		return -EPERM;
	if ((mode & S_IFMT) == S_IFLNK)
		return -EINVAL;
	return vfs_mknod(&who, base.path, name.name, mode, dev_decode(dev));
}

long sys_mknod(const struct syscall_args *a)
{
	return mknod_at(AT_FDCWD, arg_uptr(a, 0), arg_uint(a, 1), arg_uint(a, 2));
}

long sys_mknodat(const struct syscall_args *a)
{
	return mknod_at(arg_int(a, 0), arg_uptr(a, 1), arg_uint(a, 2), arg_uint(a, 3));
}

static long unlink_at(int dirfd, uptr_t path, unsigned flags)
{
	ONE_PATH(dirfd, path);
	if (flags & ~(unsigned)AT_REMOVEDIR)
		return -EINVAL;
	return flags & AT_REMOVEDIR ? vfs_rmdir(&who, base.path, name.name) : vfs_unlink(&who, base.path, name.name);
}

long sys_unlink(const struct syscall_args *a)
{
	return unlink_at(AT_FDCWD, arg_uptr(a, 0), 0);
}

long sys_rmdir(const struct syscall_args *a)
{
	return unlink_at(AT_FDCWD, arg_uptr(a, 0), AT_REMOVEDIR);
}

long sys_unlinkat(const struct syscall_args *a)
{
	return unlink_at(arg_int(a, 0), arg_uptr(a, 1), arg_uint(a, 2));
}

static long symlink_at(uptr_t target, int dirfd, uptr_t path)
{
	PATH_ARG(text, target);
	if (text.err)
		return text.err;
	if (text.name[0] == '\0')
		return -ENOENT;
	ONE_PATH(dirfd, path);
	return vfs_symlink(&who, text.name, base.path, name.name);
}

long sys_symlink(const struct syscall_args *a)
{
	return symlink_at(arg_uptr(a, 0), AT_FDCWD, arg_uptr(a, 1));
}

long sys_symlinkat(const struct syscall_args *a)
{
	return symlink_at(arg_uptr(a, 0), arg_int(a, 1), arg_uptr(a, 2));
}

/* link and rename: two paths. */
typedef int two_paths_fn(const struct actor *who, const struct path *old_base, const char *old,
			 const struct path *new_base, const char *new_path, unsigned flags);

static long two_paths(int old_dirfd, uptr_t old, int new_dirfd, uptr_t new_path, unsigned flags, two_paths_fn *fn)
{
	struct actor who = process_actor();

	PATH_ARG(old_name, old);
	if (old_name.err)
		return old_name.err;
	PATH_ARG(new_name, new_path);
	if (new_name.err)
		return new_name.err;
	BASE_ARG(old_base, old_name.name[0] == '/' ? AT_FDCWD : old_dirfd);
	if (old_base.err)
		return old_base.err;
	BASE_ARG(new_base, new_name.name[0] == '/' ? AT_FDCWD : new_dirfd);
	if (new_base.err)
		return new_base.err;
	return fn(&who, old_base.path, old_name.name, new_base.path, new_name.name, flags);
}

long sys_link(const struct syscall_args *a)
{
	return two_paths(AT_FDCWD, arg_uptr(a, 0), AT_FDCWD, arg_uptr(a, 1), 0, vfs_link);
}

long sys_linkat(const struct syscall_args *a)
{
	if (arg_uint(a, 4) & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return two_paths(arg_int(a, 0), arg_uptr(a, 1), arg_int(a, 2), arg_uptr(a, 3), arg_uint(a, 4), vfs_link);
}

long sys_rename(const struct syscall_args *a)
{
	return two_paths(AT_FDCWD, arg_uptr(a, 0), AT_FDCWD, arg_uptr(a, 1), 0, vfs_rename);
}

long sys_renameat(const struct syscall_args *a)
{
	return two_paths(arg_int(a, 0), arg_uptr(a, 1), arg_int(a, 2), arg_uptr(a, 3), 0, vfs_rename);
}

long sys_renameat2(const struct syscall_args *a)
{
	return two_paths(arg_int(a, 0), arg_uptr(a, 1), arg_int(a, 2), arg_uptr(a, 3), arg_uint(a, 4), vfs_rename);
}

static long readlink_at(int dirfd, uptr_t path, uptr_t buf, int size)
{
	struct path at AUTO_PATH = {0};
	struct actor who = process_actor();

	if (size <= 0)
		return -EINVAL;
	int err = lookup_at(dirfd, path, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &at);
	if (err)
		return err;
	char *text AUTO_KFREE = kmalloc(PATH_MAX_BYTES);
	if (!text)
		return -ENOMEM;
	int n = vfs_readlink(&at, &who, text, PATH_MAX_BYTES);
	if (n < 0)
		return n;
	n = MIN(n, size);
	return copy_to_user(buf, text, (size_t)n) == 0 ? n : -EFAULT;
}

long sys_readlink(const struct syscall_args *a)
{
	return readlink_at(AT_FDCWD, arg_uptr(a, 0), arg_uptr(a, 1), arg_int(a, 2));
}

long sys_readlinkat(const struct syscall_args *a)
{
	return readlink_at(arg_int(a, 0), arg_uptr(a, 1), arg_uptr(a, 2), arg_int(a, 3));
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

static long setattr_at(int dirfd, uptr_t path, unsigned flags, struct attr_change *c)
{
	struct path at AUTO_PATH = {0};
	struct actor who = process_actor();

	int err = lookup_at(dirfd, path, flags, &at);
	return err ? err : vfs_setattr(&who, &at, c);
}

static long setattr_fd(int fd, struct attr_change *c)
{
	struct actor who = process_actor();

	FD_BORROW(r, fd);
	if (!r.file || r.file->mode & FILE_PATH)
		return -EBADF;
	return vfs_setattr(&who, &r.file->path, c);
}

long sys_chmod(const struct syscall_args *a)
{
	struct attr_change c = {.valid = ATTR_MODE, .mode = arg_uint(a, 1) & 07777};
	return setattr_at(AT_FDCWD, arg_uptr(a, 0), 0, &c);
}

long sys_fchmod(const struct syscall_args *a)
{
	struct attr_change c = {.valid = ATTR_MODE, .mode = arg_uint(a, 1) & 07777};
	return setattr_fd(arg_int(a, 0), &c);
}

long sys_fchmodat(const struct syscall_args *a)
{
	struct attr_change c = {.valid = ATTR_MODE, .mode = arg_uint(a, 2) & 07777};
	return setattr_at(arg_int(a, 0), arg_uptr(a, 1), 0, &c);
}

static struct attr_change owner_change(uint32_t uid, uint32_t gid)
{
	return (struct attr_change){
		.valid = (uid != UINT32_MAX ? ATTR_UID : 0) | (gid != UINT32_MAX ? ATTR_GID : 0),
		.uid = uid,
		.gid = gid,
	};
}

long sys_chown(const struct syscall_args *a)
{
	struct attr_change c = owner_change(arg_uint(a, 1), arg_uint(a, 2));
	return setattr_at(AT_FDCWD, arg_uptr(a, 0), 0, &c);
}

long sys_lchown(const struct syscall_args *a)
{
	struct attr_change c = owner_change(arg_uint(a, 1), arg_uint(a, 2));
	return setattr_at(AT_FDCWD, arg_uptr(a, 0), AT_SYMLINK_NOFOLLOW, &c);
}

long sys_fchown(const struct syscall_args *a)
{
	struct attr_change c = owner_change(arg_uint(a, 1), arg_uint(a, 2));
	return setattr_fd(arg_int(a, 0), &c);
}

long sys_fchownat(const struct syscall_args *a)
{
	struct attr_change c = owner_change(arg_uint(a, 2), arg_uint(a, 3));

	if (arg_uint(a, 4) & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return setattr_at(arg_int(a, 0), arg_uptr(a, 1), arg_uint(a, 4), &c);
}

/* Special tv_nsec values of utimensat(2); the C library's headers have them, the kernel's don't. */
#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe

/* One of the two times of utimensat(2). False: invalid. */
static bool time_part(const struct __kernel_timespec *ts, unsigned valid, struct timestamp *out, struct attr_change *c,
		      unsigned *now)
{
	if (ts->tv_nsec == UTIME_OMIT)
		return true;
	if (ts->tv_nsec == UTIME_NOW) {
		uint64_t ns = clock_realtime_ns();
		*out = (struct timestamp){.sec = (int64_t)(ns / NSEC_PER_SEC), .nsec = (uint32_t)(ns % NSEC_PER_SEC)};
		++*now;
	} else {
		if (ts->tv_nsec < 0 || ts->tv_nsec >= (long long)NSEC_PER_SEC)
			return false;
		*out = (struct timestamp){.sec = ts->tv_sec, .nsec = (uint32_t)ts->tv_nsec};
	}
	c->valid |= valid;
	return true;
}

static long set_times(int dirfd, uptr_t path, const struct __kernel_timespec ts[2], unsigned flags)
{
	struct attr_change c = {0};
	unsigned now = 0;

	if (flags & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!time_part(&ts[0], ATTR_ATIME, &c.atime, &c, &now) || !time_part(&ts[1], ATTR_MTIME, &c.mtime, &c, &now))
		return -EINVAL;
	if (c.valid == 0)
		return 0;
	if (now == 2)
		c.valid |= ATTR_TIMES_NOW;
	return uptr_null(path) ? setattr_fd(dirfd, &c) : setattr_at(dirfd, path, flags, &c);
}

static const struct __kernel_timespec both_now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

long sys_utimensat(const struct syscall_args *a)
{
	struct __kernel_timespec ts[2];

	if (uptr_null(arg_uptr(a, 2)))
		return set_times(arg_int(a, 0), arg_uptr(a, 1), both_now, arg_uint(a, 3));
	if (copy_from_user(ts, arg_uptr(a, 2), sizeof(ts)) != 0)
		return -EFAULT;
	return set_times(arg_int(a, 0), arg_uptr(a, 1), ts, arg_uint(a, 3));
}

static long futimes_at(int dirfd, uptr_t path, uptr_t times)
{
	struct __kernel_old_timeval tv[2];
	struct __kernel_timespec ts[2];

	if (uptr_null(times))
		return set_times(dirfd, path, both_now, 0);
	if (copy_from_user(tv, times, sizeof(tv)) != 0)
		return -EFAULT;
	for (unsigned i = 0; i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
			return -EINVAL;
		ts[i] = (struct __kernel_timespec){.tv_sec = tv[i].tv_sec, .tv_nsec = tv[i].tv_usec * 1000};
	}
	return set_times(dirfd, path, ts, 0);
}

long sys_futimesat(const struct syscall_args *a)
{
	return futimes_at(arg_int(a, 0), arg_uptr(a, 1), arg_uptr(a, 2));
}

long sys_utimes(const struct syscall_args *a)
{
	return futimes_at(AT_FDCWD, arg_uptr(a, 0), arg_uptr(a, 1));
}

long sys_utime(const struct syscall_args *a)
{
	struct utimbuf t;
	struct __kernel_timespec ts[2] = {0};

	if (uptr_null(arg_uptr(a, 1)))
		return set_times(AT_FDCWD, arg_uptr(a, 0), both_now, 0);
	if (copy_from_user(&t, arg_uptr(a, 1), sizeof(t)) != 0)
		return -EFAULT;
	ts[0].tv_sec = t.actime;
	ts[1].tv_sec = t.modtime;
	return set_times(AT_FDCWD, arg_uptr(a, 0), ts, 0);
}

long sys_truncate(const struct syscall_args *a)
{
	struct path at AUTO_PATH = {0};
	struct actor who = process_actor();

	if (arg_s64(a, 1) < 0)
		return -EINVAL;
	int err = lookup_at(AT_FDCWD, arg_uptr(a, 0), 0, &at);
	if (err)
		return err;
	err = vfs_truncate(&who, &at, arg_u64(a, 1), process_limit(RLIMIT_FSIZE));
	if (err == -EFBIG)
		signal_raise(SIGXFSZ);
	return err;
}

/* access(2) asks with the real ids, also on the way there; AT_EACCESS with the effective ones. */
static long access_at(int dirfd, uptr_t path, unsigned mask, unsigned flags)
{
	struct path at AUTO_PATH = {0};
	struct actor who = process_actor();
	struct cred *real = NULL;

	if (mask & ~7u || flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	const struct cred *c = who.cred;
	if (!(flags & AT_EACCESS) && (c->uid != c->fsuid || c->gid != c->fsgid)) {
		real = cred_copy(c, c->group_count);
		if (!real)
			return -ENOMEM;
		real->fsuid = c->uid;
		real->fsgid = c->gid;
		real->cap_effective = c->uid == 0 ? c->cap_permitted : 0;
		who.cred = real;
	}
	int err = lookup_at_as(&who, dirfd, path, flags & ~(unsigned)AT_EACCESS, &at);
	if (!err)
		err = vfs_access(&who, &at, mask);
	if (real)
		cred_put(real);
	return err;
}

long sys_access(const struct syscall_args *a)
{
	return access_at(AT_FDCWD, arg_uptr(a, 0), arg_uint(a, 1), 0);
}

long sys_faccessat(const struct syscall_args *a)
{
	return access_at(arg_int(a, 0), arg_uptr(a, 1), arg_uint(a, 2), 0);
}

long sys_faccessat2(const struct syscall_args *a)
{
	return access_at(arg_int(a, 0), arg_uptr(a, 1), arg_uint(a, 2), arg_uint(a, 3));
}

/* --- where the process is ----------------------------------------------------------------------------------------- */

static int enter_directory(const struct path *at, bool root)
{
	struct actor who = process_actor();

	if ((path_inode(at)->mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	int err = vfs_access(&who, at, 1 /* X_OK */);
	if (err)
		return err;
	if (root && !capable(CAP_SYS_CHROOT))
		return -EPERM;
	if (root)
		fs_context_set_root(who.fs, at);
	else
		fs_context_set_cwd(who.fs, at);
	return 0;
}

long sys_chdir(const struct syscall_args *a)
{
	struct path at AUTO_PATH = {0};
	int err = lookup_at(AT_FDCWD, arg_uptr(a, 0), 0, &at);

	return err ? err : enter_directory(&at, false);
}

long sys_fchdir(const struct syscall_args *a)
{
	FD_BORROW(r, arg_int(a, 0));
	return r.file ? enter_directory(&r.file->path, false) : -EBADF;
}

long sys_chroot(const struct syscall_args *a)
{
	struct path at AUTO_PATH = {0};
	int err = lookup_at(AT_FDCWD, arg_uptr(a, 0), 0, &at);

	return err ? err : enter_directory(&at, true);
}

long sys_getcwd(const struct syscall_args *a)
{
	struct path cwd AUTO_PATH = {0}, root AUTO_PATH = {0};
	char *buf AUTO_KFREE = kmalloc(PATH_MAX_BYTES);

	if (!buf)
		return -ENOMEM;
	fs_context_get_paths(task_current()->fs, &root, &cwd);
	if (path_is_unlinked(&cwd))
		return -ENOENT;
	char *text = path_render(&cwd, &root, buf, PATH_MAX_BYTES);
	if (!text)
		return -ENAMETOOLONG;
	size_t len = strlen(text) + 1;
	if (len > arg_u64(a, 1))
		return -ERANGE;
	return copy_to_user(arg_uptr(a, 0), text, len) == 0 ? (long)len : -EFAULT;
}

long sys_umask(const struct syscall_args *a)
{
	struct fs_context *fs = task_current()->fs;

	SPIN_GUARD(&fs->lock);
	uint32_t old = fs->umask;
	fs->umask = arg_uint(a, 0) & 0777;
	return old;
}

/* --- mounts ------------------------------------------------------------------------------------------------------- */

/* An optional string: NULL stays NULL. */
static int optional_string(uptr_t p, char **out)
{
	if (uptr_null(p))
		return 0;
	char *s = kmalloc(PAGE_SIZE);
	if (!s)
		return -ENOMEM;
	int64_t n = strncpy_from_user(s, p, PAGE_SIZE);
	if (n < 0) {
		kfree(s);
		return n == -ENAMETOOLONG ? -EINVAL : (int)n;
	}
	*out = s;
	return 0;
}

static long mount_from_path(const char *source, const struct path *where, unsigned long flags)
{
	struct path from AUTO_PATH = {0};
	struct actor who = process_actor();

	if (!source)
		return -EINVAL;
	int err = vfs_lookup(&who, NULL, source, LOOKUP_FOLLOW, &from);
	if (err)
		return err;
	return flags & MS_MOVE ? vfs_move_mount(&who, &from, where) : vfs_bind(&who, &from, where, flags);
}

long sys_mount(const struct syscall_args *a)
{
	char *source AUTO_KFREE = NULL, *type AUTO_KFREE = NULL, *options AUTO_KFREE = NULL;
	struct path where AUTO_PATH = {0};
	struct actor who = process_actor();
	unsigned long flags = arg_u64(a, 3);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if ((flags & MS_MGC_MSK) == MS_MGC_VAL)
		flags &= ~(unsigned long)MS_MGC_MSK;
	int err = optional_string(arg_uptr(a, 2), &type);
	if (!err)
		err = optional_string(arg_uptr(a, 0), &source);
	if (!err)
		err = optional_string(arg_uptr(a, 4), &options);
	if (!err)
		err = lookup_at(AT_FDCWD, arg_uptr(a, 1), 0, &where);
	if (err)
		return err;
	if (flags & MS_REMOUNT)
		return vfs_remount(&who, &where, flags, options);
	if (flags & (MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE))
		return 0; /* one mount namespace: every mount is private already, nothing propagates */
	if (flags & (MS_BIND | MS_MOVE))
		return mount_from_path(source, &where, flags);
	if (!type)
		return -EINVAL;
	return vfs_mount(&who, source, &where, type, flags, options);
}

long sys_umount2(const struct syscall_args *a)
{
	struct path where AUTO_PATH = {0};
	struct actor who = process_actor();
	unsigned flags = arg_uint(a, 1);

	if (flags & ~15u)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	int err = lookup_at(AT_FDCWD, arg_uptr(a, 0), flags & 8 /* UMOUNT_NOFOLLOW */ ? AT_SYMLINK_NOFOLLOW : 0,
			    &where);
	return err ? err : vfs_umount(&who, &where, (int)flags);
}

long sys_pivot_root(const struct syscall_args *a)
{
	struct path new_root AUTO_PATH = {0}, put_old AUTO_PATH = {0};
	struct actor who = process_actor();

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	int err = lookup_at(AT_FDCWD, arg_uptr(a, 0), 0, &new_root);
	if (!err)
		err = lookup_at(AT_FDCWD, arg_uptr(a, 1), 0, &put_old);
	return err ? err : vfs_pivot_root(&who, &new_root, &put_old);
}
