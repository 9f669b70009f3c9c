/*
 * Memory functions that check their operands: what memcpy and its relatives are in SAN=kasan builds.
 *
 * The assembly they stand before cannot be instrumented by the compiler, and most copies go through it.
 */
#include <arch/page.h>

#include "lib/string.h"
#include "mm/kasan_internal.h"

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	kasan_check((uint64_t)from, len, false);
	kasan_check((uint64_t)to, len, true);
	return kasan_plain_memcpy(to, from, len);
}

void *memmove(void *to, const void *from, size_t len)
{
	kasan_check((uint64_t)from, len, false);
	kasan_check((uint64_t)to, len, true);
	return kasan_plain_memmove(to, from, len);
}

void *memset(void *to, int byte, size_t len)
{
	kasan_check((uint64_t)to, len, true);
	return kasan_plain_memset(to, byte, len);
}

void page_clear(void *page)
{
	kasan_check((uint64_t)page, PAGE_SIZE, true);
	kasan_plain_page_clear(page);
}

void page_copy(void *to, const void *from)
{
	kasan_check((uint64_t)from, PAGE_SIZE, false);
	kasan_check((uint64_t)to, PAGE_SIZE, true);
	kasan_plain_page_copy(to, from);
}
