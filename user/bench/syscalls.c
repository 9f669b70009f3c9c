/*
 * What the common system calls cost.  Runs on any Linux and on Ashlar, as a program or as PID 1; prints one line a row:
 *
 *     bench ROW CYCLES NANOSECONDS
 *
 * both for one operation.  Under QEMU's -icount shift=0 a cycle is a guest instruction, kernel and program together.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/bench/bench.h"

#define PAGE 4096

static const char *self;
static int zero_fd;
static int ping[2], pong[2];
static volatile char *arena; /* the order of reads and writes is what is measured */
static volatile sig_atomic_t signals;

static void row_getppid(unsigned n)
{
	pid_t parent = getppid();

	while (n--)
		must(syscall(SYS_getppid) == parent, "getppid");
}

/* By the vDSO on both systems: what a program pays that asks for the time. */
static void row_clock_gettime(unsigned n)
{
	struct timespec t;

	while (n--)
		must(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "clock_gettime");
}

static void row_read_zero(unsigned n)
{
	char byte;

	while (n--) {
		byte = 1;
		must(read(zero_fd, &byte, 1) == 1 && byte == 0, "read");
	}
}

static void row_open_close(unsigned n)
{
	while (n--) {
		int fd = open("/dev/zero", O_RDONLY);

		must(fd >= 0, "open");
		must(close(fd) == 0, "close");
	}
}

static void row_stat(unsigned n)
{
	struct stat st;

	while (n--)
		must(stat("/dev/zero", &st) == 0 && st.st_rdev == makedev(1, 5), "stat");
}

static void row_mmap_munmap(unsigned n)
{
	while (n--) {
		void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(p != MAP_FAILED, "mmap");
		must(munmap(p, PAGE) == 0, "munmap");
	}
}

static void row_page_fault(unsigned n)
{
	size_t len = (size_t)n * PAGE;

	arena = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(arena != MAP_FAILED, "mmap");
	/* One fault a page, not a huge page for all. */
	madvise((void *)arena, len, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < len; at += PAGE) {
		/* The write comes first: a read would fault in the zero page, and the write then a second time. */
		arena[at] = 1;
		must(arena[at + PAGE / 2] == 0, "fresh page");
	}
	must(munmap((void *)arena, len) == 0, "munmap");
}

static void row_fork_exit_wait(unsigned n)
{
	while (n--) {
		pid_t child = fork();

		must(child >= 0, "fork");
		if (child == 0)
			_exit(0);
		int status;

		must(waitpid(child, &status, 0) == child && status == 0, "waitpid");
	}
}

static void row_fork_exec_wait(unsigned n)
{
	while (n--) {
		pid_t child = fork();

		must(child >= 0, "fork");
		if (child == 0) {
			execl(self, self, "exit", NULL);
			_exit(127);
		}
		int status;

		must(waitpid(child, &status, 0) == child && status == 0, "exec");
	}
}

static void row_pipe_ping_pong(unsigned n)
{
	char byte = 0;

	must(pipe(ping) == 0 && pipe(pong) == 0, "pipe");
	pid_t child = fork();

	must(child >= 0, "fork");
	if (child == 0) {
		close(ping[1]);
		while (read(ping[0], &byte, 1) == 1)
			if (write(pong[1], &byte, 1) != 1)
				break;
		_exit(0);
	}
	close(ping[0]);
	while (n--)
		must(write(ping[1], &byte, 1) == 1 && read(pong[0], &byte, 1) == 1, "ping");
	close(ping[1]);
	waitpid(child, NULL, 0);
	close(pong[0]);
	close(pong[1]);
}

static void on_signal(int signo)
{
	(void)signo;
	signals = signals + 1;
}

static void row_signal(unsigned n)
{
	struct sigaction action = {.sa_handler = on_signal};
	pid_t me = getpid();
	unsigned wanted = (unsigned)signals + n;

	must(sigaction(SIGUSR1, &action, NULL) == 0, "sigaction");
	while (n--)
		must(kill(me, SIGUSR1) == 0, "kill");
	must((unsigned)signals == wanted, "signal count");
}

static const struct row {
	const char *name;
	void (*run)(unsigned n);
	unsigned count;
} rows[] = {
	{"getppid", row_getppid, 20000},
	{"read-zero", row_read_zero, 20000},
	{"open-close", row_open_close, 5000},
	{"stat", row_stat, 5000},
	{"mmap-munmap", row_mmap_munmap, 5000},
	{"page-fault", row_page_fault, 4000},
	{"fork-exit-wait", row_fork_exit_wait, 300},
	{"fork-exec-wait", row_fork_exec_wait, 200},
	{"pipe-ping-pong", row_pipe_ping_pong, 3000},
	{"signal", row_signal, 5000},
	{"clock-gettime", row_clock_gettime, 20000},
};

static void open_zero(void)
{
	if (getpid() == 1 && access("/dev/zero", F_OK) != 0) {
		mkdir("/dev", 0755);
		if (mount("dev", "/dev", "devtmpfs", 0, NULL) != 0)
			mknod("/dev/zero", S_IFCHR | 0666, makedev(1, 5));
	}
	zero_fd = open("/dev/zero", O_RDONLY);
	must(zero_fd >= 0, "/dev/zero");
}

int main(int argc, char **argv)
{
	self = getpid() == 1 ? "/init" : argv[0];
	/* exec's target.  PID 1 is given the kernel's unknown words as arguments, so only a child takes this one. */
	if (argc == 2 && strcmp(argv[1], "exit") == 0)
		return 0;
	setvbuf(stdout, NULL, _IONBF, 0);
	open_zero();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Once to warm up: caches of the kernel, and pages this program touches for the first time. */
		rows[i].run(rows[i].count / 10);
		uint64_t from_ns = now_ns(), from = cycles();

		rows[i].run(rows[i].count);
		uint64_t used = cycles() - from, used_ns = now_ns() - from_ns;

		printf("bench %s %llu %llu\n", rows[i].name, (unsigned long long)(used / rows[i].count),
		       (unsigned long long)(used_ns / rows[i].count));
	}
	printf("bench end\n");
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
