/*
 * What the processor saved when it entered the kernel, and why it did.
 *
 * A struct trap_frame lies at the top of the kernel stack for an entry from a program, and anywhere on it for an entry
 * from the
 * kernel.  Offsets are generated from this struct for the assembly (offsets.c).  Portable code uses the accessors only.
 */
#pragma once

#include "lib/types.h"

struct trap_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx;		    /* kept by C */
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi; /* lost by C */
	uint64_t orig_rax;				    /* system call number; -1 for every other entry */
	uint64_t rip, cs, rflags, rsp, ss;
};

enum trap_kind {
	TRAP_PAGE_FAULT, /* addr and access are valid */
	TRAP_FAULT,	 /* a program gets signo/si_code; in the kernel it is a bug unless the exception table knows */
	TRAP_BREAKPOINT, /* resumes after reporting when it happens in the kernel */
	TRAP_NMI,
	TRAP_FATAL, /* double fault, machine check: report and stop */
};

/* The values are those of the CPU's error code (SDM 3A figure 4-12), so that it need not be translated. */
enum trap_access {
	TRAP_ACCESS_PRESENT = 1 << 0, /* the page was there and protection forbade it */
	TRAP_ACCESS_WRITE = 1 << 1,
	TRAP_ACCESS_USER = 1 << 2, /* the access was made in user mode */
	TRAP_ACCESS_EXEC = 1 << 4,
};

struct trap_info {
	enum trap_kind kind;
	unsigned vector;
	const char *name; /* "page fault", "general protection" … */
	uint64_t error_code;
	vaddr_t addr;	      /* the address a page fault was about */
	unsigned access;      /* enum trap_access */
	int signo, si_code;   /* what a program gets */
	uint64_t signal_addr; /* si_addr of its siginfo (that name is a macro of <asm/siginfo.h>) */
};

static inline bool trap_from_user(const struct trap_frame *f)
{
	return f->cs & 3;
}

static inline bool trap_irqs_were_enabled(const struct trap_frame *f)
{
	return f->rflags & 0x200;
}

static inline vaddr_t trap_ip(const struct trap_frame *f)
{
	return vaddr(f->rip);
}

static inline vaddr_t trap_sp(const struct trap_frame *f)
{
	return vaddr(f->rsp);
}

/* Whether the kernel instruction at the frame's address is one of those that access a program's memory on purpose. */
bool trap_touches_user(const struct trap_frame *f);
/* If the kernel instruction at the frame's address has a fix-up, redirects the frame to it and returns true. */
bool trap_fixup(struct trap_frame *f);

/* One line per register group for a panic or a fatal signal; out is called with each finished line. */
void trap_frame_print(const struct trap_frame *f, void (*out)(const char *line));
/* "page fault", "general protection" …, for each of the CPU's 32. */
const char *trap_name(unsigned vector);
/* A sentence on the error code, such as "write to a not-present page". */
const char *trap_error_text(const struct trap_info *info, char *buf, size_t len);

/* Walks frame pointers from fp (0: the caller's own) inside [lo,hi); stores return addresses; returns how many. */
unsigned trap_backtrace(uint64_t fp, uint64_t lo, uint64_t hi, uint64_t *addrs, unsigned max);
static inline uint64_t trap_frame_pointer(const struct trap_frame *f)
{
	return f->rbp;
}

/*
 * The five doors by which arch enters portable C; defined in core/.  All are called with interrupts off and return with
 * interrupts off; when the frame is a program's they have done all exit work (signals, rescheduling, FP state) before
 * they return, so the assembly only restores registers.
 *
 * kernel_start      once, on the boot CPU, on its idle thread's stack, boot info filled
 * kernel_trap       an exception; may enable interrupts if they were on in the frame
 * kernel_interrupt  a device or timer interrupt, already acknowledged by the controller where it must be first
 * kernel_syscall    a system call (number in orig_rax, result goes to rax)
 */
struct boot_info;
noreturn void kernel_start(struct boot_info *info);
noreturn void kernel_secondary_start(void);
void kernel_trap(struct trap_frame *f, const struct trap_info *info);
void kernel_interrupt(struct trap_frame *f, unsigned irq);
void kernel_syscall(struct trap_frame *f);
