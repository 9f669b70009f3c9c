/*
 * Non-maskable interrupts and machine checks: what the hardware says about itself (SDM 3B chapter 15).
 *
 * A machine check finds its causes in banks of registers, one a unit of the CPU or the chip set. Each valid bank is put
 * into the log. The CPU may go on where it was if it says so (RIPV) and no error is uncorrected; anything else is data
 * we cannot trust, so the kernel stops: trap_enter() makes it a fatal trap, with `text` as the reason.
 *
 * All runs on stacks of its own, wherever the CPU was: no locks, nothing but the log. Banks are the CPU's own.
 * Rejected: killing only the program that read the bad memory. It needs to know which page that is, and to take it
 * out of use.
 */
#include <arch/io.h>
#include <arch/irq.h>
#include "arch/x86_64/internal.h"
#include "core/log.h"
#include "lib/printf.h"

#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL 0x17b
#define MSR_BANK(n) (0x400 + 4 * (n)) /* control, status, address, further information */
#define MCG_CAP_BANKS 0xff
#define MCG_CAP_CTL BIT(8)
#define MCG_STATUS_RESTARTABLE BIT(0)
#define STATUS_VALID BIT(63)
#define STATUS_OVERFLOW BIT(62)
#define STATUS_UNCORRECTED BIT(61)
#define STATUS_HAS_ADDRESS BIT(58)
#define STATUS_CONTEXT_CORRUPT BIT(57)
#define BANKS_MAX 32

#define PORT_SYSTEM_CONTROL 0x61 /* bit 7: SERR or parity, bit 6: IOCHK (PC/AT Technical Reference) */

static unsigned banks;
static uint64_t nmis[CPUS_MAX], checks[CPUS_MAX]; /* for /proc/interrupts; each CPU counts its own */
static char text[96];

void machine_check_setup(void)
{
	if (!cpu_features.machine_check || !(cpuid(1, 0).edx & BIT(14)))
		return;
	uint64_t cap = rdmsr(MSR_MCG_CAP);
	banks = MIN((unsigned)(cap & MCG_CAP_BANKS), BANKS_MAX);
	if (cap & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, UINT64_MAX);
	for (unsigned i = 0; i < banks; i++) {
		wrmsr(MSR_BANK(i), UINT64_MAX);
		wrmsr(MSR_BANK(i) + 1, 0);
	}
}

static void bank_report(unsigned n, uint64_t status)
{
	char where[32] = "";

	if (status & STATUS_HAS_ADDRESS)
		snprintf(where, sizeof(where), " at %#llx", (unsigned long long)rdmsr(MSR_BANK(n) + 2));
	snprintf(text, sizeof(text), "bank %u: %s error, code %#x%s%s%s", n,
		 status & STATUS_UNCORRECTED ? "uncorrected" : "corrected", (unsigned)(status & 0xffff), where,
		 status & STATUS_CONTEXT_CORRUPT ? ", context corrupt" : "",
		 status & STATUS_OVERFLOW ? ", others were lost" : "");
	log_err("machine check: %s", text);
}

bool machine_check_can_go_on(void)
{
	uint64_t global = banks ? rdmsr(MSR_MCG_STATUS) : 0;
	bool good = global & MCG_STATUS_RESTARTABLE;

	checks[this_cpu()->id]++;
	snprintf(text, sizeof(text), "no bank says why");
	for (unsigned i = 0; i < banks; i++) {
		uint64_t status = rdmsr(MSR_BANK(i) + 1);
		if (!(status & STATUS_VALID))
			continue;
		bank_report(i, status);
		good = good && !(status & STATUS_UNCORRECTED);
		wrmsr(MSR_BANK(i) + 1, 0);
	}
	if (banks)
		wrmsr(MSR_MCG_STATUS, 0); /* another one before this shuts the CPU down */
	return good;
}

const char *machine_check_text(void)
{
	return text;
}

void nmi_note(const struct trap_frame *f)
{
	smp_stop_here(f);

	uint8_t control = io_in8(PORT_SYSTEM_CONTROL);

	nmis[this_cpu()->id]++;
	if (control == 0xff)
		return; /* no such port */
	if (control & 0x80)
		log_err("nmi: a bus or memory parity error (SERR)");
	if (control & 0x40)
		log_err("nmi: an I/O device reports an error (IOCHK)");
}

uint64_t irqchip_nmi_count(unsigned cpu)
{
	return READ_ONCE(nmis[cpu]);
}

uint64_t irqchip_machine_check_count(unsigned cpu)
{
	return READ_ONCE(checks[cpu]);
}
