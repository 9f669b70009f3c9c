/*
 * Which areas of a program lie around an address: for reports on faults.
 */
#pragma once

#include "vm/aspace.h"

/* Copies; object and file are not counted and not to be touched. */
struct area_near {
	uint64_t start, end;
	unsigned flags; /* enum area_flag */
	bool has_file;
	bool inside;	   /* the address is in it; else */
	bool addr_below;   /* it lies below it, or above */
	uint64_t distance; /* from its nearest byte; 0 inside */
};

/*
 * The area the address is in, alone; else the next one below and the next one above, as far as there are any. Returns
 * how many. aspace_nearest takes as->lock (thread context); the other one nothing: for a panic, when nothing moves.
 */
unsigned aspace_nearest(struct aspace *as, uint64_t addr, struct area_near out[2]);
unsigned aspace_nearest_unlocked(const struct aspace *as, uint64_t addr, struct area_near out[2]);
/* "0x1000 bytes above 0x400000-0x401000 r-x (stack)" into buf; returns buf. */
const char *area_near_text(const struct area_near *n, char *buf, size_t len);
