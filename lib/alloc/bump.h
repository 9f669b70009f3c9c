/*
 * Bump allocation: a cursor that only moves one way.  Theory in bump.c.
 */
#pragma once

#include "lib/types.h"

/* Where `len` bytes go at the end of the free addresses [low, cursor), aligned down; the result is the new cursor. 0 if
 * there is no room (so 0 must not be a usable address). align is a power of two. */
static inline uint64_t bump_place(uint64_t low, uint64_t cursor, uint64_t len, uint64_t align)
{
	if (cursor <= low || cursor - low < len)
		return 0;

	uint64_t at = ALIGN_DOWN(cursor - len, align);

	return at >= low ? at : 0;
}
