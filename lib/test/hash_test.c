/* lib/hash and lib/crc32: distribution, dependence on every input bit, known values. */
#include "lib/test/test.h"

#include "lib/crc32.h"
#include "lib/hash.h"

enum { BUCKETS = 4096, KEYS = 4 * BUCKETS };

/* With an average load of 4 a random function practically never fills one of 4096 buckets with 20. */
static void check_spread(const unsigned int *load)
{
	for (size_t i = 0; i < BUCKETS; i++)
		assert_in_range(load[i], 0, 20);
}

static void test_names_spread(void **state maybe_unused)
{
	static const char *const patterns[] = {"file%d", "%d", "/usr/lib/x86_64-linux-gnu/lib%d.so",
					       "a%dbbbbbbbbbbbbbbb", "%x"};

	for (size_t p = 0; p < ARRAY_SIZE(patterns); p++) {
		unsigned int low[BUCKETS] = {0}, high[BUCKETS] = {0};

		for (int i = 0; i < KEYS; i++) {
			char name[64];
			size_t len = (size_t)snprintf(name, sizeof(name), patterns[p], i);
			uint64_t hash = hash_bytes(123, name, len);

			low[hash % BUCKETS]++;
			high[hash >> 52]++;
		}
		check_spread(low);
		check_spread(high);
	}
}

static void test_numbers_spread(void **state maybe_unused)
{
	static const unsigned int shifts[] = {0, 6, 12, 21, 40};

	for (size_t s = 0; s < ARRAY_SIZE(shifts); s++) {
		unsigned int low[BUCKETS] = {0}, high[BUCKETS] = {0};

		for (uint64_t i = 0; i < KEYS; i++) {
			uint64_t hash = hash_u64(i << shifts[s]);

			low[hash % BUCKETS]++;
			high[hash >> 52]++;
		}
		check_spread(low);
		check_spread(high);
	}
}

static void test_every_bit_counts(void **state maybe_unused)
{
	test_random_seed(12);
	for (size_t len = 0; len < 70; len++) {
		uint8_t *key = malloc(len + 1);
		uint64_t hash;

		for (size_t i = 0; i < len; i++)
			key[i] = (uint8_t)test_random();
		hash = hash_bytes(1, key, len);
		assert_true(hash == hash_bytes(1, key, len));
		assert_true(hash != hash_bytes(2, key, len));
		for (size_t bit = 0; bit < len * 8; bit++) {
			key[bit / 8] ^= 1 << bit % 8;
			assert_true(hash != hash_bytes(1, key, len));
			key[bit / 8] ^= 1 << bit % 8;
		}
		key[len] = 0;
		assert_true(hash != hash_bytes(1, key, len + 1));
		free(key);
	}
}

static uint32_t crc32_bitwise(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void test_crc32(void **state maybe_unused)
{
	uint8_t data[300];

	test_random_seed(13);
	assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_update(0, "", 0), 0);
	for (int round = 0; round < 3000; round++) {
		size_t from = test_random_below(16), len = test_random_below(sizeof(data) - from + 1);
		size_t cut = test_random_below(len + 1);
		uint32_t expected;

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)test_random();
		expected = crc32_bitwise(data + from, len);
		assert_int_equal(crc32_update(0, data + from, len), expected);
		assert_int_equal(crc32_update(crc32_update(0, data + from, cut), data + from + cut, len - cut),
				 expected);
	}
}

int hash_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_spread),
		cmocka_unit_test(test_numbers_spread),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_crc32),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
