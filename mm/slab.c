/*
 * Kernel objects: theory.
 *
 * A cache serves objects of one size.  Three layers, each emptied into and filled from the next:
 *
 *   per-CPU chain   free objects linked through their first word, LIFO; touched by its CPU only, interrupts off: a
 *                   dozen instructions, no lock, no atomic operation, no look at the slab
 *   slabs           2^order pages cut into objects.  The head's struct page has the pool (lib/alloc/blocks.h): the
 *                   chain of free objects, how many are out and how many were ever cut off.  Objects are cut one by one
 *                   as they are needed, so a new slab costs nothing in advance.  Those with something free are on
 *                   cache->partial, under cache->lock
 *   pages           the buddy allocator; a slab that falls empty goes back, but for one kept per cache
 *
 * The chain moves BATCH objects at a time, so the lock is taken once for many.  Objects on a chain count as out for
 * their slab. An object finds its slab, and so its cache, by arithmetic: direct map → frame → struct page; each page of
 * a slab has state PAGE_SLAB and owner = the cache, and a slab is aligned to its size, so its head is found by masking.
 *
 * Caches are numbered, and each CPU has one array of chains indexed by that number: dense, and no CPU's chain shares a
 * line with another's.
 *
 * Debug builds poison what is free, put a red zone behind what is not, and note who owns each object: slab_debug.c.
 *
 * Locking: cache->lock (LOCK_SLAB), under it LOCK_ZONE.  The list of caches has slab_list_lock.
 * Failure: NULL when the page allocator has nothing; what is asked with ALLOC_RESERVE may dip into its reserve.
 *
 * Rejected: arrays of pointers as magazines (the free object itself has room for the link, and will be touched next
 * anyway); constructors (they save little and hide the object's state); colouring (the caches of today hash their
 * sets).
 */
#include "mm/slab.h"

#include <asm/errno.h>

#include <arch/cpu.h>
#include "core/panic.h"
#include "lib/alloc/blocks.h"
#include "lib/alloc/size_class.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/kasan.h"
#include "mm/page_internal.h"
#include "mm/slab_debug.h"
#include "mm/slab_internal.h"
#include "sync/spinlock.h"

#define SLABS_MAX 128

struct slab_chain {
	void *top;
	uint32_t count;
	uint32_t high; /* of the cache: more than this and a batch goes back. 0: chain not set up */
};

static struct slab_cache *caches[SLABS_MAX]; /* entries appear under slab_list_lock and are read without it */
static unsigned cache_count;		     /* entries ever used */
static struct spinlock slab_list_lock = SPINLOCK_INIT(LOCK_SLAB_LIST, "slab caches");
static struct slab_cache cache_of_caches;

static struct slab_chain boot_chains[SLABS_MAX] aligned_to(CACHE_LINE);
static struct slab_chain *chains[CPUS_MAX] = {boot_chains};

static always_inline struct slab_chain *my_chain(const struct slab_cache *c)
{
	return &chains[this_cpu()->id][c->id];
}

/* ---- slabs; cache->lock held ---- */

static struct page *slab_create(struct slab_cache *c, unsigned flags)
{
	struct page *s = page_alloc_uncounted(c->order, flags & ALLOC_RESERVE);
	if (!s)
		return NULL;
	for (unsigned i = 0; i < 1u << c->order; i++) {
		s[i].state = PAGE_SLAB;
		s[i].owner = c;
	}
	if (CONFIG_KASAN)
		kasan_slab_create(s, c->order);
	s->blocks = (struct block_pool){0};
	c->pages += 1u << c->order;
	c->total += c->per_slab;
	return s;
}

static void slab_destroy(struct slab_cache *c, struct page *s)
{
	c->pages -= 1u << c->order;
	c->total -= c->per_slab;
	for (unsigned i = 0; i < 1u << c->order; i++)
		s[i].state = PAGE_OWNED;
	page_put(s);
}

static struct page *slab_head(const struct slab_cache *c, const void *obj)
{
	/* slabs are aligned to their size */
	uint64_t pa = ptr_to_paddr(obj).v & ~(((uint64_t)PAGE_SIZE << c->order) - 1);
	return paddr_to_page(paddr(pa));
}

/* An object of slab s, which has one. */
static void *slab_take(struct slab_cache *c, struct page *s)
{
	bool fresh;
	void *obj = block_pool_take(&s->blocks, page_to_ptr(s), c->stride, &fresh);
	if (CONFIG_DEBUG && fresh)
		slab_debug_cut(c, obj);
	return obj;
}

/* ---- between chain and slabs ---- */

static noinline void *chain_refill(struct slab_cache *c, struct slab_chain *ch, unsigned flags)
{
	if (!ch->high)
		ch->high = 2 * c->batch;
	irqflags_t f = spin_lock(&c->lock);
	unsigned want = c->batch;
	while (want) {
		struct page *s = LIST_FIRST(&c->partial, struct page, link);
		if (!s) {
			if (ch->top)
				break; /* something is there: no new slab just to fill the chain */
			s = slab_create(c, flags);
			if (!s)
				break;
			list_push_front(&c->partial, &s->link);
			c->empty++;
		}
		if (!s->blocks.out)
			c->empty--;
		unsigned n = MIN(want, c->per_slab - s->blocks.out);
		want -= n;
		ch->count += n;
		while (n--)
			block_push(&ch->top, slab_take(c, s));
		if (s->blocks.out == c->per_slab) {
			list_remove(&s->link);
			if (CONFIG_DEBUG)
				list_push_front(&c->full, &s->link);
		}
	}
	c->out += c->batch - want;
	spin_unlock(&c->lock, f);
	return ch->top;
}

/* Interrupts off. */
static noinline void chain_relieve(struct slab_cache *c, struct slab_chain *ch, unsigned n)
{
	irqflags_t f = spin_lock(&c->lock);
	c->out -= n;
	ch->count -= n;
	while (n--) {
		void *obj = block_pop(&ch->top);
		struct page *s = slab_head(c, obj);
		if (s->blocks.out == c->per_slab) {
			if (CONFIG_DEBUG)
				list_remove(&s->link);
			list_push_back(&c->partial, &s->link);
		}
		block_pool_put(&s->blocks, obj);
		if (s->blocks.out)
			continue;
		if (c->empty) { /* one is kept */
			list_remove(&s->link);
			slab_destroy(c, s);
		} else {
			c->empty++;
		}
	}
	spin_unlock(&c->lock, f);
}

/* ---- public ---- */

static noinline void *refill_alloc(struct slab_cache *c, struct slab_chain *ch, unsigned flags, irqflags_t f)
{
	void *obj = chain_refill(c, ch, flags);
	if (obj) {
		ch->top = block_link(obj);
		ch->count--;
		if (CONFIG_KASAN)
			kasan_slab_alloc(c, obj);
	}
	irq_restore(f);
	return obj;
}

/* The rarer way is a call at the end, so that the short one needs no stack frame for it. */
void *slab_alloc_uncounted(struct slab_cache *c, unsigned flags)
{
	irqflags_t f = irq_save();
	struct slab_chain *ch = my_chain(c);
	void *obj = ch->top;
	if (unlikely(!obj))
		return refill_alloc(c, ch, flags, f);
	ch->top = block_link(obj);
	ch->count--;
	if (CONFIG_KASAN)
		kasan_slab_alloc(c, obj);
	irq_restore(f);
	return obj;
}

void *slab_alloc(struct slab_cache *c, unsigned flags)
{
	if (alloc_fail_now())
		return NULL;
	void *obj = slab_alloc_uncounted(c, flags);
	if (CONFIG_DEBUG && obj)
		slab_debug_alloc(c, obj, c->size, __builtin_return_address(0));
	if (flags & ALLOC_ZERO && likely(obj))
		memset(obj, 0, c->size);
	return obj;
}

static noinline void free_relieve(struct slab_cache *c, struct slab_chain *ch, irqflags_t f)
{
	chain_relieve(c, ch, MIN(ch->count, (uint32_t)c->batch));
	irq_restore(f);
}

static always_inline void free_now(struct slab_cache *c, void *obj)
{
	if (CONFIG_DEBUG && !slab_debug_free(c, obj, __builtin_return_address(0)))
		return;
	irqflags_t f = irq_save();
	struct slab_chain *ch = my_chain(c);
	block_push(&ch->top, obj);
	if (unlikely(++ch->count > ch->high)) {
		free_relieve(c, ch, f);
		return;
	}
	irq_restore(f);
}

#if CONFIG_KASAN
void slab_free_now(struct slab_cache *c, void *obj)
{
	free_now(c, obj);
}
#endif

void slab_free(struct slab_cache *c, void *obj)
{
	if (CONFIG_KASAN)
		kasan_slab_free(c, obj); /* keeps it for a while, then calls slab_free_now() */
	else
		free_now(c, obj);
}

static void cache_setup(struct slab_cache *c, const char *name, size_t size, size_t align)
{
	*c = (struct slab_cache){.name = name};
	spin_init(&c->lock, LOCK_SLAB, name);
	list_init(&c->partial);
	list_init(&c->full);
	align = MAX(align, (size_t)16);
	size_t extra = (CONFIG_DEBUG ? sizeof(struct slab_note) : 0) + (CONFIG_KASAN ? KASAN_OBJECT_EXTRA : 0);
	c->size = (uint32_t)ALIGN_UP(MAX(size, (size_t)16), 8);
	c->stride = (uint32_t)ALIGN_UP(c->size + extra, align);
	struct slab_shape shape = slab_shape_of(c->stride, PAGE_SIZE);
	c->order = (uint8_t)shape.order;
	c->per_slab = (uint16_t)shape.per_slab;
	c->batch = (uint16_t)shape.batch;
}

static int cache_register(struct slab_cache *c)
{
	SPIN_GUARD(&slab_list_lock);
	unsigned id = 0;
	while (id < SLABS_MAX && caches[id])
		id++;
	if (id == SLABS_MAX)
		return -1;
	c->id = (uint16_t)id;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		if (chains[cpu])
			chains[cpu][id] = (struct slab_chain){.high = 2u * c->batch};
	atomic_store_release(&caches[id], c);
	cache_count = MAX(cache_count, id + 1);
	return 0;
}

void slab_cache_init_static(struct slab_cache *c, const char *name, size_t size, size_t align)
{
	cache_setup(c, name, size, align);
	BUG_ON(cache_register(c));
}

struct slab_cache *slab_cache_create(const char *name, size_t size_bytes, size_t align_bytes)
{
	BUG_ON(size_bytes > (PAGE_SIZE << SLAB_ORDER_MAX) / 2 || align_bytes > PAGE_SIZE ||
	       (align_bytes & (align_bytes - 1)));
	struct slab_cache *c = slab_alloc(&cache_of_caches, 0);
	if (!c)
		return NULL;
	cache_setup(c, name, size_bytes, align_bytes);
	if (cache_register(c)) {
		slab_free(&cache_of_caches, c);
		return NULL;
	}
	return c;
}

static void cache_drain(struct slab_cache *c)
{
	if (CONFIG_KASAN)
		kasan_quarantine_drain();
	irqflags_t f = irq_save();
	struct slab_chain *ch = my_chain(c);
	if (ch->count)
		chain_relieve(c, ch, ch->count);
	irq_restore(f);

	f = spin_lock(&c->lock);
	struct page *s;
	LIST_FOR_EACH_SAFE(s, &c->partial, link)
		if (!s->blocks.out) {
			list_remove(&s->link);
			c->empty--;
			slab_destroy(c, s);
		}
	spin_unlock(&c->lock, f);
}

void slab_caches_drain(void)
{
	for (unsigned i = 0; i < cache_count; i++) {
		struct slab_cache *c = atomic_load_acquire(&caches[i]);
		if (c)
			cache_drain(c);
	}
}

void slab_caches_each(void (*visit)(struct slab_cache *c, void *arg), void *arg)
{
	SPIN_GUARD(&slab_list_lock);
	for (unsigned i = 0; i < cache_count; i++)
		if (caches[i])
			visit(caches[i], arg);
}

void slab_cache_destroy(struct slab_cache *c)
{
	cache_drain(c);
	if (c->pages)
		panic("slab cache %s destroyed with %llu objects in use", c->name, (unsigned long long)c->out);
	irqflags_t f = spin_lock(&slab_list_lock);
	caches[c->id] = NULL;
	spin_unlock(&slab_list_lock, f);
	slab_free(&cache_of_caches, c);
}

void slab_init(void)
{
	slab_cache_init_static(&cache_of_caches, "slab_cache", sizeof(struct slab_cache), CACHE_LINE);
}

int slab_cpu_prepare(uint32_t cpu)
{
	if (chains[cpu])
		return 0;
	struct slab_chain *new_chains = kzalloc(sizeof boot_chains);
	if (!new_chains)
		return -ENOMEM;
	chains[cpu] = new_chains; /* limits are filled in by each chain's first refill */
	return 0;
}

bool slab_stats_get(unsigned i, struct slab_stats *out)
{
	if (CONFIG_KASAN)
		kasan_quarantine_drain(); /* what waits there is not in use */
	SPIN_GUARD(&slab_list_lock);
	for (unsigned id = 0; id < cache_count; id++) {
		const struct slab_cache *c = caches[id];
		if (!c || i--)
			continue;
		uint64_t on_chains = 0;
		for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
			if (chains[cpu])
				on_chains += READ_ONCE(chains[cpu][id].count);
		uint64_t out_now = READ_ONCE(c->out);
		*out = (struct slab_stats){
			.name = c->name,
			.size_bytes = c->size,
			.objects_used = out_now > on_chains ? out_now - on_chains : 0,
			.objects_total = READ_ONCE(c->total),
			.pages = READ_ONCE(c->pages),
		};
		return true;
	}
	return false;
}

uint64_t slab_pages_total(void)
{
	SPIN_GUARD(&slab_list_lock);
	uint64_t n = 0;
	for (unsigned id = 0; id < cache_count; id++)
		if (caches[id])
			n += READ_ONCE(caches[id]->pages);
	return n;
}
