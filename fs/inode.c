/* Inodes: life, rights, times, and who writes against who executes. */
#include "fs/inode.h"

#include <linux/capability.h>
#include <linux/fcntl.h>

#include "mm/slab.h"
#include "sched/clock.h"

static uint64_t inode_number_last = 1;
static const struct inode_ops no_ops;

uint64_t inode_number_new(void)
{
	return atomic_fetch_add(&inode_number_last, 1) + 1;
}

struct timestamp timestamp_now(void)
{
	uint64_t ns = clock_realtime_ns();

	return (struct timestamp){(int64_t)(ns / NSEC_PER_SEC), (uint32_t)(ns % NSEC_PER_SEC)};
}

void inode_init(struct inode *i, struct super *s, uint32_t mode)
{
	refcount_init(&i->refs, 1);
	i->ops = &no_ops;
	i->file_ops = inode_special_ops(mode);
	i->super = s;
	refcount_get(&s->memory);
	i->ino = inode_number_new();
	i->mode = mode;
	i->nlink = 1;
	i->atime = i->mtime = i->ctime = i->btime = timestamp_now();
	rwlock_init(&i->lock, LOCK_INODE, "inode");
}

void inode_set_owner(struct inode *i, const struct inode *dir, const struct cred *cred)
{
	i->uid = cred->fsuid;
	i->gid = cred->fsgid;
	if (!(dir->mode & S_ISGID))
		return;
	i->gid = dir->gid;
	if (S_ISDIR(i->mode))
		i->mode |= S_ISGID;
	else if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !cred_in_group(cred, i->gid) &&
		 !cred_capable(cred, CAP_FSETID))
		i->mode &= ~(uint32_t)S_ISGID;
}

static void inode_free(struct rcu_deferred *d)
{
	struct inode *i = container_of(d, struct inode, deferred);

	struct super *s = i->super;

	s->ops->inode_release(i);
	super_memory_put(s);
}

void inode_put(struct inode *i)
{
	if (!refcount_put(&i->refs))
		return;
	if (i->super->ops->inode_evict)
		i->super->ops->inode_evict(i);
	rcu_defer(&i->deferred, inode_free);
}

uint64_t inode_size(const struct inode *i)
{
	return i->object ? READ_ONCE(i->object->size_bytes) : READ_ONCE(i->size);
}

int inode_permission_slow(struct inode *i, unsigned mask, const struct cred *cred)
{
	uint32_t mode = READ_ONCE(i->mode);
	uint32_t bits = mode;

	if (i->ops->permission)
		return i->ops->permission(i, mask, cred);
	if (cred->fsuid == i->uid)
		bits >>= 6;
	else if (cred_in_group(cred, i->gid))
		bits >>= 3;
	if ((bits & mask) == mask)
		return 0;
	/* man 7 capabilities: execution needs at least one x bit, except of directories */
	if (cred_capable(cred, CAP_DAC_OVERRIDE) && (S_ISDIR(mode) || !(mask & MAY_EXEC) || (mode & 0111)))
		return 0;
	if (cred_capable(cred, CAP_DAC_READ_SEARCH) && !(mask & MAY_WRITE) && (S_ISDIR(mode) || !(mask & MAY_EXEC)))
		return 0;
	return -EACCES;
}

bool inode_owner_or_capable(const struct inode *i, const struct cred *cred)
{
	return cred->fsuid == i->uid || cred_capable(cred, CAP_FOWNER);
}

int inode_may_delete(const struct inode *dir, const struct inode *victim, const struct cred *cred)
{
	if (!(dir->mode & S_ISVTX) || cred->fsuid == victim->uid || cred->fsuid == dir->uid ||
	    cred_capable(cred, CAP_FOWNER))
		return 0;
	return -EPERM;
}

void inode_drop_privileges(struct inode *i, const struct cred *cred)
{
	uint32_t drop = i->mode & S_ISUID;

	if (likely(!(i->mode & (S_ISUID | S_ISGID))) || cred_capable(cred, CAP_FSETID) || !S_ISREG(i->mode))
		return;
	if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		drop |= S_ISGID;
	i->mode &= ~drop;
}

static bool timestamp_after(const struct timestamp *a, const struct timestamp *b)
{
	return a->sec != b->sec ? a->sec > b->sec : a->nsec > b->nsec;
}

/* mount(8), relatime: atime moves when it is not after mtime and ctime, or a day old. The day is looked at when reading
 * begins at 0. */
void inode_access_touch(struct file *f)
{
	struct inode *i = f->inode;
	uint32_t flags = READ_ONCE(f->path.mount->flags);

	if ((flags & (MS_RDONLY | MS_NOATIME)) || (READ_ONCE(f->flags) & O_NOATIME) ||
	    (S_ISDIR(i->mode) && (flags & MS_NODIRATIME)))
		return;
	if (likely(timestamp_after(&i->atime, &i->mtime) && timestamp_after(&i->atime, &i->ctime)) &&
	    !(flags & MS_STRICTATIME)) {
		if (likely(f->pos != 0))
			return;
		if (timestamp_now().sec - i->atime.sec < 24 * 3600)
			return;
	}
	i->atime = timestamp_now();
}

int inode_writers_get(struct inode *i)
{
	int32_t old = atomic_load_relaxed(&i->writers);

	do {
		if (old < 0)
			return -ETXTBSY;
	} while (!atomic_cas(&i->writers, &old, old + 1));
	return 0;
}

int inode_executors_get(struct inode *i)
{
	int32_t old = atomic_load_relaxed(&i->writers);

	do {
		if (old > 0)
			return -ETXTBSY;
	} while (!atomic_cas(&i->writers, &old, old - 1));
	return 0;
}

void inode_apply_attr(struct inode *i, const struct attr_change *c)
{
	if (c->valid & ATTR_UID)
		i->uid = c->uid;
	if (c->valid & ATTR_GID)
		i->gid = c->gid;
	if (c->valid & ATTR_MODE)
		i->mode = (i->mode & S_IFMT) | (c->mode & 07777);
	if (c->valid & ATTR_ATIME)
		i->atime = c->atime;
	if (c->valid & ATTR_MTIME)
		i->mtime = c->mtime;
	i->ctime = timestamp_now();
}

const struct file_ops *inode_special_ops(uint32_t mode)
{
	if (S_ISCHR(mode))
		return &chardev_file_ops;
	if (S_ISFIFO(mode))
		return &fifo_file_ops;
	return &special_file_ops; /* ENXIO: sockets and block devices without a driver */
}
