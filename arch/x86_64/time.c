/*
 * Time: the TSC tells it, the local APIC timer (or the PIT) rings at it.  Theory.
 *
 * Clock. ns = base_ns + (TSC - base_tsc) * mult / 2^32, one multiplication with a 128-bit product. base_* and mult
 * change only in time_refine(); a sequence counter lets readers notice. The TSC is taken as it is: all x86-64 CPUs
 * have one, and every machine made or emulated since 2010 runs it at a constant rate in all power states. LFENCE
 * before RDTSC keeps the CPU from reading it early, so that what one CPU hands to another is never dated later than
 * the other's next look (SDM 2B RDTSC).
 *
 * Rate. Where CPUID or the hypervisor says it, that is it and nothing is waited for. Else both the TSC and the local
 * APIC timer are measured in ONE window of WINDOW_NS against a reference of known rate (clockref.c). The window is
 * short, because under `qemu -icount` and in the boot-time table every nanosecond of waiting is an instruction: 200 µs
 * give a rate good to a few parts in a thousand. time_refine() repeats the measurement a second later over the second
 * that passed anyway, which makes it a few parts in a million. The clock does not jump then; what it was off by
 * (milliseconds at most) stays.
 *
 * A sample is a moment where the reference was seen to step, with the TSC taken on both sides of the step; of a few
 * steps the one with the narrowest bracket counts, so that a host that takes the CPU away at the wrong moment spoils
 * nothing.
 *
 * Alarm.  TSC-deadline mode where the CPU has it, else the APIC timer's counter, else the PIT, which reaches 55 ms.
 *
 * Rejected: HPET (slow to read, never alone); a longer window at boot; correcting the offset by slewing (nobody
 * compares the first second's monotonic time with anything).
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "arch/x86_64/clockref.h"
#include "arch/x86_64/internal.h"
#include "arch/x86_64/irqchip.h"
#include "core/log.h"
#include "lib/printf.h"

#define WINDOW_NS 100000ull
#define WINDOW_FINAL_NS 800000ull /* where no second look is possible */
#define SAMPLE_LOOKS 20000	  /* bound for one sample; the RTC steps every 122 µs */
#define SAMPLE_STEPS 3
#define VIRTUAL_APIC_HZ 1000000000ull /* QEMU's and KVM's local APIC timer, always */
#define TSC_KHZ_MIN 10000u
#define TSC_KHZ_MAX 20000000u

typedef unsigned __int128 u128;

struct sample {
	uint64_t tsc, bracket; /* when the reference stepped to ref; width of the interval it lies in */
	uint32_t ref;
	uint64_t apic_tsc; /* when the APIC timer stood at apic */
	uint32_t apic;
};

/* The conversion; writers change seq to odd, then the rest, then to even. */
static struct {
	uint32_t seq;
	uint64_t base_tsc, base_ns;
	uint64_t ns_per_tick;  /* times 2^32 */
	uint64_t ticks_per_ns; /* times 2^32 */
} clock aligned_to(CACHE_LINE);

static uint64_t tsc_khz;
static bool tsc_khz_exact;	   /* told, not measured */
static uint64_t apic_hz;	   /* of the timer's input, before the divider */
static uint64_t apic_ticks_per_ns; /* of its counter, times 2^32 */
static enum { ALARM_PIT, ALARM_APIC, ALARM_TSC_DEADLINE } alarm_kind;
static const struct clockref *reference; /* kept for time_refine() */
static struct sample first_sample;
static char source_name[32];

static always_inline uint64_t tsc_ordered(void)
{
	__asm__ volatile("lfence" : : : "memory");
	return cpu_cycles();
}

static always_inline uint64_t scale(uint64_t v, uint64_t factor)
{
	return (uint64_t)((u128)v * factor >> 32);
}

uint64_t time_ns(void)
{
	uint64_t ns;
	uint32_t seq;
	do {
		seq = __atomic_load_n(&clock.seq, __ATOMIC_ACQUIRE);
		/* A TSC a little behind base_tsc (another CPU's, just after a refinement) counts as equal. */
		int64_t ticks = (int64_t)(tsc_ordered() - READ_ONCE(clock.base_tsc));
		ns = READ_ONCE(clock.base_ns) + scale(ticks > 0 ? (uint64_t)ticks : 0, READ_ONCE(clock.ns_per_tick));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (unlikely((seq & 1) || seq != READ_ONCE(clock.seq)));
	return ns;
}

/*
 * a * b / c with the product in full; UINT64_MAX where the result does not fit. The compiler would call a library for
 * a 128-bit division.
 */
static uint64_t muldiv(uint64_t a, uint64_t b, uint64_t c)
{
	u128 product = (u128)a * b;
	uint64_t hi = (uint64_t)(product >> 64), lo = (uint64_t)product;
	if (hi >= c)
		return UINT64_MAX;
	__asm__("divq %2" : "+a"(lo), "+d"(hi) : "r"(c) : "cc");
	return lo;
}

/* Sets a rate; time goes on from where it is. Interrupts off (a reader in a handler would wait for us for ever). */
static void clock_set_rate(uint64_t tsc_hz)
{
	uint32_t seq = clock.seq;
	__atomic_store_n(&clock.seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	uint64_t now = tsc_ordered();
	clock.base_ns += scale(now - clock.base_tsc, clock.ns_per_tick);
	clock.base_tsc = now;
	clock.ns_per_tick = muldiv(NSEC_PER_SEC, 1ull << 32, tsc_hz);
	clock.ticks_per_ns = muldiv(tsc_hz, 1ull << 32, NSEC_PER_SEC);
	__atomic_store_n(&clock.seq, seq + 2, __ATOMIC_RELEASE);
	tsc_khz = (tsc_hz + 500) / 1000;
}

/*
 * What CPUID says: leaf 0x15 (crystal and ratio), 0x16 (base MHz, no better than its unit), or the hypervisor's
 * 0x40000010 (SDM 2A; VMware's timing leaf, also QEMU's). Hz, 0: silent. Also the APIC timer's rate where it comes
 * with it.
 */
static uint64_t cpuid_tsc_hz(uint64_t *apic)
{
	uint32_t max = cpuid(0, 0).eax;
	bool hypervisor = cpuid(1, 0).ecx & BIT(31);
	if (hypervisor) {
		uint32_t hv_max = cpuid(0x40000000, 0).eax;
		if (hv_max >= 0x40000010 && hv_max < 0x40010000) {
			struct cpuid_regs r = cpuid(0x40000010, 0);
			if (r.eax >= TSC_KHZ_MIN && r.eax <= TSC_KHZ_MAX) {
				*apic = (uint64_t)r.ebx * 1000;
				return (uint64_t)r.eax * 1000;
			}
		}
	}
	if (max >= 0x15) {
		struct cpuid_regs r = cpuid(0x15, 0);
		if (r.eax && r.ebx && r.ecx) {
			*apic = r.ecx;
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
	uint32_t last = reference->read() & reference->mask;
	uint64_t before = tsc_ordered();
	unsigned steps = 0;
	for (unsigned i = 0; i < SAMPLE_LOOKS && steps < SAMPLE_STEPS; i++) {
		uint32_t now = reference->read() & reference->mask;
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
	if (guess_hz) {
		uint64_t wrap = (uint64_t)reference->mask + 1;
		uint64_t expected = muldiv(ticks, reference->hz, guess_hz);
		if (expected > refs)
			refs += (expected - refs + wrap / 2) / wrap * wrap;
	}
	if (refs == 0)
		return 0;
	uint64_t hz = muldiv(ticks, reference->hz, refs);
	return hz >= TSC_KHZ_MIN * 1000ull && hz <= TSC_KHZ_MAX * 1000ull ? hz : 0;
}

/* Measures TSC and APIC timer in one window. TSC's rate, 0: could not. */
static uint64_t measure(void)
{
	if (lapic_present()) {
		(void)lapic_timer_init();
		lapic_timer_set(UINT32_MAX);
	}
	struct sample end;
	/*
	 * The first look is thrown away: an emulator translates the code then, caches fill, and the bracket would not
	 * be the usual one.
	 */
	if (!sample_take(&first_sample) || !sample_take(&first_sample))
		return 0;
	uint64_t window_ns = reference->refinable ? WINDOW_NS : WINDOW_FINAL_NS;
	uint32_t window_refs = (uint32_t)(reference->hz * window_ns / NSEC_PER_SEC) + 1;
	for (unsigned i = 0; i < 1000000; i++)
		if (((reference->read() - first_sample.ref) & reference->mask) >= window_refs)
			break;
	if (!sample_take(&end))
		return 0;
	uint64_t hz = tsc_hz_between(&first_sample, &end, 0);
	if (hz && lapic_present() && !apic_hz)
		apic_hz = muldiv((uint64_t)(first_sample.apic - end.apic) * LAPIC_TIMER_DIVIDER, hz,
				 MAX(end.apic_tsc - first_sample.apic_tsc, 1ull));
	return hz;
}

/* Nothing to measure against: the APIC timer's usual rate in virtual machines, or a guess. */
static uint64_t measure_by_apic(void)
{
	log_warn("time: no reference clock; assuming the APIC timer runs at 1 GHz");
	if (!lapic_present())
		return NSEC_PER_SEC;
	(void)lapic_timer_init();
	lapic_timer_set(UINT32_MAX);
	uint64_t a = tsc_ordered();
	uint64_t counts = 0;
	for (unsigned i = 0; i < 1000000 && counts < WINDOW_NS / LAPIC_TIMER_DIVIDER; i++)
		counts = UINT32_MAX - lapic_timer_count();
	uint64_t ticks = tsc_ordered() - a;
	uint64_t hz = counts ? muldiv(ticks, VIRTUAL_APIC_HZ, counts * LAPIC_TIMER_DIVIDER) : 0;
	return hz >= TSC_KHZ_MIN * 1000ull && hz <= TSC_KHZ_MAX * 1000ull ? hz : NSEC_PER_SEC;
}

static void alarm_init(void)
{
	if (!lapic_present()) {
		alarm_kind = ALARM_PIT;
		irqchip_pit_is_alarm = true;
		pit_alarm_set(0);
		if (irqchip_enable(0) < 0)
			log_err("time: no timer interrupt on this machine: nothing will ever time out");
		return;
	}
	/* A hypervisor's APIC timer runs at exactly 1 GHz; what we measured near that is noise. */
	if ((cpuid(1, 0).ecx & BIT(31)) && apic_hz > VIRTUAL_APIC_HZ / 50 * 49 && apic_hz < VIRTUAL_APIC_HZ / 50 * 51)
		apic_hz = VIRTUAL_APIC_HZ;
	if (!apic_hz)
		apic_hz = VIRTUAL_APIC_HZ;
	apic_ticks_per_ns = muldiv(apic_hz, 1ull << 32, LAPIC_TIMER_DIVIDER * NSEC_PER_SEC);
	lapic_timer_set(0);
	alarm_kind = lapic_timer_init() ? ALARM_TSC_DEADLINE : ALARM_APIC;
}

void time_init(void)
{
	irqflags_t f = irq_save();
	clock.base_tsc = tsc_ordered();
	uint64_t hz = cpuid_tsc_hz(&apic_hz);
	tsc_khz_exact = hz != 0;
	bool need_window = !hz || (lapic_present() && !apic_hz && !(cpuid(1, 0).ecx & BIT(24)));
	if (need_window) {
		reference = clockref_start();
		uint64_t measured = reference ? measure() : 0;
		if (reference && reference->stop)
			reference->stop();
		if (!hz)
			hz = measured;
	}
	if (!hz)
		hz = measure_by_apic();
	clock.ns_per_tick = muldiv(NSEC_PER_SEC, 1ull << 32, hz); /* so that the time since base_tsc counts */
	clock_set_rate(hz);
	alarm_init();
	irq_restore(f);
	log_debug("time: rate from %s, APIC timer %llu Hz",
		  tsc_khz_exact	      ? "CPUID"
			  : reference ? reference->name
				      : "nothing",
		  (unsigned long long)apic_hz);
}

void time_refine(void)
{
	if (tsc_khz_exact || !reference || !reference->refinable)
		return;
	irqflags_t f = irq_save();
	/* Without the APIC part: its counter is in use. */
	struct sample now;
	uint64_t old_hz = tsc_khz * 1000;
	uint64_t hz = sample_take(&now) ? tsc_hz_between(&first_sample, &now, old_hz) : 0;
	/* A correction of more than 2 % means that the number of wraps was guessed wrong or the reference is broken. */
	bool good = hz > old_hz / 50 * 49 && hz < old_hz / 50 * 51;
	if (good)
		clock_set_rate(hz);
	irq_restore(f);
	if (good)
		log_debug("time: TSC refined from %llu to %llu kHz", (unsigned long long)(old_hz / 1000),
			  (unsigned long long)tsc_khz);
}

uint64_t time_tsc_khz(void)
{
	return tsc_khz;
}

const char *time_source_name(void)
{
	snprintf(source_name, sizeof(source_name), "TSC %llu MHz", (unsigned long long)((tsc_khz + 500) / 1000));
	return source_name;
}

const char *time_alarm_name(void)
{
	switch (alarm_kind) {
	case ALARM_PIT:
		return "PIT";
	case ALARM_APIC:
		return "APIC timer";
	case ALARM_TSC_DEADLINE:
		return "APIC timer, TSC deadline";
	}
	return "";
}

/*
 * TSC value at which the clock reads deadline_ns. Interrupts off on the CPU that could be the writer, so no retry is
 * needed there; another CPU's refinement makes the result wrong by the correction of one alarm at most, and time_ns()
 * is asked again then.
 */
static uint64_t deadline_to_tsc(uint64_t deadline_ns)
{
	uint64_t base_ns = clock.base_ns;
	uint64_t delta = deadline_ns > base_ns ? deadline_ns - base_ns : 0;
	u128 ticks = (u128)delta * clock.ticks_per_ns >> 32;
	uint64_t at;
	if (ticks > INT64_MAX || __builtin_add_overflow(clock.base_tsc, (uint64_t)ticks + 1, &at))
		return UINT64_MAX;
	return at;
}

void time_alarm_set(uint64_t deadline_ns)
{
	if (alarm_kind == ALARM_TSC_DEADLINE) {
		lapic_timer_set_tsc(deadline_ns == UINT64_MAX ? 0 : deadline_to_tsc(deadline_ns));
		return;
	}
	if (deadline_ns == UINT64_MAX) {
		if (alarm_kind == ALARM_APIC)
			lapic_timer_set(0);
		else
			pit_alarm_set(0);
		return;
	}
	uint64_t now = time_ns();
	uint64_t delta = deadline_ns > now ? deadline_ns - now : 0;
	if (alarm_kind == ALARM_APIC) {
		u128 ticks = ((u128)delta * apic_ticks_per_ns >> 32) + 1;
		lapic_timer_set(ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
	} else {
		delta = MIN(delta, 50 * NSEC_PER_MSEC);
		pit_alarm_set((uint16_t)(delta * PIT_HZ / NSEC_PER_SEC + 1));
	}
}

void time_delay_us(unsigned us)
{
	uint64_t end = time_ns() + us * NSEC_PER_USEC;
	while (time_ns() < end)
		cpu_relax();
}
