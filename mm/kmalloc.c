/*
 * kmalloc: memory by size.
 *
 * Small requests go to the slab cache of the next size class, found by one table look-up; classes are powers of two and
 * the steps half-way between, so at most a third is lost.  Larger than half a page: whole pages from the buddy
 * allocator.  kfree() tells the two apart by the state of the page.  A class that is a power of two is aligned to
 * itself, because its slab is and its stride is its size.
 */
#include "core/panic.h"
#include "lib/string.h"
#include "mm/page_internal.h"
#include "mm/slab.h"
#include "mm/slab_internal.h"

#define CLASS_MAX 2048
#define CLASS_STEP 16

static const uint16_t class_size[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, CLASS_MAX};
static const char *const class_name[] = {"kmalloc-16",	"kmalloc-32",	"kmalloc-48",	"kmalloc-64",  "kmalloc-96",
					 "kmalloc-128", "kmalloc-192",	"kmalloc-256",	"kmalloc-384", "kmalloc-512",
					 "kmalloc-768", "kmalloc-1024", "kmalloc-1536", "kmalloc-2048"};
_Static_assert(ARRAY_SIZE(class_size) == ARRAY_SIZE(class_name), "a name for each class");

static struct slab_cache class_cache[ARRAY_SIZE(class_size)];
/* class for sizes ((i-1)*16, i*16] */
static uint8_t class_of[CLASS_MAX / CLASS_STEP + 1];

void kmalloc_init(void)
{
	unsigned class = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(class_of); i++) {
		if (i * CLASS_STEP > class_size[class])
			class ++;
		class_of[i] = (uint8_t) class;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(class_size); i++)
		slab_cache_init_static(&class_cache[i], class_name[i], class_size[i], CLASS_STEP);
}

static noinline void *pages_alloc(size_t size, unsigned flags)
{
	if (size > KMALLOC_MAX)
		return NULL;
	unsigned order = size <= PAGE_SIZE ? 0 : 64 - PAGE_SHIFT - (unsigned)__builtin_clzll(size - 1);
	struct page *p = page_alloc_uncounted(order, flags);
	return p ? page_to_ptr(p) : NULL;
}

static always_inline void *alloc(size_t size, unsigned flags)
{
	if (alloc_fail_now())
		return NULL;
	if (unlikely(size > CLASS_MAX))
		return pages_alloc(size, flags);
	void *p = slab_alloc_uncounted(&class_cache[class_of[(size + CLASS_STEP - 1) / CLASS_STEP]], 0);
	if (flags & ALLOC_ZERO && likely(p))
		memset(p, 0, ALIGN_UP(size, sizeof(uint64_t))); /* not the whole object: only what was asked for */
	return p;
}

void *kmalloc(size_t size_bytes)
{
	return alloc(size_bytes, 0);
}

void *kzalloc(size_t size_bytes)
{
	return alloc(size_bytes, ALLOC_ZERO);
}

void *kcalloc(size_t count, size_t size_bytes)
{
	size_t total;
	return __builtin_mul_overflow(count, size_bytes, &total) ? NULL : kzalloc(total);
}

void kfree(const void *p)
{
	if (!p)
		return;
	struct page *page = ptr_to_page(p);
	if (likely(page->state == PAGE_SLAB)) {
		slab_free(page->owner, (void *)p);
		return;
	}
	if (unlikely(page->state != PAGE_OWNED || !IS_ALIGNED((uintptr_t)p, PAGE_SIZE)))
		panic("kfree of %p, which was never allocated", p);
	page_put(page);
}

char *kstrdup(const char *s)
{
	return kmemdup(s, strlen(s) + 1);
}

void *kmemdup(const void *p, size_t len_bytes)
{
	void *copy = kmalloc(len_bytes);
	return copy ? memcpy(copy, p, len_bytes) : NULL;
}
