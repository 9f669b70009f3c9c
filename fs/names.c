/*
 * Making and removing names: mknod, mkdir, symlink, link, unlink, rmdir.
 * Each finds the directory, locks it, finds the child in it, checks rights, and lets the file system act; then the
 * dentry follows.
 */
#include <linux/capability.h>
#include <linux/fcntl.h>

#include "fs/namei.h"

struct create {
	struct walk walk;
	struct inode *dir; /* locked */
	struct dentry *child;
};

/* On failure nothing is locked or held. On success create_end follows. */
static int create_begin(struct create *c, const struct actor *who, const struct path *base, const char *path,
			bool directory)
{
	struct walk *w = &c->walk;
	int err = walk_path(w, who, base, path, WALK_PARENT);

	if (!err && w->last_type != WALK_LAST_NAME)
		err = -EEXIST;
	if (err) {
		walk_fini(w);
		return err;
	}
	c->child = NULL;
	c->dir = w->held.dentry->inode;
	rwlock_write_lock(&c->dir->lock);
	if (w->held.dentry->deleted)
		err = -ENOENT;
	else
		err = child_find_locked(w->held.dentry, &w->last, true, &c->child);
	if (err)
		goto err;
	if (c->child->inode)
		err = -EEXIST;
	else if (w->trailing_slash && !directory)
		err = -ENOENT;
	else if (path_read_only(&w->held))
		err = -EROFS;
	else
		err = inode_permission(c->dir, MAY_WRITE | MAY_EXEC, who->cred);
	if (!err)
		return 0;
err:
	rwlock_write_unlock(&c->dir->lock);
	if (c->child)
		dentry_put(c->child);
	walk_fini(w);
	return err;
}

/* err: what the operation said; i: the child's inode, whose reference is taken. Returns err. */
static int create_end(struct create *c, int err, struct inode *i)
{
	if (!err) {
		dentry_set_inode(c->child, i);
		if (!c->child->hashed) {
			struct dentry *there = dcache_insert(c->child);

			BUG_ON(there); /* names are only added under the directory's lock */
		}
	}
	rwlock_write_unlock(&c->dir->lock);
	dentry_put(c->child);
	walk_fini(&c->walk);
	return err;
}

int vfs_mknod(const struct actor *who, const struct path *base, const char *path, uint32_t mode, uint64_t rdev)
{
	struct inode *i = NULL;
	struct create c;
	int err;

	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	if (S_ISDIR(mode) || S_ISLNK(mode))
		return S_ISDIR(mode) ? -EPERM : -EINVAL;
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !cred_capable(who->cred, CAP_MKNOD))
		return -EPERM;
	err = create_begin(&c, who, base, path, false);
	if (err)
		return err;
	mode = (mode & S_IFMT) | (mode & 07777 & ~who->fs->umask);
	err = c.dir->ops->create ? c.dir->ops->create(c.dir, c.child, mode, rdev, who->cred, &i) : -EPERM;
	return create_end(&c, err, i);
}

int vfs_mkdir(const struct actor *who, const struct path *base, const char *path, uint32_t mode)
{
	struct inode *i = NULL;
	struct create c;
	int err = create_begin(&c, who, base, path, true);

	if (err)
		return err;
	mode = S_IFDIR | (mode & 01777 & ~who->fs->umask);
	err = c.dir->ops->mkdir ? c.dir->ops->mkdir(c.dir, c.child, mode, who->cred, &i) : -EPERM;
	return create_end(&c, err, i);
}

int vfs_symlink(const struct actor *who, const char *target, const struct path *base, const char *path)
{
	struct inode *i = NULL;
	struct create c;
	int err;

	if (!*target)
		return -ENOENT;
	err = create_begin(&c, who, base, path, false);
	if (err)
		return err;
	err = c.dir->ops->symlink ? c.dir->ops->symlink(c.dir, c.child, target, who->cred, &i) : -EPERM;
	return create_end(&c, err, i);
}

int vfs_link(const struct actor *who, const struct path *old_base, const char *old, const struct path *new_base,
	     const char *new_path, unsigned flags)
{
	struct path target;
	struct inode *i;
	struct create c;
	int err;

	if (flags & ~(unsigned)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if ((flags & AT_EMPTY_PATH) && !cred_capable(who->cred, CAP_DAC_READ_SEARCH))
		return -ENOENT;
	err = vfs_lookup(who, old_base, old,
			 (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0),
			 &target);
	if (err)
		return err;
	i = target.dentry->inode;
	err = create_begin(&c, who, new_base, new_path, false);
	if (!err) {
		if (c.walk.held.mount != target.mount)
			err = -EXDEV;
		else if (S_ISDIR(i->mode))
			err = -EPERM;
		else if (!i->nlink && !i->tmpfile)
			err = -ENOENT;
		else
			err = c.dir->ops->link ? c.dir->ops->link(c.dir, c.child, i) : -EPERM;
		if (!err)
			inode_get(i);
		err = create_end(&c, err, i);
	}
	path_put(&target);
	return err;
}

/* --- removal ----------------------------------------------------------------------------------------------------- */

/* Like create_begin, for a child that must exist. */
static int remove_begin(struct create *c, const struct actor *who)
{
	struct walk *w = &c->walk;
	int err;

	c->child = NULL;
	c->dir = w->held.dentry->inode;
	rwlock_write_lock(&c->dir->lock);
	err = child_find_locked(w->held.dentry, &w->last, false, &c->child);
	if (!err && (!c->child || !c->child->inode))
		err = -ENOENT;
	if (!err && path_read_only(&w->held))
		err = -EROFS;
	if (!err)
		err = inode_permission(c->dir, MAY_WRITE | MAY_EXEC, who->cred);
	if (!err)
		err = inode_may_delete(c->dir, c->child->inode, who->cred);
	return err;
}

static int remove_end(struct create *c, int err)
{
	rwlock_write_unlock(&c->dir->lock);
	if (c->child)
		dentry_put(c->child); /* outside of the lock: it may free the file */
	walk_fini(&c->walk);
	return err;
}

/* With its own lock held, so that nobody mounts anything there between the look and the end. */
static int remove_child(struct create *c, int (*remove)(struct inode *dir, struct dentry *d))
{
	struct inode *i = c->child->inode;
	int err;

	rwlock_write_lock_nested(&i->lock, LOCK_INODE_CHILD);
	if (READ_ONCE(c->child->mounts))
		err = -EBUSY;
	else
		err = remove ? remove(c->dir, c->child) : -EPERM;
	if (!err)
		dentry_delete(c->child);
	rwlock_write_unlock(&i->lock);
	return err;
}

int vfs_unlink(const struct actor *who, const struct path *base, const char *path)
{
	struct create c;
	int err = walk_path(&c.walk, who, base, path, WALK_PARENT);

	if (!err && c.walk.last_type != WALK_LAST_NAME)
		err = -EISDIR;
	if (err) {
		walk_fini(&c.walk);
		return err;
	}
	err = remove_begin(&c, who);
	if (!err) {
		struct inode *i = c.child->inode;

		if (S_ISDIR(i->mode))
			err = -EISDIR;
		else if (c.walk.trailing_slash)
			err = -ENOTDIR;
		else
			err = remove_child(&c, c.dir->ops->unlink);
	}
	return remove_end(&c, err);
}

int vfs_rmdir(const struct actor *who, const struct path *base, const char *path)
{
	static const int special[] = {
		[WALK_LAST_DOT] = -EINVAL,
		[WALK_LAST_DOTDOT] = -ENOTEMPTY,
		[WALK_LAST_ROOT] = -EBUSY,
	};
	struct create c;
	int err = walk_path(&c.walk, who, base, path, WALK_PARENT);

	if (!err)
		err = special[c.walk.last_type];
	if (err) {
		walk_fini(&c.walk);
		return err;
	}
	err = remove_begin(&c, who);
	if (!err) {
		struct inode *i = c.child->inode;

		err = S_ISDIR(i->mode) ? remove_child(&c, c.dir->ops->rmdir) : -ENOTDIR;
	}
	return remove_end(&c, err);
}
