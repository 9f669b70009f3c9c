/*
 * Planted memory errors: each must be caught at the access, named by kind, with the stacks that allocated and freed the
 * memory.  Only in SAN=kasan builds.
 *
 * The bad accesses really happen; they hit red zones and quarantined objects, where they do no harm.
 */
#include <arch/page.h>

#include "core/ktest.h"
#include "core/sanitizer.h"
#include "lib/string.h"
#include "mm/kasan.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/usercopy.h"

/* What the compiler must not know. */
static volatile size_t offset;
static volatile uint8_t sink;

static noinline uint8_t *planted_alloc(size_t len)
{
	return kmalloc(len);
}

static noinline void planted_free(void *p)
{
	kfree(p);
}

/* Ends the expectation; the report must have all the words up to NULL, in this order. */
static void expect_words(const char *const *words)
{
	const char *report = san_expect_end(), *at = report;

	for (; *words; words++) {
		at = strstr(at, *words);
		if (!at)
			ktest_fail(__FILE__, __LINE__, "\"%s\" is missing or misplaced in: %s", *words, report);
	}
}

#define EXPECT(...) expect_words((const char *const[]){__VA_ARGS__, NULL})

static void expect_nothing(void)
{
	KTEST_EQ(strlen(san_expect_end()), 0);
}

static noinline void store_byte(volatile uint8_t *p, size_t at)
{
	p[at] = 1;
}

static noinline void load_byte(const volatile uint8_t *p, size_t at)
{
	sink = p[at];
}

KTEST(mm, kasan_heap_overflow)
{
	/* 13 bytes of a class of 16: the last granule is in part accessible. */
	uint8_t *p = planted_alloc(13);

	KTEST_TRUE(p != NULL);
	san_expect_begin();
	store_byte(p, 12);
	expect_nothing();
	san_expect_begin();
	store_byte(p, 13);
	EXPECT("KASAN: heap out of bounds: store of 1 bytes", "by store_byte", "store_byte",
	       "ktest_mm_kasan_heap_overflow", "0 bytes behind the object of 13 bytes", "kmalloc-16",
	       "allocated by:", "planted_alloc", "ktest_mm_kasan_heap_overflow", "shadow", ">05 fc");
	san_expect_begin();
	load_byte(p, 16);
	EXPECT("KASAN: heap out of bounds: load of 1 bytes", "3 bytes behind the object of 13 bytes");
	planted_free(p);
}

KTEST(mm, kasan_use_after_free)
{
	uint8_t *p = planted_alloc(100);

	KTEST_TRUE(p != NULL);
	planted_free(p);
	san_expect_begin();
	load_byte(p, 8);
	EXPECT("KASAN: use after free: load of 1 bytes", "load_byte", "byte 8 of the object", "kmalloc-128",
	       "allocated by:", "planted_alloc", "ktest_mm_kasan_use_after_free", "freed by:", "planted_free",
	       "ktest_mm_kasan_use_after_free");
	san_expect_begin();
	store_byte(p, 0);
	EXPECT("KASAN: use after free: store of 1 bytes", "allocated by:", "freed by:");
}

/* The address of what was just freed is not handed out again at once, so a late access finds it free. */
KTEST(mm, kasan_quarantine)
{
	uint8_t *p = planted_alloc(64);

	KTEST_TRUE(p != NULL);
	planted_free(p);
	for (unsigned i = 0; i < 100; i++) {
		uint8_t *q = planted_alloc(64);
		KTEST_TRUE(q != NULL && q != p);
		planted_free(q);
	}
	san_expect_begin();
	load_byte(p, 63);
	EXPECT("use after free");
}

KTEST(mm, kasan_double_free)
{
	uint8_t *p = planted_alloc(32);

	KTEST_TRUE(p != NULL);
	planted_free(p);
	san_expect_begin();
	planted_free(p);
	EXPECT("KASAN: double free of", "planted_free", "allocated by:", "planted_alloc", "freed by:", "planted_free");
	p = planted_alloc(32);
	KTEST_TRUE(p != NULL);
	san_expect_begin();
	planted_free(p + 16);
	EXPECT("KASAN: invalid free of", "planted_free", "allocated by:", "planted_alloc");
	planted_free(p);
}

KTEST(mm, kasan_named_cache)
{
	struct slab_cache *c = slab_cache_create("kasan test", 40, 0);
	KTEST_TRUE(c != NULL);
	uint8_t *p = slab_alloc(c, ALLOC_ZERO);

	KTEST_TRUE(p != NULL);
	san_expect_begin();
	store_byte(p, 40);
	EXPECT("heap out of bounds", "0 bytes behind the object of 40 bytes", "cache kasan test", "allocated by:");
	slab_free(c, p);
	slab_cache_destroy(c);
}

static noinline void overflow_stack(void)
{
	volatile uint8_t array[10];

	for (size_t i = 0; i < sizeof(array); i++)
		array[i] = (uint8_t)i;
	array[offset + sizeof(array)] = 1;
	sink = array[offset];
}

static noinline void use_out_of_scope(void)
{
	volatile uint8_t *late;

	{
		volatile uint8_t array[24];
		array[offset] = 1;
		late = &array[offset];
	}
	sink = *late;
}

KTEST(mm, kasan_stack)
{
	san_expect_begin();
	overflow_stack();
	EXPECT("KASAN: stack out of bounds: store of 1 bytes", "by overflow_stack", "ktest_mm_kasan_stack",
	       "of the frame of overflow_stack", "array");
	san_expect_begin();
	use_out_of_scope();
	EXPECT("KASAN: stack use after scope: load of 1 bytes", "by use_out_of_scope");
}

static volatile uint8_t planted_global[11];

KTEST(mm, kasan_global)
{
	san_expect_begin();
	planted_global[offset + 10] = 1;
	expect_nothing();
	san_expect_begin();
	planted_global[offset + 11] = 1;
	EXPECT("KASAN: global out of bounds: store of 1 bytes", "ktest_mm_kasan_global",
	       "11 bytes behind the start of planted_global, 11 bytes, of mm/test/test_kasan.c");
}

KTEST(mm, kasan_pages)
{
	struct page *p = page_alloc(1, 0);
	KTEST_TRUE(p != NULL);
	uint8_t *at = page_to_ptr(p);

	store_byte(at, 2 * PAGE_SIZE - 1);
	page_put(p);
	san_expect_begin();
	load_byte(at, 5);
	EXPECT("KASAN: use of a free page: load of 1 bytes", "last allocated by:", "ktest_mm_kasan_pages",
	       "last freed by:", "ktest_mm_kasan_pages");
	san_expect_begin();
	load_byte(at, PAGE_SIZE + 5);
	EXPECT("KASAN: use of a free page", "last freed by:", "ktest_mm_kasan_pages");

	/* A large kmalloc ends where it was asked to. */
	at = planted_alloc(5000);
	KTEST_TRUE(at != NULL);
	san_expect_begin();
	store_byte(at, 4999);
	expect_nothing();
	san_expect_begin();
	store_byte(at, 5000);
	EXPECT("KASAN: pages out of bounds: store of 1 bytes", "planted_alloc");
	planted_free(at);
}

KTEST(mm, kasan_memory_functions)
{
	uint8_t *p = planted_alloc(24), *q = planted_alloc(40);
	size_t len = offset + 25;

	KTEST_TRUE(p && q);
	san_expect_begin();
	memset(p, 0, len);
	EXPECT("KASAN: heap out of bounds: store of 25 bytes", "0 bytes behind the object of 24 bytes");
	san_expect_begin();
	memcpy(q, p, len);
	EXPECT("KASAN: heap out of bounds: load of 25 bytes");
	san_expect_begin();
	memmove(p, q, len);
	EXPECT("KASAN: heap out of bounds: store of 25 bytes");
	san_expect_begin();
	sink = (uint8_t)memcmp(p, q, len);
	EXPECT("KASAN: heap out of bounds: load of", "memcmp");
	/* The program's side is no concern of KASAN, ours is. */
	san_expect_begin();
	KTEST_EQ(copy_from_user(p, uptr(USER_VA_END - PAGE_SIZE), len), -EFAULT);
	EXPECT("KASAN: heap out of bounds: store of 25 bytes");
	planted_free(p);
	planted_free(q);
}

/* Nothing handed out may be out of bounds: every size, first to last byte. */
KTEST(mm, kasan_accepts_what_is_right)
{
	san_expect_begin();
	for (size_t len = 1; len < 9000; len += 1 + len / 16) {
		uint8_t *p = planted_alloc(len);
		KTEST_TRUE(p != NULL);
		memset(p, 0x5a, len);
		load_byte(p, len - 1);
		if (len >= 16)
			sink = (uint8_t)((volatile uint64_t *)(p + len - 8))[0];
		planted_free(p);
	}
	uint8_t *stack = kstack_alloc();
	KTEST_TRUE(stack != NULL);
	memset(stack, 0, KSTACK_SIZE);
	kstack_free(stack);
	uint8_t *table = kmap_alloc(3 * PAGE_SIZE);
	KTEST_TRUE(table != NULL);
	memset(table, 0, 3 * PAGE_SIZE);
	kmap_free(table);
	expect_nothing();
}
