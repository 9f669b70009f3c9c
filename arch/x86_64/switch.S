/*
 * Changing stacks between threads.  context.c has done all that can be said in C.
 */
#include "arch/x86_64/asm.h"

	.text

/*
 * struct thread *context_switch_stacks(uint64_t *prev_sp, uint64_t next_sp, struct thread *prev_thread)
 * Saves what the caller, a C function, expects back, and nothing else.  The flags are not among it: interrupts are off
 * on both
 * sides.  context_init() lays out the same seven words.
 */
FUNC context_switch_stacks
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	movq	%rdx, %rax			/* returned by the thread we go to */
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
END context_switch_stacks

/* Where a new thread wakes up: RBX is its entry, R12 the argument, RBP 0, which ends backtraces. */
FUNC context_start
	movq	%r12, %rdi
	call	*%rbx
	ud2
END context_start

	.section .note.GNU-stack, "", @progbits
