/*
 * A slab cache from inside: for slab.c and kmalloc.c.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "sync/spinlock.h"

struct slab_cache {
	struct spinlock lock;  /* LOCK_SLAB */
	struct list partial;   /* slabs with something free; lock */
	struct list full;      /* debug builds: the others; lock */
	uint64_t out, total;   /* objects out of slabs (in use or on a chain), objects there is room for; lock */
	uint64_t pages;	       /* lock */
	unsigned empty;	       /* slabs on partial with nothing out; lock */
	const char *name;      /* the rest never changes */
	uint32_t size, stride; /* bytes usable, bytes from one object to the next */
	uint16_t id, per_slab, batch;
	uint8_t order;
};

/* A cache in static storage: for kmalloc's classes. */
void slab_cache_init_static(struct slab_cache *c, const char *name, size_t size, size_t align);
/* SAN=kasan: slab_free without the quarantine. */
void slab_free_now(struct slab_cache *c, void *obj);
/* Calls visit for each cache, under the lock of their list: it may take a cache's lock, and must not allocate. */
void slab_caches_each(void (*visit)(struct slab_cache *c, void *arg), void *arg);
/* slab_alloc without fault injection, slab_debug_alloc() and zeroing, for callers that do these. */
void *slab_alloc_uncounted(struct slab_cache *c, unsigned flags) must_check;
