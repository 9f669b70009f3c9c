/*
 * Running a function on other CPUs.  Theory in smp_call.c.
 */
#pragma once

#include "lib/types.h"

/*
 * Runs fn(arg) on each CPU of the mask that is online, the caller's excepted, and waits until all have returned. fn
 * runs with interrupts off, in an interrupt or while that CPU waits for a spinlock: so it takes no lock, and calls
 * nobody. Any context but NMI; any lock may be held. What the caller wrote before is seen by fn, and what fn wrote by
 * the caller. During a panic, when the others stand still, it does nothing.
 */
void smp_call(uint64_t mask, void (*fn)(void *arg), void *arg);

/* The other side: runs what this CPU was asked for. Interrupts off. */
void smp_serve(void);

/* One step of waiting for another CPU with interrupts off: it may itself be waiting for this one to do what
 * it asked. */
void smp_relax(void);
