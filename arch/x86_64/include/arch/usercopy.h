/*
 * The only instructions that touch a program's memory.  Each opens SMAP's window around itself and, when the access
 * faults and the fault cannot be resolved, resumes at its own fix-up (arch trap code looks the address up in the
 * exception table). Callers go through mm/usercopy.h, which checks the range first; these do not.
 * Context: thread, may fault and so may sleep; with faults disabled (see mm/usercopy.h) they fail instead.
 */
#pragma once

#include "lib/types.h"

/* Return the number of bytes NOT copied (0 = all). */
size_t arch_copy_from_user(void *dst, uint64_t src, size_t len);
size_t arch_copy_to_user(uint64_t dst, const void *src, size_t len);
size_t arch_clear_user(uint64_t dst, size_t len);
/* Bytes before the NUL, copied with it; len if there was none within len; -1 if a byte could not be read. */
int64_t arch_strncpy_from_user(char *dst, uint64_t src, size_t len);
/* One aligned 32-bit word. 0, or -1 on a fault. */
int arch_get_user_u32(uint32_t *value, uint64_t src);
int arch_put_user_u32(uint64_t dst, uint32_t value);
int arch_get_user_u64(uint64_t *value, uint64_t src);
int arch_put_user_u64(uint64_t dst, uint64_t value);
/* Atomically: old = *p; if (old == expect) *p = desired.  0 and *old set, or -1 on a fault. */
int arch_cmpxchg_user_u32(uint64_t p, uint32_t expect, uint32_t desired, uint32_t *old);
