/* Reading and replaying recorded allocation traces (trace.h). */
#include "lib/alloc/trace.h"

#ifdef CONFIG_HOST
#include <errno.h>
#else
#include <asm/errno.h>
#endif

#define MAGIC_LEN (sizeof(ALLOC_TRACE_MAGIC) - 1)
#define NO_SLOT UINT32_MAX

struct reader {
	const uint8_t *file;
	size_t at, len;
};

/* False at the end, or if the number has more than 32 bits. */
static bool number_read(struct reader *r, uint32_t *out)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 35; shift += 7) {
		if (r->at >= r->len)
			return false;
		uint8_t byte = r->file[r->at++];
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*out = (uint32_t)v;
			return v <= UINT32_MAX;
		}
	}
	return false;
}

static int header_read(struct reader *r, uint32_t *count, uint32_t *slots)
{
	if (r->len < MAGIC_LEN)
		return -EINVAL;
	for (; r->at < MAGIC_LEN; r->at++)
		if (r->file[r->at] != (uint8_t)ALLOC_TRACE_MAGIC[r->at])
			return -EINVAL;
	if (!number_read(r, count) || !number_read(r, slots) || *count > ALLOC_TRACE_EVENTS_MAX || *slots > *count)
		return -EINVAL;
	return 0;
}

int alloc_trace_open(const uint8_t *file, size_t len, struct alloc_trace *t)
{
	struct reader r = {file, 0, len};
	uint32_t count, slots;

	if (header_read(&r, &count, &slots))
		return -EINVAL;
	t->count = count;
	t->slots = slots;
	return 0;
}

int alloc_trace_unpack(const uint8_t *file, size_t len, struct alloc_trace *t)
{
	struct reader r = {file, 0, len};
	uint32_t count, slots, used = 0, free = NO_SLOT;
	size_t live = 0;

	if (header_read(&r, &count, &slots) || count != t->count || slots != t->slots)
		return -EINVAL;
	t->live_max = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct alloc_event *e = &t->events[i];
		uint32_t v;
		if (!number_read(&r, &v))
			return -EINVAL;
		if (v & 1) {
			uint32_t slot = v >> 1;
			if (slot >= used || !t->slot[slot].size)
				return -EINVAL;
			*e = (struct alloc_event){.slot = slot};
			live -= t->slot[slot].size;
			/* free slots are chained through p, as numbers */
			t->slot[slot] = (struct alloc_slot){.p = (void *)(uintptr_t)free};
			free = slot;
			continue;
		}
		uint32_t slot = free;
		if (slot != NO_SLOT)
			free = (uint32_t)(uintptr_t)t->slot[slot].p;
		else if (used < slots)
			slot = used++;
		else
			return -EINVAL;
		*e = (struct alloc_event){.slot = slot, .size = v >> 1};
		if (!e->size)
			return -EINVAL;
		t->slot[slot].size = e->size;
		live += e->size;
		t->live_max = MAX(t->live_max, live);
	}
	return r.at == len ? 0 : -EINVAL;
}

size_t alloc_trace_play(struct alloc_trace *t, struct allocator *a, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		const struct alloc_event *e = &t->events[i];
		struct alloc_slot *s = &t->slot[e->slot];
		if (!e->size) {
			allocator_free(a, s->p, s->size, ALLOCATOR_ALIGN_MIN);
			s->p = NULL;
			continue;
		}
		void *p = allocator_alloc(a, e->size, ALLOCATOR_ALIGN_MIN);
		if (!p)
			return i;
		*s = (struct alloc_slot){p, e->size};
	}
	return to;
}
