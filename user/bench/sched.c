/*
 * What switching, waking, making threads and sharing cost.  Runs on any Linux and on Ashlar, as a program or as PID 1;
 * prints one line a row, like syscalls.c:
 *
 *     bench ROW CYCLES NANOSECONDS
 *
 * for one operation; of a …-p50 or …-p99 row, that part of the measured latencies is at or below it.  Rows named …@N
 * have N workers, one on each of the first N CPUs: their time is divided by the operations of all workers, so it halves
 * from @1 to @2 where two CPUs do not disturb each other.  Two-sided rows are `same` (both sides on CPU 0) or `cross`
 * (CPUs 0 and 1); an operation there is a round trip.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "user/bench/bench.h"

/* <linux/futex.h>, which musl-gcc does not find */
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

#define PAGE 4096
#define WORKERS_MAX 8
#define SAMPLES 400

static const char *self;

/* Of the calling thread. */
static void pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

static void report(const char *row, uint64_t used_cycles, uint64_t used_ns, uint64_t count)
{
	printf("bench %s %llu %llu\n", row, (unsigned long long)(used_cycles / count),
	       (unsigned long long)(used_ns / count));
}

/* --- two sides ---------------------------------------------------------------------------------------------------- */

struct pair {
	int ping[2], pong[2];
	_Atomic uint32_t turn;
	unsigned count, partner_cpu;
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *pipe_partner(void *arg)
{
	struct pair *p = arg;
	char byte;

	pin(p->partner_cpu);
	for (unsigned i = 0; i < p->count; i++)
		must(read(p->ping[0], &byte, 1) == 1 && write(p->pong[1], &byte, 1) == 1, "pong");
	return NULL;
}

static void pipe_lead(struct pair *p)
{
	char byte = 0;

	for (unsigned i = 0; i < p->count; i++)
		must(write(p->ping[1], &byte, 1) == 1 && read(p->pong[0], &byte, 1) == 1, "ping");
}

/* The turn counts: even, the leader moves; odd, the partner. */
static void take_turns(struct pair *p, uint32_t side)
{
	for (uint32_t i = 0; i < p->count; i++) {
		uint32_t mine = 2 * i + side, seen;

		while ((seen = atomic_load(&p->turn)) != mine)
			futex_wait(&p->turn, seen);
		atomic_store(&p->turn, mine + 1);
		futex_wake(&p->turn);
	}
}

static void *futex_partner(void *arg)
{
	pin(((struct pair *)arg)->partner_cpu);
	take_turns(arg, 1);
	return NULL;
}

static void futex_lead(struct pair *p)
{
	uint32_t seen;

	take_turns(p, 0);
	while ((seen = atomic_load(&p->turn)) != 2 * p->count)
		futex_wait(&p->turn, seen);
}

static void *yield_partner(void *arg)
{
	struct pair *p = arg;

	pin(p->partner_cpu);
	while (!atomic_load_explicit(&p->turn, memory_order_relaxed))
		sched_yield();
	return NULL;
}

static void yield_lead(struct pair *p)
{
	for (unsigned i = 0; i < p->count; i++)
		sched_yield();
	atomic_store(&p->turn, 1);
}

static void row_pair(const char *row, void (*lead)(struct pair *), void *(*partner)(void *), unsigned count,
		     unsigned partner_cpu)
{
	struct pair p = {.count = count, .partner_cpu = partner_cpu};
	pthread_t thread;

	pin(0);
	must(pipe(p.ping) == 0 && pipe(p.pong) == 0, "pipe");
	must(pthread_create(&thread, NULL, partner, &p) == 0, "pthread_create");
	/* The partner waits in its first read, or wait, when the clock starts. */
	usleep(2000);
	uint64_t from_ns = now_ns(), from = cycles();

	lead(&p);
	report(row, cycles() - from, now_ns() - from_ns, count);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 2; i++) {
		close(p.ping[i]);
		close(p.pong[i]);
	}
}

/* --- latencies ---------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report_spread(const char *row, uint64_t *ns, unsigned count)
{
	qsort(ns, count, sizeof(*ns), compare);
	printf("bench %s-p50 %llu %llu\n", row, (unsigned long long)ns[count / 2], (unsigned long long)ns[count / 2]);
	printf("bench %s-p99 %llu %llu\n", row, (unsigned long long)ns[count * 99 / 100],
	       (unsigned long long)ns[count * 99 / 100]);
}

struct sleeper {
	_Atomic uint32_t word;
	_Atomic uint64_t woken_ns;
	unsigned cpu;
	uint64_t ns[SAMPLES];
};

static void *sleeper(void *arg)
{
	struct sleeper *s = arg;

	pin(s->cpu);
	for (uint32_t i = 0; i < SAMPLES; i++) {
		while (atomic_load(&s->word) == i)
			futex_wait(&s->word, i);
		s->ns[i] = now_ns() - atomic_load(&s->woken_ns);
	}
	return NULL;
}

/* From the wake of a thread that has slept for a while until it runs. */
static void row_wake_latency(const char *row, unsigned cpu)
{
	static struct sleeper s;
	pthread_t thread;

	memset(&s, 0, sizeof(s));
	s.cpu = cpu;
	pin(0);
	must(pthread_create(&thread, NULL, sleeper, &s) == 0, "pthread_create");
	for (uint32_t i = 0; i < SAMPLES; i++) {
		usleep(500);
		atomic_store(&s.woken_ns, now_ns());
		atomic_store(&s.word, i + 1);
		futex_wake(&s.word);
	}
	pthread_join(thread, NULL);
	report_spread(row, s.ns, SAMPLES);
}

static _Atomic int hogs_end;

static void *hog(void *arg)
{
	pin((unsigned)(uintptr_t)arg);
	while (!atomic_load_explicit(&hogs_end, memory_order_relaxed))
		;
	return NULL;
}

/* A timer's sleeper among threads that compute: how late it runs.  What cyclictest measures, here without a warm-up. */
static void row_timer_latency(const char *row, int policy)
{
	static uint64_t ns[SAMPLES];
	struct sched_param rt = {.sched_priority = policy == SCHED_OTHER ? 0 : 50}, none = {0};
	pthread_t hogs[4];
	struct timespec at;

	pin(0);
	atomic_store(&hogs_end, 0);
	for (unsigned i = 0; i < 4; i++)
		must(pthread_create(&hogs[i], NULL, hog, NULL) == 0, "pthread_create");
	/* musl has none of its own: what it says of threads would not be POSIX's. */
	must(syscall(SYS_sched_setscheduler, 0, policy, &rt) == 0, "sched_setscheduler");
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (unsigned i = 0; i < SAMPLES; i++) {
		at.tv_nsec += 1000000;
		if (at.tv_nsec >= 1000000000) {
			at.tv_nsec -= 1000000000;
			at.tv_sec++;
		}
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
			;
		ns[i] = now_ns() - ((uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec);
	}
	must(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none) == 0, "sched_setscheduler");
	atomic_store(&hogs_end, 1);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(hogs[i], NULL);
	report_spread(row, ns, SAMPLES);
}

/* --- one thread after the other ----------------------------------------------------------------------------------- */

static void *nothing(void *arg)
{
	return arg;
}

static void row_thread(const char *row, unsigned count)
{
	pthread_t thread;
	uint64_t from_ns = now_ns(), from = cycles();

	for (unsigned i = 0; i < count; i++)
		must(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0, "thread");
	report(row, cycles() - from, now_ns() - from_ns, count);
}

static void row_yield_alone(const char *row, unsigned count)
{
	uint64_t from_ns = now_ns(), from = cycles();

	for (unsigned i = 0; i < count; i++)
		sched_yield();
	report(row, cycles() - from, now_ns() - from_ns, count);
}

/* --- several workers ---------------------------------------------------------------------------------------------- */

static void work_compute(unsigned worker, unsigned count)
{
	volatile uint64_t sink;
	uint64_t x = worker;

	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < 1000; k++)
			x = x * 6364136223846793005u + 1442695040888963407u;
	sink = x;
	(void)sink;
}

static void wait_for_child(pid_t child)
{
	int status;

	must(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
}

static void work_fork(unsigned worker, unsigned count)
{
	(void)worker;
	while (count--) {
		pid_t child = fork();

		if (child == 0)
			_exit(0);
		wait_for_child(child);
	}
}

static void work_exec(unsigned worker, unsigned count)
{
	(void)worker;
	while (count--) {
		pid_t child = fork();

		if (child == 0) {
			execl(self, self, "exit", NULL);
			_exit(127);
		}
		wait_for_child(child);
	}
}

static void work_fault(unsigned worker, unsigned count)
{
	size_t len = 64 * PAGE;
	volatile char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)worker;
	must(p != MAP_FAILED, "mmap");
	madvise((void *)p, len, MADV_NOHUGEPAGE);
	for (unsigned i = 0; i < count; i += 64) {
		for (size_t at = 0; at < len; at += PAGE)
			p[at] = 1;
		must(madvise((void *)p, len, MADV_DONTNEED) == 0, "madvise");
	}
	munmap((void *)p, len);
}

static void work_mmap(unsigned worker, unsigned count)
{
	(void)worker;
	while (count--) {
		void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(p != MAP_FAILED && munmap(p, PAGE) == 0, "mmap");
	}
}

static void work_create(unsigned worker, unsigned count)
{
	char name[32];

	snprintf(name, sizeof(name), "/bench/new%u", worker);
	while (count--) {
		int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);

		must(fd >= 0 && close(fd) == 0 && unlink(name) == 0, "create");
	}
}

static void work_stat(unsigned worker, unsigned count)
{
	struct stat st;

	(void)worker;
	while (count--)
		must(stat("/bench/there", &st) == 0, "stat");
}

struct gate {
	_Atomic unsigned ready, open, done;
};

struct worker {
	struct gate *gate;
	void (*work)(unsigned worker, unsigned count);
	unsigned number, count;
};

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	pin(w->number);
	w->work(w->number, w->count / 10 + 1);
	atomic_fetch_add(&w->gate->ready, 1);
	while (!atomic_load(&w->gate->open))
		sched_yield();
	w->work(w->number, w->count);
	atomic_fetch_add(&w->gate->done, 1);
	return NULL;
}

/* The workers are threads of one address space, or processes. */
static void row_workers(const char *what, void (*work)(unsigned, unsigned), unsigned workers, unsigned count,
			int threads)
{
	struct gate *gate = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct worker w[WORKERS_MAX];
	pthread_t thread[WORKERS_MAX];
	char row[40];

	must(gate != MAP_FAILED, "mmap");
	pin(0);
	for (unsigned i = 0; i < workers; i++) {
		w[i] = (struct worker){.gate = gate, .work = work, .number = i, .count = count};
		if (threads) {
			must(pthread_create(&thread[i], NULL, worker_main, &w[i]) == 0, "pthread_create");
		} else {
			pid_t child = fork();

			must(child >= 0, "fork");
			if (child == 0) {
				worker_main(&w[i]);
				_exit(0);
			}
		}
	}
	while (atomic_load(&gate->ready) != workers)
		usleep(500);
	uint64_t from_ns = now_ns(), from = cycles();

	atomic_store(&gate->open, 1);
	for (unsigned i = 0; i < workers; i++)
		threads ? (void)pthread_join(thread[i], NULL) : (void)wait(NULL);
	uint64_t used = cycles() - from, used_ns = now_ns() - from_ns;

	must(atomic_load(&gate->done) == workers, "workers");
	snprintf(row, sizeof(row), "%s@%u", what, workers);
	report(row, used, used_ns, (uint64_t)count * workers);
	munmap(gate, PAGE);
}

int main(int argc, char **argv)
{
	cpu_set_t set;
	int fd;

	self = getpid() == 1 ? "/init" : argv[0];
	/* exec's target.  PID 1 is given the kernel's unknown words as arguments, so only a child takes this one. */
	if (argc == 2 && strcmp(argv[1], "exit") == 0)
		return 0;
	setvbuf(stdout, NULL, _IONBF, 0);
	must(sched_getaffinity(0, sizeof(set), &set) == 0, "sched_getaffinity");
	unsigned cpus = (unsigned)CPU_COUNT(&set);

	mkdir("/bench", 0755);
	must(mount("bench", "/bench", "tmpfs", 0, NULL) == 0, "mount");
	fd = open("/bench/there", O_CREAT | O_WRONLY, 0600);
	must(fd >= 0 && close(fd) == 0, "/bench/there");
	for (unsigned cpu = 0; cpu < cpus && cpu < 2; cpu++) {
		const char *const names[2][4] = {{"switch-pipe-same", "futex-same", "yield-same", "wake-same"},
						 {"switch-pipe-cross", "futex-cross", NULL, "wake-cross"}};

		row_pair(names[cpu][0], pipe_lead, pipe_partner, 4000, cpu);
		row_pair(names[cpu][1], futex_lead, futex_partner, 4000, cpu);
		if (names[cpu][2])
			row_pair(names[cpu][2], yield_lead, yield_partner, 10000, cpu);
		row_wake_latency(names[cpu][3], cpu);
	}
	pin(0);
	row_yield_alone("yield-alone", 20000);
	row_thread("thread-create-join", 1000);
	row_timer_latency("timer-fifo", SCHED_FIFO);
	row_timer_latency("timer-fair", SCHED_OTHER);
	for (unsigned workers = 1; workers <= cpus && workers <= WORKERS_MAX; workers *= 2) {
		row_workers("compute", work_compute, workers, 20000, 0);
		row_workers("fork", work_fork, workers, 400, 0);
		row_workers("fork-exec", work_exec, workers, 200, 0);
		row_workers("fault-shared", work_fault, workers, 64 * 200, 1);
		row_workers("mmap-shared", work_mmap, workers, 5000, 1);
		row_workers("create-shared", work_create, workers, 4000, 1);
		row_workers("stat-shared", work_stat, workers, 20000, 1);
	}
	printf("bench end\n");
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return 0;
}
