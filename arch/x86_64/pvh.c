/*
 * The PVH start info (QEMU -kernel, Firecracker, Cloud Hypervisor, Xen): layout in Xen's public
 * arch-x86/hvm/start_info.h. Nothing it points to is trusted to be sane, and each byte is read once, by copy.
 */
#include <stdint.h>

#include <xen/arch-x86/hvm/start_info.h>

#include "arch/x86_64/internal.h"

/* More than any machine reports; a larger count is damage. */
#define MEMMAP_ENTRIES_MAX 4096

void pvh_parse(uint64_t pa)
{
	struct hvm_start_info info = {0};
	struct hvm_modlist_entry module;

	/* Version 0 ends before memmap_paddr. */
	if (!boot_read(&info, pa, offsetof(struct hvm_start_info, memmap_paddr)))
		boot_fail("PVH start info out of reach");
	if (info.magic != XEN_HVM_START_MAGIC_VALUE)
		boot_fail("PVH start info has a wrong magic number");
	if (info.version < 1 || !boot_read(&info, pa, sizeof(info)) || !info.memmap_entries)
		boot_fail("PVH start info without a memory map (version 0): a newer monitor is needed");
	if (info.memmap_entries > MEMMAP_ENTRIES_MAX)
		boot_fail("PVH start info with an absurd memory map");

	boot_info.protocol = "PVH";
	boot_info.loader = "";
	boot_info.rsdp = paddr(info.rsdp_paddr);
	boot_set_cmdline(info.cmdline_paddr);
	for (uint32_t i = 0; i < info.memmap_entries; i++) {
		struct hvm_memmap_table_entry e;

		if (!boot_read(&e, info.memmap_paddr + i * sizeof(e), sizeof(e)))
			boot_fail("PVH memory map out of reach");
		boot_add_range(e.addr, e.size, e.type);
	}
	if (info.nr_modules) {
		if (!boot_read(&module, info.modlist_paddr, sizeof(module)))
			boot_fail("PVH module list out of reach");
		boot_set_initrd(module.paddr, module.size);
	}
}
