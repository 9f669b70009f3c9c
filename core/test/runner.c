/*
 * Tests of the test runner: one that fails and one that leaks.  They only do so when they are asked for by name
 * (tests/boot/integration.py); in a run of all tests they are skipped.
 */
#include "core/ktest.h"
#include "core/options.h"
#include "lib/string.h"
#include "mm/page.h"

static void skip_unless_asked_for(void)
{
	if (!options.ktest || !str_skip_prefix(options.ktest, "runner."))
		ktest_skip("fails on purpose; by name only");
}

KTEST(runner, failed_check)
{
	skip_unless_asked_for();
	KTEST_EQ(6 * 7, 54);
}

KTEST(runner, false_condition)
{
	skip_unless_asked_for();
	KTEST_TRUE(options.ktest == NULL);
}

KTEST(runner, leak)
{
	skip_unless_asked_for();
	struct page *p = page_alloc(2, 0);
	KTEST_TRUE(p != NULL);
}
