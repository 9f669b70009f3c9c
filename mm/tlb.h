/*
 * Address spaces as the processors see them: which CPU has which page tables loaded, and telling them what changed.
 * Theory in tlb.c.
 */
#pragma once

#include <arch/mmu.h>
#include "lib/types.h"

/* Embedded in an address space. */
struct mmu_context {
	paddr_t root;  /* of its page tables; immutable */
	uint64_t cpus; /* bit per CPU that may have it loaded and so remember translations; atomic */
};

static inline void mmu_context_init(struct mmu_context *c, paddr_t root)
{
	*c = (struct mmu_context){.root = root};
}

/* Loads c's tables on this CPU. Interrupts off. */
void mmu_switch(struct mmu_context *c);
/* A kernel thread comes next, which needs no tables but the kernel's half: those loaded stay. Interrupts off. */
void mmu_switch_lazy(void);
/* Makes sure that no CPU has c loaded, before its tables are freed. Nobody may switch to it any more. Any context but
 * NMI. */
void mmu_context_retire(struct mmu_context *c);

#define TLB_FLUSH_ALL 0xffffffffu
/*
 * Makes every CPU forget what it knows of n pages, or of all (TLB_FLUSH_ALL). Entries were changed before the call;
 * when it returns, no CPU uses the old ones. Any context but NMI; takes no lock.
 */
void tlb_flush(struct mmu_context *c, const uint64_t *va, unsigned n);
/* The same for a range of the kernel's half. */
void tlb_flush_kernel(vaddr_t va, uint64_t len_bytes);
