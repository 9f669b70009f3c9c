/*
 * The torture run: workers that fork, exec, map, signal, lock, move between CPUs, all at once and in an order made from
 * a seed, each action checking what it gets.  Runs on any Linux and on Ashlar:
 *
 *     soak SECONDS [SEED]
 *
 * First everything runs for a tenth of the time, to fill the caches that never shrink.  Then memory, threads and
 * numbers of processes are counted, everything runs for SECONDS, and they are counted again: nothing may be missing.
 * Prints
 *
 *     soak: ACTION COUNT          how often each was done
 *     soak: before … / after …    the figures
 *     soak FAIL …                 for each thing that was not as it must be
 *     soak end: N failures
 */
#include "soak.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STUCK_S 90
/* What may be missing at the end: per-CPU caches differ from moment to moment; a leak in any action is thousands of
 * pages. */
#define PAGES_SLACK(cpus) (768u + 192u * (cpus))

struct shared *shared;
const char *self;
unsigned cpus, worker;

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void fail(const char *fmt, ...)
{
	int error = errno;
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	atomic_fetch_add(&shared->failures, 1);
	printf("soak FAIL worker %u, step %llu: %s (errno %s)\n", worker,
	       (unsigned long long)atomic_load(&shared->steps[worker]), text, strerror(error));
}

static void worker_main(unsigned number, uint64_t seed)
{
	worker = number;
	random_start((seed + 1) * 0x9e3779b97f4a7c15ull ^ (uint64_t)(number + 1) << 32);
	while (!atomic_load(&shared->end)) {
		unsigned which = random_below(action_count);

		atomic_store(&shared->doing[number], (int)which);
		actions[which].run();
		atomic_fetch_add(&shared->counts[which], 1);
		atomic_fetch_add(&shared->steps[number], 1);
	}
	_exit(0);
}

/* Everything for so long. False: a worker is stuck, and there is no sense in going on. */
static int run_for(uint64_t seconds, unsigned workers, uint64_t seed)
{
	uint64_t until = now_ns() + seconds * 1000000000, seen[WORKERS_MAX] = {0}, since[WORKERS_MAX];
	pid_t pids[WORKERS_MAX];
	int alive = 1, status;

	atomic_store(&shared->end, 0);
	for (unsigned i = 0; i < workers; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			worker_main(i, seed);
		since[i] = now_ns();
	}
	while (alive && now_ns() < until) {
		usleep(200000);
		for (unsigned i = 0; i < workers; i++) {
			uint64_t steps = atomic_load(&shared->steps[i]);

			if (steps != seen[i])
				since[i] = now_ns();
			seen[i] = steps;
			if (now_ns() - since[i] > STUCK_S * 1000000000ull) {
				fail("worker %u, process %d, is stuck in %s", i, pids[i],
				     actions[atomic_load(&shared->doing[i])].name);
				alive = 0;
			}
		}
	}
	atomic_store(&shared->end, 1);
	for (unsigned i = 0; alive && i < workers; i++)
		EXPECT(waitpid(pids[i], &status, 0) == pids[i] && status == 0, "worker %u ended with status %#x", i,
		       status);
	return alive;
}

struct figures {
	long free_pages, threads, processes;
};

static long number_behind(const char *path, const char *word, char separator)
{
	char text[4096], *at;
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = separator ? strchr(text, separator) : strstr(text, word);
	return at ? strtol(at + (separator ? 1 : (int)strlen(word)), NULL, 10) : -1;
}

static long count_processes(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	long count = 0;

	while (proc && (d = readdir(proc)))
		count += d->d_name[0] >= '0' && d->d_name[0] <= '9';
	if (proc)
		closedir(proc);
	return count;
}

/* What is freed late is waited for: until nothing changes for a second, at most ten. */
static struct figures count_all(void)
{
	struct figures f = {0}, before;

	for (int i = 0; i < 10; i++) {
		before = f;
		f.free_pages = number_behind("/proc/meminfo", "MemFree:", 0) / (PAGE / 1024);
		f.threads = number_behind("/proc/loadavg", NULL, '/');
		f.processes = count_processes();
		if (memcmp(&f, &before, sizeof(f)) == 0)
			break;
		sleep(1);
	}
	return f;
}

static void print(const char *when, const struct figures *f)
{
	printf("soak: %s %ld pages free, %ld threads, %ld processes\n", when, f->free_pages, f->threads, f->processes);
}

/* Every number that may be given to a process is given to one, once round: lost ones would be missing. */
static void count_numbers(void)
{
	static unsigned char given[4 << 20];
	long limit = number_behind("/proc/sys/kernel/pid_max", "", 0), distinct = 0, taken = count_processes();

	if (limit < 1000 || limit > 65536) /* a Linux of today: hours, and others take numbers as well */
		return;
	/* On one CPU nobody has to be called from elsewhere. */
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (long i = 0; i < limit + limit / 8; i++) {
		pid_t pid = vfork();

		if (pid == 0)
			_exit(0);
		if (!EXPECT(pid > 0 && pid < limit, "fork gave %d", pid))
			return;
		distinct += !given[pid];
		given[pid] = 1;
		waitpid(pid, NULL, 0);
	}
	/* Below 300 numbers are given only once (pid.c); the running threads have theirs. */
	printf("soak: numbers %ld of %ld were given\n", distinct, limit);
	EXPECT(distinct >= limit - 300 - taken - 64, "%ld numbers of %ld were given, %ld processes run", distinct,
	       limit, taken);
}

int main(int argc, char **argv)
{
	uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 0) : 10, seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	cpu_set_t set;

	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	self = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	sched_getaffinity(0, sizeof(set), &set);
	cpus = (unsigned)CPU_COUNT(&set);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	unsigned workers = cpus * 2 + 1 < WORKERS_MAX ? cpus * 2 + 1 : WORKERS_MAX;

	printf("soak: %u workers on %u CPUs for %llu s, seed %llu\n", workers, cpus, (unsigned long long)seconds,
	       (unsigned long long)seed);
	int alive = run_for(seconds / 10 + 2, workers, seed ^ 0x5eed);
	struct figures before = count_all(), after;

	for (unsigned i = 0; i < action_count; i++)
		atomic_store(&shared->counts[i], 0);
	alive = alive && run_for(seconds, workers, seed);
	for (unsigned i = 0; i < action_count; i++) {
		unsigned long long count = atomic_load(&shared->counts[i]);

		printf("soak: %s %llu\n", actions[i].name, count);
		EXPECT(count, "%s was never done", actions[i].name);
	}
	if (alive) {
		after = count_all();
		print("before", &before);
		print("after", &after);
		EXPECT(after.free_pages + (long)PAGES_SLACK(cpus) >= before.free_pages, "%ld pages are lost",
		       before.free_pages - after.free_pages);
		EXPECT(after.threads <= before.threads, "%ld threads are left", after.threads - before.threads);
		EXPECT(after.processes <= before.processes, "%ld processes are left",
		       after.processes - before.processes);
		count_numbers();
	}
	printf("soak end: %u failures\n", atomic_load(&shared->failures));
	return atomic_load(&shared->failures) != 0;
}
