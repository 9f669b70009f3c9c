/*
 * The only way to a program's memory.  Each value is fetched once; check what you copied, not what lies there.
 *
 * All may sleep (a page may have to be brought in), except with interrupts off: then a page that is not there makes
 * them fail with -EFAULT at once.  On -EFAULT the destination may be partly written.
 */
#pragma once

#include <arch/layout.h>
#include <arch/usercopy.h>
#include "lib/types.h"
#include "mm/kasan.h"

static always_inline bool user_range_ok(uptr_t p, size_t len)
{
	return p.v < USER_VA_END && len <= USER_VA_END - p.v;
}

#include <asm/errno.h>

static inline must_check int copy_from_user(void *dst, uptr_t src, size_t len)
{
	if (CONFIG_KASAN)
		kasan_check((uint64_t)dst, len, true);
	return user_range_ok(src, len) && arch_copy_from_user(dst, src.v, len) == 0 ? 0 : -EFAULT;
}

static inline must_check int copy_to_user(uptr_t dst, const void *src, size_t len)
{
	if (CONFIG_KASAN)
		kasan_check((uint64_t)src, len, false);
	return user_range_ok(dst, len) && arch_copy_to_user(dst.v, src, len) == 0 ? 0 : -EFAULT;
}

static inline must_check int clear_user(uptr_t dst, size_t len)
{
	return user_range_ok(dst, len) && arch_clear_user(dst.v, len) == 0 ? 0 : -EFAULT;
}

static inline must_check int get_user_u32(uint32_t *v, uptr_t src)
{
	return user_range_ok(src, 4) && arch_get_user_u32(v, src.v) == 0 ? 0 : -EFAULT;
}

static inline must_check int put_user_u32(uptr_t dst, uint32_t v)
{
	return user_range_ok(dst, 4) && arch_put_user_u32(dst.v, v) == 0 ? 0 : -EFAULT;
}

static inline must_check int get_user_u64(uint64_t *v, uptr_t src)
{
	return user_range_ok(src, 8) && arch_get_user_u64(v, src.v) == 0 ? 0 : -EFAULT;
}

static inline must_check int put_user_u64(uptr_t dst, uint64_t v)
{
	return user_range_ok(dst, 8) && arch_put_user_u64(dst.v, v) == 0 ? 0 : -EFAULT;
}

/* Length without NUL; -EFAULT; -ENAMETOOLONG when there is no NUL within size (dst then holds no string). */
static inline must_check int64_t strncpy_from_user(char *dst, uptr_t src, size_t size)
{
	if (src.v >= USER_VA_END)
		return -EFAULT;
	size_t room = MIN(size, USER_VA_END - src.v);
	int64_t n = arch_strncpy_from_user(dst, src.v, room);
	if (n < 0)
		return -EFAULT;
	if ((size_t)n == room)
		return room == size ? -ENAMETOOLONG : -EFAULT;
	return n;
}
