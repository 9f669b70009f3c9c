/*
 * Recorded allocation traces: a compact file form, and replaying one through an allocator.
 *
 * The file is "ASHALOC1", then LEB128 numbers: how many events, how many slots, and for each event size << 1 for a
 * request or slot << 1 | 1 for giving back.  The slot of a request is not written: it is the free one freed last, or
 * the lowest never used.  tools/bench/alloc writes it from what a debug kernel recorded (mm/alloc_record.c).
 */
#pragma once

#include "lib/alloc/allocator.h"
#include "lib/types.h"

#define ALLOC_TRACE_MAGIC "ASHALOC1"
#define ALLOC_TRACE_EVENTS_MAX (1u << 20)

struct alloc_event {
	uint32_t slot;
	uint32_t size; /* 0: give back */
};

struct alloc_slot {
	void *p;
	uint32_t size;
};

struct alloc_trace {
	uint32_t count, slots;	    /* events; the most alive at once */
	struct alloc_event *events; /* room for `count`, the caller's */
	struct alloc_slot *slot;    /* room for `slots`, the caller's */
	size_t live_max;	    /* the most bytes alive at once, as asked for */
};

/* Sets count and slots, so that the caller can provide the room, and nothing else. -EINVAL if it is no trace. */
int alloc_trace_open(const uint8_t *file, size_t len, struct alloc_trace *t) must_check;
/* Fills the events. -EINVAL if they make no sense: something given back that is not alive, too many slots. */
int alloc_trace_unpack(const uint8_t *file, size_t len, struct alloc_trace *t) must_check;

/* Plays events [from, to). Returns `to`, or the index of the request that failed. Slots are what the call for the
 * events before left; p is NULL in those with nothing alive. */
size_t alloc_trace_play(struct alloc_trace *t, struct allocator *a, size_t from, size_t to);
