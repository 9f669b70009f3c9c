/* The list of allocator designs (allocator.h), in the order of the tables that compare them. */
#include "lib/alloc/allocator.h"

const struct allocator_design allocator_designs[ALLOCATOR_DESIGNS] = {
	{"bump", bump_create},	   {"free-list", free_list_create}, {"fixed", fixed_create},
	{"bitmap", bitmap_create}, {"buddy", buddy_create},	    {"slab", slab_arena_create},
};
