/* memcpy, memmove, memset of string.S against plain loops, at every alignment and around every length where a path
 * changes. */
#include <arch/layout.h>
#include <arch/page.h>

#include "core/ktest.h"
#include "lib/string.h"

#define AREA 512

static uint8_t got[AREA], want[AREA], source[AREA];

static void fill(uint8_t *p, unsigned seed)
{
	for (unsigned i = 0; i < AREA; i++)
		p[i] = (uint8_t)(i * 7 + seed * 31 + 1);
}

/* Not optimised into a call of what it checks. */
static void move_plain(uint8_t *to, const uint8_t *from, size_t len)
{
	volatile uint8_t *d = to;

	if (to <= from) {
		for (size_t i = 0; i < len; i++)
			d[i] = from[i];
	} else {
		for (size_t i = len; i-- > 0;)
			d[i] = ((const volatile uint8_t *)from)[i];
	}
}

static bool same(void)
{
	for (unsigned i = 0; i < AREA; i++) {
		if (got[i] != want[i])
			return false;
	}
	return true;
}

static size_t next_len(size_t len)
{
	return len < 72 ? len + 1 : len + 37;
}

KTEST(arch, memcpy_all_alignments)
{
	for (unsigned to = 0; to < 16; to++) {
		for (unsigned from = 0; from < 16; from++) {
			for (size_t len = 0; len < 200; len = next_len(len)) {
				fill(got, 1);
				fill(want, 1);
				fill(source, 2);
				move_plain(want + 64 + to, source + 64 + from, len);
				KTEST_TRUE(memcpy(got + 64 + to, source + 64 + from, len) == got + 64 + to);
				KTEST_TRUE(same());
			}
		}
	}
}

KTEST(arch, memmove_all_overlaps)
{
	for (int distance = -70; distance <= 70; distance++) {
		for (size_t len = 0; len < 200; len = next_len(len)) {
			fill(got, 3);
			fill(want, 3);
			move_plain(want + 128 + distance, want + 128, len);
			KTEST_TRUE(memmove(got + 128 + distance, got + 128, len) == got + 128 + distance);
			KTEST_TRUE(same());
		}
	}
}

KTEST(arch, memset_all_alignments)
{
	for (unsigned to = 0; to < 16; to++) {
		for (size_t len = 0; len < 200; len = next_len(len)) {
			fill(got, 4);
			fill(want, 4);
			for (size_t i = 0; i < len; i++)
				((volatile uint8_t *)want)[64 + to + i] = 0xa5;
			KTEST_TRUE(memset(got + 64 + to, 0x7a5, len) == got + 64 + to);
			KTEST_TRUE(same());
		}
	}
}

KTEST(arch, page_helpers)
{
	static uint8_t pages[4][PAGE_SIZE] aligned_to(PAGE_SIZE);

	for (unsigned i = 0; i < PAGE_SIZE; i++) {
		pages[0][i] = 0x11;
		pages[1][i] = (uint8_t)(i ^ i >> 8);
		pages[2][i] = 0x22;
		pages[3][i] = 0x33;
	}
	page_clear(pages[2]);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		KTEST_EQ(pages[2][i], 0);
	page_copy(pages[2], pages[1]);
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		KTEST_EQ(pages[2][i], (uint8_t)(i ^ i >> 8));
	KTEST_EQ(pages[1][PAGE_SIZE - 1], (uint8_t)(4095 ^ 4095 >> 8));
	KTEST_EQ(pages[3][0], 0x33);
}
