/* What the files of the terminal core share. Drivers see dev/tty.h only. */
#pragma once

#include <asm/termios.h>
#include "core/log.h"
#include "dev/char/n_tty.h"
#include "dev/tty.h"
#include "sync/spinlock.h"

/*
 *   I  immutable after tty_register()     L  lock     a  atomic
 * Order: read_lock or write_lock (sleeping), then lock, then the driver's own, then wait queues.
 */
struct tty {
	struct chardev chardev;		  /* I */
	const struct tty_driver_ops *ops; /* I */
	void *private;			  /* I */
	struct log_console *log;	  /* I: the driver's sink for the kernel log, or NULL */
	bool log_replay;		  /* I: it has not shown yet what was logged before */
	struct mutex
		read_lock; /* one reader copies at a time, so that lines stay whole; not held while waiting for input */
	struct mutex write_lock; /* one writer at a time, so that writes stay whole */
	struct wait_queue read_wait, write_wait;
	struct spinlock lock;	/* taken in interrupts too */
	struct winsize winsize; /* L */
	int session, group;	/* L: whose controlling terminal it is, and its foreground group; 0: none */
	uint32_t hangups;	/* L, read without: handles of an earlier count are dead */
	bool exclusive;		/* L: TIOCEXCL */
	bool throttled;		/* L: the driver was told that there is no room */
	bool is_console;	/* named by console=, or the only one; set once */
	/* L, read without: who has taken the terminal from the programs (tty_take.c), or NULL */
	void (*taker)(const char *bytes, size_t len);
	uint64_t attention_until_ns; /* L, read without: a break came; until then the next key is a command; 0: none */
	struct ntty ntty;	     /* L */
};

/* An open description's private state. */
struct tty_handle {
	struct tty *tty;
	uint32_t hangups;
	bool console; /* through /dev/console: survives a hang-up of the session, as the console is everybody's */
};

static inline struct tty_handle *tty_handle_of(const struct chardev_handle *h)
{
	return h->private;
}

static inline bool tty_handle_dead(const struct tty_handle *f)
{
	return !f->console && READ_ONCE(f->tty->hangups) != f->hangups;
}

/* tty_ioctl.c */
long tty_ioctl(struct chardev_handle *h, unsigned cmd, uint64_t arg);

/*
 * tty.c. Whether the caller, in the background, may go on: 0, -EIO or -ERESTARTSYS after its group got sig. Any thread
 * context.
 */
int tty_job_check(struct tty *t, int sig) must_check;
/* Carries out what the line discipline asked for while the lock was held; drops the lock. */
void tty_effects_unlock(struct tty *t, irqflags_t f);
/* Waits until everything written has left the machine. -ERESTARTSYS, -EIO after a hang-up. */
int tty_drain(struct tty_handle *h) must_check;
void tty_flush_output(struct tty *t);
/* After input was taken or thrown away, no lock held: lets a driver go on that was told to wait. */
void tty_unthrottle(struct tty *t);

/* tty_take.c: input of a terminal that is taken or has had a break: how many bytes were not for the line discipline. */
size_t tty_divert(struct tty *t, const char *buf, size_t len);

/* tty_console.c */
int tty_nodes_register(void); /* /dev/tty and /dev/console */
struct tty *tty_at(unsigned index);
extern const struct chardev_ops tty_ops;
int tty_handle_open(struct chardev_handle *h, struct tty *t, bool console);
