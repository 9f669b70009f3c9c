/*
 * Every allocator design against a model that knows who owns which bytes: random sizes and alignments, exhaustion and
 * recovery, and what each design promises beyond that.
 */
#include "lib/test/test.h"

#include "lib/alloc/allocator.h"
#include "lib/alloc/bump.h"
#include "lib/alloc/free_list.h"
#include "lib/alloc/trace.h"

enum { HELD = 400, ARENA = 1 << 20, SMALL = 1 << 18 };

struct held {
	uint8_t *p;
	size_t size, align;
	uint8_t fill;
};

/* The arena ends just at the sanitizer's red zone. */
static uint8_t *arena_new(size_t len)
{
	uint8_t *arena = aligned_alloc(ALLOCATOR_ALIGN_MAX, len);

	assert_non_null(arena);
	memset(arena, 0xee, len); /* designs must not rely on zeroed memory */
	return arena;
}

static void check_filled(const struct held *h)
{
	for (size_t i = 0; i < h->size; i++)
		if (h->p[i] != h->fill)
			fail_msg("byte %zu of %zu overwritten", i, h->size);
}

static bool hold(struct allocator *a, struct held *h, const uint8_t *arena, size_t arena_len)
{
	h->p = allocator_alloc(a, h->size, h->align);
	if (!h->p)
		return false;
	assert_true(h->p >= arena && h->p + h->size <= arena + arena_len);
	assert_int_equal((uintptr_t)h->p % MAX(h->align, (size_t)ALLOCATOR_ALIGN_MIN), 0);
	memset(h->p, h->fill, h->size); /* overlaps show when the other block is checked */
	return true;
}

static void release(struct allocator *a, struct held *h)
{
	check_filled(h);
	memset(h->p, 0xdd, h->size);
	allocator_free(a, h->p, h->size, h->align);
	h->p = NULL;
}

static void request_random(struct held *h)
{
	h->size = 1 + test_random_below(1ull << (1 + test_random_below(13)));
	h->align = test_random_below(4) ? 1 : 1ull << test_random_below(13);
	h->fill = (uint8_t)test_random();
}

static void check_stats(struct allocator *a, const struct held *held, size_t arena_len)
{
	struct allocator_stats s;
	size_t asked = 0;

	for (int i = 0; i < HELD; i++)
		asked += held[i].p ? held[i].size : 0;
	a->ops->stats(a, &s);
	assert_true(a->ops->check(a));
	assert_true(s.granted >= asked && s.granted <= s.extent && s.extent <= arena_len);
	assert_true(s.overhead > 0);
}

static void test_random_against_model(void **state maybe_unused)
{
	for (int d = 0; d < ALLOCATOR_DESIGNS; d++) {
		for (uint64_t seed = 1; seed <= 4; seed++) {
			/* the last seeds run in an arena too small for what is held */
			size_t len = seed <= 2 ? 4 * ARENA : ARENA / 8;
			uint8_t *arena = arena_new(len);
			struct allocator *a = allocator_designs[d].create(arena, len);
			struct held held[HELD] = {0};
			int refused = 0;

			assert_non_null(a);
			test_random_seed(seed);
			for (int i = 0; i < 12000; i++) {
				struct held *h = &held[test_random_below(HELD)];
				if (h->p) {
					release(a, h);
				} else {
					request_random(h);
					refused += !hold(a, h, arena, len);
				}
				if (i % 500 == 0)
					check_stats(a, held, len);
			}
			if (seed > 2)
				assert_true(refused > 0);
			else if (d > 0)
				assert_int_equal(refused, 0);
			for (int i = 0; i < HELD; i++)
				if (held[i].p)
					release(a, &held[i]);
			check_stats(a, held, len);

			struct allocator_stats s;
			a->ops->stats(a, &s);
			assert_int_equal(s.granted, 0);
			free(arena);
		}
	}
}

/* Filled to the last byte with one size, emptied in another order, filled again with as many. */
static void test_exhaustion_and_recovery(void **state maybe_unused)
{
	static const size_t sizes[] = {1, 16, 40, 64, 300, 1024, 2048, 4096, 10000};
	static void *block[SMALL / 16];

	for (int d = 0; d < ALLOCATOR_DESIGNS; d++) {
		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			uint8_t *arena = arena_new(SMALL);
			struct allocator *a = allocator_designs[d].create(arena, SMALL);
			size_t first = 0;

			for (int round = 0; round < 3; round++) {
				size_t n = 0;
				while ((block[n] = allocator_alloc(a, sizes[k], 1)))
					n++;
				assert_true(n * sizes[k] > SMALL / 40);
				assert_true(a->ops->check(a));
				if (!round)
					first = n;
				assert_int_equal(n, first);
				/* by a stride without a common factor: out of order, each once */
				size_t stride = n % 7919 ? 7919 : 7907;
				for (size_t i = 0, at = 0; i < n; i++, at = (at + stride) % n)
					allocator_free(a, block[at], sizes[k], 1);
				assert_true(a->ops->check(a));
			}
			free(arena);
		}
	}
}

static void test_refuses_nonsense(void **state maybe_unused)
{
	for (int d = 0; d < ALLOCATOR_DESIGNS; d++) {
		uint8_t *arena = arena_new(ARENA);
		struct allocator *a = allocator_designs[d].create(arena, ARENA);

		assert_null(allocator_alloc(a, 0, 16));
		assert_null(allocator_alloc(a, SIZE_MAX, 16));
		assert_null(allocator_alloc(a, SIZE_MAX - 4000, 4096));
		assert_null(allocator_alloc(a, ARENA, 16));
		assert_null(allocator_alloc(a, 16, 0));
		assert_null(allocator_alloc(a, 16, 24));
		assert_null(allocator_alloc(a, 16, 2 * ALLOCATOR_ALIGN_MAX));
		assert_true(a->ops->check(a));
		assert_null(allocator_designs[d].create(arena, 64));
		assert_null(allocator_designs[d].create(arena + 16, ARENA - 16));
		for (size_t len = 4096; len <= 10 * 4096; len += 4096) {
			uint8_t *small = arena_new(len);
			struct allocator *b = allocator_designs[d].create(small, len);
			uint8_t *p;
			while (b && (p = allocator_alloc(b, 100, 16)))
				memset(p, 1, 100);
			free(small);
		}
		free(arena);
	}
}

/* After everything came back, one block of nearly the whole arena: all holes were joined. Bump starts over; the fixed
 * blocks are just what cannot do it. */
static void test_joins_what_comes_back(void **state maybe_unused)
{
	for (int d = 0; d < ALLOCATOR_DESIGNS; d++) {
		bool fixed = !strcmp(allocator_designs[d].name, "fixed");
		uint8_t *arena = arena_new(ARENA);
		struct allocator *a = allocator_designs[d].create(arena, ARENA);
		struct held held[HELD] = {0};

		test_random_seed(77);
		int refused = 0; /* until it is full: else what was never touched would do */
		for (int i = 0; i < HELD; i++) {
			held[i] = (struct held){.size = 1 + test_random_below(6000), .align = 1, .fill = (uint8_t)i};
			refused += !hold(a, &held[i], arena, ARENA);
		}
		assert_true(refused > 0);
		for (int i = 0; i < HELD; i++)
			if (held[(i * 37) % HELD].p)
				release(a, &held[(i * 37) % HELD]);

		void *large = allocator_alloc(a, ARENA / 2, 4096);
		assert_true(fixed || large);
		if (large)
			allocator_free(a, large, ARENA / 2, 4096);
		/* powers of two have no block of this size; all others but the fixed blocks give all they have
		 * at once */
		if (!strcmp(allocator_designs[d].name, "free-list") || !strcmp(allocator_designs[d].name, "bitmap") ||
		    !strcmp(allocator_designs[d].name, "bump"))
			assert_non_null(allocator_alloc(a, ARENA - 4 * 4096, 16));
		if (fixed)
			assert_null(allocator_alloc(a, ARENA - 3 * 4096, 16));
		free(arena);
	}
}

/* A free list whose holes are recorded elsewhere, over addresses that are no memory, against a map of units. */
static void test_free_list_elsewhere(void **state maybe_unused)
{
	enum { UNITS = 300, BASE = 1000 };
	bool taken[UNITS] = {false};
	struct free_list l;
	struct hole *spare;
	struct hole_elsewhere *whole = malloc(sizeof(*whole));
	size_t records = 1;

	free_list_init(&l, true);
	assert_true(free_list_put(&l, BASE, UNITS, &whole->hole, &spare));
	test_random_seed(5);
	for (int i = 0; i < 20000; i++) {
		uint64_t len = 1 + test_random_below(12), align = 1ull << test_random_below(4), at, model = UNITS;
		if (test_random_below(2)) {
			struct hole_elsewhere *record = malloc(sizeof(*record));
			struct hole *r = &record->hole;
			record->hole.next = NULL;
			records++;
			for (uint64_t u = 0; u + len <= UNITS && model == UNITS; u++) {
				bool fits = (BASE + u) % align == 0;
				for (uint64_t k = 0; k < len && fits; k++)
					fits = !taken[u + k];
				if (fits)
					model = u;
			}
			if (!free_list_take(&l, len, align, &r, &at)) {
				assert_int_equal(model, UNITS);
			} else {
				assert_int_equal(at - BASE, model); /* first fit: the lowest place there is */
				memset(taken + model, true, len);
			}
			while (r) {
				struct hole *next = r->next;
				free(r);
				records--;
				r = next;
			}
		} else {
			uint64_t u = test_random_below(UNITS);
			for (len = 0; u + len < UNITS && len < 9 && taken[u + len];)
				len++;
			if (!len)
				continue;
			struct hole_elsewhere *record = malloc(sizeof(*record));
			records++;
			memset(taken + u, false, len);
			assert_true(free_list_put(&l, BASE + u, len, &record->hole, &spare));
			while (spare) {
				struct hole *next = spare->next;
				free(spare);
				records--;
				spare = next;
			}
		}
		assert_true(free_list_check(&l));
		assert_int_equal(l.count, records);
	}
	/* giving back what is free is noticed */
	for (uint64_t u = 0; u < UNITS; u++)
		if (!taken[u]) {
			struct hole_elsewhere record;
			assert_false(free_list_put(&l, BASE + u, 1, &record.hole, &spare));
		}
	while (l.first) {
		struct hole *next = l.first->next;
		free(l.first);
		l.first = next;
	}
}

static void test_bump_place(void **state maybe_unused)
{
	assert_int_equal(bump_place(100, 200, 50, 16), 144);
	assert_int_equal(bump_place(100, 200, 100, 1), 100);
	assert_int_equal(bump_place(100, 200, 100, 64), 0);
	assert_int_equal(bump_place(100, 200, 101, 1), 0);
	assert_int_equal(bump_place(100, 200, 300, 1), 0);
	assert_int_equal(bump_place(200, 100, 1, 1), 0);
	assert_int_equal(bump_place(0, UINT64_MAX, UINT64_MAX, 1), 0);
}

static int unpack(const uint8_t *file, size_t len, struct alloc_trace *t, struct alloc_event *e, struct alloc_slot *s)
{
	*t = (struct alloc_trace){0};
	int err = alloc_trace_open(file, len, t);
	if (err)
		return err;
	assert_true(t->count <= 8 && t->slots <= 4);
	t->events = e;
	t->slot = s;
	return alloc_trace_unpack(file, len, t);
}

static void test_trace_files(void **state maybe_unused)
{
	/* two requests (100, 300 bytes), the first given back, a third in its slot */
	static const uint8_t good[] = "ASHALOC1\x04\x02\xc8\x01\xd8\x04\x01\x20";
	struct alloc_trace t;
	struct alloc_event e[8];
	struct alloc_slot s[4];

	assert_int_equal(unpack(good, sizeof(good) - 1, &t, e, s), 0);
	assert_int_equal(t.live_max, 400);
	assert_int_equal(e[1].size, 300);
	assert_int_equal(e[2].size, 0);
	assert_int_equal(e[3].slot, 0);
	assert_int_equal(e[3].size, 16);
	for (size_t len = 0; len < sizeof(good) - 1; len++) {
		uint8_t *cut = malloc(len + 1); /* the sanitizer sees reads past it */
		memcpy(cut, good, len);
		assert_int_equal(unpack(cut, len, &t, e, s), -EINVAL);
		free(cut);
	}
	assert_int_equal(unpack(good, sizeof(good), &t, e, s), -EINVAL); /* more than was announced */
	static const uint8_t dead[] = "ASHALOC1\x03\x01\x10\x01\x01", many[] = "ASHALOC1\x02\x01\x10\x10";
	static const uint8_t empty[] = "ASHALOC1\x01\x01\x00", wide[] = "ASHALOC1\x01\x01\xff\xff\xff\xff\x7f";
	assert_int_equal(unpack(dead, sizeof(dead) - 1, &t, e, s), -EINVAL);
	assert_int_equal(unpack(many, sizeof(many) - 1, &t, e, s), -EINVAL);
	assert_int_equal(unpack(empty, sizeof(empty) - 1, &t, e, s), -EINVAL);
	assert_int_equal(unpack(wide, sizeof(wide) - 1, &t, e, s), -EINVAL);
}

/* The trace that is benchmarked, through each design but bump, which cannot last. */
static void test_recorded_trace(void **state maybe_unused)
{
	size_t len;
	uint8_t *file = test_read_file("tools/bench/alloc.trace", &len);
	struct alloc_trace t = {0};

	assert_non_null(file);
	assert_int_equal(alloc_trace_open(file, len, &t), 0);
	t.events = calloc(t.count, sizeof(*t.events));
	t.slot = calloc(t.slots, sizeof(*t.slot));
	assert_int_equal(alloc_trace_unpack(file, len, &t), 0);
	for (int d = 0; d < ALLOCATOR_DESIGNS; d++) {
		size_t arena_len = ALIGN_UP(4 * t.live_max, MIB);
		uint8_t *arena = arena_new(arena_len);
		struct allocator *a = allocator_designs[d].create(arena, arena_len);
		size_t played = alloc_trace_play(&t, a, 0, t.count);
		if (d)
			assert_int_equal(played, t.count);
		assert_true(a->ops->check(a));
		free(arena);
	}
	free(t.events);
	free(t.slot);
	free(file);
}

int allocator_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_against_model), cmocka_unit_test(test_exhaustion_and_recovery),
		cmocka_unit_test(test_refuses_nonsense),     cmocka_unit_test(test_joins_what_comes_back),
		cmocka_unit_test(test_free_list_elsewhere),  cmocka_unit_test(test_bump_place),
		cmocka_unit_test(test_trace_files),	     cmocka_unit_test(test_recorded_trace),
	};

	return cmocka_run_group_tests_name("allocator", tests, NULL, NULL);
}
