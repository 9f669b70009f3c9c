/*
 * Segments and the task-state segment of one CPU (SDM 3A 3.4.5, 7.7).  In 64-bit mode they carry three things only: the
 * privilege level, the 64/32-bit choice, and the stacks the CPU switches to.
 */
#include "arch/x86_64/internal.h"

/* Present, accessed; base 0, limit 4 GiB. */
#define SEGMENT_KERNEL_CODE 0x00af9b000000ffff
#define SEGMENT_KERNEL_CODE32 0x00cf9b000000ffff
#define SEGMENT_KERNEL_DATA 0x00cf93000000ffff
#define SEGMENT_USER_CODE32 0x00cffb000000ffff
#define SEGMENT_USER_DATA 0x00cff3000000ffff
#define SEGMENT_USER_CODE 0x00affb000000ffff
#define SEGMENT_USER_NUMBER 0x0040f10000000000 /* data, read only; the low 20 bits of the limit follow */
#define SEGMENT_TSS_AVAILABLE 0x0000890000000000

struct table_register {
	uint16_t limit;
	uint64_t base;
} packed_struct;

void gdt_load(struct arch_cpu *c, struct ist_top *const ist[IST_COUNT])
{
	uint64_t tss = (uint64_t)&c->tss;
	struct table_register gdtr = {sizeof(c->gdt) - 1, (uint64_t)c->gdt};

	c->gdt[GDT_BOOT_CS32 / 8] = SEGMENT_KERNEL_CODE32;
	c->gdt[GDT_KERNEL_CS / 8] = SEGMENT_KERNEL_CODE;
	c->gdt[GDT_KERNEL_DS / 8] = SEGMENT_KERNEL_DATA;
	c->gdt[GDT_USER_CS32 / 8] = SEGMENT_USER_CODE32;
	c->gdt[GDT_USER_DS / 8] = SEGMENT_USER_DATA;
	c->gdt[GDT_USER_CS / 8] = SEGMENT_USER_CODE;
	c->gdt[GDT_TSS / 8] = SEGMENT_TSS_AVAILABLE | (sizeof(c->tss) - 1) | (tss & 0xffffff) << 16 |
		(tss >> 24 & 0xff) << 56;
	c->gdt[GDT_TSS / 8 + 1] = tss >> 32;
	c->gdt[GDT_CPU_NUMBER / 8] = SEGMENT_USER_NUMBER | (c->cpu.id & 0xffff);

	for (int i = 0; i < IST_COUNT; i++) {
		ist[i]->cpu = c;
		c->tss.ist[i] = (uint64_t)ist[i];
	}
	c->tss.iomap_base = sizeof(c->tss); /* no I/O permission map: programs have no ports */

	/* CS keeps the boot code's selector, whose descriptor is the same here. */
	__asm__ volatile("lgdt %0" : : "m"(gdtr));
	__asm__ volatile("mov %0, %%ss; mov %0, %%ds; mov %0, %%es" : : "r"(GDT_KERNEL_DS));
	__asm__ volatile("mov %0, %%fs; mov %0, %%gs" : : "r"(0));
	__asm__ volatile("ltr %w0" : : "r"(GDT_TSS));
}
