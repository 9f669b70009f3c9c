/*
 * kmalloc: memory by size.
 *
 * Small requests go to the slab cache of the next size class, found by one table look-up; classes are powers of two and
 * the steps half-way between, so at most a third is lost.  Larger than half a page: whole pages from the buddy
 * allocator.  kfree() tells the two apart by the state of the page.  A class that is a power of two is aligned to
 * itself, because its slab is and its stride is its size.
 */
#include "core/panic.h"
#include "lib/alloc/size_class.h"
#include "lib/string.h"
#include "mm/kasan.h"
#include "mm/page_internal.h"
#include "mm/slab.h"
#include "mm/slab_debug.h"
#include "mm/slab_internal.h"

static const uint16_t class_size[SIZE_CLASS_COUNT] = SIZE_CLASSES;
static const char *const class_name[] = {"kmalloc-16",	"kmalloc-32",	"kmalloc-48",	"kmalloc-64",  "kmalloc-96",
					 "kmalloc-128", "kmalloc-192",	"kmalloc-256",	"kmalloc-384", "kmalloc-512",
					 "kmalloc-768", "kmalloc-1024", "kmalloc-1536", "kmalloc-2048"};
_Static_assert(ARRAY_SIZE(class_size) == ARRAY_SIZE(class_name), "a name for each class");

static struct slab_cache class_cache[SIZE_CLASS_COUNT];
static struct size_class_map classes;

void kmalloc_init(void)
{
	size_class_map_init(&classes, class_size);
	for (unsigned i = 0; i < ARRAY_SIZE(class_size); i++) {
		bool power_of_two = !(class_size[i] & (class_size[i] - 1));
		slab_cache_init_static(&class_cache[i], class_name[i], class_size[i],
				       power_of_two ? class_size[i] : SIZE_CLASS_STEP);
	}
}

static noinline void *pages_alloc(size_t size, unsigned flags, const void *owner)
{
	if (size > KMALLOC_MAX)
		return NULL;
	unsigned order = size <= PAGE_SIZE ? 0 : 64 - PAGE_SHIFT - (unsigned)__builtin_clzll(size - 1);
	struct page *p = page_alloc_uncounted(order, flags);
	if (CONFIG_DEBUG && p)
		slab_debug_large_alloc(p, size, owner);
	if (CONFIG_KASAN && p)
		kasan_kmalloc(page_to_ptr(p), size);
	return p ? page_to_ptr(p) : NULL;
}

/* owner: who asks, a return address; looked at in debug builds only. */
static always_inline void *alloc(size_t size, unsigned flags, const void *owner)
{
	if (alloc_fail_now())
		return NULL;
	if (unlikely(size > SIZE_CLASS_MAX))
		return pages_alloc(size, flags, CONFIG_DEBUG ? owner : NULL);
	struct slab_cache *c = &class_cache[size_class(&classes, size)];
	void *p = slab_alloc_uncounted(c, 0);
	if (CONFIG_DEBUG && p)
		slab_debug_alloc(c, p, size, owner);
	/* not the whole object: only what was asked for, in words if that is all the same */
	if (flags & ALLOC_ZERO && likely(p))
		memset(p, 0, CONFIG_DEBUG ? size : ALIGN_UP(size, sizeof(uint64_t)));
	if (CONFIG_KASAN && p)
		kasan_kmalloc(p, size);
	return p;
}

void *kmalloc(size_t size_bytes)
{
	return alloc(size_bytes, 0, __builtin_return_address(0));
}

void *kzalloc(size_t size_bytes)
{
	return alloc(size_bytes, ALLOC_ZERO, __builtin_return_address(0));
}

void *kcalloc(size_t count, size_t size_bytes)
{
	size_t total;
	if (__builtin_mul_overflow(count, size_bytes, &total))
		return NULL;
	return alloc(total, ALLOC_ZERO, __builtin_return_address(0));
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
	if (CONFIG_DEBUG)
		slab_debug_large_free(page);
	page_put(page);
}

static always_inline void *duplicate(const void *p, size_t len, const void *owner)
{
	void *copy = alloc(len, 0, owner);
	return copy ? memcpy(copy, p, len) : NULL;
}

char *kstrdup(const char *s)
{
	return duplicate(s, strlen(s) + 1, __builtin_return_address(0));
}

void *kmemdup(const void *p, size_t len_bytes)
{
	return duplicate(p, len_bytes, __builtin_return_address(0));
}
