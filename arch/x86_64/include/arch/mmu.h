/*
 * Page-table entries and the translation hardware.  mm/pgtable.h walks and allocates tables with these; nothing above
 * mm/ needs them.  SDM 3A chapter 4.
 */
#pragma once

#include <arch/layout.h>
#include "lib/types.h"

#define PT_LEVELS 4 /* level 0 maps pages, level 3 is the root */
#define PT_ENTRIES 512
#define PT_SHIFT(level) (PAGE_SHIFT + 9 * (level))
#define PT_INDEX(va, level) (((va) >> PT_SHIFT(level)) & (PT_ENTRIES - 1))
#define PT_USER_ROOT_ENTRIES \
	256 /* root entries below this are a program's, the others the kernel's and shared by all */

typedef struct {
	uint64_t v;
} pte_t;

/* What a mapping allows, on every architecture. */
enum mmu_prot {
	MMU_READ = 1 << 0,
	MMU_WRITE = 1 << 1,
	MMU_EXEC = 1 << 2,
	MMU_USER = 1 << 3,
	MMU_DEVICE = 1 << 4,	    /* uncached, ordered */
	MMU_WRITE_COMBINE = 1 << 5, /* uncached, stores collected into bursts: framebuffers */
};

/* A leaf for physical address pa at this level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB). MMU_READ is implied by any other. */
pte_t pte_leaf(paddr_t pa, unsigned prot, unsigned level);
/* An entry that points to the next lower table; user says which half it serves. */
pte_t pte_table(paddr_t table, bool user);

static always_inline pte_t pte_none(void)
{
	return (pte_t){0};
}

static always_inline bool pte_present(pte_t e)
{
	return e.v & 1;
}

static always_inline bool pte_is_leaf(pte_t e, unsigned level)
{
	return level == 0 || (e.v & 0x80);
}

static always_inline paddr_t pte_paddr(pte_t e)
{
	return (paddr_t){e.v & 0x000ffffffffff000};
}

static always_inline bool pte_writable(pte_t e)
{
	return e.v & 2;
}

static always_inline bool pte_executable(pte_t e)
{
	return !(e.v >> 63);
}

static always_inline bool pte_dirty(pte_t e)
{
	return e.v & 0x40;
}

static always_inline bool pte_accessed(pte_t e)
{
	return e.v & 0x20;
}

static always_inline pte_t pte_wrprotect(pte_t e)
{
	return (pte_t){e.v & ~2ull};
}

static always_inline pte_t pte_mkold(pte_t e)
{
	return (pte_t){e.v & ~0x20ull};
}

/* Two bits of a present leaf that the hardware ignores and vm/ may use as it likes. */
#define PTE_SOFT1 BIT(9)
#define PTE_SOFT2 BIT(10)

unsigned pte_prot(pte_t e); /* back to enum mmu_prot */

/* Largest leaf level the CPU supports (1 or 2). */
unsigned mmu_max_leaf_level(void);
/* Whether the hardware enforces "not executable"; where not, MMU_EXEC is implied. */
bool mmu_has_nx(void);

/* The kernel's own root table, set up by the boot code; its upper half is what every address space shares. */
paddr_t mmu_kernel_root(void);
/* Maps device registers into the kernel; set by mm/ before irqchip_init(). NULL result: no room. */
extern void *(*arch_map_device)(paddr_t pa, size_t len_bytes);

/* Loads root on this CPU; flushes the non-global translations. */
void mmu_activate(paddr_t root);
paddr_t mmu_active_root(void);

/* Forgets one page's / all non-global / all translations on this CPU. */
static always_inline void mmu_flush_page_local(vaddr_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va.v) : "memory");
}
void mmu_flush_all_local(void);
void mmu_flush_global_local(void);
