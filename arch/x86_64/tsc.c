/*
 * The TSC's rate, and the local APIC timer's.
 *
 * Where CPUID or the hypervisor says it, that is it and nothing is waited for. Else both are measured in ONE window of
 * WINDOW_NS against a source of known rate. The window is short, because under `qemu -icount` and in the boot-time
 * table every nanosecond of waiting is an instruction: 200 µs give a rate good to a few parts in a thousand.
 * time_refine() repeats the measurement a second later over the second that passed anyway, which makes it a few parts
 * in a million. The clock does not jump then; what it was off by (milliseconds at most) stays.
 *
 * A sample is a moment where the reference was seen to step, with the TSC taken on both sides of the step; of a few
 * steps the one with the narrowest bracket counts, so that a host that takes the CPU away at the wrong moment spoils
 * nothing.
 *
 * Usable is a TSC that counts at a rate that makes sense, unless the command line says tsc=unstable. All x86-64 CPUs
 * have one, and every machine made or emulated since 2010 runs it at a constant rate in all power states.
 *
 * Rejected: a longer window at boot; correcting the offset by slewing (nobody compares the first second's monotonic
 * time with anything).
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "arch/x86_64/clock.h"
#include "arch/x86_64/internal.h"
#include "arch/x86_64/irqchip.h"
#include "core/log.h"

#define WINDOW_NS 100000ull
#define WINDOW_FINAL_NS 800000ull /* where no second look is possible */
#define SAMPLE_LOOKS 20000	  /* bound for one sample; the RTC steps every 122 µs */
#define SAMPLE_STEPS 3
#define TSC_HZ_MIN 10000000ull
#define TSC_HZ_MAX 20000000000ull

struct sample {
	uint64_t tsc, bracket; /* when the reference stepped to ref; width of the interval it lies in */
	uint64_t ref;
	uint64_t apic_tsc; /* when the APIC timer stood at apic */
	uint32_t apic;
};

uint64_t tsc_apic_hz;
static bool exact;			    /* told, not measured */
static const struct clocksource *reference; /* kept for time_refine() */
static struct sample first_sample;

static bool sane(uint64_t hz)
{
	return hz >= TSC_HZ_MIN && hz <= TSC_HZ_MAX;
}

/*
 * What CPUID says: leaf 0x15 (crystal and ratio), 0x16 (base MHz, no better than its unit), or the hypervisor's
 * 0x40000010 (SDM 2A; VMware's timing leaf, also QEMU's). Hz, 0: silent. Also the APIC timer's rate where it comes
 * with it.
 */
static uint64_t cpuid_tsc_hz(void)
{
	uint32_t max = cpuid(0, 0).eax;
	if (cpuid(1, 0).ecx & BIT(31)) {
		uint32_t hv_max = cpuid(0x40000000, 0).eax;
		if (hv_max >= 0x40000010 && hv_max < 0x40010000) {
			struct cpuid_regs r = cpuid(0x40000010, 0);
			if (sane(r.eax * 1000ull)) {
				tsc_apic_hz = r.ebx * 1000ull;
				return r.eax * 1000ull;
			}
		}
	}
	if (max >= 0x15) {
		struct cpuid_regs r = cpuid(0x15, 0);
		if (r.eax && r.ebx && r.ecx) {
			tsc_apic_hz = r.ecx;
			return (uint64_t)r.ecx * r.ebx / r.eax;
		}
	}
	if (max >= 0x16) {
		uint64_t mhz = cpuid(0x16, 0).eax & 0xffff;
		if (mhz >= 100)
			return mhz * 1000000;
	}
	return 0;
}

/* False: the reference stopped. */
static bool sample_take(struct sample *s)
{
	*s = (struct sample){.bracket = UINT64_MAX};
	uint64_t last = reference->read() & reference->mask;
	uint64_t before = tsc_ordered();
	unsigned steps = 0;
	for (unsigned i = 0; i < SAMPLE_LOOKS && steps < SAMPLE_STEPS; i++) {
		uint64_t now = reference->read() & reference->mask;
		uint64_t after = tsc_ordered();
		if (now != last) {
			steps++;
			if (after - before < s->bracket) {
				s->bracket = after - before;
				s->tsc = before + (after - before) / 2;
				s->ref = now;
			}
		}
		last = now;
		before = after;
	}
	if (lapic_present()) {
		uint64_t a = tsc_ordered();
		s->apic = lapic_timer_count();
		s->apic_tsc = a + (tsc_ordered() - a) / 2;
	}
	return steps > 0;
}

/*
 * The TSC's rate between two samples, of which the second may be several wraps of the reference later: `guess_hz` (0:
 * none) tells how many. 0: no sense to be made of them.
 */
static uint64_t tsc_hz_between(const struct sample *a, const struct sample *b, uint64_t guess_hz)
{
	uint64_t ticks = b->tsc - a->tsc;
	uint64_t refs = (b->ref - a->ref) & reference->mask;
	uint64_t wrap = reference->mask + 1; /* 0: 64 bits, which do not wrap */
	if (guess_hz && wrap) {
		uint64_t expected = muldiv(ticks, reference->hz, guess_hz);
		if (expected > refs)
			refs += (expected - refs + wrap / 2) / wrap * wrap;
	}
	if (refs == 0)
		return 0;
	uint64_t hz = muldiv(ticks, reference->hz, refs);
	return sane(hz) ? hz : 0;
}

/* Measures TSC and APIC timer in one window. TSC's rate, 0: could not. */
static uint64_t measure(void)
{
	if (lapic_present()) {
		lapic_timer_init(false);
		lapic_timer_set(UINT32_MAX);
	}
	struct sample end;
	/*
	 * The first look is thrown away: an emulator translates the code then, caches fill, and the bracket would not
	 * be the usual one.
	 */
	if (!sample_take(&first_sample) || !sample_take(&first_sample))
		return 0;
	uint64_t window_ns = reference->by_itself ? WINDOW_NS : WINDOW_FINAL_NS;
	uint64_t window_refs = reference->hz * window_ns / NSEC_PER_SEC + 1;
	for (unsigned i = 0; i < 1000000; i++)
		if (((reference->read() - first_sample.ref) & reference->mask) >= window_refs)
			break;
	if (!sample_take(&end))
		return 0;
	uint64_t hz = tsc_hz_between(&first_sample, &end, 0);
	if (hz && lapic_present() && !tsc_apic_hz)
		tsc_apic_hz = muldiv((uint64_t)(first_sample.apic - end.apic) * LAPIC_TIMER_DIVIDER, hz,
				     MAX(end.apic_tsc - first_sample.apic_tsc, 1ull));
	return hz;
}

/* Nothing to measure against: the APIC timer's usual rate in virtual machines, or a guess. */
static uint64_t measure_by_apic(void)
{
	log_warn("time: no reference clock; assuming the APIC timer runs at 1 GHz");
	if (!lapic_present())
		return NSEC_PER_SEC;
	lapic_timer_init(false);
	lapic_timer_set(UINT32_MAX);
	uint64_t a = tsc_ordered();
	uint64_t counts = 0;
	for (unsigned i = 0; i < 1000000 && counts < WINDOW_NS / LAPIC_TIMER_DIVIDER; i++)
		counts = UINT32_MAX - lapic_timer_count();
	uint64_t ticks = tsc_ordered() - a;
	uint64_t hz = counts ? muldiv(ticks, LAPIC_VIRTUAL_HZ, counts * LAPIC_TIMER_DIVIDER) : 0;
	return sane(hz) ? hz : NSEC_PER_SEC;
}

/* The best reference the machine has, seen to tick. */
static const struct clocksource *reference_start(void)
{
	static struct clocksource *const candidates[] = {&clocksource_acpi_pm, &clocksource_hpet, &clocksource_pit,
							 &clocksource_rtc};
	for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
		struct clocksource *s = candidates[i];
		if (!s->start(s))
			continue;
		if (clocksource_ticks(s))
			return s;
		if (s->stop)
			s->stop();
	}
	return NULL;
}

static bool tsc_start(struct clocksource *s)
{
	uint64_t hz = cpuid_tsc_hz();
	exact = hz != 0;
	if (!hz || (lapic_present() && !tsc_apic_hz && !(cpuid(1, 0).ecx & BIT(24)))) {
		reference = reference_start();
		uint64_t measured = reference ? measure() : 0;
		if (reference && reference->stop)
			reference->stop();
		if (!hz)
			hz = measured ? measured : measure_by_apic();
	}
	if (lapic_present())
		lapic_timer_stop();
	/* A hypervisor's APIC timer runs at exactly 1 GHz; what we measured near that is noise. */
	if ((cpuid(1, 0).ecx & BIT(31)) && tsc_apic_hz > LAPIC_VIRTUAL_HZ / 50 * 49 &&
	    tsc_apic_hz < LAPIC_VIRTUAL_HZ / 50 * 51)
		tsc_apic_hz = LAPIC_VIRTUAL_HZ;
	s->hz = hz;
	log_debug("time: rate from %s, APIC timer %llu Hz",
		  exact		      ? "CPUID"
			  : reference ? reference->name
				      : "nothing",
		  (unsigned long long)tsc_apic_hz);
	return true;
}

static uint64_t tsc_read(void)
{
	return tsc_ordered();
}

struct clocksource clocksource_tsc =
	{.name = "tsc", .mask = UINT64_MAX, .looks = 10, .by_itself = true, .start = tsc_start, .read = tsc_read};

void time_refine(void)
{
	if (exact || !reference || !reference->by_itself || !clock_is_tsc())
		return;
	irqflags_t f = irq_save();
	/* Without the APIC part: its counter is in use. */
	struct sample now;
	uint64_t old_hz = clocksource_tsc.hz;
	uint64_t hz = sample_take(&now) ? tsc_hz_between(&first_sample, &now, old_hz) : 0;
	/* A correction of more than 2 % means that the number of wraps was guessed wrong or the reference is broken. */
	bool good = hz > old_hz / 50 * 49 && hz < old_hz / 50 * 51;
	if (good)
		clock_set_rate(hz);
	irq_restore(f);
	if (good)
		log_debug("time: TSC refined from %llu to %llu kHz", (unsigned long long)(old_hz / 1000),
			  (unsigned long long)(hz / 1000));
}

uint64_t time_tsc_khz(void)
{
	return (clocksource_tsc.hz + 500) / 1000;
}
