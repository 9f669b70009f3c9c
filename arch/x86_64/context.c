/*
 * Switching between threads: everything a CPU holds for a thread besides its memory.
 *
 *   callee-saved registers, stack   switch.S; the rest of the registers is dead across a call
 *   kernel_sp, TSS.RSP0             where the next entry from user mode starts: SYSCALL uses the first, interrupts the
 *   second FS and GS base of programs      below
 *   FP and vector registers         fpu.c
 *
 * The bases.  Kernel threads have none and leave the last program's where they are.  struct arch_cpu remembers what it
 * loaded, and loads only what differs: mostly FS changes (the thread pointer) and GS stays 0.  With FSGSBASE a program
 * can change its bases without us, so they are read back when it is switched out; without it, only arch_prctl() changes
 * them and the fields are the truth. Selectors of FS, GS, DS, ES are not switched: in 64-bit mode they mean nothing,
 * and loading one resets a base as the CPU likes.
 *
 * Locking: none. A thread's arch_thread is touched by the CPU that runs or switches it, with interrupts off.
 */
#include <asm/processor-flags.h>

#include "arch/x86_64/internal.h"
#include "core/panic.h"
#include "lib/string.h"

/* GS's user base sits in the other half of SWAPGS while we are in the kernel. Interrupts off; NMI copes (entry.S). */
static uint64_t user_gs_read(void)
{
	return rdmsr(MSR_KERNEL_GS_BASE);
}

static void user_gs_write(uint64_t base)
{
	wrmsr(MSR_KERNEL_GS_BASE, base);
}

static void user_fs_write(uint64_t base)
{
	if (cpu_features.fsgsbase)
		wrfsbase(base);
	else
		wrmsr(MSR_FS_BASE, base);
}

static void bases_save(struct arch_cpu *c, struct arch_thread *t)
{
	if (!cpu_features.fsgsbase)
		return;
	c->live_fs = t->fs_base = rdfsbase();
	c->live_gs = t->gs_base = user_gs_read();
}

static void bases_load(struct arch_cpu *c, const struct arch_thread *t)
{
	if (t->fs_base != c->live_fs) {
		c->live_fs = t->fs_base;
		user_fs_write(t->fs_base);
	}
	if (t->gs_base != c->live_gs) {
		c->live_gs = t->gs_base;
		user_gs_write(t->gs_base);
	}
}

void context_init(struct arch_thread *t, void *stack_top, void (*entry)(void *arg), void *arg)
{
	uint64_t *sp = stack_top;

	*t = (struct arch_thread){.stack_top = (uint64_t)stack_top, .fpu_cpu = FPU_ON_NO_CPU};
	/* A program's frame always has its place at the top; one word more keeps the stack aligned when entry is
	 * called. */
	sp -= sizeof(struct trap_frame) / sizeof(*sp) + 1;
	*--sp = (uint64_t)context_start;
	*--sp = 0;		 /* rbp */
	*--sp = (uint64_t)entry; /* rbx */
	*--sp = (uint64_t)arg;	 /* r12 */
	*--sp = 0;
	*--sp = 0;
	*--sp = 0; /* r15 */
	t->sp = (uint64_t)sp;
}

struct thread *context_switch(struct arch_thread *prev, struct arch_thread *next, struct thread *prev_thread,
			      struct thread *next_thread)
{
	struct arch_cpu *c = this_arch_cpu();

	if (prev->fpu) {
		bases_save(c, prev);
		fpu_switch_out(&c->cpu, prev);
	}
	c->thread = next;
	c->cpu.current = next_thread;
	c->cpu.kernel_sp = next->stack_top;
	c->tss.rsp[0] = next->stack_top;
	if (next->fpu) {
		bases_load(c, next);
		uint32_t work = next->switch_work;
		if (c->cpu.fpu_owner != next_thread || next->fpu_cpu != c->cpu.id)
			work |= WORK_FPU;
		if (work)
			__atomic_fetch_or(&next->work, work, __ATOMIC_RELAXED);
	}
	return context_switch_stacks(&prev->sp, next->sp, prev_thread);
}

void context_adopt(struct arch_thread *t, void *stack_top, struct thread *thread)
{
	irqflags_t flags = irq_save();
	struct arch_cpu *c = this_arch_cpu();

	*t = (struct arch_thread){.stack_top = (uint64_t)stack_top, .fpu_cpu = FPU_ON_NO_CPU};
	c->thread = t;
	c->cpu.current = thread;
	c->cpu.kernel_sp = t->stack_top;
	c->tss.rsp[0] = t->stack_top;
	irq_restore(flags);
}

bool context_saved_place(const struct arch_thread *t, const void *stack, vaddr_t *ip, uint64_t *fp)
{
	const uint64_t *sp = (const uint64_t *)READ_ONCE(t->sp);

	/* what context_switch_stacks() pushed: six registers, RBP the last but one, and its return address */
	if ((const void *)sp < stack || (uint64_t)(sp + 7) > t->stack_top || !IS_ALIGNED((uint64_t)sp, 8))
		return false;
	*fp = sp[5];
	*ip = vaddr(sp[6]);
	return true;
}

void context_user_frame_init(struct trap_frame *f, vaddr_t ip, vaddr_t sp)
{
	*f = (struct trap_frame){
		.orig_rax = (uint64_t)-1,
		.rip = ip.v,
		.cs = GDT_USER_CS,
		.rflags = X86_EFLAGS_FIXED | X86_EFLAGS_IF,
		.rsp = sp.v,
		.ss = GDT_USER_DS,
	};
}

void context_set_tls(struct arch_thread *t, uint64_t base)
{
	irqflags_t flags = irq_save();
	struct arch_cpu *c = this_arch_cpu();

	t->fs_base = base;
	if (c->thread == t) {
		c->live_fs = base;
		user_fs_write(base);
	}
	irq_restore(flags);
}

void context_set_gs(struct arch_thread *t, uint64_t base)
{
	irqflags_t flags = irq_save();
	struct arch_cpu *c = this_arch_cpu();

	t->gs_base = base;
	if (c->thread == t) {
		c->live_gs = base;
		user_gs_write(base);
	}
	irq_restore(flags);
}

void context_save_tls(struct arch_thread *t)
{
	irqflags_t flags = irq_save();
	struct arch_cpu *c = this_arch_cpu();

	if (c->thread == t)
		bases_save(c, t);
	irq_restore(flags);
}

void context_user_frame_sanitize(struct trap_frame *f)
{
	const uint64_t allowed = X86_EFLAGS_CF | X86_EFLAGS_PF | X86_EFLAGS_AF | X86_EFLAGS_ZF | X86_EFLAGS_SF |
		X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_OF | X86_EFLAGS_RF | X86_EFLAGS_AC | X86_EFLAGS_ID;

	f->rflags = (f->rflags & allowed) | X86_EFLAGS_FIXED | X86_EFLAGS_IF;
	if (f->cs != GDT_USER_CS32)
		f->cs = GDT_USER_CS;
	f->ss = GDT_USER_DS;
}
