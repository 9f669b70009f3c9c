/*
 * Time: one clock source tells it, one clock event rings at it.  Theory.
 *
 * Purpose: time_ns() and time_alarm_set() for the whole kernel, from whatever counters and timers the machine has. Each
 * of those is a struct clocksource or a struct clockevent (clock.h); the lists below are in order of preference, and
 * the first that is there is taken, unless the command line names another (clocksource=, as on Linux, and clockevent=).
 *
 * The TSC. ns = base_ns + (TSC - base_tsc) * mult / 2^32, one multiplication with a 128-bit product. base_* and mult
 * change only in time_refine(); a sequence count lets readers notice, on any CPU, and read again. They are on a page of
 * their own that every program has mapped too, and the vDSO computes with the same function (arch/vdso.h): a time read
 * there and one read here agree. Every reader pays for this path, so it knows nothing of other sources: where another
 * one is the clock, the count stays odd for ever, and the branch that is there for a writer at work leads to the
 * general path; in the vDSO, to the system call. A TSC tells one CPU's look at it never later than another's next
 * (tsc_ordered()).
 *
 * Other sources wrap: a 16-bit PIT after 55 ms. `extended` is the counter continued to 64 bits; its low bits are what
 * the counter showed last, so one compare-and-swap moves it on, in any context, NMI included, without a lock. It must
 * be looked at once per wrap at least: the alarm is therefore never set further off than half a wrap, and set also when
 * nobody asked for one.
 *
 * Alarm. TSC-deadline mode where the CPU has it, else the APIC timer's counter: each CPU has its own. Else HPET or PIT,
 * of which the machine has one: enough for the one CPU of a machine without local APICs.
 *
 * Rejected: rating numbers (a list in order says the same); a watchdog that compares the TSC with another source all
 * the time (it is for CPUs older than any we run on; tsc=unstable is for whoever has one).
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "arch/x86_64/clock.h"
#include "arch/x86_64/internal.h"
#include "core/log.h"
#include "core/options.h"
#include "lib/printf.h"
#include "lib/string.h"

static struct clocksource *const sources[] = {&clocksource_tsc, &clocksource_hpet, &clocksource_acpi_pm,
					      &clocksource_pit};
static struct clockevent *const events[] = {&clockevent_tsc_deadline, &clockevent_lapic, &clockevent_hpet,
					    &clockevent_pit};

/*
 * The TSC's conversion, on a page that programs see too (arch/vdso.h). Its writers: time_init() and time_refine(), one
 * after the other. In assembly, so that the page is wholly its own and no sanitizer pads it.
 */
__asm__(".pushsection .bss.page_aligned, \"aw\", @nobits\n\t"
	".balign 4096\n\t"
	".globl time_page\n"
	"time_page:\n\t"
	".skip 4096\n\t"
	".popsection");
_Static_assert(sizeof(struct time_page) <= PAGE_SIZE, "programs see one page");

paddr_t time_page_paddr(void)
{
	return paddr(kernel_phys(&time_page));
}

/* Another source's; immutable after time_init() but for `extended`. */
static struct {
	uint64_t (*read)(void); /* NULL: the TSC is the clock */
	uint64_t mask, base, base_ns, ns_per_tick;
	uint64_t half_wrap_ns;
} other;
static uint64_t extended;

static struct clocksource *source; /* chosen; immutable after time_init() */
static struct clockevent *event;

static void alarm_none(uint64_t deadline_ns)
{
	(void)deadline_ns;
}

static void (*alarm_set)(uint64_t deadline_ns) = alarm_none;

static noinline uint64_t other_ns(void)
{
	uint64_t old = __atomic_load_n(&extended, __ATOMIC_ACQUIRE), now; /* before the counter, which is thus later */
	do {
		now = old + ((other.read() - old) & other.mask);
	} while (!__atomic_compare_exchange_n(&extended, &old, now, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE));
	return other.base_ns + time_scale(now - other.base, other.ns_per_tick);
}

uint64_t time_ns(void)
{
	uint64_t ns;

	while (unlikely(!time_page_read(&time_page, &ns)))
		if (other.read)
			return other_ns();
	return ns;
}

uint64_t muldiv(uint64_t a, uint64_t b, uint64_t c)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	uint64_t hi = (uint64_t)(product >> 64), lo = (uint64_t)product;
	if (hi >= c)
		return UINT64_MAX;
	__asm__("divq %2" : "+a"(lo), "+d"(hi) : "r"(c) : "cc");
	return lo;
}

bool clock_is_tsc(void)
{
	return !other.read;
}

/* Interrupts off: a reader in a handler would wait for us for ever. */
void clock_set_rate(uint64_t tsc_hz)
{
	seqcount_write_begin(&time_page.seq);
	/* Nobody who still finds the count even may have read a later TSC than we do now: it is out before we read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	uint64_t now = tsc_ordered();
	WRITE_ONCE(time_page.base_ns, time_page.base_ns + time_scale(now - time_page.base_tsc, time_page.ns_per_tick));
	WRITE_ONCE(time_page.base_tsc, now);
	WRITE_ONCE(time_page.ns_per_tick, muldiv(NSEC_PER_SEC, 1ull << 32, tsc_hz));
	WRITE_ONCE(time_page.ticks_per_ns, muldiv(tsc_hz, 1ull << 32, NSEC_PER_SEC));
	seqcount_write_end(&time_page.seq);
	clocksource_tsc.hz = tsc_hz;
}

/* Time goes on from where the TSC had it. */
static void clock_use_other(const struct clocksource *s)
{
	other.base_ns = time_ns();
	extended = other.base = s->read() & s->mask;
	other.mask = s->mask;
	other.ns_per_tick = muldiv(NSEC_PER_SEC, 1ull << 32, s->hz);
	uint64_t half_wrap = s->mask / 2;
	other.half_wrap_ns = half_wrap < UINT32_MAX ? time_scale(half_wrap, other.ns_per_tick) : 10 * NSEC_PER_SEC;
	other.read = s->read;
	seqcount_write_begin(&time_page.seq); /* and never ends: the TSC's readers come here */
}

/* Where the clock wraps (theory above). */
static void alarm_set_for_wrap(uint64_t deadline_ns)
{
	event->set(MIN(deadline_ns, time_ns() + other.half_wrap_ns));
}

/* The chosen source is the first in the list that ticks, or the one the user wants. */
static void source_choose(void)
{
	const char *wanted = options.clocksource;
	struct clocksource *best = NULL, *named = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct clocksource *s = sources[i];
		bool is_named = wanted && str_equal(wanted, s->name);
		if ((best && wanted && !is_named) || (s == &clocksource_tsc && options.tsc_unstable) || !s->hz)
			continue;
		if ((best && !is_named) || (s != &clocksource_tsc && !clocksource_ticks(s)))
			continue;
		if (!best)
			best = s;
		if (is_named)
			named = s;
	}
	if (wanted && !named)
		log_warn("time: clocksource=%s is not to be had here", wanted);
	source = named ? named : best ? best : &clocksource_tsc;
	if (source != &clocksource_tsc)
		clock_use_other(source);
}

static void event_choose(void)
{
	const char *wanted = options.clockevent;
	for (size_t i = 0; wanted && !event && i < ARRAY_SIZE(events); i++)
		if (str_equal(wanted, events[i]->name) && events[i]->start(events[i]))
			event = events[i];
	if (wanted && !event)
		log_warn("time: clockevent=%s is not to be had here", wanted);
	for (size_t i = 0; !event && i < ARRAY_SIZE(events); i++)
		if (events[i]->start(events[i]))
			event = events[i];
	if (!event) {
		log_err("time: no timer interrupt on this machine: nothing will ever time out");
		return;
	}
	alarm_set = other.read ? alarm_set_for_wrap : event->set;
	alarm_set(UINT64_MAX);
}

void time_init(void)
{
	irqflags_t f = irq_save();
	time_page.base_tsc = tsc_ordered();
	clocksource_tsc.start(&clocksource_tsc);
	time_page.ns_per_tick = muldiv(NSEC_PER_SEC, 1ull << 32,
				       clocksource_tsc.hz); /* the time since base_tsc counts */
	clock_set_rate(clocksource_tsc.hz);
	for (size_t i = 1; i < ARRAY_SIZE(sources); i++)
		if (!sources[i]->start(sources[i]))
			sources[i]->hz = 0;
	source_choose();
	event_choose();
	irq_restore(f);
}

bool time_alarm_is_per_cpu(void)
{
	return event && event->cpu_start;
}

void time_cpu_init(void)
{
	event->cpu_start();
}

static int rate_print(char *buf, size_t len, const char *before, const char *name, uint64_t hz)
{
	return snprintf(buf, len, "%s%s %llu.%03llu MHz", before, name, (unsigned long long)(hz / 1000000),
			(unsigned long long)(hz / 1000 % 1000));
}

const char *time_source_name(void)
{
	static char text[128];
	size_t n = (size_t)rate_print(text, sizeof(text), "", source->name, source->hz);
	const char *before = " (rather than ";
	for (size_t i = 0; i < ARRAY_SIZE(sources) && n < sizeof(text); i++) {
		if (sources[i] == source || !sources[i]->hz)
			continue;
		n += (size_t)rate_print(text + n, sizeof(text) - n, before, sources[i]->name, sources[i]->hz);
		before = ", ";
	}
	if (before[0] == ',' && n < sizeof(text))
		strlcpy(text + n, ")", sizeof(text) - n);
	return text;
}

const char *time_alarm_name(void)
{
	static char text[48];
	if (!event)
		return "none";
	rate_print(text, sizeof(text), "", event->name, event->hz);
	return text;
}

uint64_t clock_deadline_to_tsc(uint64_t deadline_ns)
{
	uint64_t from_ns, from_tsc, ticks_per_ns, at;
	uint32_t begun;

	/* Bases of before and after another CPU's refinement, mixed, would put the alarm off by the time since boot. */
	do {
		begun = seqcount_read_begin(&time_page.seq);
		from_ns = READ_ONCE(time_page.base_ns);
		from_tsc = READ_ONCE(time_page.base_tsc);
		ticks_per_ns = READ_ONCE(time_page.ticks_per_ns);
	} while (!other.read && seqcount_read_retry(&time_page.seq, begun));
	if (other.read) {
		from_ns = time_ns();
		from_tsc = tsc_ordered();
	}
	uint64_t delta = deadline_ns > from_ns ? deadline_ns - from_ns : 0;
	unsigned __int128 ticks = (unsigned __int128)delta * ticks_per_ns >> 32;
	if (ticks > INT64_MAX || __builtin_add_overflow(from_tsc, (uint64_t)ticks + 1, &at))
		return UINT64_MAX;
	return at;
}

void time_alarm_set(uint64_t deadline_ns)
{
	alarm_set(deadline_ns);
}

void time_delay_us(unsigned us)
{
	uint64_t end = time_ns() + us * NSEC_PER_USEC;
	while (time_ns() < end)
		cpu_relax();
}
