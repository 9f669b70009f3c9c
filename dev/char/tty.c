/*
 * Terminals: theory.
 *
 * Three parties meet in a terminal. The driver (UART, screen and keyboard) moves bytes. The line discipline (n_tty.c)
 * turns typed bytes into lines and echo; it is a pure machine without locks. This core stands between them and the
 * programs: it feeds the machine, sleeps, wakes, polls, and enforces job control.
 *
 * Input. tty_input() is called by the driver's asynchronous task, which its interrupt handler wakes (sched/async.h):
 * under t->lock it feeds the machine and hands the echo to the driver at once. The tasks' executor comes before all
 * ordinary threads, so echo and Ctrl-C wait for no program. Signals and wake-ups are collected as effects and done
 * after the lock is dropped (tty_effects_unlock), because they take locks of lower rank.
 *
 * Output. A writer holds write_lock for the whole of its write, copies from the program piece by piece and, under
 * t->lock, processes as much as the driver has room for. Without room it sleeps on write_wait until the driver calls
 * tty_output_ready(). All bytes reach the driver under t->lock, so room that was seen there is still there when it is
 * used.
 *
 * Job control belongs to processes, two floors up: sessions and groups are numbers here and questions go through
 * tty_job_ops.
 *
 * Hang-up. t->hangups counts them. A handle that was opened under an earlier count is dead: it reads end of file and
 * writes -EIO; the terminal itself can be opened again at once. Handles of /dev/console stay alive.
 *
 * Lifetime: terminals are registered at boot and never go away; a hot-pluggable one would need a reference count here.
 *
 * Rejected: the line discipline inside the interrupt handler (a pasted page is thousands of bytes with interrupts off,
 * and everything it touches would have to be safe there); holding read_lock while waiting for input (a second reader
 * could then not be interrupted).
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include "abi/errno_kernel.h"
#include "dev/char/tty_internal.h"
#include "dev/random.h"
#include "mm/slab.h"
#include "sched/clock.h"

#define COPY_BYTES 256
#define READ_EVENTS (POLLIN | POLLRDNORM)
#define WRITE_EVENTS (POLLOUT | POLLWRNORM)
#define VTIME_NS (100 * NSEC_PER_MSEC) /* unit of c_cc[VTIME] */

const struct tty_job_ops *tty_job_ops;

/* --- between line discipline and driver --- */

static void echo_flush_locked(struct tty *t)
{
	const uint8_t *bytes;
	size_t len;
	while (!t->ntty.stopped && (len = ntty_echo_peek(&t->ntty, &bytes)) > 0) {
		size_t sent = t->ops->write(t, (const char *)bytes, len);
		ntty_echo_take(&t->ntty, sent);
		if (sent < len)
			break;
	}
}

static bool echo_waits(const struct tty *t)
{
	return READ_ONCE(t->ntty.echo_head) != READ_ONCE(t->ntty.echo_tail);
}

void tty_effects_unlock(struct tty *t, irqflags_t f)
{
	uint32_t effects = t->ntty.effects;
	int group = t->group;
	t->ntty.effects = 0;
	if ((effects & NTTY_FLUSH_OUTPUT) && t->ops->flush_output)
		t->ops->flush_output(t);
	if ((effects & NTTY_FLOW) && t->ops->set_stopped)
		t->ops->set_stopped(t, t->ntty.stopped);
	if (echo_waits(t))
		echo_flush_locked(t);
	spin_unlock(&t->lock, f);

	if ((effects & NTTY_READABLE) && wait_queue_active(&t->read_wait))
		wait_wake_key(&t->read_wait, READ_EVENTS);
	if ((effects & (NTTY_FLOW | NTTY_FLUSH_OUTPUT)) && wait_queue_active(&t->write_wait))
		wait_wake_key(&t->write_wait, WRITE_EVENTS);
	if ((effects & NTTY_SIGNALS) && group && tty_job_ops) {
		if (effects & NTTY_SIGINT)
			tty_job_ops->signal_group(group, SIGINT);
		if (effects & NTTY_SIGQUIT)
			tty_job_ops->signal_group(group, SIGQUIT);
		if (effects & NTTY_SIGTSTP)
			tty_job_ops->signal_group(group, SIGTSTP);
	}
}

size_t tty_input_room(struct tty *t)
{
	SPIN_GUARD(&t->lock);
	size_t room = t->taker ? NTTY_BUFFER : ntty_room(&t->ntty);
	t->throttled = room == 0;
	return room;
}

void tty_unthrottle(struct tty *t)
{
	if (likely(!READ_ONCE(t->throttled)))
		return;
	irqflags_t f = spin_lock(&t->lock);
	bool go = t->throttled && ntty_room(&t->ntty) >= NTTY_BUFFER / 2;
	if (go)
		t->throttled = false;
	spin_unlock(&t->lock, f);
	if (go && t->ops->unthrottle)
		t->ops->unthrottle(t);
}

size_t tty_input(struct tty *t, const char *buf, size_t len)
{
	random_event();
	size_t diverted = 0;
	if (unlikely(READ_ONCE(t->taker) || READ_ONCE(t->attention_until_ns))) {
		diverted = tty_divert(t, buf, len);
		if (diverted == len)
			return len;
	}
	irqflags_t f = spin_lock(&t->lock);
	size_t taken = ntty_receive(&t->ntty, (const uint8_t *)buf + diverted, len - diverted);
	tty_effects_unlock(t, f);
	return diverted + taken;
}

void tty_output_ready(struct tty *t)
{
	if (echo_waits(t)) {
		irqflags_t f = spin_lock(&t->lock);
		echo_flush_locked(t);
		spin_unlock(&t->lock, f);
	}
	if (wait_queue_active(&t->write_wait))
		wait_wake_key(&t->write_wait, WRITE_EVENTS);
}

void tty_flush_output(struct tty *t)
{
	irqflags_t f = spin_lock(&t->lock);
	t->ntty.echo_tail = t->ntty.echo_head;
	t->ntty.effects |= NTTY_FLUSH_OUTPUT;
	tty_effects_unlock(t, f);
}

/* --- job control --- */

int tty_job_check(struct tty *t, int sig)
{
	const struct tty_job_ops *job = tty_job_ops;
	if (!job || job->current_tty() != t)
		return 0;
	int mine = job->current_group();
	int foreground = READ_ONCE(t->group);
	if (foreground == 0 || foreground == mine)
		return 0;
	if (job->current_ignores(sig))
		return sig == SIGTTIN ? -EIO : 0;
	if (job->current_group_orphaned())
		return -EIO;
	job->signal_group(mine, sig);
	return -ERESTARTSYS;
}

/* --- reading --- */

/* Takes what is there, up to a line or to u's end. Bytes copied or -EFAULT. */
static int64_t read_available(struct tty *t, struct uio *u, bool *line_done)
{
	uint8_t bytes[COPY_BYTES];
	int64_t total = 0;
	size_t got, want;
	MUTEX_GUARD(&t->read_lock);
	*line_done = false;
	do {
		want = MIN(u->left, sizeof(bytes));
		irqflags_t f = spin_lock(&t->lock);
		got = ntty_read(&t->ntty, bytes, want, line_done);
		spin_unlock(&t->lock, f);
		tty_unthrottle(t);
		if (got > 0 && uio_put(u, bytes, got) < 0)
			return total ? total : -EFAULT;
		total += (int64_t)got;
	} while (got == want && !*line_done && u->left > 0);
	return total;
}

/* POSIX's four cases of MIN and TIME (man 3 termios, "noncanonical mode"), and lines. */
static int64_t tty_read(struct chardev_handle *h, struct uio *u)
{
	struct tty_handle *handle = tty_handle_of(h);
	struct tty *t = handle->tty;
	int64_t total = 0;
	uint64_t first_deadline = 0;
	if (u->left == 0)
		return 0;
	for (;;) {
		if (tty_handle_dead(handle))
			return total;
		int err = total ? 0 : tty_job_check(t, SIGTTIN);
		if (err)
			return err;
		bool canonical = t->ntty.termios.c_lflag & ICANON;
		unsigned min = t->ntty.termios.c_cc[VMIN], time = t->ntty.termios.c_cc[VTIME];
		bool line_done;
		int64_t got = read_available(t, u, &line_done);
		if (got < 0)
			return total ? total : got;
		total += got;
		if (u->left == 0 || (canonical ? got > 0 || line_done : total > 0 && total >= min))
			return total;
		if (READ_ONCE(h->flags) & O_NONBLOCK)
			return total ? total : -EAGAIN;
		uint64_t deadline = WAIT_FOREVER;
		if (!canonical && min == 0) {
			if (time == 0)
				return total;
			if (!first_deadline)
				first_deadline = time_ns() + time * VTIME_NS;
			deadline = first_deadline;
		} else if (!canonical && time > 0 && total > 0) {
			deadline = time_ns() + time * VTIME_NS;
		}
		err = WAIT_UNTIL(&t->read_wait, ntty_readable(&t->ntty, 1) || tty_handle_dead(handle),
				 WAIT_INTERRUPTIBLE, deadline);
		if (err == -ETIMEDOUT)
			return total;
		if (err)
			return total ? total : err;
	}
}

/* --- writing --- */

static bool output_possible(const struct tty *t)
{
	return !READ_ONCE(t->ntty.stopped) && !READ_ONCE(t->taker) && !echo_waits(t) &&
		t->ops->write_room((struct tty *)t) >= NTTY_OUTPUT_MAX;
}

/* Processes and queues as much of the bytes as there is room for; returns how many of them. */
static size_t write_some(struct tty *t, const uint8_t *bytes, size_t len)
{
	uint8_t out[2 * COPY_BYTES];
	size_t used = 0;
	size_t made = 0;
	irqflags_t f = spin_lock(&t->lock);
	bool held = t->ntty.stopped || t->taker;
	if (!held && echo_waits(t))
		echo_flush_locked(t);
	if (!held && !echo_waits(t)) /* what was typed first is shown first */
		made = ntty_output(&t->ntty, bytes, len, &used, out, MIN(sizeof(out), t->ops->write_room(t)));
	if (made > 0)
		(void)t->ops->write(t, (const char *)out,
				    made); /* takes all: the room was looked up under the same lock */
	spin_unlock(&t->lock, f);
	if (t->ops->write_done)
		t->ops->write_done(t);
	return used;
}

/* All of one piece. Returns the bytes written, or an error when there are none. */
static int64_t write_piece(struct chardev_handle *h, const uint8_t *bytes, size_t len)
{
	struct tty_handle *handle = tty_handle_of(h);
	struct tty *t = handle->tty;
	size_t done = 0;
	for (;;) {
		if (tty_handle_dead(handle))
			return done ? (int64_t)done : -EIO;
		done += write_some(t, bytes + done, len - done);
		if (done == len)
			return (int64_t)done;
		if (output_possible(t))
			continue; /* room for more than one output buffer */
		if (READ_ONCE(h->flags) & O_NONBLOCK)
			return done ? (int64_t)done : -EAGAIN;
		int err = WAIT_UNTIL(&t->write_wait, output_possible(t) || tty_handle_dead(handle), WAIT_INTERRUPTIBLE,
				     WAIT_FOREVER);
		if (err)
			return done ? (int64_t)done : err;
	}
}

static int64_t tty_write(struct chardev_handle *h, struct uio *u)
{
	struct tty_handle *handle = tty_handle_of(h);
	struct tty *t = handle->tty;
	int64_t total = 0;
	if (tty_handle_dead(handle))
		return -EIO;
	if (t->ntty.termios.c_lflag & TOSTOP) {
		int err = tty_job_check(t, SIGTTOU);
		if (err)
			return err;
	}
	/* Who has it may wait for room. */
	if (READ_ONCE(h->flags) & O_NONBLOCK) {
		if (!mutex_trylock(&t->write_lock))
			return -EAGAIN;
	} else if (mutex_lock_killable(&t->write_lock) < 0) {
		return -ERESTARTSYS;
	}
	while (u->left > 0) {
		uint8_t bytes[COPY_BYTES];
		size_t len = MIN(u->left, sizeof(bytes));
		int64_t written = uio_get(u, bytes, len) < 0 ? -EFAULT : write_piece(h, bytes, len);
		if (written < 0) {
			total = total ? total : written;
			break;
		}
		total += written;
		if ((size_t)written < len)
			break;
	}
	mutex_unlock(&t->write_lock);
	return total;
}

int tty_drain(struct tty_handle *handle)
{
	struct tty *t = handle->tty;
	int err = WAIT_UNTIL(&t->write_wait,
			     (!echo_waits(t) && t->ops->chars_in_buffer(t) == 0) || tty_handle_dead(handle),
			     WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	return err ? err : tty_handle_dead(handle) ? -EIO : 0;
}

/* --- poll, open, close --- */

static uint32_t tty_poll(struct chardev_handle *h, struct poll_table *table)
{
	struct tty_handle *handle = tty_handle_of(h);
	struct tty *t = handle->tty;
	poll_add(table, &t->read_wait);
	poll_add(table, &t->write_wait);
	if (tty_handle_dead(handle))
		return READ_EVENTS | WRITE_EVENTS | POLLERR | POLLHUP;
	uint32_t events = 0;
	irqflags_t f = spin_lock(&t->lock);
	const cc_t *cc = t->ntty.termios.c_cc;
	if (ntty_readable(&t->ntty, cc[VTIME] ? 1 : cc[VMIN]))
		events |= READ_EVENTS;
	if (output_possible(t))
		events |= WRITE_EVENTS;
	spin_unlock(&t->lock, f);
	return events;
}

int tty_handle_open(struct chardev_handle *h, struct tty *t, bool console)
{
	if (READ_ONCE(t->exclusive) && !(tty_job_ops && tty_job_ops->capable_admin()))
		return -EBUSY;
	struct tty_handle *f = kmalloc(sizeof(*f));
	if (!f)
		return -ENOMEM;
	*f = (struct tty_handle){.tty = t, .hangups = READ_ONCE(t->hangups), .console = console};
	h->private = f;
	return 0;
}

static int tty_open(struct chardev_handle *h)
{
	return tty_handle_open(h, h->dev->private, false);
}

static void tty_release(struct chardev_handle *h)
{
	kfree(h->private);
}

const struct chardev_ops tty_ops = {
	.open = tty_open,
	.release = tty_release,
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
};

/* --- settings and sessions --- */

void tty_set_termios(struct tty *t, const struct termios2 *settings, bool flush_input)
{
	irqflags_t f = spin_lock(&t->lock);
	struct termios2 old = t->ntty.termios;
	if (flush_input)
		ntty_flush_input(&t->ntty);
	ntty_set_termios(&t->ntty, settings);
	if (t->ops->set_termios && (old.c_cflag != settings->c_cflag || old.c_ospeed != settings->c_ospeed))
		t->ops->set_termios(t);
	tty_effects_unlock(t, f);
	tty_unthrottle(t);
}

void tty_open_controlling(struct tty *t)
{
	const struct tty_job_ops *job = tty_job_ops;
	if (!job || !job->current_is_session_leader() || job->current_tty())
		return;
	int session = job->current_session(), group = job->current_group();
	irqflags_t f = spin_lock(&t->lock);
	bool ours = t->session == 0;
	if (ours) {
		t->session = session;
		t->group = group;
	}
	spin_unlock(&t->lock, f);
	if (ours)
		job->session_set_tty(session, t);
}

/*
 * Takes the terminal from its session and tells the group in front, and makes open handles useless where `hang_up`
 * says so.
 */
static void tty_detach(struct tty *t, bool hang_up)
{
	irqflags_t f = spin_lock(&t->lock);
	int group = t->group;
	t->session = t->group = 0;
	if (hang_up) {
		t->hangups++;
		ntty_flush_input(&t->ntty);
		if (t->ntty.stopped) {
			t->ntty.stopped = false;
			t->ntty.effects |= NTTY_FLOW;
		}
	}
	tty_effects_unlock(t, f);
	tty_unthrottle(t);
	wait_wake_key(&t->read_wait, READ_EVENTS | POLLHUP);
	wait_wake_key(&t->write_wait, WRITE_EVENTS | POLLHUP);
	if (group && tty_job_ops) {
		tty_job_ops->signal_group(group, SIGHUP);
		tty_job_ops->signal_group(group, SIGCONT);
	}
}

void tty_disassociate(struct tty *t)
{
	tty_detach(t, true);
}

void tty_hangup(struct tty *t)
{
	int session = READ_ONCE(t->session), group = READ_ONCE(t->group);
	tty_detach(t, true);
	if (session && tty_job_ops) {
		/* The leader's own group bears the session's number. */
		if (session != group) {
			tty_job_ops->signal_group(session, SIGHUP);
			tty_job_ops->signal_group(session, SIGCONT);
		}
		tty_job_ops->session_set_tty(session, NULL);
	}
}

uint32_t tty_device_number(const struct tty *t)
{
	uint32_t minor = t->chardev.minor;
	return (minor & 0xff) | t->chardev.major << 8 | (minor & ~0xffu) << 12;
}

int tty_foreground_group(const struct tty *t)
{
	return READ_ONCE(t->group);
}

/* --- for drivers --- */

void tty_init(struct tty *t, const char *name, uint32_t major, uint32_t minor, const struct tty_driver_ops *ops,
	      void *private)
{
	t->chardev = (struct chardev){.name = name,
				      .major = major,
				      .minor = minor,
				      .mode = 0620,
				      .ops = &tty_ops,
				      .private = t};
	t->ops = ops;
	t->private = private;
	mutex_init(&t->read_lock, LOCK_TTY, "tty read");
	mutex_init(&t->write_lock, LOCK_TTY, "tty write");
	wait_queue_init(&t->read_wait);
	wait_queue_init(&t->write_wait);
	spin_init(&t->lock, LOCK_TTY_INPUT, "tty input");
	ntty_init(&t->ntty);
}

size_t tty_struct_bytes(void)
{
	return sizeof(struct tty);
}

void *tty_private(const struct tty *t)
{
	return t->private;
}

struct chardev *tty_chardev(struct tty *t)
{
	return &t->chardev;
}

const struct termios2 *tty_termios(const struct tty *t)
{
	return &t->ntty.termios;
}

void tty_set_window(struct tty *t, unsigned rows, unsigned columns)
{
	t->winsize = (struct winsize){.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
}

void tty_set_log_console(struct tty *t, struct log_console *log, bool replay)
{
	t->log = log;
	t->log_replay = replay;
}
