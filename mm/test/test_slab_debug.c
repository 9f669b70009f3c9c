/*
 * Debug builds' records of kernel objects: what is planted here must be found and named.
 */
#include "core/ktest.h"
#include "core/sanitizer.h"
#include "core/symbols.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "mm/slab_debug.h"

#define OWNERS 64

static void *planted;

static noinline void *plant_leak(size_t size)
{
	void *p = kmalloc(size);
	WRITE_ONCE(planted, p); /* after the call, so that it is no tail call and this function the owner */
	return p;
}

/* What the function named owns of what is younger than `since`. */
static struct slab_owner owned_by(const char *function, uint32_t since)
{
	static struct slab_owner owners[OWNERS];
	unsigned n = slab_owners_get(since, owners, OWNERS);
	struct slab_owner sum = {0};

	for (unsigned i = 0; i < n; i++) {
		uintptr_t offset;
		const char *name = symbol_lookup((uintptr_t)owners[i].owner - 1, &offset);
		if (name && str_equal(name, function)) {
			sum.objects += owners[i].objects;
			sum.bytes += owners[i].bytes;
		}
	}
	return sum;
}

KTEST(mm, leak_names_its_owner)
{
	uint32_t before = slab_serial_now();
	void *small[3], *large = plant_leak(10000);

	for (unsigned i = 0; i < 3; i++)
		KTEST_TRUE((small[i] = plant_leak(100)));
	KTEST_TRUE(large != NULL);
	struct slab_owner o = owned_by("plant_leak", before);
	KTEST_EQ(o.objects, 4);
	KTEST_EQ(o.bytes, 10300);
	KTEST_EQ(owned_by("plant_leak", slab_serial_now()).objects, 0);
	kfree(small[1]);
	kfree(large);
	o = owned_by("plant_leak", before);
	KTEST_EQ(o.objects, 2);
	KTEST_EQ(o.bytes, 200);
	kfree(small[0]);
	kfree(small[2]);
	KTEST_EQ(owned_by("plant_leak", before).objects, 0);
}

/* Under KASAN the access itself is reported, and it is that report which is looked at elsewhere. */
static void need_plain_build(void)
{
	if (CONFIG_KASAN)
		ktest_skip("KASAN finds it first");
}

static void expect(const char *report, const char *what, const char *owner)
{
	KTEST_TRUE(strstr(report, what) != NULL);
	KTEST_TRUE(strstr(report, owner) != NULL);
}

KTEST(mm, red_zone_overflow_is_reported)
{
	need_plain_build();
	/* one byte too many: inside the class, and right behind a full object */
	static const size_t sizes[] = {100, 1, 128, 2048};
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t *p = plant_leak(sizes[i]);
		KTEST_TRUE(p != NULL);
		*(volatile uint8_t *)(p + sizes[i]) = 0;
		san_expect_begin();
		kfree(p);
		expect(san_expect_end(), "written past the end", "allocated by plant_leak");
	}
	/* up to the last byte is no overflow */
	uint8_t *p = plant_leak(100);
	KTEST_TRUE(p != NULL);
	memset(p, 1, 100);
	san_expect_begin();
	kfree(p);
	KTEST_EQ(strlen(san_expect_end()), 0);
}

KTEST(mm, object_of_a_named_cache_has_a_red_zone)
{
	need_plain_build();
	struct slab_cache *c = slab_cache_create("test-red", 40, 0);
	KTEST_TRUE(c != NULL);
	uint8_t *p = slab_alloc(c, 0);
	KTEST_TRUE(p != NULL);
	*(volatile uint8_t *)(p + 40) = 1;
	san_expect_begin();
	slab_free(c, p);
	expect(san_expect_end(), "written past the end", "of test-red");
	slab_cache_destroy(c);
}

KTEST(mm, write_after_free_is_reported)
{
	need_plain_build();
	struct slab_cache *c = slab_cache_create("test-uaf", 64, 0);
	KTEST_TRUE(c != NULL);
	uint64_t *p = slab_alloc(c, 0);
	KTEST_TRUE(p != NULL);
	slab_free(c, p);
	*(volatile uint64_t *)(p + 3) = 42;
	san_expect_begin();
	uint64_t *again = slab_alloc(c, 0);
	const char *report = san_expect_end();
	KTEST_TRUE(again == p);
	expect(report, "written after free: byte 24", "freed by ktest_mm_write_after_free_is_reported");
	slab_free(c, again);
	slab_cache_destroy(c);
}

KTEST(mm, double_free_is_reported)
{
	need_plain_build();
	void *p = plant_leak(80);
	KTEST_TRUE(p != NULL);
	kfree(p);
	san_expect_begin();
	kfree(p);
	expect(san_expect_end(), "freed twice", "allocated by plant_leak");
	void *a = kmalloc(80), *b = kmalloc(80);
	KTEST_TRUE(a && b && a != b); /* it is on the chain once */
	kfree(a);
	kfree(b);
}

KTEST(mm, free_objects_are_poisoned)
{
	need_plain_build();
	struct slab_cache *c = slab_cache_create("test-poison", 64, 0);
	KTEST_TRUE(c != NULL);
	volatile uint64_t *p = slab_alloc(c, 0);
	KTEST_TRUE(p != NULL);
	KTEST_EQ(p[3], 0xa5a5a5a5a5a5a5a5ull);
	p[3] = 1;
	slab_free(c, (void *)p);
	KTEST_EQ(p[3], 0x6b6b6b6b5ca1ab1eull);
	slab_cache_destroy(c);
}
