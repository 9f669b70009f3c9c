/*
 * Threads, signals and mappings together.  Built five ways (musl and glibc, static and dynamic, static-PIE), it has to
 * print the same in each, on Linux and on Ashlar.
 */
#include "user/test/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static long counter;

static void start(pthread_t *t, void *(*body)(void *), void *arg)
{
	int err = pthread_create(t, NULL, body, arg);

	if (err)
		FAIL("pthread_create: %s", strerror(err));
}

static void *add(void *arg)
{
	for (long i = 0; i < (long)arg; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		if (i % 500 == 0)
			sched_yield();
		pthread_mutex_unlock(&mutex);
	}
	return (void *)((long)arg * 2);
}

TEST(mutex_holds)
{
	pthread_t t[8];
	void *result;

	for (int i = 0; i < 8; i++)
		start(&t[i], add, (void *)5000);
	for (int i = 0; i < 8; i++) {
		CHECK_EQ(pthread_join(t[i], &result), 0);
		CHECK_EQ((long)result, 10000);
	}
	CHECK_EQ(counter, 40000);
}

struct queue {
	int items[4];
	unsigned head, tail;
	bool done;
} queue;

static void *consume(void *arg)
{
	long sum = 0;

	(void)arg;
	pthread_mutex_lock(&mutex);
	for (;;) {
		while (queue.head == queue.tail && !queue.done)
			pthread_cond_wait(&cond, &mutex);
		if (queue.head == queue.tail)
			break;
		sum += queue.items[queue.tail++ % 4];
		pthread_cond_broadcast(&cond);
	}
	pthread_mutex_unlock(&mutex);
	return (void *)sum;
}

TEST(condition_variables)
{
	pthread_t t[3];
	long sum = 0;

	for (int i = 0; i < 3; i++)
		start(&t[i], consume, NULL);
	for (int i = 1; i <= 1000; i++) {
		pthread_mutex_lock(&mutex);
		while (queue.head - queue.tail == 4)
			pthread_cond_wait(&cond, &mutex);
		queue.items[queue.head++ % 4] = i;
		pthread_cond_broadcast(&cond);
		pthread_mutex_unlock(&mutex);
	}
	pthread_mutex_lock(&mutex);
	queue.done = true;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < 3; i++) {
		void *part;
		CHECK_EQ(pthread_join(t[i], &part), 0);
		sum += (long)part;
	}
	CHECK_EQ(sum, 500500);
}

TEST(timed_wait)
{
	struct timespec end;

	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &end), 0);
	end.tv_nsec += 20000000;
	if (end.tv_nsec >= 1000000000)
		end.tv_sec++, end.tv_nsec -= 1000000000;
	pthread_mutex_lock(&mutex);
	CHECK_EQ(pthread_cond_timedwait(&cond, &mutex, &end), ETIMEDOUT);
}

static __thread int local = 5;
static pthread_key_t key;
static volatile int destroyed;

static void destroy(void *value)
{
	destroyed += (int)(long)value;
}

static void *use_local(void *arg)
{
	local += (int)(long)arg;
	pthread_setspecific(key, arg);
	sched_yield();
	return (void *)(long)local;
}

TEST(thread_local_storage)
{
	pthread_t t[4];
	void *result;

	CHECK_EQ(pthread_key_create(&key, destroy), 0);
	for (long i = 0; i < 4; i++)
		start(&t[i], use_local, (void *)(i + 1));
	for (long i = 0; i < 4; i++) {
		CHECK_EQ(pthread_join(t[i], &result), 0);
		CHECK_EQ((long)result, 6 + i);
	}
	CHECK_EQ(local, 5);
	CHECK_EQ(destroyed, 10);
}

static volatile int handled_by[2], handled;
static pthread_t threads[2];

static void which(int signo)
{
	(void)signo;
	for (int i = 0; i < 2; i++)
		if (pthread_equal(pthread_self(), threads[i]))
			handled_by[i]++;
	__atomic_fetch_add(&handled, 1, __ATOMIC_SEQ_CST);
}

static volatile int stop;

static void *wait_stop(void *arg)
{
	while (!stop)
		test_sleep_ms(1);
	return arg;
}

TEST(signal_to_one_thread)
{
	struct sigaction act = {.sa_handler = which};

	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	for (int i = 0; i < 2; i++)
		start(&threads[i], wait_stop, NULL);
	for (int n = 1; n <= 10; n++) {
		CHECK_EQ(pthread_kill(threads[1], SIGUSR1), 0);
		while (handled < n)
			test_sleep_ms(1);
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(handled_by[0], 0);
	CHECK_EQ(handled_by[1], 10);
}

static void *take_signal(void *arg)
{
	sigset_t set;
	int signo = 0;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigwait(&set, &signo);
	return (void *)(long)signo;
}

TEST(process_signal_finds_the_waiting_thread)
{
	sigset_t set;
	pthread_t t;
	void *result;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	start(&t, take_signal, NULL);
	CHECK_EQ(kill(getpid(), SIGUSR2), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK_EQ((long)result, SIGUSR2);
}

static void *map_and_unmap(void *arg)
{
	for (int i = 0; i < 100 && test_more(i, 10); i++) {
		size_t size = 4096u * (1 + (unsigned)i % 17);
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return (void *)1;
		memset(p, (int)(long)arg, size);
		if (i % 3 == 0 && mprotect(p, 4096, PROT_READ) != 0)
			return (void *)2;
		for (size_t k = 0; k < size; k += 512)
			if (p[k] != (char)(long)arg)
				return (void *)3;
		if (munmap(p, size) != 0)
			return (void *)4;
	}
	return NULL;
}

TEST(mappings_from_many_threads)
{
	pthread_t t[6];
	void *result;

	for (long i = 0; i < 6; i++)
		start(&t[i], map_and_unmap, (void *)(i + 1));
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(pthread_join(t[i], &result), 0);
		CHECK_EQ((long)result, 0);
	}
}

static void *spin(void *arg)
{
	(void)arg;
	for (volatile long i = 0;; i++)
		;
	return NULL;
}

TEST(exit_group_ends_spinning_threads)
{
	pid_t pid = test_fork();

	if (pid == 0) {
		pthread_t t[3];
		for (int i = 0; i < 3; i++)
			start(&t[i], spin, NULL);
		test_sleep_ms(2);
		exit(12);
	}
	CHECK_EXIT(pid, 12);
}

TEST(fatal_signal_ends_all_threads)
{
	pid_t pid = test_fork();

	if (pid == 0) {
		pthread_t t[3];
		for (int i = 0; i < 3; i++)
			start(&t[i], i ? spin : wait_stop, NULL);
		test_sleep_ms(2);
		pthread_kill(t[0], SIGKILL);
		for (;;)
			pause();
	}
	CHECK_KILLED(pid, SIGKILL);
}

static void *fork_in_thread(void *arg)
{
	int status = 0;
	pid_t pid = fork();

	(void)arg;
	if (pid == 0)
		_exit(33);
	waitpid(pid, &status, 0);
	return (void *)(long)WEXITSTATUS(status);
}

TEST(fork_in_a_thread)
{
	pthread_t t;
	void *result;

	start(&t, fork_in_thread, NULL);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK_EQ((long)result, 33);
}

static void *exec_in_thread(void *arg)
{
	execl("/bin/sh", "sh", "-c", "exit $PPID_OK", (char *)NULL);
	return arg;
}

TEST(exec_in_a_thread_takes_the_process_over)
{
	setenv("PPID_OK", "14", 1);
	pid_t pid = test_fork();

	if (pid == 0) {
		pthread_t a, b;
		start(&a, spin, NULL);
		start(&b, exec_in_thread, NULL);
		for (;;)
			pause();
	}
	CHECK_EXIT(pid, 14);
}

static void *stay(void *arg)
{
	test_sleep_ms(30);
	syscall(SYS_exit_group, (int)(long)arg);
	return NULL;
}

TEST(main_thread_may_leave_first)
{
	pid_t pid = test_fork();

	if (pid == 0) {
		pthread_t t;
		start(&t, stay, (void *)7);
		syscall(SYS_exit, 5);
	}
	test_wait_state(pid, 'Z');
	CHECK_EXIT(pid, 7); /* not before the last thread is gone, and with its status */
}

static void *cancel_me(void *arg)
{
	for (;;)
		sleep(100);
	return arg;
}

TEST(cancellation)
{
	pthread_t t;
	void *result;

	start(&t, cancel_me, NULL);
	test_sleep_ms(2);
	CHECK_EQ(pthread_cancel(t), 0);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK(result == PTHREAD_CANCELED);
}

static pthread_barrier_t barrier;
static volatile int passed;

static void *meet(void *arg)
{
	for (int i = 0; i < 20; i++) {
		__atomic_fetch_add(&passed, 1, __ATOMIC_SEQ_CST);
		pthread_barrier_wait(&barrier);
		if (passed < 4 * (i + 1))
			return (void *)1;
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

TEST(barriers)
{
	pthread_t t[4];
	void *result;

	CHECK_EQ(pthread_barrier_init(&barrier, NULL, 4), 0);
	for (int i = 0; i < 4; i++)
		start(&t[i], meet, NULL);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pthread_join(t[i], &result), 0);
		CHECK_EQ((long)result, 0);
	}
}

TEST(process_shared_semaphore)
{
	sem_t *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(s != MAP_FAILED);
	CHECK_EQ(sem_init(&s[0], 1, 0), 0);
	CHECK_EQ(sem_init(&s[1], 1, 0), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		for (int i = 0; i < 200; i++) {
			sem_wait(&s[0]);
			sem_post(&s[1]);
		}
		_exit(0);
	}
	for (int i = 0; i < 200; i++) {
		CHECK_EQ(sem_post(&s[0]), 0);
		CHECK_EQ(sem_wait(&s[1]), 0);
	}
	CHECK_EXIT(pid, 0);
}

static void *deep(void *arg)
{
	volatile char big[200000];

	big[0] = 1;
	big[sizeof(big) - 1] = 2;
	return (void *)((long)arg + big[0] + big[sizeof(big) - 1]);
}

TEST(many_threads_with_large_stacks)
{
	enum { N = 50 };
	pthread_attr_t attr;
	pthread_t t[N];
	void *result;

	CHECK_EQ(pthread_attr_init(&attr), 0);
	CHECK_EQ(pthread_attr_setstacksize(&attr, 1 << 20), 0);
	for (long i = 0; i < N; i++)
		CHECK_EQ(pthread_create(&t[i], &attr, deep, (void *)i), 0);
	for (long i = 0; i < N; i++) {
		CHECK_EQ(pthread_join(t[i], &result), 0);
		CHECK_EQ((long)result, i + 3);
	}
}

static void *show_ids(void *arg)
{
	pid_t *ids = arg;

	ids[0] = getpid();
	ids[1] = gettid();
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", gettid());
	ids[2] = access(path, R_OK);
	return NULL;
}

TEST(thread_ids)
{
	pthread_t t;
	pid_t ids[3];

	start(&t, show_ids, ids);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(ids[0], getpid());
	CHECK(ids[1] != getpid());
	CHECK_EQ(ids[2], 0);
	CHECK_EQ(gettid(), getpid());
}
