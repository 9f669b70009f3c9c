/*
 * procfs: theory.
 *
 * One file system, whoever mounts it how often.  It has two halves.  The fixed half (meminfo, sys/…) is a tree of
 * pinned dentries that grows by procfs_register and never shrinks.  The other half, a directory per process, is made at
 * each look-up out of what procfs_process_ops says at that moment, and its names are not cached (inode.uncached): so no
 * name outlives its process, and nothing need be told when one ends. An open file or a working directory in a dead
 * process's directory stays valid as an object and answers -ESRCH or -ENOENT.  Pids are reused: then such a leftover
 * speaks of the new process of that number, whose owner and rights are asked anew by the process floor.
 *
 * Text comes from functions the owners of the facts register; this floor knows only how a text becomes a file (text.c).
 *
 * sysfs is a second fixed half, with a root of its own and no processes: what it says is sysfs.c's.
 */
#include <linux/fs.h>
#include <linux/magic.h>

#include "fs/procfs/internal.h"
#include "mm/slab.h"

const struct procfs_process_ops *procfs_process_ops;

static struct slab_cache *proc_inode_cache;
static struct super proc_super, sys_super;

/* --- inodes ------------------------------------------------------------------------------------------------------ */

static const struct inode_ops fixed_ops = {0};
static const struct inode_ops self_ops = {.readlink = proc_self_readlink};
static const struct inode_ops thread_self_ops = {.readlink = proc_thread_self_readlink};

static struct proc_inode *inode_create_in(struct super *super, uint32_t mode)
{
	struct proc_inode *p = slab_alloc(proc_inode_cache, ALLOC_ZERO);

	if (!p)
		return NULL;
	inode_init(&p->inode, super, mode);
	p->inode.ops = &fixed_ops;
	p->fd = -1;
	if (S_ISDIR(mode)) {
		p->inode.nlink = 2;
		p->inode.file_ops = &proc_dir_file_ops;
		tree_dir_init(&p->dir);
	} else if (S_ISREG(mode)) {
		p->inode.file_ops = &proc_text_file_ops;
	}
	return p;
}

struct proc_inode *proc_inode_create(uint32_t mode)
{
	return inode_create_in(&proc_super, mode);
}

static void proc_inode_release(struct inode *i)
{
	slab_free(proc_inode_cache, proc_inode_of(i));
}

static void proc_release(struct super *s)
{
	(void)s; /* never: the kernel keeps one reference */
}

static const struct super_ops proc_super_ops = {.inode_release = proc_inode_release, .release = proc_release};

/* --- the root ---------------------------------------------------------------------------------------------------- */

static int root_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	(void)dir;
	return proc_pid_lookup(name, len, out);
}

static const struct inode_ops root_ops = {.lookup = root_lookup};

static int fixed_iterate(struct file *f, struct dir_sink *sink)
{
	struct proc_inode *p = proc_inode_of(f->inode);
	bool more = true;

	rwlock_read_lock(&p->inode.lock);
	if (f->pos < PROC_PID_COOKIE)
		more = dir_emit_dots(f, sink) && tree_iterate(&p->dir, f, sink);
	rwlock_read_unlock(&p->inode.lock);
	if (!more || p->inode.ops != &root_ops)
		return 0;
	if (f->pos < PROC_PID_COOKIE)
		f->pos = PROC_PID_COOKIE;
	proc_pid_iterate(f, sink);
	return 0;
}

const struct file_ops proc_dir_file_ops = {.iterate = fixed_iterate, .seek = file_seek_generic};

/* --- the fixed tree ---------------------------------------------------------------------------------------------- */

/* Adds a name to a fixed directory. Takes the inode, also on failure. *out: the dentry, pinned. */
static int fixed_add(struct dentry *dir, const char *name, size_t len, struct proc_inode *p, struct dentry **out)
{
	struct proc_inode *parent = proc_inode_of(dir->inode);
	struct dentry *d, *there;

	d = dentry_create(dir, name, len);
	if (!d) {
		inode_put(&p->inode);
		return -ENOMEM;
	}
	dentry_set_inode(d, &p->inode);
	rwlock_write_lock(&parent->inode.lock);
	there = dcache_insert(d);
	if (!there) {
		tree_add(&parent->dir, d);
		if (S_ISDIR(p->inode.mode))
			inode_add_links(&parent->inode, 1);
	}
	rwlock_write_unlock(&parent->inode.lock);
	if (there)
		dentry_put(there);
	dentry_put(d); /* the tree keeps it */
	*out = d;
	return there ? -EEXIST : 0;
}

/* The fixed directory `name` of dir, made when it is not there. Not counted: it stays. */
static int fixed_dir(struct dentry *dir, const char *name, size_t len, struct dentry **out)
{
	struct proc_inode *p;
	struct name n;

	name_parse(&n, dir, name);
	*out = dcache_find(dir, &n);
	if (*out) {
		dentry_put(*out);
		return S_ISDIR((*out)->inode->mode) ? 0 : -ENOTDIR;
	}
	p = inode_create_in(dir->inode->super, S_IFDIR | 0555);
	return p ? fixed_add(dir, name, len, p, out) : -ENOMEM;
}

static int register_below(struct dentry *dir, const struct procfs_entry *e)
{
	struct dentry *d;
	const char *name = e->path, *slash;
	struct proc_inode *p;

	while ((slash = strchr(name, '/'))) {
		int err = fixed_dir(dir, name, (size_t)(slash - name), &dir);

		if (err)
			return err;
		name = slash + 1;
	}
	p = inode_create_in(dir->inode->super, S_IFREG | (e->mode & 07777));
	if (!p)
		return -ENOMEM;
	p->entry = e;
	return fixed_add(dir, name, strlen(name), p, &d);
}

int procfs_register(const struct procfs_entry *e)
{
	return register_below(proc_super.root, e);
}

int sysfs_register(const struct procfs_entry *e)
{
	return register_below(sys_super.root, e);
}

static void add_link(const char *name, const struct inode_ops *ops, const char *text)
{
	struct proc_inode *p = proc_inode_create(S_IFLNK | 0777);
	struct dentry *d;

	if (p) {
		if (ops)
			p->inode.ops = ops;
		p->inode.link = text;
	}
	if (!p || fixed_add(proc_super.root, name, strlen(name), p, &d))
		panic("procfs: no memory at boot");
}

static int procfs_mount(const struct fs_type *t, const char *source, unsigned long flags, const char *options,
			struct super **out)
{
	(void)t;
	(void)source;
	(void)flags;
	(void)options; /* hidepid=, gid=: accepted as ever, there is one instance */
	super_get(&proc_super);
	*out = &proc_super;
	return 0;
}

static const struct fs_type proc_type = {.name = "proc",
					 .flags = FS_NODEV,
					 .magic = PROC_SUPER_MAGIC,
					 .mount = procfs_mount};
FILESYSTEM(proc_type);

static int sysfs_mount(const struct fs_type *t, const char *source, unsigned long flags, const char *options,
		       struct super **out)
{
	(void)t;
	(void)source;
	(void)flags;
	(void)options;
	super_get(&sys_super);
	*out = &sys_super;
	return 0;
}

static const struct fs_type sysfs_type = {.name = "sysfs",
					  .flags = FS_NODEV,
					  .magic = SYSFS_MAGIC,
					  .mount = sysfs_mount};
FILESYSTEM(sysfs_type);

static void super_begin(struct super *s, const struct fs_type *type, const struct inode_ops *ops)
{
	struct proc_inode *root;

	super_init(s, type, &proc_super_ops);
	root = proc_inode_cache ? inode_create_in(s, S_IFDIR | 0555) : NULL;
	if (!root)
		panic("procfs: no memory at boot");
	root->inode.ops = ops;
	root->inode.absent_uncached = true;
	s->root = dentry_create_root(s, &root->inode, "");
	if (!s->root)
		panic("procfs: no memory at boot");
	super_publish(s);
}

void procfs_init(void)
{
	proc_inode_cache = slab_cache_create("proc_inode", sizeof(struct proc_inode), 0);
	super_begin(&proc_super, &proc_type, &root_ops);
	super_begin(&sys_super, &sysfs_type, &fixed_ops);
	add_link("self", &self_ops, NULL);
	add_link("thread-self", &thread_self_ops, NULL);
	add_link("mounts", NULL, "self/mounts");
	proc_register_global();
	proc_register_sys();
	sysfs_register_cpus();
}
