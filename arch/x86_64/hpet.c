/*
 * HPET: a counter of at least 10 MHz with comparators (IA-PC HPET specification 1.0a), found by its ACPI table.
 *
 * As a clock its main counter is read, all 64 bits of it where it has them. As an alarm comparator 0 is used in the
 * legacy replacement route, where it takes the place of the PIT on line 0: the one route every board has, whichever
 * interrupt controller is in charge. (Comparator 1 then has the RTC's line 8, and stays silent: nobody here wants RTC
 * interrupts.)
 *
 * The counter keeps running while a comparator is set, so a deadline may have passed before the write arrives, and the
 * comparison is for equality: the next match would be a whole wrap away. Hence the counter is read back, and a deadline
 * that was missed is set again a little later.
 */
#include <arch/acpi.h>
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/mmu.h>
#include <arch/time.h>
#include "arch/x86_64/acpi_tables.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/irqchip.h"
#include "lib/string.h"

struct acpi_hpet {
	struct acpi_header header;
	uint32_t event_timer_block;
	struct acpi_gas address;
	uint8_t number;
	uint16_t minimum_tick;
	uint8_t page_protection;
} packed_struct;
_Static_assert(sizeof(struct acpi_hpet) == 56, "HPET 1.0a §3.2.4");

#define REG_CAPABILITIES 0x000 /* period in fs in the high half */
#define REG_CONFIG 0x010
#define REG_COUNTER 0x0f0
#define REG_TIMER0_CONFIG 0x100
#define REG_TIMER0_COMPARATOR 0x108
#define REGISTERS_BYTES 0x400

#define CAP_64BIT BIT(13)
#define CAP_LEGACY_ROUTE BIT(15)
#define CONFIG_ENABLE BIT(0)
#define CONFIG_LEGACY_ROUTE BIT(1)
#define TIMER_INTERRUPT BIT(2)
#define TIMER_LEVEL BIT(1)
#define TIMER_PERIODIC BIT(3)
#define TIMER_32BIT BIT(8)
#define TIMER_MESSAGE BIT(14)
#define PERIOD_FS_MAX 100000000u
#define FS_PER_SEC 1000000000000000ull
#define NEAREST_NS 2000 /* a deadline closer than this could pass while it is set */

static volatile uint8_t *registers;
static uint64_t counter_mask;
static uint64_t ticks_per_ns; /* times 2^32 */

static uint64_t reg_read(unsigned reg)
{
	return mmio_read64(registers + reg);
}

static void reg_write(unsigned reg, uint64_t v)
{
	mmio_write64(registers + reg, v);
}

static uint64_t hpet_read(void)
{
	return reg_read(REG_COUNTER);
}

static bool hpet_start(struct clocksource *s)
{
	const struct acpi_hpet *t = acpi_table("HPET");
	if (s->hz)
		return true;
	if (!t || t->header.length < sizeof(*t) || t->address.space != ACPI_SPACE_MEMORY || !t->address.address ||
	    !IS_ALIGNED(t->address.address, 8) || !arch_map_device)
		return false;
	registers = arch_map_device(paddr(t->address.address), REGISTERS_BYTES);
	if (!registers)
		return false;
	uint64_t capabilities = reg_read(REG_CAPABILITIES);
	uint32_t period_fs = (uint32_t)(capabilities >> 32);
	if (period_fs == 0 || period_fs > PERIOD_FS_MAX)
		return false; /* nobody there: all ones */
	reg_write(REG_TIMER0_CONFIG, reg_read(REG_TIMER0_CONFIG) & ~(TIMER_INTERRUPT | TIMER_PERIODIC));
	reg_write(REG_CONFIG, CONFIG_ENABLE);
	counter_mask = capabilities & CAP_64BIT ? UINT64_MAX : UINT32_MAX;
	s->mask = counter_mask;
	s->hz = FS_PER_SEC / period_fs;
	return true;
}

struct clocksource clocksource_hpet = {.name = "hpet",
				       .looks = 200,
				       .by_itself = true,
				       .start = hpet_start,
				       .read = hpet_read};

static bool event_start(struct clockevent *e)
{
	if (!hpet_start(&clocksource_hpet) || !(reg_read(REG_CAPABILITIES) & CAP_LEGACY_ROUTE) || !irqchip_take_line0())
		return false;
	e->hz = clocksource_hpet.hz;
	ticks_per_ns = muldiv(e->hz, 1ull << 32, NSEC_PER_SEC);
	/* Edge, one shot, not as a message; 32 bits only where the counter has no more. */
	uint64_t timer = reg_read(REG_TIMER0_CONFIG);
	timer &= ~(TIMER_INTERRUPT | TIMER_LEVEL | TIMER_PERIODIC | TIMER_32BIT | TIMER_MESSAGE);
	reg_write(REG_TIMER0_CONFIG, timer);
	reg_write(REG_CONFIG, CONFIG_ENABLE | CONFIG_LEGACY_ROUTE);
	return true;
}

static void event_set(uint64_t deadline_ns)
{
	uint64_t timer = reg_read(REG_TIMER0_CONFIG);
	if (deadline_ns == UINT64_MAX) {
		reg_write(REG_TIMER0_CONFIG, timer & ~TIMER_INTERRUPT);
		return;
	}
	uint64_t now = time_ns();
	uint64_t delta = deadline_ns > now ? MIN(deadline_ns - now, 10 * NSEC_PER_SEC) : 0;
	uint64_t ticks = time_scale(MAX(delta, (uint64_t)NEAREST_NS), ticks_per_ns) + 1;
	reg_write(REG_TIMER0_CONFIG, timer | TIMER_INTERRUPT);
	for (;; ticks *= 2) {
		uint64_t start = hpet_read();
		reg_write(REG_TIMER0_COMPARATOR, (start + ticks) & counter_mask);
		if (((hpet_read() - start) & counter_mask) < ticks)
			return;
	}
}

struct clockevent clockevent_hpet = {.name = "hpet", .start = event_start, .set = event_set};
