/*
 * From the loader's 32-bit world to C in the upper half.
 *
 * How we get here.  The machine itself starts in real mode; firmware and loader have left that before us.  Both
 * protocols deliver a CPU in 32-bit protected mode, flat 4 GiB segments, paging off, interrupts off, A20 open:
 *
 *   PVH         EBX = physical address of hvm_start_info.  xen/include/public/arch-x86/hvm/start_info.h
 *   Multiboot2  EAX = 0x36d76289, EBX = physical address of the information.  Multiboot2 specification 3.3
 *
 * Everything else (GDT, stack, other registers) is unspecified.  .bss is zeroed by the loader in both (it is the part
 * of the ELF segment behind its file contents).
 *
 * Long mode is entered in the order SDM 3A 9.8.5 gives: PAE, CR3, EFER.LME, then CR0.PG, which makes the CPU run 32-bit
 * code inside long mode ("compatibility mode") until a far jump loads a 64-bit code segment.
 *
 * The page tables.  PG is switched on while EIP is physical, so for a few instructions virtual must equal physical.
 * The image is linked at KERNEL_BASE + physical address, so the same page directory serves both views: hung into the
 * tables a second time at address 0 it is the identity map. It takes no table of its own and vanishes by clearing two
 * entries.
 *
 *   root[0], root[511] → pdpt_kernel;  pdpt_kernel[0], [510] → pd_kernel → boot_pts: the image, 4 KiB pages, W^X
 *   root[273]          → pdpt_direct;  pdpt_direct[0] → pd_direct: physical 0..1 GiB, 2 MiB pages, RW-
 */
#include <xen/elfnote.h>
#include <asm/processor-flags.h>

#include "arch/x86_64/asm.h"

#define MB2_HEADER_MAGIC 0xe85250d6
#define MB2_BOOT_MAGIC 0x36d76289

#define ROOT_SLOT_DIRECT ((DIRECT_MAP_BASE >> 39) & 511)
#define PDPT_SLOT_KERNEL ((KERNEL_BASE >> 30) & 511)

/* Where the shadow of KERNEL_BASE is, by level of the tables. */
#define SHADOW_INDEX(shift) (((((KERNEL_BASE >> 3) & 0x1fffffffffffffff) + KASAN_SHADOW_OFFSET) >> (shift)) & 511)

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.quad PHYS(boot_pvh)

	/* Multiboot2 3.1: within the first 32 KiB of the file, 8-aligned. */
	.section .boot.header, "a", @progbits
	.balign 8
mb2_header:
	.long MB2_HEADER_MAGIC, 0, mb2_header_end - mb2_header
	.long 0x100000000 - MB2_HEADER_MAGIC - (mb2_header_end - mb2_header)
	/*
	 * Console flags: EGA text is supported, no console is required.  There is no framebuffer request on purpose:
	 * with it GRUB would set a graphics mode also where there is VGA text.  Without it a BIOS leaves us the text
	 * screen, and EFI, which has none, its framebuffer.
	 */
	.balign 8
	.short 4, 1
	.long 12, 2
	.balign 8
	.short 0, 0
	.long 8
mb2_header_end:

	.section .boot.text, "ax", @progbits
	.code32
	.globl boot_pvh, boot_multiboot2
boot_pvh:
	xorl	%edi, %edi
	jmp	boot_common

boot_multiboot2:
	cmpl	$MB2_BOOT_MAGIC, %eax
	movl	$PHYS(msg_loader), %esi
	jne	boot_stop
	movl	$1, %edi

boot_common:
	cli
	cld
	movl	$PHYS(idle_stack_top), %esp

	/* CPUID exists where EFLAGS.ID can be changed (SDM 1 3.4.3.3); before it there were no 64-bit CPUs. */
	pushfl
	popl	%eax
	movl	%eax, %ecx
	xorl	$X86_EFLAGS_ID, %eax
	pushl	%eax
	popfl
	pushfl
	popl	%eax
	cmpl	%eax, %ecx
	movl	$PHYS(msg_long_mode), %esi
	je	boot_stop

	movl	%ebx, %ebp			/* CPUID writes EBX */
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	boot_stop
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx			/* long mode */
	jnc	boot_stop
	movl	%ebp, boot_info_pa - KERNEL_BASE
	movl	%edi, boot_protocol - KERNEL_BASE
	xorl	%ebp, %ebp			/* upper half of a no-execute entry */
	btl	$20, %edx			/* NX */
	jnc	1f
	movl	$PTE_NX_HIGH, %ebp
1:
	/* Upper levels. */
	movl	$PHYS(boot_pdpt_kernel) + PTE_P + PTE_W, %eax
	movl	%eax, boot_root - KERNEL_BASE
	movl	%eax, boot_root + 511 * 8 - KERNEL_BASE
	movl	$PHYS(boot_pdpt_direct) + PTE_P + PTE_W, boot_root + ROOT_SLOT_DIRECT * 8 - KERNEL_BASE
	movl	$PHYS(boot_pd_kernel) + PTE_P + PTE_W, %eax
	movl	%eax, boot_pdpt_kernel - KERNEL_BASE
	movl	%eax, boot_pdpt_kernel + PDPT_SLOT_KERNEL * 8 - KERNEL_BASE
	movl	$PHYS(boot_pd_direct) + PTE_P + PTE_W, boot_pdpt_direct - KERNEL_BASE

	movl	$PHYS(boot_pts) + PTE_P + PTE_W, %eax
	movl	$PHYS(boot_pd_kernel), %edi
2:	movl	%eax, (%edi)
	addl	$PAGE_SIZE, %eax
	addl	$8, %edi
	cmpl	$PHYS(boot_pts_end) + PTE_P + PTE_W, %eax
	jb	2b

#if CONFIG_KASAN
	/* The image's shadow, so that C can run: frames poison their red zones from the first function on. */
	movl	$PHYS(kasan_pdpt) + PTE_P + PTE_W, boot_root + SHADOW_INDEX(39) * 8 - KERNEL_BASE
	movl	$PHYS(kasan_pd) + PTE_P + PTE_W, kasan_pdpt + SHADOW_INDEX(30) * 8 - KERNEL_BASE
	movl	$PHYS(kasan_pt) + PTE_P + PTE_W, kasan_pd + SHADOW_INDEX(21) * 8 - KERNEL_BASE
	movl	$PHYS(kasan_image_shadow) + PTE_P + PTE_W + PTE_A + PTE_D + PTE_G, %eax
	movl	$PHYS(kasan_pt), %edi
9:	movl	%eax, (%edi)
	movl	%ebp, 4(%edi)
	addl	$8, %edi
	addl	$PAGE_SIZE, %eax
	cmpl	$PHYS(kasan_image_shadow_end), %eax
	jb	9b
#endif
	/* The direct map's first GiB. */
	movl	$PTE_P + PTE_W + PTE_A + PTE_D + PTE_PS + PTE_G, %eax
	movl	$PHYS(boot_pd_direct), %edi
3:	movl	%eax, (%edi)
	movl	%ebp, 4(%edi)
	addl	$8, %edi
	addl	$0x200000, %eax
	cmpl	$0x40000000, %eax
	jb	3b

	/* The image: the entry for physical page p lies at boot_pts + p / PAGE_SIZE * 8. */
	.macro MAP_SECTION from, to, low, high
	movl	$PHYS(\from), %eax
	movl	%eax, %edi
	shrl	$(PAGE_SHIFT - 3), %edi
	addl	$PHYS(boot_pts), %edi
	orl	$\low, %eax
4:	movl	%eax, (%edi)
	movl	\high, 4(%edi)
	addl	$8, %edi
	addl	$PAGE_SIZE, %eax
	cmpl	$PHYS(\to), %eax
	jb	4b
	.endm
	MAP_SECTION __text_start, __text_end, PTE_P + PTE_A + PTE_G, $0
	MAP_SECTION __rodata_start, __rodata_end, PTE_P + PTE_A + PTE_G, %ebp
	MAP_SECTION __data_start, __kernel_end, PTE_P + PTE_W + PTE_A + PTE_D + PTE_G, %ebp

	/* Without the page below the idle stack. */
	movl	$PHYS(idle_stack_guard), %edi
	shrl	$(PAGE_SHIFT - 3), %edi
	movl	$0, boot_pts - KERNEL_BASE(%edi)
	movl	$0, boot_pts + 4 - KERNEL_BASE(%edi)

	movl	$X86_CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$PHYS(boot_root), %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$(EFER_LME | EFER_SCE), %eax
	testl	%ebp, %ebp
	jz	5f
	orl	$EFER_NXE, %eax			/* reserved bit where there is no NX */
5:	wrmsr
	/* Write-protect binds the kernel too; AM lets programs ask for alignment checks; MP and NE are how FP errors
	 * arrive as traps. */
	movl	$(X86_CR0_PG | X86_CR0_AM | X86_CR0_WP | X86_CR0_NE | X86_CR0_ET | X86_CR0_MP | X86_CR0_PE), %eax
	movl	%eax, %cr0
	lgdt	boot_gdt_ptr - KERNEL_BASE
	ljmp	$GDT_KERNEL_CS, $PHYS(boot_long)

/* Prints the text at ESI on COM1 and, in case, on the VGA text screen, and halts. */
boot_stop:
	movl	$0xb8000, %edi
	movb	$0x4f, %ah			/* white on red */
6:	lodsb
	testb	%al, %al
	jz	8f
	movw	%ax, (%edi)
	addl	$2, %edi
	movb	%al, %bl
	movw	$0x3fd, %dx
	movl	$100000, %ecx
7:	inb	%dx, %al
	testb	$0x20, %al
	loopz	7b
	movb	%bl, %al
	movw	$0x3f8, %dx
	outb	%al, %dx
	jmp	6b
8:	cli
	hlt
	jmp	8b

	.code64
boot_long:
	movq	$boot_high, %rax
	jmp	*%rax

	.balign 8
boot_gdt:
	.quad	0
	.quad	0x00cf9b000000ffff		/* GDT_BOOT_CS32 */
	.quad	0x00af9b000000ffff		/* GDT_KERNEL_CS */
	.quad	0x00cf93000000ffff		/* GDT_KERNEL_DS */
boot_gdt_ptr:
	.word	boot_gdt_ptr - boot_gdt - 1
	.long	PHYS(boot_gdt)

msg_long_mode:
	.asciz	"Ashlar: this CPU has no 64-bit mode (with QEMU use qemu-system-x86_64)\r\n"
msg_loader:
	.asciz	"Ashlar: not started by a Multiboot2 loader\r\n"

	.text
FUNC boot_high
	movq	$idle_stack_top, %rsp
	movl	$GDT_KERNEL_DS, %eax
	movl	%eax, %ss
	movl	%eax, %ds
	movl	%eax, %es
	xorl	%eax, %eax
	movl	%eax, %fs
	movl	%eax, %gs
	/* End of the identity map.  PGE comes after the flush: the shared entries are global, and none of them may stay
	 * cached at its low address. */
	movq	%rax, boot_root
	movq	%rax, boot_pdpt_kernel
	movq	%cr3, %rax
	movq	%rax, %cr3
	movq	%cr4, %rax
	orq	$X86_CR4_PGE, %rax
	movq	%rax, %cr4
	movl	boot_protocol, %edi
	movl	boot_info_pa, %esi
	xorl	%ebp, %ebp			/* where backtraces end */
	call	arch_start
	ud2
END boot_high

	.data
	.balign 4
boot_protocol:
	.long	0
boot_info_pa:
	.long	0

	.section .bss.page_aligned, "aw", @nobits
	.balign PAGE_SIZE
	.globl boot_root, boot_pdpt_direct, boot_pd_window
boot_root:
	.skip	PAGE_SIZE
boot_pdpt_kernel:
	.skip	PAGE_SIZE
boot_pd_kernel:
	.skip	PAGE_SIZE
boot_pdpt_direct:
	.skip	PAGE_SIZE
boot_pd_direct:
	.skip	PAGE_SIZE
#if CONFIG_KASAN
kasan_pdpt:
	.skip	PAGE_SIZE
kasan_pd:
	.skip	PAGE_SIZE
kasan_pt:					/* serves KERNEL_IMAGE_MAX / 8 */
	.skip	PAGE_SIZE
#endif

	/* The boot CPU's first stack, later its idle thread's. The guard page is not mapped. */
	.section .bss.idle_stack, "aw", @nobits
	.balign PAGE_SIZE
	.globl idle_stack_guard, idle_stack, idle_stack_top
idle_stack_guard:
	.skip	PAGE_SIZE
idle_stack:
	.skip	KSTACK_SIZE
idle_stack_top:

	.section .note.GNU-stack, "", @progbits
