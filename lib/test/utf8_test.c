/* lib/utf8: every code point there and back, and ill-formed input as the Unicode standard's examples have it. */
#include "lib/test/test.h"

#include "lib/utf8.h"

static void check(const char *bytes, size_t len, const uint32_t *codes, size_t count)
{
	struct utf8_decoder decoder = {0};
	size_t seen = 0;

	for (size_t i = 0; i < len; i++) {
		uint32_t out[2];
		unsigned int got = utf8_decode(&decoder, (uint8_t)bytes[i], out);

		for (unsigned int j = 0; j < got; j++) {
			assert_true(seen < count);
			assert_int_equal(out[j], codes[seen++]);
		}
	}
	assert_int_equal(seen, count);
}

static void test_round_trip(void **state maybe_unused)
{
	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		char bytes[4];
		unsigned int len = utf8_encode(code, bytes);
		uint32_t expected = code >= 0xd800 && code <= 0xdfff ? UTF8_REPLACEMENT : code;
		struct utf8_decoder decoder = {0};
		uint32_t out[2];

		for (unsigned int i = 0; i < len; i++)
			assert_int_equal(utf8_decode(&decoder, (uint8_t)bytes[i], out), i + 1 == len);
		assert_int_equal(out[0], expected);
	}

	char bytes[4];

	assert_int_equal(utf8_encode(0x110000, bytes), 3);
	assert_memory_equal(bytes, "\xef\xbf\xbd", 3);
}

static void test_ill_formed(void **state maybe_unused)
{
	const uint32_t R = UTF8_REPLACEMENT;

	check("A\x80Z", 3, (uint32_t[]){'A', R, 'Z'}, 3);
	check("\xc0\xaf", 2, (uint32_t[]){R, R}, 2);		   /* overlong */
	check("\xe0\x80\xaf", 3, (uint32_t[]){R, R, R}, 3);	   /* overlong */
	check("\xed\xa0\x80", 3, (uint32_t[]){R, R, R}, 3);	   /* surrogate */
	check("\xf4\x90\x80\x80", 4, (uint32_t[]){R, R, R, R}, 4); /* past U+10FFFF */
	check("\xf5\xff", 2, (uint32_t[]){R, R}, 2);		   /* never bytes of UTF-8 */
	check("\xe2\x82"
	      "A",
	      3, (uint32_t[]){R, 'A'}, 2);			      /* cut short */
	check("\xe2\x82\xe2\x82\xac", 5, (uint32_t[]){R, 0x20ac}, 2); /* cut short by another sequence */
	check("\xf0\x9f\xf0\x9f\x98\x80", 6, (uint32_t[]){R, 0x1f600}, 2);
	/* Unicode 15, table 3-11 */
	check("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9, (uint32_t[]){R, R, R, R, 0x41}, 5);
}

int utf8_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_ill_formed),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
