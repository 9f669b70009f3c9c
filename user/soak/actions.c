/*
 * The actions of the torture run: each does something in a way drawn at random, and checks what it gets.
 */
#include "soak.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t random_state;

void random_start(uint64_t seed)
{
	random_state = seed;
}

/* xorshift64* */
unsigned random_below(unsigned limit)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (unsigned)((random_state * 0x2545f4914f6cdd1dull >> 33) % limit);
}

/* A child's end, which has to be this. */
static void reap(pid_t pid, int wanted, const char *what)
{
	int status = -1;
	pid_t got;

	while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		;
	EXPECT(got == pid && status == wanted, "%s: child %d, waitpid %d, status %#x, not %#x", what, pid, got, status,
	       wanted);
}

static pid_t child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	return pid;
}

static void act_fork(void)
{
	static int generation;
	unsigned depth = 1 + random_below(3);

	generation = 1;
	pid_t pid = child();
	if (pid == 0) {
		/* A chain of children, each with a page of its own changed. */
		for (; generation <= (int)depth; generation++) {
			pid_t next = fork();
			if (next < 0)
				_exit(99);
			if (next > 0) {
				int status;
				_exit(waitpid(next, &status, 0) == next && WIFEXITED(status) ? WEXITSTATUS(status)
											     : 98);
			}
		}
		_exit(generation);
	}
	if (pid > 0)
		reap(pid, (int)(depth + 1) << 8, "fork");
	EXPECT(generation == 1, "a child's write is seen by its parent");
}

static void act_exec(void)
{
	char code[8];
	int number = (int)random_below(100);

	snprintf(code, sizeof(code), "%d", number);
	pid_t pid = random_below(2) ? vfork() : fork();
	if (pid == 0) {
		execl(self, self, "exit", code, NULL);
		_exit(127);
	}
	if (EXPECT(pid > 0, "fork to exec"))
		reap(pid, number << 8, "exec");
}

static void *spin_until_killed(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* exec, or exit, by one thread while others sleep and run. */
static void act_exec_threads(void)
{
	unsigned threads = 1 + random_below(4), how = random_below(3);
	pid_t pid = child();

	if (pid == 0) {
		pthread_t t;

		for (unsigned i = 0; i < threads; i++)
			if (pthread_create(&t, NULL, spin_until_killed, NULL))
				_exit(99);
		if (how == 0)
			execl(self, self, "exit", "7", NULL);
		if (how == 1)
			kill(getpid(), SIGKILL);
		_exit(7);
	}
	if (pid > 0)
		reap(pid, how == 1 ? SIGKILL : 7 << 8, "exec or exit with threads");
}

static void act_mmap(void)
{
	size_t pages = 1 + random_below(64), at = random_below((unsigned)pages);
	int shared_too = (int)random_below(2);
	uint32_t *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			   (shared_too ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

	if (!EXPECT(p != MAP_FAILED, "mmap of %zu pages", pages))
		return;
	for (size_t i = 0; i < pages; i++)
		p[i * PAGE / 4] = (uint32_t)(i * 2654435761u + worker);
	pid_t pid = child();
	if (pid == 0) {
		for (size_t i = 0; i < pages; i++)
			if (p[i * PAGE / 4] != (uint32_t)(i * 2654435761u + worker))
				_exit(1);
		p[at * PAGE / 4] = 1;
		_exit(0);
	}
	if (pid > 0)
		reap(pid, 0, "memory a child inherits");
	EXPECT(p[at * PAGE / 4] == (shared_too ? 1 : (uint32_t)(at * 2654435761u + worker)),
	       "copy-on-write of page %zu", at);
	EXPECT(mprotect((char *)p + at * PAGE, PAGE, PROT_READ) == 0, "mprotect");
	EXPECT(madvise(p, pages * PAGE, MADV_DONTNEED) == 0, "madvise");
	EXPECT(shared_too || p[at * PAGE / 4] == 0, "a page that was given back is not zero");
	if (at)
		EXPECT(munmap(p, at * PAGE) == 0, "munmap of the first part");
	EXPECT(munmap((char *)p + at * PAGE, (pages - at) * PAGE) == 0, "munmap");
}

static volatile sig_atomic_t handled[4];

static void on_signal(int signo)
{
	handled[signo == SIGUSR1 ? 0 : signo == SIGUSR2 ? 1 : signo == SIGALRM ? 2 : 3]++;
}

static volatile sig_atomic_t queued_next, queued_wrong;

static void on_queued(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	queued_wrong |= info->si_value.sival_int != queued_next;
	queued_next++;
}

/* Real-time signals come all, in order. */
static void act_sigqueue(void)
{
	int count = 1 + (int)random_below(30);
	pid_t pid = child();

	if (pid == 0) {
		struct sigaction action = {.sa_sigaction = on_queued, .sa_flags = SA_SIGINFO};
		sigset_t set, old;

		sigemptyset(&set);
		sigaddset(&set, SIGRTMIN + 3);
		sigprocmask(SIG_BLOCK, &set, &old);
		sigaction(SIGRTMIN + 3, &action, NULL);
		for (int i = 0; i < count; i++)
			if (sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i}))
				_exit(2);
		sigprocmask(SIG_SETMASK, &old, NULL);
		_exit(queued_next == count && !queued_wrong ? 0 : 3);
	}
	if (pid > 0)
		reap(pid, 0, "queued signals");
}

/* Stop, go on, end: by signals, each seen by the parent. */
static void act_stop(void)
{
	int status;
	pid_t pid = child();

	if (pid == 0)
		for (;;)
			pause();
	if (pid < 0)
		return;
	kill(pid, SIGSTOP);
	EXPECT(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status), "stop: status %#x", status);
	kill(pid, SIGCONT);
	EXPECT(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status), "continue: status %#x", status);
	if (random_below(2))
		kill(pid, SIGSTOP);
	kill(pid, SIGKILL);
	reap(pid, SIGKILL, "kill");
}

/* A handler interrupts a sleep, a read and a wait; none of the signals of another process is lost. */
static void act_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	int p[2], rounds = 1 + (int)random_below(10);
	sigset_t usr1, old;
	char byte;

	if (!EXPECT(pipe(p) == 0, "pipe"))
		return;
	sigaction(SIGUSR1, &action, NULL);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &old);
	handled[0] = 0;
	pid_t pid = child();
	if (pid == 0) {
		/* One at a time: the parent answers each. */
		for (int i = 0; i < rounds; i++)
			if (kill(getppid(), SIGUSR1) || read(p[0], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	for (int i = 0; pid > 0 && i < rounds; i++) {
		while (handled[0] == i)
			sigsuspend(&old);
		EXPECT(write(p[1], "x", 1) == 1, "write");
	}
	if (pid > 0)
		reap(pid, 0, "signals to the parent");
	EXPECT(handled[0] == rounds, "%d signals of %d", handled[0], rounds);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(p[0]);
	close(p[1]);
}

struct crowd {
	pthread_mutex_t lock;
	pthread_cond_t turn;
	pthread_barrier_t barrier;
	unsigned threads, rounds, next, total;
};

static void *crowd_member(void *arg)
{
	struct crowd *c = arg;

	pthread_barrier_wait(&c->barrier);
	for (unsigned i = 0; i < c->rounds; i++) {
		pthread_mutex_lock(&c->lock);
		c->total++;
		pthread_mutex_unlock(&c->lock);
	}
	pthread_mutex_lock(&c->lock);
	if (++c->next == c->threads)
		pthread_cond_broadcast(&c->turn);
	while (c->next < c->threads)
		pthread_cond_wait(&c->turn, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return (void *)(uintptr_t)c->total;
}

static void act_futex(void)
{
	struct crowd c = {.threads = 2 + random_below(6), .rounds = 50 + random_below(500)};
	pthread_t t[8];
	unsigned made = 0;

	pthread_mutex_init(&c.lock, NULL);
	pthread_cond_init(&c.turn, NULL);
	pthread_barrier_init(&c.barrier, NULL, c.threads);
	while (made < c.threads && EXPECT(pthread_create(&t[made], NULL, crowd_member, &c) == 0, "pthread_create"))
		made++;
	if (made < c.threads) /* the barrier would wait for ever */
		_exit(97);
	for (unsigned i = 0; i < made; i++) {
		void *total;

		EXPECT(pthread_join(t[i], &total) == 0 && (uintptr_t)total == c.threads * c.rounds,
		       "count under a mutex: %zu", (size_t)(uintptr_t)total);
	}
	pthread_barrier_destroy(&c.barrier);
}

/* A process dies with a lock that others want. */
static void act_robust(void)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t *lock = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (!EXPECT(lock != MAP_FAILED, "mmap"))
		return;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &attr);
	pid_t pid = child();
	if (pid == 0) {
		if (pthread_mutex_lock(lock))
			_exit(1);
		usleep(random_below(300));
		_exit(0);
	}
	usleep(random_below(300));
	int got = pthread_mutex_lock(lock);

	/* Whoever came first: if the child did, the lock is handed over with the news. */
	if (got == EOWNERDEAD)
		EXPECT(pthread_mutex_consistent(lock) == 0, "consistent");
	else
		EXPECT(got == 0, "robust lock: %d", got);
	EXPECT(pthread_mutex_unlock(lock) == 0, "unlock");
	if (pid > 0)
		reap(pid, 0, "who dies with a lock");
	munmap(lock, PAGE);
}

static void act_affinity(void)
{
	cpu_set_t all, some, got;
	unsigned cpu = random_below(cpus);

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&some);
	CPU_SET(cpu, &some);
	if (random_below(2))
		CPU_SET(random_below(cpus), &some);
	EXPECT(sched_setaffinity(0, sizeof(some), &some) == 0, "sched_setaffinity to cpu %u", cpu);
	for (unsigned i = 0; i < 4; i++) {
		int here = sched_getcpu();

		EXPECT(here >= 0 && CPU_ISSET(here, &some), "on cpu %d, which the affinity forbids", here);
		sched_yield();
	}
	EXPECT(sched_getaffinity(0, sizeof(got), &got) == 0 && CPU_EQUAL(&got, &some), "sched_getaffinity");
	CPU_ZERO(&some);
	EXPECT(sched_setaffinity(0, sizeof(some), &some) == -1 && errno == EINVAL, "an empty affinity");
	/* A child inherits, and is moved while it runs. */
	atomic_store(&shared->released[worker], 0);
	pid_t pid = child();
	if (pid == 0) {
		while (!atomic_load(&shared->released[worker]))
			;
		_exit(0);
	}
	for (unsigned i = 0; i < 3 && pid > 0; i++) {
		CPU_ZERO(&some);
		CPU_SET(random_below(cpus), &some);
		EXPECT(sched_setaffinity(pid, sizeof(some), &some) == 0, "affinity of a child");
		sched_yield();
	}
	atomic_store(&shared->released[worker], 1);
	if (pid > 0)
		reap(pid, 0, "a child that is moved");
	EXPECT(sched_setaffinity(0, sizeof(all), &all) == 0, "affinity back");
}

static void act_policy(void)
{
	static const int policies[] = {SCHED_BATCH, SCHED_IDLE, SCHED_RR, SCHED_FIFO, SCHED_OTHER};
	int policy = policies[random_below(5)];
	struct sched_param param = {
		.sched_priority = policy == SCHED_RR || policy == SCHED_FIFO ? 1 + (int)random_below(20) : 0};
	pid_t pid = child();

	if (pid == 0) {
		if (syscall(SYS_sched_setscheduler, 0, policy, &param) || syscall(SYS_sched_getscheduler, 0) != policy)
			_exit(errno == EPERM ? 0 : 1);
		uint64_t until = now_ns() + 200000;
		while (now_ns() < until)
			sched_yield();
		usleep(100);
		_exit(0);
	}
	if (pid > 0) {
		setpriority(PRIO_PROCESS, (id_t)pid, (int)random_below(20));
		reap(pid, 0, "a policy");
	}
}

static void act_pipe(void)
{
	int p[2];
	uint32_t count = 1 + random_below(20000), sum = 0, value;

	if (!EXPECT(pipe(p) == 0, "pipe"))
		return;
	pid_t pid = child();
	if (pid == 0) {
		close(p[0]);
		for (value = 0; value < count; value++)
			if (write(p[1], &value, sizeof(value)) != sizeof(value))
				_exit(1);
		_exit(0);
	}
	close(p[1]);
	for (uint32_t i = 0; i < count && read(p[0], &value, sizeof(value)) == sizeof(value); i++)
		sum += value == i;
	EXPECT(sum == count, "pipe: %u of %u numbers", sum, count);
	EXPECT(read(p[0], &value, 1) == 0, "the end of a pipe");
	close(p[0]);
	if (pid > 0)
		reap(pid, 0, "pipe");
}

static __thread uintptr_t mine;

static void *short_life(void *arg)
{
	mine = (uintptr_t)arg;
	if (mine % 3 == 0)
		sched_yield();
	return (void *)(mine * 3);
}

static void act_threads(void)
{
	pthread_t t[16];
	unsigned count = 1 + random_below(16), made = 0;

	while (made < count &&
	       EXPECT(pthread_create(&t[made], NULL, short_life, (void *)(uintptr_t)(made + 1)) == 0, "thread"))
		made++;
	for (unsigned i = 0; i < made; i++) {
		void *result;

		EXPECT(pthread_join(t[i], &result) == 0 && (uintptr_t)result == 3 * (i + 1), "a thread's own variable");
	}
}

static void act_timer(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	/* Again and again: the first one may come before the sleep has begun. */
	struct itimerval timer = {.it_value.tv_usec = 200 + random_below(2000), .it_interval.tv_usec = 5000}, off = {0};
	struct timespec long_time = {.tv_sec = 20}, left;

	sigaction(SIGALRM, &action, NULL);
	uint64_t from = now_ns();
	setitimer(ITIMER_REAL, &timer, NULL);
	int slept = nanosleep(&long_time, &left);

	EXPECT(slept == -1 && errno == EINTR && left.tv_sec >= 10, "a sleep that SIGALRM ends: %d after %llu us", slept,
	       (unsigned long long)(now_ns() - from) / 1000);
	setitimer(ITIMER_REAL, &off, NULL);
	struct timespec short_time = {.tv_nsec = random_below(1000000)};
	from = now_ns();
	EXPECT(nanosleep(&short_time, NULL) == 0 && now_ns() - from >= (uint64_t)short_time.tv_nsec,
	       "nanosleep is too short");
}

static void act_files(void)
{
	char name[40], other[40], text[32];
	unsigned pick = random_below(8);

	/* A few names for all: they get in each other's way. */
	snprintf(name, sizeof(name), "/tmp/soak-%u", pick);
	snprintf(other, sizeof(other), "/tmp/soak-%u", random_below(8));
	int fd = open(name, O_CREAT | O_RDWR, 0600);
	if (EXPECT(fd >= 0, "open %s", name)) {
		EXPECT(pwrite(fd, name, sizeof(name), 0) == sizeof(name), "write");
		EXPECT(pread(fd, text, sizeof(text), 0) == sizeof(text) && memcmp(text, "/tmp/soak-", 10) == 0, "read");
		close(fd);
	}
	EXPECT(rename(name, other) == 0 || errno == ENOENT, "rename");
	EXPECT(unlink(other) == 0 || errno == ENOENT, "unlink");
}

static void act_proc(void)
{
	char path[320], text[2048];
	DIR *proc = opendir("/proc");
	struct dirent *d;
	static const char *const files[] = {"stat", "status", "maps", "cmdline", "wchan", "schedstat"};

	if (!EXPECT(proc != NULL, "/proc"))
		return;
	while ((d = readdir(proc))) {
		if (d->d_name[0] < '0' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/%s", d->d_name, files[random_below(6)]);
		int fd = open(path, O_RDONLY);
		if (fd < 0)
			continue; /* gone by now, or no such file */
		ssize_t n = read(fd, text, sizeof(text));
		EXPECT(n >= 0 || errno == ESRCH || errno == ENOENT, "read %s", path);
		close(fd);
	}
	closedir(proc);
}

const struct action actions[] = {
	{"fork", act_fork},	    {"exec", act_exec},	      {"exec-threads", act_exec_threads},
	{"mmap", act_mmap},	    {"signals", act_signals}, {"sigqueue", act_sigqueue},
	{"stop", act_stop},	    {"futex", act_futex},     {"robust", act_robust},
	{"affinity", act_affinity}, {"policy", act_policy},   {"pipe", act_pipe},
	{"threads", act_threads},   {"timer", act_timer},     {"files", act_files},
	{"proc", act_proc},
};
const unsigned action_count = sizeof(actions) / sizeof(actions[0]);
_Static_assert(sizeof(actions) / sizeof(actions[0]) <= ACTIONS_MAX, "room for the counts");
