/* Attributes: stat, chmod, chown, utimens, truncate, access, statfs. */
#include <linux/capability.h>
#include <linux/fcntl.h>

#include "fs/namei.h"
#include "mm/slab.h"

void vfs_stat(const struct path *p, struct statx *out)
{
	const struct inode *i = p->dentry->inode;

	memset(out, 0, sizeof(*out));
	out->stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
	out->stx_blksize = PAGE_SIZE;
	out->stx_nlink = READ_ONCE(i->nlink);
	out->stx_uid = i->uid;
	out->stx_gid = i->gid;
	out->stx_mode = (uint16_t)i->mode;
	out->stx_ino = i->ino;
	if (i->object) {
		out->stx_size = READ_ONCE(i->object->size_bytes);
		out->stx_blocks = READ_ONCE(i->object->page_count) * (PAGE_SIZE / 512);
	} else {
		out->stx_size = i->size;
		out->stx_blocks = i->blocks;
	}
	out->stx_atime = (struct statx_timestamp){.tv_sec = i->atime.sec, .tv_nsec = i->atime.nsec};
	out->stx_mtime = (struct statx_timestamp){.tv_sec = i->mtime.sec, .tv_nsec = i->mtime.nsec};
	out->stx_ctime = (struct statx_timestamp){.tv_sec = i->ctime.sec, .tv_nsec = i->ctime.nsec};
	out->stx_btime = (struct statx_timestamp){.tv_sec = i->btime.sec, .tv_nsec = i->btime.nsec};
	out->stx_rdev_major = rdev_major(i->rdev);
	out->stx_rdev_minor = rdev_minor(i->rdev);
	out->stx_dev_major = rdev_major(i->super->dev);
	out->stx_dev_minor = rdev_minor(i->super->dev);
	out->stx_mnt_id = (uint64_t)p->mount->id;
	out->stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
	if (p->dentry == p->mount->root)
		out->stx_attributes |= STATX_ATTR_MOUNT_ROOT;
	if (i->ops->getattr)
		i->ops->getattr(p->dentry->inode, out);
}

static int check_owner_change(const struct inode *i, const struct attr_change *c, const struct cred *cred)
{
	if (cred_capable(cred, CAP_CHOWN))
		return 0;
	if ((c->valid & ATTR_UID) && (cred->fsuid != i->uid || c->uid != i->uid))
		return -EPERM;
	if ((c->valid & ATTR_GID) && (cred->fsuid != i->uid || (c->gid != i->gid && !cred_in_group(cred, c->gid))))
		return -EPERM;
	return 0;
}

static int check_change(struct inode *i, struct attr_change *c, const struct cred *cred)
{
	int err = 0;

	if (c->valid & (ATTR_UID | ATTR_GID))
		err = check_owner_change(i, c, cred);
	if (!err && (c->valid & ATTR_MODE) && !inode_owner_or_capable(i, cred))
		err = -EPERM;
	if (!err && (c->valid & (ATTR_ATIME | ATTR_MTIME)) && !(c->valid & ATTR_SIZE) &&
	    !inode_owner_or_capable(i, cred))
		err = c->valid & ATTR_TIMES_NOW ? inode_permission(i, MAY_WRITE, cred) : -EPERM;
	return err;
}

/* man 2 chown, chmod: what happens to the set-id bits. */
static void adjust_mode(const struct inode *i, struct attr_change *c, const struct cred *cred)
{
	if (c->valid & ATTR_MODE) {
		uint32_t gid = c->valid & ATTR_GID ? c->gid : i->gid;

		if ((c->mode & S_ISGID) && !cred_in_group(cred, gid) && !cred_capable(cred, CAP_FSETID))
			c->mode &= ~(uint32_t)S_ISGID;
		return;
	}
	if (!(c->valid & (ATTR_UID | ATTR_GID)) || S_ISDIR(i->mode) || !(i->mode & (S_ISUID | S_ISGID)))
		return;
	c->mode = i->mode & 07777 & ~(uint32_t)S_ISUID;
	if (c->mode & S_IXGRP)
		c->mode &= ~(uint32_t)S_ISGID;
	c->valid |= ATTR_MODE;
}

int vfs_setattr(const struct actor *who, const struct path *p, struct attr_change *c)
{
	struct inode *i = p->dentry->inode;
	int err;

	if (path_read_only(p))
		return -EROFS;
	if (c->valid & ATTR_TIMES_NOW) {
		struct timestamp now = timestamp_now();

		if (c->valid & ATTR_ATIME)
			c->atime = now;
		if (c->valid & ATTR_MTIME)
			c->mtime = now;
	}
	rwlock_write_lock(&i->lock);
	err = check_change(i, c, who->cred);
	if (!err) {
		adjust_mode(i, c, who->cred);
		if (i->ops->setattr)
			err = i->ops->setattr(i, c);
		else
			inode_apply_attr(i, c);
	}
	rwlock_write_unlock(&i->lock);
	return err;
}

int vfs_truncate(const struct actor *who, const struct path *p, uint64_t size, uint64_t limit_bytes)
{
	struct attr_change c = {.valid = ATTR_SIZE | ATTR_MTIME, .size = size, .mtime = timestamp_now()};
	struct inode *i = p->dentry->inode;
	int err;

	if (size > INT64_MAX)
		return -EINVAL;
	if (!S_ISREG(i->mode))
		return S_ISDIR(i->mode) ? -EISDIR : -EINVAL;
	if (path_read_only(p))
		return -EROFS;
	err = inode_permission(i, MAY_WRITE, who->cred);
	if (err)
		return err;
	if (size > limit_bytes)
		return -EFBIG;
	err = inode_writers_get(i);
	if (err)
		return err;
	rwlock_write_lock(&i->lock);
	inode_drop_privileges(i, who->cred);
	err = i->ops->setattr ? i->ops->setattr(i, &c) : -EINVAL;
	rwlock_write_unlock(&i->lock);
	inode_writers_put(i);
	return err;
}

int vfs_access(const struct actor *who, const struct path *p, unsigned mask)
{
	struct inode *i = p->dentry->inode;

	if ((mask & MAY_EXEC) && S_ISREG(i->mode) && (READ_ONCE(p->mount->flags) & MS_NOEXEC))
		return -EACCES;
	if ((mask & MAY_WRITE) && (S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode)) && path_read_only(p))
		return -EROFS;
	return mask ? inode_permission(i, mask, who->cred) : 0;
}

int vfs_statfs(const struct path *p, struct vfs_statfs *out)
{
	struct super *s = p->dentry->super;

	*out = (struct vfs_statfs){
		.type = s->type ? s->type->magic : 0,
		.block_size = PAGE_SIZE,
		.name_max = NAME_MAX_BYTES,
		.flags = READ_ONCE(p->mount->flags) | (s->flags & MS_RDONLY),
	};
	if (s->ops->statfs)
		s->ops->statfs(s, out);
	return 0;
}

int vfs_readlink(const struct path *p, const struct actor *who, char *buf, size_t len)
{
	struct inode *i = p->dentry->inode;
	size_t n;

	if (!S_ISLNK(i->mode))
		return -EINVAL;
	if (i->link) {
		n = MIN(strlen(i->link), len);
		memcpy(buf, i->link, n);
		return (int)n;
	}
	if (i->ops->readlink)
		return i->ops->readlink(i, buf, len);
	if (!i->ops->follow)
		return -EINVAL;
	struct path to, root;
	int err = i->ops->follow(i, who, &to);

	if (err)
		return err;
	irqflags_t f = spin_lock(&who->fs->lock);
	root = who->fs->root;
	path_get(&root);
	spin_unlock(&who->fs->lock, f);
	char *text = kmalloc(PATH_MAX_BYTES);

	err = text ? 0 : -ENOMEM;
	if (text) {
		char *s = path_render(&to, &root, text, PATH_MAX_BYTES);

		err = -ENAMETOOLONG;
		if (s) {
			n = MIN(strlen(s), len);
			memcpy(buf, s, n);
			err = (int)n;
		}
		kfree(text);
	}
	path_put(&root);
	path_put(&to);
	return err;
}
