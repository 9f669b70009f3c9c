/*
 * The PC's real-time clock (Motorola MC146818): read once at boot to set the wall clock. UTC, as every virtual machine
 * and most servers have it.
 *
 * The chip shows its registers while it advances them, so a reading counts only if the update flag was clear before it
 * and a second reading says the same. All waits are bounded; a chip that is absent (all ones) or talks nonsense leaves
 * the wall clock at 1970 with a log line.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include "core/log.h"
#include "dev/char/rtc_cmos.h"
#include "dev/tty.h"
#include "sched/clock.h"

#define PORT_INDEX 0x70
#define PORT_DATA 0x71
#define REG_A 0x0a
#define REG_A_UPDATING BIT(7)
#define REG_B 0x0b
#define REG_B_24_HOURS BIT(1)
#define REG_B_BINARY BIT(2)
#define REG_D 0x0d
#define REG_CENTURY 0x32 /* where the FADT of every PC says it is */
#define HOUR_PM BIT(7)
#define UPDATE_LOOKS 20000 /* an update takes up to 2.2 ms; a port read about 1 us */
#define READ_TRIES 4

static uint8_t rtc_reg(uint8_t reg)
{
	io_out8(PORT_INDEX, reg);
	return io_in8(PORT_DATA);
}

static unsigned from_bcd(unsigned v)
{
	return (v >> 4) * 10 + (v & 15);
}

static bool is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Days before a year's first day since 1970-01-01, by counting the leap days of all years before. */
static uint64_t days_before_year(unsigned year)
{
	unsigned y = year - 1;
	return (year - 1970) * 365ull + (y / 4 - y / 100 + y / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400);
}

int64_t rtc_decode(const struct rtc_fields *raw, bool binary, bool hours24)
{
	static const uint16_t days_before_month[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
	struct rtc_fields f = *raw;
	bool pm = !hours24 && (f.hour & HOUR_PM);
	f.hour &= hours24 ? 0xff : 0x7f;
	if (!binary) {
		f.second = (uint8_t)from_bcd(f.second);
		f.minute = (uint8_t)from_bcd(f.minute);
		f.hour = (uint8_t)from_bcd(f.hour);
		f.day = (uint8_t)from_bcd(f.day);
		f.month = (uint8_t)from_bcd(f.month);
		f.year = (uint8_t)from_bcd(f.year);
		f.century = (uint8_t)from_bcd(f.century);
	}
	if (!hours24) {
		if (f.hour < 1 || f.hour > 12)
			return -1;
		f.hour = (uint8_t)(f.hour % 12 + (pm ? 12 : 0));
	}
	if (f.second > 59 || f.minute > 59 || f.hour > 23 || f.day < 1 || f.day > 31 || f.month < 1 || f.month > 12 ||
	    f.year > 99)
		return -1;
	/* Boards without the century register have anything there. */
	unsigned century = f.century >= 19 && f.century <= 29 ? f.century : f.year < 70 ? 20 : 19;
	unsigned year = century * 100 + f.year;
	if (year < 1970)
		return -1;
	uint64_t days = days_before_year(year) + days_before_month[f.month - 1] + f.day - 1u +
		(f.month > 2 && is_leap(year));
	return (int64_t)(days * 86400 + f.hour * 3600u + f.minute * 60u + f.second);
}

static bool wait_no_update(void)
{
	for (unsigned i = 0; i < UPDATE_LOOKS; i++) {
		if (!(rtc_reg(REG_A) & REG_A_UPDATING))
			return true;
		cpu_relax();
	}
	return false;
}

static struct rtc_fields fields_read(void)
{
	return (struct rtc_fields){.second = rtc_reg(0),
				   .minute = rtc_reg(2),
				   .hour = rtc_reg(4),
				   .day = rtc_reg(7),
				   .month = rtc_reg(8),
				   .year = rtc_reg(9),
				   .century = rtc_reg(REG_CENTURY)};
}

static bool fields_same(const struct rtc_fields *a, const struct rtc_fields *b)
{
	return a->second == b->second && a->minute == b->minute && a->hour == b->hour && a->day == b->day &&
		a->month == b->month && a->year == b->year && a->century == b->century;
}

void rtc_init(void)
{
	if (rtc_reg(REG_D) == 0xff && rtc_reg(REG_A) == 0xff) {
		log_info("rtc: none; the wall clock starts at 1970");
		return;
	}
	for (unsigned i = 0; i < READ_TRIES && wait_no_update(); i++) {
		struct rtc_fields a = fields_read(), b = fields_read();
		if (!fields_same(&a, &b))
			continue;
		uint8_t mode = rtc_reg(REG_B);
		int64_t seconds = rtc_decode(&a, mode & REG_B_BINARY, mode & REG_B_24_HOURS);
		if (seconds < 0)
			break;
		clock_realtime_set((uint64_t)seconds * NSEC_PER_SEC);
		log_info("rtc: %llu seconds since 1970", (unsigned long long)seconds);
		return;
	}
	log_warn("rtc: shows no valid time; the wall clock starts at 1970");
}
