/*
 * Kernel stacks.
 *
 * Each lies in the upper half of a slot of twice its size; the lower half is never mapped, so an overflow, also one by
 * a large frame, faults instead of writing into a neighbour, and whether an address is such a guard is arithmetic
 * without a lock.
 *
 * fork takes a stack and exit gives one all the time, so each CPU keeps some, mapped; when it has too many, all of them
 * are unmapped together and their pages freed.  The slots themselves are a bitmap; slot_hint is a lower bound of the
 * free ones.
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
#include "mm/tlb.h"
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

/* Takes the pages of the stack at va out of the tables, onto a chain of what to free after the flush. */
static void pages_clear(vaddr_t va, struct page **chain)
{
	for (unsigned i = 0; i < STACK_PAGES; i++) {
		paddr_t pa;
		unsigned prot;
		bool mapped = pgtable_translate(mmu_kernel_root(), vaddr(va.v + i * PAGE_SIZE), &pa, &prot);
		BUG_ON(!mapped);
		struct page *p = paddr_to_page(pa);
		p->owner = *chain;
		*chain = p;
	}
	pgtable_clear_kernel(va, KSTACK_SIZE);
}

static void pages_put(struct page *chain)
{
	while (chain) {
		struct page *p = chain;
		chain = p->owner;
		page_put(p);
	}
}

static void stack_unmap(vaddr_t va)
{
	struct page *chain = NULL;
	pages_clear(va, &chain);
	tlb_flush_kernel(va, KSTACK_SIZE);
	pages_put(chain);
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
	struct page *pages[STACK_PAGES];
	unsigned count = 0;
	while (count < STACK_PAGES && (pages[count] = page_alloc_uncounted(0, 0)) != NULL)
		count++;
	if (count < STACK_PAGES || pgtable_map_kernel_pages(va, pages, count, MMU_READ | MMU_WRITE)) {
		while (count)
			page_put(pages[--count]);
		slot_release(slot);
		return NULL;
	}
	if (CONFIG_KASAN && kasan_stack_create((void *)va.v)) {
		stack_unmap(va);
		slot_release(slot);
		return NULL;
	}
	return (void *)va.v;
}

/* Frees a chain of stacks: all CPUs forget them in one go, since each flush interrupts every other CPU. */
static noinline void stacks_destroy(void *stacks)
{
	struct page *chain = NULL;
	size_t freed[CACHED_STACKS];
	unsigned count = 0;
	while (stacks) {
		void *stack = stacks;
		vaddr_t va = vaddr_of(stack);
		stacks = *(void **)stack;
		pages_clear(va, &chain);
		freed[count++] = (va.v - KSTACK_BASE) / KSTACK_SLOT_SIZE;
	}
	tlb_flush_kernel(vaddr(KSTACK_BASE), KSTACK_END - KSTACK_BASE);
	pages_put(chain);
	while (count)
		slot_release(freed[--count]);
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
	void *surplus = NULL;
	irqflags_t f = irq_save();
	struct stack_cache *c = &stack_caches[this_cpu()->id];
	if (unlikely(c->count == CACHED_STACKS)) {
		surplus = c->top;
		c->top = NULL;
		c->count = 0;
	}
	*(void **)stack = c->top;
	c->top = stack;
	c->count++;
	irq_restore(f);
	if (unlikely(surplus))
		stacks_destroy(surplus);
}

void kstack_cache_drain(void)
{
	irqflags_t f = irq_save();
	struct stack_cache *c = &stack_caches[this_cpu()->id];
	void *stacks = c->top;
	c->top = NULL;
	c->count = 0;
	irq_restore(f);
	if (stacks)
		stacks_destroy(stacks);
}
