/* membarrier(2): what is offered, who has to register, and that it is a barrier. */
#include "user/test/test.h"

#include <pthread.h>
#include <sched.h>

enum {
	QUERY = 0,
	GLOBAL = 1 << 0,
	GLOBAL_EXPEDITED = 1 << 1,
	REGISTER_GLOBAL = 1 << 2,
	PRIVATE = 1 << 3,
	REGISTER_PRIVATE = 1 << 4,
	SYNC_CORE = 1 << 5,
	REGISTER_SYNC_CORE = 1 << 6,
	RSEQ = 1 << 7,
	REGISTER_RSEQ = 1 << 8,
	REGISTRATIONS = 1 << 9,
	ALL = (1 << 9) - 1
};
#define FLAG_CPU 1

static long membarrier(int cmd, unsigned flags, int cpu)
{
	return syscall(SYS_membarrier, cmd, flags, cpu);
}

TEST(offered)
{
	long all = membarrier(QUERY, 0, 0);

	CHECK_EQ(all & ALL, ALL);
	CHECK_ERR(membarrier(QUERY, 1, 0), EINVAL);
	CHECK_ERR(membarrier(GLOBAL, FLAG_CPU, 0), EINVAL);
	CHECK_ERR(membarrier(GLOBAL | PRIVATE, 0, 0), EINVAL);
	CHECK_ERR(membarrier(1 << 20, 0, 0), EINVAL);
	CHECK_ERR(membarrier(-1, 0, 0), EINVAL);
	CHECK_EQ(membarrier(GLOBAL, 0, 0), 0);
	CHECK_EQ(membarrier(GLOBAL_EXPEDITED, 0, 0), 0);
}

TEST(nobody_is_registered)
{
	CHECK_ERR(membarrier(PRIVATE, 0, 0), EPERM);
	CHECK_EQ(membarrier(REGISTRATIONS, 0, 0), 0);
}

TEST(registration)
{
	CHECK_ERR(membarrier(PRIVATE, 0, 0), EPERM);
	CHECK_ERR(membarrier(SYNC_CORE, 0, 0), EPERM);
	CHECK_ERR(membarrier(RSEQ, 0, 0), EPERM);
	CHECK_EQ(membarrier(REGISTRATIONS, 0, 0), 0);
	CHECK_EQ(membarrier(REGISTER_SYNC_CORE, 0, 0), 0);
	CHECK_ERR(membarrier(PRIVATE, 0, 0), EPERM);
	CHECK_EQ(membarrier(SYNC_CORE, 0, 0), 0);
	CHECK_EQ(membarrier(REGISTRATIONS, 0, 0), REGISTER_PRIVATE | REGISTER_SYNC_CORE);
	CHECK_EQ(membarrier(REGISTER_PRIVATE, 0, 0), 0);
	CHECK_EQ(membarrier(REGISTER_PRIVATE, 0, 0), 0);
	CHECK_EQ(membarrier(PRIVATE, 0, 0), 0);
	CHECK_ERR(membarrier(PRIVATE, FLAG_CPU, 0), EINVAL);
	CHECK_EQ(membarrier(REGISTER_RSEQ, 0, 0), 0);
	CHECK_EQ(membarrier(RSEQ, 0, 0), 0);
	CHECK_EQ(membarrier(RSEQ, FLAG_CPU, 0), 0);
	CHECK_EQ(membarrier(RSEQ, FLAG_CPU, 100000), 0);
	CHECK_ERR(membarrier(RSEQ, 2, 0), EINVAL);
	CHECK_EQ(membarrier(REGISTER_GLOBAL, 0, 0), 0);
	CHECK_EQ(membarrier(REGISTRATIONS, 0, 0),
		 REGISTER_GLOBAL | REGISTER_PRIVATE | REGISTER_SYNC_CORE | REGISTER_RSEQ);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(membarrier(PRIVATE, 0, 0) == 0 ? 4 : 1);
	CHECK_EXIT(pid, 4);
	pid = test_fork();
	if (pid == 0) {
		execl("/proc/self/exe", "membarrier", "nobody_is_registered", (char *)NULL); /* exec forgets it */
		_exit(1);
	}
	CHECK_EXIT(pid, 0);
}

/*
 * Each round both write their own word and read the other's. With a fence on either side one of them must see the
 * other's write; the fast side has none but the compiler's, and the slow side's membarrier makes up for it.
 */
#define ROUNDS 200
static volatile int x, y, fast_saw, slow_saw, start_round, done_round;

static void wait_for(volatile int *word, int value)
{
	for (int i = 0; *word != value && *word >= 0; i++)
		if (i > 1000)
			sched_yield();
}

static void *fast(void *arg)
{
	(void)arg;
	for (int i = 1;; i++) {
		wait_for(&start_round, i);
		if (start_round < 0)
			return NULL;
		x = i;
		__asm__ volatile("" : : : "memory");
		fast_saw = y;
		__atomic_store_n(&done_round, i, __ATOMIC_RELEASE);
	}
}

static void store_buffers(int cmd)
{
	pthread_t t;

	start_round = done_round = x = y = 0;
	CHECK_EQ(pthread_create(&t, NULL, fast, NULL), 0);
	for (int i = 1; i <= ROUNDS && test_more(i, 10); i++) {
		__atomic_store_n(&start_round, i, __ATOMIC_SEQ_CST);
		for (volatile int d = i % 50; d > 0; d--)
			;
		y = i;
		CHECK_EQ(membarrier(cmd, 0, 0), 0);
		slow_saw = x;
		wait_for(&done_round, i);
		if (fast_saw != i && slow_saw != i)
			FAIL("round %d: neither saw the other", i);
	}
	start_round = -1;
	CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(private_is_a_barrier)
{
	CHECK_EQ(membarrier(REGISTER_PRIVATE, 0, 0), 0);
	store_buffers(PRIVATE);
}

TEST(global_expedited_is_a_barrier)
{
	CHECK_EQ(membarrier(REGISTER_GLOBAL, 0, 0), 0);
	store_buffers(GLOBAL_EXPEDITED);
}
