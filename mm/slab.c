/*
 * Kernel objects: theory.
 *
 * A cache serves objects of one size.  Three layers, each emptied into and filled from the next:
 *
 *   per-CPU chain   free objects linked through their first word, LIFO; touched by its CPU only, interrupts off: a
 *                   dozen instructions, no lock, no atomic operation, no look at the slab
 *   slabs           2^order pages cut into objects.  The head's struct page keeps the state: private = chain of free
 *                   objects, index = objects out (low half) and objects ever cut off (high half).  Objects are cut one
 *                   by one as they are needed, so a new slab costs nothing in advance.  Those with something free are
 *                   on cache->partial, under cache->lock
 *   pages           the buddy allocator; a slab that falls empty goes back, but for one kept per cache
 *
 * The chain moves BATCH objects at a time, so the lock is taken once for many.  Objects on a chain count as out for
 * their slab. An object finds its slab, and so its cache, by arithmetic: direct map → frame → struct page; each page of
 * a slab has state PAGE_SLAB and owner = the cache, and a slab is aligned to its size, so its head is found by masking.
 *
 * Caches are numbered, and each CPU has one array of chains indexed by that number: dense, and no CPU's chain shares a
 * line with another's.
 *
 * Debug builds fill free objects with a pattern and check it at the next allocation (write after free) and at free
 * (freed twice), fill allocated ones with another, and put a
 * guard word behind the objects of named caches (kmalloc's own must keep the alignment their sizes promise).
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
#include "lib/list.h"
#include "lib/string.h"
#include "mm/page_internal.h"
#include "mm/slab_internal.h"
#include "sync/spinlock.h"

#define SLABS_MAX 128
#define SLAB_ORDER_MAX 3
#define POISON 0x6b6b6b6b5ca1ab1eull
#define FRESH 0xa5a5a5a5a5a5a5a5ull
#define GUARD 0xbb11bb11facade11ull

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

static always_inline void *link_of(const void *obj)
{
	return *(void *const *)obj;
}

static always_inline void link_set(void *obj, void *next)
{
	*(void **)obj = next;
}

/* ---- debug ---- */

static uint64_t *guard_of(const struct slab_cache *c, void *obj)
{
	return (uint64_t *)((char *)obj + c->stride - 8);
}

/* All but the first word, which is the chain's link. */
static void debug_fill(const struct slab_cache *c, void *obj, uint64_t pattern)
{
	uint64_t *w = obj;
	for (size_t i = 1; i < c->size / 8; i++)
		w[i] = pattern;
}

static noinline void debug_on_alloc(const struct slab_cache *c, void *obj)
{
	const uint64_t *w = obj;
	for (size_t i = 1; i < c->size / 8; i++)
		if (w[i] != POISON)
			panic("%s object %p: written after free (word %zu is %#llx)", c->name, obj, i,
			      (unsigned long long)w[i]);
	debug_fill(c, obj, FRESH); /* so that no free object looks like one in use, and use before initialising shows */
	if (c->guarded)
		*guard_of(c, obj) = GUARD;
}

/* ---- slabs; cache->lock held ---- */

static uint32_t slab_out(const struct page *s)
{
	return (uint32_t)s->index;
}

static uint32_t slab_cut(const struct page *s)
{
	return (uint32_t)(s->index >> 32);
}

static struct page *slab_create(struct slab_cache *c, unsigned flags)
{
	struct page *s = page_alloc_uncounted(c->order, flags & ALLOC_RESERVE);
	if (!s)
		return NULL;
	for (unsigned i = 0; i < 1u << c->order; i++) {
		s[i].state = PAGE_SLAB;
		s[i].owner = c;
	}
	s->index = s->private = 0; /* nothing out, nothing cut, nothing freed */
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

static noinline void debug_on_free(const struct slab_cache *c, void *obj)
{
	const struct page *p = ptr_to_page(obj);
	if (p->state != PAGE_SLAB || p->owner != c)
		panic("%p is no object of %s", obj, c->name);
	if (((uintptr_t)obj - (uintptr_t)page_to_ptr(slab_head(c, obj))) % c->stride)
		panic("%p does not start an object of %s", obj, c->name);
	const uint64_t *w = obj;
	bool all = c->size >= 32;
	for (size_t i = 1; i < c->size / 8 && all; i++)
		all = w[i] == POISON;
	if (all)
		panic("%s object %p freed twice", c->name, obj);
	if (c->guarded && *guard_of(c, obj) != GUARD)
		panic("%s object %p: written past its end", c->name, obj);
	debug_fill(c, obj, POISON);
}

/* An object of slab s, which has one. */
static void *slab_take(struct slab_cache *c, struct page *s)
{
	void *obj = (void *)s->private;
	if (obj) {
		s->private = (uint64_t)link_of(obj);
		s->index++;
	} else {
		obj = (char *)page_to_ptr(s) + (size_t)slab_cut(s) * c->stride;
		s->index += (1ull << 32) + 1;
		if (CONFIG_DEBUG)
			debug_fill(c, obj, POISON);
	}
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
		if (!slab_out(s))
			c->empty--;
		unsigned n = MIN(want, c->per_slab - slab_out(s));
		want -= n;
		ch->count += n;
		while (n--) {
			void *obj = slab_take(c, s);
			link_set(obj, ch->top);
			ch->top = obj;
		}
		if (slab_out(s) == c->per_slab)
			list_remove(&s->link);
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
		void *obj = ch->top;
		ch->top = link_of(obj);
		struct page *s = slab_head(c, obj);
		if (slab_out(s) == c->per_slab)
			list_push_back(&c->partial, &s->link);
		link_set(obj, (void *)s->private);
		s->private = (uint64_t)obj;
		s->index--;
		if (slab_out(s))
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
		ch->top = link_of(obj);
		ch->count--;
		if (CONFIG_DEBUG)
			debug_on_alloc(c, obj);
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
	ch->top = link_of(obj);
	ch->count--;
	if (CONFIG_DEBUG)
		debug_on_alloc(c, obj);
	irq_restore(f);
	return obj;
}

void *slab_alloc(struct slab_cache *c, unsigned flags)
{
	if (alloc_fail_now())
		return NULL;
	void *obj = slab_alloc_uncounted(c, flags);
	if (flags & ALLOC_ZERO && likely(obj))
		memset(obj, 0, c->size);
	return obj;
}

static noinline void free_relieve(struct slab_cache *c, struct slab_chain *ch, irqflags_t f)
{
	chain_relieve(c, ch, MIN(ch->count, (uint32_t)c->batch));
	irq_restore(f);
}

void slab_free(struct slab_cache *c, void *obj)
{
	if (CONFIG_DEBUG)
		debug_on_free(c, obj);
	irqflags_t f = irq_save();
	struct slab_chain *ch = my_chain(c);
	link_set(obj, ch->top);
	ch->top = obj;
	if (unlikely(++ch->count > ch->high)) {
		free_relieve(c, ch, f);
		return;
	}
	irq_restore(f);
}

static void cache_setup(struct slab_cache *c, const char *name, size_t size, size_t align, bool guarded)
{
	*c = (struct slab_cache){.name = name, .guarded = CONFIG_DEBUG && guarded};
	spin_init(&c->lock, LOCK_SLAB, name);
	list_init(&c->partial);
	align = MAX(align, (size_t)16);
	c->size = (uint32_t)ALIGN_UP(MAX(size, (size_t)16), 8);
	c->stride = (uint32_t)ALIGN_UP(c->size + (c->guarded ? 8 : 0), align);
	/* the smallest order that wastes at most an eighth */
	unsigned order = 0;
	while ((size_t)PAGE_SIZE << order < c->stride)
		order++;
	while (order < SLAB_ORDER_MAX && ((size_t)PAGE_SIZE << order) % c->stride > ((size_t)PAGE_SIZE << order) / 8)
		order++;
	c->order = (uint8_t)order;
	c->per_slab = (uint16_t)(((size_t)PAGE_SIZE << order) / c->stride);
	c->batch = (uint16_t)MAX(MIN(4096 / c->stride, 32u), 2u);
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
	cache_setup(c, name, size, align, false);
	BUG_ON(cache_register(c));
}

struct slab_cache *slab_cache_create(const char *name, size_t size_bytes, size_t align_bytes)
{
	BUG_ON(size_bytes > (PAGE_SIZE << SLAB_ORDER_MAX) / 2 || align_bytes > PAGE_SIZE ||
	       (align_bytes & (align_bytes - 1)));
	struct slab_cache *c = slab_alloc(&cache_of_caches, 0);
	if (!c)
		return NULL;
	cache_setup(c, name, size_bytes, align_bytes, true);
	if (cache_register(c)) {
		slab_free(&cache_of_caches, c);
		return NULL;
	}
	return c;
}

static void cache_drain(struct slab_cache *c)
{
	irqflags_t f = irq_save();
	struct slab_chain *ch = my_chain(c);
	if (ch->count)
		chain_relieve(c, ch, ch->count);
	irq_restore(f);

	f = spin_lock(&c->lock);
	struct page *s;
	LIST_FOR_EACH_SAFE(s, &c->partial, link)
		if (!slab_out(s)) {
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
