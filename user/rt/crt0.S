/*
 * Where a program begins.  There is no caller: the kernel jumps here with the stack as the System V ABI (AMD64
 * supplement, 3.4.1) lays it out,
 *
 *     rsp -> argc, argv[0] … NULL, envp[0] … NULL, auxv pairs … AT_NULL
 *
 * aligned to 16, and every other register undefined but rdx (a function to register with atexit, for dynamic linkers; 0
 * here). The ELF loader has already zeroed .bss.  All else is rt_start()'s, in C.
 */
	.text
	.globl	_start
	.type	_start, @function
_start:
	xorl	%ebp, %ebp	/* the outermost frame: a backtrace ends here */
	movq	%rsp, %rdi
	andq	$-16, %rsp	/* it is aligned; programs started by others than Linux may differ */
	call	rt_start	/* never returns */
	hlt
	.size	_start, . - _start
	.section .note.GNU-stack, "", @progbits
