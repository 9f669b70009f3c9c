/* futex(2) itself, robust lists, thread exit words (man 2 futex, set_robust_list, set_tid_address). */
#include "user/test/test.h"

#include <sched.h>

#include "user/test/futex.h"

TEST(value_differs)
{
	volatile uint32_t word = 1;

	CHECK_ERR(futex(&word, WAIT, 0, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&word, WAIT | PRIVATE, 2, NULL, NULL, 0), EAGAIN);
	CHECK_EQ(futex(&word, WAKE, 100, NULL, NULL, 0), 0);
}

TEST(times_out)
{
	volatile uint32_t word = 1;
	struct timespec soon = {0, 20000000}, bad = {0, 1000000000}, now, end;

	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &now), 0);
	CHECK_ERR(futex(&word, WAIT, 1, &soon, NULL, 0), ETIMEDOUT);
	CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &end), 0);
	CHECK((end.tv_sec - now.tv_sec) * 1000000000l + end.tv_nsec - now.tv_nsec >= 20000000);
	CHECK_ERR(futex(&word, WAIT, 1, &bad, NULL, 0), EINVAL);
	/* WAIT_BITSET takes a point in time. */
	end.tv_nsec = 1, end.tv_sec = 0;
	CHECK_ERR(futex(&word, WAIT_BITSET, 1, &end, NULL, -1), ETIMEDOUT);
	CHECK_EQ(clock_gettime(CLOCK_REALTIME, &now), 0);
	now.tv_sec -= 1;
	CHECK_ERR(futex(&word, WAIT_BITSET | REALTIME, 1, &now, NULL, -1), ETIMEDOUT);
	CHECK_ERR(futex(&word, WAIT_BITSET, 1, NULL, NULL, 0), EINVAL);
}

TEST(bad_arguments)
{
	volatile uint32_t words[2] = {0};

	CHECK_ERR(futex((volatile uint32_t *)((char *)words + 1), WAIT, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(words, 99, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex((volatile uint32_t *)0x10, WAIT, 0, NULL, NULL, 0), EFAULT);
}

/* Children that sleep on word 0 and count themselves in word 1 when woken. */
static void sleepers(volatile uint32_t *words, int n, pid_t *pids)
{
	for (int i = 0; i < n; i++) {
		pids[i] = test_fork();
		if (pids[i] == 0) {
			while (futex(&words[0], WAIT, 0, NULL, NULL, 0) != 0)
				;
			__atomic_fetch_add(&words[1], 1, __ATOMIC_SEQ_CST);
			_exit(0);
		}
	}
	for (int i = 0; i < n; i++)
		test_wait_state(pids[i], 'S');
}

TEST(wakes_as_many_as_asked)
{
	volatile uint32_t *words = shared_words();
	pid_t pids[5];

	sleepers(words, 5, pids);
	CHECK_EQ(futex(words, WAKE, 2, NULL, NULL, 0), 2);
	for (int i = 0; i < 5000 && words[1] < 2; i++)
		test_sleep_ms(1);
	test_sleep_ms(20);
	CHECK_EQ(words[1], 2);
	CHECK_EQ(futex(words, WAKE, INT_MAX, NULL, NULL, 0), 3);
	for (int i = 0; i < 5; i++)
		CHECK_EXIT(pids[i], 0);
	CHECK_EQ(words[1], 5);
}

TEST(private_of_two_processes_do_not_meet)
{
	volatile uint32_t *words = shared_words();
	pid_t pids[1];

	sleepers(words, 1, pids);
	CHECK_EQ(futex(words, WAKE | PRIVATE, 1, NULL, NULL, 0), 0);
	CHECK_EQ(futex(words, WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EXIT(pids[0], 0);
}

TEST(shared_by_two_mappings_of_a_file)
{
	int fd = memfd_create("x", 0);

	CHECK_EQ(ftruncate(fd, 8192), 0);
	volatile uint32_t *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
	volatile uint32_t *b = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(a != MAP_FAILED && b != MAP_FAILED);
	pid_t pids[1];
	sleepers(a, 1, pids);
	CHECK_EQ(futex(&b[1024], WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EXIT(pids[0], 0);
}

TEST(requeue)
{
	volatile uint32_t *words = shared_words();
	pid_t pids[4];

	sleepers(words, 4, pids);
	CHECK_ERR(futex(words, CMP_REQUEUE, 1, (void *)10, &words[2], 5), EAGAIN);
	CHECK_EQ(futex(words, CMP_REQUEUE, 1, (void *)10, &words[2], 0), 4); /* one woken, three moved */
	CHECK_EQ(futex(words, WAKE, 10, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&words[2], WAKE, 10, NULL, NULL, 0), 3);
	for (int i = 0; i < 4; i++)
		CHECK_EXIT(pids[i], 0);
}

TEST(bitset)
{
	volatile uint32_t *words = shared_words();
	pid_t pids[2];

	for (int i = 0; i < 2; i++) {
		pids[i] = test_fork();
		if (pids[i] == 0)
			_exit(futex(words, WAIT_BITSET, 0, NULL, NULL, 1 << i) == 0 ? 0 : 1);
		test_wait_state(pids[i], 'S');
	}
	CHECK_EQ(futex(words, WAKE_BITSET, 10, NULL, NULL, 4), 0);
	CHECK_EQ(futex(words, WAKE_BITSET, 10, NULL, NULL, 2), 1);
	CHECK_EXIT(pids[1], 0);
	CHECK_EQ(futex(words, WAKE, 10, NULL, NULL, 0), 1); /* plain WAKE is every bit */
	CHECK_EXIT(pids[0], 0);
}

TEST(wake_op)
{
	volatile uint32_t *words = shared_words();
	pid_t pids[1];

	words[2] = 5;
	sleepers(words, 1, pids);
	/* words[2] = 7; wake on words[0]; and on words[2], as the old value was > 4 */
	CHECK_EQ(futex(words, WAKE_OP, 1, (void *)1, &words[2], 0 << 28 | 4 << 24 | 7 << 12 | 4), 1);
	CHECK_EQ(words[2], 7);
	CHECK_EXIT(pids[0], 0);
}

static volatile uint32_t interrupted;

static void on_signal(int signo)
{
	(void)signo;
	interrupted++;
}

TEST(signal_interrupts)
{
	volatile uint32_t word = 0;
	pid_t me = getpid();
	struct sigaction act = {.sa_handler = on_signal};
	struct timespec long_time = {30, 0};

	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		test_wait_state(me, 'S');
		kill(me, SIGUSR1);
		_exit(0);
	}
	CHECK_ERR(futex(&word, WAIT, 0, &long_time, NULL, 0), EINTR);
	CHECK_EXIT(pid, 0);
}

/* A thread that dies holding a robust mutex leaves it marked. */
struct robust_node {
	struct robust_node *next;
	volatile uint32_t lock;
};
struct robust_head {
	struct robust_node *next;
	long offset;
	struct robust_node *pending;
};

TEST(robust_list)
{
	volatile uint32_t *words = shared_words();
	pid_t pid = test_fork();

	if (pid == 0) {
		/* Laid out in shared memory, so that the parent can look. */
		struct robust_node *node = (struct robust_node *)(words + 16);
		static struct robust_head head;
		head.offset = offsetof(struct robust_node, lock);
		head.next = node;
		node->next = (struct robust_node *)&head;
		node->lock = gettid() | (int)0x80000000; /* with waiters */
		CHECK_EQ(syscall(SYS_set_robust_list, &head, sizeof(head)), 0);
		CHECK_ERR(syscall(SYS_set_robust_list, &head, 5), EINVAL);
		words[0] = 1;
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	struct robust_node *node = (struct robust_node *)(words + 16);
	CHECK_EQ((unsigned)node->lock & 0x40000000, 0x40000000); /* FUTEX_OWNER_DIED */
	CHECK_EQ(node->lock & 0x3fffffff, 0);
}

/* Who was woken for a lock that nobody owns, and dies before it takes it, passes the wake-up on. */
TEST(robust_wakeup_is_passed_on)
{
	volatile uint32_t *words = shared_words();
	struct robust_node *node = (struct robust_node *)(words + 16);

	node->lock = 0xc0000000; /* an owner died, and there are waiters */
	pid_t waiter = test_fork();
	if (waiter == 0) {
		CHECK_EQ(futex(&node->lock, WAIT, 0xc0000000, NULL, NULL, 0), 0);
		_exit(0);
	}
	test_wait_state(waiter, 'S');
	pid_t pid = test_fork();
	if (pid == 0) {
		static struct robust_head head;
		head.next = (struct robust_node *)&head;
		head.offset = offsetof(struct robust_node, lock);
		head.pending = node;
		CHECK_EQ(syscall(SYS_set_robust_list, &head, sizeof(head)), 0);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EXIT(waiter, 0);
	CHECK_EQ(node->lock, 0xc0000000);
}

TEST(broken_robust_list_does_no_harm)
{
	pid_t pid = test_fork();

	if (pid == 0) {
		static struct robust_head head;
		head.next = (struct robust_node *)0xffffffff80000000;
		syscall(SYS_set_robust_list, &head, sizeof(head));
		_exit(1);
	}
	CHECK_EXIT(pid, 1);
	pid = test_fork();
	if (pid == 0) {
		static struct robust_head head;
		static struct robust_node ring;
		ring.next = &ring; /* never comes back to the head */
		head.next = &ring;
		syscall(SYS_set_robust_list, &head, sizeof(head));
		_exit(2);
	}
	CHECK_EXIT(pid, 2);
}

static char stack[32768] __attribute__((aligned(16)));
static volatile uint32_t tid_word;

static int thread_body(void *arg)
{
	(void)arg;
	syscall(SYS_exit, 0);
	return 0;
}

TEST(clear_child_tid_wakes)
{
	pid_t tid = clone(thread_body, stack + sizeof(stack),
			  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
				  CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID,
			  NULL, &tid_word, NULL, &tid_word);
	CHECK(tid > 0);
	int seen;
	while ((seen = tid_word) != 0)
		futex(&tid_word, WAIT, seen, NULL, NULL, 0);
	/* The word is cleared a little before the thread is gone; gone it must be some time. */
	while (syscall(SYS_tgkill, getpid(), tid, 0) == 0)
		test_sleep_ms(1);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), tid, 0), ESRCH);
}

static pthread_mutex_t robust_mutex;

static void *die_holding(void *arg)
{
	pthread_mutex_lock(&robust_mutex);
	return arg;
}

TEST(pthread_robust_mutex)
{
	pthread_mutexattr_t attr;
	pthread_t thread;

	CHECK_EQ(pthread_mutexattr_init(&attr), 0);
	CHECK_EQ(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST), 0);
	CHECK_EQ(pthread_mutex_init(&robust_mutex, &attr), 0);
	CHECK_EQ(pthread_create(&thread, NULL, die_holding, NULL), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(pthread_mutex_lock(&robust_mutex), EOWNERDEAD);
	CHECK_EQ(pthread_mutex_consistent(&robust_mutex), 0);
	CHECK_EQ(pthread_mutex_unlock(&robust_mutex), 0);
	CHECK_EQ(pthread_mutex_lock(&robust_mutex), 0);
}
