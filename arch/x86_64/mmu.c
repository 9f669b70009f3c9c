/*
 * Page-table entries (SDM 3A 4.5) and the translation registers.
 *
 * Kernel leaves are global: all address spaces share them, so they survive a change of CR3.  Accessed and, for the
 * kernel, dirty are set when the entry is made, which spares the CPU the locked update at first use; a program's dirty
 * bit starts clear because vm/ reads it. Device memory is PCD|PWT, which the PAT's reset values make uncached whatever
 * the MTRRs say (SDM 3A table 11-7).  PWT alone, write-through at reset and used by nobody, is made write-combining
 * by cpu_setup() (SDM 3A 11.12); on a CPU without PAT it stays write-through, which is slower and as correct.
 */
#include <arch/mmu.h>
#include <asm/processor-flags.h>

#include "arch/x86_64/internal.h"

extern char boot_root[];

static uint64_t no_execute(void)
{
	return cpu_features.nx ? (uint64_t)PTE_NX_HIGH << 32 : 0;
}

pte_t pte_leaf(paddr_t pa, unsigned prot, unsigned level)
{
	uint64_t v = pa.v | PTE_P | PTE_A;

	if (!prot)
		return pte_none();
	if (prot & MMU_WRITE)
		v |= PTE_W;
	if (prot & MMU_USER)
		v |= PTE_U;
	else
		v |= PTE_G | PTE_D;
	if (!(prot & MMU_EXEC))
		v |= no_execute();
	if (prot & MMU_DEVICE)
		v |= PTE_PCD | PTE_PWT;
	else if (prot & MMU_WRITE_COMBINE)
		v |= PTE_PWT;
	if (level)
		v |= PTE_PS;
	return (pte_t){v};
}

pte_t pte_table(paddr_t table, bool user)
{
	return (pte_t){table.v | PTE_P | PTE_W | PTE_A | (user ? PTE_U : 0)};
}

unsigned pte_prot(pte_t e)
{
	unsigned prot = 0;

	if (!pte_present(e))
		return 0;
	prot |= MMU_READ;
	if (e.v & PTE_W)
		prot |= MMU_WRITE;
	if (e.v & PTE_U)
		prot |= MMU_USER;
	if (!(e.v >> 63))
		prot |= MMU_EXEC;
	if (e.v & PTE_PCD)
		prot |= MMU_DEVICE;
	else if (e.v & PTE_PWT)
		prot |= MMU_WRITE_COMBINE;
	return prot;
}

unsigned mmu_max_leaf_level(void)
{
	return cpu_features.pages_1g ? 2 : 1;
}

bool mmu_has_nx(void)
{
	return cpu_features.nx;
}

paddr_t mmu_kernel_root(void)
{
	return paddr(kernel_phys(boot_root));
}

void mmu_activate(paddr_t root)
{
	write_cr3(root.v);
}

paddr_t mmu_active_root(void)
{
	return paddr(read_cr3() & ~(uint64_t)(PAGE_SIZE - 1));
}

void mmu_flush_all_local(void)
{
	write_cr3(read_cr3());
}

void mmu_flush_global_local(void)
{
	irqflags_t flags = irq_save();
	uint64_t cr4 = read_cr4();

	write_cr4(cr4 & ~X86_CR4_PGE); /* changing PGE flushes everything (SDM 3A 4.10.4.1) */
	write_cr4(cr4);
	irq_restore(flags);
}
