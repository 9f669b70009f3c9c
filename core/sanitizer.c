/*
 * Writing of sanitizer reports (core/sanitizer.h).
 *
 * One report at a time: a second one on the same CPU comes from the code that writes the first and is dropped, one on
 * another CPU waits.  All lines of a report leave in one go with interrupts off, through the log, which is safe in
 * every context.
 */
#include "core/sanitizer.h"

#include <arch/cpu.h>
#include <arch/trap.h>

#include "core/log.h"
#include "core/panic.h"
#include "core/symbols.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"

#define NOBODY UINT32_MAX

uint32_t san_reports;
char san_headline[160];

static uint32_t reporter = NOBODY; /* the CPU that writes a report; the rest belongs to it */
static irqflags_t reporter_flags;

static bool expecting;
static char caught[6144];
static size_t caught_len;

static void put(const char *line)
{
	if (!expecting) {
		log_err("%s", line);
		return;
	}
	caught_len += strlcpy(caught + caught_len, line, sizeof(caught) - caught_len);
	if (caught_len >= sizeof(caught) - 1)
		caught_len = sizeof(caught) - 2;
	caught[caught_len++] = '\n';
	caught[caught_len] = '\0';
}

bool san_report_begin(const char *fmt, ...)
{
	irqflags_t f = irq_save();
	uint32_t nobody = NOBODY;
	va_list ap;

	while (!atomic_cas(&reporter, &nobody, this_cpu()->id)) {
		if (nobody == this_cpu()->id) {
			irq_restore(f);
			return false;
		}
		nobody = NOBODY;
		if (panic_in_progress) { /* who reported stands still */
			irq_restore(f);
			return false;
		}
		smp_relax(); /* the report's writer may be waiting for a lock whose holder waits for us */
	}
	reporter_flags = f;
	va_start(ap, fmt);
	vsnprintf(san_headline, sizeof(san_headline), fmt, ap);
	va_end(ap);
	put(san_headline);
	return true;
}

void san_report_line(const char *fmt, ...)
{
	char line[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put(line);
}

void san_report_address(uint64_t ip)
{
	uintptr_t offset = 0;
	/* A return address lies behind its call. */
	const char *name = symbol_lookup(ip - 1, &offset);

	san_report_line("  %016llx  %s+0x%llx", (unsigned long long)ip, name ? name : "?",
			(unsigned long long)offset + 1);
}

void san_report_caller(unsigned skip)
{
	uint64_t addrs[24];
	uint64_t fp = (uint64_t)__builtin_frame_address(0), end = kstack_end_of(fp);
	unsigned n = trap_backtrace(fp, fp, end ? end : fp + PAGE_SIZE, addrs, ARRAY_SIZE(addrs));

	for (unsigned i = skip; i < n; i++)
		san_report_address(addrs[i]);
}

bool san_report_end(void)
{
	bool expected = expecting;
	irqflags_t f = reporter_flags;

	if (!expected)
		san_reports++;
	atomic_store_release(&reporter, NOBODY);
	irq_restore(f);
	return expected;
}

void san_expect_begin(void)
{
	caught_len = 0;
	caught[0] = '\0';
	expecting = true;
}

const char *san_expect_end(void)
{
	expecting = false;
	return caught;
}

bool san_expecting(void)
{
	return expecting;
}
