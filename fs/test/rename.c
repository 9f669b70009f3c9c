/* rename(2): every pair of kinds, flags, loops, and what walks see afterwards. */
#include <linux/fs.h>

#include "fs/test/helper.h"
#include "lib/printf.h"

enum kind { NONE, FILE_, EMPTY_DIR, FULL_DIR, LINK, KINDS };

static void make(enum kind k, const char *path)
{
	char inner[64];

	switch (k) {
	case FILE_:
		KTEST_EQ(test_write_file(path, path), 0);
		break;
	case FULL_DIR:
	case EMPTY_DIR:
		KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, path, 0755), 0);
		snprintf(inner, sizeof(inner), "%s/inner", path);
		if (k == FULL_DIR)
			KTEST_EQ(test_write_file(inner, ""), 0);
		break;
	case LINK:
		KTEST_EQ(vfs_symlink(&kernel_actor, "target", NULL, path), 0);
		break;
	case NONE:
	case KINDS:
		break;
	}
}

static void discard(const char *path)
{
	char inner[64];

	snprintf(inner, sizeof(inner), "%s/inner", path);
	(void)!vfs_unlink(&kernel_actor, NULL, inner);
	if (vfs_unlink(&kernel_actor, NULL, path) == -EISDIR)
		KTEST_EQ(vfs_rmdir(&kernel_actor, NULL, path), 0);
}

static int expected(enum kind from, enum kind to, unsigned flags)
{
	bool from_dir = from == EMPTY_DIR || from == FULL_DIR, to_dir = to == EMPTY_DIR || to == FULL_DIR;

	if (from == NONE)
		return -ENOENT;
	if (flags & RENAME_EXCHANGE)
		return to == NONE ? -ENOENT : 0;
	if (to == NONE)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (from_dir && !to_dir)
		return -ENOTDIR;
	if (!from_dir && to_dir)
		return -EISDIR;
	return to == FULL_DIR ? -ENOTEMPTY : 0;
}

static uint64_t ino_of(const char *path)
{
	struct statx s;

	return test_stat(path, &s) == 0 ? s.stx_ino : 0;
}

KTEST(fs, rename_matrix)
{
	static const unsigned flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE};
	static const char *const to_paths[] = {"/ktest/to", "/ktest/other/to"};

	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/other", 0755), 0);
	for (int from = NONE; from < KINDS; from++)
		for (int to = NONE; to < KINDS; to++)
			for (unsigned f = 0; f < ARRAY_SIZE(flags); f++)
				for (unsigned where = 0; where < 2; where++) {
					const char *path = to_paths[where];
					uint64_t a, b;
					int err;

					make((enum kind)from, "/ktest/from");
					make((enum kind)to, path);
					a = ino_of("/ktest/from");
					b = ino_of(path);
					err = vfs_rename(&kernel_actor, NULL, "/ktest/from", NULL, path, flags[f]);
					KTEST_EQ(err, expected((enum kind)from, (enum kind)to, flags[f]));
					bool swap = flags[f] == RENAME_EXCHANGE;

					KTEST_EQ(ino_of(path), err ? b : a);
					KTEST_EQ(ino_of("/ktest/from"), err ? a : swap ? b : 0);
					discard("/ktest/from");
					discard(path);
				}
	/* what is left: two empty directories with the right link counts */
	struct statx s;

	KTEST_EQ(test_stat("/ktest", &s), 0);
	KTEST_EQ(s.stx_nlink, 3);
	KTEST_EQ(test_stat("/ktest/other", &s), 0);
	KTEST_EQ(s.stx_nlink, 2);
	KTEST_EQ(s.stx_size, 40);
	test_fs_end();
}

KTEST(fs, rename_loops_and_specials)
{
	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a/b", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a/b/c", 0755), 0);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a", NULL, "/ktest/a/b/x", 0), -EINVAL);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a", NULL, "/ktest/a/x", 0), -EINVAL);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a/b/c", NULL, "/ktest/a", 0), -ENOTEMPTY);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a/b/c", NULL, "/ktest/a", RENAME_EXCHANGE), -EINVAL);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a/.", NULL, "/ktest/z", 0), -EBUSY);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a", NULL, "/ktest/..", 0), -EBUSY);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a", NULL, "/a", 0), -EXDEV);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a", NULL, "/ktest/a", 0), 0);
	/* two names of one file: nothing happens */
	KTEST_EQ(test_write_file("/ktest/f", "x"), 0);
	KTEST_EQ(vfs_link(&kernel_actor, NULL, "/ktest/f", NULL, "/ktest/g", 0), 0);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/f", NULL, "/ktest/g", 0), 0);
	KTEST_EQ(test_exists("/ktest/f"), 0);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/f/", NULL, "/ktest/h", 0), -ENOTDIR);
	/* children come along */
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, "/ktest/a/b", NULL, "/ktest/moved", 0), 0);
	KTEST_EQ(test_exists("/ktest/moved/c"), 0);
	KTEST_EQ(test_exists("/ktest/a/b/c"), -ENOENT);
	test_fs_end();
}

KTEST(fs, rename_long_names)
{
	char a[NAME_MAX_BYTES + 16] = "/ktest/", b[NAME_MAX_BYTES + 16] = "/ktest/", *name, buf[400];
	struct file *f;

	test_fs_begin("");
	memset(a + 7, 'a', 200);
	memset(b + 7, 'b', 255);
	KTEST_EQ(test_write_file(a, "A"), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, a, O_RDONLY, 0, 0, &f), 0);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, a, NULL, b, 0), 0);
	name = path_render(&f->path, NULL, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, b));
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, b, NULL, "/ktest/short", 0), 0);
	KTEST_EQ(test_write_file(b, "B"), 0);
	KTEST_EQ(vfs_rename(&kernel_actor, NULL, b, NULL, "/ktest/short", RENAME_EXCHANGE), 0);
	name = path_render(&f->path, NULL, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, b));
	KTEST_EQ(test_read_file("/ktest/short", buf, sizeof(buf)), 1);
	KTEST_EQ(buf[0], 'B');
	file_put(f);
	test_fs_end();
}
