/* mmap and its family, brk, copy-on-write, stacks (man 2 mmap, mprotect, mremap, madvise, brk). */
#define TEST_REENTER(argc, argv) reenter(argc, argv)
static void reenter(int argc, char **argv);
#include "user/test/test.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#define PAGE 4096ul
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static sigjmp_buf back;

static void caught(int signo)
{
	siglongjmp(back, signo);
}

static int touch(volatile char *p, bool write)
{
	int signo = sigsetjmp(back, 1);

	if (signo == 0) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return signo;
}

static void catch_faults(void)
{
	signal(SIGSEGV, caught);
	signal(SIGBUS, caught);
}

static char *map(size_t n, int prot, int flags, int fd)
{
	char *p = mmap(NULL, n * PAGE, prot, flags, fd, 0);

	if (p == MAP_FAILED)
		FAIL("mmap of %zu pages: %s", n, strerror(errno));
	return p;
}

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW (PROT_READ | PROT_WRITE)

/* "memory --tables": takes tables without pages, one for each 2 MiB, until it is killed for that. */
static void reenter(int argc, char **argv)
{
	if (argc != 2 || strcmp(argv[1], "--tables") != 0)
		return;
	volatile char *p = mmap(NULL, 1ul << 40, PROT_READ, ANON | MAP_NORESERVE, -1, 0);
	for (size_t at = 0; p != MAP_FAILED && at < 1ul << 40; at += 2 << 20)
		(void)p[at];
	_exit(1);
}

TEST(anonymous_is_zero)
{
	char *p = map(64, RW, ANON, -1);

	for (size_t i = 0; i < 64 * PAGE; i++)
		if (p[i] != 0)
			FAIL("byte %zu is %d", i, p[i]);
	memset(p, 0xaa, 64 * PAGE);
	CHECK_EQ(munmap(p, 64 * PAGE), 0);
}

TEST(mmap_errors)
{
	int fd = open("/dev/null", O_RDONLY), mem = memfd_create("x", 0), p[2];

	CHECK(fd >= 0 && mem >= 0);
	CHECK_EQ(pipe(p), 0);
	CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, p[0], 0) == MAP_FAILED && (errno == ENODEV || errno == EACCES));
	CHECK((void *)syscall(SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, mem, 100) == MAP_FAILED && errno == EINVAL);
	CHECK((void *)syscall(SYS_mmap, 0, 1ul << 60, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK((void *)syscall(SYS_mmap, 0, -1ul, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK((void *)syscall(SYS_mmap, 0x7ffffffff000, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED &&
	      errno == ENOMEM);
	CHECK((void *)syscall(SYS_mmap, 0x10000001, PAGE, RW, ANON | MAP_FIXED, -1, 0) == MAP_FAILED &&
	      errno == EINVAL);
	CHECK((void *)syscall(SYS_mmap, 0, PAGE, RW, MAP_PRIVATE, mem, -PAGE) == MAP_FAILED && errno == EOVERFLOW);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_GROWSDOWN, mem, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, mem, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0) == MAP_FAILED && errno == EINVAL);
	/* A shared writable mapping needs a file open for writing; any needs one open for reading. */
	test_scratch();
	test_write_file("f", "abc", 3);
	int ro = open("f", O_RDONLY), wo = open("f", O_WRONLY);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, wo, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, ro, 0) != MAP_FAILED);
	char *p2 = map(1, PROT_READ, MAP_SHARED, ro);
	CHECK_ERR(mprotect(p2, PAGE, RW), EACCES);
}

TEST(unmap_the_middle)
{
	char *p = map(5, RW, ANON, -1);

	catch_faults();
	memset(p, 1, 5 * PAGE);
	CHECK_EQ(munmap(p + 2 * PAGE, PAGE), 0);
	CHECK_EQ(touch(p + PAGE, true), 0);
	CHECK_EQ(touch(p + 2 * PAGE, false), SIGSEGV);
	CHECK_EQ(touch(p + 3 * PAGE, true), 0);
	CHECK_EQ(munmap(p, 5 * PAGE), 0); /* over the hole */
	CHECK_EQ(munmap(p, 5 * PAGE), 0); /* nothing there is fine */
	CHECK_EQ(touch(p, false), SIGSEGV);
	CHECK_ERR(munmap(p + 1, PAGE), EINVAL);
	CHECK_ERR(munmap(p, 0), EINVAL);
}

TEST(fixed_replaces)
{
	char *p = map(4, RW, ANON, -1);

	memset(p, 7, 4 * PAGE);
	CHECK(mmap(p + PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0) == p + PAGE);
	CHECK_EQ(p[0], 7);
	CHECK_EQ(p[PAGE], 0);
	CHECK_EQ(p[2 * PAGE], 0);
	CHECK_EQ(p[3 * PAGE], 7);
	CHECK(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK_EQ(munmap(p + PAGE, PAGE), 0);
	CHECK(mmap(p + PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + PAGE);
	/* A hint is taken when the place is free. */
	CHECK_EQ(munmap(p + PAGE, PAGE), 0);
	CHECK(mmap(p + PAGE, PAGE, RW, ANON, -1, 0) == p + PAGE);
	CHECK(mmap(p + PAGE, PAGE, RW, ANON, -1, 0) != p + PAGE);
}

TEST(low_addresses)
{
	char *p = mmap(NULL, PAGE, RW, ANON | MAP_32BIT, -1, 0);

	CHECK(p != MAP_FAILED && (unsigned long)p + PAGE <= 1ul << 31);
	p[PAGE - 1] = 1;
	CHECK(munmap(p, PAGE) == 0);
	CHECK(mmap(NULL, 3ul << 30, RW, ANON | MAP_32BIT | MAP_NORESERVE, -1, 0) == MAP_FAILED && errno == ENOMEM);
}

TEST(protect)
{
	char *p = map(3, RW, ANON, -1);

	catch_faults();
	memset(p, 3, 3 * PAGE);
	CHECK_EQ(mprotect(p + PAGE, PAGE, PROT_READ), 0);
	CHECK_EQ(touch(p, true), 0);
	CHECK_EQ(touch(p + PAGE, true), SIGSEGV);
	CHECK_EQ(touch(p + PAGE, false), 0);
	CHECK_EQ(touch(p + 2 * PAGE, true), 0);
	CHECK_EQ(p[PAGE], 3);
	CHECK_EQ(mprotect(p, 3 * PAGE, PROT_NONE), 0);
	CHECK_EQ(touch(p, false), SIGSEGV);
	CHECK_EQ(mprotect(p, 3 * PAGE, RW), 0);
	CHECK_EQ(p[PAGE], 3);
	CHECK_EQ(p[2 * PAGE], 1);
	CHECK_EQ(munmap(p + PAGE, PAGE), 0);
	CHECK_ERR(mprotect(p, 3 * PAGE, PROT_READ), ENOMEM);
	CHECK_ERR(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL);
	CHECK_EQ(mprotect(p, 0, PROT_READ), 0);
}

TEST(copy_on_write)
{
	enum { N = 64 };
	char *p = map(N, RW, ANON, -1);
	pid_t pids[3];

	for (int i = 0; i < N; i++)
		p[(size_t)i * PAGE] = (char)i;
	for (int c = 0; c < 3; c++) {
		pids[c] = test_fork();
		if (pids[c] == 0) {
			for (int i = 0; i < N; i++) {
				if (p[(size_t)i * PAGE] != (char)i)
					_exit(1);
				p[(size_t)i * PAGE] = (char)(100 + c);
			}
			for (int i = 0; i < N; i++)
				if (p[(size_t)i * PAGE] != 100 + c)
					_exit(2);
			_exit(0);
		}
		p[(size_t)c * PAGE + 8] = 'p';
	}
	for (int c = 0; c < 3; c++)
		CHECK_EXIT(pids[c], 0);
	for (int i = 0; i < N; i++)
		CHECK_EQ(p[(size_t)i * PAGE], i);
}

TEST(system_call_writes_break_sharing_too)
{
	char *p = map(1, RW, ANON, -1);
	int fd = memfd_create("x", 0);

	strcpy(p, "before");
	CHECK_EQ(write(fd, "child!", 6), 6);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(pread(fd, p, 6, 0) == 6 && strcmp(p, "child!") == 0 ? 0 : 1);
	CHECK_EXIT(pid, 0);
	CHECK_EQ(strcmp(p, "before"), 0);
}

TEST(shared_anonymous)
{
	char *p = map(2, RW, MAP_SHARED | MAP_ANONYMOUS, -1);

	pid_t pid = test_fork();
	if (pid == 0) {
		strcpy(p + PAGE, "from the child");
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(strcmp(p + PAGE, "from the child"), 0);
}

TEST(file_private_and_shared)
{
	char text[16] = "";

	test_scratch();
	test_write_file("f", "hello", 5);
	int fd = open("f", O_RDWR);
	char *private = map(1, RW, MAP_PRIVATE, fd), *shared = map(1, RW, MAP_SHARED, fd);
	CHECK_EQ(memcmp(private, "hello\0", 6), 0);
	shared[0] = 'j';
	CHECK_EQ(pread(fd, text, 5, 0), 5);
	CHECK_EQ(strcmp(text, "jello"), 0);
	CHECK_EQ(pwrite(fd, "c", 1, 0), 1);
	CHECK_EQ(shared[0], 'c');
	private[1] = 'E';
	CHECK_EQ(pread(fd, text, 5, 0), 5);
	CHECK_EQ(strcmp(text, "cello"), 0);
	CHECK_EQ(shared[1], 'e');
	CHECK_EQ(msync(shared, PAGE, MS_SYNC), 0);
	/* The mapping holds the file after its name and descriptor are gone. */
	close(fd);
	CHECK_EQ(unlink("f"), 0);
	CHECK_EQ(shared[0], 'c');
	CHECK_EQ(munmap(shared, PAGE), 0);
	CHECK_EQ(private[1], 'E');
}

TEST(file_offset)
{
	int fd = memfd_create("x", 0);
	char page[PAGE];

	for (int i = 0; i < 8; i++) {
		memset(page, 'a' + i, PAGE);
		CHECK_EQ(write(fd, page, PAGE), PAGE);
	}
	char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 5 * (off_t)PAGE);
	CHECK(p != MAP_FAILED);
	CHECK_EQ(p[0], 'f');
	CHECK_EQ(p[PAGE], 'g');
}

TEST(dev_zero)
{
	int fd = open("/dev/zero", O_RDWR);
	char *p = map(2, RW, MAP_PRIVATE, fd);

	CHECK_EQ(p[PAGE], 0);
	p[PAGE] = 1;
	CHECK_EQ(p[PAGE], 1);
}

TEST(brk_moves)
{
	char *start = (char *)syscall(SYS_brk, 0);

	catch_faults();
	CHECK(start);
	CHECK((char *)syscall(SYS_brk, start + 10 * PAGE) == start + 10 * PAGE);
	CHECK_EQ(start[9 * PAGE], 0);
	memset(start, 1, 10 * PAGE);
	CHECK((char *)syscall(SYS_brk, start + PAGE) == start + PAGE);
	CHECK_EQ(touch(start + 5 * PAGE, false), SIGSEGV);
	CHECK((char *)syscall(SYS_brk, start + 10 * PAGE) == start + 10 * PAGE);
	CHECK_EQ(start[9 * PAGE], 0);
	/* What it cannot do it answers with the present end. */
	CHECK((char *)syscall(SYS_brk, 1) == start + 10 * PAGE);
	CHECK((char *)syscall(SYS_brk, 1ul << 46) == start + 10 * PAGE);
	CHECK((char *)syscall(SYS_brk, start) == start);
}

TEST(data_limit)
{
	struct rlimit limit = {32ul << 20, 32ul << 20};

	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
	CHECK(mmap(NULL, 64ul << 20, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(mmap(NULL, 1ul << 20, RW, ANON, -1, 0) != MAP_FAILED);
	char *start = (char *)syscall(SYS_brk, 0);
	CHECK((char *)syscall(SYS_brk, start + (64 << 20)) == start);
}

TEST(remap_grows_shrinks_moves)
{
	char *p = map(8, RW, ANON, -1);

	catch_faults();
	for (int i = 0; i < 8; i++)
		p[(size_t)i * PAGE] = (char)i;
	CHECK(mremap(p, 8 * PAGE, 4 * PAGE, 0) == p);
	CHECK_EQ(touch(p + 5 * PAGE, false), SIGSEGV);
	CHECK(mremap(p, 4 * PAGE, 8 * PAGE, 0) == p); /* the place is free again */
	CHECK_EQ(p[3 * PAGE], 3);
	CHECK_EQ(p[5 * PAGE], 0);
	/* Something in the way. */
	CHECK(mmap(p + 4 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + 4 * PAGE);
	CHECK(mremap(p, 4 * PAGE, 6 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
	char *q = mremap(p, 4 * PAGE, 100 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	CHECK_EQ(q[2 * PAGE], 2);
	CHECK_EQ(q[99 * PAGE], 0);
	CHECK_EQ(touch(p, false), SIGSEGV);
	/* To a given place. */
	char *place = map(100, PROT_NONE, ANON, -1);
	CHECK(mremap(q, 100 * PAGE, 100 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
	CHECK_EQ(place[3 * PAGE], 3);
	CHECK_EQ(touch(q, false), SIGSEGV);
	CHECK((void *)syscall(SYS_mremap, place + 1, PAGE, PAGE, 0, 0) == MAP_FAILED && errno == EINVAL);
	CHECK((void *)syscall(SYS_mremap, place, PAGE, 0, 0, 0) == MAP_FAILED && errno == EINVAL);
	CHECK((void *)syscall(SYS_mremap, q, PAGE, 2 * PAGE, 0, 0) == MAP_FAILED && errno == EFAULT);
}

TEST(madvise_dontneed)
{
	char *p = map(4, RW, ANON, -1);

	memset(p, 5, 4 * PAGE);
	CHECK_EQ(madvise(p + PAGE, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(p[0], 5);
	CHECK_EQ(p[PAGE], 0);
	CHECK_EQ(p[2 * PAGE], 5);
	CHECK_EQ(madvise(p, 4 * PAGE, MADV_WILLNEED), 0);
	CHECK_EQ(madvise(p, 4 * PAGE, MADV_NORMAL), 0);
	CHECK_ERR(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL);
	CHECK_ERR(madvise(p, PAGE, 9999), EINVAL);
	/* A private file mapping shows the file again. */
	int fd = memfd_create("x", 0);
	CHECK_EQ(write(fd, "file", 4), 4);
	char *f = map(1, RW, MAP_PRIVATE, fd);
	f[0] = 'F';
	CHECK_EQ(madvise(f, PAGE, MADV_DONTNEED), 0);
	CHECK_EQ(f[0], 'f');
}

TEST(madvise_dontfork)
{
	char *p = map(2, RW, ANON, -1);

	memset(p, 1, 2 * PAGE);
	CHECK_EQ(madvise(p, PAGE, MADV_DONTFORK), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		catch_faults();
		_exit(touch(p, false) == SIGSEGV && touch(p + PAGE, false) == 0 ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
}

TEST(mincore_sees_pages)
{
	char *p = map(4, RW, ANON, -1);
	unsigned char in[4];

	p[PAGE] = 1;
	CHECK_EQ(mincore(p, 4 * PAGE, in), 0);
	CHECK_EQ(in[1] & 1, 1);
	CHECK_EQ(in[3] & 1, 0);
	CHECK_ERR(mincore(p + 1, PAGE, in), EINVAL);
	CHECK_EQ(munmap(p, 4 * PAGE), 0);
	CHECK_ERR(mincore(p, PAGE, in), ENOMEM);
}

static int grow(int pages)
{
	volatile char frame[PAGE];

	frame[0] = (char)pages;
	return pages == 0 ? 0 : grow(pages - 1) + (frame[0] == (char)pages ? 1 : 0);
}

TEST(stack_grows)
{
	CHECK_EQ(grow(500), 500);
}

TEST(stack_limit)
{
	struct rlimit small = {256 << 10, 8 << 20}, no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	CHECK_EQ(setrlimit(RLIMIT_STACK, &small), 0);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(grow(400) == 400 ? 0 : 1);
	CHECK_KILLED(pid, SIGSEGV);
}

TEST(large_sparse_mapping)
{
	/* Far more than there is memory, with a page used here and there. */
	size_t size = 64ul << 30;
	char *p = mmap(NULL, size, RW, ANON | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED);
	for (size_t at = 0; at < size; at += 1ul << 30)
		p[at] = 1;
	CHECK_EQ(p[5ul << 30], 1);
	CHECK_EQ(p[(5ul << 30) + PAGE], 0);
	CHECK_EQ(munmap(p, size), 0);
}

TEST(many_areas)
{
	enum { N = 2000 };
	char *p = map(N, RW, ANON, -1);

	for (size_t i = 0; i < N; i += 2)
		CHECK_EQ(mprotect(p + i * PAGE, PAGE, PROT_READ), 0);
	for (size_t i = 1; i < N; i += 2)
		p[i * PAGE] = (char)i;
	for (size_t i = 1; i < N; i += 2)
		CHECK_EQ(p[i * PAGE], (char)i);
	CHECK_EQ(mprotect(p, N * PAGE, RW), 0);
	CHECK_EQ(munmap(p, N * PAGE), 0);
}

TEST(maps_file)
{
	static char text[65536];
	char *p = map(3, PROT_READ, ANON, -1), line[64];

	CHECK_EQ(mprotect(p + PAGE, PAGE, RW), 0);
	CHECK(test_read_file("/proc/self/maps", text, sizeof(text)) > 0);
	snprintf(line, sizeof(line), "%lx-%lx rw-p 00000000 00:00 0", (unsigned long)(p + PAGE),
		 (unsigned long)(p + 2 * PAGE));
	CHECK(strstr(text, line));
	CHECK(strstr(text, "[stack]"));
	CHECK(strstr(text, "r-xp"));
	CHECK(strstr(text, "/memory"));
}

TEST(memory_of_another_process)
{
	char *p = map(1, RW, MAP_SHARED | MAP_ANONYMOUS, -1), mine[16] = "";
	int gate[2];
	char c;

	CHECK_EQ(pipe(gate), 0);
	char *secret = map(1, RW, ANON, -1);
	pid_t pid = test_fork();
	if (pid == 0) {
		strcpy(secret, "child's");
		p[0] = 1;
		close(gate[1]);
		_exit((int)read(gate[0], &c, 1));
	}
	while (*(volatile char *)p == 0)
		test_sleep_ms(1);
	struct iovec local = {mine, 8}, remote = {secret, 8};
	CHECK_EQ(process_vm_readv(pid, &local, 1, &remote, 1, 0), 8);
	CHECK_EQ(strcmp(mine, "child's"), 0);
	/* Byte by byte, in more pieces than fit a kernel's frame. */
	struct iovec here[100], there[100];
	for (int i = 0; i < 100; i++) {
		here[i] = (struct iovec){mine + 8 + i % 7, 1};
		there[i] = (struct iovec){secret + i % 7, 1};
	}
	CHECK_EQ(process_vm_readv(pid, here, 100, there, 100, 0), 100);
	CHECK_EQ(memcmp(mine + 8, "child's", 7), 0);
	CHECK_ERR(process_vm_readv(pid, here, 1025, there, 1, 0), EINVAL);
	close(gate[1]);
	CHECK_EXIT(pid, 0);
	CHECK_ERR(process_vm_readv(pid, &local, 1, &remote, 1, 0), ESRCH);
}
