/*
 * The ring of lib/mpmc.h with another operation in the middle of each: as an interrupt handler's would be, or another
 * CPU's.  The header is compiled with every atomic load as a place where that may happen, and each place is tried, so
 * what the threads of lockfree_tsan.c meet by luck is met here every time.
 */
#include "lib/test/test.h"

static void (*nested)(void); /* what comes between; NULL: nothing any more */
static unsigned place;	     /* how many loads from now */

static void loaded(void)
{
	void (*fn)(void) = nested;
	if (!fn || place-- > 0)
		return;
	nested = NULL;
	fn();
}

#define __atomic_load_n(p, order)                                \
	({                                                       \
		__typeof__(*(p)) v_ = __atomic_load_n(p, order); \
		loaded();                                        \
		v_;                                              \
	})
#include "lib/mpmc.h"

enum { CELLS = 4, PLACES = 8 };

static struct mpmc q;
static struct mpmc_cell cells[CELLS];
static unsigned seen[16]; /* how often each value came out */
static bool nested_worked;

static void put_nested(void)
{
	nested_worked = mpmc_put(&q, 9);
}

static void get_nested(void)
{
	uint64_t v;
	nested_worked = mpmc_get(&q, &v);
	if (nested_worked)
		seen[v]++;
}

static void start(unsigned filled, void (*fn)(void), unsigned at)
{
	nested = NULL;
	mpmc_init(&q, cells, CELLS);
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < filled; i++)
		assert_true(mpmc_put(&q, i));
	nested_worked = false;
	place = at;
	nested = fn;
}

static void take_all(void)
{
	uint64_t v;
	nested = NULL;
	while (mpmc_get(&q, &v))
		seen[v]++;
}

static void test_put_within_put(void **state maybe_unused)
{
	for (unsigned filled = 0; filled <= CELLS; filled++) {
		for (unsigned at = 0; at < PLACES; at++) {
			start(filled, put_nested, at);
			bool worked = mpmc_put(&q, 8);
			assert_true(worked + nested_worked <= CELLS - (int)filled);
			assert_true(worked || nested_worked || filled == CELLS);
			take_all();
			for (unsigned i = 0; i < filled; i++)
				assert_int_equal(seen[i], 1);
			assert_int_equal(seen[8], worked);
			assert_int_equal(seen[9], nested_worked);
		}
	}
}

static void test_get_within_get(void **state maybe_unused)
{
	for (unsigned filled = 0; filled <= CELLS; filled++) {
		for (unsigned at = 0; at < PLACES; at++) {
			uint64_t v;
			start(filled, get_nested, at);
			if (mpmc_get(&q, &v))
				seen[v]++;
			take_all();
			for (unsigned i = 0; i < filled; i++)
				assert_int_equal(seen[i], 1);
		}
	}
}

static void test_put_within_get(void **state maybe_unused)
{
	for (unsigned filled = 0; filled <= CELLS; filled++) {
		for (unsigned at = 0; at < PLACES; at++) {
			uint64_t v;
			start(filled, put_nested, at);
			if (mpmc_get(&q, &v))
				seen[v]++;
			take_all();
			for (unsigned i = 0; i < filled; i++)
				assert_int_equal(seen[i], 1);
			assert_int_equal(seen[9], nested_worked);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_within_put),
		cmocka_unit_test(test_get_within_get),
		cmocka_unit_test(test_put_within_get),
	};
	return cmocka_run_group_tests_name("ring, interrupted everywhere", tests, NULL, NULL);
}
