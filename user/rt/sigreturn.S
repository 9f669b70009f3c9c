/*
 * Where a signal handler returns to: the frame the kernel built is on the stack, and rt_sigreturn(2) puts back what it
 * holds. A libc hides this in sigaction(2)'s sa_restorer.
 */
#include <asm/unistd_64.h>
	.text
	.globl	rt_sigreturn
	.type	rt_sigreturn, @function
rt_sigreturn:
	movl	$__NR_rt_sigreturn, %eax
	syscall
	.size	rt_sigreturn, . - rt_sigreturn
	.section .note.GNU-stack, "", @progbits
