/*
 * KASAN: every access to memory is checked (make SAN=kasan; CONFIG_KASAN).  Theory in kasan.c.
 *
 * In other builds nothing of it is linked: the hooks below are called under `if (CONFIG_KASAN)`.
 */
#pragma once

#include <arch/layout.h>
#include "lib/types.h"

struct memmap;
struct page;
struct slab_cache;

/* Shadow for all RAM of the map, from the boot allocator; from here on accesses are checked. Once, when the direct map
 * is complete. */
void kasan_init(const struct memmap *map);
/* What is remembered of each frame; once the frame table exists and while the boot allocator does. */
void kasan_init_frames(void);

/* Reports and panics unless [addr, addr + len) may be accessed: for what the compiler cannot see. Any context. */
void kasan_check(uint64_t addr, size_t len, bool write);

/* mm/page.c: a block of 2^order pages was taken; is about to be freed; frames [first, end) were never handed out. */
void kasan_page_alloc(const struct page *p, unsigned order);
void kasan_page_free(const struct page *p);
void kasan_frames_free(uint64_t first, uint64_t end);

/* Bytes a slab object is followed by: a red zone and what is remembered of the object. */
#define KASAN_OBJECT_EXTRA 112
/* mm/slab.c: a new slab of `order`, all red zone; an object was taken (all of it may be used) … */
void kasan_slab_create(const struct page *slab, unsigned order);
void kasan_slab_alloc(const struct slab_cache *c, void *obj);
/* … or is given back: kept for a while (quarantine), so that late accesses are caught, and then handed to
 * slab_free_now(). Any context. */
void kasan_slab_free(struct slab_cache *c, void *obj);
/* Empties the quarantine. Any context. */
void kasan_quarantine_drain(void);
/* mm/kmalloc.c: of p, an object or (large) a block of pages, only size_bytes may be used. */
void kasan_kmalloc(const void *p, size_t size_bytes);

/* mm/kstack.c: gives a stack its shadow (0 or -ENOMEM; thread context); makes all of it accessible. */
int kasan_stack_create(void *stack) must_check;
void kasan_stack_reset(void *stack);
