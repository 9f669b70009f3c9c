/*
 * The processor this code runs on: its per-CPU area, its interrupt flag, and waiting.
 *
 * struct cpu is reached through GS in the kernel.  The fields above `arch` are portable and named the same on every
 * architecture.  A CPU's fields are only touched by that CPU with interrupts off, unless said otherwise.
 */
#pragma once

#include <arch/layout.h>
#include "lib/types.h"

#define ARCH_NAME "x86_64" /* as uname(2) says it */
#define CPUS_MAX 64
#define CACHE_LINE 64

struct thread;
struct trap_frame;

typedef struct {
	uint64_t v;
} irqflags_t;

struct cpu {
	struct cpu *self;	/* GS:0 */
	struct thread *current; /* the thread that runs here; changed only by the context switch */
	uint64_t kernel_sp;	/* top of current's kernel stack: where SYSCALL enters */
	uint64_t user_sp_save;	/* SYSCALL entry's scratch */
	uint32_t id;		/* dense index, 0 is the boot CPU */
	uint32_t hardware_id;	/* local APIC id / MPIDR */
	bool online;
	uint16_t irq_depth;	  /* nesting of interrupt handlers: 0 = thread context */
	struct thread *fpu_owner; /* whose FP state the registers hold; NULL = nobody's */
	struct mmu_context *mmu;  /* whose page tables are loaded; NULL: the kernel's own. mm/tlb.c's */
	bool mmu_lazy;		  /* they are left over: a kernel thread runs. mm/tlb.c's */
} aligned_to(CACHE_LINE);

extern struct cpu *cpus[CPUS_MAX]; /* NULL where there is none; immutable once online */
extern uint32_t cpus_online;	   /* how many entries are online; grows only */
extern uint64_t cpus_online_mask;  /* which; a bit is set by its CPU; atomic */

/* The first CPU from `from` on that is online; CPUS_MAX: none. */
static inline unsigned cpu_next(unsigned from)
{
	uint64_t mask = from < CPUS_MAX ? __atomic_load_n(&cpus_online_mask, __ATOMIC_RELAXED) >> from << from : 0;
	return mask ? (unsigned)__builtin_ctzll(mask) : CPUS_MAX;
}
#define CPUS_FOR_EACH(cpu) for (unsigned cpu = cpu_next(0); cpu < CPUS_MAX; cpu = cpu_next(cpu + 1))

static always_inline struct cpu *this_cpu(void)
{
	struct cpu *c;
	__asm__ volatile("mov %%gs:0, %0" : "=r"(c));
	return c;
}

/* The running thread.  Stable for the caller even without disabling interrupts: a thread is always itself. */
static always_inline struct thread *thread_current(void)
{
	struct thread *t;
	__asm__("mov %%gs:8, %0" : "=r"(t));
	return t;
}

/* Whether the caller runs in an interrupt handler. One instruction: a thread may change CPU between two. */
static always_inline bool cpu_in_interrupt(void)
{
	uint16_t depth;
	__asm__ volatile("movw %%gs:%c1, %0" : "=r"(depth) : "i"(offsetof(struct cpu, irq_depth)));
	return depth;
}

/* Disables interrupts (and so pre-emption and migration) and says what they were.  Nests. */
static always_inline irqflags_t irq_save(void)
{
	irqflags_t f;
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(f.v) : : "memory");
	return f;
}

static always_inline void irq_restore(irqflags_t f)
{
	if (f.v & 0x200)
		__asm__ volatile("sti" : : : "memory");
}

static always_inline void irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static always_inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static always_inline bool irq_enabled(void)
{
	uint64_t f;
	__asm__ volatile("pushfq; popq %0" : "=r"(f) : : "memory");
	return f & 0x200;
}

static always_inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Executes a serialising instruction: what other CPUs wrote before is also fetched as code (SDM 3A 8.1.3, 8.3). */
void cpu_serialise(void);

/* Enables interrupts and halts until one arrives, with no gap between the two (STI's shadow). Called with interrupts
 * off. */
static always_inline void cpu_idle_wait(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

/* Stops this CPU for good, interrupts off. */
noreturn void cpu_stop(void);

/* What the CPU calls itself ("QEMU TCG CPU version 2.5+"), and a line per CPU for /proc/cpuinfo.
 * Writes at most len bytes incl. NUL; returns the length it would need. */
size_t cpu_describe(const struct cpu *c, char *buf, size_t len);
const char *cpu_model_name(void);
/* What AT_HWCAP (0) and AT_HWCAP2 (1) tell programs, man 3 getauxval. */
uint64_t cpu_hwcap(unsigned which);

/* Fills buf with hardware random bytes where the CPU has an instruction for it; returns how many bytes it
 * could fill. */
size_t cpu_random(void *buf, size_t len);

/* Cycle counter: for measuring and entropy only; sched/clock.h tells time. */
static always_inline uint64_t cpu_cycles(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}
