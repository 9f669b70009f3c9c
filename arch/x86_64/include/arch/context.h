/*
 * What a thread's switched-out state looks like, and how to make one.
 * struct arch_thread is embedded in struct thread (sched/thread.h) and touched only by arch and by its own thread.
 */
#pragma once

#include <arch/layout.h>
#include <arch/trap.h>
#include "lib/types.h"

struct thread;

/* What a thread has to do before it returns to user mode; bits of arch_thread.work. */
enum thread_work {
	/* set by the scheduler on the thread that should yield; also honoured on interrupt return into the kernel */
	WORK_RESCHED = 1 << 0,
	WORK_SIGNAL = 1 << 1, /* a signal may be deliverable */
	/* its FP state is not in the registers; set by context_switch, cleared by fpu_load_current */
	WORK_FPU = 1 << 2,
	WORK_KILL = 1 << 3, /* a fatal signal is pending: also killable sleeps end */
	WORK_RSEQ = 1 << 4, /* it was off the CPU, and has registered a struct rseq (proc/rseq.c) */
};

struct arch_thread {
	uint32_t work;		   /* enum thread_work; atomic, set by anybody, cleared by the thread itself */
	uint32_t switch_work;	   /* what each switch to it adds to work; written by the thread itself */
	uint64_t sp;		   /* kernel stack pointer while switched out */
	uint64_t stack_top;	   /* loaded into cpu->kernel_sp and TSS.RSP0 */
	uint64_t fs_base, gs_base; /* a program's; FS holds its thread pointer (man 2 arch_prctl) */
	void *fpu;		   /* XSAVE area, 64-byte aligned, fpu_area_bytes() long; NULL for kernel threads */
	/* id of the CPU that last loaded it; with cpu->fpu_owner it says whether the registers are still valid */
	uint32_t fpu_cpu;
	uint32_t trap_vector;		   /* the last exception in user mode, for the signal frame: */
	uint64_t trap_error, trap_address; /* its error code, and CR2 if it was a page fault */
};

#define FPU_ON_NO_CPU 0xffffffffu

/* Makes t start in entry(arg) on the stack that ends at stack_top, with interrupts OFF, when first switched to. entry
 * never returns. */
void context_init(struct arch_thread *t, void *stack_top, void (*entry)(void *arg), void *arg);

/* Makes the code that is running, on the stack that ends at stack_top, the switched-in state of `thread`: for a CPU's
 * idle thread. */
void context_adopt(struct arch_thread *t, void *stack_top, struct thread *thread);
/* The stack the boot CPU starts on, later its idle thread's. */
extern char idle_stack_guard[], idle_stack[], idle_stack_top[];

/*
 * Switches stacks and callee-saved registers, user FS/GS bases, kernel_sp, and saves prev's FP state if it owns the
 * registers. Interrupts off. Returns, later, on prev's stack; the value is the thread that was switched away from in
 * order to get here.
 */
struct thread *context_switch(struct arch_thread *prev, struct arch_thread *next, struct thread *prev_thread,
			      struct thread *next_thread);

/*
 * Where a thread that is switched out will go on, and its frame pointer: for backtraces. False when the stack pointer
 * is not inside [stack, stack_top): the thread runs, never ran, or is damaged.
 */
bool context_saved_place(const struct arch_thread *t, const void *stack, vaddr_t *ip, uint64_t *fp);

/* The frame of the entry from user mode, at the top of a user thread's kernel stack. */
static inline struct trap_frame *context_user_frame(const struct arch_thread *t)
{
	return (struct trap_frame *)(t->stack_top - sizeof(struct trap_frame));
}

/* Clears the frame for a fresh program: all registers 0, flags default, interrupts on. */
void context_user_frame_init(struct trap_frame *f, vaddr_t ip, vaddr_t sp);
static inline void context_set_return(struct trap_frame *f, long value)
{
	f->rax = (uint64_t)value;
}
static inline void context_set_ip(struct trap_frame *f, vaddr_t ip)
{
	f->rip = ip.v;
}
static inline void context_set_sp(struct trap_frame *f, vaddr_t sp)
{
	f->rsp = sp.v;
}
/* Makes a frame that came from outside (ptrace, sigreturn) safe to return through: selectors and flags. RIP and RSP may
 * be anything. */
void context_user_frame_sanitize(struct trap_frame *f);

/* FS and GS base of a program (arch_prctl). Setting also loads it when t is current. A program may change its own
 * without us, so context_save_tls() before t's fields are read (arch_prctl's GET, fork). base must be below
 * USER_VA_END. */
void context_set_tls(struct arch_thread *t, uint64_t base);
void context_set_gs(struct arch_thread *t, uint64_t base);
void context_save_tls(struct arch_thread *t);

/* Leaves to user mode with the frame at the top of current's stack. Interrupts off, all exit work done (see
 * proc/user_return.h). */
noreturn void context_enter_user(void);

/* FP/vector state (XSAVE where there is it, FXSAVE elsewhere; SDM 1 ch. 13). */
size_t fpu_area_bytes(void);
/* the state a fresh program starts with; for the current thread fpu_forget() first */
void fpu_area_init(void *area);
/* current's area → registers, clears WORK_FPU; interrupts off, just before user mode */
void fpu_load_current(void);
/* registers → current's area, so that it may be copied (fork, signal frame) */
void fpu_save_current(void);
/* t's area was changed or t is new: what registers may hold of it is stale. t is current or not running */
void fpu_forget(struct arch_thread *t);

/*
 * Signal delivery (man 7 signal; struct rt_sigframe as in <asm/sigcontext.h>).
 * arch_sigframe_push: writes the frame to the program's stack (or altstack top `sp`) and redirects *f to handler.
 *                     -EFAULT when it can't (also when it would not fit above altstack_sp). The red zone is skipped
 *                     when sp is the frame's own.  The handler starts with fresh FP state.
 * arch_sigframe_pop:  for rt_sigreturn: restores *f, FP state, and hands back the mask and altstack; -EFAULT on a bad
 *                     frame.
 * Thread context, may sleep.
 */
struct arch_signal {
	uint64_t handler, restorer;
	int signo;
	const void *siginfo; /* 128 bytes, kernel memory */
	uint64_t sigmask;    /* to restore on return */
	uint64_t altstack_sp, altstack_size;
	int altstack_flags;
	uint64_t sp; /* where to push: below this */
};
int arch_sigframe_push(struct trap_frame *f, const struct arch_signal *s) must_check;
int arch_sigframe_pop(struct trap_frame *f, uint64_t *sigmask, uint64_t *alt_sp, uint64_t *alt_size,
		      int *alt_flags) must_check;

/* System-call view of the frame. */
static always_inline void syscall_args_get(const struct trap_frame *f, uint64_t v[6])
{
	v[0] = f->rdi;
	v[1] = f->rsi;
	v[2] = f->rdx;
	v[3] = f->r10;
	v[4] = f->r8;
	v[5] = f->r9;
}
static inline long syscall_nr(const struct trap_frame *f)
{
	return (long)f->orig_rax;
}
static inline bool syscall_in_frame(const struct trap_frame *f)
{
	return (long)f->orig_rax >= 0;
}
/* After a signal: -EINTR style results are in rax. Rewinds the frame to issue the call again. */
static inline long syscall_result(const struct trap_frame *f)
{
	return (long)f->rax;
}
static inline void syscall_restart(struct trap_frame *f)
{
	f->rax = f->orig_rax;
	f->rip -= 2;
}
/* Same, but as another call number (restart_syscall). */
static inline void syscall_restart_as(struct trap_frame *f, long nr)
{
	f->rax = (uint64_t)nr;
	f->rip -= 2;
}
/* So that a second signal does not restart the same call twice. */
static inline void syscall_forget(struct trap_frame *f)
{
	f->orig_rax = (uint64_t)-1;
}
