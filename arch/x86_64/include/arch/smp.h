/*
 * Further processors: which there are, starting them, and interrupting them.  Theory in arch/x86_64/smp.c; who starts
 * them is core/smp.c.
 */
#pragma once

#include <arch/cpu.h>
#include "lib/types.h"

/* Hardware ids of the CPUs the firmware lists besides this one, in its order; returns how many, writes at most max. */
unsigned smp_list(uint32_t *hardware_ids, unsigned max);

/* The memory one CPU's area takes. */
size_t smp_area_bytes(void);
/*
 * Prepares CPU `id`: its area (zeroed, cache-line aligned, never freed once the CPU was kicked off) becomes cpus[id],
 * and stack_top is what it starts on, its idle thread's stack. Boot CPU, thread context.
 */
void smp_prepare(unsigned id, uint32_t hardware_id, void *area, void *stack_top);
/*
 * Starts the prepared CPUs of the mask, all at once, and waits until they have arrived, for 2 s at most. Returns those
 * that are up: each runs kernel_secondary_start() from there, and has set its bit in cpus_online_mask. The others will
 * never run. Boot CPU, thread context.
 */
uint64_t smp_start(uint64_t mask);
/* Why this CPU is not up, for the log. */
const char *smp_failure(unsigned id);
/* Called by a CPU that is ready to take interrupts and calls: makes it visible to the others. Interrupts off. */
void smp_online(void);

/* Raises IRQ_RESCHEDULE or IRQ_CALL on another CPU. Interrupts off. */
void smp_interrupt(unsigned cpu, unsigned irq);
/*
 * For a panic: stops all others wherever they are, also with interrupts off, by NMI; each leaves its frame pointer and
 * place for a backtrace. Waits for them, but not for long.
 */
void smp_stop_others(void);
/* Where a CPU stopped so was, false if it did not stop. */
bool smp_stopped_place(unsigned cpu, uint64_t *ip, uint64_t *fp);
