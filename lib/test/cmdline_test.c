/* lib/cmdline: lines with the words they should give, and the numbers of mem= and its like. */
#include "lib/test/test.h"

#include "lib/cmdline.h"

/* Splits `line` and joins what comes out: key, '=' value if there is one, '|'; a '!' marks init's words. */
static void check(const char *line, const char *expected)
{
	struct cmdline_iter iter = CMDLINE_ITER(line);
	struct cmdline_word word;
	char buf[64], joined[512] = "";
	size_t at = 0;
	int got;

	while ((got = cmdline_next(&iter, buf, sizeof(buf), &word)) != 0) {
		if (got < 0) {
			at += (size_t)snprintf(joined + at, sizeof(joined) - at, "<%d>|", got);
			continue;
		}
		assert_ptr_equal(word.text, buf);
		if (word.value)
			assert_ptr_equal(word.value, buf + word.key_len + 1);
		else
			assert_int_equal(word.key_len, strlen(buf));
		at += (size_t)snprintf(joined + at, sizeof(joined) - at, "%s%.*s%s%s|", word.for_init ? "!" : "",
				       (int)word.key_len, word.text, word.value ? "->" : "",
				       word.value ? word.value : "");
	}
	assert_int_equal(cmdline_next(&iter, buf, sizeof(buf), &word), 0);
	assert_string_equal(joined, expected);
}

static void test_words(void **state maybe_unused)
{
	check("", "");
	check("   \t\n ", "");
	check("quiet", "quiet|");
	check(" console=ttyS0 root=/dev/vda  rw ", "console->ttyS0|root->/dev/vda|rw|");
	check("console=ttyS0,115200n8", "console->ttyS0,115200n8|");
	check("a=", "a->|");
	check("a=b=c", "a->b=c|");
	check("=a", "=a|");
	check("=a=b", "=a->b|");
	check("a=\"b c\" d", "a->b c|d|");
	check("\"a=b c\" d", "a->b c|d|");
	check("\"a b\" d", "a b|d|");
	check("a=\"\" b", "a->|b|");
	check("\"\" b", "|b|");
	check("a=\"b c", "a->b c|");
	check("a=b\"c d\"e f", "a->b\"c d\"e|f|");
	check("a=\"b\"c", "a->b\"c|");
	check("\"", "|");
	check("a=\"", "a->|");
	check("\"a=\"", "a->|");
}

static void test_init_words(void **state maybe_unused)
{
	check("quiet -- single x=y \"a b\" z=\"1 2\"", "quiet|!single|!x=y|!a b|!z=1 2|");
	check("quiet --", "quiet|");
	check("-- --", "!--|");
	check("--x - -- -v", "--x|-|!-v|");
	check("a=\"-- b\" c", "a->-- b|c|");
}

static void test_long_words(void **state maybe_unused)
{
	char line[200], fits[64];

	memset(fits, 'f', sizeof(fits));
	fits[63] = '\0';
	snprintf(line, sizeof(line), "a %s b", fits);
	check(line, "a|fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff|b|");
	snprintf(line, sizeof(line), "a %sf b", fits);
	check(line, "a|<-36>|b|");
	snprintf(line, sizeof(line), "key=%s b", fits);
	check(line, "<-36>|b|");
	assert_int_equal(ENAMETOOLONG, 36);
}

static void test_find(void **state maybe_unused)
{
	char buf[64];
	struct cmdline_word word;
	const char *line = "root=/dev/vda mem=16M quiet mem=32M "
			   "big=0123456789012345678901234567890123456789012345678901234567890123"
			   " \"init=/bin/a b\" log-level=7 -- mem=64M root=x";

	assert_int_equal(cmdline_find(line, "mem", buf, sizeof(buf), &word), 1);
	assert_string_equal(word.value, "32M");
	assert_int_equal(cmdline_find(line, "quiet", buf, sizeof(buf), &word), 1);
	assert_null(word.value);
	assert_int_equal(cmdline_find(line, "init", buf, sizeof(buf), &word), 1);
	assert_string_equal(word.value, "/bin/a b");
	assert_int_equal(cmdline_find(line, "log_level", buf, sizeof(buf), &word), 1);
	assert_string_equal(word.value, "7");
	assert_true(cmdline_key_is(&word, "log-level"));
	assert_true(cmdline_key_is(&word, "log_level"));
	assert_false(cmdline_key_is(&word, "log"));
	assert_false(cmdline_key_is(&word, "log-level-x"));
	assert_int_equal(cmdline_find(line, "roo", buf, sizeof(buf), &word), 0);
	assert_int_equal(cmdline_find(line, "roott", buf, sizeof(buf), &word), 0);
	assert_int_equal(cmdline_find("", "mem", buf, sizeof(buf), &word), 0);
	assert_int_equal(cmdline_find("  ", "mem", buf, sizeof(buf), &word), 0);
	assert_int_equal(cmdline_find(line, "big", buf, sizeof(buf), &word), -ENAMETOOLONG);
	assert_int_equal(cmdline_find("a -- b", "b", buf, sizeof(buf), &word), 0);
}

static void test_numbers(void **state maybe_unused)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} cases[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"1K", 0, 1024},
		{"1k", 0, 1024},
		{"16M", 0, 16 * MIB},
		{"3g", 0, 3 * GIB},
		{"2T", 0, 2048 * GIB},
		{"1P", 0, BIT(50)},
		{"15E", 0, 15 * BIT(60)},
		{"0x10M", 0, 16 * MIB},
		{"0x1e", 0, 30},
		{"010K", 0, 8192},
		{"16E", -ERANGE, 0},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551615K", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"1MM", -EINVAL, 0},
		{"1MB", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1 M", -EINVAL, 0},
		{"nopentium", -EINVAL, 0},
	};
	char zeros[100];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 99;

		assert_int_equal(cmdline_u64(cases[i].text, &value), cases[i].error);
		assert_int_equal(value, cases[i].error ? 99 : cases[i].value);
	}

	uint64_t value;

	memset(zeros, '1', sizeof(zeros));
	zeros[99] = '\0';
	assert_int_equal(cmdline_u64(zeros, &value), -ERANGE);
}

int cmdline_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words), cmocka_unit_test(test_init_words), cmocka_unit_test(test_long_words),
		cmocka_unit_test(test_find),  cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests_name("cmdline", tests, NULL, NULL);
}
