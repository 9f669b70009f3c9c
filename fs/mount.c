/*
 * Mounts: theory.
 *
 * A mount puts a file system's (or, bound, a directory's) root on a place: it covers the dentry `mountpoint` of its
 * parent mount.  There is one tree of mounts.  The same dentry may be covered under one mount and not under another, so
 * a place is always the pair (mount, dentry), and crossings are found in a table keyed by that pair.  dentry.mounts
 * says cheaply that there may be something to find.
 *
 * Locks: namespace_lock (sleeping) makes changes take turns; mount_lock (spinning) guards the table and the links for
 * walks, which hold it for a few instructions when they come to a covered dentry or to a mount's root.
 * Lifetime: being attached is one reference, each struct path another.  umount of a busy mount is refused; MNT_DETACH
 * takes it out of the tree and lets the users finish.  The last reference drops the root and the super; memory goes
 * through rcu_defer.
 */
#include "fs/mount.h"

#include <linux/capability.h>

#include "abi/mount.h"
#include "fs/inode.h"
#include "lib/printf.h"
#include "mm/slab.h"
#include "sync/rcu.h"

#define MOUNT_BUCKETS 256
/* mount(2) flags that belong to the mount, not to the file system */
#define MOUNT_FLAGS \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)

struct spinlock mount_lock = SPINLOCK_INIT(LOCK_MOUNT, "mount");
struct mutex namespace_lock = MUTEX_INIT(namespace_lock, LOCK_NAMESPACE, "namespace");
struct mount *mount_root;

static struct mount *mount_table[MOUNT_BUCKETS]; /* mount_lock */
struct list mount_all = LIST_INIT(mount_all);	 /* mount_lock */
static struct spinlock super_lock = SPINLOCK_INIT(LOCK_SUPER, "supers");
static struct list supers = LIST_INIT(supers); /* super_lock */
static int mount_id_last;		       /* atomic */
static uint32_t super_dev_last;		       /* atomic */

/* --- super blocks ------------------------------------------------------------------------------------------------ */

void super_init(struct super *s, const struct fs_type *type, const struct super_ops *ops)
{
	refcount_init(&s->refs, 1);
	refcount_init(&s->memory, 1);
	s->type = type;
	s->ops = ops;
	s->dev = atomic_fetch_add(&super_dev_last, 1) + 1; /* major 0: no device */
}

void super_publish(struct super *s)
{
	SPIN_GUARD(&super_lock);
	list_push_back(&supers, &s->all);
}

void super_put(struct super *s)
{
	if (!refcount_put(&s->refs))
		return;
	dcache_shrink(s);
	s->ops->release(s);
	irqflags_t f = spin_lock(&super_lock);
	list_remove(&s->all);
	spin_unlock(&super_lock, f);
	super_memory_put(s);
}

void super_memory_put(struct super *s)
{
	if (refcount_put(&s->memory)) {
		kfree(s->private);
		kfree(s);
	}
}

/* The super after `s` (the first if NULL), counted; drops s. */
static struct super *super_next(struct super *s)
{
	struct super *next = NULL;

	irqflags_t f = spin_lock(&super_lock);
	struct list_node *n = s ? list_next(&supers, &s->all) : list_first(&supers);
	while (n) {
		next = LIST_ENTRY(n, struct super, all);
		if (refcount_get_unless_zero(&next->refs))
			break;
		next = NULL;
		n = list_next(&supers, n);
	}
	spin_unlock(&super_lock, f);
	if (s)
		super_put(s);
	return next;
}

int vfs_sync_all(void)
{
	int err = 0;

	for (struct super *s = super_next(NULL); s; s = super_next(s)) {
		int e = s->ops->sync ? s->ops->sync(s) : 0;

		err = err ? err : e;
	}
	return err;
}

/* --- the table --------------------------------------------------------------------------------------------------- */

static struct mount **mount_bucket(const struct mount *parent, const struct dentry *d)
{
	return &mount_table[hash_u64((uintptr_t)parent ^ ((uintptr_t)d << 7)) % MOUNT_BUCKETS];
}

struct mount *mount_covering(struct mount *m, struct dentry *d)
{
	SPIN_GUARD(&mount_lock);
	struct mount *child = *mount_bucket(m, d);

	while (child && (child->parent != m || child->mountpoint != d))
		child = child->hash_next;
	return child;
}

bool mount_above(struct mount *m, struct path *out)
{
	SPIN_GUARD(&mount_lock);
	if (!m->parent)
		return false;
	*out = (struct path){m->parent, m->mountpoint};
	return true;
}

/* Counts the mountpoint and the parent (a place in use keeps its mount busy through `children`). */
static void mount_attach_locked(struct mount *m, const struct path *where)
{
	struct mount **bucket = mount_bucket(where->mount, where->dentry);

	dentry_get(where->dentry);
	m->parent = where->mount;
	m->mountpoint = where->dentry;
	m->mountpoint->mounts++;
	m->hash_next = *bucket;
	*bucket = m;
	list_push_back(&where->mount->children, &m->sibling);
	if (!m->attached) {
		m->attached = true;
		list_push_back(&mount_all, &m->all);
	}
}

/* Leaves m without a parent; its mountpoint's reference is returned to the caller to drop. */
static struct dentry *mount_unhook_locked(struct mount *m)
{
	struct mount **link = mount_bucket(m->parent, m->mountpoint);
	struct dentry *d = m->mountpoint;

	while (*link != m)
		link = &(*link)->hash_next;
	*link = m->hash_next;
	list_remove(&m->sibling);
	d->mounts--;
	m->parent = NULL;
	m->mountpoint = NULL;
	return d;
}

static void mount_forget_locked(struct mount *m)
{
	m->attached = false;
	list_remove(&m->all);
}

int mount_create(struct super *s, struct dentry *root, const char *source, unsigned long flags, struct mount **out)
{
	struct mount *m = kzalloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->source = kstrdup(source ? source : "none");
	if (!m->source) {
		kfree(m);
		return -ENOMEM;
	}
	refcount_init(&m->refs, 1);
	m->super = s;
	m->root = root;
	dentry_get(root);
	list_init(&m->children);
	list_node_init(&m->sibling);
	list_node_init(&m->all);
	m->flags = (uint32_t)(flags & MOUNT_FLAGS);
	m->id = atomic_fetch_add(&mount_id_last, 1) + 1;
	*out = m;
	return 0;
}

static void mount_free(struct rcu_deferred *d)
{
	struct mount *m = container_of(d, struct mount, deferred);

	kfree(m->source);
	kfree(m);
}

void mount_put(struct mount *m)
{
	if (!refcount_put(&m->refs))
		return;
	struct super *s = m->super;

	dentry_put(m->root);
	rcu_defer(&m->deferred, mount_free);
	super_put(s);
}

/* --- mount, bind, move, remount, umount -------------------------------------------------------------------------- */

static int may_mount(const struct actor *who)
{
	return cred_capable(who->cred, CAP_SYS_ADMIN) ? 0 : -EPERM;
}

/* The place a mount on `where` goes: on top of whatever covers it by now. Inside namespace_lock. */
static struct path topmost(const struct path *where)
{
	struct path p = *where;
	struct mount *m;

	while ((m = mount_covering(p.mount, p.dentry)))
		p = (struct path){m, m->root};
	return p;
}

/* Takes m's reference on success. */
static int mount_attach(struct mount *m, const struct path *where)
{
	MUTEX_GUARD(&namespace_lock);
	struct path top = topmost(where);

	struct inode *i = top.dentry->inode;
	int err = 0;

	if (S_ISDIR(m->root->inode->mode) != S_ISDIR(i->mode))
		return -ENOTDIR;
	/* rmdir holds this lock from its look at `mounts` until `deleted` is set */
	rwlock_write_lock(&i->lock);
	irqflags_t f = spin_lock(&mount_lock);
	if (top.dentry->deleted)
		err = -ENOENT;
	else if (!top.mount->attached)
		err = -EINVAL;
	else
		mount_attach_locked(m, &top);
	spin_unlock(&mount_lock, f);
	rwlock_write_unlock(&i->lock);
	return err;
}

extern const struct fs_type *const __start_filesystems[], *const __stop_filesystems[]; /* kernel.ld */

const struct fs_type *fs_type_find(const char *name, size_t len)
{
	for (const struct fs_type *const *t = __start_filesystems; t < __stop_filesystems; t++)
		if (strlen((*t)->name) == len && memcmp((*t)->name, name, len) == 0)
			return *t;
	return NULL;
}

size_t vfs_filesystems_print(char *buf, size_t len)
{
	size_t n = 0;

	for (const struct fs_type *const *t = __start_filesystems; t < __stop_filesystems; t++)
		n += (size_t)snprintf(buf + MIN(n, len), len - MIN(n, len), "%s\t%s\n",
				      (*t)->flags & FS_NODEV ? "nodev" : "", (*t)->name);
	return n;
}

int vfs_mount(const struct actor *who, const char *source, const struct path *where, const char *type,
	      unsigned long flags, const char *options)
{
	const struct fs_type *t = fs_type_find(type, strlen(type));
	struct super *s;
	struct mount *m;
	int err = may_mount(who);

	if (err)
		return err;
	if (!t)
		return -ENODEV;
	if (!S_ISDIR(where->dentry->inode->mode))
		return -ENOTDIR;
	err = t->mount(t, source, flags, options ? options : "", &s);
	if (err)
		return err;
	err = mount_create(s, s->root, source, flags, &m);
	if (err) {
		super_put(s);
		return err;
	}
	err = mount_attach(m, where);
	if (err)
		mount_put(m);
	return err;
}

/* Whether `d` on `m` is reached through mount `above`. mount_lock held. */
static bool mount_is_below_locked(const struct mount *m, const struct mount *above)
{
	for (; m; m = m->parent)
		if (m == above)
			return true;
	return false;
}

static int bind_one(struct mount *from, struct dentry *root, unsigned long flags, struct mount **out)
{
	int err = mount_create(from->super, root, from->source, (from->flags | flags) & MOUNT_FLAGS, out);

	if (!err)
		super_get(from->super);
	return err;
}

static struct mount *child_after(const struct mount *parent, const struct mount *child)
{
	struct list_node *n = child ? list_next(&parent->children, &child->sibling) : list_first(&parent->children);

	return n ? LIST_ENTRY(n, struct mount, sibling) : NULL;
}

/*
 * MS_REC: copies what is mounted below `from` onto the copy, a mount before those on it: there may be more upon one
 * another than a stack holds. namespace_lock held: the tree stands still.
 */
static int bind_children(struct mount *from, struct dentry *root, struct mount *copy)
{
	struct mount *child = child_after(from, NULL), *at = from;

	for (;;) {
		if (child && dentry_is_below(child->mountpoint, at == from ? root : at->root)) {
			struct mount *m;
			int err = bind_one(child, child->root, 0, &m);

			if (err)
				return err;
			irqflags_t f = spin_lock(&mount_lock);
			mount_attach_locked(m, &(struct path){copy, child->mountpoint});
			spin_unlock(&mount_lock, f);
			at = child;
			copy = m;
			child = child_after(at, NULL);
		} else if (child) {
			child = child_after(at, child);
		} else if (at == from) {
			return 0;
		} else {
			child = child_after(at->parent, at);
			at = at->parent;
			copy = copy->parent;
		}
	}
}

static void mount_detach_tree(struct mount *top);

int vfs_bind(const struct actor *who, const struct path *from, const struct path *where, unsigned long flags)
{
	struct mount *m;
	int err = may_mount(who);

	if (!err && S_ISDIR(from->dentry->inode->mode) != S_ISDIR(where->dentry->inode->mode))
		err = -ENOTDIR;
	if (!err)
		err = bind_one(from->mount, from->dentry, 0, &m);
	if (err)
		return err;
	if (flags & MS_REC) {
		/* built while it hangs nowhere, so that it does not copy itself */
		mutex_lock(&namespace_lock);
		err = bind_children(from->mount, from->dentry, m);
		mutex_unlock(&namespace_lock);
	}
	if (!err)
		err = mount_attach(m, where);
	if (err) {
		MUTEX_GUARD(&namespace_lock);
		mount_detach_tree(m);
	}
	return err;
}

int vfs_move_mount(const struct actor *who, const struct path *from, const struct path *where)
{
	struct dentry *old = NULL;
	int err = may_mount(who);

	if (err)
		return err;
	mutex_lock(&namespace_lock);
	struct path top = topmost(where);
	struct inode *i = top.dentry->inode;

	rwlock_write_lock(&i->lock); /* as in mount_attach() */
	irqflags_t f = spin_lock(&mount_lock);
	if (top.dentry->deleted)
		err = -ENOENT;
	else if (from->dentry != from->mount->root || !from->mount->parent || !top.mount->attached)
		err = -EINVAL;
	else if (S_ISDIR(from->dentry->inode->mode) != S_ISDIR(top.dentry->inode->mode))
		err = -ENOTDIR;
	else if (mount_is_below_locked(top.mount, from->mount))
		err = -ELOOP;
	if (!err) {
		old = mount_unhook_locked(from->mount);
		mount_attach_locked(from->mount, &top);
	}
	spin_unlock(&mount_lock, f);
	rwlock_write_unlock(&i->lock);
	mutex_unlock(&namespace_lock);
	if (old)
		dentry_put(old);
	return err;
}

int vfs_remount(const struct actor *who, const struct path *where, unsigned long flags, const char *options)
{
	struct mount *m = where->mount;
	struct super *s = m->super;
	int err = may_mount(who);

	if (err)
		return err;
	if (where->dentry != m->root)
		return -EINVAL;
	MUTEX_GUARD(&namespace_lock);
	if (!(flags & MS_BIND)) {
		if (s->remount)
			err = s->remount(s, options ? options : "");
		if (err)
			return err;
		s->flags = (s->flags & ~(unsigned long)MS_RDONLY) | (flags & MS_RDONLY);
	}
	/* atime behaviour stays unless something is said about it (mount(2)) */
	if (!(flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)))
		flags |= m->flags & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME);
	WRITE_ONCE(m->flags, (uint32_t)(flags & MOUNT_FLAGS));
	return 0;
}

/* Takes the whole tree apart and drops each mount's attachment. top's own reference goes too. */
static void mount_detach_tree(struct mount *top)
{
	for (;;) {
		struct mount *leaf = top, *next;
		struct dentry *d = NULL;

		irqflags_t f = spin_lock(&mount_lock);
		while ((next = LIST_FIRST(&leaf->children, struct mount, sibling)))
			leaf = next;
		if (leaf->parent)
			d = mount_unhook_locked(leaf);
		if (leaf->attached)
			mount_forget_locked(leaf);
		spin_unlock(&mount_lock, f);
		bool last = leaf == top;

		if (d)
			dentry_put(d);
		mount_put(leaf);
		if (last)
			return;
	}
}

/*
 * Walks that found m before it was taken off `where` may be about to count it: waits for them. False: one of them did,
 * and m is back where it was; unless somebody removed that place meanwhile, then it is gone from there all the same.
 */
static bool mount_stays_unused(struct mount *m, const struct path *where)
{
	struct inode *i = where->dentry->inode;
	bool unused;

	rcu_drain();
	rwlock_write_lock(&i->lock); /* as in mount_attach() */
	irqflags_t f = spin_lock(&mount_lock);
	unused = refcount_read(&m->refs) <= 2 || where->dentry->deleted;
	if (!unused)
		mount_attach_locked(m, where);
	spin_unlock(&mount_lock, f);
	rwlock_write_unlock(&i->lock);
	return unused;
}

int vfs_umount(const struct actor *who, const struct path *where, int flags)
{
	struct mount *m = where->mount;
	struct path above = {0};
	int err = may_mount(who);

	if (err)
		return err;
	if (flags & ~(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW))
		return -EINVAL;
	MUTEX_GUARD(&namespace_lock);
	irqflags_t f = spin_lock(&mount_lock);
	if (where->dentry != m->root || !m->attached || m == mount_root)
		err = -EINVAL;
	else if (!(flags & MNT_DETACH) && (!list_empty(&m->children) || refcount_read(&m->refs) > 2))
		err = -EBUSY; /* 2: attached, and `where` */
	if (!err && !(flags & MNT_DETACH)) {
		above.mount = m->parent;
		above.dentry = mount_unhook_locked(m);
	}
	spin_unlock(&mount_lock, f);
	if (above.dentry) {
		if (!mount_stays_unused(m, &above))
			err = -EBUSY;
		dentry_put(above.dentry);
	}
	if (!err)
		mount_detach_tree(m);
	return err;
}

/* --- pivot_root -------------------------------------------------------------------------------------------------- */

int vfs_pivot_root(const struct actor *who, const struct path *new_root, const struct path *put_old)
{
	struct dentry *drop = NULL, *drop_root = NULL;
	struct path old_root, above;
	int err = may_mount(who);

	if (err)
		return err;
	irqflags_t f = spin_lock(&who->fs->lock);
	old_root = who->fs->root;
	path_get(&old_root);
	spin_unlock(&who->fs->lock, f);

	mutex_lock(&namespace_lock);
	f = spin_lock(&mount_lock);
	if (old_root.dentry != old_root.mount->root || new_root->dentry != new_root->mount->root ||
	    !new_root->mount->parent || !old_root.mount->attached ||
	    !mount_is_below_locked(new_root->mount, old_root.mount))
		err = -EINVAL;
	else if (new_root->mount == old_root.mount || put_old->mount == old_root.mount)
		err = -EBUSY;
	else if (!mount_is_below_locked(put_old->mount, new_root->mount))
		err = -EINVAL;
	if (!err) {
		drop = mount_unhook_locked(new_root->mount);
		if (old_root.mount->parent) {
			above = (struct path){old_root.mount->parent, old_root.mount->mountpoint};
			drop_root = mount_unhook_locked(old_root.mount);
			mount_attach_locked(new_root->mount, &above);
		} else {
			mount_root = new_root->mount;
		}
		mount_attach_locked(old_root.mount, put_old);
	}
	spin_unlock(&mount_lock, f);
	if (!err)
		fs_context_replace_all(&old_root, new_root);
	mutex_unlock(&namespace_lock);
	if (drop)
		dentry_put(drop);
	if (drop_root)
		dentry_put(drop_root);
	path_put(&old_root);
	return err;
}
