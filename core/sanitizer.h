/*
 * Reports of the sanitizer builds (make SAN=ubsan, SAN=kasan; CONFIG_UBSAN, CONFIG_KASAN).  In other builds nothing of
 * this is linked: call it under `if (CONFIG_…)` only.
 *
 * A report is begun, written line by line and ended.  It goes to the log, or, when a test has said that it expects one,
 * into that test's buffer.
 */
#pragma once

#include "lib/types.h"

/* Begins a report with its headline. False: a report is being written already (the reporting code itself has tripped a
 * check); then say nothing. Interrupts are off until san_report_end(). Any context. */
bool san_report_begin(const char *fmt, ...) printf_like(1, 2) must_check;
void san_report_line(const char *fmt, ...) printf_like(1, 2);
/* The caller's stack, without its first `skip` functions. */
void san_report_caller(unsigned skip);
/* One return address, symbolised. */
void san_report_address(uint64_t ip);
/* True if a test expected the report; else it was counted, and the caller decides whether the system goes on. */
bool san_report_end(void);

/* For tests: reports between the two are caught instead of written. One test at a time. */
void san_expect_begin(void);
/* The text of what was reported, lines ended by '\n'; empty if nothing was. Valid until the next san_expect_begin(). */
const char *san_expect_end(void);
bool san_expecting(void);

/* How many reports nobody expected, and the headline of the last. */
extern uint32_t san_reports;
extern char san_headline[160];
