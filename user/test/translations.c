/*
 * Threads of one program on several processors: what one changes in the address space, all others see at once (man 2 mmap,
 * mprotect, munmap, mremap, madvise, fork).
 */
#include "user/test/test.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define ROUNDS 300
#define WRITERS 3

static volatile uint64_t *page;	   /* what the writers write to */
static volatile int stop;
static volatile int faulting[WRITERS]; /* a writer that sits in its handler until the page is writable again */
static __thread int writer = -1;

static void wait_for_page(int signo)
{
	(void)signo;
	if (writer < 0)
		_exit(99);
	faulting[writer] = 1;
	while (faulting[writer] && !stop)
		sched_yield();
}

static void *write_on(void *arg)
{
	writer = (int)(intptr_t)arg;
	for (uint64_t i = 1; !stop; i++)
		page[writer * 8] = i;
	return NULL;
}

static void start(pthread_t *t, volatile uint64_t *p)
{
	page = p;
	signal(SIGSEGV, wait_for_page);
	signal(SIGBUS, wait_for_page);
	for (intptr_t i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, write_on, (void *)i), 0);
}

static void finish(pthread_t *t)
{
	stop = 1;
	for (int i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
}

static void go_on(void)
{
	for (int i = 0; i < WRITERS; i++)
		faulting[i] = 0;
}

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		FAIL("mmap: %s", strerror(errno));
	return p;
}

/* After mprotect has returned no thread's write arrives any more. */
TEST(protection_holds_for_all)
{
	pthread_t t[WRITERS];
	uint64_t *p = map(PAGE);

	start(t, p);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before[WRITERS];

		CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0);
		for (int i = 0; i < WRITERS; i++)
			before[i] = page[i * 8];
		for (int n = 0; n < 3; n++)
			sched_yield();
		for (int i = 0; i < WRITERS; i++)
			if (page[i * 8] != before[i])
				FAIL("round %d: thread %d wrote to a read-only page", round, i);
		CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0);
		go_on();
		if (round % 16 == 0)
			usleep(1000);
	}
	finish(t);
}

/* A new mapping in the old one's place: nothing reaches the old page, which belongs to somebody else by then. */
TEST(unmapped_pages_are_gone_for_all)
{
	pthread_t t[WRITERS];
	char *p = map(PAGE);

	start(t, (volatile uint64_t *)p);
	for (int round = 0; round < ROUNDS; round++) {
		CHECK_EQ(madvise(p, PAGE, MADV_DONTNEED), 0);
		uint64_t *q = map(16 * PAGE); /* takes the freed pages over */

		for (size_t i = 0; i < 16 * PAGE / 8; i += 512)
			q[i] = 42;
		sched_yield();
		for (size_t i = 0; i < 16 * PAGE / 8; i++)
			if (q[i] != (i % 512 ? 0 : 42))
				FAIL("round %d: a stale write of %llu", round, (unsigned long long)q[i]);
		CHECK_EQ(munmap(q, 16 * PAGE), 0);
		go_on();
	}
	finish(t);
}

/* A child sees memory as it was at fork, whatever the parent's other threads write meanwhile. */
TEST(fork_takes_a_picture)
{
	pthread_t t[WRITERS];
	uint64_t *p = map(PAGE);

	start(t, p);
	for (int round = 0; round < 40; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			uint64_t seen[WRITERS];

			for (int i = 0; i < WRITERS; i++)
				seen[i] = page[i * 8];
			for (int n = 0; n < 20; n++)
				sched_yield();
			for (int i = 0; i < WRITERS; i++)
				if (page[i * 8] != seen[i])
					_exit(1);
			_exit(0);
		}
		int status;

		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (status)
			FAIL("round %d: the child's copy changed", round);
	}
	finish(t);
}

/* Moves away under the writers' feet. */
TEST(moved_pages_are_gone_for_all)
{
	pthread_t t[WRITERS];
	char *p = map(PAGE), *other = map(PAGE);

	start(t, (volatile uint64_t *)p);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t before[WRITERS];
		volatile uint64_t *moved = mremap(p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);

		if (moved != (void *)other)
			FAIL("mremap: %s", strerror(errno));
		for (int i = 0; i < WRITERS; i++)
			before[i] = moved[i * 8];
		sched_yield();
		for (int i = 0; i < WRITERS; i++)
			if (moved[i * 8] != before[i])
				FAIL("round %d: a write arrived at the old address", round);
		if (mremap(other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, p) != p)
			FAIL("mremap back: %s", strerror(errno));
		go_on();
	}
	finish(t);
}

/* All fault on the same fresh pages at once: each page is filled once, and nobody's write is lost. */
static char *fresh;
static pthread_barrier_t barrier;

static void *fill(void *arg)
{
	size_t me = (size_t)arg;

	for (int round = 0; round < 50; round++) {
		pthread_barrier_wait(&barrier);
		for (size_t i = 0; i < 64; i++)
			fresh[i * PAGE + me] = (char)(me + 1);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

TEST(faults_on_one_page_at_once)
{
	pthread_t t[WRITERS];

	fresh = map(64 * PAGE);
	pthread_barrier_init(&barrier, NULL, WRITERS + 1);
	for (size_t i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, fill, (void *)i), 0);
	for (int round = 0; round < 50; round++) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (size_t i = 0; i < 64; i++)
			for (size_t me = 0; me < WRITERS; me++)
				if (fresh[i * PAGE + me] != (char)(me + 1))
					FAIL("round %d: page %zu lost thread %zu's write", round, i, me);
		CHECK_EQ(madvise(fresh, 64 * PAGE, MADV_DONTNEED), 0);
	}
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
}
