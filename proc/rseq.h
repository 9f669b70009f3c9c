/*
 * Restartable sequences (man 2 rseq).  Theory in rseq.c.
 */
#pragma once

#include <arch/trap.h>
#include "lib/types.h"

struct task;

/* Embedded in struct task; only the thread itself touches it. */
struct task_rseq {
	uptr_t area;  /* the program's struct rseq, or null: nothing registered */
	uint32_t len; /* as registered */
	uint32_t sig; /* what must stand before an abort handler */
	uint32_t cpu; /* what was last written there; RSEQ_NEVER: nothing yet */
	uint32_t cid;
};

/* rseq(2). 0, -EINVAL, -EPERM, -EBUSY, -EFAULT. */
int rseq_register(uptr_t area, uint32_t len, int flags, uint32_t sig) must_check;

/* WORK_RSEQ is set: on the way back to the program. Interrupts off; turns them on where it has to. A program that
 * breaks the rules gets SIGSEGV. */
void rseq_return(struct trap_frame *f);
/* A handler's frame is about to be pushed for `signo`: a critical section ends before. False: the program broke the
 * rules, and SIGSEGV comes instead. Thread context, interrupts on. */
bool rseq_signal(struct trap_frame *f, int signo) must_check;

/* A new thread (not yet visible) of `me`; shares_memory: with CLONE_VM it starts without. */
void rseq_clone(struct task *me, struct task *t, bool shares_memory);
/* The calling thread's program is gone (exec). */
void rseq_forget(struct task *t);
