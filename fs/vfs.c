/*
 * The virtual file system: theory.
 *
 * Five objects.  An inode is a file: its rights, times, content.  A dentry is a name (dcache.c).  A super is a file
 * system in use, a mount puts one on a place (mount.c).  A file is one opening of an inode: position, flags, access
 * mode.  A place is the pair (mount, dentry), struct path.
 *
 *     file ──counts──> mount, dentry ──counts──> inode ──counts──> super's memory
 *     mount ─────────> super, root dentry;   dentry ─────────> parent dentry
 *
 * Who counts what decides who lives: a file that was unlinked stays as long as a dentry without a name holds its inode;
 * a file system stays as long as a mount does; nothing counts upwards, so there are no circles.
 *
 * The core (this folder) does what is the same everywhere: walking, rights, locks, flags, errno.  A file system
 * supplies inode_ops (names), file_ops (content) and super_ops (life), and finds its locks already taken.  Where
 * something has a natural default, NULL means that.
 *
 * Locks in order: file position > /proc text > namespace (renames between directories, mounts) > directory > child >
 * replaced directory, all sleeping; below them mount table, dentry LRU, hash buckets, spinning.  Reading a name takes
 * none of them (walk sections, dcache.h).
 *
 * Rights are checked at the moment of naming or opening, by the credentials of who asks (struct actor), never of
 * "current": so the kernel itself can act (kernel_actor) and a call can be made on behalf of another.
 *
 * Failure: every call either does all it says or nothing; results are written on success only.
 *
 * Rejected: operations inherited from a base by copying tables (hides what a file system does); a reference from inode
 * to its dentries (nobody needs it; hard links would make it a list); one lock for name space and content.
 */
#include <linux/magic.h>

#include "fs/inode.h"
#include "fs/tmpfs/tmpfs.h"

static void must(int err, const char *what)
{
	if (err)
		boot_stop("fs: %s at boot: error %d", what, -err);
}

static void root_mount(void)
{
	static const struct tmpfs_options options = {.mode = 0755};
	const struct fs_type *t = fs_type_find("rootfs", 6);
	struct super *s;
	struct path root;

	BUG_ON(!t);
	must(tmpfs_create(t, &options, 0, &s), "making the root file system");
	must(mount_create(s, s->root, "rootfs", 0, &mount_root), "mounting the root file system");
	mount_root->attached = true;
	list_push_back(&mount_all, &mount_root->all);
	root = (struct path){mount_root, mount_root->root};
	fs_context_init(&root);
}

void vfs_init(void)
{
	dcache_init();
	tmpfs_init();
	file_init();
	anon_init();
	root_mount();
	file_register_vm();
	/* What Linux's built-in initramfs holds, so that PID 1 has a console to open. */
	must(vfs_mkdir(&kernel_actor, NULL, "/dev", 0755), "making /dev");
	must(vfs_mknod(&kernel_actor, NULL, "/dev/console", S_IFCHR | 0600, 5ull << 32 | 1), "making /dev/console");
	must(vfs_mkdir(&kernel_actor, NULL, "/root", 0700), "making /root");
	devtmpfs_init();
}
