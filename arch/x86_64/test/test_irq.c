/*
 * The 8259's spurious interrupts, a level line, and a message to the log from inside a console's own output.
 *
 * A spurious interrupt 7 or 15 is the CPU taking that vector while the controller has nothing in service. INT n gives
 * exactly this: the vector without a request behind it.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/io.h>
#include <arch/time.h>
#include "arch/x86_64/irqchip.h"
#include "core/ktest.h"
#include "core/log.h"
#include "core/options.h"
#include "dev/irq.h"
#include "lib/string.h"
#include "sched/timer.h"
#include "sync/spinlock.h"

static uint8_t in_service(uint16_t port)
{
	io_out8(port, 0x0b);
	return io_in8(port);
}

KTEST(irq, pic_spurious_7_and_15_are_not_handled)
{
	if (!str_equal(irqchip_name(), "8259"))
		ktest_skip("not the 8259's machine");
	uint64_t spurious = irqchip_spurious_count(0), seven = irq_count_get(7, 0), fifteen = irq_count_get(15, 0);
	irqflags_t f = irq_save(); /* nothing real may be in service while we look */
	__asm__ volatile("int %0" : : "i"(IRQ_VECTOR_BASE + 7) : "memory");
	__asm__ volatile("int %0" : : "i"(IRQ_VECTOR_BASE + 15) : "memory");
	uint8_t master = in_service(0x20), slave = in_service(0xa0);
	irq_restore(f);
	KTEST_EQ(irqchip_spurious_count(0), spurious + 2);
	KTEST_EQ(irq_count_get(7, 0), seven);
	KTEST_EQ(irq_count_get(15, 0), fifteen);
	KTEST_EQ(master, 0);
	KTEST_EQ(slave, 0);
	/* Lines still come through. */
	uint64_t timer = irq_count_get(IRQ_TIMER, 0);
	int err = sleep_until_ns(time_ns() + 2 * NSEC_PER_MSEC, false);
	KTEST_EQ(err, 0);
	KTEST_TRUE(irq_count_get(IRQ_TIMER, 0) > timer);
}

/* The second IDE channel, for QEMU's CD drive: a command that does nothing raises line 15, a look at the status ends
 * that. */
#define IDE_CONTROL 0x376
#define IDE_DRIVE 0x176
#define IDE_STATUS 0x177
#define ELCR_SLAVE 0x4d1

static bool ide_raise(void)
{
	io_out8(IDE_CONTROL, 0); /* it may interrupt */
	io_out8(IDE_DRIVE, 0xa0);
	if (io_in8(IDE_STATUS) == 0xff)
		return false;
	io_out8(IDE_STATUS, 0); /* NOP */
	return true;
}

static void ide_interrupt(void *arg)
{
	(void)io_in8(IDE_STATUS);
	++*(uint32_t *)arg;
}

/*
 * A request that is taken back before the CPU asks which it was: the second controller answers with 15 and has nothing
 * in service, but the first has its line 2, and hears nothing more from there until it gets its EOI.
 */
KTEST(irq, pic_ends_a_spurious_15_at_the_first)
{
	static uint32_t hits;
	struct irq_action action = {.fn = ide_interrupt, .arg = &hits, .name = "ide"};

	if (!str_equal(irqchip_name(), "8259"))
		ktest_skip("not the 8259's machine");
	if (!ide_raise())
		ktest_skip("no IDE drive");
	(void)io_in8(IDE_STATUS);
	KTEST_EQ(irq_register(15, &action), 0);
	cpu_relax();
	hits = 0; /* the look for the drive was an edge */
	for (uint32_t i = 1; i <= 3; i++) {
		KTEST_TRUE(ide_raise());
		for (int tries = 0; tries < 100 && READ_ONCE(hits) < i; tries++)
			KTEST_EQ(sleep_until_ns(time_ns() + NSEC_PER_MSEC, false), 0);
		KTEST_EQ(READ_ONCE(hits), i);
		if (i != 2)
			continue;
		uint64_t spurious = irqchip_spurious_count(0);
		irqflags_t f = irq_save();
		uint8_t elcr = io_in8(ELCR_SLAVE);
		io_out8(ELCR_SLAVE, elcr | 0x80); /* an edge would be remembered, a level is gone */
		bool raised = ide_raise();
		(void)io_in8(IDE_STATUS);
		irq_restore(f);
		cpu_relax();
		f = irq_save();
		io_out8(ELCR_SLAVE, elcr);
		uint8_t master = in_service(0x20), slave = in_service(0xa0);
		irq_restore(f);
		KTEST_TRUE(raised);
		KTEST_EQ(irqchip_spurious_count(0), spurious + 1);
		KTEST_EQ(hits, 2);
		KTEST_EQ(master, 0);
		KTEST_EQ(slave, 0);
	}
	irq_unregister(15, &action);
}

#define RTC_INDEX 0x70
#define RTC_DATA 0x71
#define RTC_LINE 8
#define RTC_B_PERIODIC BIT(6)

static uint8_t rtc_get(uint8_t reg)
{
	io_out8(RTC_INDEX, reg);
	return io_in8(RTC_DATA);
}

static void rtc_set_periodic(bool on)
{
	irqflags_t f = irq_save();
	uint8_t b = rtc_get(0x0b);
	io_out8(RTC_INDEX, 0x0b);
	io_out8(RTC_DATA, on ? b | RTC_B_PERIODIC : b & (uint8_t)~RTC_B_PERIODIC);
	(void)rtc_get(0x0c);
	irq_restore(f);
}

static uint64_t line_count(unsigned irq)
{
	uint64_t n = 0;

	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		n += irq_count_get(irq, cpu);
	return n;
}

static void rtc_interrupt(void *arg)
{
	if (rtc_get(0x0c) & BIT(6)) /* which takes its request back */
		++*(uint32_t *)arg;
}

/*
 * The RTC's line, which stays up until register C is read, as the level line that it could be: without its EOI it comes
 * once, with one too early it comes again for nothing.
 */
KTEST(irq, level_line_comes_again)
{
	static uint32_t hits;
	struct irq_action action = {.fn = rtc_interrupt, .arg = &hits, .name = "rtc"};

	if (options.clockevent && str_equal(options.clockevent, "hpet"))
		ktest_skip("the line is the HPET's");
	if (irqchip_configure(RTC_LINE, true, false) != 0)
		ktest_skip("no I/O APIC");
	hits = 0;
	KTEST_EQ(irq_register(RTC_LINE, &action), 0);
	uint64_t interrupts = line_count(RTC_LINE);
	rtc_set_periodic(true);
	for (int tries = 0; tries < 500 && READ_ONCE(hits) < 5; tries++)
		KTEST_EQ(sleep_until_ns(time_ns() + NSEC_PER_MSEC, false), 0);
	rtc_set_periodic(false);
	interrupts = line_count(RTC_LINE) - interrupts;
	irq_unregister(RTC_LINE, &action);
	KTEST_EQ(irqchip_configure(RTC_LINE, false, false), 0);
	KTEST_TRUE(hits >= 5);
	KTEST_TRUE(interrupts <= hits + 1); /* (one that was on its way when it was switched off) */
}

KTEST(irq, apic_spurious_vector_is_counted)
{
	if (!str_equal(irqchip_name(), "I/O APIC"))
		ktest_skip("no I/O APIC");
	irqflags_t f = irq_save(); /* to stay here */
	unsigned cpu = this_cpu()->id;
	uint64_t before = irqchip_spurious_count(cpu);
	__asm__ volatile("int %0" : : "i"(IRQ_VECTOR_BASE + IRQ_SPURIOUS) : "memory");
	uint64_t after = irqchip_spurious_count(cpu);
	irq_restore(f);
	KTEST_EQ(after, before + 1);
}

/*
 * The println deadlock. A console is in the middle of a record and holds the lock that its output needs; a timer
 * interrupt comes and logs. Whoever makes the logger wait for the console here never comes back from the interrupt.
 */
static struct {
	struct spinlock lock;
	bool armed, inside, waited;
	uint32_t logged_inside;
	char text[2048];
	size_t len;
} slow = {.lock = SPINLOCK_INIT(LOCK_LEAF, "test console")};

static void log_from_interrupt(struct timer *t)
{
	(void)t;
	if (READ_ONCE(slow.inside))
		slow.logged_inside++;
	log_err("irq test: from the interrupt"); /* errors are written out by whoever reports them */
}

/* Its lock is the bare word: with interrupts open around it, as it would be in a kernel that got this wrong. */
static void slow_write(const char *text, size_t len)
{
	static bool busy;

	if (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE)) {
		slow.waited = true; /* here a naive console would spin for ever */
		return;
	}
	if (len < sizeof(slow.text) - slow.len) {
		memcpy(slow.text + slow.len, text, len);
		slow.len += len;
	}
	if (slow.armed) {
		slow.armed = false;
		slow.inside = true;
		struct timer t;
		timer_init(&t, log_from_interrupt);
		timer_set(&t, time_ns() + 100 * NSEC_PER_USEC);
		while (READ_ONCE(t.armed) || !READ_ONCE(slow.logged_inside))
			cpu_relax();
		slow.inside = false;
	}
	__atomic_clear(&busy, __ATOMIC_RELEASE);
}

KTEST(irq, log_in_a_handler_while_the_console_is_locked)
{
	static struct log_console console = {.name = "slow", .write = slow_write};

	slow.len = slow.logged_inside = 0;
	slow.waited = false;
	slow.armed = true;
	log_console_register(&console, false);
	log_err("irq test: to the console");
	for (int i = 0; i < 100 && !strstr(slow.text, "from the interrupt\n"); i++) {
		int err = sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
		KTEST_EQ(err, 0);
	}
	log_console_unregister(&console);
	slow.text[MIN(slow.len, sizeof(slow.text) - 1)] = '\0';
	KTEST_EQ(slow.logged_inside, 1);
	KTEST_TRUE(!slow.waited);
	/* Nothing is lost, and nothing stands inside another line. */
	const char *outer = strstr(slow.text, "irq test: to the console\n");
	const char *inner = strstr(slow.text, "irq test: from the interrupt\n");
	KTEST_TRUE(outer && inner && inner > outer);
}
