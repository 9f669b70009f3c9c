/*
 * Reference counts that saturate: a count that was ever driven to its limit stays there for good (the object leaks,
 * memory stays safe).
 */
#pragma once

#include "core/panic.h"
#include "lib/types.h"
#include "sync/atomic.h"

struct refcount {
	int32_t n;
};

#define REFCOUNT_SATURATED (INT32_MIN / 2)

static inline void refcount_init(struct refcount *r, int32_t n)
{
	r->n = n;
}

static inline void refcount_get(struct refcount *r)
{
	int32_t old = __atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED);
	if (unlikely(old <= 0 || old == INT32_MAX))
		__atomic_store_n(&r->n, REFCOUNT_SATURATED, __ATOMIC_RELAXED);
}

/* For look-ups under a lock or in a table: false if the object is already on its way out. */
static inline must_check bool refcount_get_unless_zero(struct refcount *r)
{
	int32_t old = atomic_load_relaxed(&r->n);
	do {
		if (old == 0)
			return false;
	} while (!atomic_cas(&r->n, &old, old + 1));
	return true;
}

/* True: this was the last reference and the caller destroys the object. */
static inline must_check bool refcount_put(struct refcount *r)
{
	int32_t old = __atomic_fetch_sub(&r->n, 1, __ATOMIC_ACQ_REL);
	if (unlikely(old <= 0)) {
		__atomic_store_n(&r->n, REFCOUNT_SATURATED, __ATOMIC_RELAXED);
		return false;
	}
	return old == 1;
}

static inline int32_t refcount_read(const struct refcount *r)
{
	return atomic_load_relaxed(&r->n);
}
