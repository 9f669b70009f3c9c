/* Reading, writing and seeking; descriptors (man 2 open, read, write, lseek, dup, fcntl, truncate, sendfile,
 * copy_file_range, statx …). */
#include "user/test/test.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>

#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif

TEST(open_flags)
{
	test_scratch();
	CHECK_ERR(open("f", O_RDONLY), ENOENT);
	int fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0640);
	CHECK(fd >= 0);
	CHECK_ERR(open("f", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
	CHECK_EQ(write(fd, "hello", 5), 5);
	CHECK_ERR(open("f/x", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERR(open(".", O_WRONLY), EISDIR);
	CHECK_ERR(open(".", O_RDWR), EISDIR);
	CHECK_ERR(open("f/", O_RDONLY), ENOTDIR);
	CHECK_ERR(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
	CHECK_ERR(open("", O_RDONLY), ENOENT);
	int ro = open("f", O_RDONLY);
	CHECK_ERR(write(ro, "x", 1), EBADF);
	CHECK_ERR(ftruncate(ro, 0), EINVAL);
	int wo = open("f", O_WRONLY);
	char c;
	CHECK_ERR(read(wo, &c, 1), EBADF);
	struct stat st;
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 5);
	close(open("f", O_WRONLY | O_TRUNC));
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 0);
	CHECK_EQ(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR);
}

TEST(nofollow_and_path)
{
	struct stat st;

	test_scratch();
	test_write_file("f", "x", 1);
	CHECK_EQ(symlink("f", "l"), 0);
	CHECK_ERR(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	int fd = open("l", O_PATH | O_NOFOLLOW);
	CHECK(fd >= 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(S_ISLNK(st.st_mode));
	char c;
	CHECK_ERR(read(fd, &c, 1), EBADF);
	int dir = open(".", O_PATH | O_DIRECTORY);
	CHECK(dir >= 0);
	CHECK_EQ(faccessat(dir, "f", R_OK, 0), 0);
	int in = openat(dir, "f", O_RDONLY);
	CHECK(in >= 0);
	CHECK_EQ(read(in, &c, 1), 1);
}

TEST(append)
{
	char text[16] = "";

	test_scratch();
	test_write_file("f", "abc", 3);
	int fd = open("f", O_RDWR | O_APPEND);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(write(fd, "def", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(pread(fd, text, 10, 0), 6);
	CHECK_EQ(strcmp(text, "abcdef"), 0);
	CHECK_EQ(fcntl(fd, F_SETFL, 0), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(write(fd, "X", 1), 1);
	CHECK_EQ(pread(fd, text, 1, 0), 1);
	CHECK_EQ(text[0], 'X');
}

TEST(seek)
{
	int fd = memfd_create("x", 0), p[2];

	CHECK_EQ(write(fd, "0123456789", 10), 10);
	CHECK_EQ(lseek(fd, 3, SEEK_SET), 3);
	CHECK_EQ(lseek(fd, 2, SEEK_CUR), 5);
	CHECK_EQ(lseek(fd, -1, SEEK_END), 9);
	CHECK_EQ(lseek(fd, 100, SEEK_END), 110);
	CHECK_ERR(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERR(lseek(fd, 0, 99), EINVAL);
	CHECK_ERR(lseek(99, 0, SEEK_SET), EBADF);
	CHECK_EQ(pipe(p), 0);
	CHECK_ERR(lseek(p[0], 0, SEEK_SET), ESPIPE);
	CHECK_ERR(pread(p[0], p, 1, 0), ESPIPE);
	char c;
	CHECK_EQ(read(fd, &c, 1), 0);
}

TEST(sparse)
{
	char page[4096], zero[4096] = {0};
	struct stat st;

	test_scratch();
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	CHECK_EQ(pwrite(fd, "end", 3, 1ll << 30), 3);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, (1ll << 30) + 3);
	CHECK(st.st_blocks < 1000);
	CHECK_EQ(pread(fd, page, 4096, 12345678), 4096);
	CHECK_EQ(memcmp(page, zero, 4096), 0);
	CHECK_EQ(lseek(fd, 0, SEEK_DATA), 1ll << 30);
	CHECK_EQ(lseek(fd, 0, SEEK_HOLE), 0);
	CHECK_EQ(lseek(fd, 1ll << 30, SEEK_HOLE), (1ll << 30) + 3);
	CHECK_ERR(lseek(fd, (1ll << 30) + 3, SEEK_DATA), ENXIO);
	CHECK_ERR(lseek(fd, (1ll << 30) + 3, SEEK_HOLE), ENXIO);
}

TEST(truncate_both_ways)
{
	char text[10];

	test_scratch();
	test_write_file("f", "0123456789", 10);
	CHECK_EQ(truncate("f", 4), 0);
	CHECK_EQ(truncate("f", 8), 0);
	int fd = open("f", O_RDWR);
	CHECK_EQ(read(fd, text, 10), 8);
	CHECK_EQ(memcmp(text, "0123\0\0\0\0", 8), 0); /* what was cut off does not come back */
	CHECK_ERR(truncate("f", -1), EINVAL);
	CHECK_ERR(truncate(".", 0), EISDIR);
	CHECK_ERR(truncate("missing", 0), ENOENT);
}

TEST(file_size_limit)
{
	struct rlimit limit = {10, RLIM_INFINITY};
	int fd = memfd_create("x", 0);

	signal(SIGXFSZ, SIG_IGN);
	test_scratch();
	int f = open("f", O_RDWR | O_CREAT, 0600);
	(void)fd;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	CHECK_EQ(write(f, "0123456789abc", 13), 10);
	CHECK_ERR(write(f, "x", 1), EFBIG);
	CHECK_ERR(ftruncate(f, 11), EFBIG);
	signal(SIGXFSZ, SIG_DFL);
	pid_t pid = test_fork();
	if (pid == 0) {
		ssize_t n = write(f, "x", 1);
		_exit((int)n);
	}
	CHECK_KILLED(pid, SIGXFSZ);
}

TEST(duplicates)
{
	int fd = memfd_create("x", 0);

	CHECK_EQ(write(fd, "abc", 3), 3);
	int copy = dup(fd);
	CHECK(copy > fd);
	CHECK_EQ(lseek(copy, 1, SEEK_SET), 1);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1);
	CHECK_EQ(dup2(fd, 50), 50);
	CHECK_EQ(dup2(fd, fd), fd);
	CHECK_ERR(dup2(49, 49), EBADF);
	CHECK_ERR(dup2(49, 51), EBADF);
	CHECK_ERR(dup2(fd, -1), EBADF);
	CHECK_ERR(dup2(fd, 1 << 30), EBADF);
	CHECK_ERR(syscall(SYS_dup3, fd, fd, 0), EINVAL);
	CHECK_EQ(syscall(SYS_dup3, fd, 60, O_CLOEXEC), 60);
	CHECK_EQ(fcntl(60, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(50, F_GETFD), 0);
	CHECK_EQ(fcntl(fd, F_DUPFD, 70), 70);
	CHECK_EQ(fcntl(fd, F_DUPFD_CLOEXEC, 70), 71);
	CHECK_EQ(fcntl(71, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(fcntl(fd, F_DUPFD, -1), EINVAL);
	CHECK_ERR(fcntl(fd, 9999, 0), EINVAL);
	CHECK_ERR(fcntl(1000, F_GETFD), EBADF);
	CHECK_EQ(close(50), 0);
	CHECK_ERR(close(50), EBADF);
	CHECK_ERR(close(-1), EBADF);
}

TEST(lowest_descriptor)
{
	int a = dup(0), b = dup(0), c = dup(0);

	CHECK(a >= 0 && b == a + 1 && c == b + 1);
	close(b);
	close(a);
	CHECK_EQ(dup(0), a);
	CHECK_EQ(dup(0), b);
}

TEST(descriptor_limit)
{
	struct rlimit limit = {40, 4096};
	int fd, last = -1;

	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while ((fd = dup(0)) >= 0)
		last = fd;
	int err = errno;
	CHECK_EQ(err, EMFILE);
	CHECK_EQ(last, 39);
	CHECK_ERR(open("/dev/null", O_RDONLY), EMFILE);
	CHECK_ERR(dup2(0, 40), EBADF);
	int p[2];
	CHECK_ERR(pipe(p), EMFILE);
	limit.rlim_cur = 600;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	CHECK_EQ(dup2(0, 599), 599);
	CHECK_EQ(dup(0), 40);
}

TEST(close_range_call)
{
	for (int fd = 100; fd < 110; fd++)
		CHECK_EQ(dup2(0, fd), fd);
	CHECK_EQ(syscall(436, 103u, 106u, 0), 0);
	CHECK_EQ(fcntl(102, F_GETFD), 0);
	CHECK_ERR(fcntl(103, F_GETFD), EBADF);
	CHECK_ERR(fcntl(106, F_GETFD), EBADF);
	CHECK_EQ(fcntl(107, F_GETFD), 0);
	CHECK_EQ(syscall(436, 107u, ~0u, 4), 0); /* CLOSE_RANGE_CLOEXEC */
	CHECK_EQ(fcntl(107, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(syscall(436, 5u, 4u, 0), EINVAL);
}

TEST(vectors)
{
	int fd = memfd_create("x", 0);
	char a[3], b[4], c[10] = "";
	struct iovec out[3] = {{"abc", 3}, {"", 0}, {"defgh", 5}}, in[3] = {{a, 3}, {b, 4}, {c, 10}};

	CHECK_EQ(writev(fd, out, 3), 8);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(readv(fd, in, 3), 8);
	CHECK_EQ(memcmp(a, "abc", 3), 0);
	CHECK_EQ(memcmp(b, "defg", 4), 0);
	CHECK_EQ(c[0], 'h');
	CHECK_EQ(preadv(fd, in, 3, 6), 2);
	CHECK_EQ(memcmp(a, "gh", 2), 0);
	CHECK_EQ(pwritev(fd, out, 1, 20), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 23);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_EQ(readv(fd, in, 0), 0);
}

TEST(copying_in_the_kernel)
{
	int a = memfd_create("a", 0), b = memfd_create("b", 0), p[2];
	char *big = malloc(300000), *back = malloc(300000);

	for (int i = 0; i < 300000; i++)
		big[i] = (char)(i * 7 + i / 256);
	CHECK_EQ(write(a, big, 300000), 300000);
	off_t at = 0;
	ssize_t n, all = 0;
	while ((n = sendfile(b, a, &at, 400000)) > 0)
		all += n;
	CHECK_EQ(n, 0);
	CHECK_EQ(all, 300000);
	CHECK_EQ(at, 300000);
	CHECK_EQ(pread(b, back, 300000, 0), 300000);
	CHECK_EQ(memcmp(big, back, 300000), 0);
	CHECK_EQ(pipe(p), 0);
	at = 100;
	CHECK_EQ(sendfile(p[1], a, &at, 50), 50);
	CHECK_EQ(read(p[0], back, 100), 50);
	CHECK_EQ(memcmp(big + 100, back, 50), 0);
	test_scratch();
	test_write_file("one", "hello world", 11);
	int one = open("one", O_RDONLY), two = open("two", O_RDWR | O_CREAT, 0600);
	off_t from = 6, to = 2;
	CHECK_EQ(syscall(SYS_copy_file_range, one, &from, two, &to, 100, 0), 5);
	CHECK_EQ(from, 11);
	CHECK_EQ(to, 7);
	CHECK_EQ(pread(two, back, 10, 0), 7);
	CHECK_EQ(memcmp(back, "\0\0world", 7), 0);
	CHECK_ERR(syscall(SYS_copy_file_range, one, NULL, one, NULL, 5, 0), EBADF);
}

TEST(times)
{
	struct stat st;
	struct timespec when[2] = {{1000, 5}, {2000, 7}};

	test_scratch();
	test_write_file("f", "x", 1);
	CHECK_EQ(utimensat(AT_FDCWD, "f", when, 0), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_atim.tv_sec, 1000);
	CHECK_EQ(st.st_atim.tv_nsec, 5);
	CHECK_EQ(st.st_mtim.tv_sec, 2000);
	CHECK_EQ(st.st_mtim.tv_nsec, 7);
	when[0].tv_nsec = UTIME_OMIT;
	when[1].tv_nsec = UTIME_NOW;
	CHECK_EQ(utimensat(AT_FDCWD, "f", when, 0), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_atim.tv_sec, 1000);
	CHECK(st.st_mtim.tv_sec > 1000000);
	when[0].tv_nsec = 1000000000;
	CHECK_ERR(utimensat(AT_FDCWD, "f", when, 0), EINVAL);
	/* Writing moves mtime and ctime. */
	when[0] = when[1] = (struct timespec){1000, 0};
	CHECK_EQ(utimensat(AT_FDCWD, "f", when, 0), 0);
	int fd = open("f", O_WRONLY);
	CHECK_EQ(write(fd, "y", 1), 1);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(st.st_mtim.tv_sec > 1000000);
	/* Through a descriptor. */
	CHECK_EQ(futimens(fd, when), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mtim.tv_sec, 1000);
}

TEST(stat_fields)
{
	struct stat st, at;

	test_scratch();
	test_write_file("f", "12345", 5);
	CHECK_EQ(chmod("f", 0751), 0);
	CHECK_EQ(link("f", "g"), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0751);
	CHECK_EQ(st.st_nlink, 2);
	CHECK_EQ(st.st_uid, geteuid());
	CHECK_EQ(st.st_size, 5);
	CHECK_EQ(st.st_blksize, 4096);
	CHECK_EQ(stat("g", &at), 0);
	CHECK(st.st_ino == at.st_ino && st.st_dev == at.st_dev);
	CHECK_EQ(symlink("somewhere", "l"), 0);
	CHECK_EQ(lstat("l", &st), 0);
	CHECK_EQ(st.st_mode, S_IFLNK | 0777);
	CHECK_EQ(st.st_size, 9);
	CHECK_EQ(fstatat(AT_FDCWD, "l", &st, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_ERR(stat("l", &st), ENOENT);
	int fd = open("f", O_RDONLY);
	CHECK_EQ(fstatat(fd, "", &at, AT_EMPTY_PATH), 0);
	CHECK_EQ(at.st_size, 5);
	CHECK_ERR(fstatat(fd, "", &at, 0), ENOENT);
	CHECK_ERR(fstatat(AT_FDCWD, "f", &at, 0x4000000), EINVAL);
	CHECK_EQ(stat("/dev/null", &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_rdev, makedev(1, 3));
	CHECK_EQ(st.st_mode & 0777, 0666);
}

struct statx_result {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, pad;
	uint64_t ino, size, blocks, attributes_mask;
	char rest[256 - 64];
};

TEST(statx_call)
{
	struct statx_result x;
	struct stat st;

	test_scratch();
	test_write_file("f", "12345", 5);
	memset(&x, 0xff, sizeof(x));
	CHECK_EQ(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x7ff, &x), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(x.mask & 0x7ff, 0x7ff);
	CHECK_EQ(x.mode, st.st_mode);
	CHECK_EQ(x.ino, st.st_ino);
	CHECK_EQ(x.size, 5);
	CHECK_EQ(x.nlink, 1);
	CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "f", 0, 0x80000000, &x), EINVAL);
	CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "nothing", 0, 0, &x), ENOENT);
}

TEST(holes_and_fallocate)
{
	int fd = memfd_create("x", 0);
	struct stat st;
	char text[8];

	CHECK_EQ(write(fd, "abcdefgh", 8), 8);
	CHECK_EQ(fallocate(fd, 0, 0, 10000), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 10000);
	CHECK_EQ(fallocate(fd, 1, 0, 20000), 0); /* KEEP_SIZE */
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 10000);
	CHECK_EQ(fallocate(fd, 3, 2, 3), 0); /* PUNCH_HOLE */
	CHECK_EQ(pread(fd, text, 8, 0), 8);
	CHECK_EQ(memcmp(text, "ab\0\0\0fgh", 8), 0);
	CHECK_ERR(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERR(fallocate(fd, 0, -1, 5), EINVAL);
}

TEST(memfd)
{
	char link[100], path[40];
	int fd = memfd_create("some name", 1); /* MFD_CLOEXEC */
	struct stat st;

	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = 0;
	CHECK_EQ(strcmp(link, "/memfd:some name (deleted)"), 0);
	CHECK_EQ(write(fd, "abc", 3), 3);
	/* It can be opened again by that name. */
	int again = open(path, O_RDONLY);
	char c;
	CHECK(again >= 0);
	CHECK_EQ(read(again, &c, 1), 1);
	CHECK_EQ(c, 'a');
	CHECK_ERR(memfd_create("x", 0x8000), EINVAL);
}

/* A program, and code, may lie in it. */
TEST(memfd_is_executable)
{
	char buffer[65536];
	int from = open("/proc/self/exe", O_RDONLY), fd = memfd_create("program", 1);
	ssize_t n;

	CHECK(from >= 0 && fd >= 0);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		CHECK_EQ(write(fd, buffer, (size_t)n), n);
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	CHECK(code != MAP_FAILED);
	snprintf(buffer, sizeof(buffer), "/proc/self/fd/%d", fd);
	int program = open(buffer, O_RDONLY);
	CHECK(program >= 0);
	CHECK_EQ(munmap(code, 4096), 0);
	CHECK_EQ(close(fd), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		char *const nothing_to_test[] = {"file", "no-such-test", NULL};
		fexecve(program, nothing_to_test, environ);
		_exit(9);
	}
	CHECK_EXIT(pid, 0);
}

TEST(character_devices)
{
	char page[100];
	int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR), full = open("/dev/full", O_RDWR),
	    urandom = open("/dev/urandom", O_RDONLY);

	CHECK(zero >= 0 && null >= 0 && full >= 0 && urandom >= 0);
	memset(page, 1, sizeof(page));
	CHECK_EQ(read(zero, page, 100), 100);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(page[i], 0);
	CHECK_EQ(write(zero, page, 100), 100);
	CHECK_EQ(read(null, page, 100), 0);
	CHECK_EQ(write(null, page, 100), 100);
	CHECK_EQ(read(full, page, 100), 100);
	CHECK_ERR(write(full, page, 100), ENOSPC);
	CHECK_EQ(read(urandom, page, 100), 100);
	int sum = 0;
	for (int i = 0; i < 100; i++)
		sum |= page[i];
	CHECK(sum != 0);
	CHECK_ERR(lseek(zero, 0, 77), EINVAL);
}

TEST(statfs_of_root)
{
	struct statfs s;

	memset(&s, 0xff, sizeof(s));
	CHECK_EQ(statfs("/", &s), 0);
	CHECK(s.f_bsize > 0 && s.f_namelen == 255);
	CHECK_EQ(statfs("/proc", &s), 0);
	CHECK_EQ(s.f_type, 0x9fa0);
	CHECK_ERR(statfs("/no/such", &s), ENOENT);
}

TEST(reading_while_writing_large)
{
	/* 4 MiB in odd pieces, there and back. */
	enum { N = 4 << 20 };
	test_scratch();
	int fd = open("f", O_RDWR | O_CREAT, 0600);
	static unsigned char piece[10007];
	size_t done = 0;
	while (done < N) {
		for (size_t i = 0; i < sizeof(piece); i++)
			piece[i] = (unsigned char)((done + i) * 31 >> 3);
		CHECK_EQ(write(fd, piece, sizeof(piece)), sizeof(piece));
		done += sizeof(piece);
	}
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	size_t at = 0;
	ssize_t n;
	while ((n = read(fd, piece, 7777)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (piece[i] != (unsigned char)((at + (size_t)i) * 31 >> 3))
				FAIL("byte %zu is wrong", at + (size_t)i);
		at += (size_t)n;
	}
	CHECK_EQ(at, done);
}

/* What it has not written yet stays unwritten: memory that a dying writer took would stay in the file. */
TEST(killed_in_the_middle_of_a_write)
{
	enum { PARTS = 8, PART = 1 << 20 };
	static char block[PART];
	struct iovec parts[PARTS];
	bool stopped = false;

	for (int i = 0; i < PARTS; i++)
		parts[i] = (struct iovec){block, PART};
	/* Now and then the writer is done before it is killed. */
	for (int i = 0; i < 100 && !stopped; i++) {
		struct stat st = {0};
		int fd = memfd_create("big", 0), status;
		pid_t pid = fork();

		CHECK(fd >= 0 && pid >= 0);
		if (pid == 0)
			_exit(writev(fd, parts, PARTS) < 0);
		while (fstat(fd, &st) == 0 && st.st_size == 0)
			nanosleep(&(struct timespec){0, 20000}, NULL);
		CHECK_EQ(kill(pid, SIGKILL), 0);
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(fstat(fd, &st), 0);
		stopped = WIFSIGNALED(status) && st.st_size < PARTS * PART;
		close(fd);
	}
	CHECK(stopped);
}
