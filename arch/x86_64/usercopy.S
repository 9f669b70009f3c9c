/*
 * The instructions that touch a program's memory (arch/usercopy.h).
 *
 * Each function opens SMAP's window, does its accesses, and closes it; each access has an entry in the exception table.
 * A fault inside first goes the ordinary way, with the window closed by the trap entry and open again when the frame is
 * resumed; only if it cannot be resolved does execution go on at the fix-up.
 *
 * Counts are exact to the byte, as read(2) and write(2) promise.  The fast paths move words, so their fix-ups start
 * over with a byte loop from where the last whole step ended: it runs into the same fault again, after the last good
 * byte.
 *
 * Short copies, which most are (one word of a result, a path, a struct), avoid REP: its start-up costs more than the
 * copy.
 */
#include "arch/x86_64/asm.h"

	.text

/*
 * size_t arch_copy_from_user(void *dst, uint64_t src, size_t len)
 * size_t arch_copy_to_user(uint64_t dst, const void *src, size_t len)
 * One body: which side is the program's makes no difference to the instructions.
 * RDI: destination, RSI: source, RDX: length.
 */
FUNC arch_copy_from_user
	.globl arch_copy_to_user
	.type arch_copy_to_user, @function
arch_copy_to_user:
	STAC
	cmpq	$16, %rdx
	ja	3f
	cmpl	$8, %edx
	jb	2f
	/* 8..16: two words that may overlap. */
10:	movq	(%rsi), %rax
11:	movq	-8(%rsi,%rdx), %rcx
12:	movq	%rax, (%rdi)
13:	movq	%rcx, -8(%rdi,%rdx)
1:	CLAC
	xorl	%eax, %eax
	ret
2:	cmpl	$4, %edx
	jb	copy_bytes
14:	movl	(%rsi), %eax
15:	movl	-4(%rsi,%rdx), %ecx
16:	movl	%eax, (%rdi)
17:	movl	%ecx, -4(%rdi,%rdx)
	jmp	1b
3:	movq	%rdx, %rcx
	shrq	$3, %rcx
20:	rep movsq
	andl	$7, %edx
	jnz	copy_bytes
	CLAC
	xorl	%eax, %eax
	ret

	/* RDX bytes are left, at RDI and RSI. */
copy_bytes:
	movq	%rdx, %rcx
21:	rep movsb
22:	movq	%rcx, %rax
	CLAC
	ret
	/* After a fault in REP MOVSQ: RCX whole words and the tail are left. */
copy_words_fault:
	andl	$7, %edx
	leaq	(%rdx,%rcx,8), %rdx
	jmp	copy_bytes
	EXTABLE 10b, copy_bytes
	EXTABLE 11b, copy_bytes
	EXTABLE 12b, copy_bytes
	EXTABLE 13b, copy_bytes
	EXTABLE 14b, copy_bytes
	EXTABLE 15b, copy_bytes
	EXTABLE 16b, copy_bytes
	EXTABLE 17b, copy_bytes
	EXTABLE 20b, copy_words_fault
	EXTABLE 21b, 22b
END arch_copy_from_user
	.size arch_copy_to_user, . - arch_copy_to_user

/* size_t arch_clear_user(uint64_t dst, size_t len) */
FUNC arch_clear_user
	STAC
	xorl	%eax, %eax
	movq	%rsi, %rcx
	shrq	$3, %rcx
1:	rep stosq
	andl	$7, %esi
	movl	%esi, %ecx
2:	rep stosb
3:	movq	%rcx, %rax
	CLAC
	ret
4:	andl	$7, %esi
	leaq	(%rsi,%rcx,8), %rcx
	jmp	2b
	EXTABLE 1b, 4b
	EXTABLE 2b, 3b
END arch_clear_user

/*
 * int64_t arch_strncpy_from_user(char *dst, uint64_t src, size_t len)
 * Eight bytes at a time: a word has a zero byte when (w - 0x01..01) & ~w & 0x80..80 is not 0, and the lowest bit set
 * then marks the first. A word may reach past the end of the string, even into a page that is not there; its fault goes
 * to the byte loop, which only reads what it must. RDI: destination, RSI: source, RDX: limit, RAX: bytes done.
 */
FUNC arch_strncpy_from_user
	STAC
	xorl	%eax, %eax
	movabsq	$0x0101010101010101, %r8
	movabsq	$0x8080808080808080, %r9
1:	leaq	8(%rax), %r11
	cmpq	%rdx, %r11
	ja	5f
2:	movq	(%rsi,%rax), %rcx
	movq	%rcx, %r10
	movq	%rcx, (%rdi,%rax)
	notq	%r10
	subq	%r8, %rcx
	andq	%r9, %r10
	andq	%r10, %rcx
	jnz	3f
	movq	%r11, %rax
	jmp	1b
3:	bsfq	%rcx, %rcx
	shrl	$3, %ecx
	addq	%rcx, %rax
	CLAC
	ret
	/* One byte at a time. */
5:	cmpq	%rdx, %rax
	je	7f
6:	movzbl	(%rsi,%rax), %ecx
	movb	%cl, (%rdi,%rax)
	testb	%cl, %cl
	jz	7f
	incq	%rax
	jmp	5b
7:	CLAC
	ret
8:	movq	$-1, %rax
	CLAC
	ret
	EXTABLE 2b, 5b
	EXTABLE 6b, 8b
END arch_strncpy_from_user

/* Single words. RDI or RSI is the program's pointer; 0 or -1. */
FUNC arch_get_user_u32			/* (uint32_t *value, uint64_t src) */
	STAC
1:	movl	(%rsi), %eax
	CLAC
	movl	%eax, (%rdi)
	xorl	%eax, %eax
	ret
	EXTABLE 1b, user_word_fault
END arch_get_user_u32

FUNC arch_get_user_u64			/* (uint64_t *value, uint64_t src) */
	STAC
1:	movq	(%rsi), %rax
	CLAC
	movq	%rax, (%rdi)
	xorl	%eax, %eax
	ret
	EXTABLE 1b, user_word_fault
END arch_get_user_u64

FUNC arch_put_user_u32			/* (uint64_t dst, uint32_t value) */
	STAC
1:	movl	%esi, (%rdi)
	CLAC
	xorl	%eax, %eax
	ret
	EXTABLE 1b, user_word_fault
END arch_put_user_u32

FUNC arch_put_user_u64			/* (uint64_t dst, uint64_t value) */
	STAC
1:	movq	%rsi, (%rdi)
	CLAC
	xorl	%eax, %eax
	ret
	EXTABLE 1b, user_word_fault
END arch_put_user_u64

FUNC arch_cmpxchg_user_u32		/* (uint64_t p, uint32_t expect, uint32_t desired, uint32_t *old) */
	STAC
	movl	%esi, %eax
1:	lock cmpxchgl %edx, (%rdi)
	CLAC
	movl	%eax, (%rcx)
	xorl	%eax, %eax
	ret
	EXTABLE 1b, user_word_fault
END arch_cmpxchg_user_u32

FUNC fpu_xsave_user			/* (struct fpu_area *user, uint64_t features) */
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
	STAC
1:	xsaveq	(%rdi)
	CLAC
	xorl	%eax, %eax
	ret
	EXTABLE 1b, user_word_fault
END fpu_xsave_user

FUNC fpu_xrstor_user			/* (const struct fpu_area *user, uint64_t features) */
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
	STAC
1:	xrstorq	(%rdi)
	CLAC
	xorl	%eax, %eax
	ret
	EXTABLE 1b, user_word_fault
END fpu_xrstor_user

user_word_fault:
	CLAC
	movl	$-1, %eax
	ret

	.section .note.GNU-stack, "", @progbits
