/* lib/bitmap against an array of bool, for every size around the word boundaries. */
#include "lib/test/test.h"

#include "lib/bitmap.h"

enum { BITS_MAX = 200 };

static size_t model_next(const bool *model, size_t bits, size_t from, bool value)
{
	while (from < bits && model[from] != value)
		from++;
	return MIN(from, bits);
}

static size_t model_zero_run(const bool *model, size_t bits, size_t from, size_t run)
{
	for (size_t start = from; start + run <= bits; start++) {
		if (model_next(model, start + run, start, true) == start + run)
			return start;
	}
	return bits;
}

static void check(const uint64_t *map, const bool *model, size_t bits)
{
	size_t count = 0, from = test_random_below(bits + 70), run = 1 + test_random_below(bits + 5);

	for (size_t i = 0; i < bits; i++) {
		assert_int_equal(bitmap_test(map, i), model[i]);
		count += model[i];
	}
	assert_int_equal(bitmap_count(map, bits), count);
	assert_int_equal(bitmap_first_zero(map, bits), model_next(model, bits, 0, false));
	assert_int_equal(bitmap_first_set(map, bits), model_next(model, bits, 0, true));
	assert_int_equal(bitmap_next_zero(map, bits, from), model_next(model, bits, from, false));
	assert_int_equal(bitmap_next_set(map, bits, from), model_next(model, bits, from, true));
	assert_int_equal(bitmap_next_zero_run(map, bits, from, run), model_zero_run(model, bits, from, run));
	run = 1 + run % 4;
	assert_int_equal(bitmap_next_zero_run(map, bits, from, run), model_zero_run(model, bits, from, run));
}

static void test_against_array(void **state maybe_unused)
{
	test_random_seed(6);
	for (size_t bits = 1; bits < BITS_MAX; bits++) {
		uint64_t *map = malloc(BITMAP_WORDS(bits) * sizeof(*map)); /* exact size, for the address sanitizer */
		bool model[BITS_MAX] = {false};

		/* bits beyond the map must be neither found nor changed */
		memset(map, bits % 2 ? 0xff : 0, BITMAP_WORDS(bits) * sizeof(*map));
		bitmap_clear_range(map, 0, bits);
		for (int round = 0; round < 300; round++) {
			size_t at = test_random_below(bits), count = test_random_below(bits - at + 1);

			switch (test_random_below(6)) {
			case 0:
				bitmap_set(map, at);
				model[at] = true;
				break;
			case 1:
				bitmap_clear(map, at);
				model[at] = false;
				break;
			case 2:
				assert_int_equal(bitmap_test_and_set(map, at), model[at]);
				model[at] = true;
				break;
			case 3:
				assert_int_equal(bitmap_test_and_clear(map, at), model[at]);
				model[at] = false;
				break;
			case 4:
				bitmap_set_range(map, at, count);
				memset(model + at, 1, count);
				break;
			default:
				bitmap_clear_range(map, at, count);
				memset(model + at, 0, count);
			}
			check(map, model, bits);
		}
		for (size_t i = bits; i < BITMAP_WORDS(bits) * BITMAP_WORD_BITS; i++)
			assert_int_equal(bitmap_test(map, i), bits % 2);
		free(map);
	}
}

static void test_empty(void **state maybe_unused)
{
	uint64_t word = ~0ull;

	assert_int_equal(bitmap_first_zero(&word, 0), 0);
	assert_int_equal(bitmap_first_set(&word, 0), 0);
	assert_int_equal(bitmap_count(&word, 0), 0);
	bitmap_clear_range(&word, 64, 0);
	bitmap_clear_range(&word, 3, 0);
	assert_int_equal(word, ~0ull);
}

int bitmap_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests_name("bitmap", tests, NULL, NULL);
}
