/*
 * Reference clocks: counters of known rate, against which the TSC and the local APIC timer are measured. Private to
 * arch/x86_64.
 */
#pragma once

#include "lib/types.h"

struct clockref {
	const char *name;
	uint64_t hz;
	uint32_t mask;		/* the counter wraps here; always a power of two less one */
	bool refinable;		/* keeps counting by itself, so a second look after a second makes sense */
	uint32_t (*read)(void); /* counts up */
	void (*stop)(void);	/* NULL: nothing to undo */
};

/*
 * Starts and returns the best reference the machine has (ACPI PM timer, PIT channel 2, RTC), seen to tick; NULL: none.
 */
const struct clockref *clockref_start(void);

/* PIT channel 0 as an alarm (pit.c): one interrupt on line 0 after count/1193182 s; 0 disarms. */
#define PIT_HZ 1193182
bool pit_present(void);
void pit_alarm_set(uint16_t count);
