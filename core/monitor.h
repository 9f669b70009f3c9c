/*
 * The monitor: an in-kernel command line.  Theory in monitor.c.
 *
 * A command stands beside the code it shows, on whatever floor, and is registered there:
 *
 *     MONITOR_COMMAND(mem, "", "memory: free, used, by whom", MONITOR_AFTER_PANIC)
 *     {
 *             monitor_print(out, "%llu pages free\n", …);
 *     }
 *
 * Its body sees `out`, `argc` and `argv`; argv[0] is its name.  It runs in a thread, may sleep, and prints without any
 * lock held: what needs a lock is copied under it and printed afterwards.  A command that prints much looks at
 * out->interrupted (Ctrl-C) now and then and returns.
 *
 * MONITOR_AFTER_PANIC: the command also works in a kernel that has panicked: it takes no lock (where it must, not when
 * panic_in_progress), allocates nothing, does not sleep and follows no pointer that may be damaged further than it
 * must.
 */
#pragma once

#include "lib/printf.h"
#include "lib/types.h"

struct tty;

struct monitor_out {
	struct fmt_sink sink; /* the way out is a callback, so that any floor may print */
	bool interrupted;     /* Ctrl-C was typed */
};

#define monitor_print(out_, ...) fmt_print(&(out_)->sink, __VA_ARGS__)

enum monitor_flag {
	MONITOR_RUNNING = 0,	      /* only while the system works */
	MONITOR_AFTER_PANIC = 1 << 0, /* also after a panic */
};

struct monitor_command {
	const char *name, *args, *help;
	unsigned flags; /* enum monitor_flag */
	void (*run)(struct monitor_out *out, int argc, char **argv);
};

#define MONITOR_COMMAND(name_, args_, help_, flags_)                                                 \
	static void monitor_cmd_##name_(struct monitor_out *out, int argc, char **argv);             \
	static const struct monitor_command monitor_desc_##name_ in_section(".monitor_commands")     \
		aligned_to(8) = {#name_, args_, help_, flags_, monitor_cmd_##name_};                 \
	static void monitor_cmd_##name_(struct monitor_out *out maybe_unused, int argc maybe_unused, \
					char **argv maybe_unused)

/* The word as a number, in C's notation; false, and said so, when it is none. */
bool monitor_number(struct monitor_out *out, const char *word, uint64_t *value);
/* " function+0x12" for a kernel address, "" for others; into buf. Returns buf. */
const char *monitor_symbol(uint64_t addr, char *buf, size_t len);
/* A backtrace, its first line at ip (0: none) and the others along fp inside [lo, hi). */
void monitor_backtrace(struct monitor_out *out, uint64_t ip, uint64_t fp, uint64_t lo, uint64_t hi);

/* Boot order step, threaded, after the devices: makes the key sequence and its thread ready. */
void monitor_init(void);
/*
 * The command line on all consoles, until `exit`; without may_exit only poweroff and reboot leave it. Returns false at
 * once when there is nobody to talk to. Thread context.
 */
bool monitor_run(const char *greeting, bool may_exit);
/* After a panic, interrupts off: commands that are safe, by polling, for ever. Returns when there is no console to
 * type on. */
void monitor_after_panic(void);
