/*
 * Interrupt controllers: local APIC + I/O APIC where ACPI lists them, the 8259 pair elsewhere. An `irq` is a small
 * dense number: 0..15 are the ISA lines whatever controller serves them, higher ones further I/O APIC inputs,
 * IRQ_TIMER the local timer. dev/irq.h keeps handlers; this only routes.
 */
#pragma once

#include "lib/types.h"

#define IRQS_MAX 224
#define IRQ_TIMER 200	   /* local timer of this CPU */
#define IRQ_RESCHEDULE 201 /* another CPU asks this one to look at its work bits */
#define IRQ_CALL 202	   /* another CPU asks this one to run a function: sync/smp_call.h */

/* Finds and sets up the controllers. After boot info and kernel mappings. Never fails: falls back to the 8259. */
void irqchip_init(void);
/* On each further CPU: its own part of them. Interrupts off. */
void irqchip_cpu_init(void);
/* "I/O APIC" or "8259", for the log. */
const char *irqchip_name(void);
/* Which input of which controller, for /proc/interrupts and as Linux names them: " IO-APIC   1-edge    ". */
void irqchip_describe(unsigned irq, char *buf, size_t len);
/* Of the controller: interrupts that were gone when it was asked (on that CPU), and errors of its own. */
uint64_t irqchip_spurious_count(unsigned cpu);
uint64_t irqchip_error_count(void);
/* What else comes from outside, to that CPU. */
uint64_t irqchip_nmi_count(unsigned cpu);
uint64_t irqchip_machine_check_count(unsigned cpu);
/* Unmask / mask a line. Any context. -EINVAL for a line nobody has. */
int irqchip_enable(unsigned irq) must_check;
void irqchip_disable(unsigned irq);
/*
 * After the handlers of irq ran and their devices are quiet, interrupts still off, before anything may switch threads:
 * ends a level-triggered interrupt at its controller (edge-triggered ones were ended before the handlers; then this
 * does nothing). The dispatcher's duty.
 */
void irqchip_end(unsigned irq);
/*
 * For buses that know better than the default (ISA lines: edge, active high, or as ACPI says; others: level, active
 * low). While the line is masked. -EINVAL where the controller has no choice or no such line.
 */
int irqchip_configure(unsigned irq, bool level, bool active_low) must_check;

/*
 * Message-signalled interrupts: the device writes `data` to `address` and this CPU gets the irq. Edge-triggered, never
 * shared; there is no line to mask, so irqchip_disable() does nothing and the device has to be told (dev/bus/msi.h).
 */
struct irq_message {
	uint64_t address;
	uint32_t data;
};
/* Any context. -ENODEV: no local APIC; -ENOSPC: all numbers are taken. */
int irqchip_alloc_msi(unsigned *irq, struct irq_message *message) must_check;
/* After the device was silenced and the handlers are gone. */
void irqchip_free_msi(unsigned irq);
