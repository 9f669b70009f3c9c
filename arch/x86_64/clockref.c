/*
 * The reference clocks. A port that nobody answers reads as all ones, so each candidate must be seen to change before
 * it is believed; all waits are bounded by a number of looks, not by time, since there is no time yet.
 *
 * Rejected: HPET.  It would need a mapping, and every machine that has it has the PM timer too.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include "arch/x86_64/acpi_tables.h"
#include "arch/x86_64/clockref.h"

/* --- ACPI PM timer: 24 or 32 bits at three times the NTSC colour burst (ACPI 6.4 §4.8.2.1) --- */

static uint32_t pm_timer_read(void)
{
	return io_in32(acpi_fadt.pm_timer);
}

static const struct clockref pm_timer = {.name = "ACPI PM timer",
					 .hz = 3579545,
					 .mask = 0xffffff,
					 .refinable = true,
					 .read = pm_timer_read};

/* --- PIT (Intel 8254 data sheet) --- */

#define PIT_CHANNEL0 0x40
#define PIT_CHANNEL2 0x42
#define PIT_CONTROL 0x43
#define PIT_MODE_ONE_SHOT 0x30 /* channel 0, both bytes, mode 0: interrupt on terminal count */
#define PIT_CHANNEL2_RATE 0xb4 /* channel 2, both bytes, mode 2: counts down by one, over and over */
#define PIT_CHANNEL2_LATCH 0x80
#define PORT_SPEAKER 0x61 /* bit 0: channel 2's gate, bit 1: speaker on */

/* Latch, then two reads: three exits. It counts down, so its complement counts up. */
static uint32_t pit_read(void)
{
	io_out8(PIT_CONTROL, PIT_CHANNEL2_LATCH);
	uint8_t lo = io_in8(PIT_CHANNEL2);
	uint8_t hi = io_in8(PIT_CHANNEL2);
	return ~((uint32_t)hi << 8 | lo) & 0xffff;
}

static void pit_channel2_start(void)
{
	io_out8(PORT_SPEAKER, (uint8_t)((io_in8(PORT_SPEAKER) & ~2u) | 1));
	io_out8(PIT_CONTROL, PIT_CHANNEL2_RATE);
	io_out8(PIT_CHANNEL2, 0);
	io_out8(PIT_CHANNEL2, 0);
}

static const struct clockref pit = {.name = "PIT", .hz = PIT_HZ, .mask = 0xffff, .refinable = true, .read = pit_read};

/* Channel 0 set to stop at once answers the read-back of its mode; an absent chip answers all ones. */
bool pit_present(void)
{
	io_out8(PIT_CONTROL, PIT_MODE_ONE_SHOT);
	io_out8(PIT_CONTROL, 0xe2); /* read back the status of channel 0 */
	return (io_in8(PIT_CHANNEL0) & 0x3f) == (PIT_MODE_ONE_SHOT & 0x3f);
}

void pit_alarm_set(uint16_t count)
{
	io_out8(PIT_CONTROL, PIT_MODE_ONE_SHOT); /* stops it until a count is written */
	if (count) {
		io_out8(PIT_CHANNEL0, (uint8_t)count);
		io_out8(PIT_CHANNEL0, (uint8_t)(count >> 8));
	}
}

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

static uint32_t rtc_read(void)
{
	uint8_t c = rtc_reg(0x0c);
	if (c != 0xff && (c & RTC_C_PERIODIC))
		rtc_periods++;
	return rtc_periods;
}

static void rtc_start(void)
{
	rtc_saved_a = rtc_reg(0x0a);
	rtc_saved_b = rtc_reg(0x0b);
	rtc_reg_set(0x0a, (uint8_t)((rtc_saved_a & 0x70) | RTC_RATE_8192));
	rtc_reg_set(0x0b, (uint8_t)(rtc_saved_b | RTC_B_PERIODIC));
	(void)rtc_reg(0x0c);
}

static void rtc_stop(void)
{
	rtc_reg_set(0x0a, rtc_saved_a);
	rtc_reg_set(0x0b, rtc_saved_b);
	(void)rtc_reg(0x0c);
}

static const struct clockref rtc = {.name = "RTC", .hz = 8192, .mask = 0x7fffffff, .read = rtc_read, .stop = rtc_stop};

static bool ticks(const struct clockref *ref, unsigned looks)
{
	uint32_t first = ref->read() & ref->mask;
	for (unsigned i = 0; i < looks; i++) {
		if ((ref->read() & ref->mask) != first)
			return true;
		cpu_relax();
	}
	return false;
}

const struct clockref *clockref_start(void)
{
	if (acpi_fadt.pm_timer && ticks(&pm_timer, 200))
		return &pm_timer;
	pit_channel2_start();
	if (ticks(&pit, 200))
		return &pit;
	if (rtc_reg(0x0d) != 0xff) {
		rtc_start();
		if (ticks(&rtc, 20000))
			return &rtc;
		rtc_stop();
	}
	return NULL;
}
