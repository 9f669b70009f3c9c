/*
 * Register-level constants that Linux's user headers do not have: selectors, MSRs, page-table bits.
 * For C and assembly alike, so macros only.  CR0, CR4, EFLAGS bits: <asm/processor-flags.h>.
 */
#pragma once

/*
 * Segment selectors.  The values are part of the ABI: gdb, core files and signal frames show CS 0x33 and SS 0x2b, and
 * programs that look at their own CS (to learn whether they run in 32 or 64 bits) compare with these.  SYSRET derives
 * both user selectors from one MSR field, which fixes the order user code 32, user data, user code 64.
 */
#define GDT_BOOT_CS32 0x08
#define GDT_KERNEL_CS 0x10
#define GDT_KERNEL_DS 0x18
#define GDT_USER_CS32 0x23
#define GDT_USER_DS 0x2b
#define GDT_USER_CS 0x33
#define GDT_TSS 0x40
#define GDT_CPU_NUMBER 0x53 /* its limit is the CPU's number: CPU_NUMBER_SELECTOR of arch/vdso.h */
#define GDT_ENTRIES 11

/* Interrupt-stack-table slots of the TSS (SDM 3A 6.14.5); 0 means "no switch". */
#define IST_DOUBLE_FAULT 1
#define IST_NMI 2
#define IST_MACHINE_CHECK 3
#define IST_COUNT 3
#define IST_STACK_SIZE (CONFIG_KASAN ? 16384 : 8192)

#define MSR_PAT 0x00000277
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_FS_BASE 0xc0000100
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX 0xc0000103

#define EFER_SCE 0x001
#define EFER_LME 0x100
#define EFER_NXE 0x800

/* Page-table entry bits, SDM 3A 4.5 table 4-15..4-20. */
#define PTE_P 0x001
#define PTE_W 0x002
#define PTE_U 0x004
#define PTE_PWT 0x008
#define PTE_PCD 0x010
#define PTE_A 0x020
#define PTE_D 0x040
#define PTE_PS 0x080
#define PTE_G 0x100
#define PTE_NX_HIGH 0x80000000 /* in the upper half of the entry */

/*
 * The page attribute table, one byte for each of the combinations of PAT, PCD and PWT (SDM 3A 11.12.4): as at reset
 * (write-back, write-through, uncached-, uncached, twice) but for the second, which is write-combining.
 */
#define PAT_VALUE 0x0007040600070106

/*
 * Low memory, kept free by start.c, for the start of further CPUs (ap_boot.S): a page of real-mode code, and page
 * tables within reach of 32-bit code.
 */
#define AP_PAGE 0x8000
#define AP_ROOT 0x9000
#define AP_PDPT 0xa000
#define AP_PD 0xb000
#define AP_END 0xc000

/* CPU features that patched instructions depend on: struct alternative's `feature`. */
#define ALT_SMAP 1
