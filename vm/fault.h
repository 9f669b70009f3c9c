/*
 * Bringing one page in, as faults and access from outside do it.  Internal to vm/; theory in fault.c.
 */
#pragma once

#include "vm/aspace.h"

enum fault_how {
	FAULT_WRITE = 1 << 0,
	FAULT_EXEC = 1 << 1,
	FAULT_FORCE = 1 << 2, /* ptrace: as if the area allowed it; a private area only, for writing */
};

/* One attempt or as many as it takes; no lock held. */
enum fault_result fault_page(struct aspace *as, uint64_t va, unsigned how) must_check;
/* Brings all of [start,end) in, writable where the area is private and writable. Stops at the first failure: its
 * result. */
enum fault_result fault_populate(struct aspace *as, uint64_t start, uint64_t end) must_check;
