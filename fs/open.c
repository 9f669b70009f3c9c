/* open(2): from a path to an open file; and open files for what is in no directory. */
#include <linux/fcntl.h>

#include "fs/namei.h"
#include "mm/slab.h"

#define OPEN_FLAGS_KEPT (~(unsigned)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC))

static struct slab_cache *file_cache;

void file_init(void)
{
	file_cache = slab_cache_create("file", sizeof(struct file), 0);
	if (!file_cache)
		boot_stop("fs: no memory for the first file at boot");
}

int file_create(struct path *p, const struct file_ops *ops, unsigned flags, unsigned mode, const struct cred *cred,
		struct file **out)
{
	struct file *f = slab_alloc(file_cache, 0);

	if (!f)
		return -ENOMEM;
	refcount_init(&f->refs, 1);
	f->ops = ops;
	f->path = *p;
	*p = (struct path){0};
	f->inode = f->path.dentry->inode;
	f->flags = flags;
	f->mode = mode | (ops->stream ? FILE_STREAM : 0);
	f->pos = 0;
	mutex_init(&f->pos_lock, LOCK_FILE_POS, "file_pos");
	f->private = NULL;
	f->cred = cred;
	cred_get(cred);
	f->owner_pid = f->owner_signal = 0;
	*out = f;
	return 0;
}

/* Frees a file whose open failed: without release. */
static void file_destroy(struct file *f)
{
	path_put(&f->path);
	cred_put(f->cred);
	slab_free(file_cache, f);
}

void file_put(struct file *f)
{
	if (likely(!refcount_put(&f->refs)))
		return;
	if (f->ops->release)
		f->ops->release(f);
	if ((f->mode & FILE_WRITE) && S_ISREG(f->inode->mode))
		inode_writers_put(f->inode);
	file_destroy(f);
}

static int truncate_for_open(struct inode *i, const struct cred *cred)
{
	struct attr_change c = {.valid = ATTR_SIZE | ATTR_MTIME, .mtime = timestamp_now()};
	int err = inode_writers_get(i); /* also who only reads then: nobody may be executing it */

	if (err)
		return err;
	rwlock_write_lock(&i->lock);
	inode_drop_privileges(i, cred);
	err = i->ops->setattr ? i->ops->setattr(i, &c) : 0;
	rwlock_write_unlock(&i->lock);
	inode_writers_put(i);
	return err;
}

/* Rights to open i in this way, for who did not just create it. */
static int may_open(const struct actor *who, const struct path *p, unsigned flags, unsigned mask)
{
	struct inode *i = p->dentry->inode;
	int err;

	if (S_ISLNK(i->mode))
		return -ELOOP;
	if (S_ISDIR(i->mode) && (mask & MAY_WRITE))
		return -EISDIR;
	if ((S_ISCHR(i->mode) || S_ISBLK(i->mode)) && (READ_ONCE(p->mount->flags) & MS_NODEV))
		return -EACCES;
	if ((mask & MAY_WRITE) && S_ISREG(i->mode) && path_read_only(p))
		return -EROFS;
	err = inode_permission(i, mask, who->cred);
	if (!err && (flags & O_NOATIME) && !inode_owner_or_capable(i, who->cred))
		err = -EPERM;
	return err;
}

static const struct file_ops place_file_ops = {.stream = true}; /* O_PATH: no operation at all */

/* Opens *p; its references are taken, also on failure. */
static int open_place(const struct actor *who, struct path *p, unsigned flags, bool created, struct file **out)
{
	static const uint8_t modes[] = {FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0};
	static const uint8_t masks[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
	struct inode *i = p->dentry->inode;
	unsigned mode = modes[flags & O_ACCMODE], mask = masks[flags & O_ACCMODE];
	bool writes = (mode & FILE_WRITE) && S_ISREG(i->mode);
	struct file *f;
	int err = 0;

	if ((flags & O_DIRECTORY) && !S_ISDIR(i->mode))
		err = -ENOTDIR;
	else if (flags & O_PATH)
		err = file_create(p, &place_file_ops, flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), FILE_PATH, who->cred,
				  out);
	else if (likely(!created))
		err = may_open(who, p, flags, mask | (flags & O_TRUNC ? MAY_WRITE : 0));
	if (err || (flags & O_PATH))
		goto out;
	if (writes) {
		err = inode_writers_get(i);
		if (err)
			goto out;
	}
	err = file_create(p, i->file_ops, flags & OPEN_FLAGS_KEPT, mode, who->cred, &f);
	if (err)
		goto out_writers;
	if ((flags & O_TRUNC) && S_ISREG(i->mode) && !created)
		err = truncate_for_open(i, who->cred);
	if (!err && f->ops->open)
		err = f->ops->open(f);
	if (likely(!err)) {
		if (unlikely(S_ISCHR(i->mode)) && !(flags & O_NOCTTY))
			chardev_file_opened(f);
		*out = f;
		return 0;
	}
	if (writes)
		inode_writers_put(i);
	file_destroy(f);
	return err;
out_writers:
	if (writes)
		inode_writers_put(i);
out:
	if (p->mount)
		path_put(p);
	return err;
}

int vfs_open_path(const struct actor *who, const struct path *p, unsigned flags, struct file **out)
{
	struct path mine = *p;

	path_get(&mine);
	return open_place(who, &mine, flags & ~(unsigned)(O_CREAT | O_EXCL), false, out);
}

/* --- O_CREAT ----------------------------------------------------------------------------------------------------- */

/* Creates the file or finds that it is there: *p is counted; *created says which. -ESTALE: a link came there, walk
 * again. */
static int create_or_find(struct walk *w, const struct actor *who, unsigned flags, uint32_t mode, struct path *p,
			  bool *created)
{
	struct dentry *dir = w->held.dentry, *child = NULL;
	struct inode *i = NULL;
	int err = 0;

	if (w->last_type != WALK_LAST_NAME || w->trailing_slash)
		return -EISDIR;
	rwlock_write_lock(&dir->inode->lock);
	err = dir->deleted ? -ENOENT : child_find_locked(dir, &w->last, true, &child);
	if (err)
		goto out;
	*created = !child->inode;
	if (child->inode) {
		if (flags & O_EXCL)
			err = -EEXIST;
		else if (S_ISLNK(child->inode->mode))
			err = flags & O_NOFOLLOW ? -ELOOP : -ESTALE;
		else if (S_ISDIR(child->inode->mode))
			err = -EISDIR;
		goto out;
	}
	if (path_read_only(&w->held))
		err = -EROFS;
	else
		err = inode_permission(dir->inode, MAY_WRITE | MAY_EXEC, who->cred);
	if (err)
		goto out;
	mode = S_IFREG | (mode & 07777 & ~who->fs->umask);
	err = dir->inode->ops->create ? dir->inode->ops->create(dir->inode, child, mode, 0, who->cred, &i) : -EACCES;
	if (err)
		goto out;
	dentry_set_inode(child, i);
	if (!child->hashed) {
		struct dentry *there = dcache_insert(child);

		BUG_ON(there);
	}
out:
	rwlock_write_unlock(&dir->inode->lock);
	if (err) {
		if (child)
			dentry_put(child);
		return err;
	}
	*p = (struct path){w->held.mount, child};
	mount_get(p->mount);
	if (!*created)
		path_cross_mounts(p);
	return 0;
}

static noinline int open_create(const struct actor *who, const struct path *base, const char *path, unsigned flags,
				uint32_t mode, unsigned resolve, struct file **out)
{
	unsigned walk_flags = WALK_PARENT | resolve | (flags & (O_EXCL | O_NOFOLLOW) ? 0 : WALK_PARENT_FOLLOW);
	bool created;
	struct path p;
	int err;

	if (flags & O_DIRECTORY)
		return -EINVAL;
	/* most files opened with O_CREAT exist */
	if (!(flags & O_EXCL)) {
		err = vfs_lookup(who, base, path, resolve | (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW), &p);
		if (!err) {
			if (S_ISDIR(p.dentry->inode->mode)) {
				path_put(&p);
				return -EISDIR;
			}
			return open_place(who, &p, flags, false, out);
		}
		if (err != -ENOENT)
			return err == -ENOTDIR && path[0] && path[strlen(path) - 1] == '/' ? -EISDIR : err;
	}
	do {
		struct walk w;

		err = walk_path(&w, who, base, path, walk_flags);
		if (!err)
			err = create_or_find(&w, who, flags, mode, &p, &created);
		walk_fini(&w);
	} while (err == -ESTALE);
	if (err)
		return err;
	return open_place(who, &p, flags, created, out);
}

static noinline int open_tmpfile(const struct actor *who, const struct path *base, const char *path, unsigned flags,
				 uint32_t mode, unsigned resolve, struct file **out)
{
	struct inode *dir, *i;
	struct dentry *d;
	struct path p;
	int err;

	if (!(flags & (O_WRONLY | O_RDWR)))
		return -EINVAL;
	err = vfs_lookup(who, base, path, resolve | LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
	if (err)
		return err;
	dir = p.dentry->inode;
	err = path_read_only(&p) ? -EROFS : inode_permission(dir, MAY_WRITE | MAY_EXEC, who->cred);
	if (!err)
		err = dir->ops->tmpfile
			? dir->ops->tmpfile(dir, S_IFREG | (mode & 07777 & ~who->fs->umask), who->cred, &i)
			: -EOPNOTSUPP;
	if (err)
		goto out;
	i->tmpfile = !(flags & O_EXCL);
	d = dentry_create(p.dentry, "#", 1);
	if (!d) {
		inode_put(i);
		err = -ENOMEM;
		goto out;
	}
	dentry_set_inode(d, i);
	d->deleted = true;
	dentry_put(p.dentry);
	p.dentry = d;
	return open_place(who, &p, flags & ~(unsigned)(O_TMPFILE | O_EXCL), true, out);
out:
	path_put(&p);
	return err;
}

int vfs_open(const struct actor *who, const struct path *base, const char *path, unsigned flags, uint32_t mode,
	     unsigned resolve, struct file **out)
{
	struct path p;
	int err;

	if (unlikely((flags & __O_TMPFILE) && !(flags & O_PATH))) {
		if ((flags & O_TMPFILE) != O_TMPFILE || (flags & O_CREAT))
			return -EINVAL;
		return open_tmpfile(who, base, path, flags, mode, resolve, out);
	}
	if ((flags & O_CREAT) && !(flags & O_PATH))
		return open_create(who, base, path, flags, mode, resolve, out);
	err = vfs_lookup(who, base, path,
			 resolve | (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
				 (flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0),
			 &p);
	if (err)
		return err;
	return open_place(who, &p, flags, false, out);
}

/* --- exec -------------------------------------------------------------------------------------------------------- */

int vfs_open_exec(const struct actor *who, const struct path *base, const char *path, unsigned lookup,
		  struct file **out)
{
	struct inode *i;
	struct path p;
	int err = vfs_lookup(who, base, path, lookup, &p);

	if (err)
		return err;
	i = p.dentry->inode;
	if (S_ISLNK(i->mode))
		err = -ELOOP;
	else if (!S_ISREG(i->mode) || (READ_ONCE(p.mount->flags) & MS_NOEXEC))
		err = -EACCES;
	else
		err = inode_permission(i, MAY_EXEC, who->cred);
	/* a file nobody gave an x bit is not executable, whoever asks */
	if (!err && !(i->mode & 0111) && !i->ops->permission)
		err = -EACCES;
	if (!err)
		err = inode_executors_get(i);
	if (err) {
		path_put(&p);
		return err;
	}
	struct file *f;
	err = file_create(&p, i->file_ops, O_RDONLY, FILE_READ, who->cred, &f);
	if (!err && f->ops->open) {
		err = f->ops->open(f);
		if (err)
			file_destroy(f);
		p = (struct path){0};
	}
	if (!err)
		*out = f;
	if (err) {
		inode_executors_put(i);
		if (p.mount)
			path_put(&p);
	}
	return err;
}

void vfs_exec_done(struct file *f)
{
	inode_executors_put(f->inode);
}
