/*
 * Slab allocator over an arena: theory.
 *
 * Objects of one size class share slabs, runs of pages cut into blocks of just that size; pages come from a buddy
 * system below and go back to it when a slab falls empty.  So both ends are cheap: an object is a block on a chain
 * (three memory accesses), and what a phase of small objects used serves large ones afterwards.
 *
 * The layers are those of mm/slab.c, which is the kernel's, and the parts they share are shared: the pool in a slab
 * (blocks.h), the shape of slabs and the classes (size_class.h), batches between chain and slabs.  What is missing is
 * what an arena of one owner does not need: a chain per CPU, locks, caches by name, poison and guards; and instead of
 * struct page there is a record for each page of the arena.
 *
 * Costs: O(1) both; every `batch`-th operation moves a batch.  Lost are at most a third inside an object (the step
 * between classes), the rest of a slab that objects do not fill (at most an eighth), and slabs that a last object
 * keeps. Larger than half a page is a page, larger than that are pages by a power of two.
 *
 * Invariants: a slab is on its class's `partial` list if and only if not all its objects are out; objects on the chain
 * count as out; at most one slab of a class is empty.
 */
#include "lib/alloc/allocator.h"
#include "lib/alloc/blocks.h"
#include "lib/alloc/buddy.h"
#include "lib/alloc/size_class.h"
#include "lib/list.h"

#define PAGE_BITS 12u
#define PAGE_BYTES ((size_t)1 << PAGE_BITS)
#define PAGE_BATCH 4u /* pages that move between their chain and the buddies at once */

/* Of each page; it means something in a slab's first one. */
struct slab_page {
	struct list_node link; /* class->partial */
	struct block_pool pool;
};

struct slab_class {
	void *chain;
	uint32_t chain_count, chain_high;
	uint32_t stride;
	struct slab_shape shape;
	uint32_t empty; /* slabs on partial with nothing out: 0 or 1 between operations */
	struct list partial;
};

/* kmalloc's classes, and single pages: slabs of one object, so that they have a chain too, as page.c's have. */
enum { PAGE_CLASS = SIZE_CLASS_COUNT, CLASSES };

struct slab_arena {
	struct allocator allocator;
	struct slab_class classes[CLASSES];
	struct size_class_map map;
	struct buddy_arena pages;
	struct slab_page *page; /* entry per page */
	size_t granted;
};

static const uint16_t class_size[SIZE_CLASS_COUNT] = SIZE_CLASSES;

static inline struct slab_page *page_of(const struct slab_arena *s, const void *p)
{
	return &s->page[(size_t)((const char *)p - s->pages.base) >> PAGE_BITS];
}

static inline void *page_memory(const struct slab_arena *s, const struct slab_page *page)
{
	return s->pages.base + ((size_t)(page - s->page) << PAGE_BITS);
}

/* Slabs are aligned to their size by the numbers the buddies give pages. */
static inline struct slab_page *slab_of(const struct slab_arena *s, const struct slab_class *c, const void *obj)
{
	size_t number = ((size_t)((const char *)obj - s->pages.base) >> PAGE_BITS) + s->pages.first;

	return &s->page[ALIGN_DOWN(number, (size_t)1 << c->shape.order) - s->pages.first];
}

static struct slab_page *slab_create(struct slab_arena *s, struct slab_class *c)
{
	void *memory = buddy_arena_take(&s->pages, c->shape.order);

	if (!memory)
		return NULL;
	struct slab_page *slab = page_of(s, memory);
	slab->pool = (struct block_pool){0};
	list_push_front(&c->partial, &slab->link);
	c->empty++;
	return slab;
}

/* An object for the caller from those moved to the chain, a batch if there are as many. */
static noinline void *chain_refill(struct slab_arena *s, struct slab_class *c)
{
	for (unsigned want = c->shape.batch; want;) {
		struct slab_page *slab = LIST_FIRST(&c->partial, struct slab_page, link);
		if (!slab) {
			if (c->chain)
				break; /* no new slab just to fill the chain */
			slab = slab_create(s, c);
			if (!slab)
				return NULL;
		}
		if (!slab->pool.out)
			c->empty--;
		unsigned n = MIN(want, c->shape.per_slab - slab->pool.out);
		want -= n;
		c->chain_count += n;
		while (n--) {
			bool fresh;
			block_push(&c->chain, block_pool_take(&slab->pool, page_memory(s, slab), c->stride, &fresh));
		}
		if (slab->pool.out == c->shape.per_slab)
			list_remove(&slab->link);
	}
	c->chain_count--;
	return block_pop(&c->chain);
}

static noinline void chain_relieve(struct slab_arena *s, struct slab_class *c, unsigned n)
{
	c->chain_count -= n;
	while (n--) {
		void *obj = block_pop(&c->chain);
		struct slab_page *slab = slab_of(s, c, obj);
		if (slab->pool.out == c->shape.per_slab)
			list_push_back(&c->partial, &slab->link);
		block_pool_put(&slab->pool, obj);
		if (slab->pool.out)
			continue;
		if (c->empty) { /* one is kept */
			list_remove(&slab->link);
			buddy_arena_give(&s->pages, page_memory(s, slab));
		} else {
			c->empty++;
		}
	}
}

/* Before the arena is declared full: what chains and empty slabs hold. */
static noinline void drain(struct slab_arena *s)
{
	for (unsigned k = 0; k < CLASSES; k++) {
		struct slab_class *c = &s->classes[k];
		struct slab_page *slab;
		chain_relieve(s, c, c->chain_count);
		LIST_FOR_EACH_SAFE(slab, &c->partial, link)
			if (!slab->pool.out) {
				list_remove(&slab->link);
				c->empty--;
				buddy_arena_give(&s->pages, page_memory(s, slab));
			}
	}
}

static noinline void *large_alloc(struct slab_arena *s, size_t size)
{
	unsigned order = buddy_order_of((size + PAGE_BYTES - 1) >> PAGE_BITS);
	void *p = buddy_arena_take(&s->pages, order);

	if (!p) {
		drain(s);
		p = buddy_arena_take(&s->pages, order);
	}
	if (p)
		s->granted += PAGE_BYTES << order;
	return p;
}

static noinline void *refill_alloc(struct slab_arena *s, struct slab_class *c)
{
	void *obj = chain_refill(s, c);

	if (!obj) {
		drain(s);
		obj = chain_refill(s, c);
	}
	if (obj)
		s->granted += c->stride;
	return obj;
}

static always_inline void *class_alloc(struct slab_arena *s, struct slab_class *c)
{
	if (unlikely(!c->chain))
		return refill_alloc(s, c);
	c->chain_count--;
	s->granted += c->stride;
	return block_pop(&c->chain);
}

static always_inline void class_free(struct slab_arena *s, struct slab_class *c, void *p)
{
	s->granted -= c->stride;
	block_push(&c->chain, p);
	if (unlikely(++c->chain_count > c->chain_high))
		chain_relieve(s, c, MIN(c->chain_count, c->shape.batch));
}

/* The size whose class has the alignment too: a power of two is aligned to itself, because slabs are aligned to pages
 * and its stride is its size. */
static inline size_t class_request(size_t size, size_t align)
{
	size = MAX(size, align);
	return (size_t)1 << (64 - __builtin_clzll(size - 1));
}

/* Whether the size alone tells the class: by far the most requests. */
static always_inline bool is_plain(size_t size, size_t align)
{
	return likely(size - 1 < SIZE_CLASS_MAX && align - 1 < ALLOCATOR_ALIGN_MIN);
}

/* Aligned, or of half a page and more. */
static noinline void *unusual_alloc(struct slab_arena *s, size_t size, size_t align)
{
	if (!allocator_request_ok(size, align, s->pages.units << PAGE_BITS))
		return NULL;
	if (align > ALLOCATOR_ALIGN_MIN && size <= PAGE_BYTES)
		size = class_request(size, align);
	if (size > PAGE_BYTES)
		return large_alloc(s, size);
	return class_alloc(s, &s->classes[size > SIZE_CLASS_MAX ? PAGE_CLASS : size_class(&s->map, size)]);
}

static noinline void unusual_free(struct slab_arena *s, void *p, size_t size, size_t align)
{
	if (align > ALLOCATOR_ALIGN_MIN && size <= PAGE_BYTES)
		size = class_request(size, align);
	if (size > PAGE_BYTES)
		s->granted -= PAGE_BYTES << buddy_arena_give(&s->pages, p);
	else
		class_free(s, &s->classes[size > SIZE_CLASS_MAX ? PAGE_CLASS : size_class(&s->map, size)], p);
}

static void *slab_alloc(struct allocator *a, size_t size, size_t align)
{
	struct slab_arena *s = container_of(a, struct slab_arena, allocator);

	if (!is_plain(size, align))
		return unusual_alloc(s, size, align);
	return class_alloc(s, &s->classes[size_class(&s->map, size)]);
}

static void slab_free(struct allocator *a, void *p, size_t size, size_t align)
{
	struct slab_arena *s = container_of(a, struct slab_arena, allocator);

	if (!is_plain(size, align))
		unusual_free(s, p, size, align);
	else
		class_free(s, &s->classes[size_class(&s->map, size)], p);
}

static void slab_stats(const struct allocator *a, struct allocator_stats *out)
{
	const struct slab_arena *s = container_of(a, struct slab_arena, allocator);

	*out = (struct allocator_stats){
		.granted = s->granted,
		.extent = s->pages.reached << PAGE_BITS,
		.overhead = sizeof(*s) + s->pages.reached * (sizeof(struct slab_page) + 1),
	};
}

static bool slab_check(const struct allocator *a)
{
	const struct slab_arena *s = container_of(a, struct slab_arena, allocator);

	for (unsigned k = 0; k < CLASSES; k++) {
		const struct slab_class *c = &s->classes[k];
		const struct slab_page *slab;
		uint32_t chained = 0, empty = 0;
		for (const void *obj = c->chain; obj; obj = block_link(obj))
			chained++;
		LIST_FOR_EACH(slab, &c->partial, link) {
			uint32_t put_back = 0;
			for (const void *obj = slab->pool.free; obj; obj = block_link(obj)) {
				if (slab_of(s, c, obj) != slab)
					return false;
				put_back++;
			}
			if (slab->pool.out >= c->shape.per_slab || slab->pool.out + put_back != slab->pool.cut)
				return false;
			empty += !slab->pool.out;
		}
		if (chained != c->chain_count || empty != c->empty || empty > 1)
			return false;
	}
	return buddy_arena_check(&s->pages);
}

static const struct allocator_ops slab_ops = {slab_alloc, slab_free, slab_stats, slab_check};

struct allocator *slab_arena_create(void *arena, size_t len_bytes)
{
	struct slab_arena *s = arena;
	size_t pages = len_bytes >> PAGE_BITS;
	char *base;
	size_t len = allocator_arena(arena, len_bytes, sizeof(*s) + pages * (sizeof(struct slab_page) + 1), &base);

	if (len < PAGE_BYTES)
		return NULL;
	*s = (struct slab_arena){.allocator.ops = &slab_ops, .page = (struct slab_page *)(s + 1)};
	buddy_arena_init(&s->pages, base, len >> PAGE_BITS, PAGE_BITS, (uint8_t *)(s->page + pages));
	size_class_map_init(&s->map, class_size);
	for (unsigned k = 0; k < CLASSES; k++) {
		struct slab_class *c = &s->classes[k];
		c->stride = k == PAGE_CLASS ? PAGE_BYTES : class_size[k];
		c->shape = slab_shape_of(c->stride, PAGE_BYTES);
		if (k == PAGE_CLASS)
			c->shape.batch = PAGE_BATCH;
		c->chain_high = 2 * c->shape.batch;
		list_init(&c->partial);
	}
	return &s->allocator;
}
