/*
 * Physical pages: the frame table, the buddy allocator, and the direct map.
 * Theory in page.c.
 */
#pragma once

#include <arch/layout.h>
#include "lib/alloc/blocks.h"
#include "lib/list.h"
#include "lib/types.h"
#include "sync/refcount.h"

struct boot_info;

#define PAGE_MASK (PAGE_SIZE - 1ull)
#define PAGE_ORDERS 11 /* 4 KiB … 4 MiB */

enum page_state {
	PAGE_RESERVED, /* never allocatable: firmware, kernel image, hole */
	PAGE_FREE,     /* head of a free block, on a buddy list */
	PAGE_CACHED,   /* in a per-CPU cache */
	PAGE_OWNED,    /* allocated; owner gives it meaning */
	PAGE_SLAB,     /* belongs to a slab cache: owner is the slab */
};

/*
 * One per frame, 48 bytes.  link and owner belong to whoever holds the page:
 *   buddy       link on a free list
 *   slab        owner = struct slab_cache, link on its lists, blocks = its objects
 *   vm object   owner = the object, index = page number in it
 *   page table  as pgtable.c says
 */
struct page {
	struct list_node link;
	struct refcount refs; /* users of an allocated page: mappings, object, in-flight copies */
	uint8_t state;	      /* enum page_state */
	uint8_t order;	      /* of the block this page heads */
	uint16_t flags;	      /* enum page_flag; owner's rules */
	void *owner;
	union {
		struct {
			uint64_t index;
			uint64_t private;
		};
		struct block_pool blocks;
	};
};

enum page_flag {
	PAGE_DIRTY = 1 << 0,
	PAGE_UPTODATE = 1 << 1,
	PAGE_LOCKED = 1 << 2,
	PAGE_REFERENCED = 1 << 3,
};

enum alloc_flag {
	ALLOC_ZERO = 1 << 0,	/* zero the memory */
	ALLOC_RESERVE = 1 << 1, /* may dip into the reserve (interrupt handlers, the way out of low memory) */
	ALLOC_USER = 1 << 2,	/* for a program: fails earlier, so that the kernel keeps working memory */
};

extern struct page *page_table; /* frame table; index = frame number - page_first_frame */
extern uint64_t page_first_frame, page_frame_count;

/* Any address the direct map covers. */
static inline void *paddr_to_ptr(paddr_t pa)
{
	return (void *)(pa.v + DIRECT_MAP_BASE);
}

/* Only for pointers into the direct map. */
static inline paddr_t ptr_to_paddr(const void *p)
{
	return paddr((uintptr_t)p - DIRECT_MAP_BASE);
}

static inline paddr_t page_to_paddr(const struct page *p)
{
	return paddr(((uint64_t)(p - page_table) + page_first_frame) << PAGE_SHIFT);
}

static inline void *page_to_ptr(const struct page *p)
{
	return paddr_to_ptr(page_to_paddr(p));
}

/* The frame's entry; pa must be RAM (paddr_is_ram) . */
static inline struct page *paddr_to_page(paddr_t pa)
{
	return &page_table[(pa.v >> PAGE_SHIFT) - page_first_frame];
}

static inline struct page *ptr_to_page(const void *p)
{
	return paddr_to_page(ptr_to_paddr(p));
}

bool paddr_is_ram(paddr_t pa);

/*
 * 2^order contiguous pages with one reference, or NULL. Contents undefined unless ALLOC_ZERO.
 * Any context; never sleeps, never reclaims. Only the head's refs count for the block.
 */
struct page *page_alloc(unsigned order, unsigned flags) must_check;

static inline void page_get(struct page *p)
{
	refcount_get(&p->refs);
}

/* Drops a reference; the last frees the block. Any context. The page must be unmapped first. */
void page_put(struct page *p);

struct page_stats {
	/* pages; total = all RAM; reserved = what of it never was free: kernel image, tables */
	uint64_t total, free, reserved;
	uint64_t free_blocks[PAGE_ORDERS];
	uint64_t allocs, frees; /* since boot */
};
void page_stats_get(struct page_stats *out);
uint64_t page_free_count(void); /* cheap, may be a little old */

/* Gives what this CPU's caches hold (free pages, free objects, empty slabs, spare stacks and page tables) back to the
 * free lists: for the test runner's balance and before a program is killed for memory. Thread context. */
void mm_caches_drain(void);
/* Just the single free pages. Any context. */
void page_cache_drain(void);

/* Debug and tests: makes the n-th page_alloc/slab_alloc/kmalloc from now fail (0: never). One-shot. */
void alloc_fail_at(uint64_t n);
extern uint64_t alloc_fail_countdown;
bool alloc_fail_now_slow(void);
/* For allocators: whether this request is the one that must fail. */
static always_inline bool alloc_fail_now(void)
{
	return unlikely(alloc_fail_countdown) && alloc_fail_now_slow();
}
/* page_alloc for the allocators above it (slabs, page tables), whose own entry points do the counting. */
struct page *page_alloc_uncounted(unsigned order, unsigned flags) must_check;

/* Boot order step: frame table, direct map of everything in the memory map, buddy lists, kernel mappings, slab. Panics
 * only when the kernel itself does not fit; the message says how much memory is needed. */
void mm_init(struct boot_info *info);
/* Hands a physical range (initrd after unpacking, init sections) to the allocator. Whole pages inside only. */
void page_release_range(paddr_t base, uint64_t len_bytes);
