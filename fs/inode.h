/* Inodes: life, rights and times.  For fs/ only; theory in vfs.c. */
#pragma once

#include "fs/mount.h"

#define MAY_EXEC 1u
#define MAY_WRITE 2u
#define MAY_READ 4u

/* For makedev(3)'s encodings: major << 32 | minor. */
static inline uint32_t rdev_major(uint64_t rdev)
{
	return (uint32_t)(rdev >> 32);
}
static inline uint32_t rdev_minor(uint64_t rdev)
{
	return (uint32_t)rdev;
}

/* Fills a zeroed inode: one reference, nlink 1, all times now, a fresh number. Owner 0:0. */
void inode_init(struct inode *i, struct super *s, uint32_t mode);
/* Owner and group of a new inode in dir: the creator's, or dir's group where dir is set-group-id (man 2 open,
 * 7 inode). */
void inode_set_owner(struct inode *i, const struct inode *dir, const struct cred *cred);
static inline void inode_get(struct inode *i)
{
	refcount_get(&i->refs);
}
/* The last frees it through super_ops.inode_release, after all walks that may see it. May sleep. */
void inode_put(struct inode *i);
uint64_t inode_number_new(void);
struct timestamp timestamp_now(void);
static inline void inode_touch(struct inode *i) /* content changed */
{
	i->mtime = i->ctime = timestamp_now();
}
static inline void inode_add_links(struct inode *i, int n)
{
	__atomic_fetch_add(&i->nlink, (uint32_t)n, __ATOMIC_RELAXED);
}
uint64_t inode_size(const struct inode *i);
/* Mode bits, groups, capabilities; or the op. 0 or -EACCES. Never sleeps. */
int inode_permission_slow(struct inode *i, unsigned mask, const struct cred *cred);
static always_inline int inode_permission(struct inode *i, unsigned mask, const struct cred *cred)
{
	/* what everybody may do needs no look at who asks */
	if (likely((i->mode & (mask * 0111)) == mask * 0111 && !i->ops->permission))
		return 0;
	return inode_permission_slow(i, mask, cred);
}
bool inode_owner_or_capable(const struct inode *i, const struct cred *cred);
/* man 7 inode, sticky bit: may cred take `victim` out of dir? -EPERM. */
int inode_may_delete(const struct inode *dir, const struct inode *victim, const struct cred *cred);
/* A write or chown by somebody unprivileged takes set-id bits away. Inode lock held for writing. */
void inode_drop_privileges(struct inode *i, const struct cred *cred);
void inode_access_touch(struct file *f); /* relatime */

/* open for writing / execution against each other: -ETXTBSY */
int inode_writers_get(struct inode *i) must_check;
static inline void inode_writers_put(struct inode *i)
{
	__atomic_fetch_sub(&i->writers, 1, __ATOMIC_RELEASE);
}
int inode_executors_get(struct inode *i) must_check;
static inline void inode_executors_put(struct inode *i)
{
	__atomic_fetch_add(&i->writers, 1, __ATOMIC_RELEASE);
}
/* Applies what is in c to the inode's fields; for file systems without a setattr of their own. Inode lock held for
 * writing. */
void inode_apply_attr(struct inode *i, const struct attr_change *c);

/* file operations for what is not the file system's own: by type of inode. open() decides. */
extern const struct file_ops chardev_file_ops, fifo_file_ops, special_file_ops;
const struct file_ops *inode_special_ops(uint32_t mode);
/* Allocates an open file for p (takes its references on success). mode: enum file_mode. */
int file_create(struct path *p, const struct file_ops *ops, unsigned flags, unsigned mode, const struct cred *cred,
		struct file **out) must_check;
/* A place for a file in no directory: inode taken on success. */
int anon_path_create(struct inode *i, const char *name, struct path *out) must_check;
struct inode *anon_inode_create(uint32_t mode) must_check;
/* An open character device may become the session's terminal. */
void chardev_file_opened(struct file *f);
void file_init(void);
void anon_init(void);
void devtmpfs_init(void);
void chardev_files_init(void);
void inode_cache_init(void);

/* The kernel itself: all rights, no umask, the first root. */
extern const struct actor kernel_actor;
/* For file_ops.seek of what has a size; and "." and ".." for iterate: false when the sink is full. */
int64_t file_seek_generic(struct file *f, int64_t offset, int whence);
bool dir_emit_dots(struct file *f, struct dir_sink *sink);
void file_register_vm(void);
