/*
 * The interrupt descriptor table (SDM 3A 6.14.1): 256 gates, all of the interrupt kind, so that every handler starts
 * with interrupts off. One table serves all CPUs; after idt_init() it never changes.
 */
#include "arch/x86_64/internal.h"

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "SDM 3A figure 6-8");

#define GATE_INTERRUPT 0x8e
#define GATE_FROM_USER 0x60 /* a program may use INT n to get here */
#define EXCEPTIONS 32
#define VECTORS 256

static struct gate idt[VECTORS] aligned_to(16);

static void gate_set(unsigned vector, uint64_t stub, uint8_t type, uint8_t ist)
{
	idt[vector] = (struct gate){
		.offset_low = (uint16_t)stub,
		.selector = GDT_KERNEL_CS,
		.ist = ist,
		.type = type,
		.offset_middle = (uint16_t)(stub >> 16),
		.offset_high = (uint32_t)(stub >> 32),
	};
}

void idt_init(void)
{
	for (unsigned v = 0; v < EXCEPTIONS; v++)
		gate_set(v, (uint64_t)trap_stubs + v * TRAP_STUB_BYTES, GATE_INTERRUPT, 0);
	for (unsigned v = EXCEPTIONS; v < VECTORS; v++)
		gate_set(v, (uint64_t)interrupt_stubs + (v - EXCEPTIONS) * TRAP_STUB_BYTES, GATE_INTERRUPT, 0);
	/* INT3 and INTO are meant for programs. INT n of any other vector is a general protection fault. */
	idt[3].type |= GATE_FROM_USER;
	idt[4].type |= GATE_FROM_USER;
	idt[2].ist = IST_NMI;
	idt[8].ist = IST_DOUBLE_FAULT;
	idt[18].ist = IST_MACHINE_CHECK;
}

void idt_load(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} packed_struct idtr = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lidt %0" : : "m"(idtr));
}
