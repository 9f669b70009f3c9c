/*
 * From an object to the areas that map it.  Internal to vm/; theory in rmap.c.
 *
 * All take the object's map_lock (LOCK_OBJECT_MAPS) and do nothing for an area without object.  The caller holds the
 * area's as->lock for writing.
 */
#pragma once

#include "vm/aspace.h"

/* Adding what is already there does nothing. */
void rmap_add(struct area *a);
/* Removing what is not there does nothing. */
void rmap_remove(struct area *a);
/* Changes start and end, and offset with start, keeping the tree in order. */
void rmap_resize(struct area *a, uint64_t start, uint64_t end);
