/*
 * Kernel objects in debug builds (CONFIG_DEBUG): poison, red zones, owners.  Theory in slab_debug.c.  The hooks are
 * called by slab.c and kmalloc.c under `if (CONFIG_DEBUG)`; in other builds nothing of it is linked.
 */
#pragma once

#include "lib/types.h"

struct page;
struct slab_cache;

/* Behind each object, and behind what KASAN keeps there. */
struct slab_note {
	uint64_t guard;		/* TAKEN or FREE; being the first word, also the end of the red zone */
	const void *owner;	/* return address of who asked */
	const void *freed_by;	/* … and who gave it back last; NULL: nobody yet */
	uint32_t asked, serial; /* bytes; number of the allocation */
};

/* An object was cut off its slab: free. */
void slab_debug_cut(const struct slab_cache *c, void *obj);
/* It is about to be handed out for `asked` bytes. Checks that nobody wrote to it while it was free. */
void slab_debug_alloc(const struct slab_cache *c, void *obj, size_t asked, const void *owner);
/* It is given back. False: it must not be (a report was made, and a test had asked for it). */
bool slab_debug_free(const struct slab_cache *c, void *obj, const void *freed_by) must_check;
/* kmalloc's large blocks. */
void slab_debug_large_alloc(struct page *p, size_t asked, const void *owner);
void slab_debug_large_free(struct page *p);

/* ---- who owns what ---- */

struct slab_owner {
	const void *owner; /* return address; core/symbols.h has its name */
	uint64_t objects, bytes;
	uint32_t last_serial;
};

/* Every allocation has a number; they rise (and wrap). */
uint32_t slab_serial_now(void);
/* Sums up what is alive and was allocated after number `since` (0: everything), by owner, most bytes first. Returns how
 * many of out[max] are filled; what has no room there is left out. Thread context; slow. */
unsigned slab_owners_get(uint32_t since, struct slab_owner *out, unsigned max);
/* The same into the log, at most `max` lines, each with the owner's name. */
void slab_owners_log(uint32_t since, unsigned max);

/* ---- recording (mm/alloc_record.c) ---- */

/* `allocrecord` on the command line starts it when kmalloc works; it ends when the room is used up or it is read. */
void alloc_record_start(void);
extern bool alloc_recording;
void alloc_record(const void *p, size_t size_bytes); /* 0: given back */

struct alloc_record {
	uint64_t addr;
	uint64_t size;
};
/* Ends the recording. The records are the recorder's for good. */
const struct alloc_record *alloc_record_get(size_t *count);
