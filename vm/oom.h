/*
 * Out of memory: a program needs a page and there is none.  Theory in oom.c.
 */
#pragma once

#include "lib/types.h"

struct aspace;

/* Registered by proc/, which knows processes. */
struct oom_ops {
	/*
	 * Picks the program whose end frees most (aspace_resident_pages), calls vm_oom_mark_victim on its address
	 * space, logs, and kills it for good. False: there is nobody left that may be killed. Thread context; called by
	 * one thread at a time, and not again before the victim's memory is free or has been waited for in vain.
	 */
	bool (*kill_one)(void);
	/* Whether the current thread has been killed (a fatal signal is pending) and only has to get to its end. Any
	 * context. */
	bool (*dying)(void);
};
extern const struct oom_ops *oom_ops;

/*
 * After FAULT_OOM, by the faulting thread. True: some memory has come free, try again. False: do not; the thread itself
 * has been killed (it need only return to where signals are taken; in a user copy, fail it) or nothing can be done
 * (kill the program). Sleeps; may be called with sleeping locks held, since it never waits for long. No spinlock.
 */
bool vm_oom(void) must_check;

/* The address space about to be killed. The caller has a reference. */
void vm_oom_mark_victim(struct aspace *as);
/* Pages that the end of this address space would free, roughly. Any context. */
uint64_t aspace_resident_pages(const struct aspace *as);
