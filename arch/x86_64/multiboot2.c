/*
 * The Multiboot2 boot information (GRUB).  Sizes and pointers in it are checked as if they came from an enemy, and each
 * byte is read once, by copy.
 */
#include "arch/x86_64/internal.h"
#include "arch/x86_64/multiboot2.h"
#include "lib/string.h"

#define INFO_BYTES_MAX (4 * MIB)

/* Outlives the loader's copy, which lies in memory that is free to use. The size of ACPI 2.0's structure. */
static uint8_t rsdp_copy[36] aligned_to(16);
static char loader_name[64];

static void parse_rsdp(uint64_t pa, uint32_t size)
{
	uint64_t len = MIN(size - sizeof(struct mb2_tag), sizeof(rsdp_copy));

	memset(rsdp_copy, 0, sizeof(rsdp_copy));
	if (boot_read(rsdp_copy, pa + sizeof(struct mb2_tag), len))
		boot_info.rsdp = paddr(kernel_phys(rsdp_copy));
}

static void parse_memory_map(uint64_t pa, uint32_t size)
{
	struct mb2_tag_memory_map map;
	struct mb2_memory_entry e;

	if (size < sizeof(map) || !boot_read(&map, pa, sizeof(map)) || map.entry_size < sizeof(e))
		boot_fail("Multiboot2 memory map damaged");
	for (uint64_t at = sizeof(map); at + sizeof(e) <= size; at += map.entry_size) {
		if (!boot_read(&e, pa + at, sizeof(e)))
			boot_fail("Multiboot2 memory map out of reach");
		boot_add_range(e.base, e.len, e.type);
	}
}

static void parse_framebuffer(uint64_t pa, uint32_t size)
{
	struct mb2_tag_framebuffer fb;

	if (size < offsetof(struct mb2_tag_framebuffer, padding) || !boot_read(&fb, pa, sizeof(fb)) ||
	    fb.type != MB2_FRAMEBUFFER_RGB)
		return;
	boot_info.framebuffer = (struct boot_framebuffer){.base = paddr(fb.addr),
							  .width = fb.width,
							  .height = fb.height,
							  .pitch_bytes = fb.pitch,
							  .bits_per_pixel = fb.bpp,
							  .red = {fb.red.position, fb.red.size},
							  .green = {fb.green.position, fb.green.size},
							  .blue = {fb.blue.position, fb.blue.size}};
}

static void parse_module(uint64_t pa, uint32_t size)
{
	struct mb2_tag_module m;

	if (size < sizeof(m) || !boot_read(&m, pa, sizeof(m)) || m.end <= m.start || boot_info.initrd_len)
		return;
	boot_set_initrd(m.start, m.end - m.start);
}

static void parse_tag(uint64_t pa, struct mb2_tag tag, bool *have_map)
{
	switch (tag.type) {
	case MB2_TAG_CMDLINE:
		boot_set_cmdline(pa + sizeof(tag));
		break;
	case MB2_TAG_LOADER:
		boot_read_string(loader_name, pa + sizeof(tag), sizeof(loader_name));
		break;
	case MB2_TAG_MODULE:
		parse_module(pa, tag.size);
		break;
	case MB2_TAG_MEMORY_MAP:
		parse_memory_map(pa, tag.size);
		*have_map = true;
		break;
	case MB2_TAG_FRAMEBUFFER:
		parse_framebuffer(pa, tag.size);
		break;
	case MB2_TAG_RSDP_V1:
		if (!boot_info.rsdp.v)
			parse_rsdp(pa, tag.size);
		break;
	case MB2_TAG_RSDP_V2: /* better than version 1, whichever comes first */
		parse_rsdp(pa, tag.size);
		break;
	default: /* much that we don't need, and what later versions add */
		break;
	}
}

void multiboot2_parse(uint64_t pa)
{
	struct mb2_info info;
	bool have_map = false;

	if (!boot_read(&info, pa, sizeof(info)) || info.total_size > INFO_BYTES_MAX)
		boot_fail("Multiboot2 information out of reach");
	boot_info.protocol = "Multiboot2";
	boot_info.loader = loader_name;
	for (uint64_t at = sizeof(info); at + sizeof(struct mb2_tag) <= info.total_size;) {
		struct mb2_tag tag;

		if (!boot_read(&tag, pa + at, sizeof(tag)) || tag.size < sizeof(tag) || tag.size > info.total_size - at)
			boot_fail("Multiboot2 information damaged");
		if (tag.type == MB2_TAG_END)
			break;
		parse_tag(pa + at, tag, &have_map);
		at += ALIGN_UP((uint64_t)tag.size, 8);
	}
	if (!have_map)
		boot_fail("Multiboot2 information without a memory map");
}
