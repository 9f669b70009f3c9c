/*
 * The pair of 8259A controllers (Intel 8259A data sheet): remapped behind the CPU's exceptions and masked where an I/O
 * APIC does the work, and the interrupt controller itself where there is none.
 *
 * The two ports of each are shared by all lines, so mask changes go under pic_lock (see ioapic.c for why it is
 * home-made). The masks are remembered; reading them back costs an exit in a virtual machine.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include "arch/x86_64/irqchip.h"

#define MASTER_COMMAND 0x20
#define MASTER_DATA 0x21
#define SLAVE_COMMAND 0xa0
#define SLAVE_DATA 0xa1
#define ELCR_MASTER 0x4d0 /* EISA edge/level control: one bit a line, set = level */

#define ICW1_INIT_ICW4 0x11
#define ICW4_8086 0x01
#define OCW2_SPECIFIC_EOI 0x60
#define OCW3_READ_IN_SERVICE 0x0b
#define CASCADE_LINE 2

static uint16_t masks = 0xffff; /* bit a line, set = masked; guarded by pic_lock */
static bool pic_lock;

static irqflags_t pic_take(void)
{
	irqflags_t f = irq_save();
	while (__atomic_test_and_set(&pic_lock, __ATOMIC_ACQUIRE))
		cpu_relax();
	return f;
}

static void pic_give(irqflags_t f)
{
	__atomic_clear(&pic_lock, __ATOMIC_RELEASE);
	irq_restore(f);
}

/* The mask register reads back what was written only where there is a controller. Leaves all lines masked. */
bool pic_present(void)
{
	io_out8(SLAVE_DATA, 0xff);
	io_out8(MASTER_DATA, 0xfb);
	bool present = io_in8(MASTER_DATA) == 0xfb;
	io_out8(MASTER_DATA, 0xff);
	return present;
}

void pic_init(void)
{
	irqflags_t f = pic_take();
	masks = 0xffff;
	io_out8(MASTER_COMMAND, ICW1_INIT_ICW4);
	io_out8(SLAVE_COMMAND, ICW1_INIT_ICW4);
	io_out8(MASTER_DATA, IRQ_VECTOR_BASE);
	io_out8(SLAVE_DATA, IRQ_VECTOR_BASE + 8);
	io_out8(MASTER_DATA, 1 << CASCADE_LINE);
	io_out8(SLAVE_DATA, CASCADE_LINE);
	io_out8(MASTER_DATA, ICW4_8086);
	io_out8(SLAVE_DATA, ICW4_8086);
	io_out8(MASTER_DATA, 0xff);
	io_out8(SLAVE_DATA, 0xff);
	pic_give(f);
}

void pic_set_masked(unsigned irq, bool masked)
{
	irqflags_t f = pic_take();
	masks = (uint16_t)(masked ? masks | 1u << irq : masks & ~(1u << irq));
	if (irq < 8)
		io_out8(MASTER_DATA, (uint8_t)masks);
	else
		io_out8(SLAVE_DATA, (uint8_t)(masks >> 8));
	pic_give(f);
}

bool pic_is_level(unsigned irq)
{
	/* 0, 1, 2, 8 and 13 are edge lines by definition; a board without the register reads as all ones. */
	uint16_t elcr = (uint16_t)(io_in8(ELCR_MASTER) | io_in8(ELCR_MASTER + 1) << 8);
	if (elcr == 0xffff)
		return false;
	return elcr >> irq & 1;
}

void pic_eoi(unsigned irq)
{
	if (irq >= 8) {
		io_out8(SLAVE_COMMAND, (uint8_t)(OCW2_SPECIFIC_EOI | (irq - 8)));
		io_out8(MASTER_COMMAND, OCW2_SPECIFIC_EOI | CASCADE_LINE);
	} else {
		io_out8(MASTER_COMMAND, (uint8_t)(OCW2_SPECIFIC_EOI | irq));
	}
}

bool pic_spurious(unsigned irq)
{
	if (likely(irq != 7 && irq != 15))
		return false;
	uint16_t port = irq == 7 ? MASTER_COMMAND : SLAVE_COMMAND;
	irqflags_t f = pic_take();
	io_out8(port, OCW3_READ_IN_SERVICE);
	bool in_service = io_in8(port) & 0x80;
	pic_give(f);
	if (in_service)
		return false;
	if (irq == 15)
		io_out8(MASTER_COMMAND,
			OCW2_SPECIFIC_EOI | CASCADE_LINE); /* the first one saw a real request on its cascade line */
	return true;
}
