/*
 * Between the interrupt entry code, the choice of controller (irqchip.c) and the drivers of each kind. Private to
 * arch/x86_64.
 *
 * Vector = IRQ_VECTOR_BASE + irq for every irq, whatever controller delivers it.
 */
#pragma once

#include "lib/types.h"

#define IRQ_VECTOR_BASE 32
#define IRQ_SPURIOUS 223    /* vector 255: the local APIC's "it was gone when I looked" (SDM 3A 10.9) */
#define IRQ_LAPIC_ERROR 222 /* vector 254 */
#define IRQ_IOAPIC_END 200  /* irqs below may be I/O APIC inputs */
#define IRQ_ISA_LINES 16

/*
 * First thing after an interrupt's registers are saved, interrupts off: acknowledges *irq at its controller. False:
 * spurious, nothing to handle, return from the interrupt. May change *irq: without a local APIC the alarm comes in on
 * the PIT's line, and portable code knows it as IRQ_TIMER. See irqchip_end() in arch/irq.h for when which line gets
 * its EOI.
 */
bool irqchip_ack(unsigned *irq);

/* --- local APIC (apic.c) --- */
/* Enables this CPU's local APIC with all its own sources masked. False: the CPU has none, or it cannot be mapped. */
bool lapic_init(paddr_t base);
/*
 * The same, where the 8259 pair delivers through it: its first local input passes the 8259's interrupts on (SDM 3A
 * 10.1, "virtual wire"). There the address comes from the CPU itself. False: there is none, and the 8259 is wired to
 * the CPU.
 */
bool lapic_init_virtual_wire(void);
bool lapic_present(void);
/* The same for each further CPU, in the boot CPU's mode. */
void lapic_cpu_init(void);
/* Sends an inter-processor interrupt (SDM 3A 10.6.1: delivery mode, level, vector). Interrupts off. */
void lapic_send(uint32_t hardware_id, uint32_t command);
#define LAPIC_COMMAND_FIXED 0x04000u /* | vector */
#define LAPIC_COMMAND_NMI 0x04400u
#define LAPIC_COMMAND_INIT 0x04500u
#define LAPIC_COMMAND_INIT_DONE 0x08500u /* level-triggered, deassert */
#define LAPIC_COMMAND_STARTUP 0x04600u	 /* | page number */
uint32_t lapic_id(void);
void lapic_eoi(void);
/* Local timer as a one-shot counter (divided by 16) or, if the CPU has that (CPUID.1:ECX 24), compared with the TSC. */
void lapic_timer_init(bool tsc_deadline);
void lapic_timer_stop(void); /* until the next init */
void lapic_timer_set(uint32_t count);
uint32_t lapic_timer_count(void);
void lapic_timer_set_tsc(uint64_t tsc);
#define LAPIC_TIMER_DIVIDER 16

/* --- I/O APICs (ioapic.c) --- */
/* Maps one, masks all its inputs. False (and a log line): not usable. */
bool ioapic_add(paddr_t base, uint32_t gsi_base);
bool ioapic_has_gsi(uint32_t gsi);
uint32_t ioapic_gsi_end(void); /* one past the highest input */
/* Points the input at a vector of this CPU; stays masked. */
void ioapic_route(uint32_t gsi, uint8_t vector, bool level, bool active_low);
void ioapic_set_masked(uint32_t gsi, bool masked);

/* --- 8259 pair (pic8259.c) --- */
bool pic_present(void);
/* Remaps both to vectors 32..47 and masks every line. */
void pic_init(void);
void pic_set_masked(unsigned irq, bool masked);
/* The line is latched by level rather than by edge (ELCR). */
bool pic_is_level(unsigned irq);
void pic_eoi(unsigned irq);
/*
 * True: lines 7 and 15 are raised without a cause when a request goes away too early; this was such a one and is dealt
 * with.
 */
bool pic_spurious(unsigned irq);

/*
 * For a clock event that has no vector of its own (PIT, HPET): what comes on ISA line 0 is IRQ_TIMER from here on, and
 * the line is nobody else's. False: there is no such line, or it is taken. Boot CPU, interrupts off.
 */
bool irqchip_take_line0(void);
