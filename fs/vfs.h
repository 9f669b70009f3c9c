/*
 * The virtual file system: inodes, names, mounts, open files, and the calls programs make on them.
 * Theory in vfs.c (objects and lifetimes), dcache.c (names), namei.c (walking), mount.c.
 *
 * Who acts is an explicit parameter (struct actor), never a global.
 *
 *   I immutable   i inode->lock   atomic where said; a dentry is dcache.c's own (fs/dcache.h)
 */
#pragma once

#include <linux/stat.h>

#include "dev/chardev.h"
#include "fs/cred.h"
#include "lib/list.h"
#include "lib/types.h"
#include "mm/uio.h"
#include "sched/mutex.h"
#include "sched/poll.h"
#include "sync/rcu.h"
#include "sync/refcount.h"
#include "sync/spinlock.h"
#include "vm/object.h"

#define NAME_MAX_BYTES 255
#define PATH_MAX_BYTES 4096
#define SYMLINK_DEPTH_MAX 40

struct inode;
struct dentry;
struct file;
struct super;
struct mount;
struct dir_sink;
struct vfs_statfs;

/* A place: a name on a mount. Both counted by path_get/path_put. */
struct path {
	struct mount *mount;
	struct dentry *dentry;
};

/* Root, working directory and umask: shared by threads, and by processes after clone(CLONE_FS). */
struct fs_context {
	struct refcount refs;
	struct spinlock lock; /* the three below */
	struct path root, cwd;
	uint32_t umask;
	struct list_node all; /* of all contexts, for pivot_root */
};

/* Who walks and opens. Borrowed for the length of a call. */
struct actor {
	struct fs_context *fs;
	const struct cred *cred;
};

struct timestamp {
	int64_t sec;
	uint32_t nsec;
};

struct attr_change {
	unsigned valid; /* enum attr_valid */
	uint32_t mode, uid, gid;
	uint64_t size;
	struct timestamp atime, mtime;
};
enum attr_valid {
	ATTR_MODE = 1 << 0,
	ATTR_UID = 1 << 1,
	ATTR_GID = 1 << 2,
	ATTR_SIZE = 1 << 3,
	ATTR_ATIME = 1 << 4,
	ATTR_MTIME = 1 << 5,
	ATTR_TIMES_NOW = 1 << 6, /* utimensat with UTIME_NOW / NULL: write permission suffices */
};

/*
 * All called with inode->lock of the directory held for writing unless said, and that of a directory that is removed or
 * replaced.  An op that succeeds has taken the name in or out of the directory; the core then changes the dentry.
 */
struct inode_ops {
	/* Finds name in dir: *out a counted inode; -ENOENT. Directory lock held (read suffices). NULL op: everything is
	 * in the dcache (tmpfs). */
	int (*lookup)(struct inode *dir, const char *name, size_t len, struct inode **out);
	/* any type but directory and link */
	int (*create)(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const struct cred *cred,
		      struct inode **out);
	int (*mkdir)(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *cred, struct inode **out);
	int (*symlink)(struct inode *dir, struct dentry *d, const char *target, const struct cred *cred,
		       struct inode **out);
	int (*link)(struct inode *dir, struct dentry *d, struct inode *target);
	int (*unlink)(struct inode *dir, struct dentry *d);
	int (*rmdir)(struct inode *dir, struct dentry *d); /* -ENOTEMPTY is the file system's to find */
	/* O_TMPFILE: an inode with nlink 0, in no directory. NULL: -EOPNOTSUPP. Directory not locked. */
	int (*tmpfile)(struct inode *dir, uint32_t mode, const struct cred *cred, struct inode **out);
	int (*rename)(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to,
		      unsigned flags);
	/* Text of a symbolic link into buf (at most len bytes, no NUL); returns its length. */
	int (*readlink)(struct inode *i, char *buf, size_t len);
	/* "Magic" links (/proc/self/exe, fd/N): the path itself, counted. NULL: use readlink's text. */
	int (*follow)(struct inode *i, const struct actor *who, struct path *out);
	int (*setattr)(struct inode *i, const struct attr_change *c);
	void (*getattr)(struct inode *i, struct statx *out); /* amends what the core filled in */
	/* NULL: mode bits. Must not sleep: walks call it */
	int (*permission)(struct inode *i, unsigned mask, const struct cred *cred);
	/* Extended attributes: -EOPNOTSUPP when NULL. */
};

struct inode {
	struct refcount refs;
	const struct inode_ops *ops;	 /* I */
	const struct file_ops *file_ops; /* I: for files opened on it */
	struct super *super;		 /* I */
	uint64_t ino;			 /* I */
	uint32_t mode;			 /* i: type bits immutable */
	uint32_t nlink;			 /* atomic: inode_add_links() */
	uint32_t uid, gid;		 /* i */
	uint64_t rdev;			 /* I: (major << 32 | minor) */
	uint64_t size;			 /* i; for regular files with an object, object.size_bytes is the truth */
	uint64_t blocks;		 /* 512-byte units */
	struct timestamp atime, mtime, ctime, btime; /* i */
	struct rwlock lock;			     /* content (regular) or entries (directory) */
	struct vm_object *object;		     /* I: page cache of a regular file; NULL elsewhere */
	void *private;				     /* file system's, or the pipe of a FIFO */
	int32_t writers;			     /* atomic: open for writing; <0: being executed (ETXTBSY) */
	/* I: text of a symbolic link that is in memory, NULL otherwise: walked without calling readlink */
	const char *link;
	bool tmpfile;	      /* made by O_TMPFILE without O_EXCL: link(2) may give it a name */
	bool uncached;	      /* I: its name is looked up anew each time (/proc/[pid]) */
	bool absent_uncached; /* I: of a directory: names that are not there may be a moment later, by themselves */
	struct rcu_deferred deferred;
};

struct super_ops {
	/*
	 * Last reference gone: evict gives back what is large or counted at once (NULL: nothing is), release frees the
	 * rest when no walk can be looking at the inode any more.
	 */
	void (*inode_evict)(struct inode *i);
	void (*inode_release)(struct inode *i);
	void (*release)(struct super *s); /* last mount gone */
	void (*statfs)(struct super *s, struct vfs_statfs *out);
	int (*sync)(struct super *s);
};

struct vfs_statfs {
	uint64_t type, block_size, blocks, blocks_free, blocks_available, files, files_free, name_max, flags;
};

/* An open file description. */
struct file_ops {
	int (*open)(struct file *f);	 /* may be NULL */
	void (*release)(struct file *f); /* last reference; may be NULL */
	/* pos is the position to use; the core advances f->pos for the calls that use it. Bytes done or -errno. */
	int64_t (*read)(struct file *f, uint64_t pos, struct uio *u);
	/* O_APPEND is resolved inside, under the inode's lock */
	int64_t (*write)(struct file *f, uint64_t pos, struct uio *u);
	int64_t (*seek)(struct file *f, int64_t offset, int whence); /* NULL: -ESPIPE */
	int (*iterate)(struct file *f, struct dir_sink *sink);	     /* directories; f->pos is the cookie */
	uint32_t (*poll)(struct file *f, struct poll_table *t);	     /* NULL: always POLLIN|POLLOUT */
	long (*ioctl)(struct file *f, unsigned cmd, uint64_t arg);   /* NULL: -ENOTTY */
	int (*fsync)(struct file *f, bool data_only);		     /* NULL: -EINVAL */
	/* Chooses the object a mapping uses (counted). NULL: inode->object, or -ENODEV. *out NULL: anonymous memory. */
	int (*mmap)(struct file *f, uint64_t offset, uint64_t len, unsigned area_flags, struct vm_object **out);
	int (*fallocate)(struct file *f, int mode, uint64_t offset, uint64_t len);
	int (*truncate)(struct file *f, uint64_t size);
	bool stream; /* no position: read/write ignore pos (pipes, terminals, sockets) */
};

struct file {
	struct refcount refs;
	const struct file_ops *ops; /* I */
	struct path path;	    /* I, counted */
	struct inode *inode;	    /* I: path.dentry's, counted through it */
	uint32_t flags;		    /* O_*; F_SETFL changes some, READ_ONCE */
	uint32_t mode;		    /* FILE_READ|FILE_WRITE|… I */
	uint64_t pos;		    /* pos_lock */
	struct mutex pos_lock;
	void *private;		       /* the owner of ops */
	const struct cred *cred;       /* of the opener, counted */
	int owner_pid, owner_signal;   /* F_SETOWN, F_SETSIG */
	struct chardev_handle chardev; /* of a character device: what the driver sees */
};

enum file_mode {
	FILE_READ = 1 << 0,
	FILE_WRITE = 1 << 1,
	FILE_PATH = 1 << 2, /* O_PATH */
	FILE_STREAM = 1 << 3,
};

/* Where iterate puts entries. Returns false when full: stop, and do not advance past this entry. */
struct dir_sink {
	bool (*entry)(struct dir_sink *s, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next_pos);
};

/* --- contexts and paths ------------------------------------------------------------------------------------------ */
int fs_context_copy(struct fs_context *from, struct fs_context **out) must_check; /* fork without CLONE_FS */
static inline void fs_context_get(struct fs_context *c)
{
	refcount_get(&c->refs);
}
void fs_context_put(struct fs_context *c);
struct fs_context *fs_context_initial(void);			     /* rooted at the initial tmpfs; borrowed */
void fs_context_set_cwd(struct fs_context *c, const struct path *p); /* takes own references */
void fs_context_set_root(struct fs_context *c, const struct path *p);
void path_get(const struct path *p);
void path_put(struct path *p);

/* --- look-up. base: where relative paths start (NULL = cwd); path: kernel string ---------------------------------- */
enum lookup_flag {
	LOOKUP_FOLLOW = 1 << 0,	   /* follow a final symbolic link */
	LOOKUP_DIRECTORY = 1 << 1, /* -ENOTDIR unless it is one */
	LOOKUP_EMPTY = 1 << 2,	   /* "" names base itself (AT_EMPTY_PATH) */
	/* openat2 */
	LOOKUP_NO_XDEV = 1 << 3,
	LOOKUP_NO_SYMLINKS = 1 << 4,
	LOOKUP_BENEATH = 1 << 5,
	LOOKUP_IN_ROOT = 1 << 6,
	LOOKUP_NO_MAGICLINKS = 1 << 7,
};
int vfs_lookup(const struct actor *who, const struct path *base, const char *path, unsigned flags,
	       struct path *out) must_check;

/* --- files ------------------------------------------------------------------------------------------------------- */
/* open(2): flags O_*, mode before umask; resolve: lookup_flag bits of openat2. Returns owned *out. */
int vfs_open(const struct actor *who, const struct path *base, const char *path, unsigned flags, uint32_t mode,
	     unsigned resolve, struct file **out) must_check;
/* Opens a place already found (O_CREAT has no meaning). */
int vfs_open_path(const struct actor *who, const struct path *p, unsigned flags, struct file **out) must_check;
/* A file that is in no directory (pipes, eventfd): shows in /proc/pid/fd as "name:[ino]", or as it stands
 * when it begins with "anon_inode:". name: static string. Takes private (ops->release frees it) on success. */
int file_create_anonymous(const char *name, const struct file_ops *ops, void *private, unsigned flags,
			  struct file **out) must_check;
/* memfd_create(2): a tmpfs file in no directory, open for reading and writing. flags: O_* to keep. */
int file_create_memfd(const char *name, unsigned flags, struct file **out) must_check;
static inline void file_get(struct file *f)
{
	refcount_get(&f->refs);
}
void file_put(struct file *f);

/* read/write at the file's own position (advanced) or at a given one. Check access mode, regular-file limits
 * (RLIMIT_FSIZE is limit_bytes: pass UINT64_MAX when none; over it -EFBIG). Bytes or -errno. */
int64_t vfs_read(struct file *f, struct uio *u);
int64_t vfs_write(struct file *f, struct uio *u, uint64_t limit_bytes);
int64_t vfs_pread(struct file *f, uint64_t pos, struct uio *u);
int64_t vfs_pwrite(struct file *f, uint64_t pos, struct uio *u, uint64_t limit_bytes);
int64_t vfs_seek(struct file *f, int64_t offset, int whence);
/* getdents64-shaped iteration. */
int vfs_iterate(struct file *f, struct dir_sink *sink);
uint32_t vfs_poll(struct file *f, struct poll_table *t);
long vfs_ioctl(struct file *f, unsigned cmd, uint64_t arg);
int vfs_fsync(struct file *f, bool data_only) must_check;
int vfs_ftruncate(struct file *f, uint64_t size, uint64_t limit_bytes) must_check;
int vfs_fallocate(struct file *f, int mode, uint64_t offset, uint64_t len, uint64_t limit_bytes) must_check;
/* What mmap needs to know; see file_ops.mmap. -EACCES when the access mode forbids it. */
int vfs_mmap(struct file *f, uint64_t offset, uint64_t len, unsigned area_flags, struct vm_object **out) must_check;
/* exec: opens for execution (needs x, regular file, not noexec), counts against writers until vfs_exec_done. -EACCES,
 * -ETXTBSY … */
int vfs_open_exec(const struct actor *who, const struct path *base, const char *path, unsigned lookup,
		  struct file **out) must_check;
void vfs_exec_done(struct file *f); /* allow writers again; drops no reference */
/* Reads exactly up to len bytes at pos into kernel memory: bytes or -errno. */
int64_t vfs_read_kernel(struct file *f, uint64_t pos, void *buf, size_t len);

/* --- names -------------------------------------------------------------------------------------------------------- */
int vfs_mknod(const struct actor *who, const struct path *base, const char *path, uint32_t mode,
	      uint64_t rdev) must_check;
int vfs_mkdir(const struct actor *who, const struct path *base, const char *path, uint32_t mode) must_check;
int vfs_symlink(const struct actor *who, const char *target, const struct path *base, const char *path) must_check;
/* AT_* flags */
int vfs_link(const struct actor *who, const struct path *old_base, const char *old, const struct path *new_base,
	     const char *new_path, unsigned flags) must_check;
int vfs_unlink(const struct actor *who, const struct path *base, const char *path) must_check;
int vfs_rmdir(const struct actor *who, const struct path *base, const char *path) must_check;
int vfs_rename(const struct actor *who, const struct path *old_base, const char *old, const struct path *new_base,
	       const char *new_path, unsigned flags) must_check;
/* length or -errno */
int vfs_readlink(const struct path *p, const struct actor *who, char *buf, size_t len) must_check;

/* --- attributes --------------------------------------------------------------------------------------------------- */
void vfs_stat(const struct path *p, struct statx *out); /* struct statx serves stat, fstat and statx */
/* chmod, chown, utimens, truncate: checks rights */
int vfs_setattr(const struct actor *who, const struct path *p, struct attr_change *c) must_check;
int vfs_truncate(const struct actor *who, const struct path *p, uint64_t size, uint64_t limit_bytes) must_check;
/* access(2): mask R_OK|W_OK|X_OK bits (4,2,1) with who->cred's fsuid. */
int vfs_access(const struct actor *who, const struct path *p, unsigned mask) must_check;
int vfs_statfs(const struct path *p, struct vfs_statfs *out) must_check;

/* --- places and mounts ------------------------------------------------------------------------------------------- */
/* Absolute path of p as seen from root (NULL: the global one), " (deleted)" appended for unlinked names; written to the
 * END of buf; returns the start or NULL (-ENAMETOOLONG). "(unreachable)" is prefixed when p is not below root. */
char *path_render(const struct path *p, const struct path *root, char *buf, size_t len);
struct fs_type {
	const char *name;
	unsigned flags; /* FS_NODEV: needs no device */
	uint64_t magic;
	/* Makes a super block with its root dentry; source may be NULL. -EINVAL for unknown options, … */
	int (*mount)(const struct fs_type *t, const char *source, unsigned long flags, const char *options,
		     struct super **out);
};
enum { FS_NODEV = 1 };
#define FILESYSTEM(var) \
	static const struct fs_type *const var##_registered in_section(".filesystems") aligned_to(8) = &var
int vfs_mount(const struct actor *who, const char *source, const struct path *where, const char *type,
	      unsigned long flags, const char *options) must_check;
int vfs_bind(const struct actor *who, const struct path *from, const struct path *where,
	     unsigned long flags) must_check;
int vfs_remount(const struct actor *who, const struct path *where, unsigned long flags, const char *options) must_check;
int vfs_move_mount(const struct actor *who, const struct path *from, const struct path *where) must_check;
int vfs_umount(const struct actor *who, const struct path *where, int flags) must_check;
int vfs_pivot_root(const struct actor *who, const struct path *new_root, const struct path *put_old) must_check;
/* The text of /proc/mounts and /proc/pid/mountinfo as seen from root; /proc/filesystems. Return bytes needed. */
size_t vfs_mounts_print(const struct path *root, bool mountinfo, char *buf, size_t len);
size_t vfs_filesystems_print(char *buf, size_t len);
int vfs_sync_all(void);

/* Boot order steps: the initial tmpfs root with /dev (devtmpfs mounted by init or, if /dev exists empty, by the kernel
 * as CONFIG_DEVTMPFS_MOUNT does not for an initramfs: a /dev/console node is made so that PID 1 has its
 * three files). */
void vfs_init(void);

/* --- more that syscall/ calls ------------------------------------------------------------------------------------ */
struct inode *path_inode(const struct path *p); /* never NULL; borrowed */
bool path_is_unlinked(const struct path *p);	/* the name is gone (getcwd's ENOENT) */
/* Counted copies of both. */
void fs_context_get_paths(struct fs_context *c, struct path *root, struct path *cwd);
/* F_SETFL: O_APPEND, O_NONBLOCK, O_NOATIME, O_DIRECT may change; other bits are ignored. -EPERM, -EINVAL. */
int vfs_set_flags(struct file *f, unsigned flags) must_check;
