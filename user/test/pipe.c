/* Pipes and FIFOs, poll, select, ppoll (man 7 pipe, man 2 poll, select). */
#include "user/test/test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/time.h>

static void make(int p[2], int flags)
{
	CHECK_EQ(pipe2(p, flags), 0);
}

static volatile int signals;

static void count(int signo)
{
	(void)signo;
	signals++;
}

TEST(data_and_end)
{
	int p[2];
	char text[10];

	make(p, 0);
	CHECK_EQ(write(p[1], "hello", 5), 5);
	CHECK_EQ(read(p[0], text, 2), 2);
	CHECK_EQ(read(p[0], text, 10), 3);
	CHECK_EQ(read(p[0], text, 0), 0);
	close(p[1]);
	CHECK_EQ(read(p[0], text, 10), 0);
	make(p, O_CLOEXEC | O_NONBLOCK);
	CHECK_EQ(fcntl(p[0], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(p[1], F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	CHECK_ERR(pipe2(p, 0x1), EINVAL);
	CHECK_ERR(write(p[0], "x", 1), EBADF);
	CHECK_ERR(read(p[1], text, 1), EBADF);
}

TEST(capacity_and_nonblock)
{
	int p[2], ready;
	static char big[100000];

	make(p, O_NONBLOCK);
	CHECK_ERR(read(p[0], big, 1), EAGAIN);
	CHECK_EQ(write(p[1], big, sizeof(big)), 65536);
	CHECK_ERR(write(p[1], big, 1), EAGAIN);
	CHECK_EQ(ioctl(p[0], FIONREAD, &ready), 0);
	CHECK_EQ(ready, 65536);
	CHECK_EQ(read(p[0], big, 100), 100);
	/* Up to PIPE_BUF a write is whole or not at all. */
	CHECK_ERR(write(p[1], big, 4096), EAGAIN);
	CHECK_EQ(read(p[0], big, 3996), 3996);
	CHECK_EQ(write(p[1], big, 4096), 4096);
	CHECK_EQ(fcntl(p[0], F_GETPIPE_SZ), 65536);
	CHECK_EQ(fcntl(p[0], F_SETPIPE_SZ, 131072), 131072);
	CHECK_EQ(write(p[1], big, 65536), 65536);
	CHECK_ERR(fcntl(p[0], F_SETPIPE_SZ, 4096), EBUSY);
}

TEST(writer_blocks_until_read)
{
	int p[2];
	static char big[300000];

	make(p, 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		close(p[0]);
		for (size_t i = 0; i < sizeof(big); i++)
			big[i] = (char)(i * 13 >> 2);
		_exit(write(p[1], big, sizeof(big)) == sizeof(big) ? 0 : 1);
	}
	close(p[1]);
	test_wait_state(pid, 'S');
	size_t all = 0;
	ssize_t n;
	char piece[777];
	while ((n = read(p[0], piece, sizeof(piece))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (piece[i] != (char)((all + (size_t)i) * 13 >> 2))
				FAIL("byte %zu", all + (size_t)i);
		all += (size_t)n;
	}
	CHECK_EQ(all, sizeof(big));
	CHECK_EXIT(pid, 0);
}

TEST(small_writes_are_whole)
{
	/* Four writers of 100-byte records; none may be torn. */
	int p[2];

	make(p, 0);
	for (int w = 0; w < 4; w++) {
		if (test_fork() == 0) {
			char record[100];
			memset(record, 'a' + w, sizeof(record));
			for (int i = 0; i < 300; i++)
				if (write(p[1], record, sizeof(record)) != sizeof(record))
					_exit(1);
			_exit(0);
		}
	}
	close(p[1]);
	char record[100];
	int counts[4] = {0}, got = 0, n;
	while ((n = (int)read(p[0], record + got, (size_t)(100 - got))) > 0) {
		got += n;
		if (got < 100)
			continue;
		for (int i = 1; i < 100; i++)
			CHECK_EQ(record[i], record[0]);
		counts[record[0] - 'a']++;
		got = 0;
	}
	for (int w = 0; w < 4; w++)
		CHECK_EQ(counts[w], 300);
}

TEST(ping_pong)
{
	int a[2], b[2];
	char c;

	make(a, 0), make(b, 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		close(a[1]);
		while (read(a[0], &c, 1) == 1)
			if (write(b[1], &c, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 2000; i++) {
		c = (char)i;
		CHECK_EQ(write(a[1], &c, 1), 1);
		CHECK_EQ(read(b[0], &c, 1), 1);
		CHECK_EQ(c, (char)i);
	}
	close(a[1]);
	CHECK_EXIT(pid, 0);
}

TEST(partial_write_when_interrupted)
{
	int p[2];
	static char big[200000];
	struct sigaction act = {.sa_handler = count};
	pid_t me = getpid();

	make(p, 0);
	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		test_wait_state(me, 'S');
		kill(me, SIGUSR1);
		_exit(0);
	}
	CHECK_EQ(write(p[1], big, sizeof(big)), 65536);
	CHECK_EXIT(pid, 0);
}

TEST(fifo_meets)
{
	char c;

	test_scratch();
	CHECK_EQ(mkfifo("f", 0600), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		int w = open("f", O_WRONLY); /* waits for a reader */
		_exit(write(w, "z", 1) == 1 ? 0 : 1);
	}
	test_wait_state(pid, 'S');
	int r = open("f", O_RDONLY);
	CHECK(r >= 0);
	CHECK_EQ(read(r, &c, 1), 1);
	CHECK_EXIT(pid, 0);
	CHECK_EQ(read(r, &c, 1), 0);
	int both = open("f", O_RDWR);
	CHECK(both >= 0);
	CHECK_EQ(write(both, "q", 1), 1);
	CHECK_EQ(read(both, &c, 1), 1);
}

TEST(poll_events)
{
	int p[2];
	struct pollfd f[3];

	make(p, O_NONBLOCK);
	f[0] = (struct pollfd){.fd = p[0], .events = POLLIN};
	f[1] = (struct pollfd){.fd = p[1], .events = POLLOUT};
	f[2] = (struct pollfd){.fd = -1, .events = POLLIN, .revents = 77};
	CHECK_EQ(poll(f, 3, 0), 1);
	CHECK_EQ(f[0].revents, 0);
	CHECK_EQ(f[1].revents, POLLOUT);
	CHECK_EQ(f[2].revents, 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(poll(f, 2, -1), 2);
	CHECK_EQ(f[0].revents, POLLIN);
	f[0].events = 0;
	CHECK_EQ(poll(f, 1, 0), 0);
	close(p[1]);
	CHECK_EQ(poll(f, 1, -1), 1);
	CHECK_EQ(f[0].revents, POLLHUP); /* asked for or not */
	f[0].events = POLLIN;
	CHECK_EQ(poll(f, 1, -1), 1);
	CHECK_EQ(f[0].revents, POLLIN | POLLHUP);
	f[0].fd = 99;
	CHECK_EQ(poll(f, 1, -1), 1);
	CHECK_EQ(f[0].revents, POLLNVAL);
	make(p, 0);
	close(p[0]);
	f[0] = (struct pollfd){.fd = p[1], .events = POLLOUT};
	CHECK_EQ(poll(f, 1, -1), 1);
	CHECK_EQ(f[0].revents, POLLOUT | POLLERR);
	CHECK_ERR(syscall(SYS_poll, f, 1u << 30, 0), EINVAL);
	int null = open("/dev/null", O_RDWR);
	f[0] = (struct pollfd){.fd = null, .events = POLLIN | POLLOUT};
	CHECK_EQ(poll(f, 1, -1), 1);
	CHECK_EQ(f[0].revents, POLLIN | POLLOUT);
}

TEST(poll_wakes)
{
	int p[2], q[2];

	make(p, 0), make(q, 0);
	struct pollfd f[2] = {{.fd = p[0], .events = POLLIN}, {.fd = q[0], .events = POLLIN}};
	pid_t me = getpid();
	pid_t pid = test_fork();
	if (pid == 0) {
		test_wait_state(me, 'S');
		_exit(write(q[1], "x", 1) == 1 ? 0 : 1);
	}
	CHECK_EQ(poll(f, 2, 20000), 1);
	CHECK_EQ(f[0].revents, 0);
	CHECK_EQ(f[1].revents, POLLIN);
	CHECK_EXIT(pid, 0);
}

TEST(poll_timeout)
{
	struct timespec a, b;

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &a), 0);
	CHECK_EQ(poll(NULL, 0, 30), 0);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &b), 0);
	CHECK((b.tv_sec - a.tv_sec) * 1000000000l + b.tv_nsec - a.tv_nsec >= 30000000);
}

TEST(ppoll_mask)
{
	sigset_t mask, now;
	struct timespec long_time = {20, 0}, bad = {0, -1};
	struct sigaction act = {.sa_handler = count};

	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &mask, NULL), 0);
	raise(SIGUSR1);
	sigemptyset(&mask);
	CHECK_ERR(ppoll(NULL, 0, &long_time, &mask), EINTR);
	CHECK_EQ(signals, 1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	CHECK_EQ(sigismember(&now, SIGUSR1), 1);
	CHECK_ERR(syscall(SYS_ppoll, NULL, 0, &bad, NULL, 8), EINVAL);
}

TEST(select_sets)
{
	int p[2];
	fd_set in, out;
	struct timeval none = {0, 0}, bad = {-1, 0};

	make(p, 0);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(p[0], &in);
	FD_SET(p[1], &out);
	CHECK_EQ(select(p[1] + 1, &in, &out, NULL, &none), 1);
	CHECK(!FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out));
	CHECK_EQ(write(p[1], "x", 1), 1);
	FD_SET(p[0], &in);
	FD_SET(p[1], &out);
	CHECK_EQ(select(p[1] + 1, &in, &out, NULL, NULL), 2);
	CHECK(FD_ISSET(p[0], &in) && FD_ISSET(p[1], &out));
	FD_ZERO(&in);
	FD_SET(50, &in);
	CHECK_ERR(select(51, &in, NULL, NULL, &none), EBADF);
	CHECK_ERR(syscall(SYS_select, -1, NULL, NULL, NULL, &none), EINVAL);
	CHECK_ERR(syscall(SYS_select, 0, NULL, NULL, NULL, &bad), EINVAL);
	/* Linux writes back what is left of the time. */
	struct timeval timeout = {10, 0};
	FD_ZERO(&in);
	FD_SET(p[0], &in);
	CHECK_EQ(syscall(SYS_select, p[0] + 1, &in, NULL, NULL, &timeout), 1);
	CHECK(timeout.tv_sec == 9 || timeout.tv_sec == 10);
}

TEST(pselect_timeout_and_mask)
{
	struct timespec timeout = {0, 10000000};
	sigset_t mask;

	sigemptyset(&mask);
	CHECK_EQ(pselect(0, NULL, NULL, NULL, &timeout, &mask), 0);
	CHECK_EQ(timeout.tv_nsec, 10000000);
}

TEST(regular_files_are_always_ready)
{
	int fd = memfd_create("x", 0);
	struct pollfd f = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI};

	CHECK_EQ(poll(&f, 1, -1), 1);
	CHECK_EQ(f.revents, POLLIN | POLLOUT);
}

TEST(many_descriptors)
{
	struct pollfd f[300];
	int p[2];

	make(p, 0);
	for (int i = 0; i < 300; i++)
		f[i] = (struct pollfd){.fd = p[0], .events = POLLIN};
	CHECK_EQ(poll(f, 300, 1), 0);
	CHECK_EQ(write(p[1], "x", 1), 1);
	CHECK_EQ(poll(f, 300, -1), 300);
}
