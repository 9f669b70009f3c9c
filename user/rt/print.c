/* printf(): the kernel's formatter (lib/printf.h) with standard output behind it. */
#include "user/rt/rt.h"

static void put(const char *text, size_t len)
{
	while (len > 0) {
		long n = sys_write(1, text, len);
		if (n <= 0)
			return; /* nobody to tell */
		text += n;
		len -= (size_t)n;
	}
}

int printf(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put(line, MIN((size_t)n, sizeof(line) - 1));
	return n;
}
