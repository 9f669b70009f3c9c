/*
 * The clock sources every PC has had: ACPI PM timer, PIT, and the RTC's periodic flag (which only serves to measure
 * others). A port that nobody answers reads as all ones, so each must be seen to change before it is believed; all
 * waits are bounded by a number of looks, not by time, since there is no time yet.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/time.h>
#include "arch/x86_64/acpi_tables.h"
#include "arch/x86_64/clock.h"
#include "arch/x86_64/irqchip.h"

bool clocksource_ticks(const struct clocksource *s)
{
	uint64_t first = s->read() & s->mask;
	for (unsigned i = 0; i < s->looks; i++) {
		if ((s->read() & s->mask) != first)
			return true;
		cpu_relax();
	}
	return false;
}

/* --- ACPI PM timer: 24 or 32 bits at three times the NTSC colour burst (ACPI 6.4 §4.8.2.1) --- */

static uint64_t pm_timer_read(void)
{
	return io_in32(acpi_fadt.pm_timer);
}

static bool pm_timer_start(struct clocksource *s)
{
	(void)s;
	return acpi_fadt.pm_timer != 0;
}

/* Taken as 24 bits also where it has 32: the top bits are not worth a case of their own. */
struct clocksource clocksource_acpi_pm = {.name = "acpi_pm",
					  .hz = 3579545,
					  .mask = 0xffffff,
					  .looks = 200,
					  .by_itself = true,
					  .start = pm_timer_start,
					  .read = pm_timer_read};

/* --- PIT channel 2 (Intel 8254 data sheet) --- */

#define PIT_CHANNEL0 0x40
#define PIT_CHANNEL2 0x42
#define PIT_CONTROL 0x43
#define PIT_MODE_ONE_SHOT 0x30 /* channel 0, both bytes, mode 0: interrupt on terminal count */
#define PIT_CHANNEL2_RATE 0xb4 /* channel 2, both bytes, mode 2: counts down by one, over and over */
#define PIT_CHANNEL2_LATCH 0x80
#define PORT_SPEAKER 0x61 /* bit 0: channel 2's gate, bit 1: speaker on */

static bool pit_busy;
static uint64_t pit_last;

/*
 * Latch, then two reads: three exits, which must not be mixed with another reader's. Who finds one at work (on another
 * CPU, or interrupted by this very NMI) takes the last value read: a clock may stand still, but wait for nobody here.
 * It counts down, so its complement counts up.
 */
static uint64_t pit_read(void)
{
	irqflags_t f = irq_save();
	if (__atomic_test_and_set(&pit_busy, __ATOMIC_ACQUIRE)) {
		irq_restore(f);
		return READ_ONCE(pit_last);
	}
	io_out8(PIT_CONTROL, PIT_CHANNEL2_LATCH);
	uint8_t lo = io_in8(PIT_CHANNEL2);
	uint8_t hi = io_in8(PIT_CHANNEL2);
	uint64_t v = ~((uint32_t)hi << 8 | lo) & 0xffff;
	WRITE_ONCE(pit_last, v);
	__atomic_clear(&pit_busy, __ATOMIC_RELEASE);
	irq_restore(f);
	return v;
}

/* Channel 0 set to stop at once answers the read-back of its mode; an absent chip answers all ones. */
static bool pit_present(void)
{
	static enum { UNKNOWN, ABSENT, PRESENT } state; /* asked once: asking stops an alarm */
	if (state == UNKNOWN) {
		io_out8(PIT_CONTROL, PIT_MODE_ONE_SHOT);
		io_out8(PIT_CONTROL, 0xe2); /* read back the status of channel 0 */
		state = (io_in8(PIT_CHANNEL0) & 0x3f) == (PIT_MODE_ONE_SHOT & 0x3f) ? PRESENT : ABSENT;
	}
	return state == PRESENT;
}

static bool pit_start(struct clocksource *s)
{
	(void)s;
	if (!pit_present())
		return false;
	io_out8(PORT_SPEAKER, (uint8_t)((io_in8(PORT_SPEAKER) & ~2u) | 1));
	io_out8(PIT_CONTROL, PIT_CHANNEL2_RATE);
	io_out8(PIT_CHANNEL2, 0);
	io_out8(PIT_CHANNEL2, 0);
	return true;
}

struct clocksource clocksource_pit = {.name = "pit",
				      .hz = PIT_HZ,
				      .mask = 0xffff,
				      .looks = 200,
				      .by_itself = true,
				      .start = pit_start,
				      .read = pit_read};

/*
 * --- RTC's periodic flag at 8192 Hz (Motorola MC146818): its interrupt line stays masked, register C tells of each
 * period ---
 */

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_RATE_8192 3
#define RTC_B_PERIODIC BIT(6)
#define RTC_C_PERIODIC BIT(6)

static uint32_t rtc_periods;
static uint8_t rtc_saved_a, rtc_saved_b;

static uint8_t rtc_reg(uint8_t reg)
{
	io_out8(RTC_INDEX, reg);
	return io_in8(RTC_DATA);
}

static void rtc_reg_set(uint8_t reg, uint8_t v)
{
	io_out8(RTC_INDEX, reg);
	io_out8(RTC_DATA, v);
}

static uint64_t rtc_read(void)
{
	uint8_t c = rtc_reg(0x0c);
	if (c != 0xff && (c & RTC_C_PERIODIC))
		rtc_periods++;
	return rtc_periods;
}

static bool rtc_start(struct clocksource *s)
{
	(void)s;
	if (rtc_reg(0x0d) == 0xff)
		return false;
	rtc_saved_a = rtc_reg(0x0a);
	rtc_saved_b = rtc_reg(0x0b);
	rtc_reg_set(0x0a, (uint8_t)((rtc_saved_a & 0x70) | RTC_RATE_8192));
	rtc_reg_set(0x0b, (uint8_t)(rtc_saved_b | RTC_B_PERIODIC));
	(void)rtc_reg(0x0c);
	return true;
}

static void rtc_stop(void)
{
	rtc_reg_set(0x0a, rtc_saved_a);
	rtc_reg_set(0x0b, rtc_saved_b);
	(void)rtc_reg(0x0c);
}

struct clocksource clocksource_rtc = {.name = "rtc",
				      .hz = 8192,
				      .mask = 0x7fffffff,
				      .looks = 20000,
				      .start = rtc_start,
				      .stop = rtc_stop,
				      .read = rtc_read};

/* --- PIT channel 0 as an alarm: reaches 55 ms, resolution 838 ns --- */

static bool pit_event_start(struct clockevent *e)
{
	(void)e;
	if (!pit_present() || !irqchip_take_line0())
		return false;
	io_out8(PIT_CONTROL, PIT_MODE_ONE_SHOT);
	return true;
}

static void pit_event_set(uint64_t deadline_ns)
{
	io_out8(PIT_CONTROL, PIT_MODE_ONE_SHOT); /* stops it until a count is written */
	if (deadline_ns == UINT64_MAX)
		return;
	uint64_t now = time_ns();
	uint64_t delta = MIN(deadline_ns > now ? deadline_ns - now : 0, 50 * NSEC_PER_MSEC);
	uint16_t count = (uint16_t)(delta * PIT_HZ / NSEC_PER_SEC + 1);
	io_out8(PIT_CHANNEL0, (uint8_t)count);
	io_out8(PIT_CHANNEL0, (uint8_t)(count >> 8));
}

struct clockevent clockevent_pit = {.name = "pit", .hz = PIT_HZ, .start = pit_event_start, .set = pit_event_set};
