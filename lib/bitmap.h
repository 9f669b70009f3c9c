/*
 * Bitmaps in 64-bit words, bit 0 being the lowest bit of word 0. Positions and lengths are in bits (`size_t`). Nothing
 * here is atomic: the user names the lock. A search that finds nothing returns `bits`, the size of the map.
 */
#pragma once

#include "lib/types.h"

#define BITMAP_WORD_BITS 64u
#define BITMAP_WORDS(bits) (((bits) + BITMAP_WORD_BITS - 1) / BITMAP_WORD_BITS)

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
	return map[bit / BITMAP_WORD_BITS] >> (bit % BITMAP_WORD_BITS) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
	map[bit / BITMAP_WORD_BITS] |= BIT(bit % BITMAP_WORD_BITS);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
	map[bit / BITMAP_WORD_BITS] &= ~BIT(bit % BITMAP_WORD_BITS);
}

/* Returns the previous value. */
static inline bool bitmap_test_and_set(uint64_t *map, size_t bit)
{
	bool old = bitmap_test(map, bit);

	bitmap_set(map, bit);
	return old;
}

static inline bool bitmap_test_and_clear(uint64_t *map, size_t bit)
{
	bool old = bitmap_test(map, bit);

	bitmap_clear(map, bit);
	return old;
}

/* The first clear/set bit at or after `from`, or `bits`. `from` may be >= bits. */
size_t bitmap_next_zero(const uint64_t *map, size_t bits, size_t from);
size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from);

static inline size_t bitmap_first_zero(const uint64_t *map, size_t bits)
{
	return bitmap_next_zero(map, bits, 0);
}

static inline size_t bitmap_first_set(const uint64_t *map, size_t bits)
{
	return bitmap_next_set(map, bits, 0);
}

/* The first run of `run` (> 0) clear bits that starts at or after `from`, or `bits`. */
size_t bitmap_next_zero_run(const uint64_t *map, size_t bits, size_t from, size_t run);

/* Sets or clears `count` bits from `start`; the map must be that large. */
void bitmap_set_range(uint64_t *map, size_t start, size_t count);
void bitmap_clear_range(uint64_t *map, size_t start, size_t count);

/* The number of set bits among the first `bits`. */
size_t bitmap_count(const uint64_t *map, size_t bits);
