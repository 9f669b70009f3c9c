/*
 * Who acts: user and group ids and capabilities, immutable once published, shared by reference (man 7 credentials).
 * A task that changes its ids makes a new one and swaps the pointer. It reads its own without more ado; others read
 * them inside a section of sync/rcu.h, or take a reference there (task_cred()).
 */
#pragma once

#include "lib/types.h"
#include "sync/rcu.h"
#include "sync/refcount.h"

#define CRED_GROUPS_MAX 65536

struct cred {
	struct refcount refs;
	struct rcu_deferred deferred;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	uint64_t cap_permitted, cap_effective, cap_inheritable, cap_bounding, cap_ambient;
	uint32_t securebits;
	uint32_t group_count;
	uint32_t groups[]; /* sorted */
};

extern struct cred cred_root; /* the kernel's and PID 1's: all capabilities; never freed */

static inline void cred_get(const struct cred *c)
{
	refcount_get(&((struct cred *)c)->refs);
}
void cred_put(const struct cred *c);
/* A private copy with room for group_count groups (copied as far as they fit). NULL: out of memory. */
struct cred *cred_copy(const struct cred *c, uint32_t group_count) must_check;
bool cred_in_group(const struct cred *c, uint32_t gid);
static inline bool cred_capable(const struct cred *c, unsigned cap)
{
	return c->cap_effective & BIT(cap);
}
