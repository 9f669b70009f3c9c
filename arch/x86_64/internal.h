/*
 * What the files of arch/x86_64 tell one another and nobody else.
 */
#pragma once

#include <arch/context.h>
#include <arch/cpu.h>
#include <arch/layout.h>
#include <arch/trap.h>

#include "arch/x86_64/regs.h"
#include "core/boot_info.h"
#include "lib/types.h"

/* SDM 3A 7.7, 64-bit TSS. */
struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3;
	uint16_t iomap_base;
} packed_struct;
_Static_assert(sizeof(struct tss) == 104, "SDM 3A figure 7-11");

/*
 * A CPU's whole area.  The portable part comes first, so that GS leads to both.
 * Only touched by its CPU with interrupts off; gdt and tss are read by the hardware.
 */
struct arch_cpu {
	struct cpu cpu;
	struct arch_thread *thread; /* the current one's; NULL until the first switch */
	uint64_t live_fs, live_gs;  /* the user bases in the registers, unless a program with FSGSBASE changed them */
	uint64_t gdt[GDT_ENTRIES];
	struct tss tss aligned_to(8);
};
_Static_assert(offsetof(struct arch_cpu, cpu) == 0, "one GS base for both");

static always_inline struct arch_cpu *this_arch_cpu(void)
{
	return (struct arch_cpu *)this_cpu();
}

/* The running thread's part: one load, so right with interrupts on too, when this_arch_cpu() may be old by the next. */
static always_inline struct arch_thread *this_arch_thread(void)
{
	struct arch_thread *t;
	__asm__("mov %%gs:%c1, %0" : "=r"(t) : "i"(offsetof(struct arch_cpu, thread)));
	return t;
}

/*
 * The top of an interrupt stack.  The CPU always starts an IST stack at the same place, so what lies there can be found
 * from the frame without trusting GS: entry.S takes the CPU's own area from it.
 */
struct ist_top {
	struct arch_cpu *cpu;
	uint64_t pad;
};

/* cpu.c: what the CPU can do; immutable after cpu_detect(). Nothing but flags. */
struct cpu_features {
	bool nx, pages_1g, smep, smap, umip, fsgsbase, xsave, xsaveopt, rdrand, machine_check, pat, tsc_aux;
};
extern struct cpu_features cpu_features;
void cpu_detect(void);
/* Control registers, MSRs and descriptor tables of the CPU that runs this; GS base is c afterwards. Interrupts off. */
void cpu_setup(struct arch_cpu *c, struct ist_top *const ist[IST_COUNT]);
void alternatives_apply(void);
/* Whether this CPU has all that cpu_detect() found on the boot CPU. Before cpu_setup(). */
bool cpu_is_like_boot_cpu(void);

/* gdt.c, idt.c */
void gdt_load(struct arch_cpu *c, struct ist_top *const ist[IST_COUNT]);
void idt_init(void);
void idt_load(void);

/* smp.c: an NMI that is a panicking CPU's order to stop does not return. */
void smp_stop_here(const struct trap_frame *f);

/* fpu.c */
void fpu_detect(void);
bool fpu_is_like_boot_cpu(void);
void fpu_setup(void);
void fpu_switch_out(struct cpu *c, struct arch_thread *t);
/* The parts of signal frames that know the FP layout. `user` is 64-byte aligned and range-checked. 0 or -EFAULT. */
int fpu_frame_push(uint64_t user);
int fpu_frame_pop(uint64_t user);
size_t fpu_frame_bytes(void);

/* usercopy.S: one XSAVE to / XRSTOR from user memory, interrupts off. 0, or -1 if the CPU faulted. */
struct fpu_area;
int fpu_xsave_user(struct fpu_area *user, uint64_t features);
int fpu_xrstor_user(const struct fpu_area *user, uint64_t features);

/* entry.S */
extern char trap_stubs[], interrupt_stubs[], syscall_entry[], syscall_entry_compat[];
#define TRAP_STUB_BYTES 16

/* mcheck.c */
void machine_check_setup(void); /* this CPU's banks */
/* Logs what the banks say and clears them. True: corrected and over. On the trap's own stack. */
bool machine_check_can_go_on(void);
const char *machine_check_text(void); /* of the last one */
/* Counts it, and logs a cause the chip set knows. */
void nmi_note(const struct trap_frame *f);

/* switch.S */
struct thread *context_switch_stacks(uint64_t *prev_sp, uint64_t next_sp, struct thread *prev_thread);
extern char context_start[];

/* trap.c, called from entry.S */
void trap_enter(struct trap_frame *f, unsigned vector, uint64_t error_code);
void interrupt_enter(struct trap_frame *f);
struct trap_frame *trap_move_bad_iret(struct trap_frame *f);

/* start.c, boot protocols */
enum boot_protocol { BOOT_PVH, BOOT_MULTIBOOT2 };
noreturn void arch_start(enum boot_protocol protocol, uint32_t info);
/* Says why the machine cannot be used and stops: a loader's or the machine's fault, not ours. */
noreturn void boot_fail(const char *reason);
/* Copies from physical memory. False (with dst unspecified) where the direct map cannot reach. */
bool boot_read(void *dst, uint64_t pa, uint64_t len) must_check;
/* Copies a NUL-terminated string of at most size - 1 bytes; false if it was cut. */
bool boot_read_string(char *dst, uint64_t pa, size_t size);
void boot_set_cmdline(uint64_t pa);
void boot_add_range(uint64_t base, uint64_t len, uint32_t e820_type);
void boot_set_initrd(uint64_t base, uint64_t len);
void pvh_parse(uint64_t pa);
void multiboot2_parse(uint64_t pa);

static always_inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}

static always_inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};

static always_inline struct cpuid_regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid_regs r;
	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
	return r;
}

#define CR_ACCESSORS(cr)                                                  \
	static always_inline uint64_t read_##cr(void)                     \
	{                                                                 \
		uint64_t v;                                               \
		__asm__ volatile("mov %%" #cr ", %0" : "=r"(v));          \
		return v;                                                 \
	}                                                                 \
	static always_inline void write_##cr(uint64_t v)                  \
	{                                                                 \
		__asm__ volatile("mov %0, %%" #cr : : "r"(v) : "memory"); \
	}
CR_ACCESSORS(cr0)
CR_ACCESSORS(cr3)
CR_ACCESSORS(cr4)

static always_inline uint64_t read_cr2(void)
{
	uint64_t v;
	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

/* The FS base, and GS's user base, which in the kernel is the one SWAPGS holds. Interrupts off. */
static always_inline uint64_t rdfsbase(void)
{
	uint64_t v;
	__asm__ volatile("rdfsbase %0" : "=r"(v));
	return v;
}

static always_inline void wrfsbase(uint64_t v)
{
	__asm__ volatile("wrfsbase %0" : : "r"(v));
}

/* Which physical address an address inside the kernel image has. */
static always_inline uint64_t kernel_phys(const void *p)
{
	return (uint64_t)p - KERNEL_BASE;
}

static always_inline void *direct_map(uint64_t pa)
{
	return (void *)(DIRECT_MAP_BASE + pa);
}
