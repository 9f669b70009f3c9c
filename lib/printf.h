/*
 * Formatted output: the C library's printf family without floating point.
 *
 * Conversions: d i u x X o c s p %%; lengths hh h l ll z t j; flags - + space # 0; width and precision, also as `*`.
 * As in glibc except: %p of NULL prints 0x0, there is no %n, and an unknown conversion is printed as it stands.
 * A NULL string prints "(null)". Nothing here allocates or locks; it may be called from any context.
 */
#pragma once

#include <stdarg.h>

#include "lib/types.h"

#if __STDC_HOSTED__ /* see lib/string.h */
#include <stdio.h>
#undef snprintf
#undef vsnprintf
#define snprintf lib_snprintf
#define vsnprintf lib_vsnprintf
#endif

/* Where formatted text goes, piece by piece (not NUL-terminated). Embedded in the caller's own structure. */
struct fmt_sink {
	void (*put)(struct fmt_sink *sink, const char *text, size_t len);
};

/* Format into a sink; the number of characters produced (at most INT_MAX is reported). */
int fmt_vprint(struct fmt_sink *sink, const char *fmt, va_list args) printf_like(2, 0);
int fmt_print(struct fmt_sink *sink, const char *fmt, ...) printf_like(2, 3);

/* Format into `size` bytes, NUL-terminated unless size is 0. Returns the length the whole text has: >= size
 * means cut. */
int vsnprintf(char *to, size_t size, const char *fmt, va_list args) printf_like(3, 0);
int snprintf(char *to, size_t size, const char *fmt, ...) printf_like(3, 4);
