/* Small pure parts of arch and dev: ChaCha20 against RFC 8439, the search for \_S5_ in AML. */
#include "lib/test/test.h"

#include "arch/x86_64/acpi_tables.h"
#include "dev/char/chacha20.h"

/* RFC 8439 §2.3.2 */
static void test_chacha20(void **state maybe_unused)
{
	static const uint8_t expected[64] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd,
					     0x1f, 0xa3, 0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0,
					     0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2,
					     0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05,
					     0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e,
					     0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
	static const uint32_t nonce[3] = {0x09000000, 0x4a000000, 0};
	uint8_t key_bytes[32], out[64];
	uint32_t key[8];
	for (unsigned i = 0; i < 32; i++)
		key_bytes[i] = (uint8_t)i;
	memcpy(key, key_bytes, sizeof(key));
	chacha20_block(key, 1, nonce, out);
	assert_memory_equal(out, expected, sizeof(out));
}

#define FIND(bytes) acpi_aml_find_s5((const uint8_t *)(bytes), sizeof(bytes) - 1, &a, &b)

static void test_s5(void **state maybe_unused)
{
	unsigned a = 99, b = 99;
	assert_true(FIND("xx\x08_S5_\x12\x06\x04\x0a\x05\x0a\x07\x00\x00"));
	assert_int_equal(a, 5);
	assert_int_equal(b, 7);
	assert_true(FIND("\x08\\_S5_\x12\x06\x04\x00\x01\x00\x00"));
	assert_int_equal(a, 0);
	assert_int_equal(b, 1);
	assert_true(FIND("\x08_S5_\x12\x47\x01\x01\x0b\x03\x00"));
	assert_int_equal(a, 3);
	assert_int_equal(b, 0);
	a = 99;
	assert_false(FIND("\x08_S5_"));
	assert_false(FIND("\x08_S5_\x12"));
	assert_false(FIND("\x08_S5_\x12\xc6\x04\x0a\x05"));
	assert_false(FIND("\x08_S5_\x12\x06\x02\x0a\x05\x0a"));
	assert_false(FIND("\x70_S5_\x12\x06\x04\x0a\x05\x0a\x05"));
	assert_false(FIND("\x08_S5_\x12\x06\x00\x0a\x05\x0a\x05"));
	assert_false(FIND(""));
	assert_int_equal(a, 99);
	/*
	 * Each cut of a good table is either found in full or not at all; exact allocations let the sanitizer see an
	 * overrun.
	 */
	static const char good[] = "\x08\\_S5_\x12\x06\x04\x0a\x05\x0a\x07\x00\x00";
	for (size_t len = 0; len < sizeof(good); len++) {
		uint8_t *copy = malloc(len ? len : 1);
		memcpy(copy, good, len);
		(void)acpi_aml_find_s5(copy, len, &a, &b);
		free(copy);
	}
}

int devmisc_tests(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_chacha20), cmocka_unit_test(test_s5)};
	return cmocka_run_group_tests_name("chacha20 and AML", tests, NULL, NULL);
}
