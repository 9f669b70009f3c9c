/*
 * Address-ordered first fit over a linked list of holes.  Theory in free_list.c.
 */
#pragma once

#include "lib/types.h"

/* A hole. It may lie in the hole itself, or elsewhere when the addresses stand for something that cannot be written. */
struct hole {
	struct hole *next; /* by address */
	uint64_t len;
};
/* What the holes of an `elsewhere` list are: nothing else says where they are. */
struct hole_elsewhere {
	struct hole hole;
	uint64_t base;
};

struct free_list {
	struct hole *first;
	bool elsewhere;
	size_t count;	     /* holes */
	uint64_t free_bytes; /* in all of them */
};

void free_list_init(struct free_list *l, bool elsewhere);

/*
 * Takes len bytes at the lowest place they fit, aligned; true and *at, or false.  In-hole lists: len, and every base
 * and length ever put, must be multiples of FREE_LIST_GRANULE, and `record` is NULL.
 *
 * Elsewhere: *record is a spare record on entry (owned by the caller, may be NULL). A request that leaves a piece on
 * both sides of itself uses it up (*record becomes NULL; without one such a hole is passed over); a request that fills
 * its hole exactly gives that hole's record back by (*record)->next, the caller's own staying in front.
 */
bool free_list_take(struct free_list *l, uint64_t len, uint64_t align, struct hole **record, uint64_t *at) must_check;

/* Takes [base, base + len) back and joins it with the holes before and behind. False if it overlaps a hole: a bug of
 * the caller's, nothing has changed. Elsewhere: `record` is a record to use, and the return of *spare says which
 * records (0 to 2, chained by next) were left over and are the caller's again. */
bool free_list_put(struct free_list *l, uint64_t base, uint64_t len, struct hole *record,
		   struct hole **spare) must_check;

bool free_list_check(const struct free_list *l);

#define FREE_LIST_GRANULE 16u
