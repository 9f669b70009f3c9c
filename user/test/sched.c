/* sched_*(2), getpriority, setpriority: the errors and the sizes (man 2 sched_setattr, sched_setaffinity). */
#include "user/test/test.h"

#include <sched.h>
#include <sys/resource.h>

#define DEADLINE 6
#define RESET_ON_FORK 0x40000000

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
	uint64_t more[2];
};
#define ATTR_VER0 48
#define ATTR_VER1 56

static long setattr(pid_t pid, struct attr *a, unsigned flags)
{
	return syscall(SYS_sched_setattr, pid, a, flags);
}

static long getattr(pid_t pid, struct attr *a, unsigned size, unsigned flags)
{
	return syscall(SYS_sched_getattr, pid, a, size, flags);
}

static long setscheduler(pid_t pid, int policy, const void *param)
{
	return syscall(SYS_sched_setscheduler, pid, policy, param);
}

TEST(priorities)
{
	static const int none[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, DEADLINE};

	for (int i = 0; i < 4; i++) {
		CHECK_EQ(syscall(SYS_sched_get_priority_max, none[i]), 0);
		CHECK_EQ(syscall(SYS_sched_get_priority_min, none[i]), 0);
	}
	for (int policy = SCHED_FIFO; policy <= SCHED_RR; policy++) {
		CHECK_EQ(syscall(SYS_sched_get_priority_max, policy), 99);
		CHECK_EQ(syscall(SYS_sched_get_priority_min, policy), 1);
	}
	CHECK_ERR(syscall(SYS_sched_get_priority_max, 4), EINVAL);
	CHECK_ERR(syscall(SYS_sched_get_priority_min, -1), EINVAL);
	CHECK_ERR(syscall(SYS_sched_get_priority_min, 99), EINVAL);
}

TEST(setscheduler_errors)
{
	int priority = 0;

	CHECK_ERR(setscheduler(-1, SCHED_OTHER, &priority), EINVAL);
	CHECK_ERR(setscheduler(0, -1, &priority), EINVAL);
	CHECK_ERR(setscheduler(0, 4, &priority), EINVAL);
	CHECK_ERR(setscheduler(0, 77, &priority), EINVAL);
	CHECK_ERR(setscheduler(0, SCHED_OTHER, NULL), EINVAL);
	CHECK_ERR(setscheduler(0, SCHED_OTHER, (void *)16), EFAULT);
	CHECK_ERR(setscheduler(3999999, SCHED_OTHER, &priority), ESRCH);
	CHECK_ERR(setscheduler(0, SCHED_FIFO, &priority), EINVAL);
	CHECK_ERR(setscheduler(0, DEADLINE, &priority), EINVAL);
	priority = 1;
	CHECK_ERR(setscheduler(0, SCHED_OTHER, &priority), EINVAL);
	CHECK_ERR(setscheduler(0, SCHED_IDLE, &priority), EINVAL);
	priority = 100;
	CHECK_ERR(setscheduler(0, SCHED_RR, &priority), EINVAL);
	priority = -1;
	CHECK_ERR(setscheduler(0, SCHED_RR, &priority), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setparam, 0, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setparam, -1, &priority), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setparam, 0, &priority), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getparam, 0, NULL), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getparam, -1, &priority), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getparam, 0, (void *)16), EFAULT);
	CHECK_ERR(syscall(SYS_sched_getparam, 3999999, &priority), ESRCH);
	CHECK_ERR(syscall(SYS_sched_getscheduler, -1), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getscheduler, 3999999), ESRCH);
	struct timespec t;
	CHECK_ERR(syscall(SYS_sched_rr_get_interval, -1, &t), EINVAL);
	CHECK_ERR(syscall(SYS_sched_rr_get_interval, 3999999, &t), ESRCH);
	CHECK_ERR(syscall(SYS_sched_rr_get_interval, 0, (void *)16), EFAULT);
	CHECK_EQ(syscall(SYS_sched_rr_get_interval, 0, &t), 0);
}

TEST(reset_on_fork)
{
	int priority = 0;

	CHECK_EQ(setscheduler(0, SCHED_BATCH | RESET_ON_FORK, &priority), 0);
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_BATCH | RESET_ON_FORK);
	struct attr a;
	CHECK_EQ(getattr(0, &a, sizeof(a), 0), 0);
	CHECK_EQ(a.flags, 1);
	CHECK_EQ(a.policy, SCHED_BATCH);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit((int)syscall(SYS_sched_getscheduler, 0)); /* and so not set any more */
	CHECK_EXIT(pid, SCHED_BATCH);
}

TEST(realtime)
{
	int priority = 7, got = 0;

	test_needs_root();
	CHECK_EQ(setscheduler(0, SCHED_FIFO, &priority), 0);
	CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_FIFO);
	CHECK_EQ(syscall(SYS_sched_getparam, 0, &got), 0);
	CHECK_EQ(got, 7);
	struct timespec t = {5, 5};
	CHECK_EQ(syscall(SYS_sched_rr_get_interval, 0, &t), 0);
	CHECK(t.tv_sec == 0 && t.tv_nsec == 0);
	priority = 9;
	CHECK_EQ(syscall(SYS_sched_setparam, 0, &priority), 0);
	CHECK_EQ(setscheduler(0, SCHED_RR, &priority), 0);
	CHECK_EQ(syscall(SYS_sched_rr_get_interval, 0, &t), 0);
	CHECK(t.tv_sec == 0 && t.tv_nsec > 0);
	struct attr a;
	CHECK_EQ(getattr(0, &a, sizeof(a), 0), 0);
	CHECK(a.policy == SCHED_RR && a.priority == 9 && a.nice == 0 && a.size == ATTR_VER1);
	priority = 0;
	CHECK_EQ(setscheduler(0, SCHED_OTHER, &priority), 0);
}

TEST(unprivileged)
{
	int priority = 1;

	test_needs_root();
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 5), 0);
	CHECK_EQ(setuid(test_lone_user()), 0);
	CHECK_ERR(setscheduler(0, SCHED_FIFO, &priority), EPERM);
	CHECK_ERR(setscheduler(1, SCHED_OTHER, &(int){0}), EPERM);
	CHECK_ERR(setpriority(PRIO_PROCESS, 0, 4), EACCES);
	CHECK_ERR(setpriority(PRIO_PROCESS, 1, 6), EPERM);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 6), 0);
	struct attr a = {.size = ATTR_VER0, .policy = SCHED_OTHER, .nice = 2};
	CHECK_ERR(setattr(0, &a, 0), EPERM);
	a.nice = 7;
	CHECK_EQ(setattr(0, &a, 0), 0);
	a = (struct attr){.size = ATTR_VER0, .policy = DEADLINE, .runtime = 1000000, .deadline = 10000000};
	CHECK_ERR(setattr(0, &a, 0), EPERM);
	priority = 0;
	CHECK_EQ(setscheduler(0, SCHED_IDLE, &priority), 0);
	CHECK_ERR(setscheduler(0, SCHED_OTHER, &priority), EPERM);
	CHECK_EQ(setscheduler(0, SCHED_IDLE | RESET_ON_FORK, &priority), 0);
	CHECK_ERR(setscheduler(0, SCHED_IDLE, &priority), EPERM);
	cpu_set_t all;
	CHECK_EQ(sched_getaffinity(1, sizeof(all), &all), 0);
	CHECK_ERR(sched_setaffinity(1, sizeof(all), &all), EPERM);
}

/* Who has used up its time goes on when the next period begins, also if nobody else wants the CPU meanwhile. */
TEST(short_deadline_periods)
{
	struct attr a = {.size = ATTR_VER0,
			 .policy = DEADLINE,
			 .runtime = 300000,
			 .deadline = 1000000,
			 .period = 1000000};
	double best = 0;

	if (setattr(0, &a, 0) != 0)
		SKIP("no bandwidth for SCHED_DEADLINE here");
	for (int attempt = 0; attempt < 40 && best < 0.2; attempt++) { /* the host may take its time now and then */
		struct timespec from, now, used_from, used;
		long ns;
		clock_gettime(CLOCK_MONOTONIC, &from);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used_from);
		do {
			clock_gettime(CLOCK_MONOTONIC, &now);
			ns = (now.tv_sec - from.tv_sec) * 1000000000 + now.tv_nsec - from.tv_nsec;
		} while (ns < 20000000);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
		double share = ((double)(used.tv_sec - used_from.tv_sec) * 1e9 +
				(double)(used.tv_nsec - used_from.tv_nsec)) /
			(double)ns;
		best = share > best ? share : best;
	}
	CHECK(best >= 0.2);
}

TEST(limits_allow)
{
	struct rlimit four = {4, 4}, nice_limit = {25, 25};
	int priority = 4;

	test_needs_root();
	if (setrlimit(RLIMIT_RTPRIO, &four) != 0 && errno == EPERM)
		SKIP("needs CAP_SYS_RESOURCE");
	CHECK_EQ(setrlimit(RLIMIT_NICE, &nice_limit), 0);
	CHECK_EQ(setuid(test_lone_user()), 0);
	CHECK_EQ(setscheduler(0, SCHED_FIFO, &priority), 0);
	priority = 5;
	CHECK_ERR(setscheduler(0, SCHED_FIFO, &priority), EPERM);
	priority = 3;
	CHECK_EQ(setscheduler(0, SCHED_RR, &priority), 0);
	priority = 0;
	CHECK_EQ(setscheduler(0, SCHED_OTHER, &priority), 0);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, -5), 0);
	CHECK_ERR(setpriority(PRIO_PROCESS, 0, -6), EACCES);
}

TEST(attr_sizes)
{
	struct attr a = {.size = 0, .policy = SCHED_OTHER};

	CHECK_EQ(setattr(0, &a, 0), 0);
	a.size = ATTR_VER0;
	CHECK_EQ(setattr(0, &a, 0), 0);
	a.size = ATTR_VER1;
	CHECK_EQ(setattr(0, &a, 0), 0);
	a.size = sizeof(a);
	CHECK_EQ(setattr(0, &a, 0), 0);
	a.more[1] = 1;
	CHECK_ERR(setattr(0, &a, 0), E2BIG);
	CHECK_EQ(a.size, ATTR_VER1);
	a.more[1] = 0;
	a.size = ATTR_VER0 - 1;
	CHECK_ERR(setattr(0, &a, 0), E2BIG);
	CHECK_EQ(a.size, ATTR_VER1);
	a.size = 5000;
	CHECK_ERR(setattr(0, &a, 0), E2BIG);
	a.size = ATTR_VER1;
	CHECK_ERR(setattr(0, &a, 1), EINVAL);
	CHECK_ERR(setattr(-1, &a, 0), EINVAL);
	CHECK_ERR(setattr(0, NULL, 0), EINVAL);
	CHECK_ERR(setattr(0, (struct attr *)16, 0), EFAULT);
	CHECK_ERR(setattr(3999999, &a, 0), ESRCH);
	a.policy = 4;
	CHECK_ERR(setattr(0, &a, 0), EINVAL);
	a.policy = -1u;
	CHECK_ERR(setattr(0, &a, 0), EINVAL);
	a.policy = SCHED_OTHER;
	a.flags = 1ull << 40;
	CHECK_ERR(setattr(0, &a, 0), EINVAL);
	a.flags = 0x20; /* utilisation clamp: not in the first version */
	a.size = ATTR_VER0;
	CHECK_ERR(setattr(0, &a, 0), EINVAL);

	CHECK_ERR(getattr(0, &a, ATTR_VER0 - 1, 0), EINVAL);
	CHECK_ERR(getattr(0, &a, 5000, 0), EINVAL);
	CHECK_ERR(getattr(0, &a, ATTR_VER0, 1), EINVAL);
	CHECK_ERR(getattr(-1, &a, ATTR_VER0, 0), EINVAL);
	CHECK_ERR(getattr(0, NULL, ATTR_VER0, 0), EINVAL);
	CHECK_ERR(getattr(3999999, &a, ATTR_VER0, 0), ESRCH);
	CHECK_EQ(getattr(0, &a, ATTR_VER0, 0), 0);
	CHECK_EQ(a.size, ATTR_VER0);
	CHECK_EQ(getattr(0, &a, sizeof(a), 0), 0);
	CHECK_EQ(a.size, ATTR_VER1);
}

TEST(attr_values)
{
	struct attr a = {.size = ATTR_VER1, .policy = SCHED_BATCH, .nice = 100};

	CHECK_EQ(setattr(0, &a, 0), 0);
	CHECK_EQ(getattr(0, &a, sizeof(a), 0), 0);
	CHECK(a.policy == SCHED_BATCH && a.nice == 19 && a.priority == 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	/* Keep the policy, and the parameters. */
	a = (struct attr){.size = ATTR_VER1, .policy = 77, .flags = 0x08 | 0x10, .nice = 3};
	CHECK_EQ(setattr(0, &a, 0), 0);
	CHECK_EQ(getattr(0, &a, sizeof(a), 0), 0);
	CHECK(a.policy == SCHED_BATCH && a.nice == 19);
	/* A deadline that cannot be. */
	a = (struct attr){.size = ATTR_VER1, .policy = DEADLINE, .runtime = 2000000, .deadline = 1000000};
	CHECK_ERR(setattr(0, &a, 0), EINVAL);
	a = (struct attr){.size = ATTR_VER1, .policy = DEADLINE, .runtime = 100, .deadline = 1000000};
	CHECK_ERR(setattr(0, &a, 0), EINVAL);
	a = (struct attr){.size = ATTR_VER1,
			  .policy = DEADLINE,
			  .runtime = 1000000,
			  .deadline = 5000000,
			  .period = 4000000};
	CHECK_ERR(setattr(0, &a, 0), EINVAL);
	a = (struct attr){.size = ATTR_VER1, .policy = DEADLINE};
	CHECK_ERR(setattr(0, &a, 0), EINVAL);
}

TEST(affinity)
{
	unsigned long mask[32] = {0}, all[32] = {0};

	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 0, mask), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 4, mask), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 12, mask), EINVAL);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 0, 128, (void *)16), EFAULT);
	CHECK_ERR(syscall(SYS_sched_getaffinity, 3999999, 128, mask), ESRCH);
	long n = syscall(SYS_sched_getaffinity, 0, sizeof(all), all);
	CHECK(n >= 8 && n % 8 == 0);
	CHECK(all[0] != 0);
	CHECK_ERR(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setaffinity, 0, 0, all), EINVAL);
	CHECK_ERR(syscall(SYS_sched_setaffinity, 0, sizeof(mask), (void *)16), EFAULT);
	CHECK_ERR(syscall(SYS_sched_setaffinity, 3999999, sizeof(all), all), ESRCH);
	mask[0] = 1ul << 63; /* no machine of ours has that many */
	CHECK_ERR(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), EINVAL);
	mask[0] |= all[0] & -all[0];
	CHECK_EQ(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), 0);
	memset(mask, 0xff, sizeof(mask));
	CHECK(syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask) == n);
	CHECK_EQ(mask[0], all[0] & -all[0]);
	CHECK_EQ(syscall(SYS_sched_setaffinity, 0, 1, all), 0); /* a mask shorter than a word */
	pid_t pid = test_fork();
	if (pid == 0) { /* inherited */
		CHECK_EQ(syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask), n);
		_exit(mask[0] == (all[0] & 0xff) ? 6 : 1);
	}
	CHECK_EXIT(pid, 6);
}

TEST(nice_values)
{
	CHECK_ERR(getpriority(3, 0), EINVAL);
	CHECK_ERR(getpriority(-1, 0), EINVAL);
	CHECK_ERR(setpriority(3, 0, 0), EINVAL);
	CHECK_ERR(getpriority(PRIO_PROCESS, 3999999), ESRCH);
	CHECK_ERR(setpriority(PRIO_PROCESS, 3999999, 0), ESRCH);
	CHECK_ERR(getpriority(PRIO_PGRP, 3999999), ESRCH);
	CHECK_ERR(getpriority(PRIO_USER, 3999999), ESRCH);
	CHECK_EQ(setpriority(PRIO_PROCESS, 0, 100), 0);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 1);
}

/* The lines about a thread's scheduling that programs read. */
TEST(proc_files)
{
	static char text[8192];
	unsigned long long ran, waited, slices;

	CHECK(test_read_file("/proc/self/status", text, sizeof(text)) > 0);
	CHECK(strstr(text, "\nCpus_allowed:\t") && strstr(text, "\nCpus_allowed_list:\t"));
	CHECK(strstr(text, "\nvoluntary_ctxt_switches:\t") && strstr(text, "\nnonvoluntary_ctxt_switches:\t"));
	CHECK(test_read_file("/proc/self/schedstat", text, sizeof(text)) > 0);
	CHECK_EQ(sscanf(text, "%llu %llu %llu", &ran, &waited, &slices), 3);
	snprintf(text, sizeof(text), "/proc/self/task/%d/schedstat", getpid());
	CHECK(test_read_file(text, text, sizeof(text)) > 0);
	if (test_read_file("/proc/schedstat", text, sizeof(text)) > 0) /* Linux may be built without */
		CHECK(strncmp(text, "version ", 8) == 0 && strstr(text, "\ncpu0 ") && strstr(text, "\ntimestamp "));
	static const char *const numbers[] = {"pid_max", "threads-max", "sched_rt_runtime_us", "sched_rt_period_us"};
	for (int i = 0; i < 4; i++) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/sys/kernel/%s", numbers[i]);
		CHECK(test_read_file(path, text, sizeof(text)) > 0);
		CHECK(atol(text) > 0);
	}
}

/* man 7 sched: a session is an autogroup; children inherit it; nice values go to the whole of it. */
static void autogroup(const char *of, int *id, int *nice)
{
	char path[64], text[64] = "";

	snprintf(path, sizeof(path), "/proc/%s/autogroup", of);
	int fd = open(path, O_RDONLY);
	if (fd < 0 && errno == ENOENT)
		SKIP("no autogroups here");
	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	CHECK_EQ(sscanf(text, "/autogroup-%d nice %d\n", id, nice), 2);
}

static ssize_t autogroup_store(const char *text)
{
	int fd = open("/proc/self/autogroup", O_WRONLY);

	CHECK(fd >= 0);
	ssize_t put = write(fd, text, strlen(text));
	int error = errno;
	close(fd);
	errno = error;
	return put;
}

TEST(autogroup)
{
	int id, nice, other, other_nice;

	pid_t pid = test_fork();
	if (pid == 0) {
		CHECK(setsid() == getpid());
		autogroup("self", &id, &nice);
		CHECK_EQ(nice, 0);
		pid_t child = test_fork();
		if (child == 0) {
			autogroup("self", &other, &other_nice);
			CHECK_EQ(other, id);
			CHECK_EQ(autogroup_store("7\n"), 2);
			CHECK(setsid() == getpid());
			autogroup("self", &other, &other_nice);
			CHECK(other > id);
			CHECK_EQ(other_nice, 0);
			_exit(0);
		}
		CHECK_EXIT(child, 0);
		autogroup("self", &other, &other_nice);
		CHECK_EQ(other, id);
		CHECK_EQ(other_nice, 7);
		CHECK_ERR(autogroup_store("20"), EINVAL);
		CHECK_ERR(autogroup_store("-21"), EINVAL);
		CHECK_ERR(autogroup_store("x"), EINVAL);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
}
