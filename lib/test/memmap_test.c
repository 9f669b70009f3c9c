/* lib/memmap against an array that gives the type of each unit of a small address space. */
#include "lib/test/test.h"

#include "lib/memmap.h"

enum { SPACE = 256, PAGE = 8 };

/* Normal form, and the same types as the model, from `offset` on. */
static void check(const struct memmap *map, const uint8_t *model, uint64_t offset)
{
	size_t at = 0;

	for (uint64_t unit = 0; unit < SPACE; unit++) {
		const struct memmap_range *range = memmap_find(map, offset + unit);

		assert_int_equal(range ? range->type : 0, model[unit]);
	}
	for (size_t i = 0; i < map->count; i++) {
		const struct memmap_range *range = &map->ranges[i];

		assert_true(range->base < range->end);
		if (i) {
			assert_true(range[-1].end <= range->base);
			assert_true(range[-1].end < range->base || range[-1].type != range->type);
		}
	}
	for (unsigned int type = MEMMAP_USABLE; type <= MEMMAP_BAD; type++) {
		uint64_t total = 0, top = 0;

		for (at = 0; at < SPACE; at++) {
			if (model[at] == type) {
				total++;
				top = offset + at + 1;
			}
		}
		assert_int_equal(memmap_total(map, type), total);
		assert_int_equal(memmap_top(map, type), top);
	}
}

/* Each page is usable if all of it was, else what the strongest of its unusable units was. */
static void model_align(uint8_t *model)
{
	for (size_t page = 0; page < SPACE; page += PAGE) {
		uint8_t strongest = 0;
		bool all_usable = true;

		for (size_t i = page; i < page + PAGE; i++) {
			all_usable &= model[i] == MEMMAP_USABLE;
			if (model[i] > MEMMAP_USABLE)
				strongest = MAX(strongest, model[i]);
		}
		memset(model + page, all_usable ? MEMMAP_USABLE : strongest, PAGE);
	}
}

static void run(uint64_t offset, size_t capacity, int adds)
{
	struct memmap_range *storage = malloc(capacity * sizeof(*storage)), copy[64];
	uint8_t model[SPACE] = {0};
	struct memmap map;

	memmap_init(&map, storage, capacity);
	for (int i = 0; i < adds; i++) {
		uint64_t base = test_random_below(SPACE),
			 len = test_random_below(SPACE - base + 1) >> test_random_below(5);
		uint8_t type = (uint8_t)(MEMMAP_USABLE + test_random_below(MEMMAP_BAD));
		bool remove = test_random_below(5) == 0;
		size_t count = map.count;
		int error;

		memcpy(copy, storage, count * sizeof(*storage));
		error = remove ? memmap_remove(&map, offset + base, len) : memmap_add(&map, offset + base, len, type);
		if (error) {
			assert_int_equal(error, -ENOSPC);
			assert_int_equal(map.count, count);
			assert_memory_equal(copy, storage, count * sizeof(*storage));
			assert_true(2 * (size_t)(i + 1) - 1 > capacity); /* what memmap.h promises */
			continue;
		}
		for (uint64_t unit = base; unit < base + len; unit++)
			model[unit] = remove ? 0 : MAX(model[unit], type);
		check(&map, model, offset);
	}
	if (test_random_below(2)) {
		uint64_t limit = test_random_below(SPACE);

		memmap_limit_usable(&map, offset + limit);
		for (uint64_t unit = limit; unit < SPACE; unit++)
			model[unit] = model[unit] == MEMMAP_USABLE ? 0 : model[unit];
		check(&map, model, offset);
	}
	memmap_page_align(&map, PAGE);
	model_align(model);
	check(&map, model, offset);
	free(storage);
}

static void test_against_array(void **state maybe_unused)
{
	test_random_seed(15);
	for (int round = 0; round < 3000; round++) {
		run(0, 64, 1 + round % 30);
		run(0x123456000, 64, 1 + round % 30);
		run(0, 1 + round % 20, 30);
	}
}

static void test_top_of_space(void **state maybe_unused)
{
	struct memmap_range storage[8];
	struct memmap map;

	memmap_init(&map, storage, ARRAY_SIZE(storage));
	assert_int_equal(memmap_add(&map, UINT64_MAX - 100, 5000, MEMMAP_RESERVED), 0);
	assert_int_equal(map.count, 1);
	assert_int_equal(storage[0].end, UINT64_MAX);
	assert_int_equal(memmap_add(&map, UINT64_MAX, 1, MEMMAP_BAD), 0);
	assert_int_equal(memmap_add(&map, 0, UINT64_MAX, MEMMAP_USABLE), 0);
	assert_int_equal(map.count, 2);
	assert_int_equal(memmap_add(&map, 7, 0, MEMMAP_BAD), 0);
	memmap_page_align(&map, 4096);
	assert_int_equal(storage[0].base, 0);
	assert_int_equal(storage[0].end, UINT64_MAX - 4095);
	assert_int_equal(storage[1].end, UINT64_MAX);
	assert_int_equal(memmap_remove(&map, 0, UINT64_MAX), 0);
	assert_int_equal(map.count, 0);
	assert_int_equal(memmap_add(&map, UINT64_MAX - 100, 50, MEMMAP_USABLE), 0);
	memmap_page_align(&map, 4096);
	assert_int_equal(map.count, 0);
}

/* In a full array, taking off an end needs no room; taking out the middle does. */
static void test_remove_when_full(void **state maybe_unused)
{
	struct memmap_range storage[1];
	struct memmap map;

	memmap_init(&map, storage, 1);
	assert_int_equal(memmap_add(&map, 0, 100, MEMMAP_USABLE), 0);
	assert_int_equal(memmap_remove(&map, 50, 10), -ENOSPC);
	assert_int_equal(storage[0].end, 100);
	assert_int_equal(memmap_remove(&map, 90, 10), 0);
	assert_int_equal(memmap_remove(&map, 0, 10), 0);
	assert_int_equal(storage[0].base, 10);
	assert_int_equal(storage[0].end, 90);
	assert_int_equal(memmap_add(&map, 90, 5, MEMMAP_BAD), -ENOSPC);
	assert_int_equal(memmap_add(&map, 10, 80, MEMMAP_BAD), 0);
	assert_int_equal(storage[0].type, MEMMAP_BAD);
}

/* What QEMU's SeaBIOS reports for 128 MiB, with the kernel and an initramfs put in. */
static void test_real_map(void **state maybe_unused)
{
	static const uint64_t e820[][3] = {
		{0, 0x9fc00, 1},
		{0x9fc00, 0x400, 2},
		{0xf0000, 0x10000, 2},
		{0x100000, 0x7ee0000, 1},
		{0x7fe0000, 0x20000, 2},
		{0xfffc0000, 0x40000, 2},
		{0xfd00000000, 0x300000000, 2},
	};
	struct memmap_range storage[2 * ARRAY_SIZE(e820) + 4];
	struct memmap map;

	memmap_init(&map, storage, ARRAY_SIZE(storage));
	for (size_t i = 0; i < ARRAY_SIZE(e820); i++)
		assert_int_equal(memmap_add(&map, e820[i][0], e820[i][1], memmap_type_of_e820((uint32_t)e820[i][2])),
				 0);
	assert_int_equal(memmap_add(&map, 0x100000, 0x212345, MEMMAP_KERNEL), 0);
	assert_int_equal(memmap_add(&map, 0x7e00000, 0x1d0001, MEMMAP_KERNEL), 0);
	memmap_page_align(&map, 4096);
	assert_int_equal(map.count, 10);
	assert_int_equal(memmap_total(&map, MEMMAP_USABLE), 0x9f000 + (0x7e00000 - 0x313000) + (0x7fe0000 - 0x7fd1000));
	assert_int_equal(memmap_top(&map, MEMMAP_USABLE), 0x7fe0000);
	memmap_limit_usable(&map, 16 * MIB);
	assert_int_equal(memmap_top(&map, MEMMAP_USABLE), 16 * MIB);
	assert_int_equal(memmap_top(&map, MEMMAP_KERNEL), 0x7fd1000);
	assert_string_equal(memmap_type_name(memmap_find(&map, 0x9f000)->type), "reserved");
	assert_null(memmap_find(&map, 0xa0000));
	assert_int_equal(memmap_type_of_e820(12345), MEMMAP_RESERVED);
}

int memmap_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_array),
		cmocka_unit_test(test_top_of_space),
		cmocka_unit_test(test_remove_when_full),
		cmocka_unit_test(test_real_map),
	};

	return cmocka_run_group_tests_name("memmap", tests, NULL, NULL);
}
