/*
 * Every kind of lock that pthreads offer, each under contention: mutex types, protocols, robustness, between threads
 * and between processes; condition variables; rwlocks; barriers; spin locks; semaphores; once.
 */
#include "user/test/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <sched.h>
#include <sys/mman.h>

#define THREADS 6
#define ROUNDS 150

static void start(pthread_t *t, void *(*body)(void *), void *arg)
{
	int err = pthread_create(t, NULL, body, arg);

	if (err)
		FAIL("pthread_create: %s", strerror(err));
}

static void crew(void *(*body)(void *), void *arg)
{
	pthread_t t[THREADS];
	void *result;

	for (int i = 0; i < THREADS; i++)
		start(&t[i], body, arg);
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(pthread_join(t[i], &result), 0);
		CHECK_EQ((long)result, 0);
	}
}

static void *shared_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

struct kind {
	int type, protocol, robust, shared;
};

static void mutex_init(pthread_mutex_t *m, struct kind k)
{
	pthread_mutexattr_t a;

	CHECK_EQ(pthread_mutexattr_init(&a), 0);
	CHECK_EQ(pthread_mutexattr_settype(&a, k.type), 0);
	CHECK_EQ(pthread_mutexattr_setprotocol(&a, k.protocol), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&a, k.robust), 0);
	CHECK_EQ(pthread_mutexattr_setpshared(&a, k.shared), 0);
	CHECK_EQ(pthread_mutex_init(m, &a), 0);
	CHECK_EQ(pthread_mutexattr_destroy(&a), 0);
}

struct counted {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	volatile long count, inside, turn;
	volatile pid_t tids[THREADS];
	int arrived;
};

static void *count(void *arg)
{
	struct counted *c = arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct timespec at;
		int err;
		switch (i % 7) {
		case 0:
			clock_gettime(CLOCK_REALTIME, &at);
			at.tv_sec += 30;
			err = pthread_mutex_timedlock(&c->mutex, &at);
			break;
		case 1:
			do
				err = pthread_mutex_trylock(&c->mutex);
			while (err == EBUSY && (sched_yield(), true));
			break;
		default:
			err = pthread_mutex_lock(&c->mutex);
		}
		if (err)
			return (void *)(long)err;
		if (c->inside++ != 0)
			return (void *)1000;
		c->count++;
		if (i % 50 == 0)
			sched_yield();
		c->inside--;
		err = pthread_mutex_unlock(&c->mutex);
		if (err)
			return (void *)(long)err;
	}
	return NULL;
}

static void count_with(struct kind k)
{
	struct counted *c = shared_memory();

	mutex_init(&c->mutex, k);
	if (k.shared == PTHREAD_PROCESS_PRIVATE) {
		crew(count, c);
	} else {
		pid_t pids[THREADS];
		for (int i = 0; i < THREADS; i++) {
			pids[i] = test_fork();
			if (pids[i] == 0)
				_exit(count(c) == NULL ? 0 : 1);
		}
		for (int i = 0; i < THREADS; i++)
			CHECK_EXIT(pids[i], 0);
	}
	CHECK_EQ(c->count, THREADS * ROUNDS);
	CHECK_EQ(pthread_mutex_destroy(&c->mutex), 0);
}

TEST(every_mutex_excludes)
{
	static const int types[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ERRORCHECK};

	for (int type = 0; type < 3; type++)
		for (int protocol = 0; protocol < 2; protocol++)
			for (int robust = 0; robust < 2; robust++)
				for (int shared = 0; shared < 2; shared++)
					count_with((struct kind){types[type],
								 protocol ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE,
								 robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED,
								 shared ? PTHREAD_PROCESS_SHARED
									: PTHREAD_PROCESS_PRIVATE});
}

TEST(types_know_their_owner)
{
	for (int protocol = 0; protocol < 2; protocol++) {
		pthread_mutex_t m;
		int p = protocol ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE;
		mutex_init(&m, (struct kind){PTHREAD_MUTEX_ERRORCHECK, p, PTHREAD_MUTEX_STALLED, 0});
		CHECK_EQ(pthread_mutex_lock(&m), 0);
		CHECK_EQ(pthread_mutex_lock(&m), EDEADLK);
		int busy = pthread_mutex_trylock(&m); /* glibc's PI mutex says EDEADLK */
		CHECK(busy == EBUSY || (protocol && busy == EDEADLK));
		CHECK_EQ(pthread_mutex_unlock(&m), 0);
		CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
		mutex_init(&m, (struct kind){PTHREAD_MUTEX_RECURSIVE, p, PTHREAD_MUTEX_STALLED, 0});
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pthread_mutex_lock(&m), 0);
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pthread_mutex_unlock(&m), 0);
		CHECK_EQ(pthread_mutex_unlock(&m), EPERM);
	}
}

/* --- owners that die --- */

static void *die_holding(void *arg)
{
	struct counted *c = arg;

	pthread_mutex_lock(&c->mutex);
	c->turn = 1;
	while (c->turn == 1)
		sched_yield();
	return NULL;
}

static void *find_owner_dead(void *arg)
{
	struct counted *c = arg;

	c->tids[__atomic_fetch_add(&c->arrived, 1, __ATOMIC_RELAXED) % THREADS] = (pid_t)syscall(SYS_gettid);
	int err = pthread_mutex_lock(&c->mutex);

	if (err == EOWNERDEAD) {
		c->count += 100;
		err = pthread_mutex_consistent(&c->mutex);
	}
	if (err)
		return (void *)(long)err;
	c->count++;
	return (void *)(long)pthread_mutex_unlock(&c->mutex);
}

static bool thread_sleeps(pid_t tid)
{
	char path[48], text[512];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	return test_read_file(path, text, sizeof(text)) > 0 && strstr(text, ") S ");
}

static void owner_dies(struct kind k)
{
	struct counted *c = shared_memory();
	pthread_t t[THREADS], owner;
	void *result;

	mutex_init(&c->mutex, k);
	start(&owner, die_holding, c);
	while (c->turn != 1)
		sched_yield();
	for (int i = 0; i < THREADS; i++)
		start(&t[i], find_owner_dead, c);
	/* All wait: musl gives a dead thread's mutex away itself, and then one that comes late may have it before the
	 * waiter that the kernel gives it to. */
	for (int i = 0; i < THREADS; i++) {
		while (!c->tids[i] || !thread_sleeps(c->tids[i]))
			test_sleep_ms(1);
	}
	c->turn = 2;
	CHECK_EQ(pthread_join(owner, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		CHECK_EQ(pthread_join(t[i], &result), 0);
		CHECK_EQ((long)result, 0);
	}
	CHECK_EQ(c->count, 100 + THREADS);
}

static void process_dies(struct kind k)
{
	struct counted *c = shared_memory();

	mutex_init(&c->mutex, k);
	pid_t owner = test_fork();
	if (owner == 0) {
		die_holding(c);
		_exit(1);
	}
	while (c->turn != 1)
		sched_yield();
	pid_t pids[3];
	for (int i = 0; i < 3; i++) {
		pids[i] = test_fork();
		if (pids[i] == 0)
			_exit(find_owner_dead(c) == NULL ? 0 : 1);
		test_wait_state(pids[i], 'S');
	}
	CHECK_EQ(kill(owner, SIGKILL), 0);
	CHECK_KILLED(owner, SIGKILL);
	for (int i = 0; i < 3; i++)
		CHECK_EXIT(pids[i], 0);
	CHECK_EQ(c->count, 103);
}

TEST(robust_mutex_of_a_dead_thread)
{
	owner_dies((struct kind){PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, 0});
	owner_dies((struct kind){PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST, 0});
}

TEST(robust_mutex_of_a_dead_process)
{
	int shared = PTHREAD_PROCESS_SHARED;

	process_dies((struct kind){PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST, shared});
	process_dies((struct kind){PTHREAD_MUTEX_NORMAL, PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST, shared});
}

TEST(robust_mutex_not_made_consistent)
{
	for (int protocol = 0; protocol < 2; protocol++) {
		struct counted *c = shared_memory();
		pthread_t owner;
		mutex_init(&c->mutex,
			   (struct kind){PTHREAD_MUTEX_NORMAL, protocol ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE,
					 PTHREAD_MUTEX_ROBUST, 0});
		start(&owner, die_holding, c);
		while (c->turn != 1)
			sched_yield();
		c->turn = 2;
		CHECK_EQ(pthread_join(owner, NULL), 0);
		CHECK_EQ(pthread_mutex_lock(&c->mutex), EOWNERDEAD);
		CHECK_EQ(pthread_mutex_unlock(&c->mutex), 0);
		CHECK_EQ(pthread_mutex_lock(&c->mutex), ENOTRECOVERABLE);
	}
}

/* --- condition variables --- */

static void *take_turns(void *arg)
{
	struct counted *c = arg;
	static _Thread_local long me;

	pthread_mutex_lock(&c->mutex);
	me = c->inside++;
	for (int i = 0; i < ROUNDS / 15; i++) {
		while (c->turn % THREADS != me)
			if (pthread_cond_wait(&c->cond, &c->mutex) != 0)
				return (void *)1;
		c->turn++;
		c->count++;
		pthread_cond_broadcast(&c->cond);
	}
	pthread_mutex_unlock(&c->mutex);
	return NULL;
}

TEST(condition_variables)
{
	for (int kind = 0; kind < 4; kind++) {
		struct counted *c = shared_memory();
		pthread_condattr_t a;
		int shared = kind & 1 ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE;
		mutex_init(&c->mutex,
			   (struct kind){PTHREAD_MUTEX_NORMAL, kind & 2 ? PTHREAD_PRIO_INHERIT : PTHREAD_PRIO_NONE,
					 PTHREAD_MUTEX_STALLED, shared});
		CHECK_EQ(pthread_condattr_init(&a), 0);
		CHECK_EQ(pthread_condattr_setpshared(&a, shared), 0);
		CHECK_EQ(pthread_condattr_setclock(&a, CLOCK_MONOTONIC), 0);
		CHECK_EQ(pthread_cond_init(&c->cond, &a), 0);
		crew(take_turns, c);
		CHECK_EQ(c->count, THREADS * (ROUNDS / 15));
		struct timespec at;
		clock_gettime(CLOCK_MONOTONIC, &at);
		pthread_mutex_lock(&c->mutex);
		CHECK_EQ(pthread_cond_timedwait(&c->cond, &c->mutex, &at), ETIMEDOUT);
		pthread_mutex_unlock(&c->mutex);
		CHECK_EQ(pthread_cond_destroy(&c->cond), 0);
	}
}

/* --- the others --- */

static struct {
	pthread_rwlock_t lock;
	volatile long readers, writers, sum;
} rw;

static void *read_and_write(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 5 == 0) {
			if (pthread_rwlock_wrlock(&rw.lock) != 0)
				return (void *)1;
			if (rw.writers++ || rw.readers)
				return (void *)2;
			rw.sum++;
			if (i % 25 == 0)
				sched_yield();
			rw.writers--;
		} else {
			if (pthread_rwlock_rdlock(&rw.lock) != 0)
				return (void *)3;
			__atomic_fetch_add(&rw.readers, 1, __ATOMIC_SEQ_CST);
			if (rw.writers)
				return (void *)4;
			if (i % 9 == 0)
				sched_yield();
			__atomic_fetch_sub(&rw.readers, 1, __ATOMIC_SEQ_CST);
		}
		pthread_rwlock_unlock(&rw.lock);
	}
	return arg;
}

TEST(rwlocks)
{
	for (int shared = 0; shared < 2; shared++) {
		pthread_rwlockattr_t a;
		CHECK_EQ(pthread_rwlockattr_init(&a), 0);
		CHECK_EQ(pthread_rwlockattr_setpshared(&a, shared), 0);
		CHECK_EQ(pthread_rwlock_init(&rw.lock, &a), 0);
		rw.sum = 0;
		crew(read_and_write, NULL);
		CHECK_EQ(rw.sum, THREADS * ROUNDS / 5);
		CHECK_EQ(pthread_rwlock_rdlock(&rw.lock), 0);
		CHECK_EQ(pthread_rwlock_tryrdlock(&rw.lock), 0);
		CHECK_EQ(pthread_rwlock_trywrlock(&rw.lock), EBUSY);
		CHECK_EQ(pthread_rwlock_unlock(&rw.lock), 0);
		CHECK_EQ(pthread_rwlock_unlock(&rw.lock), 0);
		CHECK_EQ(pthread_rwlock_destroy(&rw.lock), 0);
	}
}

static pthread_barrier_t barrier;
static volatile long phase[THREADS], serial;
static volatile long arrivals;

static void *pass_barriers(void *arg)
{
	long me = __atomic_fetch_add(&arrivals, 1, __ATOMIC_SEQ_CST);

	for (long i = 1; i <= 50; i++) {
		phase[me] = i;
		int r = pthread_barrier_wait(&barrier);
		if (r == PTHREAD_BARRIER_SERIAL_THREAD)
			__atomic_fetch_add(&serial, 1, __ATOMIC_SEQ_CST);
		else if (r)
			return (void *)1;
		for (int k = 0; k < THREADS; k++)
			if (phase[k] < i)
				return (void *)2;
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

TEST(barriers)
{
	CHECK_EQ(pthread_barrier_init(&barrier, NULL, THREADS), 0);
	crew(pass_barriers, NULL);
	CHECK_EQ(serial, 50);
	CHECK_EQ(pthread_barrier_destroy(&barrier), 0);
}

static pthread_spinlock_t spin;
static sem_t semaphore;
static long guarded;

static void *spin_and_post(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		pthread_spin_lock(&spin);
		guarded++;
		pthread_spin_unlock(&spin);
		sem_post(&semaphore);
		while (sem_wait(&semaphore) != 0)
			;
	}
	return arg;
}

TEST(spin_locks_and_semaphores)
{
	int value;

	CHECK_EQ(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE), 0);
	CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
	crew(spin_and_post, NULL);
	CHECK_EQ(guarded, THREADS * ROUNDS);
	CHECK_EQ(sem_getvalue(&semaphore, &value), 0);
	CHECK_EQ(value, 0);
	CHECK_ERR(sem_trywait(&semaphore), EAGAIN);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static volatile int once_count;

static void only_once(void)
{
	test_sleep_ms(5);
	once_count++;
}

static void *do_once(void *arg)
{
	pthread_once(&once, only_once);
	return once_count == 1 ? arg : (void *)1;
}

TEST(once_is_once)
{
	crew(do_once, NULL);
	CHECK_EQ(once_count, 1);
}
