/* Mounts: over each other, busy, bound, moved, read-only; what paths see. */
#include "abi/mount.h"
#include "fs/test/helper.h"
#include "mm/slab.h"

static struct path at(const char *path)
{
	struct path p = {0};

	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, path, LOOKUP_FOLLOW, &p), 0);
	return p;
}

static int mount_on(const char *path, unsigned long flags)
{
	struct path p = at(path);
	int err = vfs_mount(&kernel_actor, "test", &p, "tmpfs", flags, "");

	path_put(&p);
	return err;
}

static int umount_at(const char *path, int flags)
{
	struct path p = at(path);
	int err = vfs_umount(&kernel_actor, &p, flags);

	path_put(&p);
	return err;
}

KTEST(fs, mounts_stack)
{
	struct file *f;
	char buf[64], *name;

	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/m", 0755), 0);
	KTEST_EQ(test_write_file("/ktest/m/lower", ""), 0);
	KTEST_EQ(mount_on("/ktest/m", 0), 0);
	KTEST_EQ(test_exists("/ktest/m/lower"), -ENOENT);
	KTEST_EQ(test_write_file("/ktest/m/middle", ""), 0);
	KTEST_EQ(mount_on("/ktest/m", 0), 0);
	KTEST_EQ(test_exists("/ktest/m/middle"), -ENOENT);
	KTEST_EQ(test_exists("/ktest/m/../m/../m"), 0);
	KTEST_EQ(vfs_rmdir(&kernel_actor, NULL, "/ktest/m"), -EBUSY);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/m", NULL, "/ktest/n", 0), -EBUSY);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/m/top", O_RDWR | O_CREAT, 0600, 0, &f), 0);
	name = path_render(&f->path, NULL, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, "/ktest/m/top"));
	KTEST_EQ(umount_at("/ktest/m", 0), -EBUSY);
	KTEST_EQ(umount_at("/ktest/m", MNT_DETACH), 0);
	KTEST_EQ(test_write(f, "still there", 11), 11);
	file_put(f);
	KTEST_EQ(test_exists("/ktest/m/middle"), 0);
	KTEST_EQ(umount_at("/ktest/m", 0), 0);
	KTEST_EQ(test_exists("/ktest/m/lower"), 0);
	KTEST_EQ(umount_at("/ktest/m", 0), -EINVAL);
	KTEST_EQ(umount_at("/", 0), -EINVAL);
	test_fs_end();
}

KTEST(fs, mount_bind_move)
{
	struct path from, to;

	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a/sub", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/b", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/c", 0755), 0);
	KTEST_EQ(mount_on("/ktest/a/sub", 0), 0);
	KTEST_EQ(test_write_file("/ktest/a/sub/f", ""), 0);
	from = at("/ktest/a");
	to = at("/ktest/b");
	KTEST_EQ(vfs_bind(&kernel_actor, &from, &to, 0), 0);
	KTEST_EQ(test_exists("/ktest/b/sub"), 0);
	KTEST_EQ(test_exists("/ktest/b/sub/f"), -ENOENT);
	KTEST_EQ(umount_at("/ktest/b", 0), 0);
	KTEST_EQ(vfs_bind(&kernel_actor, &from, &to, MS_REC), 0);
	KTEST_EQ(test_exists("/ktest/b/sub/f"), 0);
	KTEST_EQ(umount_at("/ktest/b", 0), -EBUSY);
	path_put(&to);
	path_put(&from);
	/* the copy moves with what is mounted in it */
	from = at("/ktest/b");
	to = at("/ktest/c");
	KTEST_EQ(vfs_move_mount(&kernel_actor, &from, &to), 0);
	path_put(&to);
	to = at("/ktest/c/sub");
	KTEST_EQ(vfs_move_mount(&kernel_actor, &from, &to), -ELOOP);
	path_put(&to);
	path_put(&from);
	KTEST_EQ(test_exists("/ktest/c/sub/f"), 0);
	KTEST_EQ(test_exists("/ktest/b/sub"), -ENOENT);
	from = at("/ktest/a");
	to = at("/ktest/b");
	KTEST_EQ(vfs_move_mount(&kernel_actor, &from, &to), -EINVAL); /* no mount's root */
	path_put(&to);
	path_put(&from);
	KTEST_EQ(umount_at("/ktest/c", MNT_DETACH), 0);
	KTEST_EQ(umount_at("/ktest/a/sub", 0), 0);
	test_fs_end();
}

KTEST(fs, mount_read_only)
{
	struct file *f;
	struct path p;
	struct attr_change c = {.valid = ATTR_MODE, .mode = 0700};

	test_fs_begin("");
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/f", O_RDWR | O_CREAT, 0755, 0, &f), 0);
	file_put(f);
	p = at("/ktest");
	KTEST_EQ(vfs_remount(&kernel_actor, &p, MS_RDONLY | MS_NOEXEC, ""), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/f", O_RDWR, 0, 0, &f), -EROFS);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/g", O_RDWR | O_CREAT, 0644, 0, &f), -EROFS);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/d", 0755), -EROFS);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/f", 0755), -EEXIST);
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/f"), -EROFS);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/f", NULL, "/ktest/g", 0), -EROFS);
	KTEST_EQ(vfs_setattr(&kernel_actor, &p, &c), -EROFS);
	KTEST_EQ(vfs_open_exec(&kernel_actor, NULL, "/ktest/f", LOOKUP_FOLLOW, &f), -EACCES);
	KTEST_EQ(vfs_remount(&kernel_actor, &p, 0, ""), 0);
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/f"), 0);
	path_put(&p);
	test_fs_end();
}

KTEST(fs, mounts_text)
{
	struct path root = at("/");
	size_t len = 4096;
	char *buf = kmalloc(len);

	KTEST_TRUE(buf);
	test_fs_begin("size=1m");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a b", 0755), 0);
	KTEST_EQ(mount_on("/ktest/a b", MS_NOSUID), 0);
	size_t n = vfs_mounts_print(&root, false, buf, len - 1);

	KTEST_TRUE(n < len);
	buf[n] = '\0';
	KTEST_TRUE(str_skip_prefix(buf, "rootfs / rootfs rw,relatime 0 0\n"));
	KTEST_TRUE(strstr(buf, "ktest /ktest tmpfs rw,relatime,size=1024k"));
	KTEST_TRUE(strstr(buf, "test /ktest/a\\040b tmpfs rw,nosuid,relatime"));
	KTEST_EQ(vfs_mounts_print(&root, false, buf, 10), n); /* says what it needs */
	n = vfs_mounts_print(&root, true, buf, len - 1);
	KTEST_TRUE(n < len);
	buf[n] = '\0';
	KTEST_TRUE(strstr(buf, " / /ktest rw,relatime - tmpfs ktest rw,size=1024k"));
	KTEST_EQ(umount_at("/ktest/a b", 0), 0);
	test_fs_end();
	kfree(buf);
	path_put(&root);
}

/* switch_root: what BusyBox does. */
KTEST(fs, mount_switch_root)
{
	struct actor a = test_actor(0);
	struct path new_root, root;
	char buf[32], *name;

	((struct cred *)(uintptr_t)a.cred)->cap_effective = cred_root.cap_effective;
	test_fs_begin("");
	KTEST_EQ(test_write_file("/ktest/marker", ""), 0);
	new_root = at("/ktest");
	root = at("/");
	KTEST_EQ(vfs_move_mount(&a, &new_root, &root), 0);
	fs_context_set_cwd(a.fs, &new_root);
	fs_context_set_root(a.fs, &new_root);
	struct path p;

	KTEST_EQ(vfs_lookup(&a, NULL, "/marker", 0, &p), 0);
	name = path_render(&p, &new_root, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, "/marker"));
	path_put(&p);
	KTEST_EQ(vfs_lookup(&a, NULL, "/../../marker", 0, &p), 0);
	path_put(&p);
	test_actor_put(&a);
	/* put back for the other tests */
	path_put(&root);
	root = (struct path){mount_root, mount_root->root};
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "ktest", 0, &p), 0);
	KTEST_EQ(vfs_move_mount(&kernel_actor, &new_root, &p), 0);
	path_put(&p);
	path_put(&new_root);
	test_fs_end();
}
