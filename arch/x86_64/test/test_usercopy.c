/*
 * The fix-ups of usercopy.S: what is reported not copied must be exact to the byte, and what is reported copied must be
 * there.
 *
 * The "program's memory" is a page of the kernel image in front of one that is taken out of the page tables: to the
 * instructions it is all the same, and portable trap code has nothing to resolve there.
 */
#include <arch/mmu.h>
#include <arch/usercopy.h>

#include "arch/x86_64/internal.h"
#include "core/ktest.h"
#include "lib/string.h"

static uint8_t pages[2][PAGE_SIZE] aligned_to(PAGE_SIZE);
static uint8_t kernel_side[PAGE_SIZE * 2];

static uint64_t *pte_of(const void *p)
{
	uint64_t va = (uint64_t)p;
	uint64_t *table = direct_map(mmu_kernel_root().v);

	for (unsigned level = PT_LEVELS - 1; level > 0; level--)
		table = direct_map(pte_paddr((pte_t){table[PT_INDEX(va, level)]}).v);
	return &table[PT_INDEX(va, 0)];
}

/* Takes the second page away (returns its entry) or puts it back. */
static uint64_t page_take(void)
{
	uint64_t *pte = pte_of(pages[1]);
	uint64_t old = *pte;

	*pte = 0;
	mmu_flush_page_local(vaddr_of(pages[1]));
	return old;
}

static void page_put_back(uint64_t entry)
{
	*pte_of(pages[1]) = entry;
	mmu_flush_page_local(vaddr_of(pages[1]));
}

static const size_t lengths[] = {0,  1,	 2,  3,	 4,  5,	 7,  8,	 9,   12,  15,	 16,
				 17, 23, 24, 31, 32, 33, 63, 64, 100, 255, 1000, 4096};

typedef size_t copy_fn(uint64_t user, size_t len);

static size_t copy_from(uint64_t user, size_t len)
{
	return arch_copy_from_user(kernel_side, user, len);
}

static size_t copy_to(uint64_t user, size_t len)
{
	return arch_copy_to_user(user, kernel_side, len);
}

static size_t clear(uint64_t user, size_t len)
{
	return arch_clear_user(user, len);
}

/* Runs fn(len bytes, of which `good` are there) for all pairs; returns the first wrong (len << 16 | good), or -1. */
static long wrong_counts(copy_fn *fn)
{
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (size_t good = 0; good <= MIN(lengths[i] + 3, 80); good++) {
			uint64_t entry = page_take();
			size_t left = fn((uint64_t)(uint8_t *)pages + PAGE_SIZE - good, lengths[i]);

			page_put_back(entry);
			if (left != (good < lengths[i] ? lengths[i] - good : 0))
				return (long)(lengths[i] << 16 | good);
		}
	}
	return -1;
}

KTEST(arch, usercopy_counts_from)
{
	KTEST_EQ(wrong_counts(copy_from), -1);
}

KTEST(arch, usercopy_counts_to)
{
	KTEST_EQ(wrong_counts(copy_to), -1);
}

KTEST(arch, usercopy_counts_clear)
{
	KTEST_EQ(wrong_counts(clear), -1);
}

KTEST(arch, usercopy_contents)
{
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (size_t good = 0; good <= MIN(lengths[i], 40); good++) {
			uint8_t *user = (uint8_t *)pages + PAGE_SIZE - good;
			uint64_t entry;

			for (size_t k = 0; k < sizeof(kernel_side); k++)
				kernel_side[k] = (uint8_t)(k * 3 + 5);
			memset(pages[0], 0xee, PAGE_SIZE);
			entry = page_take();
			KTEST_EQ(arch_copy_to_user((uint64_t)user, kernel_side, lengths[i]), lengths[i] - good);
			memset(kernel_side, 0xcc, sizeof(kernel_side));
			KTEST_EQ(arch_copy_from_user(kernel_side, (uint64_t)user, lengths[i]), lengths[i] - good);
			page_put_back(entry);
			for (size_t k = 0; k < good; k++) {
				KTEST_EQ(user[k], (uint8_t)(k * 3 + 5));
				KTEST_EQ(kernel_side[k], (uint8_t)(k * 3 + 5));
			}
			KTEST_EQ(user[-1], 0xee);
			KTEST_EQ(kernel_side[lengths[i]], 0xcc);
		}
	}
}

KTEST(arch, usercopy_strings)
{
	static char to[64];

	for (size_t len = 0; len < 20; len++) {
		for (size_t behind = 0; behind < 12; behind++) { /* mapped bytes after the NUL */
			uint8_t *s = (uint8_t *)pages + PAGE_SIZE - behind - len - 1;
			int64_t done;
			uint64_t entry;

			memset(pages[0], 'x', PAGE_SIZE);
			s[len] = 0;
			entry = page_take();
			done = arch_strncpy_from_user(to, (uint64_t)s, sizeof(to));
			page_put_back(entry);
			KTEST_EQ(done, len);
			KTEST_EQ(strlen(to), len);
		}
	}
	memset(pages[0], 'x', PAGE_SIZE);
	for (size_t good = 0; good < 20; good++) {
		uint64_t entry = page_take();
		int64_t unterminated = arch_strncpy_from_user(to, (uint64_t)(uint8_t *)pages + PAGE_SIZE - good,
							      sizeof(to));
		int64_t limited = arch_strncpy_from_user(to, (uint64_t)(uint8_t *)pages + PAGE_SIZE - good, good);

		page_put_back(entry);
		KTEST_EQ(unterminated, -1);
		KTEST_EQ(limited, good);
	}
}

KTEST(arch, usercopy_words)
{
	uint64_t bad = (uint64_t)pages[1], entry;
	uint64_t v64 = 1;
	uint32_t v32 = 2, old = 3;
	int failures[5];

	entry = page_take();
	failures[0] = arch_get_user_u32(&v32, bad);
	failures[1] = arch_get_user_u64(&v64, bad);
	failures[2] = arch_put_user_u32(bad, 0);
	failures[3] = arch_put_user_u64(bad, 0);
	failures[4] = arch_cmpxchg_user_u32(bad, 0, 1, &old);
	page_put_back(entry);
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		KTEST_EQ(failures[i], -1);
	KTEST_EQ(v32, 2);
	KTEST_EQ(v64, 1);
	KTEST_EQ(old, 3);

	KTEST_EQ(arch_put_user_u64(bad, 0x1122334455667788), 0);
	KTEST_EQ(arch_get_user_u64(&v64, bad), 0);
	KTEST_EQ(v64, 0x1122334455667788);
	KTEST_EQ(arch_get_user_u32(&v32, bad), 0);
	KTEST_EQ(v32, 0x55667788);
	KTEST_EQ(arch_cmpxchg_user_u32(bad, 1, 2, &old), 0);
	KTEST_EQ(old, 0x55667788);
	KTEST_EQ(arch_cmpxchg_user_u32(bad, 0x55667788, 2, &old), 0);
	KTEST_EQ(arch_get_user_u32(&v32, bad), 0);
	KTEST_EQ(v32, 2);
}
