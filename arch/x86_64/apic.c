/*
 * The local APIC of this CPU (SDM 3A chapter 10): acknowledges interrupts and has the timer.
 *
 * Registers are reached through memory (xAPIC) or, when the firmware already switched the CPU over, through MSRs
 * (x2APIC; register at offset n is MSR 0x800 + n/16). The kernel does not switch modes itself: fewer than 255 CPUs
 * need nothing of x2APIC. Every register belongs to the CPU that reads it, so there is nothing to lock; callers keep
 * interrupts off across read-modify-write.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/irq.h>
#include <arch/mmu.h>
#include "arch/x86_64/internal.h"
#include "arch/x86_64/irqchip.h"
#include "core/log.h"

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_X2APIC BIT(10)
#define APIC_BASE_ENABLE BIT(11)
#define APIC_BASE_ADDRESS 0x000ffffffffff000ull
#define MSR_X2APIC 0x800
#define MSR_TSC_DEADLINE 0x6e0

enum lapic_reg {
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_TASK_PRIORITY = 0x80,
	LAPIC_EOI = 0xb0,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_ERROR_STATUS = 0x280,
	LAPIC_COMMAND = 0x300,
	LAPIC_COMMAND_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define LVT_MASKED BIT(16)
#define LVT_TIMER_TSC_DEADLINE (2u << 17)
#define LVT_DELIVER_NMI (4u << 8)
#define LVT_DELIVER_EXTINT (7u << 8)
#define COMMAND_BUSY BIT(12) /* not yet sent */
#define SPURIOUS_ENABLE BIT(8)
#define DIVIDE_BY_16 3

static volatile uint8_t *registers; /* NULL in x2APIC mode */
static bool present;
static bool x2apic;

static uint32_t reg_read(enum lapic_reg reg)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg / 16) : mmio_read32(registers + reg);
}

static void reg_write(enum lapic_reg reg, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg / 16, v);
	else
		mmio_write32(registers + reg, v);
}

bool lapic_present(void)
{
	return present;
}

/* Quiets every source of its own and opens it for the I/O APICs. §10.4.7, §10.5.1 */
static void lapic_setup(void)
{
	unsigned max_lvt = reg_read(LAPIC_VERSION) >> 16 & 0xff;
	reg_write(LAPIC_TASK_PRIORITY, 0);
	reg_write(LAPIC_SPURIOUS, SPURIOUS_ENABLE | (IRQ_VECTOR_BASE + IRQ_SPURIOUS));
	reg_write(LAPIC_LVT_TIMER, LVT_MASKED | (IRQ_VECTOR_BASE + IRQ_TIMER));
	reg_write(LAPIC_LVT_LINT0, LVT_MASKED); /* the 8259's way in, unused from here on */
	reg_write(LAPIC_LVT_LINT1, LVT_DELIVER_NMI);
	if (max_lvt >= 3)
		reg_write(LAPIC_LVT_ERROR, LVT_MASKED | (IRQ_VECTOR_BASE + IRQ_LAPIC_ERROR));
	if (max_lvt >= 4)
		reg_write(LAPIC_LVT_PERF, LVT_MASKED);
	if (max_lvt >= 5)
		reg_write(LAPIC_LVT_THERMAL, LVT_MASKED);
	reg_write(LAPIC_ERROR_STATUS, 0);
	reg_write(LAPIC_EOI, 0); /* whatever the firmware left in service */
}

bool lapic_init(paddr_t base)
{
	if (!(cpuid(1, 0).edx & BIT(9)))
		return false;
	uint64_t msr = rdmsr(MSR_APIC_BASE);
	if (!(msr & APIC_BASE_ENABLE)) {
		msr |= APIC_BASE_ENABLE;
		wrmsr(MSR_APIC_BASE, msr);
	}
	x2apic = msr & APIC_BASE_X2APIC;
	if (!x2apic && !registers) {
		if (!base.v || !IS_ALIGNED(base.v, PAGE_SIZE) || !arch_map_device)
			return false;
		registers = arch_map_device(base, PAGE_SIZE);
		if (!registers) {
			log_warn("irq: local APIC at %#llx cannot be mapped", (unsigned long long)base.v);
			return false;
		}
	}
	lapic_setup();
	present = true;
	return true;
}

void lapic_cpu_init(void)
{
	uint64_t msr = rdmsr(MSR_APIC_BASE);
	uint64_t want = APIC_BASE_ENABLE | (x2apic ? APIC_BASE_X2APIC : 0);
	if ((msr & want) != want) {
		wrmsr(MSR_APIC_BASE, msr | APIC_BASE_ENABLE); /* one step after the other: figure 10-27 */
		wrmsr(MSR_APIC_BASE, msr | want);
	}
	lapic_setup();
}

void lapic_send(uint32_t hardware_id, uint32_t command)
{
	if (x2apic) {
		/* The MSR write is no barrier for the stores before it (SDM 3A 10.12.3), which the receiver is
		 * to see. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		wrmsr(MSR_X2APIC + LAPIC_COMMAND / 16, (uint64_t)hardware_id << 32 | command);
		return;
	}
	while (reg_read(LAPIC_COMMAND) & COMMAND_BUSY)
		cpu_relax();
	reg_write(LAPIC_COMMAND_HIGH, hardware_id << 24);
	reg_write(LAPIC_COMMAND, command);
}

bool lapic_init_virtual_wire(void)
{
	if (!(cpuid(1, 0).edx & BIT(9)) || !lapic_init(paddr(rdmsr(MSR_APIC_BASE) & APIC_BASE_ADDRESS)))
		return false;
	reg_write(LAPIC_LVT_LINT0, LVT_DELIVER_EXTINT);
	return true;
}

uint32_t lapic_id(void)
{
	return x2apic ? reg_read(LAPIC_ID) : reg_read(LAPIC_ID) >> 24;
}

void lapic_eoi(void)
{
	reg_write(LAPIC_EOI, 0);
}

void lapic_timer_init(bool tsc_deadline)
{
	uint32_t lvt = IRQ_VECTOR_BASE + IRQ_TIMER;
	if (tsc_deadline) {
		reg_write(LAPIC_LVT_TIMER, lvt | LVT_TIMER_TSC_DEADLINE);
		/* The mode change is a store, the deadline an MSR write: §10.5.4.1 orders them so. */
		__asm__ volatile("mfence" : : : "memory");
		wrmsr(MSR_TSC_DEADLINE, 0);
	} else {
		reg_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
		reg_write(LAPIC_LVT_TIMER, lvt);
		reg_write(LAPIC_TIMER_INITIAL, 0);
	}
}

void lapic_timer_stop(void)
{
	reg_write(LAPIC_LVT_TIMER, LVT_MASKED | (IRQ_VECTOR_BASE + IRQ_TIMER));
	reg_write(LAPIC_TIMER_INITIAL, 0);
}

void lapic_timer_set(uint32_t count)
{
	reg_write(LAPIC_TIMER_INITIAL, count);
}

uint32_t lapic_timer_count(void)
{
	return reg_read(LAPIC_TIMER_CURRENT);
}

void lapic_timer_set_tsc(uint64_t tsc)
{
	wrmsr(MSR_TSC_DEADLINE, tsc);
}
