/*
 * Terminals. A driver moves bytes; the core owns line discipline (N_TTY), termios, window size and the terminal's job
 * control. Theory in dev/char/tty.c.
 *
 * Job control belongs to processes, two floors up: the core knows sessions and groups only as numbers and asks through
 * tty_job_ops.
 */
#pragma once

#include "dev/chardev.h"
#include "lib/types.h"
#include "sched/mutex.h"
#include "sched/wait.h"

struct tty;

/* The first three must be there, the others may be NULL. */
struct tty_driver_ops {
	/*
	 * Takes up to len bytes to send; returns how many it could queue (0: full; it calls tty_output_ready later).
	 * Any context.
	 */
	size_t (*write)(struct tty *t, const char *buf, size_t len);
	/* Free room in its queue / bytes not yet sent. */
	size_t (*write_room)(struct tty *t);
	size_t (*chars_in_buffer)(struct tty *t);
	/* After a write, no lock held: the terminal may have something to answer (tty_input). */
	void (*write_done)(struct tty *t);
	/* There is room for input again (see tty_input_room). No lock held. */
	void (*unthrottle)(struct tty *t);
	/* The line's speed changed. */
	void (*set_termios)(struct tty *t);
	void (*flush_output)(struct tty *t);
	/* Hold what is queued (Ctrl-S) or go on. */
	void (*set_stopped)(struct tty *t, bool stopped);
	/* What the core does not know; -ENOTTY if the driver doesn't either. */
	long (*ioctl)(struct tty *t, unsigned cmd, uint64_t arg);
};

struct tty_job_ops {
	/* Facts on the calling process; 0 if it has none. */
	int (*current_session)(void);
	int (*current_group)(void);
	bool (*current_is_session_leader)(void);
	struct tty *(*current_tty)(void);
	/* Whether pgid is a group of the session. */
	bool (*group_in_session)(int pgid, int session);
	/*
	 * True if the caller ignores or blocks sig, and whether its group is orphaned (then EIO instead of stopping).
	 */
	bool (*current_ignores)(int sig);
	bool (*current_group_orphaned)(void);
	void (*signal_group)(int pgid, int sig);
	/* Makes t (NULL: none) the controlling terminal of the session. */
	void (*session_set_tty)(int session, struct tty *t);
	bool (*capable_admin)(void);
};
/* Registered once by proc/. */
extern const struct tty_job_ops *tty_job_ops;

/* Driver side. Allocates the core's state and registers the device. Thread context or boot. -ENOMEM, -EEXIST. */
int tty_register(struct tty *t) must_check;
/*
 * How many bytes tty_input() has room for. After 0 the driver leaves them in the device until its unthrottle is called;
 * it must ask once more after it stopped listening, as the call may have come in between. Any context.
 */
size_t tty_input_room(struct tty *t);
/* Input from the line; any context (interrupt); returns how many bytes there was room for. */
size_t tty_input(struct tty *t, const char *buf, size_t len);
void tty_output_ready(struct tty *t);
void tty_hangup(struct tty *t);
/* Prepares the stem: name, numbers, ops. */
void tty_init(struct tty *t, const char *name, uint32_t major, uint32_t minor, const struct tty_driver_ops *ops,
	      void *private);
size_t tty_struct_bytes(void);
void *tty_private(const struct tty *t);
struct termios2;
/* The settings, for set_termios (where they don't change meanwhile). */
const struct termios2 *tty_termios(const struct tty *t);
/*
 * New settings, as by TCSETS or TCSETSF; tells the driver when they concern the line. Any context but under the
 * terminal's locks.
 */
void tty_set_termios(struct tty *t, const struct termios2 *settings, bool flush_input);
/* c_cflag's code for a speed. */
uint32_t tty_speed_code(uint32_t baud);
/* Before tty_register: the size of a terminal that has one of its own. */
void tty_set_window(struct tty *t, unsigned rows, unsigned columns);
/*
 * Before tty_register: where the kernel log goes when this terminal is chosen as a console. replay: also what was
 * logged before (not where the early console has shown it).
 */
struct log_console;
void tty_set_log_console(struct tty *t, struct log_console *log, bool replay);
struct chardev *tty_chardev(struct tty *t);

/*
 * The session leader without a terminal opened t without O_NOCTTY: it becomes its controlling terminal (man 2 open,
 * tty_ioctl(2)).
 */
void tty_open_controlling(struct tty *t);
/* The session's leader is gone: SIGHUP/SIGCONT to the foreground group, the terminal belongs to no session. */
void tty_disassociate(struct tty *t);
/* For /proc/pid/stat: tty_nr and tpgid. */
uint32_t tty_device_number(const struct tty *t);
int tty_foreground_group(const struct tty *t);
/* If d is a terminal, the terminal. */
struct tty *tty_from_chardev(struct chardev *d);
/*
 * Which terminal /dev/console is: the last console= word that names an existing one, else the first terminal; NULL:
 * there is none.
 */
struct tty *tty_console(void);
/*
 * names as in console=: "ttyS0,115200n8", "tty0". Each that exists becomes a console; with no names the first terminal
 * does. Once. tty_console_start_log() then gives them the kernel log, those that were not there before with what it
 * already holds.
 */
void tty_console_choose(const char *const *names, unsigned count);
void tty_console_start_log(void);

/*
 * The kernel's monitor takes the consoles (and `also`, which may be NULL) from the programs: `input`, any context, gets
 * what is typed, programs that write wait. Returns how many terminals these are. Thread context; one taker at a time.
 */
unsigned tty_take(struct tty *also, void (*input)(const char *bytes, size_t len));
void tty_give_back(void);
/* To all that are taken, as it is (lines end with "\r\n"). Thread context, sleeps. */
void tty_take_write(const char *buf, size_t len);
/*
 * Driver side: the operator calls for attention (a break, Alt-SysRq): the next key goes to tty_attention, which is
 * called in the context of tty_input with no lock held. Any context.
 */
void tty_break(struct tty *t);
extern void (*tty_attention)(struct tty *t, char key);

/* Boot order steps in dev/: each finds its hardware and registers; absence is not an error. */
void uart_init(void); /* 16550 */
void screen_console_init(void);
void i8042_init(void);
void rtc_init(void);
void chardev_mem_init(void); /* null zero full random urandom kmsg console tty */
