/*
 * The kernel log: one call, safe in every context, from the first C line to the panic.
 *
 * A record goes into a lock-free ring (dmesg, /dev/kmsg read it) and to the consoles.  Text is `area: message`, no
 * newline at the end. The console is written by whoever gets there first, or, once the system is up and unless it is an
 * error, by an asynchronous task; nobody waits for it, so logging inside an interrupt or inside the console's own lock
 * cannot deadlock.
 */
#pragma once

#include "lib/types.h"

/* The values of <linux/kern_levels>, as dmesg shows them. */
enum log_level { LOG_EMERG, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* Any context. Never fails, never sleeps, never allocates. */
void log_write(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_err(...) log_write(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* A message of a program (write to /dev/kmsg): facility and level come from the "<N>" prefix already parsed. */
void log_write_user(unsigned facility_level, const char *text, size_t len);

/* Only messages with a level below this reach the consoles ("quiet": 4, "loglevel=N", default 7). */
extern int log_console_level;

/* One line. A longer message becomes several records. */
struct log_record {
	uint64_t seq;
	uint64_t time_ns;
	uint16_t facility_level; /* facility << 3 | level, as syslog(3) counts */
	uint16_t len;
	char text[236];
};

/* The record with the lowest sequence number >= *seq. Returns false when there is none yet. *seq is then set to the
 * record's number (larger than asked for when older ones were overwritten). Any context. */
bool log_read(uint64_t *seq, struct log_record *out);
/* Whether log_read() would find one. Any context. */
bool log_readable(uint64_t seq);
uint64_t log_first_seq(void);
uint64_t log_next_seq(void);
/* Bytes the ring holds (syslog(2) SIZE_BUFFER). */
size_t log_buffer_bytes(void);

/* A sink the log writes finished lines to (with "\n"). write must be safe in any context and never log; what programs
 * have written there before comes first, also if len is 0 (log_flush).
 * Registering replays what is already in the ring when replay is set. */
struct log_console {
	const char *name;
	void (*write)(const char *text, size_t len);
	struct log_console *next;
};
void log_console_register(struct log_console *c, bool replay);
void log_console_unregister(struct log_console *c);

/* Boot order step: from here on a task writes the consoles, except for errors. */
void log_task_start(void);
/* Writes what the consoles have not shown yet. Any context: before the machine is reset or switched off, in a panic,
 * and where something else is written to a console next that should stand behind. */
void log_flush(void);

/* A line straight to every console, past the ring and any drain under way: for panic only. */
void log_emergency(const char *line);
/* A console broke while it was being written: it gets no more lines. */
void log_emergency_drop(void);
/* The same for a piece of a line, as it is: for the monitor after a panic. */
void log_emergency_text(const char *text, size_t len);

/* Called (in any context) after a record was added; the device floor wakes /dev/kmsg's readers by it. */
extern void (*log_notify)(void);
