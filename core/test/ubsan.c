/*
 * Planted undefined behaviour: each kind must be reported at its line with its values.  Only in SAN=ubsan builds.
 */
#include "core/ktest.h"
#include "core/sanitizer.h"
#include "lib/string.h"

/* What the compiler must not know. */
static volatile int seven = 7, zero, top = INT32_MAX, bottom = INT32_MIN;
static volatile unsigned forty = 40;
static volatile int sink;

static void expect(void (*planted)(void), const char *what)
{
	san_expect_begin();
	planted();
	const char *report = san_expect_end();

	if (!strstr(report, what) || !strstr(report, "UBSAN: core/test/ubsan.c:"))
		ktest_fail(__FILE__, __LINE__, "expected \"%s\" in: %s", what, report);
	if (!strstr(report, "ktest_core_ubsan") && !strstr(report, "test_thread"))
		ktest_fail(__FILE__, __LINE__, "no backtrace in: %s", report);
}

static noinline void add_overflows(void)
{
	sink = top + seven;
}

static noinline void multiplication_overflows(void)
{
	sink = top * seven;
}

static noinline void negation_overflows(void)
{
	sink = -bottom;
}

static noinline void shift_too_far(void)
{
	sink = seven << forty;
}

static noinline void index_out_of_bounds(void)
{
	static int table[5];

	sink = table[seven]; /* what lies there is another static object, or alignment */
}

static noinline void bool_with_a_third_value(void)
{
	static uint8_t byte = 2;
	volatile bool *b = (volatile bool *)&byte;

	sink = *b;
}

static noinline void null_member(void)
{
	struct pair {
		int first, second;
	} *volatile p = NULL;
	int *volatile second = &p->second;

	sink = second != NULL;
}

KTEST(core, ubsan_signed_overflow)
{
	expect(add_overflows, "2147483647 + 7 overflows 'int'");
	expect(multiplication_overflows, "2147483647 * 7 overflows 'int'");
	expect(negation_overflows, "-(-2147483648) overflows 'int'");
}

KTEST(core, ubsan_shift)
{
	expect(shift_too_far, "7, a 'int', shifted by 40");
}

KTEST(core, ubsan_bounds)
{
	expect(index_out_of_bounds, "index 7 is outside 'int");
}

KTEST(core, ubsan_values)
{
	expect(bool_with_a_third_value, "load of 2, which is no value of");
}

KTEST(core, ubsan_null)
{
	expect(null_member, "a null pointer of type 'struct pair'");
}

/* A place is reported once, unless a test waits for it; and an unexpected report is counted. */
KTEST(core, ubsan_counts_what_is_not_expected)
{
	uint32_t before = san_reports;

	expect(shift_too_far, "shifted by 40");
	KTEST_EQ(san_reports, before);
	KTEST_EQ(zero, 0);
}
