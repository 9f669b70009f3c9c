/*
 * What this CPU can do, and switching it on.
 *
 * Every feature beyond plain long mode is optional: QEMU's qemu64 has none of CPUID leaf 7, and Ashlar runs there
 * without SMEP, SMAP and the rest.  cpu_detect() decides once, on the boot CPU, and everybody else asks cpu_features; a
 * later CPU that lacks something the boot CPU has would not be started.
 */
#include <asm/processor-flags.h>

#include "arch/x86_64/internal.h"
#include "lib/string.h"

struct cpu_features cpu_features;
struct cpu *cpus[CPUS_MAX];
uint32_t cpus_online;
uint64_t cpus_online_mask;

static struct cpu_features features_of_this_cpu(void)
{
	struct cpuid_regs basic = cpuid(0, 0), features = cpuid(1, 0), extended = cpuid(0x80000001, 0);
	struct cpu_features f = {
		.nx = extended.edx & BIT(20),
		.pages_1g = extended.edx & BIT(26),
		.xsave = (features.ecx & BIT(26)) && basic.eax >= 0xd,
		.rdrand = features.ecx & BIT(30),
		.machine_check = features.edx & BIT(7),
		.pat = features.edx & BIT(16),
	};

	if (f.xsave)
		f.xsaveopt = cpuid(0xd, 1).eax & BIT(0);
	if (basic.eax >= 7) {
		struct cpuid_regs leaf7 = cpuid(7, 0);

		f.fsgsbase = leaf7.ebx & BIT(0);
		f.smep = leaf7.ebx & BIT(7);
		f.smap = leaf7.ebx & BIT(20);
		f.umip = leaf7.ecx & BIT(2);
	}
	return f;
}

void cpu_detect(void)
{
	cpu_features = features_of_this_cpu();
	fpu_detect();
}

bool cpu_is_like_boot_cpu(void)
{
	struct cpu_features mine = features_of_this_cpu();
	const bool *has = (const bool *)&mine, *wanted = (const bool *)&cpu_features;

	for (size_t i = 0; i < sizeof(mine); i++)
		if (wanted[i] && !has[i])
			return false;
	return fpu_is_like_boot_cpu();
}

uint64_t cpu_hwcap(unsigned which)
{
	/* <asm/hwcap2.h>: bit 1, the FSGSBASE instructions may be used. AT_HWCAP is CPUID's own word. */
	return which == 0 ? cpuid(1, 0).edx : cpu_features.fsgsbase ? BIT(1) : 0;
}

static uint64_t cr4_wanted(void)
{
	const struct cpu_features *f = &cpu_features;
	uint64_t v = X86_CR4_DE | X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;

	if (f->machine_check)
		v |= X86_CR4_MCE; /* without it a machine check shuts the CPU down without a word */
	if (f->fsgsbase)
		v |= X86_CR4_FSGSBASE;
	if (f->smep)
		v |= X86_CR4_SMEP;
	if (f->smap)
		v |= X86_CR4_SMAP;
	if (f->umip)
		v |= X86_CR4_UMIP;
	if (f->xsave)
		v |= X86_CR4_OSXSAVE;
	return v;
}

void cpu_setup(struct arch_cpu *c, struct ist_top *const ist[IST_COUNT])
{
	gdt_load(c, ist); /* resets the GS base, so this comes first */
	c->cpu.self = &c->cpu;
	wrmsr(MSR_GS_BASE, (uint64_t)c);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	idt_load();
	machine_check_setup(); /* before they are let through */
	write_cr4(read_cr4() | cr4_wanted());

	if (cpu_features.pat)
		wrmsr(MSR_PAT, PAT_VALUE); /* nothing is mapped with the combination that changes */

	wrmsr(MSR_STAR, (uint64_t)GDT_USER_CS32 << 48 | (uint64_t)GDT_KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_CSTAR, (uint64_t)syscall_entry_compat);
	/* What a program must not carry into the kernel; the others are harmless. */
	wrmsr(MSR_SFMASK,
	      X86_EFLAGS_TF | X86_EFLAGS_IF | X86_EFLAGS_DF | X86_EFLAGS_IOPL | X86_EFLAGS_NT | X86_EFLAGS_RF |
		      X86_EFLAGS_AC | X86_EFLAGS_ID);
	if (cpu_features.tsc_aux)
		wrmsr(MSR_TSC_AUX, c->cpu.id); /* what RDTSCP and RDPID give programs */
	fpu_setup();
}

struct alternative {
	int32_t insn; /* relative to this field */
	uint8_t feature;
	uint8_t bytes[3];
};
extern const struct alternative __start_alternatives[], __stop_alternatives[];

/* Puts the optional instructions in place (asm.h), by way of the direct map since the image's own mapping is not
 * writable. */
void alternatives_apply(void)
{
	for (const struct alternative *a = __start_alternatives; a < __stop_alternatives; a++) {
		if (a->feature == ALT_SMAP && cpu_features.smap)
			memcpy(direct_map(kernel_phys((const char *)&a->insn + a->insn)), a->bytes, sizeof(a->bytes));
	}
	/* CPUID serialises: no CPU runs instructions it fetched before (SDM 3A 8.1.3). */
	cpuid(0, 0);
}

void cpu_serialise(void)
{
	cpuid(0, 0);
}

void cpu_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

static bool rdrand(uint64_t *v)
{
	/* Ten tries: SDM 1 7.3.17.1. */
	for (int i = 0; i < 10; i++) {
		bool ok;
		__asm__ volatile("rdrand %0" : "=r"(*v), "=@ccc"(ok));
		if (ok)
			return true;
	}
	return false;
}

size_t cpu_random(void *buf, size_t len)
{
	size_t done = 0;
	uint64_t v;

	if (!cpu_features.rdrand)
		return 0;
	while (done < len && rdrand(&v)) {
		size_t n = MIN(len - done, sizeof(v));
		memcpy((char *)buf + done, &v, n);
		done += n;
	}
	return done;
}
