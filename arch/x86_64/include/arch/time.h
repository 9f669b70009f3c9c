/*
 * The machine's clock and its alarm.  sched/clock.h and sched/timer.h stand on these.
 */
#pragma once

#include "lib/types.h"

/* Calibrates; needs irqchip_init() done. */
void time_init(void);
/* Whether every CPU has an alarm of its own: else there can be no further CPUs. */
bool time_alarm_is_per_cpu(void);
/* On each further CPU: its own alarm, not set. Interrupts off. */
void time_cpu_init(void);
/* Nanoseconds since boot, monotonic, never goes back also across CPUs. Any context. */
uint64_t time_ns(void);
/* What was chosen, at which rate and over what else: "tsc 2995.200 MHz (rather than hpet 100.000 MHz)". Static text. */
const char *time_source_name(void);
const char *time_alarm_name(void);
uint64_t time_tsc_khz(void);
/*
 * One interrupt (IRQ_TIMER) at or after deadline_ns on this CPU; a later call replaces it; UINT64_MAX disarms.
 * Interrupts off. A deadline beyond what the hardware counts to (68 s, or 55 ms where the PIT has to do it) gives an
 * early interrupt: look at the time and set the alarm again. Also with UINT64_MAX an interrupt may come where the clock
 * needs one to be looked at before its counter wraps; then too, set the alarm again.
 */
void time_alarm_set(uint64_t deadline_ns);
/*
 * Once, about a second after time_init(): measures the clock's rate again over that long time and corrects it, without
 * a jump. Any context; costs a few microseconds, waits for nothing.
 */
void time_refine(void);
/* Busy wait, for device timing. */
void time_delay_us(unsigned us);
