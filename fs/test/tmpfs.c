/* File content in tmpfs: holes, sizes, limits; and special files. */
#include <linux/falloc.h>
#include <linux/fs.h>

#include "fs/test/helper.h"

KTEST(fs, tmpfs_holes)
{
	char buf[16];
	struct file *f;
	struct statx s;

	test_fs_begin("");
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/f", O_RDWR | O_CREAT, 0644, 0, &f), 0);
	KTEST_EQ(vfs_seek(f, 10 * PAGE_SIZE + 5, SEEK_SET), 10 * PAGE_SIZE + 5);
	KTEST_EQ(test_write(f, "end", 3), 3);
	KTEST_EQ(test_stat("/ktest/f", &s), 0);
	KTEST_EQ(s.stx_size, 10 * PAGE_SIZE + 8);
	KTEST_EQ(s.stx_blocks, 8);
	memset(buf, 'x', sizeof(buf));
	KTEST_EQ(vfs_read_kernel(f, 3 * PAGE_SIZE, buf, 16), 16);
	for (int i = 0; i < 16; i++)
		KTEST_EQ(buf[i], 0);
	KTEST_EQ(vfs_seek(f, 0, SEEK_DATA), 10 * PAGE_SIZE);
	KTEST_EQ(vfs_seek(f, 0, SEEK_HOLE), 0);
	KTEST_EQ(vfs_seek(f, 10 * PAGE_SIZE + 1, SEEK_HOLE), 10 * PAGE_SIZE + 8);
	KTEST_EQ(vfs_seek(f, 11 * PAGE_SIZE, SEEK_DATA), -ENXIO);
	KTEST_EQ(vfs_seek(f, -1, SEEK_SET), -EINVAL);
	KTEST_EQ(vfs_seek(f, -3, SEEK_END), 10 * PAGE_SIZE + 5);
	/* what a truncation cut off must read as zero after growing again */
	KTEST_EQ(vfs_ftruncate(f, 10 * PAGE_SIZE + 6, UINT64_MAX), 0);
	KTEST_EQ(vfs_ftruncate(f, 10 * PAGE_SIZE + 8, UINT64_MAX), 0);
	KTEST_EQ(vfs_read_kernel(f, 10 * PAGE_SIZE + 5, buf, 16), 3);
	KTEST_TRUE(buf[0] == 'e' && buf[1] == 0 && buf[2] == 0);
	KTEST_EQ(vfs_ftruncate(f, 100, 99), -EFBIG);
	/* punching */
	KTEST_EQ(vfs_fallocate(f, 0, 0, 4 * PAGE_SIZE, UINT64_MAX), 0);
	KTEST_EQ(f->inode->object->page_count, 5);
	KTEST_EQ(vfs_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE_SIZE / 2, 2 * PAGE_SIZE, UINT64_MAX),
		 0);
	KTEST_EQ(f->inode->object->page_count, 4);
	KTEST_EQ(vfs_fallocate(f, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE_SIZE, UINT64_MAX), -EOPNOTSUPP);
	KTEST_EQ(vfs_fallocate(f, 0, 0, 0, UINT64_MAX), -EINVAL);
	file_put(f);
	test_fs_end();
}

KTEST(fs, tmpfs_limits)
{
	static char data[4 * PAGE_SIZE];
	struct vfs_statfs s;
	struct file *f, *g;
	struct path p;

	test_fs_begin("size=16k,nr_inodes=3");
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/f", O_RDWR | O_CREAT, 0644, 0, &f), 0);
	KTEST_EQ(test_write(f, data, 3 * PAGE_SIZE), 3 * PAGE_SIZE);
	KTEST_EQ(test_write(f, data, 2 * PAGE_SIZE), PAGE_SIZE); /* as much as fits */
	KTEST_EQ(test_write(f, data, 1), -ENOSPC);
	KTEST_EQ(vfs_seek(f, 0, SEEK_SET), 0);
	KTEST_EQ(test_write(f, data, 4 * PAGE_SIZE), 4 * PAGE_SIZE); /* over what is there */
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest", 0, &p), 0);
	KTEST_EQ(vfs_statfs(&p, &s), 0);
	KTEST_TRUE(s.blocks == 4 && s.blocks_free == 0 && s.files == 3 && s.files_free == 1);
	path_put(&p);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/g", O_RDWR | O_CREAT, 0644, 0, &g), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/d", 0755), -ENOSPC);
	KTEST_EQ(test_write(g, data, 1), -ENOSPC);
	KTEST_EQ(vfs_ftruncate(f, PAGE_SIZE, UINT64_MAX), 0);
	KTEST_EQ(test_write(g, data, 1), 1);
	file_put(g);
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/g"), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/d", 0755), 0);
	file_put(f);
	test_fs_end();
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/", 0, &p), 0);
	KTEST_EQ(vfs_mount(&kernel_actor, "x", &p, "tmpfs", 0, "size=1x"), -EINVAL);
	KTEST_EQ(vfs_mount(&kernel_actor, "x", &p, "tmpfs", 0, "wrong=1"), -EINVAL);
	KTEST_EQ(vfs_mount(&kernel_actor, "x", &p, "nosuchfs", 0, ""), -ENODEV);
	path_put(&p);
}

KTEST(fs, device_nodes)
{
	char buf[4] = "xxx";
	struct file *f;
	struct path p;

	test_fs_begin("");
	KTEST_EQ(vfs_mknod(&kernel_actor, NULL, "/ktest/zero", S_IFCHR | 0666, 1ull << 32 | 5), 0);
	KTEST_EQ(vfs_mknod(&kernel_actor, NULL, "/ktest/none", S_IFCHR | 0666, 250ull << 32 | 9), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/zero", O_RDWR, 0, 0, &f), 0);
	KTEST_EQ(test_read(f, buf, 3), 3);
	KTEST_TRUE(!buf[0] && !buf[1] && !buf[2]);
	KTEST_EQ(test_write(f, buf, 4), 4);
	file_put(f);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/none", O_RDWR, 0, 0, &f), -ENXIO);
	/* devtmpfs has it, too, wherever it is mounted */
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/dev", 0755), 0);
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/dev", 0, &p), 0);
	KTEST_EQ(vfs_mount(&kernel_actor, "dev", &p, "devtmpfs", MS_NODEV, ""), 0);
	path_put(&p);
	KTEST_EQ(test_exists("/ktest/dev/null"), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/dev/null", O_RDWR, 0, 0, &f), -EACCES);
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/dev", 0, &p), 0);
	KTEST_EQ(vfs_remount(&kernel_actor, &p, 0, ""), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/dev/null", O_RDWR, 0, 0, &f), 0);
	KTEST_EQ(vfs_umount(&kernel_actor, &p, 0), -EBUSY);
	file_put(f);
	KTEST_EQ(vfs_umount(&kernel_actor, &p, 0), 0);
	path_put(&p);
	test_fs_end();
}

KTEST(fs, memfd)
{
	char buf[64], *name;
	struct file *f;

	KTEST_EQ(file_create_memfd("test", 0, &f), 0);
	KTEST_EQ(test_write(f, "memory", 6), 6);
	KTEST_EQ(vfs_seek(f, 0, SEEK_SET), 0);
	KTEST_EQ(test_read(f, buf, 10), 6);
	KTEST_EQ(vfs_ftruncate(f, 2 * PAGE_SIZE, UINT64_MAX), 0);
	name = path_render(&f->path, NULL, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, "/memfd:test (deleted)"));
	file_put(f);
}
