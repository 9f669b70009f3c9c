/*
 * Fuzzes lib/memmap: the first byte is the capacity, every six bytes after it are an operation. The map must stay in
 * normal form and agree with an array that gives the type of each unit; ranges are also placed at the top of the
 * address space.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/memmap.h"

enum { SPACE = 256, OPERATION_BYTES = 6 };

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check(const struct memmap *map, const uint8_t *model, uint64_t offset)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct memmap_range *range = &map->ranges[i];

		require(range->base < range->end);
		require(!i || range[-1].end < range->base ||
			(range[-1].end == range->base && range[-1].type != range->type));
	}
	for (uint64_t unit = 0; unit < SPACE; unit++) {
		const struct memmap_range *range = memmap_find(map, offset + unit);

		require((range ? range->type : 0) == model[unit]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	uint8_t model[SPACE] = {0};
	struct memmap_range *storage;
	struct memmap map;
	uint64_t offset;
	size_t capacity, done = 0;

	if (len < 2)
		return 0;
	capacity = 1 + input[0] % 64;
	offset = input[1] & 1 ? UINT64_MAX - SPACE : 0;
	storage = malloc(capacity * sizeof(*storage));
	memmap_init(&map, storage, capacity);
	for (const uint8_t *op = input + 2; op + OPERATION_BYTES <= input + len; op += OPERATION_BYTES) {
		uint64_t base = op[1], size = op[2];
		uint8_t type = (uint8_t)(MEMMAP_USABLE + op[3] % MEMMAP_BAD);
		int error;

		if (op[0] % 8 == 7) {
			memmap_limit_usable(&map, offset + base);
			for (uint64_t unit = base; unit < SPACE; unit++)
				model[unit] = model[unit] == MEMMAP_USABLE ? 0 : model[unit];
			check(&map, model, offset);
			continue;
		}
		done++;
		if (base + size > SPACE && !offset)
			size = SPACE - base; /* at the top the map has to cut it */
		if (op[0] % 8 == 6)
			error = memmap_remove(&map, offset + base, size);
		else
			error = memmap_add(&map, offset + base, size, type);
		if (error)
			require(2 * done - 1 > capacity);
		for (uint64_t unit = base; unit < MIN(base + size, (uint64_t)SPACE) && !error; unit++)
			model[unit] = op[0] % 8 == 6 ? 0 : MAX(model[unit], type);
		check(&map, model, offset);
	}
	memmap_page_align(&map, 4096);
	free(storage);
	return 0;
}
