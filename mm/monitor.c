/*
 * Monitor commands on memory: how much there is and who has it, the caches of kernel objects, and its content.
 */
#include <arch/mmu.h>
#include "core/boot_info.h"
#include "core/monitor.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/slab_debug.h"

#define PEEK_MAX 4096
#define ROW 16

MONITOR_COMMAND(mem, "", "memory: how much, free blocks, the firmware's map", MONITOR_AFTER_PANIC)
{
	struct page_stats s;

	page_stats_get(&s);
	monitor_print(out, "%llu KiB RAM: %llu KiB free, %llu KiB the kernel's image and tables\n",
		      (unsigned long long)(s.total * 4), (unsigned long long)(s.free * 4),
		      (unsigned long long)(s.reserved * 4));
	monitor_print(out, "%llu pages allocated since boot, %llu freed\n", (unsigned long long)s.allocs,
		      (unsigned long long)s.frees);
	monitor_print(out, "free blocks:");
	for (unsigned k = 0; k < PAGE_ORDERS; k++)
		monitor_print(out, " %llu x %u K%s", (unsigned long long)s.free_blocks[k], 4u << k,
			      k + 1 < PAGE_ORDERS ? "," : "\n");
	const struct memmap *map = &boot_info.memory;
	for (size_t i = 0; i < map->count; i++)
		monitor_print(out, "  %012llx-%012llx %s\n", (unsigned long long)map->ranges[i].base,
			      (unsigned long long)map->ranges[i].end - 1, memmap_type_name(map->ranges[i].type));
}

MONITOR_COMMAND(slab, "", "caches of kernel objects", MONITOR_RUNNING)
{
	struct slab_stats s;

	monitor_print(out, "%-20s %8s %10s %10s %8s\n", "cache", "bytes", "used", "room for", "KiB");
	for (unsigned i = 0; !out->interrupted && slab_stats_get(i, &s); i++)
		monitor_print(out, "%-20s %8zu %10llu %10llu %8llu\n", s.name, s.size_bytes,
			      (unsigned long long)s.objects_used, (unsigned long long)s.objects_total,
			      (unsigned long long)(s.pages * 4));
}

/* The byte at a virtual address, through the direct map, so that the look cannot fault; -1: not there, or a device. */
static int byte_at(uint64_t va)
{
	paddr_t pa;
	unsigned prot;

	if (!pgtable_translate(mmu_active_root(), vaddr(va), &pa, &prot) || (prot & MMU_DEVICE) || !paddr_is_ram(pa))
		return -1;
	return *(const volatile uint8_t *)paddr_to_ptr(pa);
}

MONITOR_COMMAND(peek, "ADDRESS [BYTES]", "content of memory that is mapped", MONITOR_AFTER_PANIC)
{
	uint64_t addr, len = 64;

	if (argc < 2) {
		monitor_print(out, "peek: which address?\n");
		return;
	}
	if (!monitor_number(out, argv[1], &addr) || (argc > 2 && !monitor_number(out, argv[2], &len)))
		return;
	len = MIN(len, (uint64_t)PEEK_MAX);
	for (uint64_t done = 0; done < len && !out->interrupted; done += ROW) {
		char text[ROW + 1];
		unsigned n = (unsigned)MIN(len - done, (uint64_t)ROW);
		monitor_print(out, "%016llx ", (unsigned long long)(addr + done));
		for (unsigned i = 0; i < ROW; i++) {
			int b = i < n ? byte_at(addr + done + i) : -1;
			text[i] = b >= ' ' && b < 0x7f ? (char)b : '.';
			if (b >= 0)
				monitor_print(out, " %02x", (unsigned)b);
			else
				monitor_print(out, i < n ? " --" : "   ");
		}
		text[n] = '\0';
		monitor_print(out, "  %s\n", text);
	}
}

static struct slab_owner owners[256]; /* the monitor runs one command at a time */

MONITOR_COMMAND(owners, "[SINCE]", "debug builds: who allocated what is alive (after number SINCE)", MONITOR_RUNNING)
{
	uint64_t since = 0;

	if (!CONFIG_DEBUG) {
		monitor_print(out, "owners: only debug builds (BUILD=debug) note who owns an object\n");
		return;
	}
	if (argc > 1 && !monitor_number(out, argv[1], &since))
		return;
	uint32_t now = slab_serial_now();
	unsigned n = slab_owners_get((uint32_t)since, owners, ARRAY_SIZE(owners));
	monitor_print(out, "%10s %12s  owner; last allocation %u\n", "objects", "bytes", now);
	for (unsigned i = 0; i < n && !out->interrupted; i++) {
		char symbol[80];
		monitor_print(out, "%10llu %12llu %s\n", (unsigned long long)owners[i].objects,
			      (unsigned long long)owners[i].bytes,
			      monitor_symbol((uintptr_t)owners[i].owner, symbol, sizeof(symbol)));
	}
}
