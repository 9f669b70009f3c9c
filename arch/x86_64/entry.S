/*
 * Every way into the kernel but the first, and the ways out.
 *
 * A thread's kernel stack holds, at its very top, the struct trap_frame of its entry from user mode:
 *
 *   stack_top -> +-------------------------------+
 *                | ss rsp rflags cs rip          |  pushed by the CPU, or by syscall_entry in its place
 *                | orig_rax                      |  number of a system call; -1 - irq; -1 for exceptions
 *                | rdi rsi rdx rcx rax r8..r11   |  what a C function may change
 *                | rbx rbp r12..r15              |  what it may not
 *                +-------------------------------+ <- struct trap_frame *
 *                | pad, so that RSP % 16 == 0    |
 *
 * The C side (kernel_trap, kernel_interrupt, kernel_syscall) is called and returns with interrupts off, all work before
 * a return to user mode done.  So from the check of CS on nothing can come between but NMI and machine check, which
 * have stacks of their own.
 *
 * GS.  In the kernel GS base is the CPU's struct cpu and MSR_KERNEL_GS_BASE the program's; SWAPGS exchanges them at
 * each crossing.  CS in the frame says whether there was a crossing, but in two windows CS is the kernel's and GS
 * the program's: at the first instruction of syscall_entry, and from the last SWAPGS to SYSRET or IRETQ.
 * Interrupts are off there and the instructions access no memory that can fault, except:
 *   - IRETQ with a frame the CPU refuses (RIP not canonical, from a tampered signal frame): trap_from_kernel knows that
 *     address.
 *   - NMI, #MC, #DF come whenever they like: trap_paranoid trusts neither CS nor GS but takes the CPU from its own
 *     stack's top.
 *   - #DB cannot: it needs debug registers, which programs are not given, or TF, which SFMASK and interrupt gates
 *     clear.  So it needs no stack of its own, and single-stepping programs run through the ordinary path.
 * The sign of the GS base, the usual test, is no evidence once FSGSBASE lets programs choose any value.
 *
 * Not done: kernel page-table isolation and the other speculation barriers.  The kernel runs under emulation or on CPUs
 * that do not need them; docs say so.
 */
#include <asm/processor-flags.h>

#include "arch/x86_64/asm.h"

/* RDI is in the frame already. */
.macro PUSH_REGS
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%rax
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

/* From a frame that starts `at` bytes above RSP: all but RSP, RCX and R11. */
.macro LOAD_REGS at
	movq	\at + F_R15(%rsp), %r15
	movq	\at + F_R14(%rsp), %r14
	movq	\at + F_R13(%rsp), %r13
	movq	\at + F_R12(%rsp), %r12
	movq	\at + F_RBP(%rsp), %rbp
	movq	\at + F_RBX(%rsp), %rbx
	movq	\at + F_R10(%rsp), %r10
	movq	\at + F_R9(%rsp), %r9
	movq	\at + F_R8(%rsp), %r8
	movq	\at + F_RAX(%rsp), %rax
	movq	\at + F_RDX(%rsp), %rdx
	movq	\at + F_RSI(%rsp), %rsi
	movq	\at + F_RDI(%rsp), %rdi
.endm

	.text

/*
 * Vectors 0..31, 16 bytes each: completes the CPU's frame with an error code where there is none, saves RDI and leaves
 * the vector in it. SDM 3A table 6-1 says which have an error code: 8, 10-14, 17, 21, 29 and 30 (AMD).
 */
#define VECTORS_WITH_ERROR (0x00007d00 | 1 << 17 | 1 << 21 | 1 << 29 | 1 << 30)
#define VECTORS_PARANOID (1 << 2 | 1 << 8 | 1 << 18)

	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 32
	.balign 16
	.if !((VECTORS_WITH_ERROR >> vector) & 1)
	pushq	$0
	.endif
	pushq	%rdi
	movl	$vector, %edi
	.if (VECTORS_PARANOID >> vector) & 1
	jmp	trap_paranoid
	.else
	jmp	trap_common
	.endif
	.set vector, vector + 1
	.endr

/* Vectors 32..255: interrupts. */
	.balign 16
	.globl interrupt_stubs
interrupt_stubs:
	.set irq, 0
	.rept 224
	.balign 16
	pushq	$(-1 - irq)
	jmp	interrupt_common
	.set irq, irq + 1
	.endr

/*
 * An exception.  Stack: rdi, error code, CPU frame.  EDI: vector.
 */
FUNC trap_common
	PUSH_REGS
	cld
	CLAC
	movl	%edi, %esi
	movq	F_ORIG_RAX(%rsp), %rdx
	movq	$-1, F_ORIG_RAX(%rsp)		/* not a system call: nothing to restart */
	testb	$3, F_CS(%rsp)
	jz	trap_from_kernel
	swapgs
trap_call:
	movq	%rsp, %rdi
	subq	$8, %rsp
	call	trap_enter
trap_return:
	testb	$3, 8 + F_CS(%rsp)
	jz	return_common
return_to_user:
	swapgs
return_common:
	LOAD_REGS 8
	movq	8 + F_RCX(%rsp), %rcx
	movq	8 + F_R11(%rsp), %r11
	addq	$(8 + F_RIP), %rsp
trap_iretq:
	iretq

/*
 * The one kernel instruction that faults with the program's GS and the program's registers: IRETQ, when the frame it
 * was to load is unfit.  The program is to get its signal, as if its next instruction had faulted: the saved registers
 * are moved next to that frame, which makes a whole entry from user mode of the two.
 */
trap_from_kernel:
	cmpq	$trap_iretq, F_RIP(%rsp)
	jne	trap_call
	movq	F_RSP(%rsp), %rax
	testb	$3, 8(%rax)			/* CS it was to load: if the kernel's, this is our own bug */
	jz	trap_call
	swapgs
	movl	%esi, %ebx
	movq	%rdx, %r12
	movq	%rsp, %rdi
	subq	$8, %rsp
	call	trap_move_bad_iret
	movq	%rax, %rsp
	movl	%ebx, %esi
	movq	%r12, %rdx
	jmp	trap_call
END trap_common

/* An interrupt.  Stack: -1 - irq, CPU frame. */
FUNC interrupt_common
	pushq	%rdi
	PUSH_REGS
	cld
	CLAC
	testb	$3, F_CS(%rsp)
	jz	1f
	swapgs
1:	movq	%rsp, %rdi
	subq	$8, %rsp
	call	interrupt_enter
	jmp	trap_return
END interrupt_common

/*
 * NMI, double fault, machine check, on interrupt stacks.  Directly above the frame lies struct ist_top.
 *
 * From a program: an ordinary entry, moved to the thread's stack, since C may want to sleep before it returns.  Not so
 * a double fault, which in that case says that the thread's stack is unusable.  NMIs stay blocked until the next IRETQ,
 * whoever executes it; a handler running on the interrupt stack must not fault, or a second NMI would overwrite the
 * first one's frame.
 */
FUNC trap_paranoid
	PUSH_REGS
	cld
	CLAC
	movl	%edi, %ebp
	movq	F_ORIG_RAX(%rsp), %r12
	movq	$-1, F_ORIG_RAX(%rsp)
	cmpl	$8, %ebp
	je	1f
	testb	$3, F_CS(%rsp)
	jnz	2f
1:	movl	$MSR_GS_BASE, %ecx
	rdmsr
	movl	%eax, %r13d
	movl	%edx, %r14d
	movl	FRAME_SIZE(%rsp), %eax		/* ist_top.cpu */
	movl	FRAME_SIZE + 4(%rsp), %edx
	wrmsr
	movq	%rsp, %rdi
	movl	%ebp, %esi
	movq	%r12, %rdx
	movq	F_RBP(%rsp), %rbp		/* the backtrace goes on in what was interrupted */
	subq	$8, %rsp
	call	trap_enter
	movl	$MSR_GS_BASE, %ecx
	movl	%r13d, %eax
	movl	%r14d, %edx
	wrmsr
	jmp	return_common
2:	swapgs
	movq	%rsp, %rsi
	movq	%gs:CPU_KERNEL_SP, %rdi
	subq	$FRAME_SIZE, %rdi
	movq	%rdi, %rsp
	movl	$(FRAME_SIZE / 8), %ecx
	rep movsq
	movl	%ebp, %esi
	movq	%r12, %rdx
	jmp	trap_call
END trap_paranoid

/*
 * SYSCALL (SDM 2B): the CPU changed only these.
 *
 *   RCX  return address             RSP  still the program's
 *   R11  the program's RFLAGS       GS   still the program's
 *   RFLAGS without what SFMASK names: IF, DF, TF, AC, NT …: interrupts off, string direction up, SMAP shut
 *   CS, SS  the kernel's
 *   RAX  number; RDI RSI RDX R10 R8 R9 arguments; all others are the program's and must come back unchanged
 *
 * Hazards, one by one:
 *   - RSP is a program's until the third instruction: nothing may be pushed, no interrupt may come (IF is off), NMI and
 *     #MC have own stacks.
 *   - The scratch word is the CPU's, not the thread's: interrupts stay off until it has been read.
 *   - SYSRET takes RIP from RCX.  If that is not canonical, Intel CPUs fault in ring 0 with RSP already the program's,
 *     which hands the kernel's stack to the program (SDM 2B, SYSRET).  A frame's RIP is the program's to choose
 *     (sigreturn, ptrace, SYSCALL at the very end of the address space), so RIPs outside the lower half leave by IRETQ.
 *   - SYSRET cannot restore RCX and R11 nor other segments, does not set RF, and with TF set would trap one instruction
 *     later than IRETQ. It is taken only for frames that need none of this.
 */
FUNC syscall_entry
	swapgs
	movq	%rsp, %gs:CPU_USER_SP
	movq	%gs:CPU_KERNEL_SP, %rsp
	pushq	$GDT_USER_DS
	pushq	%gs:CPU_USER_SP
	pushq	%r11
	pushq	$GDT_USER_CS
	pushq	%rcx
	pushq	%rax				/* orig_rax */
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	$MINUS_ENOSYS			/* rax */
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	subq	$8, %rsp
	call	kernel_syscall

	movq	8 + F_RIP(%rsp), %rcx
	movq	8 + F_RFLAGS(%rsp), %r11
	cmpq	%rcx, 8 + F_RCX(%rsp)
	jne	return_to_user
	cmpq	%r11, 8 + F_R11(%rsp)
	jne	return_to_user
	cmpl	$GDT_USER_CS, 8 + F_CS(%rsp)
	jne	return_to_user
	cmpl	$GDT_USER_DS, 8 + F_SS(%rsp)
	jne	return_to_user
	testl	$(X86_EFLAGS_RF | X86_EFLAGS_TF), %r11d
	jnz	return_to_user
	movq	%rcx, %rdx
	shrq	$47, %rdx
	jnz	return_to_user
	LOAD_REGS 8
	movq	8 + F_RSP(%rsp), %rsp
	swapgs
	sysretq
END syscall_entry

/*
 * SYSCALL from 32-bit code (a program that jumped to the 32-bit code segment, on AMD): there is no 32-bit system-call
 * table. Back with -ENOSYS; RCX is the return address.
 */
FUNC syscall_entry_compat
	movl	$MINUS_ENOSYS, %eax
	sysretl
END syscall_entry_compat

/* noreturn void context_enter_user(void): through the frame at the top of the current thread's stack. Interrupts are
 * off. */
FUNC context_enter_user
	movq	%gs:CPU_KERNEL_SP, %rsp
	subq	$(FRAME_SIZE + 8), %rsp
	jmp	return_to_user
END context_enter_user

	.section .note.GNU-stack, "", @progbits
