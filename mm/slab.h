/*
 * Kernel objects: slab caches and kmalloc.  Theory in slab.c.
 */
#pragma once

#include "lib/types.h"
#include "mm/page.h"

struct slab_cache;

/* Objects of one size. align 0 = natural (16). Names live as long as the cache. NULL when out of memory. Thread
 * context. */
struct slab_cache *slab_cache_create(const char *name, size_t size_bytes, size_t align_bytes) must_check;
/* All objects must have been freed. */
void slab_cache_destroy(struct slab_cache *c);
/* Any context, never sleeps. flags: ALLOC_ZERO, ALLOC_RESERVE. NULL when out of memory. */
void *slab_alloc(struct slab_cache *c, unsigned flags) must_check;
void slab_free(struct slab_cache *c, void *obj);

#define KMALLOC_MAX (4 * MIB)

/* Any context. Contents undefined / zero. 16-byte aligned; sizes that are powers of two are aligned to themselves up to
 * a page. NULL when out of memory or size > KMALLOC_MAX. kmalloc(0) gives a unique pointer. */
void *kmalloc(size_t size_bytes) must_check;
void *kzalloc(size_t size_bytes) must_check;
void *kcalloc(size_t count, size_t size_bytes) must_check; /* overflow-checked */
/* NULL is allowed. */
void kfree(const void *p);
char *kstrdup(const char *s) must_check;
void *kmemdup(const void *p, size_t len_bytes) must_check;

/* Before a further CPU starts: its chains of free objects. Thread context. */
int slab_cpu_prepare(uint32_t cpu) must_check;

struct slab_stats {
	const char *name;
	size_t size_bytes;
	uint64_t objects_used, objects_total, pages;
};
/* i-th cache's figures; false past the end. For /proc/slabinfo and the monitor. */
bool slab_stats_get(unsigned i, struct slab_stats *out);
uint64_t slab_pages_total(void);

static inline void kfree_cleanup(void *pp)
{
	kfree(*(void **)pp);
}
#define AUTO_KFREE cleanup_with(kfree_cleanup)
