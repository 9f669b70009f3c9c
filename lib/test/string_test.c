/* lib/string and lib/memops against the host's C library, at every alignment, in buffers of exact size. */
#include "lib/test/test.h"

/* the C library's, before lib/string.h maps the names to ours */
static void *(*const host_memchr)(const void *, int, size_t) = memchr;
static int (*const host_memcmp)(const void *, const void *, size_t) = memcmp;
static size_t (*const host_strnlen)(const char *, size_t) = strnlen;
static int (*const host_strncmp)(const char *, const char *, size_t) = strncmp;
static char *(*const host_strchr)(const char *, int) = strchr;
static char *(*const host_strrchr)(const char *, int) = strrchr;
static char *(*const host_strstr)(const char *, const char *) = strstr;

#include "lib/string.h"

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

static void test_copy(void **state maybe_unused)
{
	uint8_t model[160], bytes[160];

	test_random_seed(8);
	for (int round = 0; round < 50000; round++) {
		size_t len = test_random_below(70), from = test_random_below(80), to = test_random_below(80);

		for (size_t i = 0; i < sizeof(bytes); i++)
			model[i] = bytes[i] = (uint8_t)test_random();
		for (size_t i = 0; i < len; i++)
			model[to + i] = bytes[from + i];
		if (from + len <= to || to + len <= from)
			assert_ptr_equal(memcpy(bytes + to, bytes + from, len), bytes + to);
		else
			assert_ptr_equal(memmove(bytes + to, bytes + from, len), bytes + to);
		assert_int_equal(host_memcmp(bytes, model, sizeof(bytes)), 0);
		assert_ptr_equal(memset(bytes + to, (int)from - 40, len), bytes + to);
		for (size_t i = 0; i < len; i++)
			model[to + i] = (uint8_t)(from - 40);
		assert_int_equal(host_memcmp(bytes, model, sizeof(bytes)), 0);
	}
}

/* Random text of few different characters, high ones too, in a malloc'd buffer that ends with it. */
static char *random_text(size_t len, size_t shift, char **to_free)
{
	char *text = malloc(shift + len + 1);

	*to_free = text;
	text += shift;
	for (size_t i = 0; i < len; i++)
		text[i] = "ab\xe1\x80"[test_random_below(4)];
	text[len] = '\0';
	return text;
}

static void test_searches(void **state maybe_unused)
{
	test_random_seed(9);
	for (int round = 0; round < 20000; round++) {
		char *free_a, *free_b;
		size_t len_a = test_random_below(40), len_b = test_random_below(4), max = test_random_below(45);
		char *a = random_text(len_a, test_random_below(16), &free_a);
		char *b = random_text(len_b, test_random_below(16), &free_b);
		int c = "ab\xe1\x80"[test_random_below(4)];
		size_t common = MIN(len_a, len_b);

		if (test_random_below(8) == 0)
			c = 0;
		assert_int_equal(strlen(a), len_a);
		assert_int_equal(strnlen(a, max), host_strnlen(a, max));
		assert_ptr_equal(strchr(a, c), host_strchr(a, c));
		assert_ptr_equal(strrchr(a, c), host_strrchr(a, c));
		assert_ptr_equal(strstr(a, b), host_strstr(a, b));
		assert_ptr_equal(memchr(a, c, len_a + 1), host_memchr(a, c, len_a + 1));
		assert_ptr_equal(memchr(a, 'x', MIN(max, len_a)), NULL);
		assert_int_equal(sign(strcmp(a, b)), sign(host_strncmp(a, b, 1000)));
		assert_int_equal(sign(strncmp(a, b, max)), sign(host_strncmp(a, b, max)));
		assert_int_equal(sign(memcmp(a, b, common)), sign(host_memcmp(a, b, common)));
		assert_int_equal(str_equal(a, b), host_strncmp(a, b, 1000) == 0);
		free(free_a);
		free(free_b);
	}
}

static void test_memcmp_long(void **state maybe_unused)
{
	uint8_t a[64], b[64];

	for (size_t at = 0; at < sizeof(a); at++) {
		memset(a, 7, sizeof(a));
		memset(b, 7, sizeof(b));
		assert_int_equal(memcmp(a, b, sizeof(a)), 0);
		a[at] = 200;
		for (size_t len = 0; len <= sizeof(a); len++)
			assert_int_equal(sign(memcmp(a, b, len)), len > at);
		assert_int_equal(sign(memcmp(b, a, sizeof(a))), -1);
	}
}

static void test_strlcpy(void **state maybe_unused)
{
	char to[8] = "zzzzzzz";

	assert_int_equal(strlcpy(to, "abc", sizeof(to)), 3);
	assert_string_equal(to, "abc");
	assert_int_equal(strlcpy(to, "0123456789", sizeof(to)), 10);
	assert_string_equal(to, "0123456");
	assert_int_equal(strlcpy(to, "xyz", 0), 3);
	assert_string_equal(to, "0123456");
	assert_int_equal(strlcpy(to, "xyz", 1), 3);
	assert_string_equal(to, "");
}

static void test_prefix(void **state maybe_unused)
{
	const char *s = "root=/dev/vda";

	assert_ptr_equal(str_skip_prefix(s, "root="), s + 5);
	assert_ptr_equal(str_skip_prefix(s, ""), s);
	assert_null(str_skip_prefix(s, "rooT"));
	assert_null(str_skip_prefix("ro", "root"));
	assert_string_equal(str_skip_prefix("ro", "ro"), "");
}

static void test_numbers(void **state maybe_unused)
{
	static const struct {
		const char *text;
		unsigned int base;
		int error;
		uint64_t value;
	} cases[] = {
		{"0", 10, 0, 0},
		{"0", 0, 0, 0},
		{"18446744073709551615", 10, 0, UINT64_MAX},
		{"18446744073709551616", 10, -ERANGE, 0},
		{"99999999999999999999999", 10, -ERANGE, 0},
		{"0xffffffffffffffff", 0, 0, UINT64_MAX},
		{"0x10000000000000000", 0, -ERANGE, 0},
		{"0Xab", 16, 0, 0xab},
		{"aB", 16, 0, 0xab},
		{"AFaf09", 16, 0, 0xafaf09},
		{"@", 16, -EINVAL, 0},
		{"G", 16, -EINVAL, 0},
		{"017", 0, 0, 15},
		{"08", 0, -EINVAL, 0},
		{"08", 10, 0, 8},
		{"101", 2, 0, 5},
		{"102", 2, -EINVAL, 0},
		{"", 10, -EINVAL, 0},
		{"0x", 0, -EINVAL, 0},
		{"-1", 10, -EINVAL, 0},
		{"+1", 10, -EINVAL, 0},
		{" 1", 10, -EINVAL, 0},
		{"1 ", 10, -EINVAL, 0},
		{"1g", 16, -EINVAL, 0},
		{"99999999999999999999999x", 10, -EINVAL, 0},
		{"0x1", 10, -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 77;

		assert_int_equal(str_to_u64(cases[i].text, cases[i].base, &value), cases[i].error);
		assert_int_equal(value, cases[i].error ? 77 : cases[i].value);
	}

	int64_t number = 5;

	assert_int_equal(str_to_s64("-9223372036854775808", 10, &number), 0);
	assert_int_equal(number, INT64_MIN);
	assert_int_equal(str_to_s64("9223372036854775807", 10, &number), 0);
	assert_int_equal(number, INT64_MAX);
	assert_int_equal(str_to_s64("9223372036854775808", 10, &number), -ERANGE);
	assert_int_equal(str_to_s64("-9223372036854775809", 10, &number), -ERANGE);
	assert_int_equal(str_to_s64("--1", 10, &number), -EINVAL);
	assert_int_equal(str_to_s64("-", 10, &number), -EINVAL);
	assert_int_equal(str_to_s64("-0x10", 0, &number), 0);
	assert_int_equal(number, -16);
}

int string_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy),	cmocka_unit_test(test_searches), cmocka_unit_test(test_memcmp_long),
		cmocka_unit_test(test_strlcpy), cmocka_unit_test(test_prefix),	 cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("string", tests, NULL, NULL);
}
