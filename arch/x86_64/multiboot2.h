/*
 * Multiboot2 boot information, as far as it is read here: Multiboot2 specification 2.0, section 3.6.
 * Debian has no header for it outside GRUB's sources.
 */
#pragma once

#include "lib/types.h"

/* The information starts with its total size and a reserved word; tags follow, each 8-aligned. */
struct mb2_info {
	uint32_t total_size, reserved;
};

struct mb2_tag {
	uint32_t type, size; /* size includes this header, not the padding */
};

enum mb2_tag_type {
	MB2_TAG_END = 0,
	MB2_TAG_CMDLINE = 1,
	MB2_TAG_LOADER = 2,
	MB2_TAG_MODULE = 3,
	MB2_TAG_MEMORY_MAP = 6,
	MB2_TAG_FRAMEBUFFER = 8,
	MB2_TAG_RSDP_V1 = 14,
	MB2_TAG_RSDP_V2 = 15,
};

struct mb2_tag_module {
	struct mb2_tag tag;
	uint32_t start, end;
	/* command line */
};

struct mb2_tag_memory_map {
	struct mb2_tag tag;
	uint32_t entry_size, entry_version;
};

struct mb2_memory_entry {
	uint64_t base, len;
	uint32_t type, reserved;
};

struct mb2_tag_framebuffer {
	struct mb2_tag tag;
	uint64_t addr;
	uint32_t pitch, width, height;
	uint8_t bpp, type;
	uint16_t reserved;
	struct {
		uint8_t position, size;
	} red, green, blue; /* type RGB; other types have something else here, of at least this size */
	uint16_t padding;
};
enum { MB2_FRAMEBUFFER_RGB = 1 };
