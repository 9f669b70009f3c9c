/*
 * In-kernel tests, registered where they are written:
 *
 *     KTEST(mm, buddy_merges)
 *     {
 *             KTEST_EQ(page_order(p), 3);
 *     }
 *
 * They run in the ktest image as a kernel thread after the boot list, in file and line order, one after the other, and
 * may sleep. A failed check ends that test only.  After each test the runner checks that no page is missing
 * (KTEST_LEAKY says why it can't).
 */
#pragma once

#include "lib/types.h"

struct ktest {
	const char *area, *name, *file;
	int line;
	void (*run)(void);
};

#define KTEST(area_, name_)                                                                    \
	static void ktest_##area_##_##name_(void);                                             \
	static const struct ktest ktest_desc_##area_##_##name_ in_section(".ktests")           \
		aligned_to(8) = {#area_, #name_, __FILE__, __LINE__, ktest_##area_##_##name_}; \
	static void ktest_##area_##_##name_(void)

/* Records the failure and ends the running test. */
noreturn void ktest_fail(const char *file, int line, const char *fmt, ...) printf_like(3, 4);
/* Ends the running test as skipped, with its reason printed. */
noreturn void ktest_skip(const char *reason);

#define KTEST_TRUE(cond)                                                      \
	do {                                                                  \
		if (!(cond))                                                  \
			ktest_fail(__FILE__, __LINE__, "%s is false", #cond); \
	} while (0)
#define KTEST_EQ(a, b)                                                                                                \
	do {                                                                                                          \
		long long ktest_a_ = (long long)(a), ktest_b_ = (long long)(b);                                       \
		if (ktest_a_ != ktest_b_)                                                                             \
			ktest_fail(__FILE__, __LINE__, "%s is %lld, expected %s = %lld", #a, ktest_a_, #b, ktest_b_); \
	} while (0)

/* Runs all, or those whose "area.name" starts with filter; returns how many failed. Thread context. */
unsigned ktest_run(const char *filter);
/* Panics in the way named, for tests of the report (core/test/panic.c); a name it does not know ends QEMU with
 * code 2. */
noreturn void ktest_panic(const char *how);
/* Runs all (or those whose "area.name" starts with filter) and exits QEMU. */
noreturn void ktest_run_all(const char *filter);
