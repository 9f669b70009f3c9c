/*
 * How a further processor gets from real mode to C.
 *
 * A start-up message makes it run at a page of our choice below 1 MiB, in real mode (SDM 3A 8.4.4), so the code up to
 * long mode is copied to AP_PAGE, memory that start.c keeps free. It takes the same steps as boot.S, on tables of its
 * own (smp.c fills them): the kernel's root, with the lowest 16 MiB also at their physical addresses.  All processors
 * may be in here at once: nothing is written but registers, and there is no stack until each has found its own.
 */
#include <asm/processor-flags.h>

#include "arch/x86_64/asm.h"

#define HERE(sym) ((sym) - ap_code + AP_PAGE)

	.section .rodata.ap_code, "a", @progbits
	.balign 16
	.globl ap_code, ap_code_end
	.code16
ap_code:
	cli
	cld
	movw	%cs, %ax			/* AP_PAGE / 16 */
	movw	%ax, %ds
	lgdtl	ap_gdt_ptr - ap_code
	movl	$X86_CR0_PE, %eax
	movl	%eax, %cr0
	ljmpl	$GDT_BOOT_CS32, $HERE(ap_protected)

	.code32
ap_protected:
	movl	$GDT_KERNEL_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	$X86_CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$AP_ROOT, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	HERE(ap_efer), %eax
	wrmsr
	movl	HERE(ap_cr0), %eax
	movl	%eax, %cr0
	ljmp	$GDT_KERNEL_CS, $HERE(ap_long)

	.code64
ap_long:
	movabsq	$ap_high, %rax
	jmp	*%rax

	.balign 8
ap_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff		/* GDT_BOOT_CS32 */
	.quad	0x00af9b000000ffff		/* GDT_KERNEL_CS */
	.quad	0x00cf93000000ffff		/* GDT_KERNEL_DS */
ap_gdt_ptr:
	.word	ap_gdt_ptr - ap_gdt - 1
	.long	HERE(ap_gdt)
	.balign 4
	.globl ap_efer, ap_cr0
ap_efer:					/* as the boot CPU has them; filled in the copy */
	.long	0
ap_cr0:
	.long	0
ap_code_end:

	.text
FUNC ap_high
	movl	$GDT_KERNEL_DS, %eax
	movl	%eax, %ss
	xorl	%eax, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movq	$PHYS(boot_root), %rax		/* leaves the identity map */
	movq	%rax, %cr3
	movq	%cr4, %rax
	orq	$X86_CR4_PGE, %rax
	movq	%rax, %cr4
	/* Who am I? */
	movl	$1, %eax
	cpuid
	shrl	$24, %ebx
	movzbl	ap_number(%rbx), %edi
	testl	%edi, %edi
	jz	1f				/* nobody asked for this one */
	movq	ap_stacks(, %rdi, 8), %rsp
	xorl	%ebp, %ebp			/* where backtraces end */
	call	ap_start
1:	cli
	hlt
	jmp	1b
END ap_high
	.section .note.GNU-stack, "", @progbits
