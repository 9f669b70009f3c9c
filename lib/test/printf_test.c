/* lib/printf against the host's vsnprintf, over random formats and chosen ones. */
#include "lib/test/test.h"

/* the C library's, before lib/printf.h maps the names to ours */
static int (*const host_vsnprintf)(char *, size_t, const char *, va_list) = vsnprintf;
static int (*const host_snprintf)(char *, size_t, const char *, ...) = snprintf;

#include "lib/printf.h"

/* Formats with both, at a random buffer size, and compares text and result. */
static void compare(const char *fmt, ...)
{
	char ours[700], theirs[700];
	size_t size = test_random_below(3) ? sizeof(ours) : test_random_below(20);
	va_list args, again;
	int our_len, their_len;

	memset(ours, 'Z', sizeof(ours));
	memset(theirs, 'Z', sizeof(theirs));
	va_start(args, fmt);
	va_copy(again, args);
	our_len = vsnprintf(ours, size, fmt, args);
	their_len = host_vsnprintf(theirs, size, fmt, again);
	va_end(again);
	va_end(args);
	if (our_len != their_len || memcmp(ours, theirs, sizeof(ours)) != 0)
		fail_msg("'%s' size %zu: ours %d '%.*s', host's %d '%.*s'", fmt, size, our_len, 100, ours, their_len,
			 100, theirs);
}

static uint64_t random_value(void)
{
	static const uint64_t special[] =
		{0,	    1,	  7,	      8,	  9,	      10,	 0x7f,
		 0x80,	    0xff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, (uint64_t)INT64_MIN,
		 UINT64_MAX};

	return test_random_below(2) ? special[test_random_below(ARRAY_SIZE(special))]
				    : test_random() >> test_random_below(64);
}

/* "%" flags width .precision, then `rest`; *stars tells how many int arguments it takes. */
static void random_format(char *fmt, size_t size, const char *flags, const char *rest, int *stars)
{
	size_t at = 0;

	*stars = 0;
	fmt[at++] = '%';
	for (int i = 0; i < 3; i++) {
		size_t pick = test_random_below(8);

		if (pick < strlen(flags))
			fmt[at++] = flags[pick];
	}
	switch (test_random_below(4)) {
	case 0:
		at += host_snprintf(fmt + at, size - at, "%d", 1 + (int)test_random_below(40));
		break;
	case 1:
		fmt[at++] = '*';
		++*stars;
		break;
	}
	switch (test_random_below(4)) {
	case 0:
		at += host_snprintf(fmt + at, size - at, ".%d", (int)test_random_below(30));
		break;
	case 1:
		at += host_snprintf(fmt + at, size - at, ".%s", test_random_below(2) ? "" : "*");
		*stars += fmt[at - 1] == '*';
		break;
	}
	host_snprintf(fmt + at, size - at, "%s", rest);
}

static void compare_stars(const char *fmt, int stars, uint64_t value)
{
	int first = (int)test_random_below(60) - 25, second = (int)test_random_below(60) - 25;

	if (stars == 0)
		compare(fmt, value, "end");
	else if (stars == 1)
		compare(fmt, first, value, "end");
	else
		compare(fmt, first, second, value, "end");
}

static void test_random_integers(void **state maybe_unused)
{
	static const char lengths[][3] = {"", "hh", "h", "l", "ll", "z", "t", "j"};

	test_random_seed(10);
	for (int round = 0; round < 200000; round++) {
		char fmt[64], rest[16];
		int stars;

		host_snprintf(rest, sizeof(rest), "%s%c|%%s", lengths[test_random_below(ARRAY_SIZE(lengths))],
			      "diuoxX"[test_random_below(6)]);
		random_format(fmt, sizeof(fmt), "-+ #0", rest, &stars);
		compare_stars(fmt, stars, random_value());
	}
}

static void test_random_strings(void **state maybe_unused)
{
	static const char *const texts[] = {"", "a", "hello", "a string of more than thirty characters"};

	test_random_seed(11);
	for (int round = 0; round < 50000; round++) {
		char fmt[64];
		int stars;

		random_format(fmt, sizeof(fmt), "-", "s<%s", &stars);
		compare_stars(fmt, stars, (uintptr_t)texts[test_random_below(ARRAY_SIZE(texts))]);
	}
}

static void test_others(void **state maybe_unused)
{
	const char *volatile nowhere = NULL; /* volatile: else the compiler complains of the NULL */
	char buf[64];
	int here;

	for (int round = 0; round < 50; round++) {
		compare("");
		compare("plain text");
		compare("100%% of %d%%", 5);
		compare("%c%5c%-5c|", 'a', 'b', 'c');
		compare("a%cb", 0);
		compare("%p %20p %-20p|", (void *)&here, (void *)&here, (void *)0x1234);
		compare("%10s|%-10s|", "right", "left");
		compare("%d %s %u %s %llx %s %zu", -1, "a", 2u, "b", 3ull, "c", (size_t)4);
		compare("%hhd %hhu %hd %hu", 300, 300, 70000, 70000);
		compare("%#o %#x %#X %#.0o %#.0x %.0d|", 0, 0, 0, 0, 0, 0);
		compare("%0*d", -10, 5);
		compare("%-010d|", 5);
		compare("%300d|%-300d|", 1, 2);
		compare("%.100d", 12345);
	}
	assert_int_equal(snprintf(buf, sizeof(buf), "%p", (const void *)nowhere), 3);
	assert_string_equal(buf, "0x0");
	assert_int_equal(snprintf(NULL, 0, "%d", 12345), 5);
	/* cppcheck-suppress nullPointer */
	assert_int_equal(snprintf(buf, sizeof(buf), "%s|%8s|%.3s", nowhere, nowhere, nowhere), 19);
	assert_string_equal(buf, "(null)|  (null)|(nu");
}

/* Not standard, so without the compiler's check: printed as they stand. */
static void test_unknown(void **state maybe_unused)
{
	const char *const formats[] = {"%y", "a%", "%-5.3q|", "%l", "%n"};
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		int (*const format)(char *, size_t, const char *, ...) = snprintf;

		assert_int_equal(format(buf, sizeof(buf), formats[i]), strlen(formats[i]));
		assert_string_equal(buf, formats[i]);
	}
}

struct counting_sink {
	struct fmt_sink sink;
	size_t len, pieces;
	char text[64];
};

static void count_put(struct fmt_sink *sink, const char *text, size_t len)
{
	struct counting_sink *counting = container_of(sink, struct counting_sink, sink);

	memcpy(counting->text + counting->len, text, len);
	counting->len += len;
	counting->pieces++;
}

static void test_sink(void **state maybe_unused)
{
	struct counting_sink counting = {.sink.put = count_put};

	assert_int_equal(fmt_print(&counting.sink, "boot: %u CPUs, %s", 4u, "fine"), 18);
	counting.text[counting.len] = '\0';
	assert_string_equal(counting.text, "boot: 4 CPUs, fine");
	assert_int_equal(counting.pieces, 4);
}

int printf_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_integers),
		cmocka_unit_test(test_random_strings),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_sink),
	};

	return cmocka_run_group_tests_name("printf", tests, NULL, NULL);
}
