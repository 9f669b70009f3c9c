/*
 * Super blocks and mounts.  Theory in mount.c.  For fs/ only.
 */
#pragma once

#include <linux/mount.h>

#include "fs/dcache.h"

/*
 * A file system in use.  refs counts its mounts: with the last, ops->release drops its names.  memory counts those (as
 * one) and the inodes that are still open or seen by a walk: with the last, private and the super itself are freed
 * (both by kfree).
 */
struct super {
	struct refcount refs, memory;
	const struct fs_type *type;  /* I */
	const struct super_ops *ops; /* I */
	struct dentry *root;	     /* I, counted */
	uint64_t dev;		     /* I: st_dev, major << 32 | minor */
	unsigned long flags;	     /* MS_RDONLY …: of the file system itself */
	void *private;
	/* What /proc/mounts shows after the flags (",size=…"); NULL: nothing. Returns bytes needed. */
	size_t (*options_print)(struct super *s, char *buf, size_t len);
	int (*remount)(struct super *s, const char *options); /* NULL: options must be empty or are ignored */
	struct list_node all;
};

/*
 *   I  immutable    m  mount_lock (and namespace_lock for changes)
 */
struct mount {
	struct refcount refs; /* users; being attached counts as one */
	struct super *super;  /* I, counted */
	struct dentry *root;  /* I, counted */
	/* m: uncounted while attached (a mount with children stays); NULL: detached or the first */
	struct mount *parent;
	struct dentry *mountpoint; /* m, counted; in parent */
	struct mount *hash_next;   /* m */
	struct list children;	   /* m */
	struct list_node sibling;  /* m */
	struct list_node all;	   /* m: in mount order, for /proc/mounts */
	bool attached;		   /* m */
	uint32_t flags;		   /* MS_*: of this mount; READ_ONCE */
	int id;			   /* I */
	char *source;		   /* I, owned */
	struct rcu_deferred deferred;
};

extern struct spinlock mount_lock;
extern struct mutex namespace_lock; /* mount changes and renames between directories */
extern struct mount *mount_root;    /* the first one */

/* Fills a fresh super: one reference, a device number. The root is the caller's to make. */
void super_init(struct super *s, const struct fs_type *type, const struct super_ops *ops);
/* It is complete: sync(2) may find it. One that does not come so far ends with super_memory_put(). */
void super_publish(struct super *s);
static inline void super_get(struct super *s)
{
	refcount_get(&s->refs);
}
void super_put(struct super *s);
void super_memory_put(struct super *s);
/* A mount that is nowhere (yet). Takes the super's reference on success. */
int mount_create(struct super *s, struct dentry *root, const char *source, unsigned long flags,
		 struct mount **out) must_check;
static inline void mount_get(struct mount *m)
{
	refcount_get(&m->refs);
}
void mount_put(struct mount *m);
/* The mount on top of (m, d), uncounted: for sections of sync/rcu.h and holders of mount_lock. NULL: none. */
struct mount *mount_covering(struct mount *m, struct dentry *d);
/* Where m is mounted: uncounted. False at a root. Inside a section of sync/rcu.h. */
bool mount_above(struct mount *m, struct path *out);
const struct fs_type *fs_type_find(const char *name, size_t len);

static inline bool path_read_only(const struct path *p)
{
	return (READ_ONCE(p->mount->flags) | READ_ONCE(p->mount->super->flags)) & MS_RDONLY;
}
/* mount(2) option parsing: "a=1,b,c=3". Returns false at the end. value NULL: no '='. Both point into *rest, which is
 * cut up. */
bool option_next(char **rest, char **key, char **value);

extern struct list mount_all; /* attached mounts in mount order; mount_lock, or namespace_lock to look */
/* pivot_root: every context whose root or cwd is `from` gets `to`. */
void fs_context_replace_all(const struct path *from, const struct path *to);
/* p's path inside its own file system (mountinfo's fourth field), at the end of buf. NULL: does not fit. */
char *path_render_in_super(const struct path *p, char *buf, size_t len);

/* Where files in no directory have their place (anon.c); never attached. */
extern struct mount *anon_mount;
char *anon_path_render(const struct path *p, char *buf, size_t len);
void fs_context_init(const struct path *root);
