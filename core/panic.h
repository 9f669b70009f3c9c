/*
 * The end of the road, for our own bugs only.  Reports reason, place, registers, backtrace, CPU, thread and held locks
 * on every console without taking a lock, then does what `panic=` says.
 */
#pragma once

#include "lib/types.h"

struct trap_frame;

noreturn cold void panic_at(const char *file, int line, const struct trap_frame *frame, const char *fmt, ...)
	printf_like(4, 5);
#define panic(...) panic_at(__FILE__, __LINE__, NULL, __VA_ARGS__)
#define panic_frame(frame, ...) panic_at(__FILE__, __LINE__, (frame), __VA_ARGS__)

/*
 * The kernel cannot be started with what it was given, too little memory above all: no bug of ours.  Says so, what it
 * means and what to do, and stops, or resets where panic= is not 0. Only while the machine boots.
 */
noreturn cold void boot_stop(const char *fmt, ...) printf_like(1, 2);

/* Always checked, in every build: for what must hold or memory is no longer to be trusted. */
#define BUG_ON(cond)                             \
	do {                                     \
		if (unlikely(cond))              \
			panic("bug: %s", #cond); \
	} while (0)

/* Checked in debug builds. */
#define ASSERT(cond)                                          \
	do {                                                  \
		if (CONFIG_DEBUG && unlikely(!(cond)))        \
			panic("assertion failed: %s", #cond); \
	} while (0)

/* Prints the caller's backtrace into the log: for warnings. */
void backtrace_log(void);
extern bool panic_in_progress;

/*
 * The screen in a panic: set by its driver once it works, NULL where there is none.  Called on the panicking CPU with
 * interrupts off and any lock held by anybody, the driver's own included: they take none.
 */
struct panic_screen_ops {
	void (*begin)(void);		 /* clears it */
	void (*line)(const char *line);	 /* one more line of the report, as long as there is room */
	void (*end)(const char *status); /* the last line; from now on the screen's log console writes again */
};
extern const struct panic_screen_ops *panic_screen;
/* What more there is to say on the fault the panic is about: set just before panic_frame(), called with each line's way
 * out after the head line. */
extern void (*panic_details)(void (*out)(const char *line));
