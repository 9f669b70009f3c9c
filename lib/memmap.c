/*
 * Normal-form memory maps in a fixed array.
 *
 * Both changes are made of one step, memmap_punch: take away the parts of [base, end) that belong to types weaker than
 * a given one. Adding punches first and then fills the gaps that are left in the range with the new type. The number of
 * array slots this needs is counted beforehand, so a map is never left half changed. Everything is linear in the number
 * of ranges, of which firmware reports a few dozen.
 */
#include "lib/memmap.h"

#include <linux/errno.h>

#include "lib/string.h"

#define STRONGER_THAN_ALL (MEMMAP_BAD + 1)

void memmap_init(struct memmap *map, struct memmap_range *storage, size_t capacity)
{
	*map = (struct memmap){.ranges = storage, .capacity = capacity};
}

enum memmap_type memmap_type_of_e820(uint32_t e820_type)
{
	switch (e820_type) {
	case 1:
		return MEMMAP_USABLE;
	case 3:
		return MEMMAP_ACPI_RECLAIM;
	case 4:
		return MEMMAP_ACPI_NVS;
	case 5:
		return MEMMAP_BAD;
	case 7:
		return MEMMAP_PERSISTENT;
	default:
		return MEMMAP_RESERVED;
	}
}

const char *memmap_type_name(enum memmap_type type)
{
	switch (type) {
	case MEMMAP_USABLE:
		return "usable";
	case MEMMAP_KERNEL:
		return "kernel and boot data";
	case MEMMAP_ACPI_RECLAIM:
		return "ACPI tables";
	case MEMMAP_ACPI_NVS:
		return "ACPI non-volatile";
	case MEMMAP_PERSISTENT:
		return "persistent";
	case MEMMAP_RESERVED:
		return "reserved";
	case MEMMAP_BAD:
		return "bad";
	}
	return "unknown";
}

static void range_insert(struct memmap *map, size_t at, struct memmap_range range)
{
	memmove(&map->ranges[at + 1], &map->ranges[at], (map->count - at) * sizeof(range));
	map->ranges[at] = range;
	map->count++;
}

static void range_delete(struct memmap *map, size_t at)
{
	map->count--;
	memmove(&map->ranges[at], &map->ranges[at + 1], (map->count - at) * sizeof(map->ranges[0]));
}

/* The first range that ends after `addr`. */
static size_t first_beyond(const struct memmap *map, uint64_t addr)
{
	size_t low = 0, high = map->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (map->ranges[mid].end > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Takes [base, end) from every range of a type below `strength`. May need one slot, if it falls inside one range. */
static void memmap_punch(struct memmap *map, uint64_t base, uint64_t end, unsigned int strength)
{
	for (size_t i = first_beyond(map, base); i < map->count && map->ranges[i].base < end; i++) {
		struct memmap_range *range = &map->ranges[i];

		if (range->type >= strength)
			continue;
		if (range->base < base && range->end > end) {
			range_insert(map, i, (struct memmap_range){range->base, base, range->type});
			map->ranges[i + 1].base = end;
			return;
		}
		if (range->base < base) {
			range->end = base;
		} else if (range->end > end) {
			range->base = end;
		} else {
			range_delete(map, i);
			i--;
		}
	}
}

/* Fills what is free in [base, end). */
static void memmap_fill(struct memmap *map, uint64_t base, uint64_t end, enum memmap_type type)
{
	size_t i = first_beyond(map, base);

	while (base < end) {
		uint64_t next_base = i < map->count ? map->ranges[i].base : UINT64_MAX;
		uint64_t gap_end = MIN(end, next_base);

		if (base < gap_end) {
			range_insert(map, i, (struct memmap_range){base, gap_end, type});
			i++;
		}
		if (i >= map->count || next_base >= end)
			return;
		base = map->ranges[i].end;
		i++;
	}
}

/* Joins touching ranges of one type and drops empty ones. */
static void memmap_merge(struct memmap *map)
{
	size_t kept = 0;

	for (size_t i = 0; i < map->count; i++) {
		struct memmap_range *range = &map->ranges[i];
		struct memmap_range *last = kept ? &map->ranges[kept - 1] : NULL;

		if (range->base >= range->end)
			continue;
		if (last && last->end == range->base && last->type == range->type)
			last->end = range->end;
		else
			map->ranges[kept++] = *range;
	}
	map->count = kept;
}

/*
 * How many ranges there are while [base, end) is being added, before the merge. Each of them begins and ends where some
 * added range began or ended, so for n additions this is never above 2n - 1.
 */
static size_t slots_needed(const struct memmap *map, uint64_t base, uint64_t end, unsigned int strength)
{
	size_t gaps = 0, splits = 0, deleted = 0;
	uint64_t covered = base;

	for (size_t i = first_beyond(map, base); i < map->count && map->ranges[i].base < end; i++) {
		const struct memmap_range *range = &map->ranges[i];

		if (range->type < strength) {
			splits += range->base < base && range->end > end;
			deleted += range->base >= base && range->end <= end;
			continue;
		}
		gaps += range->base > covered;
		covered = range->end;
	}
	gaps += covered < end;
	return map->count + splits + gaps - deleted;
}

int memmap_add(struct memmap *map, uint64_t base, uint64_t len, enum memmap_type type)
{
	uint64_t end;

	if (__builtin_add_overflow(base, len, &end))
		end = UINT64_MAX;
	if (base >= end)
		return 0;
	if (slots_needed(map, base, end, type) > map->capacity)
		return -ENOSPC;
	memmap_punch(map, base, end, type);
	memmap_fill(map, base, end, type);
	memmap_merge(map);
	return 0;
}

int memmap_remove(struct memmap *map, uint64_t base, uint64_t len)
{
	uint64_t end;

	if (__builtin_add_overflow(base, len, &end))
		end = UINT64_MAX;
	if (base >= end)
		return 0;

	size_t i = first_beyond(map, base);
	bool splits = i < map->count && map->ranges[i].base < base && map->ranges[i].end > end;

	if (splits && map->count == map->capacity)
		return -ENOSPC;
	memmap_punch(map, base, end, STRONGER_THAN_ALL);
	return 0;
}

void memmap_page_align(struct memmap *map, uint64_t page_bytes)
{
	uint64_t mask = page_bytes - 1;

	for (size_t i = 0; i < map->count; i++) {
		struct memmap_range *range = &map->ranges[i];

		if (range->type == MEMMAP_USABLE) {
			range->base = range->base > UINT64_MAX - mask ? UINT64_MAX : (range->base + mask) & ~mask;
			range->end &= ~mask;
			continue;
		}
		range->base &= ~mask;
		range->end = range->end > UINT64_MAX - mask ? UINT64_MAX : (range->end + mask) & ~mask;

		/* Two unusable ranges may now claim the same page: the stronger keeps it. */
		for (size_t j = i; j > 0; j--) {
			struct memmap_range *before = &map->ranges[j - 1];

			if (before->base >= before->end)
				continue; /* became empty; merging drops it */
			if (before->end <= range->base)
				break;
			if (before->type >= range->type)
				range->base = MIN(before->end, range->end);
			else
				before->end = range->base;
		}
	}
	memmap_merge(map);
}

void memmap_limit_usable(struct memmap *map, uint64_t limit)
{
	memmap_punch(map, limit, UINT64_MAX, MEMMAP_USABLE + 1);
}

uint64_t memmap_total(const struct memmap *map, enum memmap_type type)
{
	uint64_t total = 0;

	for (size_t i = 0; i < map->count; i++) {
		if (map->ranges[i].type == type)
			total += map->ranges[i].end - map->ranges[i].base;
	}
	return total;
}

uint64_t memmap_top(const struct memmap *map, enum memmap_type type)
{
	for (size_t i = map->count; i > 0; i--) {
		if (map->ranges[i - 1].type == type)
			return map->ranges[i - 1].end;
	}
	return 0;
}

const struct memmap_range *memmap_find(const struct memmap *map, uint64_t addr)
{
	size_t i = first_beyond(map, addr);

	return i < map->count && map->ranges[i].base <= addr ? &map->ranges[i] : NULL;
}
