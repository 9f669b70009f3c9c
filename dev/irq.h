/*
 * Interrupt handlers: who gets called for which line, and how often it happened.
 */
#pragma once

#include <arch/irq.h>
#include "lib/types.h"

struct irq_action {
	struct irq_action *next; /* irq.c's */
	void (*fn)(void *arg);	 /* interrupt context, interrupts off */
	void *arg;
	const char *name;
};

/*
 * Adds a handler (lines may be shared) and enables the line. `a` is caller's storage until irq_unregister. Thread
 * context. -EINVAL.
 */
int irq_register(unsigned irq, struct irq_action *a) must_check;
void irq_unregister(unsigned irq, struct irq_action *a);
/*
 * Called by the interrupt door. Counts; an interrupt nobody handles is counted as spurious and its line masked after
 * many.
 */
void irq_dispatch(unsigned irq);
/* The timer and IPI doors count here too. */
void irq_count(unsigned irq);
uint64_t irq_count_get(unsigned irq, unsigned cpu);
uint64_t irq_count_total(void);
/* Room for a further CPU's counts, before it takes any interrupt. -ENOMEM. Thread context. */
int irq_cpu_prepare(unsigned cpu) must_check;
/* /proc/interrupts's text. Returns bytes it would need. */
size_t irq_table_print(char *buf, size_t len);
