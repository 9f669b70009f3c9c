/* What trace.c, which records, and trace_show.c, which tells, share. */
#pragma once

#include <arch/cpu.h>

#include "core/trace.h"

/* One cache line. */
struct trace_slot {
	uint64_t published; /* its number + 1; 0 while it is written */
	uint64_t time_ns;
	uint64_t words[2];
	char thread[16];
	int32_t tid, other_tid; /* below 0: a kernel thread, which has none of its own */
	uint8_t kind, state;	/* enum trace_kind, enum thread_state */
} aligned_to(64);

/* Written by its own CPU alone, with interrupts off; read by anybody. */
struct trace_ring {
	uint64_t next; /* number of the next event: as many were recorded; atomic for the NMI that comes between */
	struct trace_slot *slots;
} aligned_to(64);

/* Power of two, and slots there, before trace_on is set for the first time; 0: there are none. */
extern uint32_t trace_slots;
extern struct trace_ring trace_rings[CPUS_MAX];

/* An event as it stood when it was whole; false: it is being written, or gone. */
bool trace_read(unsigned cpu, uint64_t number, struct trace_slot *out);
/* The oldest number that may still be there, and the one behind the last. */
uint64_t trace_range(unsigned cpu, uint64_t *end);
