/*
 * The firmware's memory map, made fit for use.
 *
 * A memmap is always in normal form: ranges ascend, none overlap, none are empty, and neighbours that touch differ in
 * type. memmap_add() keeps it so: where two ranges overlap, the type with the higher number wins, so memory that any
 * entry calls unusable is never handed out. The ranges live in the caller's array; an operation that would not fit is
 * refused and leaves the map as it was. Ranges are [base, end) in bytes; the last byte of the 64-bit space is
 * not representable and is cut off.
 */
#pragma once

#include "lib/types.h"

/* Ascending strength. */
enum memmap_type {
	MEMMAP_USABLE = 1,
	MEMMAP_KERNEL,	     /* RAM that holds the kernel or what the boot loader gave it: not free now */
	MEMMAP_ACPI_RECLAIM, /* RAM with ACPI tables */
	MEMMAP_ACPI_NVS,
	MEMMAP_PERSISTENT,
	MEMMAP_RESERVED,
	MEMMAP_BAD, /* broken RAM */
};

struct memmap_range {
	uint64_t base, end;
	enum memmap_type type;
};

struct memmap {
	struct memmap_range *ranges;
	size_t count, capacity;
};

/* `storage` is borrowed. A map of n firmware entries needs at most 2n - 1 ranges. */
void memmap_init(struct memmap *map, struct memmap_range *storage, size_t capacity);

/* Types of BIOS E820, Multiboot2 and PVH memory maps, which are the same numbers; unknown ones are reserved. */
enum memmap_type memmap_type_of_e820(uint32_t e820_type);
const char *memmap_type_name(enum memmap_type type);

/*
 * Adds a range; the stronger type wins where it overlaps. An empty range is no change. A range that runs past the top
 * of the address space is cut there. 0 or -ENOSPC (array full, map unchanged).
 */
int must_check memmap_add(struct memmap *map, uint64_t base, uint64_t len, enum memmap_type type);

/* Takes a range out, whatever its type. 0 or -ENOSPC (map unchanged). */
int must_check memmap_remove(struct memmap *map, uint64_t base, uint64_t len);

/* Usable ranges shrink to whole pages, all others grow to whole pages; nothing usable overlaps them afterwards. */
void memmap_page_align(struct memmap *map, uint64_t page_bytes);

/* Drops usable memory at or above `limit` (Linux's mem=). */
void memmap_limit_usable(struct memmap *map, uint64_t limit);

/* Bytes of one type; the end of the highest range of that type (0 if none). */
uint64_t memmap_total(const struct memmap *map, enum memmap_type type);
uint64_t memmap_top(const struct memmap *map, enum memmap_type type);

/* The range that holds `addr`, or NULL. */
const struct memmap_range *memmap_find(const struct memmap *map, uint64_t addr);
