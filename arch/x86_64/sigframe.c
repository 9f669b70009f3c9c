/*
 * Signal frames: what a program's stack looks like while a handler runs, and the way back (man 2 sigreturn).
 *
 * The layout is Linux's, to the byte: libgcc and libunwind unwind through it, libc's restorer and setcontext() rely on
 * it, gdb reads it.
 *
 *   old RSP -> (128 bytes of red zone: a leaf function's data, psABI 3.2.2)
 *              FP state, 64-aligned: XSAVE area and a magic word behind it       fpu.c
 *              struct rt_sigframe, at 8 mod 16, as after a CALL:                 RSP when the handler starts
 *                 pretcode   return address: the restorer, which calls rt_sigreturn
 *                 uc         registers, mask, alternate stack
 *                 info       siginfo
 *
 * On the way back everything is the program's word, so selectors and flags are forced into what a program may have, and
 * FP state into what the CPU accepts.  RIP and RSP may be anything: IRETQ's refusal becomes the program's signal
 * (entry.S).
 *
 * Failure: -EFAULT, and the caller ends the program by SIGSEGV.  Push changes *f last of all.
 */
#include <asm/errno.h>
#include <asm/signal.h>
#include <asm/processor-flags.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#include <arch/usercopy.h>
#include "arch/x86_64/internal.h"
#include "lib/string.h"

#define RED_ZONE_BYTES 128
#define SIGINFO_BYTES 128

struct rt_sigframe {
	uint64_t pretcode;
	struct ucontext uc;
	uint8_t info[SIGINFO_BYTES];
};
_Static_assert(sizeof(struct sigcontext) == 256, "x86-64 Linux ABI");
_Static_assert(offsetof(struct rt_sigframe, uc) == 8 && sizeof(struct ucontext) == 304, "x86-64 Linux ABI");
_Static_assert(sizeof(sigset_t) == 8, "the kernel's own signal set");

static bool user_range_ok(uint64_t addr, uint64_t len)
{
	uint64_t end;

	return !__builtin_add_overflow(addr, len, &end) && end <= USER_VA_END;
}

static void sigcontext_fill(struct sigcontext *sc, const struct trap_frame *f, uint64_t fpstate)
{
	const struct arch_thread *t = this_arch_thread();

	*sc = (struct sigcontext){
		.r8 = f->r8,
		.r9 = f->r9,
		.r10 = f->r10,
		.r11 = f->r11,
		.r12 = f->r12,
		.r13 = f->r13,
		.r14 = f->r14,
		.r15 = f->r15,
		.rdi = f->rdi,
		.rsi = f->rsi,
		.rbp = f->rbp,
		.rbx = f->rbx,
		.rdx = f->rdx,
		.rax = f->rax,
		.rcx = f->rcx,
		.rsp = f->rsp,
		.rip = f->rip,
		.eflags = f->rflags,
		.cs = (uint16_t)f->cs,
		.ss = (uint16_t)f->ss,
		.err = t->trap_error,
		.trapno = t->trap_vector,
		.cr2 = t->trap_address,
	};
	sc->fpstate = (void *)fpstate;
}

int arch_sigframe_push(struct trap_frame *f, const struct arch_signal *s)
{
	struct rt_sigframe frame = {.pretcode = s->restorer};
	uint64_t sp = s->sp == f->rsp ? s->sp - RED_ZONE_BYTES : s->sp;
	uint64_t fpstate, at;
	bool on_altstack = s->altstack_size && s->sp - 1 - s->altstack_sp < s->altstack_size;

	fpstate = ALIGN_DOWN(sp - fpu_frame_bytes(), 64ull);
	at = ALIGN_DOWN(fpstate - sizeof(frame), 16ull) - 8;
	if (!s->restorer || at > sp || !user_range_ok(at, s->sp - at))
		return -EFAULT;
	if (on_altstack && at < s->altstack_sp)
		return -EFAULT;

	frame.uc.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (cpu_features.xsave ? UC_FP_XSTATE : 0);
	frame.uc.uc_stack.ss_sp = (void *)s->altstack_sp;
	frame.uc.uc_stack.ss_size = s->altstack_size;
	frame.uc.uc_stack.ss_flags = s->altstack_flags;
	frame.uc.uc_sigmask = s->sigmask;
	memcpy(frame.info, s->siginfo, SIGINFO_BYTES);
	sigcontext_fill(&frame.uc.uc_mcontext, f, fpstate);
	if (arch_copy_to_user(at, &frame, sizeof(frame)) || fpu_frame_push(fpstate))
		return -EFAULT;

	f->rdi = (uint64_t)s->signo;
	f->rsi = at + offsetof(struct rt_sigframe, info);
	f->rdx = at + offsetof(struct rt_sigframe, uc);
	f->rax = 0;
	f->rip = s->handler;
	f->rsp = at;
	f->rflags &= ~(uint64_t)(X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_RF);
	f->cs = GDT_USER_CS;
	f->ss = GDT_USER_DS;
	return 0;
}

static void sigcontext_restore(struct trap_frame *f, const struct sigcontext *sc)
{
	*f = (struct trap_frame){
		.r8 = sc->r8,
		.r9 = sc->r9,
		.r10 = sc->r10,
		.r11 = sc->r11,
		.r12 = sc->r12,
		.r13 = sc->r13,
		.r14 = sc->r14,
		.r15 = sc->r15,
		.rdi = sc->rdi,
		.rsi = sc->rsi,
		.rbp = sc->rbp,
		.rbx = sc->rbx,
		.rdx = sc->rdx,
		.rax = sc->rax,
		.rcx = sc->rcx,
		.rsp = sc->rsp,
		.rip = sc->rip,
		.rflags = sc->eflags,
		.cs = sc->cs,
		.ss = sc->ss,
		.orig_rax = (uint64_t)-1, /* whatever was interrupted, it is not restarted once more */
	};
	context_user_frame_sanitize(f);
}

int arch_sigframe_pop(struct trap_frame *f, uint64_t *sigmask, uint64_t *alt_sp, uint64_t *alt_size, int *alt_flags)
{
	struct ucontext uc;
	uint64_t fpstate, at = f->rsp - 8; /* the handler's RET took pretcode */
	int err;

	if (!user_range_ok(at, sizeof(struct rt_sigframe)) ||
	    arch_copy_from_user(&uc, at + offsetof(struct rt_sigframe, uc), sizeof(uc)))
		return -EFAULT;
	fpstate = (uint64_t)uc.uc_mcontext.fpstate;
	if (fpstate && !user_range_ok(fpstate, fpu_frame_bytes()))
		return -EFAULT;
	err = fpu_frame_pop(fpstate);
	if (err)
		return err;
	sigcontext_restore(f, &uc.uc_mcontext);
	*sigmask = uc.uc_sigmask;
	*alt_sp = (uint64_t)uc.uc_stack.ss_sp;
	*alt_size = uc.uc_stack.ss_size;
	*alt_flags = uc.uc_stack.ss_flags;
	return 0;
}
