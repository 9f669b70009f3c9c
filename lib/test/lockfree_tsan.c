/*
 * lib/lifo.h, lib/mpmc.h, lib/ready_queue.h and sync/spinlock.h under real threads and ThreadSanitizer, which reports
 * every pair of accesses that no chain of acquire and release orders: a memory order that is too weak fails here even
 * if the machine happens to be stronger.
 */
#include "lib/test/test.h"

#include <pthread.h>
#include <sched.h>

#include "lib/lifo.h"
#include "lib/mpmc.h"
#include "lib/ready_queue.h"
#include "sync/spinlock.h"

enum { THREADS = 3, ROUNDS = 100000, NODES = 16 };

static void run_threads(void *(*fn)(void *arg), void *args, size_t arg_size, unsigned count)
{
	pthread_t threads[8];
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, fn, (char *)args + i * arg_size), 0);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

/* ---- the stack: every thread pushes what it took, so that the same nodes come back all the time (ABA) ---- */

struct item {
	struct lifo_node node;
	uint32_t holders; /* plain: only who took it may touch it */
	uint64_t payload;
};

static struct lifo stack;
static struct item items[THREADS][NODES];
static uint32_t lifo_errors;

static void *lifo_thread(void *arg)
{
	struct item *mine = arg;
	uint64_t taken = 0;
	for (unsigned i = 0; i < NODES; i++)
		lifo_push(&stack, &mine[i].node);
	while (taken < ROUNDS) {
		struct lifo_node *next;
		for (struct lifo_node *n = lifo_take_all(&stack); n; n = next) {
			struct item *item = container_of(n, struct item, node);
			next = n->next;
			if (item->holders++ != 0)
				__atomic_fetch_add(&lifo_errors, 1, __ATOMIC_RELAXED);
			item->payload++;
			item->holders--;
			taken++;
			lifo_push(&stack, n);
		}
		sched_yield();
	}
	return NULL;
}

static void test_lifo_threads(void **state maybe_unused)
{
	lifo_errors = 0;
	run_threads(lifo_thread, items, sizeof(items[0]), THREADS);
	assert_int_equal(lifo_errors, 0);
	unsigned count = 0;
	uint64_t total = 0;
	for (struct lifo_node *n = lifo_take_all(&stack); n; n = n->next) {
		count++;
		total += container_of(n, struct item, node)->payload;
	}
	assert_int_equal(count, THREADS * NODES);
	assert_true(total >= THREADS * ROUNDS);
}

/* ---- the ring: what goes in comes out once, each producer's values in order ---- */

static struct mpmc ring;
static struct mpmc_cell cells[8];
static uint64_t boxes[THREADS][ROUNDS]; /* plain memory handed over through the ring */
static uint32_t consumed, mpmc_errors;

struct mpmc_arg {
	unsigned who;
	bool producer;
};

static void *mpmc_thread(void *arg)
{
	const struct mpmc_arg *a = arg;
	uint64_t value, last[THREADS] = {0};
	for (uint64_t i = 0; a->producer && i < ROUNDS; i++) {
		boxes[a->who][i] = i ^ a->who;
		while (!mpmc_put(&ring, (uint64_t)a->who << 32 | i))
			sched_yield();
	}
	while (!a->producer && __atomic_load_n(&consumed, __ATOMIC_RELAXED) < THREADS * ROUNDS) {
		if (!mpmc_get(&ring, &value)) {
			sched_yield();
			continue;
		}
		unsigned who = (unsigned)(value >> 32);
		uint32_t i = (uint32_t)value;
		if (boxes[who][i] != (i ^ who) || i + 1ull <= last[who])
			__atomic_fetch_add(&mpmc_errors, 1, __ATOMIC_RELAXED);
		boxes[who][i] = UINT64_MAX; /* taken twice would show */
		last[who] = i + 1ull;
		__atomic_fetch_add(&consumed, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void test_mpmc_threads(void **state maybe_unused)
{
	struct mpmc_arg args[2 * THREADS];
	uint64_t value;
	for (unsigned i = 0; i < 2 * THREADS; i++)
		args[i] = (struct mpmc_arg){.who = i / 2, .producer = i & 1};
	mpmc_init(&ring, cells, ARRAY_SIZE(cells));
	/* Near the wrap of the positions. */
	ring.put_at = ring.get_at = 0u - 1000 * (uint32_t)ARRAY_SIZE(cells);
	for (uint32_t i = 0; i < ARRAY_SIZE(cells); i++)
		cells[i].sequence = ring.put_at + i;
	run_threads(mpmc_thread, args, sizeof(args[0]), 2 * THREADS);
	assert_int_equal(mpmc_errors, 0);
	assert_int_equal(consumed, THREADS * ROUNDS);
	assert_false(mpmc_get(&ring, &value));
	assert_true(mpmc_empty(&ring));
}

/* ---- the ready queue: a consumer that really sleeps; a lost wake-up makes the test stand still ---- */

static struct ready_queue ready;
static pthread_mutex_t sleep_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sleep_end = PTHREAD_COND_INITIALIZER;
static bool sleeping;	/* sleep_lock: what a thread's state is in the kernel */
static unsigned wakes;	/* sleep_lock */
static uint64_t sleeps; /* consumer */

struct job {
	struct lifo_node node;
	uint64_t asked; /* plain: ordered by the queue and `answered` */
	uint64_t answered;
	unsigned priority;
};

static void *ready_producer(void *arg)
{
	struct job *j = arg;
	for (uint64_t i = 1; i <= ROUNDS / 4; i++) {
		j->asked = i;
		if (ready_put(&ready, j->priority, &j->node)) {
			pthread_mutex_lock(&sleep_lock);
			sleeping = false;
			wakes++;
			pthread_cond_signal(&sleep_end);
			pthread_mutex_unlock(&sleep_lock);
		}
		while (__atomic_load_n(&j->answered, __ATOMIC_ACQUIRE) != i)
			sched_yield();
	}
	return NULL;
}

static void *ready_consumer(void *arg)
{
	(void)arg;
	for (uint64_t done = 0; done < THREADS * (ROUNDS / 4);) {
		struct lifo_node *n = ready_get(&ready);
		if (n) {
			struct job *j = container_of(n, struct job, node);
			uint64_t asked = j->asked;
			done++;
			__atomic_store_n(&j->answered, asked, __ATOMIC_RELEASE);
			continue;
		}
		pthread_mutex_lock(&sleep_lock);
		sleeping = true;
		pthread_mutex_unlock(&sleep_lock);
		if (ready_sleep(&ready)) {
			pthread_mutex_lock(&sleep_lock);
			while (sleeping)
				pthread_cond_wait(&sleep_end, &sleep_lock);
			pthread_mutex_unlock(&sleep_lock);
			sleeps++;
		}
		ready_woken(&ready);
	}
	return NULL;
}

static void test_ready_queue_threads(void **state maybe_unused)
{
	static struct job jobs[THREADS];
	pthread_t consumer;
	assert_int_equal(pthread_create(&consumer, NULL, ready_consumer, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		jobs[i].priority = i % READY_PRIORITIES;
	run_threads(ready_producer, jobs, sizeof(jobs[0]), THREADS);
	pthread_join(consumer, NULL);
	assert_true(sleeps > 0);
	assert_true(wakes >= sleeps);
}

/* ---- the spinlock: one at a time, and each sees what the one before it wrote ---- */

/* Its half that leaves the interrupt flag alone.  Lock checking, and what the kernel does while it waits
 * (sync/smp_call.c), have tests of their own. */
void spin_wait(struct spinlock *l)
{
	while (!spin_try_unchecked(l))
		sched_yield();
}

void lockdep_acquire(const void *lock maybe_unused, unsigned rank maybe_unused, const char *name maybe_unused,
		     bool may_sleep maybe_unused)
{
}

void lockdep_release(const void *lock maybe_unused)
{
}

static struct spinlock spin = {.name = "threads"};
static struct {
	uint64_t plain[2];
	uint32_t inside, errors;
} guarded;

static void *spin_thread(void *arg maybe_unused)
{
	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		spin_acquire(&spin);
		guarded.errors += __atomic_fetch_add(&guarded.inside, 1, __ATOMIC_RELAXED) != 0;
		guarded.errors += guarded.plain[0]++ != guarded.plain[1];
		if (i % 64 == 0)
			sched_yield(); /* on a machine with few CPUs: somebody else gets to the lock */
		guarded.plain[1]++;
		__atomic_fetch_sub(&guarded.inside, 1, __ATOMIC_RELAXED);
		spin_release(&spin);
		sched_yield(); /* or we would have it again at once, and nobody else before the end of our time slice */
	}
	return NULL;
}

static void test_spinlock_threads(void **state maybe_unused)
{
	run_threads(spin_thread, items, sizeof(items[0]), 2);
	assert_int_equal(guarded.errors, 0);
	assert_int_equal(guarded.plain[0], 2 * (ROUNDS / 10));
	assert_false(spin_is_locked(&spin));
}

/*
 * One takes it after the other, both still running, and nothing else orders them: what the first wrote is then the
 * second's by the lock alone, or a race that is reported each time.
 */
static uint64_t handed;
static uint32_t hand_step; /* relaxed: says only whose turn it is */

static void hand_wait(uint32_t step)
{
	while (__atomic_load_n(&hand_step, __ATOMIC_RELAXED) != step)
		sched_yield();
}

static void *hand_thread(void *arg)
{
	hand_wait(arg ? 1 : 0);
	spin_acquire(&spin);
	handed++;
	spin_release(&spin);
	__atomic_fetch_add(&hand_step, 1, __ATOMIC_RELAXED);
	hand_wait(2);
	return NULL;
}

static void test_spinlock_hands_over(void **state maybe_unused)
{
	pthread_t first, second;

	assert_int_equal(pthread_create(&first, NULL, hand_thread, NULL), 0);
	assert_int_equal(pthread_create(&second, NULL, hand_thread, &handed), 0);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	assert_int_equal(handed, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifo_threads),	    cmocka_unit_test(test_mpmc_threads),
		cmocka_unit_test(test_ready_queue_threads), cmocka_unit_test(test_spinlock_threads),
		cmocka_unit_test(test_spinlock_hands_over),
	};
	return cmocka_run_group_tests_name("lock-free, ThreadSanitizer", tests, NULL, NULL);
}
