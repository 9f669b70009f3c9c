/*
 * System calls: theory.
 *
 * One list (calls.h) names every call Linux has; the table is made from it, so a handler of the wrong type, a missing
 * one or one that nothing calls does not compile or link.  Handlers are grouped by family, a file each, and do three
 * things: fetch the arguments (each user value once, into kernel memory), validate them, and call one function of the
 * floor below.
 *
 * A call nobody implements returns ENOSYS.  How often each was asked for is shown in /proc/ashlar/unknown_syscalls, by
 * name: the first thing to look at when a program does not work.
 */
#include <asm/unistd.h>

#include "core/log.h"
#include "core/monitor.h"
#include "fs/procfs/procfs.h"
#include "sync/atomic.h"
#include "syscall/handlers.h"

const struct syscall_entry syscall_table[] = {
#define CALL(name_) [__NR_##name_] = {.fn = sys_##name_, .name = #name_},
#define NONE(name_) [__NR_##name_] = {.name = #name_},
#include "syscall/calls.h"
#undef CALL
#undef NONE
};

const unsigned syscall_table_len = ARRAY_SIZE(syscall_table);

static uint32_t unknown_counts[ARRAY_SIZE(syscall_table) + 1]; /* the last: numbers past the table */

void syscall_count_unknown(long nr)
{
	unsigned long i = MIN((unsigned long)nr, ARRAY_SIZE(syscall_table));

	__atomic_fetch_add(&unknown_counts[i], 1, __ATOMIC_RELAXED);
}

static void unknown_show(struct text *t, void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(unknown_counts); i++) {
		if (!unknown_counts[i])
			continue;
		const char *name = i < ARRAY_SIZE(syscall_table) && syscall_table[i].name ? syscall_table[i].name : "?";
		text_printf(t, "%zu %s %u\n", i, name, unknown_counts[i]);
	}
}

MONITOR_COMMAND(syscalls, "", "system calls programs asked for that there are not", MONITOR_AFTER_PANIC)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < ARRAY_SIZE(unknown_counts); i++) {
		if (!unknown_counts[i])
			continue;
		const char *name = i < ARRAY_SIZE(syscall_table) && syscall_table[i].name ? syscall_table[i].name : "?";
		monitor_print(out, "%5zu %-24s %u\n", i, name, unknown_counts[i]);
		kinds++;
	}
	if (kinds == 0)
		monitor_print(out, "none: every call that was made has a handler\n");
}

void syscall_init(void)
{
	static const struct procfs_entry entry = {.path = "ashlar/unknown_syscalls",
						  .mode = 0444,
						  .show = unknown_show};

	if (procfs_register(&entry) != 0)
		log_warn("syscall: no memory for /proc/ashlar/unknown_syscalls");
}
