/*
 * devtmpfs: one tmpfs that the kernel fills with a node for each registered character device.  Every mount of it shows
 * the same tree; users may add, change and remove nodes as they like.  A node is only a number: opening it asks
 * chardev_find (fs/special.c).
 */
#include <linux/magic.h>

#include "core/log.h"
#include "dev/chardev.h"
#include "fs/inode.h"
#include "fs/tmpfs/tmpfs.h"

static struct super *devtmpfs;
static struct mount *devtmpfs_internal; /* where the kernel acts; attached nowhere */

static int devtmpfs_mount(const struct fs_type *t, const char *source, unsigned long flags, const char *options,
			  struct super **out)
{
	(void)t;
	(void)source;
	(void)flags;
	(void)options; /* size=, mode=: there is one instance, made at boot */
	super_get(devtmpfs);
	*out = devtmpfs;
	return 0;
}

static const struct fs_type devtmpfs_type = {.name = "devtmpfs",
					     .flags = FS_NODEV,
					     .magic = TMPFS_MAGIC,
					     .mount = devtmpfs_mount};
FILESYSTEM(devtmpfs_type);

static void node_warn(const char *name, int err)
{
	if (err && err != -EEXIST && err != -ENOENT)
		log_warn("devtmpfs: /dev/%s: error %d", name, -err);
}

static void device_notify(struct chardev *d, bool added)
{
	const struct path root = {devtmpfs_internal, devtmpfs->root};
	char dir[NAME_MAX_BYTES + 1];

	if (!added) {
		node_warn(d->name, vfs_unlink(&kernel_actor, &root, d->name));
		return;
	}
	for (const char *p = d->name; (p = strchr(p, '/')); p++)
		if (strlcpy(dir, d->name, MIN(sizeof(dir), (size_t)(p - d->name) + 1)) > 0)
			node_warn(dir, vfs_mkdir(&kernel_actor, &root, dir, 0755));
	node_warn(d->name,
		  vfs_mknod(&kernel_actor, &root, d->name, S_IFCHR | d->mode, (uint64_t)d->major << 32 | d->minor));
}

void devtmpfs_init(void)
{
	static const char *const links[][2] = {
		{"fd", "/proc/self/fd"},
		{"stdin", "/proc/self/fd/0"},
		{"stdout", "/proc/self/fd/1"},
		{"stderr", "/proc/self/fd/2"},
	};
	const struct tmpfs_options options = {.mode = 0755};
	struct chardev *d;

	if (tmpfs_create(&devtmpfs_type, &options, 0, &devtmpfs))
		panic("devtmpfs: no memory at boot");
	super_get(devtmpfs); /* it stays when the last mount goes */
	if (mount_create(devtmpfs, devtmpfs->root, "devtmpfs", 0, &devtmpfs_internal))
		panic("devtmpfs: no memory at boot");

	const struct path root = {devtmpfs_internal, devtmpfs->root};

	node_warn("pts", vfs_mkdir(&kernel_actor, &root, "pts", 0755));
	node_warn("shm", vfs_mkdir(&kernel_actor, &root, "shm", 01777));
	for (unsigned i = 0; i < ARRAY_SIZE(links); i++)
		node_warn(links[i][0], vfs_symlink(&kernel_actor, links[i][1], &root, links[i][0]));
	for (unsigned i = 0; (d = chardev_at(i)); i++)
		device_notify(d, true);
	chardev_notify = device_notify;
}
