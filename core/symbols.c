/*
 * Looking up the kernel's own functions by address.
 *
 * The table is made by tools/symtab from a first link of the kernel and added in a second one.  Addresses are 32-bit
 * distances from the first function, ascending, so that a binary search finds the last function at or below an
 * address.  Names have no index of their own: every sixteenth one is marked and the rest are counted from there, which
 * saves four bytes a function for fifteen short steps in a path that is never hot.
 *
 * Everything is constant and in .rodata: nothing to lock, nothing to initialise, nothing a panic could find half done.
 * The first link carries an empty table (count 0), which answers NULL.
 */
#include "core/symbols.h"

#include <stddef.h>

#define NAMES_PER_MARKER 16

extern const uint64_t symbols_base;
extern const uint32_t symbols_span;
extern const uint32_t symbols_count;
extern const uint32_t symbols_offsets[];
extern const uint32_t symbols_markers[];
extern const char symbols_names[];

static const char *name_of(uint32_t index)
{
	const char *name = symbols_names + symbols_markers[index / NAMES_PER_MARKER];

	for (uint32_t skip = index % NAMES_PER_MARKER; skip > 0; skip--) {
		while (*name != '\0')
			name++;
		name++;
	}
	return name;
}

const char *symbol_lookup(uintptr_t addr, uintptr_t *offset)
{
	if (symbols_count == 0 || addr < symbols_base || addr - symbols_base >= symbols_span)
		return NULL;

	uint64_t distance = addr - symbols_base;
	uint32_t low = 0, high = symbols_count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (symbols_offsets[middle] <= distance)
			low = middle;
		else
			high = middle;
	}
	*offset = distance - symbols_offsets[low];
	return name_of(low);
}
