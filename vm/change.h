/*
 * The steps changes of areas are made of: prepare (may fail, changes nothing) and commit.  Internal to vm/.
 *
 * as->lock held for writing in all but range_check.  Areas that die go to a list that is freed after the lock
 * (area_free_list).
 */
#pragma once

#include "vm/area.h"

/* Rounds len up to pages and computes the end: -EINVAL (unaligned, overflow), -ENOMEM (not a program's range). Length 0
 * passes. */
int range_check(uint64_t addr, uint64_t *len, uint64_t *end) must_check;

/* Unmapping [start,end). Prepare gives the one area that cutting a hole into the middle of one takes, else NULL. */
int change_prepare_cut(struct aspace *as, uint64_t start, uint64_t end, struct area **spare) must_check;
void change_cut(struct aspace *as, uint64_t start, uint64_t end, struct area *spare, struct area **dead);

/* Whether `bytes` more of an area with these flags stay within all limits when `replaced` bytes go. -ENOMEM. */
int change_check_limits(const struct aspace *as, unsigned flags, uint64_t bytes, uint64_t replaced) must_check;
/* Mapped bytes in [start,end). */
uint64_t change_overlap(const struct aspace *as, uint64_t start, uint64_t end);
/* A free place for len bytes, at the hint if possible; 0 if there is none. */
uint64_t change_place(const struct aspace *as, uint64_t hint, uint64_t len);
/* aspace_map under the lock, for a checked request. */
int change_map(struct aspace *as, const struct map_request *r, uint64_t len, uint64_t *out,
	       struct area **dead) must_check;

/*
 * Other flags for all of [start,end), which must be covered by areas: bits of clear go, bits of set come; entries
 * follow when protection
 * changes.  filter (may be NULL) sees each area first and refuses with an error. -ENOMEM: a hole, or no memory to
 * split. Nothing is changed on failure.
 */
int change_flags(struct aspace *as, uint64_t start, uint64_t end, unsigned clear, unsigned set,
		 int (*filter)(const struct area *a, unsigned flags), struct area **dead) must_check;
