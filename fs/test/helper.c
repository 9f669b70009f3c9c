/* See helper.h. */
#include "fs/test/helper.h"

#include "abi/mount.h"
#include "mm/slab.h"

void test_fs_begin(const char *options)
{
	struct path p;
	int err = vfs_mkdir(&kernel_actor, NULL, "/ktest", 0755);

	KTEST_TRUE(err == 0 || err == -EEXIST);
	/* what a test that failed half way has left */
	for (err = 0; !err;) {
		KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest", LOOKUP_FOLLOW, &p), 0);
		err = vfs_umount(&kernel_actor, &p, MNT_DETACH);
		path_put(&p);
	}
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest", LOOKUP_FOLLOW, &p), 0);
	KTEST_EQ(vfs_mount(&kernel_actor, "ktest", &p, "tmpfs", 0, options), 0);
	path_put(&p);
}

void test_fs_end(void)
{
	struct path p;
	int err;

	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest", LOOKUP_FOLLOW, &p), 0);
	err = vfs_umount(&kernel_actor, &p, 0);
	path_put(&p);
	KTEST_EQ(err, 0);
	KTEST_EQ(vfs_rmdir(&kernel_actor, NULL, "/ktest"), 0);
}

struct actor test_actor(uint32_t id)
{
	struct cred *c = cred_copy(&cred_root, 0);
	struct actor a = {.cred = c};

	KTEST_TRUE(c);
	c->uid = c->euid = c->suid = c->fsuid = id;
	c->gid = c->egid = c->sgid = c->fsgid = id;
	c->cap_permitted = c->cap_effective = 0;
	KTEST_EQ(fs_context_copy(kernel_actor.fs, &a.fs), 0);
	return a;
}

void test_actor_put(struct actor *a)
{
	fs_context_put(a->fs);
	cred_put(a->cred);
}

int64_t test_write(struct file *f, const void *data, size_t len)
{
	struct uio u;

	uio_init_kernel(&u, (void *)(uintptr_t)data, len);
	return vfs_write(f, &u, UINT64_MAX);
}

int64_t test_read(struct file *f, void *buf, size_t len)
{
	struct uio u;

	uio_init_kernel(&u, buf, len);
	return vfs_read(f, &u);
}

int test_write_file(const char *path, const char *text)
{
	struct file *f;
	int64_t n;
	int err = vfs_open(&kernel_actor, NULL, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, 0, &f);

	if (err)
		return err;
	n = test_write(f, text, strlen(text));
	file_put(f);
	return n < 0 ? (int)n : 0;
}

int64_t test_read_file(const char *path, char *buf, size_t len)
{
	struct file *f;
	int64_t n;
	int err = vfs_open(&kernel_actor, NULL, path, O_RDONLY, 0, 0, &f);

	if (err)
		return err;
	n = vfs_read_kernel(f, 0, buf, len - 1);
	file_put(f);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

int test_exists(const char *path)
{
	struct path p;
	int err = vfs_lookup(&kernel_actor, NULL, path, 0, &p);

	if (!err)
		path_put(&p);
	return err;
}

int test_stat(const char *path, struct statx *out)
{
	struct path p;
	int err = vfs_lookup(&kernel_actor, NULL, path, 0, &p);

	if (err)
		return err;
	vfs_stat(&p, out);
	path_put(&p);
	return 0;
}
