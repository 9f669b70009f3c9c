/*
 * The event trace: what the kernel did last, in order, cheap enough to be compiled in always.  Theory in trace.c; seen
 * with `trace` in the monitor, also after a panic, and in /proc/ashlar/trace, from which `make trace` draws a picture.
 */
#pragma once

#include "lib/types.h"

struct thread;

enum trace_kind {
	TRACE_SYSCALL,	 /* number, first argument */
	TRACE_RESULT,	 /* number, result */
	TRACE_INTERRUPT, /* irq, interrupted address */
	TRACE_FAULT,	 /* address, access */
	TRACE_SWITCH, /* the next thread's name in place of two words, its tid and the state of the one that leaves */
	TRACE_WAKE,   /* the same of the thread that is woken */
	TRACE_KINDS,
};

extern bool trace_on;

/*
 * Starts recording into rings of (at least) this many events for each CPU, which are made at the first start and kept:
 * a later start goes on with them, whatever it asks for.  Thread context.  -ENOMEM, and nothing is on.
 */
#define TRACE_EVENTS_DEFAULT 2048u
#define TRACE_EVENTS_MAX 32768u
int trace_start(uint32_t events_per_cpu) must_check;
void trace_stop(void);
/* Threaded boot step, behind procfs and processes: the files in /proc/ashlar/trace. */
void trace_init(void);

/* Any context, interrupts on or off. Never fails; the oldest event goes. */
void trace_record(enum trace_kind kind, uint64_t a, uint64_t b);
/* TRACE_SWITCH or TRACE_WAKE: of is the other thread; state: enum thread_state of the calling one. */
void trace_record_thread(enum trace_kind kind, const struct thread *of, uint32_t state);

/* When nobody traces: one compare. */
static always_inline void trace_event(enum trace_kind kind, uint64_t a, uint64_t b)
{
	if (unlikely(READ_ONCE(trace_on)))
		trace_record(kind, a, b);
}

static always_inline void trace_event_thread(enum trace_kind kind, const struct thread *of, uint32_t state)
{
	if (unlikely(READ_ONCE(trace_on)))
		trace_record_thread(kind, of, state);
}
