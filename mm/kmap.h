/*
 * Kernel virtual ranges: stacks with guard pages and device registers, in [KMAP_BASE, KMAP_BASE + KMAP_SIZE).  Theory
 * in kmap.c.
 */
#pragma once

#include <arch/layout.h>
#include "lib/types.h"

/*
 * The area is cut in two: stacks in fixed slots, each in the upper half of its slot so that what lies below is never
 * mapped; and ranges of any size.
 */
#define KSTACK_SLOTS 65536
#define KSTACK_SLOT_SIZE (2ull * KSTACK_SIZE)
#define KSTACK_BASE KMAP_BASE
#define KSTACK_END (KSTACK_BASE + KSTACK_SLOTS * KSTACK_SLOT_SIZE)
#define KRANGE_BASE KSTACK_END
#define KRANGE_END (KMAP_BASE + KMAP_SIZE)

/* KSTACK_SIZE bytes of stack with an unmapped guard page below; returns the lowest usable address or NULL. Freed stacks
 * are kept in a small per-CPU cache, mapped, since fork and exit take and give them all the time. Thread context
 * (alloc); any context (free). */
void *kstack_alloc(void) must_check;
void kstack_free(void *stack);
/* Whether va lies in the guard range below a kernel stack: then it is an overflow. Any context, no lock. */
bool kstack_is_guard(vaddr_t va);
/* The end of the thread's or idle stack that sp lies on; 0 if it lies on none. For walking frames: the outermost one's
 * saved frame pointer is the program's, so anything. Any context, no lock. */
uint64_t kstack_end_of(uint64_t sp);

/* Device registers, uncached. NULL when out of room. Never unmapped. */
void *kmap_device(paddr_t pa, size_t len_bytes) must_check;
/* The same for device memory of another kind: MMU_WRITE_COMBINE. */
void *kmap_device_as(paddr_t pa, size_t len_bytes, unsigned kind) must_check;

/* Virtually contiguous, physically scattered zeroed memory for large tables. Thread context. */
void *kmap_alloc(size_t len_bytes) must_check;
void kmap_free(void *p);
