/* Searches and range operations on bitmaps, a word at a time. */
#include "lib/bitmap.h"

/* The first bit at or after `from` in map ^ flip that is set. */
static always_inline size_t next_bit(const uint64_t *map, size_t bits, size_t from, uint64_t flip)
{
	size_t word = from / BITMAP_WORD_BITS;
	uint64_t value;

	if (from >= bits)
		return bits;
	value = (map[word] ^ flip) & ~0ull << from % BITMAP_WORD_BITS;
	while (!value) {
		if (++word >= BITMAP_WORDS(bits))
			return bits;
		value = map[word] ^ flip;
	}
	from = word * BITMAP_WORD_BITS + __builtin_ctzll(value);
	return MIN(from, bits); /* the last word may have bits beyond the map */
}

size_t bitmap_next_zero(const uint64_t *map, size_t bits, size_t from)
{
	return next_bit(map, bits, from, ~0ull);
}

size_t bitmap_next_set(const uint64_t *map, size_t bits, size_t from)
{
	return next_bit(map, bits, from, 0);
}

size_t bitmap_next_zero_run(const uint64_t *map, size_t bits, size_t from, size_t run)
{
	for (;;) {
		size_t start = bitmap_next_zero(map, bits, from);

		if (start >= bits || bits - start < run)
			return bits;
		from = bitmap_next_set(map, start + run, start);
		if (from == start + run)
			return start;
	}
}

/* The bits of word `word` that are in [start, end). */
static inline uint64_t range_mask(size_t word, size_t start, size_t end)
{
	size_t base = word * BITMAP_WORD_BITS;
	uint64_t mask = ~0ull;

	if (start > base)
		mask &= ~0ull << (start - base);
	if (end - base < BITMAP_WORD_BITS)
		mask &= ~(~0ull << (end - base));
	return mask;
}

void bitmap_set_range(uint64_t *map, size_t start, size_t count)
{
	size_t end = start + count;

	for (size_t word = start / BITMAP_WORD_BITS; word * BITMAP_WORD_BITS < end && count; word++)
		map[word] |= range_mask(word, start, end);
}

void bitmap_clear_range(uint64_t *map, size_t start, size_t count)
{
	size_t end = start + count;

	for (size_t word = start / BITMAP_WORD_BITS; word * BITMAP_WORD_BITS < end && count; word++)
		map[word] &= ~range_mask(word, start, end);
}

/* Population count without the POPCNT instruction, which not every x86-64 has: sums in fields that double in width. */
static inline unsigned int count_ones(uint64_t v)
{
	v -= v >> 1 & 0x5555555555555555ull;
	v = (v & 0x3333333333333333ull) + (v >> 2 & 0x3333333333333333ull);
	v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return v * 0x0101010101010101ull >> 56;
}

size_t bitmap_count(const uint64_t *map, size_t bits)
{
	size_t total = 0;

	for (size_t word = 0; word < BITMAP_WORDS(bits); word++)
		total += count_ones(map[word] & range_mask(word, 0, bits));
	return total;
}
