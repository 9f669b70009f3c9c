/*
 * Reads and writes of numbers at any address and in little-endian order, as file formats and devices have them. Both
 * architectures are little-endian and load unaligned words in one instruction, so these are plain loads and stores.
 */
#pragma once

#include "lib/types.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "lib/unaligned.h knows little-endian machines only"
#endif

struct unaligned_u16 {
	uint16_t v;
} __attribute__((__packed__, __may_alias__));
struct unaligned_u32 {
	uint32_t v;
} __attribute__((__packed__, __may_alias__));
struct unaligned_u64 {
	uint64_t v;
} __attribute__((__packed__, __may_alias__));

static always_inline uint16_t load_le16(const void *p)
{
	return ((const struct unaligned_u16 *)p)->v;
}

static always_inline uint32_t load_le32(const void *p)
{
	return ((const struct unaligned_u32 *)p)->v;
}

static always_inline uint64_t load_le64(const void *p)
{
	return ((const struct unaligned_u64 *)p)->v;
}

static always_inline void store_le16(void *p, uint16_t v)
{
	((struct unaligned_u16 *)p)->v = v;
}

static always_inline void store_le32(void *p, uint32_t v)
{
	((struct unaligned_u32 *)p)->v = v;
}

static always_inline void store_le64(void *p, uint64_t v)
{
	((struct unaligned_u64 *)p)->v = v;
}
