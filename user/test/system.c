/* Identity, limits, time, and what the system says about itself (man 2 setuid, getrlimit, prctl, capget, uname,
 * clock_gettime …). */
#include "user/test/test.h"

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>

TEST(unknown_calls)
{
	CHECK_ERR(syscall(5000), ENOSYS);
	CHECK_ERR(syscall(-5), ENOSYS);
	CHECK_ERR(syscall(1 << 30), ENOSYS);
	CHECK_ERR(syscall(0x40000000 + SYS_getpid + 5000), ENOSYS);
	CHECK_ERR(syscall(400), ENOSYS);
	CHECK_EQ(syscall(SYS_getpid), getpid()); /* and the machine goes on */
}

TEST(system_call_keeps_registers)
{
	unsigned long wrong;

	__asm__ volatile("mov %[d], %%rdi\n\tmov $0x22, %%rsi\n\tmov $0x33, %%rdx\n\tmov $0x44, %%r10\n\tmov $0x55, "
			 "%%r8\n\tmov $0x66, %%r9\n\t"
			 "mov $0x77, %%rbx\n\tmov $0x88, %%r12\n\tmov $0x99, %%r13\n\tmov $0xaa, %%r14\n\tmov $0xbb, "
			 "%%r15\n\t"
			 "mov $39, %%eax\n\tsyscall\n\t"
			 "xor %%eax, %%eax\n\t"
			 "xor $0x11, %%rdi\n\tor %%rdi, %%rax\n\txor $0x22, %%rsi\n\tor %%rsi, %%rax\n\txor $0x33, "
			 "%%rdx\n\tor %%rdx, %%rax\n\t"
			 "xor $0x44, %%r10\n\tor %%r10, %%rax\n\txor $0x55, %%r8\n\tor %%r8, %%rax\n\txor $0x66, "
			 "%%r9\n\tor %%r9, %%rax\n\t"
			 "xor $0x77, %%rbx\n\tor %%rbx, %%rax\n\txor $0x88, %%r12\n\tor %%r12, %%rax\n\txor $0x99, "
			 "%%r13\n\tor %%r13, %%rax\n\t"
			 "xor $0xaa, %%r14\n\tor %%r14, %%rax\n\txor $0xbb, %%r15\n\tor %%r15, %%rax\n\t"
			 : "=a"(wrong)
			 : [d] "i"(0x11)
			 : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
			   "memory", "cc");
	CHECK_EQ(wrong, 0);
}

TEST(flags_over_a_system_call)
{
	unsigned long flags;

	/* The direction flag stays the program's; the kernel runs with its own. */
	__asm__ volatile("std\n\tmov $39, %%eax\n\tsyscall\n\tpushfq\n\tpopq %0\n\tcld"
			 : "=r"(flags)
			 :
			 : "rax", "rcx", "r11", "memory", "cc");
	CHECK_EQ(flags & 0x400, 0x400);
	char where[200];
	__asm__ volatile("std" : : : "cc");
	long n = syscall(SYS_getcwd, where, sizeof(where));
	__asm__ volatile("cld" : : : "cc");
	CHECK(n > 1 && where[n - 1] == 0);
}

TEST(uname_fields)
{
	struct utsname u;

	CHECK_EQ(uname(&u), 0);
	CHECK_EQ(strcmp(u.machine, "x86_64"), 0);
	CHECK(u.sysname[0] && u.release[0] && u.version[0] && u.nodename[0]);
	CHECK(atoi(u.release) >= 4); /* programs compare it with the Linux they need */
}

TEST(clocks)
{
	struct timespec a, b, r;
	struct timeval tv;
	static const clockid_t ids[] = {CLOCK_REALTIME,		  CLOCK_MONOTONIC,	  CLOCK_MONOTONIC_RAW,
					CLOCK_BOOTTIME,		  CLOCK_REALTIME_COARSE,  CLOCK_MONOTONIC_COARSE,
					CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		CHECK_EQ(clock_gettime(ids[i], &a), 0);
		CHECK(a.tv_nsec >= 0 && a.tv_nsec < 1000000000);
		for (int k = 0; k < 200; k++) {
			CHECK_EQ(clock_gettime(ids[i], &b), 0);
			if (b.tv_sec < a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec < a.tv_nsec))
				FAIL("clock %zu ran backwards", i);
			a = b;
		}
		CHECK_EQ(clock_getres(ids[i], &r), 0);
		CHECK(r.tv_sec == 0 && r.tv_nsec > 0);
	}
	CHECK_ERR(syscall(SYS_clock_gettime, 77, &a), EINVAL);
	CHECK_EQ(gettimeofday(&tv, NULL), 0);
	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &a), 0);
	CHECK(a.tv_sec - tv.tv_sec <= 1);
	CHECK(time(NULL) - tv.tv_sec <= 1);
	CHECK(tv.tv_sec > 1600000000);
}

TEST(sleeping)
{
	struct timespec before, after, nap = {0, 15000000}, bad = {0, 1000000000};

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	CHECK_EQ(nanosleep(&nap, NULL), 0);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &after), 0);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000l + after.tv_nsec - before.tv_nsec >= 15000000);
	after.tv_nsec += 15000000;
	if (after.tv_nsec >= 1000000000)
		after.tv_sec++, after.tv_nsec -= 1000000000;
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &after, NULL), 0);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &before), 0);
	CHECK(before.tv_sec > after.tv_sec || (before.tv_sec == after.tv_sec && before.tv_nsec >= after.tv_nsec));
	CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){0, 1}, NULL), 0); /* long past */
	CHECK_ERR(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
	bad = (struct timespec){-1, 0};
	CHECK_ERR(syscall(SYS_nanosleep, &bad, NULL), EINVAL);
}

TEST(cpu_time_is_counted)
{
	struct rusage usage;
	struct tms t;
	struct timespec used;

	do
		CHECK_EQ(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
	while (used.tv_nsec < 50000000 && used.tv_sec == 0);
	CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
	CHECK(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 20000);
	CHECK(times(&t) != (clock_t)-1);
	CHECK(t.tms_utime + t.tms_stime >= 2);
	CHECK_ERR(getrusage((__typeof__(RUSAGE_SELF))5, &usage), EINVAL);
	pid_t pid = test_fork();
	if (pid == 0) {
		do
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
		while (used.tv_nsec < 30000000 && used.tv_sec == 0);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(getrusage(RUSAGE_CHILDREN, &usage), 0);
	CHECK(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec > 10000);
}

TEST(limits)
{
	struct rlimit a, b;

	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &a), 0);
	CHECK(a.rlim_cur <= a.rlim_max && a.rlim_cur >= 64);
	b = a;
	b.rlim_cur = 64;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &b), 0);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &a), 0);
	CHECK_EQ(a.rlim_cur, 64);
	b.rlim_cur = 100, b.rlim_max = 50;
	CHECK_ERR(setrlimit(RLIMIT_NOFILE, &b), EINVAL);
	CHECK_ERR(getrlimit((__typeof__(RLIMIT_NOFILE))99, &a), EINVAL);
	/* A child starts with its parent's. */
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(getrlimit(RLIMIT_NOFILE, &a) == 0 && a.rlim_cur == 64 ? 0 : 1);
	CHECK_EXIT(pid, 0);
	struct rlimit other = {70, 80};
	CHECK_EQ(prlimit(0, RLIMIT_NOFILE, &other, &a), 0);
	CHECK_EQ(a.rlim_cur, 64);
	CHECK_ERR(prlimit(0x3ffffff, RLIMIT_NOFILE, NULL, &a), ESRCH);
	if (geteuid() == 0) {
		CHECK_EQ(setuid(54321), 0);
		other = (struct rlimit){70, 81};
		CHECK_ERR(setrlimit(RLIMIT_NOFILE, &other), EPERM);
	}
}

TEST(process_limit)
{
	struct rlimit limit = {8, 8};
	int made = 0;

	test_needs_root();
	CHECK_EQ(setuid(test_lone_user()), 0); /* counts per user, and not for root */
	CHECK_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
	for (;;) {
		pid_t pid = fork();
		if (pid == 0) {
			for (;;)
				pause();
		}
		if (pid < 0)
			break;
		made++;
	}
	int err = errno;
	CHECK_EQ(err, EAGAIN);
	CHECK_EQ(made, 7);
}

TEST(user_ids)
{
	uid_t r, e, s;

	test_needs_root();
	CHECK_EQ(setresuid(1000, 2000, 3000), 0);
	CHECK_EQ(getresuid(&r, &e, &s), 0);
	CHECK(r == 1000 && e == 2000 && s == 3000);
	CHECK_EQ(getuid(), 1000);
	CHECK_EQ(geteuid(), 2000);
	CHECK_ERR(setuid(0), EPERM);
	CHECK_ERR(setresuid(-1, 4000, -1), EPERM);
	CHECK_EQ(seteuid(3000), 0);
	CHECK_EQ(setreuid(3000, 1000), 0);
	CHECK_EQ(getresuid(&r, &e, &s), 0);
	CHECK(r == 3000 && e == 1000 && s == 1000);
	CHECK_ERR(setgid(5), EPERM);
	gid_t g = 5;
	CHECK_ERR(setgroups(1, &g), EPERM);
}

TEST(group_ids)
{
	gid_t groups[40], r, e, s;

	test_needs_root();
	for (int i = 0; i < 40; i++)
		groups[i] = (gid_t)(1000 + i);
	CHECK_EQ(setgroups(40, groups), 0);
	CHECK_EQ(getgroups(0, NULL), 40);
	memset(groups, 0, sizeof(groups));
	CHECK_ERR(getgroups(39, groups), EINVAL);
	CHECK_EQ(getgroups(40, groups), 40);
	CHECK_EQ(groups[39], 1039);
	CHECK_EQ(setresgid(1, 2, 3), 0);
	CHECK_EQ(getresgid(&r, &e, &s), 0);
	CHECK(r == 1 && e == 2 && s == 3);
	CHECK_EQ(setgid(9), 0);
	CHECK_EQ(getresgid(&r, &e, &s), 0);
	CHECK(r == 9 && e == 9 && s == 9);
}

struct cap_header {
	uint32_t version;
	int pid;
};
struct cap_data {
	uint32_t effective, permitted, inheritable;
};

TEST(capabilities)
{
	struct cap_header h = {0x20080522, 0};
	struct cap_data d[2];

	test_needs_root();
	CHECK_EQ(syscall(SYS_capget, &h, d), 0);
	CHECK(d[0].effective & 1);
	CHECK_EQ(setuid(54321), 0);
	CHECK_EQ(syscall(SYS_capget, &h, d), 0);
	CHECK_EQ(d[0].effective, 0);
	CHECK_EQ(d[0].permitted, 0);
	d[0].effective = 1;
	CHECK_ERR(syscall(SYS_capset, &h, d), EPERM);
	h.version = 5;
	CHECK_ERR(syscall(SYS_capget, &h, d), EINVAL);
	CHECK_EQ(h.version, 0x20080522); /* the preferred one is told */
}

TEST(process_name)
{
	char name[17] = "", text[64];

	CHECK_EQ(prctl(PR_SET_NAME, "a name that is too long"), 0);
	CHECK_EQ(prctl(PR_GET_NAME, name), 0);
	CHECK_EQ(strcmp(name, "a name that is "), 0);
	CHECK_EQ(test_read_file("/proc/self/comm", text, sizeof(text)), 16);
	CHECK_ERR(prctl(123456), EINVAL);
	CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 1);
}

TEST(thread_pointers)
{
	unsigned long fs = 0, gs = 0;

	CHECK_EQ(syscall(SYS_arch_prctl, 0x1003, &fs), 0); /* ARCH_GET_FS */
	CHECK(fs != 0);
	CHECK_EQ(syscall(SYS_arch_prctl, 0x1001, 0x12345678000), 0); /* ARCH_SET_GS */
	syscall(SYS_sched_yield);
	CHECK_EQ(syscall(SYS_arch_prctl, 0x1004, &gs), 0);
	CHECK_EQ(gs, 0x12345678000);
	CHECK_ERR(syscall(SYS_arch_prctl, 0x1001, 0xffff800000000000), EPERM);
	CHECK_ERR(syscall(SYS_arch_prctl, 0x9999, 0), EINVAL);
}

TEST(priorities)
{
	int start = getpriority(PRIO_PROCESS, 0); /* inherited: 0 unless somebody ran the tests by nice(1) */

	CHECK(start >= 0 && start < 15);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, start + 4), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), start + 4);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 100), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_ERR(getpriority((__typeof__(PRIO_PROCESS))9, 0), EINVAL);
	CHECK_ERR(setpriority(PRIO_PROCESS, 0x3ffffff, 0), ESRCH);
	if (geteuid() == 0)
		CHECK_EQ(setuid(54321), 0);
	CHECK_ERR(setpriority(PRIO_PROCESS, 0, -5), EACCES);
}

TEST(scheduling_calls)
{
	cpu_set_t set;

	CHECK_EQ(sched_yield(), 0);
	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	CHECK(CPU_COUNT(&set) >= 1);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
	CPU_ZERO(&set);
	CHECK_ERR(sched_setaffinity(0, sizeof(set), &set), EINVAL);
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
	CHECK_EQ(syscall(SYS_sched_get_priority_max, SCHED_FIFO), 99);
	CHECK_EQ(syscall(SYS_sched_get_priority_min, SCHED_OTHER), 0);
	CHECK_ERR(syscall(SYS_sched_get_priority_max, 77), EINVAL);
	unsigned cpu = 99;
	CHECK_EQ(syscall(SYS_getcpu, &cpu, NULL, NULL), 0);
	CHECK(cpu < 4096);
}

TEST(sysinfo_fields)
{
	struct sysinfo s;

	CHECK_EQ(sysinfo(&s), 0);
	CHECK(s.totalram > 0 && s.freeram <= s.totalram && s.procs > 0 && s.mem_unit > 0);
}

TEST(random_bytes)
{
	unsigned char a[32] = {0}, b[32] = {0};

	CHECK_EQ(syscall(SYS_getrandom, a, 32, 0), 32);
	CHECK_EQ(syscall(SYS_getrandom, b, 32, 1), 32);
	CHECK(memcmp(a, b, 32) != 0);
	CHECK_ERR(syscall(SYS_getrandom, a, 32, 0x80), EINVAL);
}

TEST(process_files)
{
	static char text[16384];
	static const char *const system[] = {"/proc/meminfo",
					     "/proc/stat",
					     "/proc/uptime",
					     "/proc/loadavg",
					     "/proc/mounts",
					     "/proc/cpuinfo",
					     "/proc/version",
					     "/proc/cmdline",
					     "/proc/filesystems",
					     "/proc/self/stat",
					     "/proc/self/status",
					     "/proc/self/cmdline",
					     "/proc/self/maps",
					     "/proc/self/comm",
					     "/proc/self/statm",
					     "/proc/self/limits",
					     "/proc/self/mountinfo",
					     "/proc/sys/kernel/hostname",
					     "/proc/sys/kernel/osrelease"};

	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (test_read_file(system[i], text, sizeof(text)) <= 0)
			FAIL("%s: %s", system[i], strerror(errno));
	CHECK(test_read_file("/proc/meminfo", text, sizeof(text)) > 0);
	CHECK(strstr(text, "MemTotal:") && strstr(text, "MemFree:") && strstr(text, "MemAvailable:"));
	char link[PATH_MAX], here[PATH_MAX];
	ssize_t n = readlink("/proc/self/cwd", link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = 0;
	CHECK(getcwd(here, sizeof(here)));
	CHECK_EQ(strcmp(link, here), 0);
	CHECK_EQ(readlink("/proc/self/root", link, sizeof(link)), 1);
	n = readlink("/proc/self", link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = 0;
	CHECK_EQ(atoi(link), getpid());
	CHECK_ERR(open("/proc/self/nothing", O_RDONLY), ENOENT);
	CHECK_ERR(open("/proc/3999999", O_RDONLY), ENOENT);
	CHECK(open("/proc/new", O_WRONLY | O_CREAT, 0600) < 0);
	int p[2];
	CHECK_EQ(pipe(p), 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", p[0]);
	n = readlink(link, here, sizeof(here) - 1);
	CHECK(n > 6 && memcmp(here, "pipe:[", 6) == 0);
	CHECK_EQ(dup2(0, 45), 45);
	CHECK(test_read_file("/proc/self/status", text, sizeof(text)) > 0);
	CHECK(strstr(text, "Name:\tsystem\n") && strstr(text, "\nPid:\t") && strstr(text, "\nVmRSS:\t") &&
	      strstr(text, "\nSigCgt:\t"));
}
