/*
 * The virtual address space (SDM 3A 4.5): one place that says where everything is.
 *
 *   0x0000000000001000 .. 0x00007fffffffefff   programs
 *   0xffff888000000000 .. 0xffffc87fffffffff   direct map: all physical memory, writable, never executable (64 TiB)
 *   0xffffc90000000000 .. 0xffffc97fffffffff   kernel mappings: stacks with guard pages, device registers
 *   0xffffffff80000000 ..                      the kernel image, linked here, loaded at 1 MiB
 *
 * Used by assembly too, so only macros here.
 */
#pragma once

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096
#define USER_VA_MIN 0x0000000000001000
#define USER_VA_END 0x00007ffffffff000 /* one guard page below the hole: SYSRET never sees a non-canonical next RIP */
#define DIRECT_MAP_BASE 0xffff888000000000
#define DIRECT_MAP_SIZE 0x0000400000000000
#define KMAP_BASE 0xffffc90000000000
#define KMAP_SIZE 0x0000008000000000
#define KERNEL_BASE 0xffffffff80000000
#define KERNEL_LOAD 0x0000000000100000
#define KERNEL_IMAGE_MAX 0x0000000001000000 /* 16 MiB: what the early page tables can hold */
/*
 * SAN=kasan (mm/kasan.h): the shadow byte of address a is at (a >> 3) + KASAN_SHADOW_OFFSET, which for the upper half
 * is 0xffffec0000000000 .. 0xfffffbffffffffff; mk/config.mk has the same number.  Frames have red zones there, so
 * stacks are larger; the shadow of 32 KiB is one page.
 */
#define KASAN_SHADOW_OFFSET 0xdffffc0000000000
#if CONFIG_KASAN
#define KSTACK_SIZE 32768
#else
#define KSTACK_SIZE 16384
#endif
