/*
 * tmpfs: theory.
 *
 * A regular file is its memory object (vm/object.h); a directory is a tree of pinned dentries (fs/tree.h); a symbolic
 * link is its text. There is nothing below, so nothing is looked up, written back or read in: what the name cache does
 * not know does not exist. ramfs and rootfs are the same without limits; devtmpfs is an instance the kernel fills.
 *
 * Limits (size=, nr_inodes=) are counted per file system with atomics.  Pages are counted per inode from the object's
 * page count, brought up to date by every write, truncation and release: pages that come by faults on a mapping are so
 * counted late, and may exceed the limit until the next of those.  Unlimited instances do not count.
 *
 * Locks: a directory's lock guards its tree and its link count; a file's lock makes writes and size changes take turns;
 * readers take none.
 */
#include "fs/tmpfs/tmpfs.h"

#include <linux/falloc.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>

#include "fs/inode.h"
#include "fs/tmpfs/internal.h"
#include "lib/cmdline.h"
#include "lib/printf.h"
#include "mm/slab.h"

#define DIRENT_BYTES 20 /* what a name adds to st_size of its directory, as on Linux */

static struct slab_cache *inode_cache;
static struct super *internal_super; /* memfd */

static struct tmpfs *tmpfs_of(const struct inode *i)
{
	return i->super->private;
}

static struct tmpfs_inode *node_of(struct inode *i)
{
	return container_of(i, struct tmpfs_inode, inode);
}

static struct tree_dir *dir_of(struct inode *i)
{
	return &node_of(i)->dir;
}

/* --- accounting -------------------------------------------------------------------------------------------------- */

static void account(struct inode *i)
{
	struct tmpfs *t = tmpfs_of(i);
	struct tmpfs_inode *n = node_of(i);
	uint64_t now;

	if (likely(!t->options.pages_max))
		return;
	now = READ_ONCE(i->object->page_count);
	__atomic_fetch_add(&t->pages, now - n->accounted, __ATOMIC_RELAXED);
	n->accounted = now;
}

/* How many bytes from pos on may be written without exceeding the limit. Inode locked. */
static uint64_t room_for(struct inode *i, uint64_t pos, uint64_t len)
{
	struct tmpfs *t = tmpfs_of(i);
	uint64_t first = pos / PAGE_SIZE, end = (pos + len - 1) / PAGE_SIZE + 1, at, used;
	uint64_t left;

	account(i);
	used = atomic_load_relaxed(&t->pages);
	left = used < t->options.pages_max ? t->options.pages_max - used : 0;
	if (end - first <= left)
		return len;
	for (at = first; at < end; at++) {
		struct page *p = vm_object_lookup(i->object, at);

		if (p)
			page_put(p);
		else if (left-- == 0)
			break;
	}
	if (at == end)
		return len;
	return at * PAGE_SIZE > pos ? at * PAGE_SIZE - pos : 0;
}

/* --- inodes ------------------------------------------------------------------------------------------------------ */

static int inode_new(struct super *s, uint32_t mode, struct inode **out)
{
	struct tmpfs *t = s->private;
	struct tmpfs_inode *n;

	if (t->options.inodes_max && atomic_fetch_add(&t->inodes, 1) >= t->options.inodes_max) {
		atomic_fetch_add(&t->inodes, (uint64_t)-1);
		return -ENOSPC;
	}
	n = slab_alloc(inode_cache, ALLOC_ZERO);
	if (!n)
		goto err;
	inode_init(&n->inode, s, mode);
	n->inode.ops = &tmpfs_inode_ops;
	if (S_ISREG(mode)) {
		n->inode.file_ops = &tmpfs_file_ops;
		if (vm_object_create(0, &n->inode.object)) {
			super_memory_put(s);
			slab_free(inode_cache, n);
			goto err;
		}
	} else if (S_ISDIR(mode)) {
		n->inode.file_ops = &tmpfs_dir_ops;
		n->inode.nlink = 2;
		n->inode.size = 2 * DIRENT_BYTES;
		tree_dir_init(&n->dir);
	}
	*out = &n->inode;
	return 0;
err:
	if (t->options.inodes_max)
		atomic_fetch_add(&t->inodes, (uint64_t)-1);
	return -ENOMEM;
}

static void inode_evict(struct inode *i)
{
	struct tmpfs *t = tmpfs_of(i);

	if (i->object) {
		__atomic_fetch_sub(&t->pages, node_of(i)->accounted, __ATOMIC_RELAXED);
		vm_object_put(i->object);
	}
	if (t->options.inodes_max)
		atomic_fetch_add(&t->inodes, (uint64_t)-1);
}

static void inode_release(struct inode *i)
{
	kfree(i->link); /* a walk may be following it until now */
	slab_free(inode_cache, node_of(i));
}

int tmpfs_anonymous_inode(uint32_t mode, struct inode **out)
{
	int err = inode_new(internal_super, mode, out);

	if (!err)
		(*out)->nlink = 0;
	return err;
}

/* --- directory operations ---------------------------------------------------------------------------------------- */

static void name_added(struct inode *dir, struct dentry *d)
{
	tree_add(dir_of(dir), d);
	dir->size += DIRENT_BYTES;
	inode_touch(dir);
}

static void name_removed(struct inode *dir, struct dentry *d)
{
	tree_remove(dir_of(dir), d);
	dir->size -= DIRENT_BYTES;
	inode_touch(dir);
}

static int tmpfs_make(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const struct cred *cred,
		      struct inode **out)
{
	struct inode *i;
	int err = inode_new(dir->super, mode, &i);

	if (err)
		return err;
	i->rdev = rdev;
	inode_set_owner(i, dir, cred);
	name_added(dir, d);
	*out = i;
	return 0;
}

static int tmpfs_mkdir(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *cred, struct inode **out)
{
	int err = tmpfs_make(dir, d, mode, 0, cred, out);

	if (!err)
		inode_add_links(dir, 1);
	return err;
}

static int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *cred,
			 struct inode **out)
{
	char *text = kstrdup(target);
	int err;

	if (!text)
		return -ENOMEM;
	err = tmpfs_make(dir, d, S_IFLNK | 0777, 0, cred, out);
	if (err) {
		kfree(text);
		return err;
	}
	(*out)->link = text;
	(*out)->size = strlen(text);
	return 0;
}

static int tmpfs_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred, struct inode **out)
{
	int err = inode_new(dir->super, mode, out);

	if (err)
		return err;
	inode_set_owner(*out, dir, cred);
	(*out)->nlink = 0;
	return 0;
}

static int tmpfs_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	if (READ_ONCE(target->nlink) >= INT32_MAX)
		return -EMLINK;
	inode_add_links(target, 1);
	target->ctime = timestamp_now();
	name_added(dir, d);
	return 0;
}

static void name_lost(struct inode *dir, struct inode *i)
{
	if (S_ISDIR(i->mode)) {
		inode_add_links(i, -2);
		inode_add_links(dir, -1);
	} else {
		inode_add_links(i, -1);
	}
	i->ctime = dir->ctime;
}

static int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
	name_removed(dir, d);
	name_lost(dir, d->inode);
	return 0;
}

static int tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
	if (dir_of(d->inode)->count)
		return -ENOTEMPTY;
	return tmpfs_unlink(dir, d);
}

static int tmpfs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to,
			unsigned flags)
{
	bool from_is_dir = S_ISDIR(from->inode->mode);

	if (flags & RENAME_EXCHANGE) {
		int up = (int)from_is_dir - (int)S_ISDIR(to->inode->mode);

		tree_swap(dir_of(from_dir), from, dir_of(to_dir), to);
		if (from_dir != to_dir) {
			inode_add_links(to_dir, up);
			inode_add_links(from_dir, -up);
		}
		to->inode->ctime = timestamp_now();
	} else {
		if (to->inode && S_ISDIR(to->inode->mode) && dir_of(to->inode)->count)
			return -ENOTEMPTY;
		if (to->inode)
			tmpfs_unlink(to_dir, to);
		tree_move(dir_of(from_dir), dir_of(to_dir), from);
		from_dir->size -= DIRENT_BYTES;
		to_dir->size += DIRENT_BYTES;
		if (from_is_dir && from_dir != to_dir) {
			inode_add_links(from_dir, -1);
			inode_add_links(to_dir, 1);
		}
	}
	inode_touch(from_dir);
	inode_touch(to_dir);
	from->inode->ctime = from_dir->ctime;
	return 0;
}

static int tmpfs_setattr(struct inode *i, const struct attr_change *c)
{
	if (c->valid & ATTR_SIZE) {
		if (!i->object)
			return -EINVAL;
		vm_object_truncate(i->object, c->size);
		account(i);
	}
	inode_apply_attr(i, c);
	return 0;
}

const struct inode_ops tmpfs_inode_ops = {
	.create = tmpfs_make,
	.mkdir = tmpfs_mkdir,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.tmpfile = tmpfs_tmpfile,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.setattr = tmpfs_setattr,
};

/* --- file operations --------------------------------------------------------------------------------------------- */

static int64_t tmpfs_read(struct file *f, uint64_t pos, struct uio *u)
{
	int64_t n = vm_object_read(f->inode->object, pos, u);

	inode_access_touch(f);
	return n;
}

static int64_t tmpfs_write(struct file *f, uint64_t pos, struct uio *u)
{
	struct inode *i = f->inode;
	int64_t n = 0;

	rwlock_write_lock(&i->lock);
	if (READ_ONCE(f->flags) & O_APPEND)
		pos = i->object->size_bytes;
	if (unlikely(tmpfs_of(i)->options.pages_max) && u->left) {
		uint64_t room = room_for(i, pos, u->left);

		if (room == 0)
			n = -ENOSPC;
		else
			u->left = MIN(u->left, room);
	}
	if (likely(!n)) {
		inode_drop_privileges(i, f->cred);
		n = vm_object_write(i->object, pos, u);
	}
	if (likely(n > 0)) {
		inode_touch(i);
		if (READ_ONCE(f->flags) & O_APPEND)
			f->pos = pos + (uint64_t)n;
		account(i);
	}
	rwlock_write_unlock(&i->lock);
	return n;
}

static int64_t tmpfs_seek(struct file *f, int64_t offset, int whence)
{
	struct vm_object *o = f->inode->object;
	uint64_t size = o->size_bytes, index;
	int64_t pos;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return file_seek_generic(f, offset, whence);
	if (offset < 0 || (uint64_t)offset >= size)
		return -ENXIO;
	index = (uint64_t)offset / PAGE_SIZE;
	if (whence == SEEK_DATA) {
		if (!vm_object_next_data(o, &index))
			return -ENXIO;
	} else {
		index = vm_object_next_hole(o, index);
	}
	pos = MAX((int64_t)(index * PAGE_SIZE), offset);
	if ((uint64_t)pos >= size)
		return whence == SEEK_DATA ? -ENXIO : (int64_t)size;
	return pos;
}

static int punch_hole(struct inode *i, uint64_t offset, uint64_t len)
{
	uint64_t end = offset + len, first = (offset + PAGE_MASK) / PAGE_SIZE, last = end / PAGE_SIZE;
	uint64_t at = offset;

	/* the ragged ends are zeroed, whole pages dropped */
	while (at < end) {
		uint64_t stop = MIN(end, (at / PAGE_SIZE + 1) * PAGE_SIZE);

		if (at % PAGE_SIZE == 0 && last > first && at / PAGE_SIZE >= first && at / PAGE_SIZE < last) {
			vm_object_drop(i->object, first, last);
			at = last * PAGE_SIZE;
			continue;
		}
		struct page *p = vm_object_lookup(i->object, at / PAGE_SIZE);

		if (p) {
			memset((char *)page_to_ptr(p) + at % PAGE_SIZE, 0, stop - at);
			page_put(p);
		}
		at = stop;
	}
	return 0;
}

static int tmpfs_fallocate(struct file *f, int mode, uint64_t offset, uint64_t len)
{
	struct inode *i = f->inode;
	uint64_t end = offset + len, index = offset / PAGE_SIZE;
	int err = 0;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) || mode == FALLOC_FL_PUNCH_HOLE)
		return -EOPNOTSUPP;
	rwlock_write_lock(&i->lock);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		err = punch_hole(i, offset, len);
	} else {
		if (tmpfs_of(i)->options.pages_max && room_for(i, offset, len) < len)
			err = -ENOSPC;
		uint64_t past_end = MAX(index, vm_object_page_limit(i->object));

		for (; !err && index * PAGE_SIZE < end; index++) {
			struct page *p;

			err = thread_has_work(thread_current(), WORK_KILL) ? -EINTR
									   : vm_object_page(i->object, index, true, &p);
			if (!err)
				page_put(p);
		}
		if (err) /* past the end nobody would ever look for them */
			vm_object_drop(i->object, past_end, MAX(index, past_end));
		if (!err && !(mode & FALLOC_FL_KEEP_SIZE) && end > i->object->size_bytes)
			vm_object_truncate(i->object, end);
	}
	account(i);
	inode_touch(i);
	rwlock_write_unlock(&i->lock);
	return err;
}

static int tmpfs_fsync(struct file *f, bool data_only)
{
	(void)f;
	(void)data_only;
	return 0; /* memory is all there is */
}

static int tmpfs_iterate(struct file *f, struct dir_sink *sink)
{
	struct inode *i = f->inode;

	rwlock_read_lock(&i->lock);
	if (dir_emit_dots(f, sink))
		tree_iterate(dir_of(i), f, sink);
	rwlock_read_unlock(&i->lock);
	return 0;
}

const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read,
	.write = tmpfs_write,
	.seek = tmpfs_seek,
	.fallocate = tmpfs_fallocate,
	.fsync = tmpfs_fsync,
};

const struct file_ops tmpfs_dir_ops = {
	.iterate = tmpfs_iterate,
	.seek = file_seek_generic,
	.fsync = tmpfs_fsync,
};

/* --- the file system --------------------------------------------------------------------------------------------- */

static void tmpfs_release(struct super *s)
{
	tree_destroy(s->root, dir_of);
}

static void tmpfs_statfs(struct super *s, struct vfs_statfs *out)
{
	struct tmpfs *t = s->private;
	uint64_t pages = atomic_load_relaxed(&t->pages), inodes = atomic_load_relaxed(&t->inodes);

	out->blocks = t->options.pages_max;
	out->blocks_free = out->blocks_available = t->options.pages_max > pages ? t->options.pages_max - pages : 0;
	out->files = t->options.inodes_max;
	out->files_free = t->options.inodes_max > inodes ? t->options.inodes_max - inodes : 0;
}

static const struct super_ops tmpfs_super_ops = {
	.inode_evict = inode_evict,
	.inode_release = inode_release,
	.release = tmpfs_release,
	.statfs = tmpfs_statfs,
};

int tmpfs_create(const struct fs_type *t, const struct tmpfs_options *o, unsigned long flags, struct super **out)
{
	struct super *s = kzalloc(sizeof(*s));
	struct tmpfs *fs = kzalloc(sizeof(*fs));
	struct inode *root;

	if (!s || !fs)
		goto err;
	fs->options = *o;
	super_init(s, t, &tmpfs_super_ops);
	s->flags = flags & MS_RDONLY;
	s->private = fs;
	s->options_print = tmpfs_options_print;
	s->remount = tmpfs_remount;
	if (inode_new(s, S_IFDIR | o->mode, &root))
		goto err_super;
	root->uid = o->uid;
	root->gid = o->gid;
	s->root = dentry_create_root(s, root, "");
	if (!s->root) {
		inode_put(root);
		goto err_super;
	}
	super_publish(s);
	*out = s;
	return 0;
err_super:
	super_memory_put(s);
	return -ENOMEM;
err:
	kfree(s);
	kfree(fs);
	return -ENOMEM;
}

void tmpfs_init(void)
{
	static const struct fs_type internal = {.name = "tmpfs", .flags = FS_NODEV, .magic = TMPFS_MAGIC};
	const struct tmpfs_options options = {.mode = 0700};

	inode_cache = slab_cache_create("tmpfs_inode", sizeof(struct tmpfs_inode), 0);
	if (!inode_cache || tmpfs_create(&internal, &options, 0, &internal_super))
		panic("fs: no memory for the first file system at boot");
}
