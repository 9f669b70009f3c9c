/*
 * Files that are in no directory: pipes, eventfd and their like, memfd.  Each has an inode and a nameless dentry on a
 * mount of its own that is attached nowhere; path_render shows "pipe:[123]".
 */
#include <linux/fcntl.h>
#include <linux/magic.h>

#include "fs/inode.h"
#include "fs/tmpfs/tmpfs.h"
#include "lib/printf.h"
#include "mm/slab.h"

struct mount *anon_mount;
static struct mount *memfd_mount; /* of those that may hold programs */

static struct slab_cache *anon_inode_cache;
static struct super anon_super;

static void anon_inode_release(struct inode *i)
{
	slab_free(anon_inode_cache, i);
}

static void anon_release(struct super *s)
{
	(void)s; /* never: the mount below stays */
}

static const struct super_ops anon_super_ops = {.inode_release = anon_inode_release, .release = anon_release};
static const struct fs_type anon_type = {.name = "anon", .flags = FS_NODEV, .magic = PIPEFS_MAGIC};

struct inode *anon_inode_create(uint32_t mode)
{
	struct inode *i = slab_alloc(anon_inode_cache, ALLOC_ZERO);

	if (i)
		inode_init(i, &anon_super, mode);
	return i;
}

int anon_path_create(struct inode *i, const char *name, struct path *out)
{
	struct dentry *d = dentry_create_root(i->super, i, name);

	if (!d)
		return -ENOMEM;
	mount_get(anon_mount);
	*out = (struct path){anon_mount, d};
	return 0;
}

int file_create_anonymous(const char *name, const struct file_ops *ops, void *private, unsigned flags,
			  struct file **out)
{
	static const uint8_t modes[] = {FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0};
	struct inode *i = anon_inode_create(S_IFREG | 0600);
	struct path p;
	struct file *f;
	int err;

	if (!i)
		return -ENOMEM;
	if (str_skip_prefix(name, "socket"))
		i->mode = S_IFSOCK | 0777;
	err = anon_path_create(i, name, &p);
	if (err) {
		inode_put(i);
		return err;
	}
	/* what is no regular file does not count its writers */
	i->writers = flags & O_ACCMODE ? 1 : 0;
	err = file_create(&p, ops, flags & ~(unsigned)O_CLOEXEC, modes[flags & O_ACCMODE], &cred_root, &f);
	if (err) {
		path_put(&p);
		return err;
	}
	f->private = private;
	*out = f;
	return 0;
}

int file_create_memfd(const char *name, unsigned flags, struct file **out)
{
	char text[NAME_MAX_BYTES + 1];
	struct inode *i;
	struct path p;
	int err = tmpfs_anonymous_inode(S_IFREG | 0777, &i);

	if (err)
		return err;
	snprintf(text, sizeof(text), "memfd:%s", name);
	err = anon_path_create(i, text, &p);
	if (err) {
		inode_put(i);
		return err;
	}
	mount_get(memfd_mount);
	mount_put(p.mount);
	p.mount = memfd_mount;
	i->writers = 1;
	err = file_create(&p, i->file_ops, (flags & ~(unsigned)O_CLOEXEC) | O_RDWR, FILE_READ | FILE_WRITE, &cred_root,
			  out);
	if (err)
		path_put(&p);
	return err;
}

char *anon_path_render(const struct path *p, char *buf, size_t len)
{
	const struct dentry *d = p->dentry;
	int n;

	if (str_skip_prefix(d->name, "memfd:"))
		n = snprintf(buf, len, "/%s (deleted)", d->name);
	else if (str_skip_prefix(d->name, "anon_inode:"))
		n = snprintf(buf, len, "%s", d->name);
	else
		n = snprintf(buf, len, "%s:[%lu]", d->name, (unsigned long)d->inode->ino);
	return n >= 0 && (size_t)n < len ? buf : NULL;
}

void anon_init(void)
{
	struct inode *i;
	struct dentry *root;

	anon_inode_cache = slab_cache_create("anon_inode", sizeof(struct inode), 0);
	super_init(&anon_super, &anon_type, &anon_super_ops);
	i = anon_inode_cache ? anon_inode_create(S_IFDIR | 0500) : NULL;
	root = i ? dentry_create_root(&anon_super, i, "") : NULL;
	if (!root || mount_create(&anon_super, root, "anon", MS_NOEXEC | MS_NOSUID, &anon_mount) ||
	    mount_create(&anon_super, root, "memfd", MS_NOSUID, &memfd_mount))
		boot_stop("fs: no memory for the first files at boot");
	anon_super.root = root;
	super_publish(&anon_super);
}
