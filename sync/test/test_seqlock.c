/* Sequence locks: readers never keep what a writer was changing, on as many CPUs as there are. */
#include "sync/seqlock.h"

#include "core/ktest.h"
#include "sched/sched.h"
#include "sched/thread.h"

#define WORDS 6
#define ROUNDS 20000
#define READERS 3
#define WRITERS 2

static struct seqlock lock = SEQLOCK_INIT(LOCK_LEAF, "seqlock test");
static uint64_t words[WORDS]; /* all equal but for the multiple of their place, outside a write */
static uint32_t running, torn;

static void writer(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		irqflags_t f = seqlock_write_lock(&lock);
		for (unsigned k = 0; k < WORDS; k++)
			WRITE_ONCE(words[k], words[k] + k + 1);
		seqlock_write_unlock(&lock, f);
		if (i % 64 == 0)
			sched_yield();
	}
	atomic_fetch_add(&running, -1u);
}

static void reader(void *arg)
{
	uint64_t copy[WORDS], last = 0;
	uint32_t begun;

	(void)arg;
	while (atomic_load_relaxed(&running) > READERS || last < WRITERS * ROUNDS) {
		do {
			begun = seqlock_read_begin(&lock);
			for (unsigned k = 0; k < WORDS; k++)
				copy[k] = READ_ONCE(words[k]);
		} while (seqlock_read_retry(&lock, begun));
		for (unsigned k = 0; k < WORDS; k++)
			if (copy[k] != copy[0] * (k + 1) || copy[0] < last)
				atomic_fetch_add(&torn, 1u);
		last = copy[0];
		if (last % 16 == 0)
			sched_yield();
	}
	atomic_fetch_add(&running, -1u);
}

KTEST(sync, seqlock_readers_see_whole_writes)
{
	running = READERS + WRITERS;
	torn = 0;
	for (unsigned k = 0; k < WORDS; k++)
		words[k] = 0;
	for (unsigned i = 0; i < READERS; i++)
		KTEST_EQ(thread_create(reader, NULL, "seqlock reader"), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		KTEST_EQ(thread_create(writer, NULL, "seqlock writer"), 0);
	while (atomic_load_relaxed(&running))
		sched_yield();
	KTEST_EQ(torn, 0);
	KTEST_EQ(words[WORDS - 1], (uint64_t)WORDS * WRITERS * ROUNDS);
}

KTEST(sync, seqcount_tells_a_change)
{
	struct seqcount s = {0};
	uint32_t begun = seqcount_read_begin(&s);

	KTEST_TRUE(!seqcount_read_retry(&s, begun));
	seqcount_write_begin(&s);
	KTEST_TRUE(seqcount_read_retry(&s, begun));
	uint32_t inside = seqcount_read_begin(&s);
	KTEST_TRUE(seqcount_is_changing(inside) && seqcount_read_retry(&s, inside));
	seqcount_write_end(&s);
	KTEST_TRUE(seqcount_read_retry(&s, begun));
	begun = seqcount_read_begin(&s);
	KTEST_TRUE(!seqcount_read_retry(&s, begun));
}
