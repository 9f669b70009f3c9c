/*
 * Clock sources and clock events: what every counter that can tell the time, and every timer that can ring, looks like
 * to time.c. Private to arch/x86_64.
 */
#pragma once

#include <arch/vdso.h> /* tsc_ordered(), time_scale() */
#include "lib/types.h"

/* A counter of known rate. */
struct clocksource {
	const char *name; /* also the word for clocksource= */
	uint64_t hz;	  /* immutable once start() was true; the TSC's is corrected once, by time_refine() */
	uint64_t mask;	  /* it wraps here; a power of two less one */
	unsigned looks;	  /* within so many reads it has to be seen to change, else it stands still */
	bool by_itself;	  /* keeps counting while nobody looks */
	/* Finds it and sets it going; false: this machine has none. Few accesses, no waiting. Boot CPU,
	 * interrupts off. */
	bool (*start)(struct clocksource *s);
	void (*stop)(void);	/* undoes start(); NULL: nothing to undo */
	uint64_t (*read)(void); /* counts up. Any context, any CPU */
};

/* A timer that raises IRQ_TIMER. */
struct clockevent {
	const char *name; /* also the word for clockevent= */
	uint64_t hz;
	/* Finds it, routes its interrupt, leaves it disarmed; false: not on this machine. Boot CPU, interrupts off. */
	bool (*start)(struct clockevent *e);
	/* On each further CPU, if every CPU has one; NULL: the machine has one. Interrupts off. */
	void (*cpu_start)(void);
	/* As time_alarm_set() (arch/time.h); may ring early, never more than its resolution late. Interrupts off. */
	void (*set)(uint64_t deadline_ns);
};

/* tsc.c */
extern struct clocksource clocksource_tsc;
/* Measures where CPUID is silent. start() of the TSC, and the rate of the APIC timer beside it. */
extern uint64_t tsc_apic_hz; /* of the timer's input, before the divider; 0: not known */

/* clocksources.c */
extern struct clocksource clocksource_acpi_pm, clocksource_pit, clocksource_rtc;
/* It was seen to change within its number of looks. */
bool clocksource_ticks(const struct clocksource *s);

/* hpet.c */
extern struct clocksource clocksource_hpet;
extern struct clockevent clockevent_hpet;

/* clockevents.c; clockevent_pit is in clocksources.c with the rest of the chip */
extern struct clockevent clockevent_tsc_deadline, clockevent_lapic, clockevent_pit;

/* time.c */
/*
 * a * b / c with the product in full; UINT64_MAX where the result does not fit. The compiler would call a library for a
 * 128-bit division.
 */
uint64_t muldiv(uint64_t a, uint64_t b, uint64_t c);
/* Sets the rate at which the TSC is told as time; time goes on from where it is. Interrupts off. */
void clock_set_rate(uint64_t tsc_hz);
/* TSC value at which the clock reads deadline_ns, also where the TSC is not the clock. Interrupts off. */
uint64_t clock_deadline_to_tsc(uint64_t deadline_ns);
bool clock_is_tsc(void);

#define PIT_HZ 1193182
#define LAPIC_VIRTUAL_HZ 1000000000ull /* QEMU's and KVM's local APIC timer, always */
