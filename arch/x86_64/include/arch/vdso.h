/*
 * What the kernel shows to every program of itself: the vDSO, a shared object of functions that need no system call,
 * and the page of numbers these read.  Theory in arch/x86_64/vdso/vdso.c; proc/vdso.c maps both.
 *
 * Included by the kernel and by the vDSO's own code: the arithmetic of the clock is here so that both have the same.
 */
#pragma once

#include "lib/seqcount.h"
#include "lib/types.h"

/*
 * A page of its own, writable in the kernel, readable in programs (x86_64/time.c says how it tells time). Changed with
 * interrupts off by one CPU at a time.
 */
struct time_page {
	struct seqcount seq; /* odd for good where the TSC is not the clock */
	uint64_t base_tsc, base_ns;
	uint64_t ns_per_tick;	 /* times 2^32 */
	uint64_t ticks_per_ns;	 /* times 2^32 */
	uint64_t wall_offset_ns; /* from monotonic time to the wall clock's; not under seq: one word */
};

/* Kernel only. */
extern struct time_page time_page;
paddr_t time_page_paddr(void);
/* The vDSO as an ELF file, in read-only data; page aligned. */
extern const char vdso_image[], vdso_image_end[];

static always_inline uint64_t time_scale(uint64_t v, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)v * factor >> 32);
}

/* LFENCE keeps the CPU from reading it early (SDM 2B RDTSC). */
static always_inline uint64_t tsc_ordered(void)
{
	uint32_t lo, hi;
	__asm__ volatile("lfence\n\trdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* Monotonic time by the TSC; false: the page was being changed, or the TSC is not the clock. */
static always_inline bool time_page_read(const struct time_page *p, uint64_t *ns)
{
	uint32_t begun = seqcount_read_begin(&p->seq);
	uint64_t ticks = tsc_ordered() - READ_ONCE(p->base_tsc);
	/* A TSC a little behind base_tsc (another CPU's, just after a refinement) counts as equal. */
	if (unlikely((int64_t)ticks < 0))
		ticks = 0;
	*ns = READ_ONCE(p->base_ns) + time_scale(ticks, READ_ONCE(p->ns_per_tick));
	return likely(!seqcount_read_retry(&p->seq, begun));
}

/*
 * Where a program finds the number of its CPU: the limit of a segment nobody uses, which LSL reads in any mode. Low 12
 * bits: CPU; the others: node, which there is one of. RDTSCP and RDPID give the same word.
 */
#define CPU_NUMBER_SELECTOR 0x53
#define CPU_NUMBER_MASK 0xfffu
