/*
 * What is done with an open file: read, write, seek, iterate, poll, ioctl, sync, size, mapping.
 *
 * The position belongs to the open file and is guarded by pos_lock, which is only taken when somebody else may use the
 * file at the same time: a caller holds a reference of its own unless it is the only thread of the only process that
 * has the file, so refs == 1 means alone. pos_lock comes before the inode's lock; the inode's lock makes each write
 * atomic against other writes and appends.
 */
#include <asm/poll.h>
#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "fs/inode.h"
#include "vm/aspace.h"

static always_inline bool pos_lock(struct file *f)
{
	if (likely(atomic_load_acquire(&f->refs.n) == 1)) /* acquire: the position as the last of the others left it */
		return false;
	mutex_lock(&f->pos_lock);
	return true;
}

static always_inline void pos_unlock(struct file *f, bool locked)
{
	if (locked)
		mutex_unlock(&f->pos_lock);
}

int64_t vfs_read(struct file *f, struct uio *u)
{
	int64_t n;
	bool locked;

	if (unlikely(!(f->mode & FILE_READ)))
		return -EBADF;
	if (unlikely(!f->ops->read))
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	if (f->mode & FILE_STREAM)
		return f->ops->read(f, 0, u);
	locked = pos_lock(f);
	n = f->ops->read(f, f->pos, u);
	if (n > 0)
		f->pos += (uint64_t)n;
	pos_unlock(f, locked);
	return n;
}

/* RLIMIT_FSIZE and the largest offset there is: cuts u short, or says -EFBIG. */
static int write_limit(struct file *f, uint64_t pos, struct uio *u, uint64_t limit)
{
	limit = MIN(limit, (uint64_t)INT64_MAX);
	if (likely(pos < limit && u->left <= limit - pos) || !S_ISREG(f->inode->mode) || !u->left)
		return 0;
	if (pos >= limit)
		return -EFBIG;
	u->left = limit - pos;
	return 0;
}

int64_t vfs_write(struct file *f, struct uio *u, uint64_t limit_bytes)
{
	bool locked, append = READ_ONCE(f->flags) & O_APPEND;
	int64_t n;

	if (unlikely(!(f->mode & FILE_WRITE)))
		return -EBADF;
	if (unlikely(!f->ops->write))
		return -EINVAL;
	if (f->mode & FILE_STREAM)
		return f->ops->write(f, 0, u);
	locked = pos_lock(f);
	n = write_limit(f, append ? inode_size(f->inode) : f->pos, u, limit_bytes);
	if (!n) {
		n = f->ops->write(f, f->pos, u);
		if (n > 0 && !append) /* an append has set it */
			f->pos += (uint64_t)n;
	}
	pos_unlock(f, locked);
	return n;
}

int64_t vfs_pread(struct file *f, uint64_t pos, struct uio *u)
{
	if (f->mode & FILE_STREAM && !f->ops->seek)
		return f->mode & FILE_PATH ? -EBADF : -ESPIPE;
	if (!(f->mode & FILE_READ))
		return -EBADF;
	if (pos > INT64_MAX)
		return -EINVAL;
	if (!f->ops->read)
		return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
	return f->ops->read(f, pos, u);
}

int64_t vfs_pwrite(struct file *f, uint64_t pos, struct uio *u, uint64_t limit_bytes)
{
	int64_t n;

	if (f->mode & FILE_STREAM && !f->ops->seek)
		return f->mode & FILE_PATH ? -EBADF : -ESPIPE;
	if (!(f->mode & FILE_WRITE))
		return -EBADF;
	if (pos > INT64_MAX || !f->ops->write)
		return -EINVAL;
	if (unlikely(READ_ONCE(f->flags) & O_APPEND)) { /* man 2 pwrite, BUGS: appends, and leaves the position alone */
		uint64_t old;

		MUTEX_GUARD(&f->pos_lock);
		old = f->pos;
		n = write_limit(f, inode_size(f->inode), u, limit_bytes);
		n = n ? n : f->ops->write(f, pos, u);
		f->pos = old;
		return n;
	}
	n = write_limit(f, pos, u, limit_bytes);
	return n ? n : f->ops->write(f, pos, u);
}

int64_t vfs_read_kernel(struct file *f, uint64_t pos, void *buf, size_t len)
{
	size_t done = 0;

	if (!f->ops->read)
		return -EINVAL;
	while (done < len) {
		struct uio u;
		int64_t n;

		uio_init_kernel(&u, (char *)buf + done, len - done);
		n = f->ops->read(f, pos + done, &u);
		if (n < 0)
			return done ? (int64_t)done : n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

int64_t vfs_seek(struct file *f, int64_t offset, int whence)
{
	int64_t pos;
	bool locked;

	if (f->mode & FILE_PATH)
		return -EBADF;
	if (!f->ops->seek)
		return -ESPIPE;
	locked = pos_lock(f);
	pos = f->ops->seek(f, offset, whence);
	if (pos >= 0)
		f->pos = (uint64_t)pos;
	pos_unlock(f, locked);
	return pos;
}

int64_t file_seek_generic(struct file *f, int64_t offset, int whence)
{
	int64_t base, pos, size = (int64_t)inode_size(f->inode);

	switch (whence) {
	case SEEK_SET:
		base = 0;
		break;
	case SEEK_CUR:
		base = (int64_t)f->pos;
		break;
	case SEEK_END:
		base = size;
		break;
	case SEEK_DATA: /* without knowledge of holes: all is data, and one hole begins at the end */
		return offset < 0 || offset >= size ? -ENXIO : offset;
	case SEEK_HOLE:
		return offset < 0 || offset >= size ? -ENXIO : size;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &pos))
		return -EOVERFLOW;
	return pos < 0 ? -EINVAL : pos;
}

int vfs_iterate(struct file *f, struct dir_sink *sink)
{
	bool locked;
	int err;

	if (f->mode & FILE_PATH)
		return -EBADF;
	if (!f->ops->iterate)
		return -ENOTDIR;
	locked = pos_lock(f);
	if (f->path.dentry->deleted)
		err = -ENOENT;
	else
		err = f->ops->iterate(f, sink);
	pos_unlock(f, locked);
	inode_access_touch(f);
	return err;
}

bool dir_emit_dots(struct file *f, struct dir_sink *sink)
{
	struct dentry *d = f->path.dentry;
	uint64_t above;

	if (f->pos == 0) {
		if (!sink->entry(sink, ".", 1, d->inode->ino, S_IFDIR >> 12, 1))
			return false;
		f->pos = 1;
	}
	if (f->pos == 1) {
		irqflags_t s = rcu_enter(); /* a rename may give d another parent, and rmdir free the old one */
		above = atomic_load_acquire(&d->parent)->inode->ino;
		rcu_leave(s);
		if (!sink->entry(sink, "..", 2, above, S_IFDIR >> 12, 2))
			return false;
		f->pos = 2;
	}
	return true;
}

uint32_t vfs_poll(struct file *f, struct poll_table *t)
{
	if (f->mode & FILE_PATH)
		return POLLNVAL;
	return f->ops->poll ? f->ops->poll(f, t) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

long vfs_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	if (f->mode & FILE_PATH)
		return -EBADF;
	return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg) : -ENOTTY;
}

int vfs_set_flags(struct file *f, unsigned flags)
{
	const unsigned settable = O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT;
	uint32_t old = READ_ONCE(f->flags);

	if ((flags & O_NOATIME) && !(old & O_NOATIME) && !inode_owner_or_capable(f->inode, f->cred))
		return -EPERM;
	while (!atomic_cas(&f->flags, &old, (old & ~settable) | (flags & settable)))
		;
	return 0;
}

int vfs_fsync(struct file *f, bool data_only)
{
	if (f->mode & FILE_PATH)
		return -EBADF;
	return f->ops->fsync ? f->ops->fsync(f, data_only) : -EINVAL;
}

int vfs_ftruncate(struct file *f, uint64_t size, uint64_t limit_bytes)
{
	struct attr_change c = {.valid = ATTR_SIZE | ATTR_MTIME, .size = size};
	struct inode *i = f->inode;
	int err;

	if (size > INT64_MAX)
		return -EINVAL;
	if (f->mode & FILE_PATH)
		return -EBADF;
	if (f->ops->truncate) /* of its own: not a file system's */
		return f->mode & FILE_WRITE ? f->ops->truncate(f, size) : -EINVAL;
	if (!S_ISREG(i->mode) || !(f->mode & FILE_WRITE))
		return -EINVAL;
	if (size > limit_bytes)
		return -EFBIG;
	c.mtime = timestamp_now();
	rwlock_write_lock(&i->lock);
	inode_drop_privileges(i, f->cred);
	err = i->ops->setattr ? i->ops->setattr(i, &c) : -EINVAL;
	rwlock_write_unlock(&i->lock);
	return err;
}

int vfs_fallocate(struct file *f, int mode, uint64_t offset, uint64_t len, uint64_t limit_bytes)
{
	uint64_t end;

	if (!(f->mode & FILE_WRITE))
		return -EBADF;
	if (len == 0 || offset > INT64_MAX || len > INT64_MAX)
		return -EINVAL;
	if (__builtin_add_overflow(offset, len, &end) || end > INT64_MAX)
		return -EFBIG;
	if (S_ISFIFO(f->inode->mode))
		return -ESPIPE;
	if (!S_ISREG(f->inode->mode))
		return S_ISDIR(f->inode->mode) ? -EISDIR : -ENODEV;
	if (!f->ops->fallocate)
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > limit_bytes)
		return -EFBIG;
	return f->ops->fallocate(f, mode, offset, len);
}

int vfs_mmap(struct file *f, uint64_t offset, uint64_t len, unsigned area_flags, struct vm_object **out)
{
	if (f->mode & FILE_PATH)
		return -EBADF;
	if (!(f->mode & FILE_READ))
		return -EACCES;
	if ((area_flags & AREA_SHARED) && (area_flags & AREA_WRITE) && !(f->mode & FILE_WRITE))
		return -EACCES;
	if ((area_flags & AREA_EXEC) && (READ_ONCE(f->path.mount->flags) & MS_NOEXEC))
		return -EPERM;
	if (f->ops->mmap)
		return f->ops->mmap(f, offset, len, area_flags, out);
	if (!f->inode->object)
		return -ENODEV;
	inode_access_touch(f);
	vm_object_get(f->inode->object);
	*out = f->inode->object;
	return 0;
}

/* --- what vm/ needs to know of files ----------------------------------------------------------------------------- */

static void mapped_file_get(void *file)
{
	file_get(file);
}

static void mapped_file_put(void *file)
{
	file_put(file);
}

static size_t mapped_file_describe(void *file, char *buf, size_t len, uint64_t *dev, uint64_t *ino)
{
	struct file *f = file;
	char *s = path_render(&f->path, NULL, buf, len);
	size_t n;

	*dev = f->inode->super->dev;
	*ino = f->inode->ino;
	if (!s || !len)
		return 0;
	n = strlen(s);
	memmove(buf, s, n + 1);
	return n;
}

static const struct vm_file_ops mapped_file_ops = {
	.get = mapped_file_get,
	.put = mapped_file_put,
	.describe = mapped_file_describe,
};

void file_register_vm(void)
{
	vm_file_ops = &mapped_file_ops;
}
