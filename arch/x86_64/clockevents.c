/*
 * The local APIC timer as an alarm: compared with the TSC where the CPU can do that, else as a counter.  Each CPU has
 * its own, so these come before the timers that the machine has once.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "arch/x86_64/clock.h"
#include "arch/x86_64/internal.h"
#include "arch/x86_64/irqchip.h"

static bool tsc_deadline_start(struct clockevent *e)
{
	if (!lapic_present() || !(cpuid(1, 0).ecx & BIT(24)) || !clocksource_tsc.hz)
		return false;
	e->hz = clocksource_tsc.hz;
	lapic_timer_init(true);
	return true;
}

static void tsc_deadline_cpu_start(void)
{
	lapic_timer_init(true);
}

static void tsc_deadline_set(uint64_t deadline_ns)
{
	lapic_timer_set_tsc(deadline_ns == UINT64_MAX ? 0 : clock_deadline_to_tsc(deadline_ns));
}

struct clockevent clockevent_tsc_deadline = {.name = "tsc-deadline",
					     .start = tsc_deadline_start,
					     .cpu_start = tsc_deadline_cpu_start,
					     .set = tsc_deadline_set};

static uint64_t ticks_per_ns; /* of the counter, times 2^32 */

static bool lapic_start(struct clockevent *e)
{
	if (!lapic_present())
		return false;
	e->hz = (tsc_apic_hz ? tsc_apic_hz : LAPIC_VIRTUAL_HZ) / LAPIC_TIMER_DIVIDER;
	ticks_per_ns = muldiv(e->hz, 1ull << 32, NSEC_PER_SEC);
	lapic_timer_init(false);
	return true;
}

static void lapic_cpu_start(void)
{
	lapic_timer_init(false);
}

static void lapic_set(uint64_t deadline_ns)
{
	if (deadline_ns == UINT64_MAX) {
		lapic_timer_set(0);
		return;
	}
	uint64_t now = time_ns();
	uint64_t delta = deadline_ns > now ? deadline_ns - now : 0;
	uint64_t ticks = time_scale(MIN(delta, 60 * NSEC_PER_SEC), ticks_per_ns) + 1;
	lapic_timer_set((uint32_t)MIN(ticks, (uint64_t)UINT32_MAX));
}

struct clockevent clockevent_lapic = {.name = "lapic",
				      .start = lapic_start,
				      .cpu_start = lapic_cpu_start,
				      .set = lapic_set};
