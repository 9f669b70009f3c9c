/*
 * What there is to say on a page fault nobody could resolve: what was accessed, by whom, why it failed, and what lies
 * nearest to the address.
 */
#pragma once

#include "lib/types.h"

struct trap_frame;
struct trap_info;

/* The fault a panic is about to be raised for: the panic report will have the lines. Both are kept, so they
 * must stay. */
void fault_report_prepare(const struct trap_frame *f, const struct trap_info *info);
/* The lines themselves. Any context, no lock. */
void fault_report(const struct trap_frame *f, const struct trap_info *info, void (*out)(const char *line));
