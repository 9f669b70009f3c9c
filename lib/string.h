/*
 * The C library's memory and string functions, with C's semantics, and strict number parsing.
 *
 * In the kernel they carry their own names, since the compiler calls memcpy, memmove, memset and memcmp by itself. The
 * x86 kernel takes memcpy, memmove and memset from arch/x86_64/string.S and leaves lib/memops.c out. On the host
 * (__STDC_HOSTED__) the C library's stay what they are and ours are called lib_memcpy and so on; the names are mapped
 * here, so the rest of lib/ is built against our own functions and its tests exercise them.
 */
#pragma once

#include "lib/types.h"

#if __STDC_HOSTED__
#include <string.h>
#define memcpy lib_memcpy
#define memmove lib_memmove
#define memset lib_memset
#define memcmp lib_memcmp
#define memchr lib_memchr
#define strlen lib_strlen
#define strnlen lib_strnlen
#define strcmp lib_strcmp
#define strncmp lib_strncmp
#define strchr lib_strchr
#define strrchr lib_strrchr
#define strstr lib_strstr
#define strlcpy lib_strlcpy
#endif

/* lib/memops.c or arch/x86_64/string.S */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);

int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *mem, int byte, size_t len);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *needle);

/*
 * Copies `from` into the `size` bytes at `to`, cut short if need be and always NUL-terminated (unless size is 0).
 * Returns strlen(from): a result >= size means it was cut.
 */
size_t strlcpy(char *to, const char *from, size_t size);

static inline bool str_equal(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* What follows `prefix` in `s`, or NULL if `s` does not begin with it. */
const char *str_skip_prefix(const char *s, const char *prefix);

/*
 * The whole of `s` as an unsigned number, strictly: no blanks, no sign, nothing after the digits. `base` is 2..16, or 0
 * for C's notation (0x…, 0…, decimal); "0x" is also accepted with base 16.
 * 0, -EINVAL (not a number, or empty) or -ERANGE (does not fit).
 */
int must_check str_to_u64(const char *s, unsigned int base, uint64_t *out);

/* The same with an optional leading '-'. */
int must_check str_to_s64(const char *s, unsigned int base, int64_t *out);
