/*
 * Strings, the read-only memory functions, and number parsing.
 *
 * strlen and memchr read aligned words of eight bytes: such a word never crosses a page, so reading past the end of the
 * string inside it is harmless to the machine; the address sanitizer, which sees bytes, is told to look away there.
 */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#include "lib/string.h"

#include <linux/errno.h>

#include "lib/unaligned.h"

#define READS_WHOLE_WORDS __attribute__((__no_sanitize__("address")))
#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

typedef uint64_t __attribute__((__may_alias__)) string_word;

/* Nonzero if a byte of `word` is zero; its lowest set bit is the high bit of the lowest zero byte. */
static inline uint64_t zero_bytes(uint64_t word)
{
	return (word - ONES) & ~word & HIGHS;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *x = a, *y = b;

	for (; len >= 8 && load_le64(x) == load_le64(y); len -= 8) {
		x += 8;
		y += 8;
	}
	for (; len; len--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

READS_WHOLE_WORDS void *memchr(const void *mem, int byte, size_t len)
{
	const uint8_t *p = mem;
	uint64_t pattern = (uint8_t)byte * ONES;

	for (; len && (uintptr_t)p % 8; len--, p++) {
		if (*p == (uint8_t)byte)
			return (void *)p;
	}
	for (; len >= 8; len -= 8, p += 8) {
		uint64_t hit = zero_bytes(*(const string_word *)p ^ pattern);

		if (hit)
			return (void *)(p + __builtin_ctzll(hit) / 8);
	}
	for (; len; len--, p++) {
		if (*p == (uint8_t)byte)
			return (void *)p;
	}
	return NULL;
}

READS_WHOLE_WORDS size_t strlen(const char *s)
{
	const char *p = s;
	uint64_t hit;

	for (; (uintptr_t)p % 8; p++) {
		if (!*p)
			return p - s;
	}
	while (!(hit = zero_bytes(*(const string_word *)p)))
		p += 8;
	return p - s + __builtin_ctzll(hit) / 8;
}

size_t strnlen(const char *s, size_t max)
{
	const char *end = memchr(s, 0, max);

	return end ? (size_t)(end - s) : max;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (; max; max--, a++, b++) {
		if (*a != *b)
			return (uint8_t)*a - (uint8_t)*b;
		if (!*a)
			break;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++) {
		if (!*s)
			return NULL;
	}
	return (char *)s;
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	do {
		if (*s == (char)c)
			last = s;
	} while (*s++);
	return (char *)last;
}

char *strstr(const char *s, const char *needle)
{
	size_t needle_len = strlen(needle);

	if (!needle_len)
		return (char *)s;
	while ((s = strchr(s, needle[0]))) {
		if (strncmp(s, needle, needle_len) == 0)
			return (char *)s;
		s++;
	}
	return NULL;
}

size_t strlcpy(char *to, const char *from, size_t size)
{
	size_t len = strlen(from);

	if (size) {
		size_t kept = MIN(len, size - 1);

		memcpy(to, from, kept);
		to[kept] = '\0';
	}
	return len;
}

const char *str_skip_prefix(const char *s, const char *prefix)
{
	while (*prefix) {
		if (*s++ != *prefix++)
			return NULL;
	}
	return s;
}

/* The value of a digit in any base, or something larger than every base. */
static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 255;
}

int str_to_u64(const char *s, unsigned int base, uint64_t *out)
{
	uint64_t value = 0;
	bool overflow = false;

	if (base == 0 || base == 16) {
		if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
			base = 16;
			s += 2;
		} else if (base == 0) {
			base = s[0] == '0' ? 8 : 10;
		}
	}
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned int digit = digit_value(*s);

		if (digit >= base)
			return -EINVAL;
		overflow |= __builtin_mul_overflow(value, base, &value);
		overflow |= __builtin_add_overflow(value, digit, &value);
	}
	if (overflow)
		return -ERANGE;
	*out = value;
	return 0;
}

int str_to_s64(const char *s, unsigned int base, int64_t *out)
{
	bool negative = *s == '-';
	uint64_t magnitude;
	int error = str_to_u64(s + negative, base, &magnitude);

	if (error)
		return error;
	if (magnitude > (uint64_t)INT64_MAX + negative)
		return -ERANGE;
	*out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return 0;
}
