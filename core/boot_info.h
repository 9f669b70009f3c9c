/*
 * What the boot loader told us, in one shape whatever the path (PVH or Multiboot2).
 *
 * Filled by arch before kernel_start() from tables that lie anywhere in memory, so everything that must outlive them is
 * copied here or reserved in the map.  Immutable after mm_init().
 */
#pragma once

#include "lib/memmap.h"
#include "lib/types.h"

#define BOOT_CMDLINE_MAX 2048

/* Where a colour lies in a pixel. */
struct boot_colour_field {
	uint8_t shift, bits;
};

struct boot_framebuffer {
	paddr_t base; /* 0: none */
	uint32_t width, height, pitch_bytes, bits_per_pixel;
	struct boot_colour_field red, green, blue;
};

struct boot_info {
	const char *protocol; /* "PVH" or "Multiboot2" */
	const char *loader;   /* its name, or "" */
	struct memmap memory; /* as the firmware reports it, plus the reservations */
	char cmdline[BOOT_CMDLINE_MAX];
	bool cmdline_truncated;
	paddr_t initrd_base; /* 0 length: none */
	uint64_t initrd_len;
	struct boot_framebuffer framebuffer;
	paddr_t rsdp; /* 0: search for it */
};

extern struct boot_info boot_info;
