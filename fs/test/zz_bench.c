#include "core/log.h"
#include "fs/pipe.h"
#include "fs/test/helper.h"
#include "sched/clock.h"
#define N 1000
#define BENCH(name, body) do { uint64_t t0 = clock_monotonic_ns(); for (int i_ = 0; i_ < N; i_++) { body; } uint64_t t1 = clock_monotonic_ns(); log_info("bench %s: %lu", name, (unsigned long)((t1 - t0) / N)); } while (0)
KTEST(zz, bench)
{
	struct file *f, *r, *w; struct path p; struct statx s; char c = 0; struct uio u; static char big[65536];
	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/dir", 0755), 0);
	KTEST_EQ(test_write_file("/ktest/dir/file", "x"), 0);
	KTEST_EQ(vfs_mknod(&kernel_actor, NULL, "/ktest/zero", S_IFCHR | 0666, 1ull << 32 | 5), 0);
	BENCH("empty", __asm__ volatile(""));
	BENCH("open+close /ktest/dir/file", if (vfs_open(&kernel_actor, NULL, "/ktest/dir/file", O_RDONLY, 0, 0, &f)) break; file_put(f));
	BENCH("open+close /dev/console-less /ktest/zero", if (vfs_open(&kernel_actor, NULL, "/ktest/zero", O_RDONLY, 0, 0, &f)) break; file_put(f));
	BENCH("stat /ktest/dir/file", if (vfs_lookup(&kernel_actor, NULL, "/ktest/dir/file", LOOKUP_FOLLOW, &p)) break; vfs_stat(&p, &s); path_put(&p));
	BENCH("stat /dev", if (vfs_lookup(&kernel_actor, NULL, "/dev", LOOKUP_FOLLOW, &p)) break; vfs_stat(&p, &s); path_put(&p));
	BENCH("stat absent", if (!vfs_lookup(&kernel_actor, NULL, "/ktest/dir/absent", LOOKUP_FOLLOW, &p)) break);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/zero", O_RDONLY, 0, 0, &f), 0);
	BENCH("read zero 1", uio_init_kernel(&u, &c, 1); vfs_read(f, &u));
	file_put(f);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/dir/file", O_RDWR, 0, 0, &f), 0);
	BENCH("pread tmpfs 1", uio_init_kernel(&u, &c, 1); vfs_pread(f, 0, &u));
	BENCH("pwrite tmpfs 1", uio_init_kernel(&u, &c, 1); vfs_pwrite(f, 0, &u, UINT64_MAX));
	file_put(f);
	KTEST_EQ(pipe_create(0, &r, &w), 0);
	BENCH("pipe write1+read1", uio_init_kernel(&u, &c, 1); vfs_write(w, &u, UINT64_MAX); uio_init_kernel(&u, &c, 1); vfs_read(r, &u));
	BENCH("pipe write64k+read64k", uio_init_kernel(&u, big, 65536); vfs_write(w, &u, UINT64_MAX); uio_init_kernel(&u, big, 65536); vfs_read(r, &u));
	file_put(r); file_put(w);
	BENCH("pipe create+close", if (pipe_create(0, &r, &w)) break; file_put(r); file_put(w));
	BENCH("create+unlink", if (vfs_open(&kernel_actor, NULL, "/ktest/dir/new", O_RDWR | O_CREAT | O_EXCL, 0600, 0, &f)) break; file_put(f); if (vfs_unlink(&kernel_actor, NULL, "/ktest/dir/new")) break);
	BENCH("mkdir+rmdir", if (vfs_mkdir(&kernel_actor, NULL, "/ktest/dir/new", 0755)) break; if (vfs_rmdir(&kernel_actor, NULL, "/ktest/dir/new")) break);
	test_fs_end();
}
KTEST(zy, one)
{
	struct path p; struct statx s;
	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/dir", 0755), 0);
	KTEST_EQ(test_write_file("/ktest/dir/file", "x"), 0);
	BENCH("stat /ktest/dir/file", if (vfs_lookup(&kernel_actor, NULL, "/ktest/dir/file", LOOKUP_FOLLOW, &p)) break; vfs_stat(&p, &s); path_put(&p));
	test_fs_end();
}
