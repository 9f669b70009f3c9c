/*
 * Floating-point and vector registers of programs (SDM 1 chapter 13).
 *
 * The kernel itself never uses them (-mgeneral-regs-only), so they need not be switched on kernel entry, and stay in
 * the CPU until another program needs it:
 *
 *   - Registers belong to cpu->fpu_owner.  They are valid for a thread when it is the owner on this CPU and this was
 *     the CPU that loaded them last (arch_thread.fpu_cpu): a thread that went elsewhere and came back must not find its
 *     old values.
 *   - Switching out saves them (the area is then as good as the registers); switching in only sets WORK_FPU if they are
 *     not valid.  The load happens on the way to user mode, so a thread that wakes, sleeps again and never leaves the
 *     kernel costs nothing.
 *   - WORK_FPU set: the area is the truth.  WORK_FPU clear and thread current: the registers are.
 *
 * The area is what XSAVE's standard format says (13.4), or FXSAVE's 512 bytes on older CPUs.  Bytes 464..511 are
 * software's: the signal frame's description of itself (struct _fpx_sw_bytes) stands there all the time, so that an
 * area can be copied out in one go.
 *
 * Rejected: trapping the first FP instruction by CR0.TS (#NM). Every program uses SSE in memcpy, so the trap would be
 * taken every time.
 *
 * Locking: interrupts off while owner and registers are looked at together. Failure: a state the CPU refuses to load
 * (only a corrupt one) becomes the initial state.
 */
#include <asm/errno.h>
#include <asm/sigcontext.h>

#include <arch/usercopy.h>
#include "arch/x86_64/internal.h"
#include "core/panic.h"
#include "lib/string.h"

#define XFEATURE_FP BIT(0)
#define XFEATURE_SSE BIT(1)
#define XFEATURE_AVX BIT(2)
#define XFEATURE_AVX512 (BIT(5) | BIT(6) | BIT(7)) /* all or none, SDM 1 13.3 */

#define FXSAVE_BYTES 512
#define XSAVE_HEADER_OFFSET 512
#define XSAVE_HEADER_BYTES 64
#define FCW_INIT 0x037f
#define MXCSR_INIT 0x1f80

/* The legacy region (SDM 1 table 13-1); the rest by offset only. */
struct fpu_legacy {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t rip, rdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[128], xmm[256], reserved2[48];
	struct _fpx_sw_bytes sw;
};
_Static_assert(sizeof(struct fpu_legacy) == FXSAVE_BYTES, "SDM 1 table 13-1");
_Static_assert(offsetof(struct fpu_legacy, sw) == 464, "bytes free for software");

struct fpu_area {
	struct fpu_legacy legacy;
	uint64_t xstate_bv, xcomp_bv, header_reserved[6]; /* only with XSAVE */
};

/* Immutable after the boot CPU's fpu_setup(). */
static uint64_t xfeatures; /* 0: no XSAVE */
static size_t area_bytes;
static uint32_t mxcsr_allowed;

static uint64_t xfeatures_of_this_cpu(void)
{
	uint64_t f = 0;

	if (cpu_features.xsave) {
		f = cpuid(0xd, 0).eax & (XFEATURE_FP | XFEATURE_SSE | XFEATURE_AVX | XFEATURE_AVX512);
		if ((f & XFEATURE_AVX512) != XFEATURE_AVX512)
			f &= ~XFEATURE_AVX512;
	}
	return f;
}

void fpu_detect(void)
{
	xfeatures = xfeatures_of_this_cpu();
}

bool fpu_is_like_boot_cpu(void)
{
	return (xfeatures_of_this_cpu() & xfeatures) == xfeatures;
}

/* Each CPU: the features named in XCR0 are those programs may use and XSAVE saves. */
void fpu_setup(void)
{
	if (xfeatures)
		__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)xfeatures), "d"((uint32_t)(xfeatures >> 32)));
	__asm__ volatile("fninit");
	if (mxcsr_allowed)
		return; /* the boot CPU has looked */
	static struct fpu_legacy probe aligned_to(64);

	area_bytes = xfeatures ? cpuid(0xd, 0).ebx : FXSAVE_BYTES; /* for the features just enabled */
	__asm__ volatile("fxsaveq %0" : "=m"(probe));
	mxcsr_allowed = probe.mxcsr_mask ? probe.mxcsr_mask : 0xffbf; /* SDM 1 11.6.6 */
}

size_t fpu_area_bytes(void)
{
	return area_bytes;
}

static void sw_bytes_set(struct fpu_area *a)
{
	a->legacy.sw = (struct _fpx_sw_bytes){0};
	if (xfeatures) {
		a->legacy.sw.magic1 = FP_XSTATE_MAGIC1;
		a->legacy.sw.extended_size = (uint32_t)(area_bytes + FP_XSTATE_MAGIC2_SIZE);
		a->legacy.sw.xfeatures = xfeatures;
		a->legacy.sw.xstate_size = (uint32_t)area_bytes;
	}
}

void fpu_area_init(void *area)
{
	struct fpu_area *a = area;

	memset(a, 0, area_bytes);
	a->legacy.fcw = FCW_INIT;
	a->legacy.mxcsr = MXCSR_INIT;
	sw_bytes_set(a);
}

/* The same state for an area that was valid before: with XSAVE a feature whose bit is clear is in its initial state. */
static void area_reset(struct fpu_area *a)
{
	if (!xfeatures) {
		fpu_area_init(a);
		return;
	}
	a->legacy.mxcsr = MXCSR_INIT; /* is loaded in any case, SDM 1 13.8.1 */
	a->xstate_bv = 0;
}

/* Writes all of the state, also what is in its initial configuration: for readers that look at it as plain memory. */
static void registers_store(struct fpu_area *a)
{
	if (xfeatures)
		__asm__ volatile("xsaveq %0"
				 : "+m"(*a)
				 : "a"((uint32_t)xfeatures), "d"((uint32_t)(xfeatures >> 32))
				 : "memory");
	else
		__asm__ volatile("fxsaveq %0" : "=m"(a->legacy) : : "memory");
}

/* Behind the instruction at 1, with `failed` as operand 0: where it faults, failed becomes 1. */
#define FAULT_SETS_FAILED                    \
	"2:\n"                               \
	".pushsection .text.fixup, \"ax\"\n" \
	"3: movl $1, %0\n"                   \
	"jmp 2b\n"                           \
	".popsection\n"                      \
	".pushsection .extable, \"a\"\n"     \
	".balign 4\n"                        \
	".long 1b - ., 3b - .\n"             \
	".popsection\n"

/* False if the CPU refuses the contents; the registers are then undefined. */
static bool registers_load(const struct fpu_area *a)
{
	int failed = 0;

	if (xfeatures)
		__asm__ volatile("1: xrstorq %1\n" FAULT_SETS_FAILED
				 : "+r"(failed)
				 : "m"(*a), "a"((uint32_t)xfeatures), "d"((uint32_t)(xfeatures >> 32))
				 : "memory");
	else
		__asm__ volatile("1: fxrstorq %1\n" FAULT_SETS_FAILED : "+r"(failed) : "m"(a->legacy) : "memory");
	return !failed;
}

/* On the way out of the CPU. XSAVEOPT skips what has not changed since this area was loaded here. */
void fpu_switch_out(struct cpu *c, struct arch_thread *t)
{
	struct fpu_area *a = t->fpu;

	if (c->fpu_owner != c->current || t->fpu_cpu != c->id)
		return;
	if (cpu_features.xsaveopt)
		__asm__ volatile("xsaveoptq %0"
				 : "+m"(*a)
				 : "a"((uint32_t)xfeatures), "d"((uint32_t)(xfeatures >> 32))
				 : "memory");
	else
		registers_store(a);
}

static bool registers_valid(const struct arch_cpu *c)
{
	return c->cpu.fpu_owner == c->cpu.current && c->thread->fpu_cpu == c->cpu.id;
}

static void registers_own(struct arch_cpu *c)
{
	c->cpu.fpu_owner = c->cpu.current;
	c->thread->fpu_cpu = c->cpu.id;
	__atomic_fetch_and(&c->thread->work, ~(uint32_t)WORK_FPU, __ATOMIC_RELAXED);
}

void fpu_load_current(void)
{
	struct arch_cpu *c = this_arch_cpu();
	struct fpu_area *a = c->thread->fpu;

	if (!registers_load(a)) {
		fpu_area_init(a);
		BUG_ON(!registers_load(a));
	}
	registers_own(c);
}

void fpu_save_current(void)
{
	irqflags_t flags = irq_save();
	struct arch_cpu *c = this_arch_cpu();

	if (c->thread->fpu && registers_valid(c))
		registers_store(c->thread->fpu);
	irq_restore(flags);
}

void fpu_forget(struct arch_thread *t)
{
	t->fpu_cpu = FPU_ON_NO_CPU;
	__atomic_fetch_or(&t->work, WORK_FPU, __ATOMIC_RELAXED);
}

size_t fpu_frame_bytes(void)
{
	return xfeatures ? area_bytes + FP_XSTATE_MAGIC2_SIZE : FXSAVE_BYTES;
}

/*
 * Registers straight into the program's memory, when that is possible without a fault: one instruction instead of a
 * copy.  Interrupts are off, so that the registers stay ours; a fault therefore cannot be resolved here, ends at the
 * fix-up, and the caller takes the slow way.
 */
static bool registers_store_user(uint64_t user)
{
	struct fpu_area *a = (struct fpu_area *)user;
	bool ok = false;
	irqflags_t flags = irq_save();

	if (xfeatures) {
		if (!registers_valid(this_arch_cpu()))
			fpu_load_current();
		ok = fpu_xsave_user(a, xfeatures) == 0;
	}
	irq_restore(flags);
	return ok;
}

/* All of the state into the current thread's area, also when it was only there already but without what XSAVEOPT may
 * leave out. */
static void registers_store_area(struct fpu_area *a)
{
	irqflags_t flags = irq_save();

	if (!registers_valid(this_arch_cpu()))
		fpu_load_current();
	registers_store(a);
	irq_restore(flags);
}

int fpu_frame_push(uint64_t user)
{
	struct fpu_area *a = this_arch_thread()->fpu;
	uint64_t present;

	/* XSAVE does not write the whole header; this also brings the page in. */
	if (xfeatures && arch_clear_user(user + XSAVE_HEADER_OFFSET, XSAVE_HEADER_BYTES))
		return -EFAULT;
	if (registers_store_user(user)) {
		if (arch_copy_to_user(user + offsetof(struct fpu_legacy, sw), &a->legacy.sw, sizeof(a->legacy.sw)))
			return -EFAULT;
	} else {
		registers_store_area(a);
		if (arch_copy_to_user(user, a, area_bytes))
			return -EFAULT;
	}
	/* Legacy readers change x87 and SSE state without knowing of the header: both are to be loaded in any case. */
	if (xfeatures &&
	    (arch_get_user_u64(&present, user + XSAVE_HEADER_OFFSET) ||
	     arch_put_user_u64(user + XSAVE_HEADER_OFFSET, present | XFEATURE_FP | XFEATURE_SSE) ||
	     arch_put_user_u32(user + area_bytes, FP_XSTATE_MAGIC2)))
		return -EFAULT;
	fpu_forget(this_arch_thread());
	area_reset(a);
	return 0;
}

/* Does the frame at `user` describe itself as a whole extended state of ours? Otherwise only its first 512 bytes are
 * state. */
static int frame_is_extended(uint64_t user, bool *extended)
{
	struct _fpx_sw_bytes sw;
	uint32_t magic2;

	*extended = false;
	if (!xfeatures)
		return 0;
	if (arch_copy_from_user(&sw, user + offsetof(struct fpu_legacy, sw), sizeof(sw)))
		return -EFAULT;
	if (sw.magic1 != FP_XSTATE_MAGIC1 || sw.xstate_size != area_bytes ||
	    sw.extended_size != area_bytes + FP_XSTATE_MAGIC2_SIZE)
		return 0;
	if (arch_get_user_u32(&magic2, user + area_bytes))
		return -EFAULT;
	*extended = magic2 == FP_XSTATE_MAGIC2 && (sw.xfeatures & ~xfeatures) == 0;
	return 0;
}

/* What a program wrote there, made loadable (SDM 1 13.8.1 lists what XRSTOR refuses). */
static void area_sanitize(struct fpu_area *a, bool extended)
{
	a->legacy.mxcsr &= mxcsr_allowed;
	sw_bytes_set(a);
	if (!xfeatures)
		return;
	a->xstate_bv = extended ? a->xstate_bv & xfeatures : XFEATURE_FP | XFEATURE_SSE;
	a->xcomp_bv = 0;
	memset(a->header_reserved, 0, sizeof(a->header_reserved));
}

int fpu_frame_pop(uint64_t user)
{
	struct arch_thread *t = this_arch_thread();
	bool extended;
	int err;

	if (!user) { /* the program wants no state: the initial one */
		fpu_forget(t);
		area_reset(t->fpu);
		return 0;
	}
	err = frame_is_extended(user, &extended);
	if (err)
		return err;
	if (extended && IS_ALIGNED(user, 64)) {
		irqflags_t flags = irq_save();
		bool ok = fpu_xrstor_user((const struct fpu_area *)user, xfeatures) == 0;

		if (ok)
			registers_own(this_arch_cpu());
		else if (this_arch_cpu()->cpu.fpu_owner)
			this_arch_cpu()->cpu.fpu_owner = NULL; /* whoever's they were, they may be half overwritten */
		irq_restore(flags);
		if (ok)
			return 0;
	}
	/* From here on the area is being overwritten, so the registers, current until now, must not be saved
	 * over it. */
	fpu_forget(t);
	if (arch_copy_from_user(t->fpu, user, extended ? area_bytes : FXSAVE_BYTES)) {
		fpu_area_init(t->fpu);
		return -EFAULT;
	}
	area_sanitize(t->fpu, extended);
	return 0;
}
