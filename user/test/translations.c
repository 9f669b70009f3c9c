/*
 * Threads of one program on several processors: what one changes in the address space, all others see at once (man 2
 * mmap, mprotect, munmap, mremap, madvise, fork).
 */
#include "user/test/test.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/mman.h>

#define PAGE 4096ul
#define ROUNDS 300
#define WRITERS 3

static volatile uint64_t *page; /* what the writers write to */
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

/* Until each of them has written, and so remembers that it may. */
static void wait_for_writers(void)
{
	for (int i = 0; i < WRITERS; i++) {
		uint64_t before = page[i * 8];

		while (page[i * 8] == before) {
			go_on(); /* it may have come to its handler after the last one */
			sched_yield();
		}
	}
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
	for (int round = 0; round < 20 && test_more(round, 5); round++) {
		uint64_t before[WRITERS];

		wait_for_writers();
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
	}
	finish(t);
}

/* A new mapping in the old one's place: nothing reaches the old page, which belongs to somebody else by then. */
TEST(unmapped_pages_are_gone_for_all)
{
	pthread_t t[WRITERS];
	char *p = map(PAGE);

	start(t, (volatile uint64_t *)p);
	for (int round = 0; round < ROUNDS && test_more(round, 10); round++) {
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
	for (int round = 0; round < 40 && test_more(round, 5); round++) {
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
	for (int round = 0; round < ROUNDS && test_more(round, 10); round++) {
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

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (stop)
			return NULL;
		for (size_t i = 0; i < 64; i++)
			fresh[i * PAGE + me] = (char)(me + 1);
		pthread_barrier_wait(&barrier);
	}
}

TEST(faults_on_one_page_at_once)
{
	pthread_t t[WRITERS];

	fresh = map(64 * PAGE);
	pthread_barrier_init(&barrier, NULL, WRITERS + 1);
	for (size_t i = 0; i < WRITERS; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, fill, (void *)i), 0);
	for (int round = 0; round < 50 && test_more(round, 5); round++) {
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		for (size_t i = 0; i < 64; i++)
			for (size_t me = 0; me < WRITERS; me++)
				if (fresh[i * PAGE + me] != (char)(me + 1))
					FAIL("round %d: page %zu lost thread %zu's write", round, i, me);
		CHECK_EQ(madvise(fresh, 64 * PAGE, MADV_DONTNEED), 0);
	}
	stop = 1;
	pthread_barrier_wait(&barrier);
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
}

/*
 * A page gives way to its copy for all at once: of two that write to it one makes the copy, and who has been told of
 * the other's write, by way of a page that is never copied, does not read the old page.
 */
#define TELLERS 2
static volatile uint64_t *told, *data, missed;

static void *tell(void *arg)
{
	size_t me = 8 * (size_t)arg;

	for (uint64_t i = 1; !stop; i++) {
		data[me] = i;
		told[me] = i;
	}
	return NULL;
}

static void *listen(void *arg)
{
	(void)arg;
	while (!stop && !missed)
		for (size_t i = 0; i < TELLERS; i++) {
			uint64_t said = told[8 * i];

			if (data[8 * i] < said)
				missed = said;
		}
	return NULL;
}

TEST(copies_replace_pages_for_all_at_once)
{
	pthread_t tellers[TELLERS], listener;
	int hold[2];

	data = map(PAGE);
	told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(told != MAP_FAILED);
	for (size_t i = 0; i < TELLERS; i++)
		CHECK_EQ(pthread_create(&tellers[i], NULL, tell, (void *)i), 0);
	CHECK_EQ(pthread_create(&listener, NULL, listen, NULL), 0);
	for (int round = 0; round < 20 && !missed; round++) {
		char c;

		CHECK_EQ(pipe(hold), 0);
		pid_t pid = fork(); /* the page is the child's as well: written to, it is copied */

		if (pid == 0) {
			close(hold[1]);
			_exit(read(hold[0], &c, 1) != 0);
		}
		usleep(1000);
		close(hold[0]);
		close(hold[1]);
		CHECK_EQ(waitpid(pid, NULL, 0), pid);
	}
	stop = 1;
	for (size_t i = 0; i < TELLERS; i++)
		pthread_join(tellers[i], NULL);
	pthread_join(listener, NULL);
	if (missed)
		FAIL("write %llu was told of and not seen", (unsigned long long)missed);
}
