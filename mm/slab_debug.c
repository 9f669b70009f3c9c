/*
 * Debugging of kernel objects: theory.
 *
 * In debug builds every object carries a note behind it.  That finds, without any help from the compiler:
 *
 *   write after free     a free object is filled with POISON, which must still be there when it is handed out again
 *                        (but for its first word, the link of the chain)
 *   use before write     a fresh object is filled with FRESH, an address nobody has
 *   write past the end   what was not asked for, up to the end of the object, and the note's first word are a red zone
 *                        with a pattern, looked at when the object is given back
 *   freed twice          the note says FREE
 *   leak                 the note names the owner, the return address of the call that asked, and a serial number.
 *                        What is alive and younger than a given number, summed up by owner, is what was leaked since:
 *                        printed by the test runner for a test that lost pages, and by the monitor's `owners`
 *
 * All but the leak are found late, at the next free or allocation; the report names who had the object and who freed
 * it.  KASAN (SAN=kasan) finds them at the access, at eight times the cost.
 *
 * A note is written by whoever has the object, so it needs no lock; the walk over all objects holds the cache's lock,
 * which keeps slabs from coming and going, and may see a note that is just being written: then that object is counted
 * wrongly once.  Objects of kmalloc that are whole pages are on a list of their own, under large_lock.
 *
 * A finding is our own bug: it is reported and the kernel panics, unless a test has announced it (san_expect_begin()).
 */
#include "mm/slab_debug.h"

#include "core/log.h"
#include "core/panic.h"
#include "core/sanitizer.h"
#include "core/symbols.h"
#include "lib/list.h"
#include "lib/string.h"
#include "mm/kasan.h"
#include "mm/page.h"
#include "mm/slab_internal.h"
#include "sync/atomic.h"
#include "sync/spinlock.h"

#define POISON 0x6b6b6b6b5ca1ab1eull
#define FRESH 0xa5a5a5a5a5a5a5a5ull
#define RED 0xbb
#define NOTE_TAKEN 0xbb11bb11facade11ull
#define NOTE_FREE 0x6b6b6b6bdeadf4eeull

static uint32_t serial_last;
static struct spinlock large_lock = SPINLOCK_INIT(LOCK_SLAB, "large blocks");
static struct list large_blocks = LIST_INIT(large_blocks); /* struct page: owner, index = bytes, private = serial */

static struct slab_note *note_of(const struct slab_cache *c, const void *obj)
{
	return (struct slab_note *)((char *)obj + c->size + (CONFIG_KASAN ? KASAN_OBJECT_EXTRA : 0));
}

/* All but the first word, which is the chain's link. */
static void fill(const struct slab_cache *c, void *obj, uint64_t pattern)
{
	uint64_t *w = obj;
	for (size_t i = 1; i < c->size / 8; i++)
		w[i] = pattern;
}

static const char *name_of(const void *ip, uintptr_t *offset)
{
	/* a return address lies behind its call */
	const char *name = ip ? symbol_lookup((uintptr_t)ip - 1, offset) : NULL;
	if (!name)
		*offset = 0;
	return name ? name : "nobody";
}

/* The rest of a report that was begun, and its end; does not return unless a test expected it. */
static void report_object(const struct slab_cache *c, const void *obj, const void *now)
{
	const struct slab_note *n = note_of(c, obj);
	uintptr_t at_owner, at_free, at_now;
	const char *owner = name_of(n->owner, &at_owner), *freed = name_of(n->freed_by, &at_free);
	const char *here = name_of(now, &at_now);

	san_report_line("  object %p of %s, %u bytes, allocation %u", obj, c->name, n->asked, n->serial);
	san_report_line("  allocated by %s+0x%llx", owner, (unsigned long long)at_owner);
	if (n->freed_by)
		san_report_line("  freed by %s+0x%llx", freed, (unsigned long long)at_free);
	san_report_line("  found by %s+0x%llx", here, (unsigned long long)at_now);
	if (!san_report_end())
		panic("%s", san_headline);
}

void slab_debug_cut(const struct slab_cache *c, void *obj)
{
	fill(c, obj, POISON);
	*note_of(c, obj) = (struct slab_note){.guard = NOTE_FREE};
}

static void poison_check(const struct slab_cache *c, const void *obj, const void *now)
{
	if (CONFIG_KASAN)
		return; /* has reported the access itself, to a test that planted it too */
	const uint64_t *w = obj;
	for (size_t i = 1; i < c->size / 8; i++) {
		if (w[i] == POISON)
			continue;
		if (san_report_begin("slab: written after free: byte %zu of an object of %s is part of %#llx", i * 8,
				     c->name, (unsigned long long)w[i]))
			report_object(c, obj, now);
		return;
	}
}

void slab_debug_alloc(const struct slab_cache *c, void *obj, size_t asked, const void *owner)
{
	struct slab_note *n = note_of(c, obj);
	if (n->guard != NOTE_FREE && san_report_begin("slab: record of a free object of %s overwritten", c->name))
		report_object(c, obj, owner);
	poison_check(c, obj, owner);
	fill(c, obj, FRESH);
	*(uint64_t *)obj = FRESH;
	memset((char *)obj + asked, RED, c->size - asked);
	n->owner = owner;
	n->freed_by = NULL;
	n->asked = (uint32_t)asked;
	n->serial = __atomic_add_fetch(&serial_last, 1, __ATOMIC_RELAXED);
	n->guard = NOTE_TAKEN;
	if (unlikely(alloc_recording))
		alloc_record(obj, MAX(asked, (size_t)1));
}

/* Whether obj is an object of c at all. */
static void place_check(const struct slab_cache *c, const void *obj)
{
	const struct page *p = ptr_to_page(obj);
	uint64_t base = (uintptr_t)obj & ~(((uint64_t)PAGE_SIZE << c->order) - 1);
	if (p->state != PAGE_SLAB || p->owner != c)
		panic("%p is no object of %s", obj, c->name);
	if (((uintptr_t)obj - base) % c->stride)
		panic("%p does not start an object of %s", obj, c->name);
}

bool slab_debug_free(const struct slab_cache *c, void *obj, const void *freed_by)
{
	place_check(c, obj);
	struct slab_note *n = note_of(c, obj);
	if (n->guard == NOTE_FREE) {
		if (san_report_begin("slab: freed twice: an object of %s", c->name))
			report_object(c, obj, freed_by);
		return false;
	}
	size_t end = CONFIG_KASAN ? c->size : MIN(n->asked, c->size); /* KASAN has reported the write itself */
	while (end < c->size && ((const uint8_t *)obj)[end] == RED)
		end++;
	if ((end < c->size || n->guard != NOTE_TAKEN) &&
	    san_report_begin("slab: written past the end: byte %zu of %u bytes of %s", end, n->asked, c->name))
		report_object(c, obj, freed_by);
	fill(c, obj, POISON);
	n->freed_by = freed_by;
	n->guard = NOTE_FREE;
	if (unlikely(alloc_recording))
		alloc_record(obj, 0);
	return true;
}

void slab_debug_large_alloc(struct page *p, size_t asked, const void *owner)
{
	p->owner = (void *)owner;
	p->index = asked;
	p->private = __atomic_add_fetch(&serial_last, 1, __ATOMIC_RELAXED);
	irqflags_t f = spin_lock(&large_lock);
	list_push_back(&large_blocks, &p->link);
	spin_unlock(&large_lock, f);
	if (unlikely(alloc_recording))
		alloc_record(page_to_ptr(p), asked);
}

void slab_debug_large_free(struct page *p)
{
	irqflags_t f = spin_lock(&large_lock);
	list_remove(&p->link);
	spin_unlock(&large_lock, f);
	if (unlikely(alloc_recording))
		alloc_record(page_to_ptr(p), 0);
}

/* ---- who owns what ---- */

struct count {
	uint32_t since;
	struct slab_owner *out;
	unsigned used, max;
};

uint32_t slab_serial_now(void)
{
	return READ_ONCE(serial_last);
}

static void count_one(struct count *k, const void *owner, uint64_t bytes, uint32_t serial)
{
	if (k->since && (int32_t)(serial - k->since) <= 0)
		return;
	unsigned i = 0;
	while (i < k->used && k->out[i].owner != owner)
		i++;
	if (i == k->max)
		return;
	if (i == k->used)
		k->out[k->used++] = (struct slab_owner){.owner = owner};
	k->out[i].objects++;
	k->out[i].bytes += bytes;
	if ((int32_t)(serial - k->out[i].last_serial) > 0)
		k->out[i].last_serial = serial;
}

static void count_slabs(struct count *k, const struct slab_cache *c, const struct list *slabs)
{
	const struct page *s;
	LIST_FOR_EACH(s, slabs, link)
		for (unsigned i = 0; i < s->blocks.cut; i++) {
			const struct slab_note *n = note_of(c, (char *)page_to_ptr(s) + (size_t)i * c->stride);
			if (n->guard == NOTE_TAKEN)
				count_one(k, n->owner, n->asked, n->serial);
		}
}

static void count_cache(struct slab_cache *c, void *arg)
{
	irqflags_t f = spin_lock(&c->lock);
	count_slabs(arg, c, &c->partial);
	count_slabs(arg, c, &c->full);
	spin_unlock(&c->lock, f);
}

unsigned slab_owners_get(uint32_t since, struct slab_owner *out, unsigned max)
{
	struct count k = {.since = since, .out = out, .max = max};
	const struct page *p;

	if (CONFIG_KASAN)
		kasan_quarantine_drain(); /* what waits there is not alive */
	slab_caches_each(count_cache, &k);
	irqflags_t f = spin_lock(&large_lock);
	LIST_FOR_EACH(p, &large_blocks, link)
		count_one(&k, p->owner, p->index, (uint32_t)p->private);
	spin_unlock(&large_lock, f);
	/* by insertion: a few hundred, and mostly in order after the first time */
	for (unsigned i = 1; i < k.used; i++)
		for (unsigned j = i; j && out[j].bytes > out[j - 1].bytes; j--) {
			struct slab_owner swap = out[j];
			out[j] = out[j - 1];
			out[j - 1] = swap;
		}
	return k.used;
}

void slab_owners_log(uint32_t since, unsigned max)
{
	static struct slab_owner owners[512]; /* only the test runner comes here, one at a time */
	unsigned n = slab_owners_get(since, owners, ARRAY_SIZE(owners));
	uintptr_t offset;

	for (unsigned i = 0; i < MIN(n, max); i++) {
		const char *name = name_of(owners[i].owner, &offset);
		log_warn("slab: %llu objects, %llu bytes of %s+0x%llx", (unsigned long long)owners[i].objects,
			 (unsigned long long)owners[i].bytes, name, (unsigned long long)offset);
	}
	if (n > max)
		log_warn("slab: and of %u others", n - max);
}
