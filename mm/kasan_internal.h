/*
 * What KASAN's checks (kasan.c) and reports (kasan_report.c) share.
 */
#pragma once

#include "mm/kasan.h"
#include "mm/slab_internal.h"

#define GRANULE 8

/* Shadow bytes below 0. Those of stack frames are the compilers' choice, the others ours. */
enum shadow {
	SHADOW_STACK_LEFT = 0xf1,
	SHADOW_STACK_MIDDLE = 0xf2,
	SHADOW_STACK_RIGHT = 0xf3,
	SHADOW_STACK_RETURN = 0xf5,
	SHADOW_STACK_SCOPE = 0xf8,
	SHADOW_GLOBAL = 0xf9,
	SHADOW_OBJECT_FREE = 0xfb,
	SHADOW_OBJECT_END = 0xfc, /* behind an object, and in a slab where there is none */
	SHADOW_PAGES_END = 0xfe,  /* behind what was asked for of a block of pages */
	SHADOW_PAGE_FREE = 0xff,
};

#define TRACK_DEPTH 11

/* Where something was done: return addresses, innermost first, their lower halves (the kernel lies in the top
 * 2 GiB). */
struct kasan_track {
	uint32_t ip[TRACK_DEPTH];
};

/* Behind each slab object, at size + KASAN_META_OFFSET. */
struct kasan_meta {
	void *next; /* in quarantine */
	struct kasan_track alloc, free;
};
#define KASAN_META_OFFSET 16
_Static_assert(KASAN_META_OFFSET + sizeof(struct kasan_meta) == KASAN_OBJECT_EXTRA, "room behind objects");

/* Of each frame: of the block it is or was part of. */
struct kasan_frame {
	struct kasan_track alloc, free;
};

/* What the compilers describe a global with (their run-time library's interface). */
struct kasan_global {
	uint64_t start, size, size_with_redzone;
	const char *name, *file;
	uint64_t dynamic;
	const void *place;
	uint64_t odr;
};

static inline struct kasan_meta *kasan_meta_of(const struct slab_cache *c, const void *obj)
{
	return (struct kasan_meta *)((char *)obj + c->size + KASAN_META_OFFSET);
}

static always_inline uint8_t *kasan_shadow_of(uint64_t addr)
{
	return (uint8_t *)((addr >> 3) + KASAN_SHADOW_OFFSET);
}

/* Whether addr has a shadow. */
bool kasan_tracked(uint64_t addr);
/* The entry of addr's frame; NULL where there is none. */
struct kasan_frame *kasan_frame_of(uint64_t addr);
const struct kasan_global *kasan_global_near(uint64_t addr);

/* Report; panics unless a test expects it. kind NULL: derived from the shadow of `addr`, the first byte that
 * is wrong. */
void kasan_report(const char *kind, uint64_t access, uint64_t addr, size_t len, bool write, uint64_t ip);

/* string.S */
void *kasan_plain_memcpy(void *to, const void *from, size_t len);
void *kasan_plain_memmove(void *to, const void *from, size_t len);
void *kasan_plain_memset(void *to, int byte, size_t len);
void kasan_plain_page_clear(void *page);
void kasan_plain_page_copy(void *to, const void *from);
