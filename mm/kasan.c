/*
 * KASAN: theory.
 *
 * Purpose: every load and store of the kernel is checked when it happens, so that an overflow or a use after free is
 * reported where it is made, with the stacks that allocated and freed the memory, and not where its damage shows.
 *
 * Shadow.  A byte says about eight ("a granule"): 0, all may be accessed; 1..7, only the first so many; from 0x80 on,
 * none, and why (enum shadow).  Its address is arithmetic (KASAN_SHADOW_OFFSET).  The compiler puts a call before each
 * access (__asan_load8 …), and lays red zones around the variables of a frame, which the function marks in the shadow
 * itself, and behind globals, which a constructor of each file makes known.
 *
 * What has a shadow:
 *     the image        from the first instruction: part of .bss, mapped by boot.S (stacks of the boot code need it)
 *     RAM              in chunks of 16 MiB (2 MiB of shadow), from the boot allocator; from kasan_init() on
 *     kernel stacks    a page of shadow a slot, made with its first stack and then kept
 * Everything else (devices, tables of kmap_alloc with their guard pages, user space) has none and is not checked.
 * Since all checks are calls, no address needs a shadow just because it exists: kasan_tracked() decides.
 *
 * Slab objects are followed by a red zone in which lies, itself out of bounds for everybody, what is remembered of them
 * (struct kasan_meta).  Freed ones wait in the quarantine of the CPU, first in, first out, up to a limit in bytes, so
 * that an address is not used again soon and a late access hits memory marked as free.  Pages are marked when freed and
 * reused soon: the allocator's LIFO is kept, as the accounting of free memory is much checked.
 *
 * Invariants: memory handed out is accessible from its first to its last byte asked for, and nothing else of its block
 * is. A quarantined object counts as in use for its slab.
 *
 * Locking: shadow is written by whoever owns the memory it describes.  Quarantines are per CPU, with interrupts off.
 * Failure: no shadow for a stack is -ENOMEM for whoever wants the stack; no shadow for RAM at boot stops
 * with the reason.
 *
 * This file and slab.c are not instrumented.  mk/config.mk has the list and the compilers' flags.
 *
 * Rejected: inline checks (all addresses would need a shadow, if only a shared page of zeroes, and the tables for
 * that); a store of stacks shared by hash (it saves memory this build does not lack).
 */
#include "mm/kasan.h"

#include <arch/cpu.h>
#include <arch/mmu.h>
#include <arch/trap.h>
#include <asm/errno.h>

#include "core/panic.h"
#include "lib/bitmap.h"
#include "lib/memmap.h"
#include "mm/boot_alloc.h"
#include "mm/kasan_internal.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/pgtable.h"

#define CHUNK (16 * MIB)
#define CHUNKS_MAX 65536 /* 1 TiB; RAM above is not checked */
#define GLOBAL_LISTS 512

extern char __kernel_end[];
typedef void init_function(void);
extern init_function *const __start_init_array[], *const __stop_init_array[];

static bool checking;
static uint64_t chunks[BITMAP_WORDS(CHUNKS_MAX)];	 /* fixed after kasan_init() */
static uint64_t stack_slots[BITMAP_WORDS(KSTACK_SLOTS)]; /* set when the slot's shadow is there; then for ever */
static struct kasan_frame *frames;

static struct {
	const struct kasan_global *first;
	size_t count;
} global_lists[GLOBAL_LISTS];
static size_t global_list_count;

bool kasan_tracked(uint64_t addr)
{
	if (addr >= KERNEL_BASE)
		return addr < (uint64_t)__kernel_end;
	if (addr - DIRECT_MAP_BASE < CHUNKS_MAX * CHUNK)
		return bitmap_test(chunks, (addr - DIRECT_MAP_BASE) / CHUNK);
	/* A guard page has no shadow: the access itself is to fault. */
	return addr - KSTACK_BASE < KSTACK_END - KSTACK_BASE &&
		(addr - KSTACK_BASE) % KSTACK_SLOT_SIZE >= KSTACK_SIZE &&
		bitmap_test(stack_slots, (addr - KSTACK_BASE) / KSTACK_SLOT_SIZE);
}

/* ---- setting the shadow ---- */

/* Whole granules. */
static void mark(uint64_t addr, uint64_t len, uint8_t value)
{
	if (kasan_tracked(addr))
		kasan_plain_memset(kasan_shadow_of(addr), value, len / GRANULE);
}

/* [addr, addr + len) may be accessed, and of [addr, addr + room) nothing else. */
static void mark_object(uint64_t addr, uint64_t len, uint64_t room, uint8_t beyond)
{
	uint64_t whole = ALIGN_DOWN(len, GRANULE);

	mark(addr, whole, 0);
	mark(addr + whole, ALIGN_UP(room, GRANULE) - whole, beyond);
	if (len != whole && kasan_tracked(addr + whole))
		*kasan_shadow_of(addr + whole) = (uint8_t)(len - whole);
}

/* ---- checking ---- */

/* The first byte of [addr, addr + len) that must not be accessed; 0 if there is none. */
static uint64_t first_bad(uint64_t addr, uint64_t len)
{
	uint64_t last = addr + len - 1;

	for (uint64_t at = addr; at <= last; at = ALIGN_DOWN(at, GRANULE) + GRANULE) {
		const uint8_t *s = kasan_shadow_of(at);

		if (IS_ALIGNED((uint64_t)s, 8)) /* eight granules at a time */
			while (last - at >= 8 * GRANULE && *(const uint64_t *)s == 0) {
				s += 8;
				at = ALIGN_DOWN(at, GRANULE) + 8 * GRANULE;
			}
		if (*s == 0)
			continue;
		uint64_t base = ALIGN_DOWN(at, GRANULE);
		if (*s >= 0x80)
			return at;
		if (MIN(last, base + GRANULE - 1) - base >= *s)
			return MAX(at, base + *s);
	}
	return 0;
}

static always_inline void check(uint64_t addr, uint64_t len, bool write, uint64_t ip)
{
	uint64_t last = addr + len - 1;

	if (unlikely(!checking || !len || !kasan_tracked(addr)))
		return;
	if (likely(len <= GRANULE)) {
		/* The granules of the first and the last byte, which are all. */
		uint8_t s = *kasan_shadow_of(last);
		if (likely(!s || (last & (GRANULE - 1)) < s) && s < 0x80) {
			if (likely((addr ^ last) < GRANULE) || !*kasan_shadow_of(addr))
				return;
		}
	} else if (unlikely(last < addr || !kasan_tracked(last))) {
		kasan_report("access out of all bounds", addr, addr, len, write, ip);
		return;
	}
	uint64_t bad = first_bad(addr, len);
	if (unlikely(bad))
		kasan_report(NULL, addr, bad, len, write, ip);
}

#define CALLER ((uint64_t)__builtin_return_address(0))

void kasan_check(uint64_t addr, size_t len, bool write)
{
	check(addr, len, write, CALLER);
}

/* The compilers' calls. "noabort": ours return, since a test may expect the report. */
#define ACCESS(bytes)                                      \
	void __asan_load##bytes##_noabort(uint64_t addr);  \
	void __asan_load##bytes##_noabort(uint64_t addr)   \
	{                                                  \
		check(addr, bytes, false, CALLER);         \
	}                                                  \
	void __asan_store##bytes##_noabort(uint64_t addr); \
	void __asan_store##bytes##_noabort(uint64_t addr)  \
	{                                                  \
		check(addr, bytes, true, CALLER);          \
	}
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

void __asan_loadN_noabort(uint64_t addr, size_t len);
void __asan_loadN_noabort(uint64_t addr, size_t len)
{
	check(addr, len, false, CALLER);
}

void __asan_storeN_noabort(uint64_t addr, size_t len);
void __asan_storeN_noabort(uint64_t addr, size_t len)
{
	check(addr, len, true, CALLER);
}

/* Before a call that does not return: the frames it leaves behind never clear their red zones. */
void __asan_handle_no_return(void);
void __asan_handle_no_return(void)
{
	uint64_t sp = ALIGN_DOWN((uint64_t)__builtin_frame_address(0), GRANULE), end = kstack_end_of(sp);

	if (end)
		mark(sp, end - sp, 0);
}

/* A variable goes out of scope, comes into it. */
void __asan_poison_stack_memory(uint64_t addr, uint64_t len);
void __asan_poison_stack_memory(uint64_t addr, uint64_t len)
{
	mark(addr, ALIGN_UP(len, GRANULE), SHADOW_STACK_SCOPE);
}

void __asan_unpoison_stack_memory(uint64_t addr, uint64_t len);
void __asan_unpoison_stack_memory(uint64_t addr, uint64_t len)
{
	mark_object(addr, len, len, 0);
}

/* clang sets long stretches of a frame's shadow by call; the address is the shadow's own. */
#define SET_SHADOW(value)                                            \
	void __asan_set_shadow_##value(uint8_t *shadow, size_t len); \
	void __asan_set_shadow_##value(uint8_t *shadow, size_t len)  \
	{                                                            \
		kasan_plain_memset(shadow, 0x##value, len);          \
	}
SET_SHADOW(00)
SET_SHADOW(f1)
SET_SHADOW(f2)
SET_SHADOW(f3)
SET_SHADOW(f5)
SET_SHADOW(f8)

/* ---- globals ---- */

void __asan_register_globals(const struct kasan_global *list, size_t count);
void __asan_register_globals(const struct kasan_global *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mark_object(list[i].start, list[i].size, list[i].size_with_redzone, SHADOW_GLOBAL);
	if (global_list_count < GLOBAL_LISTS) {
		global_lists[global_list_count].first = list;
		global_lists[global_list_count++].count = count;
	}
}

void __asan_unregister_globals(const struct kasan_global *list, size_t count);
void __asan_unregister_globals(const struct kasan_global *list, size_t count)
{
	(void)list; /* only destructors call it, and the kernel has no end */
	(void)count;
}

const struct kasan_global *kasan_global_near(uint64_t addr)
{
	for (size_t i = 0; i < global_list_count; i++)
		for (size_t k = 0; k < global_lists[i].count; k++) {
			const struct kasan_global *g = &global_lists[i].first[k];
			if (addr - g->start < g->size_with_redzone)
				return g;
		}
	return NULL;
}

/* ---- start ---- */

static bool chunk_has_ram(const struct memmap *map, uint64_t base)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct memmap_range *r = &map->ranges[i];
		if ((r->type == MEMMAP_USABLE || r->type == MEMMAP_KERNEL) && r->base < base + CHUNK && r->end > base)
			return true;
	}
	return false;
}

void kasan_init(const struct memmap *map)
{
	uint64_t top = MAX(memmap_top(map, MEMMAP_USABLE), memmap_top(map, MEMMAP_KERNEL));

	for (uint64_t base = 0; base < MIN(top, CHUNKS_MAX * CHUNK); base += CHUNK) {
		if (!chunk_has_ram(map, base))
			continue;
		paddr_t pa = boot_alloc(CHUNK / GRANULE, CHUNK / GRANULE, true);
		vaddr_t va = vaddr_of(kasan_shadow_of(DIRECT_MAP_BASE + base));
		if (!pa.v || pgtable_map_kernel(va, pa, CHUNK / GRANULE, MMU_READ | MMU_WRITE))
			boot_stop("not enough memory: %llu KiB are needed for KASAN's shadow; give the machine more "
				  "RAM",
				  (unsigned long long)(top / GRANULE / KIB));
		bitmap_set(chunks, base / CHUNK);
	}
	pgtable_share_kernel_range(vaddr_of(kasan_shadow_of(KSTACK_BASE)), (KSTACK_END - KSTACK_BASE) / GRANULE);
	for (init_function *const *f = __start_init_array; f < __stop_init_array; f++)
		(*f)();
	checking = true;
}

void kasan_init_frames(void)
{
	paddr_t pa = boot_alloc(page_frame_count * sizeof(*frames), CACHE_LINE, true);

	if (pa.v)
		frames = paddr_to_ptr(pa); /* without, reports lack the stacks of page allocations */
}

/* ---- pages ---- */

static noinline void track(struct kasan_track *t)
{
	uint64_t ip[TRACK_DEPTH + 1];
	uint64_t fp = (uint64_t)__builtin_frame_address(0), end = kstack_end_of(fp);
	unsigned n = trap_backtrace(fp, fp, end ? end : fp + PAGE_SIZE, ip, ARRAY_SIZE(ip));

	for (unsigned i = 0; i < TRACK_DEPTH; i++) /* without the hook */
		t->ip[i] = i + 1 < n ? (uint32_t)ip[i + 1] : 0;
}

struct kasan_frame *kasan_frame_of(uint64_t addr)
{
	uint64_t frame = (addr - DIRECT_MAP_BASE) / PAGE_SIZE - page_first_frame;

	return frames && frame < page_frame_count ? &frames[frame] : NULL;
}

void kasan_page_alloc(const struct page *p, unsigned order)
{
	uint64_t addr = (uint64_t)page_to_ptr(p);

	mark(addr, (uint64_t)PAGE_SIZE << order, 0);
	if (!frames)
		return;
	struct kasan_frame *head = kasan_frame_of(addr);
	track(&head->alloc);
	for (uint64_t i = 1; i < 1ull << order; i++) /* nothing else leads from a page to the head of its block */
		head[i].alloc = head->alloc;
}

void kasan_page_free(const struct page *p)
{
	uint64_t addr = (uint64_t)page_to_ptr(p);

	mark(addr, (uint64_t)PAGE_SIZE << p->order, SHADOW_PAGE_FREE);
	if (!frames)
		return;
	struct kasan_frame *head = kasan_frame_of(addr);
	track(&head->free);
	for (uint64_t i = 1; i < 1ull << p->order; i++)
		head[i].free = head->free;
}

void kasan_frames_free(uint64_t first, uint64_t end)
{
	for (uint64_t frame = first; frame < end; frame++)
		mark(DIRECT_MAP_BASE + frame * PAGE_SIZE, PAGE_SIZE, SHADOW_PAGE_FREE);
}

/* ---- slab objects ---- */

#define QUARANTINE_BYTES (2 * MIB) /* a CPU */

struct quarantine {
	void *first, *last; /* oldest, newest */
	uint64_t bytes;
} aligned_to(CACHE_LINE);

static struct quarantine quarantines[CPUS_MAX]; /* its CPU, interrupts off */

void kasan_slab_create(const struct page *slab, unsigned order)
{
	mark((uint64_t)page_to_ptr(slab), (uint64_t)PAGE_SIZE << order, SHADOW_OBJECT_END);
}

void kasan_slab_alloc(const struct slab_cache *c, void *obj)
{
	mark((uint64_t)obj, c->size, 0);
	track(&kasan_meta_of(c, obj)->alloc);
	kasan_meta_of(c, obj)->free.ip[0] = 0;
}

static struct slab_cache *cache_of(void *obj)
{
	return ptr_to_page(obj)->owner;
}

/* Frees the oldest until at most `limit` bytes are held. Interrupts off. */
static void quarantine_shrink(struct quarantine *q, uint64_t limit)
{
	while (q->bytes > limit) {
		void *obj = q->first;
		struct slab_cache *c = cache_of(obj);
		q->first = kasan_meta_of(c, obj)->next;
		q->bytes -= c->stride;
		slab_free_now(c, obj);
	}
}

void kasan_quarantine_drain(void)
{
	irqflags_t f = irq_save();
	quarantine_shrink(&quarantines[this_cpu()->id], 0);
	irq_restore(f);
}

void kasan_slab_free(struct slab_cache *c, void *obj)
{
	uint64_t addr = (uint64_t)obj;
	const struct page *p = ptr_to_page(obj);
	uint64_t base = (uint64_t)page_to_ptr(p) & ~(((uint64_t)PAGE_SIZE << c->order) - 1);

	if (p->state != PAGE_SLAB || p->owner != c || (addr - base) % c->stride) {
		kasan_report("invalid free", addr, addr, 0, true, CALLER);
		return;
	}
	if (*kasan_shadow_of(addr) == SHADOW_OBJECT_FREE) {
		kasan_report("double free", addr, addr, 0, true, CALLER);
		return;
	}
	mark(addr, c->size, SHADOW_OBJECT_FREE);
	struct kasan_meta *meta = kasan_meta_of(c, obj);
	track(&meta->free);
	meta->next = NULL;

	irqflags_t f = irq_save();
	struct quarantine *q = &quarantines[this_cpu()->id];
	if (q->bytes)
		kasan_meta_of(cache_of(q->last), q->last)->next = obj;
	else
		q->first = obj;
	q->last = obj;
	q->bytes += c->stride;
	quarantine_shrink(q, QUARANTINE_BYTES);
	irq_restore(f);
}

void kasan_kmalloc(const void *ptr, size_t size_bytes)
{
	const struct page *p = ptr_to_page(ptr);

	if (p->state == PAGE_SLAB)
		mark_object((uint64_t)ptr, size_bytes, cache_of((void *)ptr)->size, SHADOW_OBJECT_END);
	else
		mark_object((uint64_t)ptr, size_bytes, (uint64_t)PAGE_SIZE << p->order, SHADOW_PAGES_END);
}

/* ---- stacks ---- */

int kasan_stack_create(void *stack)
{
	uint64_t slot = ((uint64_t)stack - KSTACK_BASE) / KSTACK_SLOT_SIZE;
	_Static_assert(KSTACK_SIZE / GRANULE == PAGE_SIZE, "a stack has a page of shadow");

	if (bitmap_test(stack_slots, slot))
		return 0;
	struct page *p = page_alloc_uncounted(0, ALLOC_ZERO);
	if (!p)
		return -ENOMEM;
	if (pgtable_map_kernel(vaddr_of(kasan_shadow_of((uint64_t)stack)), page_to_paddr(p), PAGE_SIZE,
			       MMU_READ | MMU_WRITE)) {
		page_put(p);
		return -ENOMEM;
	}
	/* The words of the map are shared by slots. */
	__atomic_fetch_or(&stack_slots[slot / BITMAP_WORD_BITS], BIT(slot % BITMAP_WORD_BITS), __ATOMIC_RELEASE);
	return 0;
}

void kasan_stack_reset(void *stack)
{
	mark((uint64_t)stack, KSTACK_SIZE, 0);
}
