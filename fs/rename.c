/*
 * rename(2).  Locks: the namespace lock if the directories differ (so that no other rename changes who is below whom),
 * then the upper of the two directories, then the other, then a directory that is replaced.
 */
#include <linux/fcntl.h>
#include <linux/fs.h>

#include "fs/namei.h"

struct rename {
	const struct actor *who;
	unsigned flags;
	struct walk from, to;
	struct dentry *from_dir, *to_dir;
	struct dentry *old, *new; /* counted */
};

static void lock_directories(struct rename *r)
{
	struct inode *a = r->from_dir->inode, *b = r->to_dir->inode;

	if (a == b) {
		rwlock_write_lock(&a->lock);
		return;
	}
	mutex_lock(&namespace_lock);
	if (dentry_is_below(r->from_dir, r->to_dir)) {
		struct inode *upper = b;

		b = a;
		a = upper;
	}
	rwlock_write_lock(&a->lock);
	rwlock_write_lock_nested(&b->lock, LOCK_INODE_CHILD);
}

static void unlock_directories(struct rename *r)
{
	struct inode *a = r->from_dir->inode, *b = r->to_dir->inode;

	if (a != b)
		rwlock_write_unlock(&b->lock);
	rwlock_write_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&namespace_lock);
}

static int find_names(struct rename *r)
{
	int err = r->from_dir->deleted || r->to_dir->deleted ? -ENOENT : 0;

	if (!err)
		err = child_find_locked(r->from_dir, &r->from.last, false, &r->old);
	if (!err && (!r->old || !r->old->inode))
		err = -ENOENT;
	if (!err)
		err = child_find_locked(r->to_dir, &r->to.last, !(r->flags & RENAME_EXCHANGE), &r->new);
	if (!err && (r->flags & RENAME_EXCHANGE) && (!r->new || !r->new->inode))
		err = -ENOENT;
	if (!err && (r->flags & RENAME_NOREPLACE) && r->new->inode)
		err = -EEXIST;
	return err;
}

/* A directory must not become its own descendant. */
static int check_loops(const struct rename *r)
{
	if (r->from_dir == r->to_dir)
		return 0; /* it cannot; and what is above it is not locked */
	if (S_ISDIR(r->old->inode->mode) && dentry_is_below(r->to_dir, r->old))
		return -EINVAL;
	if (r->new->inode && S_ISDIR(r->new->inode->mode) && dentry_is_below(r->from_dir, r->new))
		return r->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_types(const struct rename *r)
{
	bool old_dir = S_ISDIR(r->old->inode->mode);
	bool exchange = r->flags & RENAME_EXCHANGE;

	if (!old_dir && (r->from.trailing_slash || (r->to.trailing_slash && !exchange)))
		return -ENOTDIR;
	if (exchange && r->to.trailing_slash && !S_ISDIR(r->new->inode->mode))
		return -ENOTDIR;
	if (!r->new->inode || exchange)
		return 0;
	if (old_dir && !S_ISDIR(r->new->inode->mode))
		return -ENOTDIR;
	if (!old_dir && S_ISDIR(r->new->inode->mode))
		return -EISDIR;
	return 0;
}

static int check_rights(const struct rename *r)
{
	const struct cred *cred = r->who->cred;
	int err = path_read_only(&r->from.held) ? -EROFS : 0;

	if (!err)
		err = inode_permission(r->from_dir->inode, MAY_WRITE | MAY_EXEC, cred);
	if (!err)
		err = inode_permission(r->to_dir->inode, MAY_WRITE | MAY_EXEC, cred);
	if (!err)
		err = inode_may_delete(r->from_dir->inode, r->old->inode, cred);
	if (!err && r->new->inode)
		err = inode_may_delete(r->to_dir->inode, r->new->inode, cred);
	if (err || r->from_dir == r->to_dir)
		return err;
	/* a directory that moves gets another "..": that writes to it */
	if (S_ISDIR(r->old->inode->mode))
		err = inode_permission(r->old->inode, MAY_WRITE, cred);
	if (!err && (r->flags & RENAME_EXCHANGE) && S_ISDIR(r->new->inode->mode))
		err = inode_permission(r->new->inode, MAY_WRITE, cred);
	return err;
}

static int rename_locked(struct rename *r)
{
	bool exchange = r->flags & RENAME_EXCHANGE;
	const struct inode_ops *ops = r->from_dir->inode->ops;
	struct inode *victim = NULL;
	struct dentry_move move;
	int err = find_names(r);

	if (!err)
		err = check_loops(r);
	if (!err)
		err = check_types(r);
	if (!err)
		err = check_rights(r);
	if (err || r->old->inode == r->new->inode) /* two names of one file: nothing to do */
		return err;
	if (!ops->rename)
		return -EPERM;
	err = dentry_move_prepare(&move, r->old, r->new, exchange);
	if (err)
		return err;
	if (r->new->inode && !exchange) { /* so that nobody mounts anything there now: mount_attach() */
		victim = r->new->inode;
		rwlock_write_lock_nested(&victim->lock, LOCK_INODE_VICTIM);
	}
	if (READ_ONCE(r->old->mounts) || READ_ONCE(r->new->mounts))
		err = -EBUSY;
	else
		err = ops->rename(r->from_dir->inode, r->old, r->to_dir->inode, r->new, r->flags);
	if (err)
		dentry_move_abandon(&move);
	else
		dentry_move(&move, r->old, r->new, exchange);
	if (victim)
		rwlock_write_unlock(&victim->lock);
	return err;
}

int vfs_rename(const struct actor *who, const struct path *old_base, const char *old, const struct path *new_base,
	       const char *new_path, unsigned flags)
{
	struct rename r = {.who = who, .flags = flags};
	int err;

	if ((flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	err = walk_path(&r.from, who, old_base, old, WALK_PARENT);
	if (err)
		goto err_from;
	err = walk_path(&r.to, who, new_base, new_path, WALK_PARENT);
	if (err)
		goto err_to;
	if (r.from.held.mount != r.to.held.mount) {
		err = -EXDEV;
		goto err_to;
	}
	if (r.from.last_type != WALK_LAST_NAME || r.to.last_type != WALK_LAST_NAME) {
		err = (flags & RENAME_NOREPLACE) && r.from.last_type == WALK_LAST_NAME ? -EEXIST : -EBUSY;
		goto err_to;
	}
	r.from_dir = r.from.held.dentry;
	r.to_dir = r.to.held.dentry;
	lock_directories(&r);
	err = rename_locked(&r);
	unlock_directories(&r);
	if (r.old)
		dentry_put(r.old);
	if (r.new)
		dentry_put(r.new);
err_to:
	walk_fini(&r.to);
err_from:
	walk_fini(&r.from);
	return err;
}
