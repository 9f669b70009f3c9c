/* Memory that runs out at the n-th allocation: each operation fails cleanly (-ENOMEM) until it succeeds, and leaves
 * nothing behind. */
#include <linux/fs.h>

#include "fs/pipe.h"
#include "fs/test/helper.h"
#include "mm/slab.h"

#define LONG_NAME "a-name-that-is-too-long-for-the-room-inside-of-a-dentry-so-that-it-is-allocated"

static int op_create(void)
{
	struct file *f;
	int err = vfs_open(&kernel_actor, NULL, "/ktest/" LONG_NAME, O_RDWR | O_CREAT | O_EXCL, 0600, 0, &f);

	if (!err) {
		file_put(f);
		KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/" LONG_NAME), 0);
	} else if (err == -ENOMEM && test_exists("/ktest/" LONG_NAME) == 0) {
		/* made, but not opened: as open(2) may */
		KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/" LONG_NAME), 0);
	}
	return err;
}

static int op_mkdir(void)
{
	int err = vfs_mkdir(&kernel_actor, NULL, "/ktest/dir", 0755);

	return err ? err : vfs_rmdir(&kernel_actor, NULL, "/ktest/dir");
}

static int op_symlink(void)
{
	int err = vfs_symlink(&kernel_actor, "target", NULL, "/ktest/link");

	return err ? err : vfs_unlink(&kernel_actor, NULL, "/ktest/link");
}

static int op_follow(void)
{
	struct path p;
	int err = vfs_lookup(&kernel_actor, NULL, "/ktest/loop/file", LOOKUP_FOLLOW, &p);

	if (!err)
		path_put(&p);
	return err;
}

static int op_rename(void)
{
	int err = vfs_rename(&kernel_actor, NULL, "/ktest/file", NULL, "/ktest/" LONG_NAME, 0);

	if (err) {
		KTEST_EQ(test_exists("/ktest/file"), 0);
		return err;
	}
	alloc_fail_at(0);
	return vfs_rename(&kernel_actor, NULL, "/ktest/" LONG_NAME, NULL, "/ktest/file", 0);
}

static int op_write(void)
{
	static char data[3 * PAGE_SIZE];
	struct file *f;
	int64_t n;
	int err = vfs_open(&kernel_actor, NULL, "/ktest/file", O_WRONLY | O_TRUNC, 0, 0, &f);

	if (err)
		return err;
	n = test_write(f, data, sizeof(data));
	file_put(f);
	KTEST_TRUE(n > 0 || n == -ENOMEM);
	return n == (int64_t)sizeof(data) ? 0 : -ENOMEM;
}

static int op_pipe(void)
{
	struct file *r, *w;
	int err = pipe_create(0, &r, &w);

	if (err)
		return err;
	err = (int)test_write(w, "x", 1);
	file_put(r);
	file_put(w);
	return err < 0 ? err : 0;
}

static int op_memfd(void)
{
	struct file *f;
	int err = file_create_memfd("x", 0, &f);

	if (!err)
		file_put(f);
	return err;
}

static int op_mount(void)
{
	struct path p;
	int err = vfs_lookup(&kernel_actor, NULL, "/ktest/sub", 0, &p);

	if (err)
		return err;
	err = vfs_mount(&kernel_actor, "x", &p, "tmpfs", 0, "size=1m");
	path_put(&p);
	if (err)
		return err;
	alloc_fail_at(0);
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/sub", 0, &p), 0);
	err = vfs_umount(&kernel_actor, &p, 0);
	path_put(&p);
	return err;
}

static int op_proc(void)
{
	struct file *f;
	char c;
	int64_t n;
	int err = vfs_open(&kernel_actor, NULL, "/ktest/proc/meminfo", O_RDONLY, 0, 0, &f);

	if (err)
		return err;
	n = test_read(f, &c, 1);
	file_put(f);
	return n < 0 ? (int)n : 0;
}

KTEST(fs, failing_allocations)
{
	static int (*const ops[])(void) = {op_create, op_mkdir, op_symlink, op_follow, op_rename,
					   op_write,  op_pipe,	op_memfd,   op_mount,  op_proc};
	struct path p;

	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/sub", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/proc", 0755), 0);
	KTEST_EQ(test_write_file("/ktest/file", "x"), 0);
	KTEST_EQ(vfs_symlink(&kernel_actor, ".", NULL, "/ktest/loop"), 0);
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/proc", 0, &p), 0);
	KTEST_EQ(vfs_mount(&kernel_actor, "proc", &p, "proc", 0, ""), 0);
	path_put(&p);
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		int err, failures = 0;

		for (uint64_t n = 1; n < 100; n++) {
			alloc_fail_at(n);
			err = ops[i]();
			alloc_fail_at(0);
			if (!err && failures == (int)n - 1 && n > 1)
				break;
			KTEST_TRUE(err == 0 || err == -ENOMEM);
			failures += err != 0;
			if (!err && n > 20)
				break;
		}
		KTEST_EQ(err, 0);
		KTEST_TRUE(failures > 0); /* the injection reached the operation */
	}
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/proc", 0, &p), 0);
	KTEST_EQ(vfs_umount(&kernel_actor, &p, 0), 0);
	path_put(&p);
	test_fs_end();
}
