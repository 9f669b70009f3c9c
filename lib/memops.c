/*
 * memcpy, memmove and memset in C, for kernels whose architecture has no assembly for them, and for the host tests.
 *
 * Words of eight bytes at any alignment: both architectures do unaligned loads of ordinary memory at full speed. The
 * loops must not be turned back into calls of the functions they implement, hence the pragma (clang does not when
 * freestanding).
 */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#include "lib/string.h"
#include "lib/unaligned.h"

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	for (; len >= 8; len -= 8, d += 8, s += 8)
		store_le64(d, load_le64(s));
	for (; len; len--)
		*d++ = *s++;
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if ((uintptr_t)d - (uintptr_t)s >= len) { /* the destination does not begin inside the source: go upwards */
		for (; len >= 8; len -= 8, d += 8, s += 8)
			store_le64(d, load_le64(s));
		for (; len; len--)
			*d++ = *s++;
		return to;
	}
	while (len >= 8) {
		len -= 8;
		store_le64(d + len, load_le64(s + len));
	}
	while (len) {
		len--;
		d[len] = s[len];
	}
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	uint8_t *d = to;
	uint64_t word = (uint8_t)byte * 0x0101010101010101ull;

	for (; len >= 8; len -= 8, d += 8)
		store_le64(d, word);
	for (; len; len--)
		*d++ = (uint8_t)byte;
	return to;
}
