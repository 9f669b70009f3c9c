/*
 * The allocator designs of lib/alloc/ in the guest: against a model, and replaying a trace.  With the recorded trace in
 * the initramfs (/alloc.trace) the replay prints what tools/bench/alloc makes its table and picture of; without it a
 * made-up one is replayed, as a test.
 */
#include <arch/cpu.h>
#include <linux/fcntl.h>

#include "core/ktest.h"
#include "core/log.h"
#include "fs/inode.h"
#include "fs/vfs.h"
#include "lib/alloc/trace.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/slab.h"

#define SAMPLES 128u
#define TRACE_BYTES_MAX (512 * KIB)
#define MADE_UP_EVENTS 6000u
#define MADE_UP_SLOTS 500u

/* ---- two more for the table ---- */

static void *null_alloc(struct allocator *a, size_t size maybe_unused, size_t align maybe_unused)
{
	return a;
}

static void null_free(struct allocator *a maybe_unused, void *p maybe_unused, size_t size maybe_unused,
		      size_t align maybe_unused)
{
}

static void null_stats(const struct allocator *a maybe_unused, struct allocator_stats *out)
{
	*out = (struct allocator_stats){0};
}

static bool null_check(const struct allocator *a maybe_unused)
{
	return true;
}

/* What the replay itself costs. */
static const struct allocator_ops null_ops = {null_alloc, null_free, null_stats, null_check};

static void *kernel_alloc(struct allocator *a maybe_unused, size_t size, size_t align maybe_unused)
{
	return kmalloc(size);
}

static void kernel_free(struct allocator *a maybe_unused, void *p, size_t size maybe_unused, size_t align maybe_unused)
{
	kfree(p);
}

static const struct allocator_ops kernel_ops = {kernel_alloc, kernel_free, null_stats, null_check};

/* ---- traces ---- */

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 33;
}

static void trace_room(struct alloc_trace *t)
{
	t->events = kmap_alloc(t->count * sizeof(*t->events));
	t->slot = kmap_alloc(t->slots * sizeof(*t->slot));
	KTEST_TRUE(t->events && t->slot);
}

static void trace_make_up(struct alloc_trace *t)
{
	uint64_t seed = 4711;
	size_t live = 0;

	*t = (struct alloc_trace){.count = MADE_UP_EVENTS, .slots = MADE_UP_SLOTS};
	trace_room(t);
	for (uint32_t i = 0; i < t->count; i++) {
		struct alloc_event *e = &t->events[i];
		e->slot = (uint32_t)(next_random(&seed) % MADE_UP_SLOTS);
		e->size = 0;
		uint32_t *alive = &t->slot[e->slot].size;
		if (*alive) {
			live -= *alive;
			*alive = 0;
			continue;
		}
		e->size = 1 + (uint32_t)(next_random(&seed) % (1u << (4 + next_random(&seed) % 9)));
		*alive = e->size;
		live += e->size;
		t->live_max = MAX(t->live_max, live);
	}
}

/* False: there is no such file. */
static bool trace_load(struct alloc_trace *t)
{
	struct file *f;
	*t = (struct alloc_trace){0};
	if (vfs_open(&kernel_actor, NULL, "/alloc.trace", O_RDONLY, 0, 0, &f))
		return false;
	uint8_t *bytes = kmap_alloc(TRACE_BYTES_MAX);
	KTEST_TRUE(bytes != NULL);
	int64_t len = vfs_read_kernel(f, 0, bytes, TRACE_BYTES_MAX);
	file_put(f);
	KTEST_TRUE(len > 0);
	KTEST_EQ(alloc_trace_open(bytes, (size_t)len, t), 0);
	trace_room(t);
	KTEST_EQ(alloc_trace_unpack(bytes, (size_t)len, t), 0);
	kmap_free(bytes);
	return true;
}

/* ---- replay ---- */

static size_t live_at[SAMPLES]; /* bytes alive after each piece of the trace */

static size_t piece_of(const struct alloc_trace *t)
{
	return MAX((t->count + SAMPLES - 1) / SAMPLES, 1u);
}

static void live_compute(struct alloc_trace *t)
{
	size_t live = 0, piece = piece_of(t);

	memset(t->slot, 0, t->slots * sizeof(*t->slot));
	for (size_t i = 0; i < t->count; i++) {
		const struct alloc_event *e = &t->events[i];
		live += e->size ? e->size : -(size_t)t->slot[e->slot].size;
		t->slot[e->slot].size = e->size;
		if ((i + 1) % piece == 0 || i + 1 == t->count)
			live_at[i / piece] = live;
	}
}

struct result {
	size_t played;
	uint64_t cycles;		/* under -icount: instructions */
	size_t live;			/* asked for when most was alive, to a piece's precision … */
	struct allocator_stats at_most; /* … and the allocator then */
	struct allocator_stats at_end;
};

/* Plays in pieces: each with interrupts off, so that nothing else is counted, and a look at the allocator between. */
static struct result replay(struct alloc_trace *t, struct allocator *a, const char *print_as)
{
	struct result r = {0};
	size_t piece = piece_of(t);

	memset(t->slot, 0, t->slots * sizeof(*t->slot));
	while (r.played < t->count) {
		size_t to = MIN(r.played + piece, (size_t)t->count), live = live_at[r.played / piece];
		irqflags_t f = irq_save();
		uint64_t start = cpu_cycles();
		size_t played = alloc_trace_play(t, a, r.played, to);
		r.cycles += cpu_cycles() - start;
		irq_restore(f);
		r.played = played;
		a->ops->stats(a, &r.at_end);
		if (played < to)
			break;
		if (print_as)
			log_info("alloc-bench: sample %s %zu %zu %zu", print_as, played, live, r.at_end.extent);
		if (live > r.live) {
			r.live = live;
			r.at_most = r.at_end;
		}
	}
	return r;
}

static void row_print(const char *name, const struct alloc_trace *t, const struct result *r, uint64_t empty_cycles)
{
	uint64_t empty = empty_cycles * r->played / t->count;
	log_info("alloc-bench: design %s %zu %u %llu %zu %zu %zu %zu %zu", name, r->played, t->count,
		 (unsigned long long)(r->cycles > empty ? r->cycles - empty : 0), r->live, r->at_most.granted,
		 r->at_most.extent, r->at_end.extent, r->at_end.overhead);
}

KTEST(mm, alloc_designs_replay_a_trace)
{
	struct alloc_trace t;
	bool recorded = trace_load(&t);

	if (!recorded)
		trace_make_up(&t);
	live_compute(&t);
	size_t arena_len = ALIGN_UP(4 * t.live_max, MIB);
	void *arena = kmap_alloc(arena_len);
	KTEST_TRUE(arena != NULL);
	if (recorded)
		log_info("alloc-bench: live %zu arena %zu", t.live_max, arena_len);

	struct allocator null_allocator = {&null_ops}, kernel_allocator = {&kernel_ops};
	uint64_t empty = replay(&t, &null_allocator, NULL).cycles;
	for (unsigned d = 0; d < ALLOCATOR_DESIGNS; d++) {
		const char *name = allocator_designs[d].name;
		struct allocator *a = allocator_designs[d].create(arena, arena_len);
		KTEST_TRUE(a != NULL);
		struct result r = replay(&t, a, recorded ? name : NULL);
		KTEST_TRUE(d == 0 || r.played == t.count); /* bump cannot last */
		KTEST_TRUE(a->ops->check(a));
		KTEST_TRUE(r.at_most.granted >= r.live && r.at_end.extent <= arena_len);
		if (recorded)
			row_print(name, &t, &r, empty);
	}
	struct result r = replay(&t, &kernel_allocator, NULL);
	if (recorded)
		row_print("kmalloc", &t, &r, empty);
	for (uint32_t i = 0; i < t.slots; i++)
		kfree(t.slot[i].p);
	kmap_free(arena);
	kmap_free(t.events);
	kmap_free(t.slot);
}
