/*
 * The CPU's own account of itself, in the form /proc/cpuinfo has on Linux (man 5 proc): programs look for its keys and
 * for the names of the flags, which are therefore Linux's.  Instruction sets whose registers the kernel does not switch
 * are left out.
 */
#include <stdarg.h>

#include "arch/x86_64/internal.h"
#include <arch/time.h>
#include "lib/printf.h"
#include "lib/string.h"

struct feature_names {
	uint32_t leaf, subleaf;
	enum { EAX, EBX, ECX, EDX } reg;
	const char *names[32]; /* by bit; NULL or absent: not shown */
};

/* clang-format off */
static const struct feature_names feature_words[] = {
	{1, 0, EDX,
	 {"fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", NULL, "sep", "mtrr", "pge", "mca", "cmov",
	  "pat", "pse36", "pn", "clflush", NULL, "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm", "ia64",
	  "pbe"}},
	{0x80000001, 0, EDX,
	 {[11] = "syscall", [19] = "mp", [20] = "nx", [22] = "mmxext", [25] = "fxsr_opt", "pdpe1gb", "rdtscp",
	  [29] = "lm", "3dnowext", "3dnow"}},
	{1, 0, ECX,
	 {"pni", "pclmulqdq", "dtes64", "monitor", "ds_cpl", "vmx", "smx", "est", "tm2", "ssse3", "cid", "sdbg", "fma",
	  "cx16", "xtpr", "pdcm", NULL, "pcid", "dca", "sse4_1", "sse4_2", "x2apic", "movbe", "popcnt",
	  "tsc_deadline_timer", "aes", "xsave", NULL, "avx", "f16c", "rdrand", "hypervisor"}},
	{0x80000001, 0, ECX,
	 {"lahf_lm", "cmp_legacy", "svm", "extapic", "cr8_legacy", "abm", "sse4a", "misalignsse", "3dnowprefetch",
	  "osvw", "ibs", "xop", "skinit", "wdt", [15] = "lwp", "fma4", [21] = "tbm"}},
	{7, 0, EBX,
	 {[0] = "fsgsbase", "tsc_adjust", [3] = "bmi1", "hle", "avx2", [7] = "smep", "bmi2", "erms", "invpcid", "rtm",
	  [16] = "avx512f", "avx512dq", "rdseed", "adx", "smap", "avx512ifma", [23] = "clflushopt", "clwb",
	  [26] = "avx512pf", "avx512er", "avx512cd", "sha_ni", "avx512bw", "avx512vl"}},
	{0xd, 1, EAX, {"xsaveopt", "xsavec", "xgetbv1", "xsaves"}},
	{7, 0, ECX,
	 {[1] = "avx512vbmi", "umip", [6] = "avx512_vbmi2", [8] = "gfni", "vaes", "vpclmulqdq", "avx512_vnni",
	  "avx512_bitalg", [14] = "avx512_vpopcntdq", [16] = "la57", [22] = "rdpid"}},
	{7, 0, EDX, {[4] = "fsrm"}},
};
/* clang-format on */

/* Appends to a text that may already be longer than its buffer. */
struct text {
	char *buf;
	size_t size, len;
};

static void printf_like(2, 3) text_add(struct text *t, const char *fmt, ...)
{
	size_t at = MIN(t->len, t->size);
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->size ? t->buf + at : NULL, t->size - at, fmt, args);
	va_end(args);
	if (n > 0)
		t->len += (size_t)n;
}

static bool leaf_present(uint32_t leaf)
{
	return leaf <= cpuid(leaf & 0x80000000, 0).eax;
}

static void text_add_flags(struct text *t)
{
	text_add(t, "flags\t\t:");
	for (size_t i = 0; i < ARRAY_SIZE(feature_words); i++) {
		const struct feature_names *w = &feature_words[i];
		struct cpuid_regs r;
		uint32_t bits;

		if (!leaf_present(w->leaf))
			continue;
		r = cpuid(w->leaf, w->subleaf);
		bits = w->reg == EAX ? r.eax : w->reg == EBX ? r.ebx : w->reg == ECX ? r.ecx : r.edx;
		for (unsigned bit = 0; bit < 32; bit++) {
			if ((bits & BIT(bit)) && w->names[bit])
				text_add(t, " %s", w->names[bit]);
		}
	}
	text_add(t, "\n");
}

const char *cpu_model_name(void)
{
	static char name[49];
	const char *start = name;

	if (!leaf_present(0x80000004))
		return "unknown";
	if (!name[0]) {
		for (uint32_t i = 0; i < 3; i++) {
			struct cpuid_regs r = cpuid(0x80000002 + i, 0);
			memcpy(name + i * sizeof(r), &r, sizeof(r));
		}
	}
	while (*start == ' ')
		start++;
	return *start ? start : "unknown";
}

/* SDM 2A, CPUID, figure 3-6. */
static void text_add_identity(struct text *t)
{
	struct cpuid_regs basic = cpuid(0, 0), version = cpuid(1, 0);
	uint32_t family = version.eax >> 8 & 15, model = version.eax >> 4 & 15;
	char vendor[13];

	memcpy(vendor, &basic.ebx, 4);
	memcpy(vendor + 4, &basic.edx, 4);
	memcpy(vendor + 8, &basic.ecx, 4);
	vendor[12] = 0;
	if (family == 6 || family == 15)
		model |= (version.eax >> 16 & 15) << 4;
	if (family == 15)
		family += version.eax >> 20 & 255;
	text_add(t, "vendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", vendor,
		 family, model, cpu_model_name(), version.eax & 15);
}

size_t cpu_describe(const struct cpu *c, char *buf, size_t len)
{
	struct text t = {buf, len, 0};
	uint64_t khz = time_tsc_khz();
	uint32_t sizes = leaf_present(0x80000008) ? cpuid(0x80000008, 0).eax : 36 | 48 << 8;
	uint32_t line_bytes = cpuid(1, 0).ebx >> 8 & 255;

	text_add(&t, "processor\t: %u\n", c->id);
	text_add_identity(&t);
	text_add(&t, "cpu MHz\t\t: %llu.%03llu\n", (unsigned long long)khz / 1000, (unsigned long long)khz % 1000);
	text_add(&t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\n",
		 cpus_online, c->id, cpus_online, c->hardware_id);
	text_add(&t, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n", cpuid(0, 0).eax);
	text_add_flags(&t);
	/* Linux takes it from the calibrated clock as well where there is a TSC: two loops a cycle. */
	text_add(&t, "bogomips\t: %llu.%02llu\n", (unsigned long long)khz / 500, (unsigned long long)khz / 5 % 100);
	text_add(&t, "clflush size\t: %u\ncache_alignment\t: %u\n", line_bytes * 8, CACHE_LINE);
	text_add(&t, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n", sizes & 255,
		 sizes >> 8 & 255);
	return t.len;
}
