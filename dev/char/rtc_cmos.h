/* The pure part of the RTC driver, for tests. */
#pragma once

#include "lib/types.h"

struct rtc_fields {
	uint8_t second, minute, hour, day, month, year,
		century; /* as the chip has them: BCD or binary, 12 or 24 hours */
};

/* Seconds since 1970, or -1 when the fields are no date. */
int64_t rtc_decode(const struct rtc_fields *raw, bool binary, bool hours24);
