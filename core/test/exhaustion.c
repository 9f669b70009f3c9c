/*
 * All of memory is taken, by the heap and by the page allocator: the answer is NULL, not a panic, and once it is given
 * back everything is as before. tests/boot/integration.py runs it in a kernel of its own.
 */
#include "core/ktest.h"
#include "core/log.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "sched/sched.h"
#include "sched/thread.h"

struct block {
	struct block *next;
};

static unsigned take_all(struct block **list, size_t bytes)
{
	struct block *b;
	unsigned n = 0;

	while ((b = kmalloc(bytes))) {
		b->next = *list;
		*list = b;
		n++;
	}
	return n;
}

static void give_back(struct block *list)
{
	while (list) {
		struct block *next = list->next;

		kfree(list);
		list = next;
	}
}

static void nothing(void *arg maybe_unused)
{
}

KTEST(exhaustion, heap_runs_out_and_recovers)
{
	struct block *large = NULL, *small = NULL;
	uint64_t free_before = page_free_count();

	unsigned pages = take_all(&large, PAGE_SIZE);
	unsigned objects = take_all(&small, 32);
	int threads = 0, err;
	while ((err = thread_create(nothing, NULL, "one too many")) == 0 && threads < 100)
		threads++; /* some stacks and records are kept ready */
	uint64_t free_then = page_free_count();
	give_back(small);
	give_back(large);

	log_info("exhaustion: %u pages and %u small objects, then none", pages, objects);
	KTEST_TRUE(pages > free_before / 2);
	KTEST_TRUE(free_then < free_before / 16);
	KTEST_EQ(err, -12);
	sched_yield(); /* those threads end */
	mm_caches_drain();
	KTEST_TRUE(page_free_count() > free_before / 16 * 15);
	void *again = kmalloc(16 * PAGE_SIZE);
	KTEST_TRUE(again);
	kfree(again);
}
