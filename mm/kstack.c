/*
 * Kernel stacks.
 *
 * Each lies in the upper half of a slot of twice its size; the lower half is never mapped, so an overflow, also one by
 * a large frame, faults instead of writing into a neighbour, and whether an address is such a guard is arithmetic
 * without a lock.
 *
 * fork takes a stack and exit gives one all the time, so each CPU keeps some, mapped; only beyond that the slot is
 * unmapped and its pages freed.  The slots themselves are a bitmap; slot_hint is a lower bound of the free ones.
 *
 * A stack is never freed by the thread that stands on it (sched/thread.c).
 */
#include "mm/kmap.h"

#include <arch/context.h>
#include <arch/cpu.h>
#include <arch/mmu.h>
#include "lib/bitmap.h"
#include "mm/kasan.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/pgtable.h"
#include "sync/spinlock.h"

#define STACK_PAGES (KSTACK_SIZE / PAGE_SIZE)
#define CACHED_STACKS 16

static struct spinlock slot_lock = SPINLOCK_INIT(LOCK_KMAP, "kernel stacks");
static uint64_t slots[BITMAP_WORDS(KSTACK_SLOTS)]; /* slot_lock: set = taken */
static size_t slot_hint;			   /* slot_lock */

/* Interrupts off. Chained through the lowest word of each stack. */
struct stack_cache {
	void *top;
	uint32_t count;
} aligned_to(CACHE_LINE);

static struct stack_cache stack_caches[CPUS_MAX];

static vaddr_t slot_stack(size_t slot)
{
	return vaddr(KSTACK_BASE + slot * KSTACK_SLOT_SIZE + KSTACK_SIZE);
}

bool kstack_is_guard(vaddr_t va)
{
	return va.v >= KSTACK_BASE && va.v < KSTACK_END && (va.v - KSTACK_BASE) % KSTACK_SLOT_SIZE < KSTACK_SIZE;
}

uint64_t kstack_end_of(uint64_t sp)
{
	if (sp >= (uint64_t)idle_stack && sp < (uint64_t)idle_stack_top)
		return (uint64_t)idle_stack_top;
	return sp >= KSTACK_BASE && sp < KSTACK_END ? ALIGN_UP(sp + 1, KSTACK_SIZE) : 0;
}

static void slot_release(size_t slot)
{
	irqflags_t f = spin_lock(&slot_lock);
	bitmap_clear(slots, slot);
	slot_hint = MIN(slot_hint, slot);
	spin_unlock(&slot_lock, f);
}

/* Unmaps the first `pages` pages from va on and frees what they mapped. */
static void pages_unmap(vaddr_t va, unsigned pages)
{
	struct page *p[STACK_PAGES];
	for (unsigned i = 0; i < pages; i++) {
		paddr_t pa = paddr(0);
		unsigned prot;
		p[i] = pgtable_translate(mmu_kernel_root(), vaddr(va.v + i * PAGE_SIZE), &pa, &prot) ? paddr_to_page(pa)
												     : NULL;
	}
	pgtable_unmap_kernel(va, pages * (uint64_t)PAGE_SIZE);
	for (unsigned i = 0; i < pages; i++)
		if (p[i])
			page_put(p[i]);
}

static noinline void *stack_create(void)
{
	irqflags_t f = spin_lock(&slot_lock);
	size_t slot = bitmap_next_zero(slots, KSTACK_SLOTS, slot_hint);
	if (slot < KSTACK_SLOTS) {
		bitmap_set(slots, slot);
		slot_hint = slot + 1;
	}
	spin_unlock(&slot_lock, f);
	if (slot >= KSTACK_SLOTS)
		return NULL;

	vaddr_t va = slot_stack(slot);
	for (unsigned i = 0; i < STACK_PAGES; i++) {
		struct page *p = page_alloc_uncounted(0, 0);
		if (!p ||
		    pgtable_map_kernel(vaddr(va.v + i * PAGE_SIZE), page_to_paddr(p), PAGE_SIZE,
				       MMU_READ | MMU_WRITE)) {
			if (p)
				page_put(p);
			pages_unmap(va, i);
			slot_release(slot);
			return NULL;
		}
	}
	if (CONFIG_KASAN && kasan_stack_create((void *)va.v)) {
		pages_unmap(va, STACK_PAGES);
		slot_release(slot);
		return NULL;
	}
	return (void *)va.v;
}

static noinline void stack_destroy(void *stack)
{
	vaddr_t va = vaddr_of(stack);
	pages_unmap(va, STACK_PAGES);
	slot_release((va.v - KSTACK_BASE) / KSTACK_SLOT_SIZE);
}

static void *cache_pop(void)
{
	irqflags_t f = irq_save();
	struct stack_cache *c = &stack_caches[this_cpu()->id];
	void *stack = c->top;
	if (stack) {
		c->top = *(void **)stack;
		c->count--;
	}
	irq_restore(f);
	return stack;
}

void *kstack_alloc(void)
{
	if (alloc_fail_now())
		return NULL;
	void *stack = cache_pop();
	return likely(stack) ? stack : stack_create();
}

void kstack_free(void *stack)
{
	if (CONFIG_KASAN)
		kasan_stack_reset(stack); /* the thread's last frames never returned */
	irqflags_t f = irq_save();
	struct stack_cache *c = &stack_caches[this_cpu()->id];
	if (likely(c->count < CACHED_STACKS)) {
		*(void **)stack = c->top;
		c->top = stack;
		c->count++;
		stack = NULL;
	}
	irq_restore(f);
	if (unlikely(stack))
		stack_destroy(stack);
}

void kstack_cache_drain(void)
{
	for (void *stack; (stack = cache_pop());)
		stack_destroy(stack);
}
