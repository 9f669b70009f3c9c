/*
 * Names of the kernel's own functions, for backtraces and the profiler.
 */
#pragma once

#include <stdint.h>

/*
 * The name of the function that holds addr, or NULL if none does.  *offset becomes the distance from the function's
 * start; it stays untouched when NULL is returned.  The name lives as long as the kernel.
 * Context: any, also in a panic; takes no lock, allocates nothing, writes nothing.
 */
const char *symbol_lookup(uintptr_t addr, uintptr_t *offset);
