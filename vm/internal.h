/*
 * What the files of vm/ share and nobody else needs.
 */
#pragma once

#include "vm/aspace.h"
#include "vm/object.h"

/* A page for a program's data, with one reference, or NULL: the caller reports FAULT_OOM or -ENOMEM. A thread that is
 * being killed may use the reserve, so that it gets to its end. flags: 0 or ALLOC_ZERO. */
struct page *vm_user_page(unsigned flags) must_check;

extern const struct pager_ops vm_anonymous_ops;
void object_cache_init(void);
/* Enters a page (the tree gets a reference of its own). within: -ENXIO past the end. -EEXIST, -ENOMEM. */
int object_insert(struct vm_object *o, uint64_t index, struct page *p, bool within) must_check;
void object_count_pages(struct vm_object *o, int64_t pages);

/* Tells vm/oom.c that an address space's memory is free. */
void oom_aspace_gone(bool victim);
/* Whether the current thread has been killed and only needs to get to its end. */
bool oom_dying(void);
