/*
 * I/O APICs (Intel 82093AA data sheet): each turns its inputs into messages to a local APIC.
 *
 * A controller has two registers in memory, an index and a window, so an access is two writes that must not be
 * interleaved: registers_lock (a plain test-and-set with interrupts off; arch stands below sync/ and has no spinlock)
 * guards them. The low half of each redirection entry is remembered, so that masking is one write and no read.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/mmu.h>
#include "arch/x86_64/irqchip.h"
#include "core/log.h"

#define IOAPICS_MAX 8
#define INPUTS_MAX 240

#define REG_VERSION 0x01
#define REG_REDIRECTION(input) (0x10 + 2 * (input)) /* low half; the high half is the next one */
#define WINDOW_OFFSET 0x10

#define ENTRY_ACTIVE_LOW BIT(13)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_MASKED BIT(16)

struct ioapic {
	volatile uint8_t *registers;
	uint32_t gsi_base, inputs;
	uint32_t low[INPUTS_MAX]; /* what the low half of each entry holds; L */
};

static struct ioapic ioapics[IOAPICS_MAX]; /* immutable after init but for low[] */
static unsigned ioapic_count;
static bool registers_lock;

static irqflags_t registers_take(void)
{
	irqflags_t f = irq_save();
	while (__atomic_test_and_set(&registers_lock, __ATOMIC_ACQUIRE))
		cpu_relax();
	return f;
}

static void registers_give(irqflags_t f)
{
	__atomic_clear(&registers_lock, __ATOMIC_RELEASE);
	irq_restore(f);
}

static uint32_t reg_read_locked(struct ioapic *io, unsigned reg)
{
	mmio_write32(io->registers, reg);
	return mmio_read32(io->registers + WINDOW_OFFSET);
}

static void reg_write_locked(struct ioapic *io, unsigned reg, uint32_t v)
{
	mmio_write32(io->registers, reg);
	mmio_write32(io->registers + WINDOW_OFFSET, v);
}

static struct ioapic *ioapic_of(uint32_t gsi)
{
	for (unsigned i = 0; i < ioapic_count; i++)
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].inputs)
			return &ioapics[i];
	return NULL;
}

bool ioapic_has_gsi(uint32_t gsi)
{
	return ioapic_of(gsi) != NULL;
}

uint32_t ioapic_gsi_end(void)
{
	uint32_t end = 0;
	for (unsigned i = 0; i < ioapic_count; i++)
		end = MAX(end, ioapics[i].gsi_base + ioapics[i].inputs);
	return end;
}

bool ioapic_add(paddr_t base, uint32_t gsi_base)
{
	if (ioapic_count == IOAPICS_MAX || gsi_base > UINT32_MAX - INPUTS_MAX || ioapic_has_gsi(gsi_base) ||
	    !arch_map_device) {
		log_warn("irq: I/O APIC at %#llx for inputs from %u ignored", (unsigned long long)base.v, gsi_base);
		return false;
	}
	struct ioapic *io = &ioapics[ioapic_count];
	io->registers = base.v ? arch_map_device(base, WINDOW_OFFSET + 4) : NULL;
	if (!io->registers)
		return false;

	irqflags_t f = registers_take();
	uint32_t version = reg_read_locked(io, REG_VERSION);
	uint32_t inputs = (version >> 16 & 0xff) + 1;
	bool sane = version != UINT32_MAX && inputs <= INPUTS_MAX;
	for (uint32_t i = 0; sane && i < inputs; i++) {
		io->low[i] = ENTRY_MASKED;
		reg_write_locked(io, REG_REDIRECTION(i), ENTRY_MASKED);
	}
	registers_give(f);
	if (!sane) {
		log_warn("irq: nothing answers as an I/O APIC at %#llx", (unsigned long long)base.v);
		return false;
	}
	io->gsi_base = gsi_base;
	io->inputs = inputs;
	ioapic_count++;
	return true;
}

void ioapic_route(uint32_t gsi, uint8_t vector, bool level, bool active_low)
{
	struct ioapic *io = ioapic_of(gsi);
	if (!io)
		return;
	unsigned input = gsi - io->gsi_base;
	uint32_t low = vector | (level ? ENTRY_LEVEL : 0) | (active_low ? ENTRY_ACTIVE_LOW : 0);
	irqflags_t f = registers_take();
	uint32_t masked = io->low[input] & ENTRY_MASKED;
	reg_write_locked(io, REG_REDIRECTION(input), ENTRY_MASKED); /* no half-changed entry is ever open */
	reg_write_locked(io, REG_REDIRECTION(input) + 1, lapic_id() << 24);
	io->low[input] = low | masked;
	reg_write_locked(io, REG_REDIRECTION(input), io->low[input]);
	registers_give(f);
}

void ioapic_set_masked(uint32_t gsi, bool masked)
{
	struct ioapic *io = ioapic_of(gsi);
	if (!io)
		return;
	unsigned input = gsi - io->gsi_base;
	irqflags_t f = registers_take();
	io->low[input] = masked ? io->low[input] | (uint32_t)ENTRY_MASKED : io->low[input] & ~(uint32_t)ENTRY_MASKED;
	reg_write_locked(io, REG_REDIRECTION(input), io->low[input]);
	registers_give(f);
}
