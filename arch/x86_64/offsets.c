/*
 * Offsets of C structures for the assembly.  Compiled to assembly only; the build turns each `->NAME value` line of the
 * result into a #define in <arch/offsets.h>.
 */
#include <asm/errno.h>

#include "arch/x86_64/internal.h"
#include <arch/context.h>
#include <arch/trap.h>

#define EMIT(name, value) __asm__ volatile("\n->" #name " %0" : : "i"(value))
#define FRAME(name, field) EMIT(name, offsetof(struct trap_frame, field))

void offsets_emit(void);
void offsets_emit(void)
{
	FRAME(F_R15, r15);
	FRAME(F_R14, r14);
	FRAME(F_R13, r13);
	FRAME(F_R12, r12);
	FRAME(F_RBP, rbp);
	FRAME(F_RBX, rbx);
	FRAME(F_R11, r11);
	FRAME(F_R10, r10);
	FRAME(F_R9, r9);
	FRAME(F_R8, r8);
	FRAME(F_RAX, rax);
	FRAME(F_RCX, rcx);
	FRAME(F_RDX, rdx);
	FRAME(F_RSI, rsi);
	FRAME(F_RDI, rdi);
	FRAME(F_ORIG_RAX, orig_rax);
	FRAME(F_RIP, rip);
	FRAME(F_CS, cs);
	FRAME(F_RFLAGS, rflags);
	FRAME(F_RSP, rsp);
	FRAME(F_SS, ss);
	EMIT(FRAME_SIZE, sizeof(struct trap_frame));
	EMIT(CPU_SELF, offsetof(struct cpu, self));
	EMIT(CPU_CURRENT, offsetof(struct cpu, current));
	EMIT(CPU_KERNEL_SP, offsetof(struct cpu, kernel_sp));
	EMIT(CPU_USER_SP, offsetof(struct cpu, user_sp_save));
	EMIT(MINUS_ENOSYS, -ENOSYS);
}
