/*
 * Size classes and the shape of slabs: what kmalloc (mm/kmalloc.c, mm/slab.c) and the slab allocator over an arena
 * (slab_arena.c) have in common.
 *
 * Classes are powers of two and the steps half-way between, so at most a third of a block is lost, and on average a
 * seventh.
 */
#pragma once

#include "lib/types.h"

#define SIZE_CLASS_MAX 2048u /* larger requests are whole pages */
#define SIZE_CLASS_STEP 16u
#define SIZE_CLASSES                                                                         \
	{                                                                                    \
		16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, SIZE_CLASS_MAX \
	}
enum { SIZE_CLASS_COUNT = 14 };

/* map[(size + 15) / 16] is the class of `size` <= SIZE_CLASS_MAX. */
struct size_class_map {
	uint8_t of[SIZE_CLASS_MAX / SIZE_CLASS_STEP + 1];
};

static inline void size_class_map_init(struct size_class_map *m, const uint16_t *class_size)
{
	unsigned k = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(m->of); i++) {
		if (i * SIZE_CLASS_STEP > class_size[k])
			k++;
		m->of[i] = (uint8_t)k;
	}
}

static always_inline unsigned size_class(const struct size_class_map *m, size_t size)
{
	return m->of[(size + SIZE_CLASS_STEP - 1) / SIZE_CLASS_STEP];
}

#define SLAB_ORDER_MAX 3u

struct slab_shape {
	unsigned order;	   /* a slab is 2^order pages: the smallest that wastes at most an eighth */
	unsigned per_slab; /* objects */
	unsigned batch;	   /* objects that move between a chain and the slabs at once: a page's worth, 2 to 32 */
};

static inline struct slab_shape slab_shape_of(size_t stride, size_t page_size)
{
	struct slab_shape s = {0};

	while (page_size << s.order < stride)
		s.order++;
	while (s.order < SLAB_ORDER_MAX && (page_size << s.order) % stride > (page_size << s.order) / 8)
		s.order++;
	s.per_slab = (unsigned)((page_size << s.order) / stride);
	s.batch = (unsigned)MAX(MIN(page_size / stride, (size_t)32), (size_t)2);
	return s;
}
