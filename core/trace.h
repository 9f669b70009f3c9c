/*
 * The event trace: what the kernel did last, in order, cheap enough to be compiled in always.  Theory in trace.c; seen
 * with `trace` in the monitor, also after a panic.
 */
#pragma once

#include "lib/types.h"

enum trace_kind {
	TRACE_SYSCALL,	 /* number, first argument */
	TRACE_RESULT,	 /* number, result */
	TRACE_INTERRUPT, /* irq, interrupted address */
	TRACE_FAULT,	 /* address, access */
	TRACE_SWITCH,	 /* the next thread's name in place of two words */
	TRACE_KINDS,
};

extern bool trace_on;

/* Any context, interrupts on or off. Never fails; the oldest event goes. */
void trace_record(enum trace_kind kind, uint64_t a, uint64_t b);

/* When nobody traces: one compare. */
static always_inline void trace_event(enum trace_kind kind, uint64_t a, uint64_t b)
{
	if (unlikely(READ_ONCE(trace_on)))
		trace_record(kind, a, b);
}

/* A thread's name as the two words of TRACE_SWITCH; name: 16 bytes. */
static always_inline void trace_event_name(enum trace_kind kind, const char name[16])
{
	if (unlikely(READ_ONCE(trace_on))) {
		uint64_t words[2];
		__builtin_memcpy(words, name, sizeof(words));
		trace_record(kind, words[0], words[1]);
	}
}
