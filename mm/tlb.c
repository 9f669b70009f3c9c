/*
 * Translations that processors remember: theory.
 *
 * A CPU remembers what it found in page tables, also that upper levels exist, until told to forget.  So whoever takes a
 * right away tells all CPUs that may remember it, and waits, before a page or a table is used for anything else.
 *
 * Whom to tell.  context->cpus has a bit for each CPU that has the context's root loaded.  Loading a root forgets all
 * of the one before (SDM 3A 4.10.4.1; kernel translations are global and stay), so a CPU without the bit remembers
 * nothing. A CPU sets its bit before it loads the root, both with full barriers; a flusher changes entries, passes a
 * full barrier, and reads the bits.  If it misses a bit, the CPU will load the root after the change was visible, and
 * finds the new entries.
 *
 * Kernel threads run on whatever root they find ("lazy"): going from a program to idle and back then costs nothing.
 * The bit stays set, but the first flush that reaches such a CPU makes it drop the root altogether, so that an idle CPU
 * is disturbed once and not for each page its last program unmaps elsewhere.  A context is retired the same way: those
 * CPUs that still have it are all lazy.
 *
 * A CPU that is alone with its context, which is the usual case, pays for one load of the mask.  The others are told by
 * smp_call(), which may be used under a spinlock; callers collect what they can first (vm/gather.c).
 *
 * Rejected: not waiting, but keeping pages until each CPU has passed a switch (memory that is freed is wanted now);
 * generation counters by which an interrupted CPU finds out that another flush has done its work already (wins only
 * when many threads of one program unmap all the time).
 */
#include "mm/tlb.h"

#include <arch/cpu.h>
#include "core/panic.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"

#define FLUSH_PAGES_MAX 32 /* more single pages cost more than forgetting everything */

struct flush {
	struct mmu_context *context; /* NULL: the kernel's half */
	const uint64_t *va;
	unsigned n;
};

static void load(struct cpu *c, struct mmu_context *next)
{
	struct mmu_context *prev = c->mmu;

	if (next)
		__atomic_fetch_or(&next->cpus, BIT(c->id), __ATOMIC_SEQ_CST);
	/* Before the root is loaded: an NMI's handler that waits for a lock may serve a flush of next right here. */
	WRITE_ONCE(c->mmu, next);
	mmu_activate(next ? next->root : mmu_kernel_root());
	if (prev)
		__atomic_fetch_and(&prev->cpus, ~BIT(c->id), __ATOMIC_RELEASE);
}

void mmu_switch(struct mmu_context *next)
{
	struct cpu *c = this_cpu();

	c->mmu_lazy = false;
	if (c->mmu != next)
		load(c, next);
}

void mmu_switch_lazy(void)
{
	this_cpu()->mmu_lazy = true;
}

static void flush_here(void *arg)
{
	const struct flush *f = arg;
	struct cpu *c = this_cpu();

	if (c->mmu != f->context)
		return; /* it has gone on meanwhile */
	if (c->mmu_lazy) {
		load(c, NULL);
	} else if (f->n == TLB_FLUSH_ALL) {
		mmu_flush_all_local();
	} else {
		for (unsigned i = 0; i < f->n; i++)
			mmu_flush_page_local(vaddr(f->va[i]));
	}
}

static void flush_everywhere(struct mmu_context *context, struct flush *f)
{
	atomic_fence();
	irqflags_t flags = irq_save();
	uint64_t active = atomic_load_relaxed(&context->cpus), me = BIT(this_cpu()->id);

	if (active & me)
		flush_here(f);
	if (unlikely(active & ~me))
		smp_call(active, flush_here, f);
	irq_restore(flags);
}

void tlb_flush(struct mmu_context *context, const uint64_t *va, unsigned n)
{
	struct flush f = {context, va, n > FLUSH_PAGES_MAX ? TLB_FLUSH_ALL : n};

	flush_everywhere(context, &f);
}

void mmu_context_retire(struct mmu_context *context)
{
	tlb_flush(context, NULL, TLB_FLUSH_ALL);
	ASSERT(!context->cpus);
}

static void flush_kernel_here(void *arg)
{
	const struct flush *f = arg;

	if (f->n > FLUSH_PAGES_MAX) {
		mmu_flush_global_local();
		return;
	}
	for (unsigned i = 0; i < f->n; i++)
		mmu_flush_page_local(vaddr(*f->va + (uint64_t)i * PAGE_SIZE));
}

void tlb_flush_kernel(vaddr_t va, uint64_t len_bytes)
{
	struct flush f = {NULL, &va.v, (unsigned)MIN(len_bytes >> PAGE_SHIFT, (uint64_t)FLUSH_PAGES_MAX + 1)};

	atomic_fence();
	irqflags_t flags = irq_save();
	flush_kernel_here(&f);
	if (cpus_online > 1)
		smp_call(cpus_online_mask, flush_kernel_here, &f);
	irq_restore(flags);
}
