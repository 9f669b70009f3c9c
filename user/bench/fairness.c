/*
 * Who gets how much of one CPU, and how soon.  Runs on any Linux and on Ashlar, as root, as a program or as PID 1;
 * prints
 *
 *     fair ROW MEMBER MICROSECONDS DUE        CPU time of one that computes, and what is its due by weight or budget
 *     wake ROW WORST MEAN                     nanoseconds from when a sleeper was due until it ran
 *
 * The due time is a part of what all members of the row got together, so a machine that others use as well does not
 * change it (a budget's is one of the whole time).  What the weights say is Linux's: 1024 at nice 0, a factor of 1.25 a
 * step (man 7 sched).  With arguments only the rows named are run.
 *
 * All members wait for the same instant to begin, and each looks at the clock itself to see that it is over: nobody has
 * a turn that is not counted.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/bench/bench.h"

#define MEMBERS_MAX 8
#define RUN_NS 1500000000ull
#define HOGS 64
#define WAKES 200
#define NAP_NS 5000000ull
#define BUDGET_PERIOD_NS 1000000ull

struct member {
	int nice;
	unsigned weight;  /* what it is due, relative to the others */
	unsigned session; /* members with the same number share one; 0: that of this program */
};

struct row {
	const char *name;
	const char *autogroup;	       /* what sched_autogroup_enabled is to be; NULL: as it is */
	int session_nice[MEMBERS_MAX]; /* by session, for /proc/self/autogroup */
	struct member members[MEMBERS_MAX];
};

static uint64_t *used_ns; /* by member; shared with the children */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t at_ns)
{
	struct timespec t = {(time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void compute_until(uint64_t at_ns)
{
	do
		for (volatile int i = 0; i < 1000; i++)
			;
	while (clock_ns(CLOCK_MONOTONIC) < at_ns);
}

static void spawn(unsigned index, const struct member *m, uint64_t begin_ns)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid)
		return;
	must(setpriority(PRIO_PROCESS, 0, m->nice) == 0, "setpriority");
	sleep_until(begin_ns);
	uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	compute_until(begin_ns + RUN_NS);
	used_ns[index] = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
	_exit(0);
}

static void store(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

/* A session's members are children of its leader, which waits for them. */
static void spawn_session(const struct row *r, unsigned session, uint64_t begin_ns)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid)
		return;
	must(setsid() > 0, "setsid");
	if (r->session_nice[session]) {
		char text[16];
		snprintf(text, sizeof(text), "%d", r->session_nice[session]);
		store("/proc/self/autogroup", text);
	}
	for (unsigned i = 0; i < MEMBERS_MAX && r->members[i].weight; i++)
		if (r->members[i].session == session)
			spawn(i, &r->members[i], begin_ns);
	while (wait(NULL) > 0)
		;
	_exit(0);
}

static void row_shares(const struct row *r)
{
	uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC) + 50000000, sum = 0, weights = 0;
	uint32_t made = 0;

	if (r->autogroup)
		store("/proc/sys/kernel/sched_autogroup_enabled", r->autogroup);
	memset(used_ns, 0, sizeof(*used_ns) * MEMBERS_MAX);
	for (unsigned i = 0; i < MEMBERS_MAX && r->members[i].weight; i++) {
		const struct member *m = &r->members[i];
		if (m->session == 0)
			spawn(i, m, begin_ns);
		else if (!(made & 1u << m->session))
			spawn_session(r, m->session, begin_ns);
		made |= 1u << m->session;
		weights += m->weight;
	}
	while (wait(NULL) > 0)
		;
	for (unsigned i = 0; i < MEMBERS_MAX; i++)
		sum += used_ns[i];
	for (unsigned i = 0; i < MEMBERS_MAX && r->members[i].weight; i++)
		printf("fair %s %u %llu %llu\n", r->name, i, (unsigned long long)used_ns[i] / 1000,
		       (unsigned long long)(sum * r->members[i].weight / weights / 1000));
}

/*
 * One thread with a budget of half of each millisecond, and nobody else: its CPU idles in between, and has to set its
 * alarm for the next period all the same.
 */
static void row_budget(const char *row)
{
	if (fork() == 0) {
		struct { /* man 2 sched_setattr; musl has none */
			uint32_t size, policy;
			uint64_t flags;
			int32_t nice;
			uint32_t priority;
			uint64_t runtime, deadline, period;
		} a = {.size = sizeof(a), .policy = SCHED_DEADLINE, .runtime = BUDGET_PERIOD_NS / 2};
		a.deadline = a.period = BUDGET_PERIOD_NS;
		must(syscall(SYS_sched_setattr, 0, &a, 0) == 0, "sched_setattr");
		uint64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		compute_until(clock_ns(CLOCK_MONOTONIC) + RUN_NS);
		uint64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before;
		printf("fair %s 0 %llu %llu\n", row, (unsigned long long)used / 1000, RUN_NS / 2 / 1000);
		exit(0);
	}
	wait(NULL);
}

/*
 * One that sleeps nearly always among many that never do: all of one session, or each in its own, or one of the many
 * against the others.
 */
enum where { TOGETHER, APART, RIVAL };

static void row_wake(const char *row, enum where where)
{
	pid_t hog[HOGS];
	uint64_t worst = 0, sum = 0;

	for (unsigned i = 0; i < HOGS; i++) {
		hog[i] = fork();
		must(hog[i] >= 0, "fork");
		if (hog[i] == 0) {
			if (where == APART || (where == RIVAL && i == 0))
				must(setsid() > 0, "setsid");
			compute_until(UINT64_MAX);
		}
	}
	for (unsigned i = 0; i <= WAKES; i++) {
		/* not in step with the others' turns */
		uint64_t due = clock_ns(CLOCK_MONOTONIC) + NAP_NS + i * 17389;

		sleep_until(due);
		uint64_t late = clock_ns(CLOCK_MONOTONIC) - due;
		if (i == 0) /* until here it has computed itself, which is paid now */
			continue;
		sum += late;
		worst = late > worst ? late : worst;
	}
	for (unsigned i = 0; i < HOGS; i++)
		kill(hog[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	printf("wake %s %llu %llu\n", row, (unsigned long long)worst, (unsigned long long)(sum / WAKES));
}

static const struct row rows[] = {
	{.name = "nice-0-0-5", .members = {{0, 1024, 1}, {0, 1024, 1}, {5, 335, 1}}},
	/* Sessions share first, then their members. */
	{.name = "sessions", .autogroup = "1", .members = {{0, 4, 1}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2}}},
	{.name = "nice-in-session", .members = {{5, 1359, 1}, {0, 1024, 2}, {5, 335, 2}}},
	{.name = "nice-of-session", .session_nice = {0, 0, 5}, .members = {{0, 2048, 1}, {0, 335, 2}, {0, 335, 2}}},
	{.name = "no-session", .members = {{0, 2, 0}, {0, 1, 1}, {0, 1, 1}, {0, 2, 0}}},
	{.name = "not-grouped", .autogroup = "0", .members = {{0, 1, 1}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2}}},
};

static int asked_for(char **names, const char *row)
{
	if (!*names)
		return 1;
	while (*names)
		if (!strcmp(*names++, row))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	cpu_set_t set;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (getpid() == 1) {
		argv[1] = NULL;
		mkdir("/proc", 0555);
		must(mount("proc", "/proc", "proc", 0, NULL) == 0, "mount");
	}
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	must(argc >= 1 && sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
	used_ns = mmap(NULL, sizeof(*used_ns) * MEMBERS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(used_ns != MAP_FAILED, "mmap");
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (asked_for(argv + 1, rows[i].name))
			row_shares(&rows[i]);
	if (asked_for(argv + 1, "budget-alone"))
		row_budget("budget-alone");
	static const char *const wakes[] = {"64-hogs", "64-hogs-apart", "64-hogs-rival"};
	store("/proc/sys/kernel/sched_autogroup_enabled", "1");
	for (enum where i = TOGETHER; i <= RIVAL; i++) {
		if (!asked_for(argv + 1, wakes[i]))
			continue;
		if (fork() == 0) { /* PID 1 is in no session */
			must(setsid() > 0, "setsid");
			row_wake(wakes[i], i);
			exit(0);
		}
		wait(NULL);
	}
	printf("fair end\n");
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
