/*
 * Slab caches and kmalloc, randomised against a shadow that knows who owns which bytes.
 */
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"

#define HELD 512u

struct held {
	uint8_t *p;
	uint32_t len;
	uint8_t fill;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

/* No other object may have written into this one while it was held. */
static void check_filled(const struct held *h)
{
	for (uint32_t i = 0; i < h->len; i++)
		KTEST_EQ(h->p[i], h->fill);
}

KTEST(mm, kmalloc_random_against_shadow)
{
	struct held *held = kzalloc(HELD * sizeof *held);
	KTEST_TRUE(held != NULL);
	uint64_t seed = 99;
	for (unsigned i = 0; i < 20000; i++) {
		struct held *h = &held[next_random(&seed) % HELD];
		if (h->p) {
			check_filled(h);
			kfree(h->p);
			h->p = NULL;
			continue;
		}
		h->len = (uint32_t)(next_random(&seed) % (1u << (next_random(&seed) % 14)));
		h->fill = (uint8_t)i;
		h->p = kmalloc(h->len);
		KTEST_TRUE(h->p && IS_ALIGNED((uintptr_t)h->p, 16));
		memset(h->p, h->fill, h->len);
	}
	for (unsigned i = 0; i < HELD; i++)
		if (held[i].p) {
			check_filled(&held[i]);
			kfree(held[i].p);
		}
	kfree(held);
}

KTEST(mm, kmalloc_alignment_and_limits)
{
	for (size_t size = 16; size <= PAGE_SIZE; size *= 2) {
		void *a = kmalloc(size), *b = kmalloc(size);
		KTEST_TRUE(a && b && IS_ALIGNED((uintptr_t)a, size) && IS_ALIGNED((uintptr_t)b, size));
		kfree(a);
		kfree(b);
	}
	void *none = kmalloc(0), *none2 = kmalloc(0), *large = kmalloc(KMALLOC_MAX);
	KTEST_TRUE(none && none2 && none != none2);
	kfree(none);
	kfree(none2);
	kfree(large);
	kfree(NULL);
	KTEST_TRUE(kmalloc(KMALLOC_MAX + 1) == NULL);
	KTEST_TRUE(kcalloc(1ull << 40, 1ull << 40) == NULL);
	KTEST_TRUE(kcalloc(SIZE_MAX, 1) == NULL);
	uint8_t *z = kzalloc(100);
	KTEST_TRUE(z != NULL);
	for (unsigned i = 0; i < 100; i++)
		KTEST_EQ(z[i], 0);
	kfree(z);
	char *s = kstrdup("granite");
	KTEST_TRUE(s && str_equal(s, "granite"));
	kfree(s);
}

/* Objects of every size and alignment: disjoint, aligned, all slabs gone in the end. */
KTEST(mm, slab_objects_are_disjoint)
{
	static const struct {
		uint16_t size, align;
	} shape[] = {{1, 0},	{24, 0},   {40, 8},   {64, 64},	    {100, 0}, {200, 128},
		     {520, 64}, {1000, 0}, {2100, 0}, {4096, 4096}, {9000, 0}};
	for (unsigned k = 0; k < ARRAY_SIZE(shape); k++) {
		enum { N = 150 };
		struct slab_cache *c = slab_cache_create("test", shape[k].size, shape[k].align);
		uint8_t **obj = kcalloc(N, sizeof *obj);
		KTEST_TRUE(c && obj);
		for (unsigned i = 0; i < N; i++) {
			obj[i] = slab_alloc(c, i & 1 ? ALLOC_ZERO : 0);
			KTEST_TRUE(obj[i] && IS_ALIGNED((uintptr_t)obj[i], shape[k].align ? shape[k].align : 8u));
			memset(obj[i], (int)i, shape[k].size);
		}
		for (unsigned i = 0; i < N; i++) {
			KTEST_EQ(obj[i][0], (uint8_t)i);
			KTEST_EQ(obj[i][shape[k].size - 1], (uint8_t)i);
		}
		for (unsigned i = 0; i < N; i++) /* out of order */
			slab_free(c, obj[(i * 37) % N]);
		kfree(obj);
		slab_cache_destroy(c);
	}
}

KTEST(mm, slab_survives_failed_allocations)
{
	struct slab_cache *c = slab_cache_create("test", 256, 0);
	KTEST_TRUE(c != NULL);
	void *obj[64];
	for (uint64_t n = 1; n <= 64; n++) {
		alloc_fail_at(n);
		unsigned failed = 0;
		for (unsigned i = 0; i < 64; i++) {
			obj[i] = slab_alloc(c, 0);
			failed += !obj[i];
		}
		alloc_fail_at(0);
		for (unsigned i = 0; i < 64; i++)
			if (obj[i])
				slab_free(c, obj[i]);
		KTEST_EQ(failed, 1);
	}
	slab_cache_destroy(c);
}

/* What a CPU keeps of a cache for itself is bounded: slabs that nobody uses go back to the pages. */
KTEST(mm, slab_chain_of_a_cpu_is_bounded)
{
	enum { N = 3000 };
	struct slab_cache *c = slab_cache_create("test-chain", 128, 0);
	void **obj = kmalloc(N * sizeof *obj);
	struct slab_stats s, found = {0};
	KTEST_TRUE(c && obj);
	for (unsigned i = 0; i < N; i++)
		KTEST_TRUE((obj[i] = slab_alloc(c, 0)));
	for (unsigned i = 0; i < N; i++)
		slab_free(c, obj[i]);
	for (unsigned i = 0; slab_stats_get(i, &s); i++)
		if (str_equal(s.name, "test-chain"))
			found = s;
	KTEST_EQ(found.objects_used, 0);
	KTEST_TRUE(found.objects_total > 0 && found.objects_total < N / 4); /* some stay, for the next who asks */
	/* the last freed is the next given out, unless it waits in a quarantine */
	void *p = slab_alloc(c, 0);
	KTEST_TRUE(p && (CONFIG_KASAN || p == obj[N - 1]));
	slab_free(c, p);
	kfree(obj);
	slab_cache_destroy(c);
}

KTEST(mm, slab_stats_add_up)
{
	struct slab_cache *c = slab_cache_create("test-stats", 128, 0);
	KTEST_TRUE(c != NULL);
	void *obj[10];
	for (unsigned i = 0; i < 10; i++)
		KTEST_TRUE((obj[i] = slab_alloc(c, 0)));
	struct slab_stats s;
	bool found = false;
	uint64_t pages = 0;
	for (unsigned i = 0; slab_stats_get(i, &s); i++) {
		pages += s.pages;
		if (str_equal(s.name, "test-stats")) {
			found = true;
			KTEST_EQ(s.objects_used, 10);
			KTEST_TRUE(s.objects_total >= 10 && s.pages >= 1);
		}
	}
	KTEST_TRUE(found);
	KTEST_EQ(pages, slab_pages_total());
	for (unsigned i = 0; i < 10; i++)
		slab_free(c, obj[i]);
	slab_cache_destroy(c);
}
