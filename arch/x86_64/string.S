/*
 * memcpy, memmove, memset (lib/string.h) and whole pages (arch/page.h).
 *
 * Lengths decide.  Up to 32 bytes are moved through registers, the two halves of an access overlapping when the length
 * is no power of two: no loop, few branches.  Longer ones take REP MOVSQ/STOSQ, which every CPU since 1995 does in
 * large steps, with the last 1..8 bytes done first, as an overlapping word.  All loads of a short copy come before its
 * stores, so memcpy's short path is memmove's too.
 */
#include "arch/x86_64/asm.h"

#if CONFIG_KASAN /* mm/kasan_string.c has the functions of these names, which check and then call these */
#define memcpy kasan_plain_memcpy
#define memmove kasan_plain_memmove
#define memset kasan_plain_memset
#define page_clear kasan_plain_page_clear
#define page_copy kasan_plain_page_copy
#endif

	.text

/* For lengths up to 32 (RDX), RDI and RSI possibly overlapping; returns from the function. RAX is kept. */
.macro COPY_SHORT
	cmpl	$16, %edx
	jae	2f
	cmpl	$8, %edx
	jae	3f
	cmpl	$4, %edx
	jae	4f
	testl	%edx, %edx
	jz	5f
	/* 1..3: first, middle and last byte, of which some may be the same */
	movl	%edx, %ecx
	shrl	$1, %ecx
	movzbl	(%rsi), %r8d
	movzbl	(%rsi,%rcx), %r9d
	movzbl	-1(%rsi,%rdx), %r10d
	movb	%r8b, (%rdi)
	movb	%r9b, (%rdi,%rcx)
	movb	%r10b, -1(%rdi,%rdx)
5:	ret
2:	movq	(%rsi), %rcx
	movq	8(%rsi), %r8
	movq	-16(%rsi,%rdx), %r9
	movq	-8(%rsi,%rdx), %r10
	movq	%rcx, (%rdi)
	movq	%r8, 8(%rdi)
	movq	%r9, -16(%rdi,%rdx)
	movq	%r10, -8(%rdi,%rdx)
	ret
3:	movq	(%rsi), %rcx
	movq	-8(%rsi,%rdx), %r8
	movq	%rcx, (%rdi)
	movq	%r8, -8(%rdi,%rdx)
	ret
4:	movl	(%rsi), %ecx
	movl	-4(%rsi,%rdx), %r8d
	movl	%ecx, (%rdi)
	movl	%r8d, -4(%rdi,%rdx)
	ret
.endm

/* void *memcpy(void *to, const void *from, size_t len) */
FUNC memcpy
	movq	%rdi, %rax
	cmpq	$32, %rdx
	ja	1f
	COPY_SHORT
	/* The last word first: the source is still whole, and what REP leaves over is covered. */
1:	movq	-8(%rsi,%rdx), %r8
	leaq	-1(%rdx), %rcx
	movq	%r8, -8(%rdi,%rdx)
	shrq	$3, %rcx
	rep movsq
	ret
END memcpy

/* void *memmove(void *to, const void *from, size_t len) */
FUNC memmove
	movq	%rdi, %rax
	cmpq	$32, %rdx
	ja	1f
	COPY_SHORT
1:	movq	%rdi, %rcx
	subq	%rsi, %rcx
	cmpq	%rdx, %rcx
	jb	6f
	/* The destination does not begin inside the source: upwards. Its end may lie in the source, so the last word
	 * waits in a register. */
	movq	-8(%rsi,%rdx), %r8
	leaq	-8(%rdi,%rdx), %r9
	leaq	-1(%rdx), %rcx
	shrq	$3, %rcx
	rep movsq
	movq	%r8, (%r9)
	ret
	/* Downwards, 32 bytes a turn; the first 32, which a turn could reach below, wait in registers. REP with the
	 * direction flag set is slow. */
6:	pushq	%rbx
	pushq	%r12
	movq	(%rsi), %r8
	movq	8(%rsi), %r9
	movq	16(%rsi), %r10
	movq	24(%rsi), %r11
7:	movq	-8(%rsi,%rdx), %rcx
	movq	-16(%rsi,%rdx), %rbx
	movq	-24(%rsi,%rdx), %r12
	movq	%rcx, -8(%rdi,%rdx)
	movq	-32(%rsi,%rdx), %rcx
	movq	%rbx, -16(%rdi,%rdx)
	movq	%r12, -24(%rdi,%rdx)
	movq	%rcx, -32(%rdi,%rdx)
	subq	$32, %rdx
	cmpq	$32, %rdx
	ja	7b
	movq	%r8, (%rdi)
	movq	%r9, 8(%rdi)
	movq	%r10, 16(%rdi)
	movq	%r11, 24(%rdi)
	popq	%r12
	popq	%rbx
	ret
END memmove

/* void *memset(void *to, int byte, size_t len) */
FUNC memset
	movzbl	%sil, %esi
	movabsq	$0x0101010101010101, %rax
	movq	%rdi, %r8
	imulq	%rsi, %rax
	cmpq	$32, %rdx
	ja	1f
	cmpl	$16, %edx
	jae	2f
	cmpl	$8, %edx
	jae	3f
	cmpl	$4, %edx
	jae	4f
	testl	%edx, %edx
	jz	5f
	movl	%edx, %ecx
	shrl	$1, %ecx
	movb	%al, (%rdi)
	movb	%al, (%rdi,%rcx)
	movb	%al, -1(%rdi,%rdx)
5:	movq	%r8, %rax
	ret
1:	movq	%rax, -8(%rdi,%rdx)
	leaq	-1(%rdx), %rcx
	shrq	$3, %rcx
	rep stosq
	movq	%r8, %rax
	ret
2:	movq	%rax, (%rdi)
	movq	%rax, 8(%rdi)
	movq	%rax, -16(%rdi,%rdx)
	movq	%rax, -8(%rdi,%rdx)
	movq	%r8, %rax
	ret
3:	movq	%rax, (%rdi)
	movq	%rax, -8(%rdi,%rdx)
	movq	%r8, %rax
	ret
4:	movl	%eax, (%rdi)
	movl	%eax, -4(%rdi,%rdx)
	movq	%r8, %rax
	ret
END memset

/* void page_clear(void *page) */
FUNC page_clear
	xorl	%eax, %eax
	movl	$(PAGE_SIZE / 8), %ecx
	rep stosq
	ret
END page_clear

/* void page_copy(void *to, const void *from) */
FUNC page_copy
	movl	$(PAGE_SIZE / 8), %ecx
	rep movsq
	ret
END page_copy

	.section .note.GNU-stack, "", @progbits
