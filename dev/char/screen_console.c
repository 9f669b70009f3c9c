/*
 * tty1, the screen's terminal: theory.
 *
 * Purpose: one terminal in front of whichever display the machine has (VGA text, a framebuffer), with the kernel log
 * and, when all is lost, the panic report on it.
 *
 * Concepts: screen.c keeps the picture in `live`, in ordinary memory; programs and log lines change only that.  A
 * redraw copies the rows that changed to `frame`, a still picture, and then draws, row by row, the cells of it that
 * differ from `shown`, which is what is on display.  So a redraw shows one moment and never half a scroll, costs as
 * much as there is to change, and holds the lock for a row at a time, although a framebuffer takes milliseconds.
 *
 * A thread redraws, at most once per FRAME_NS: a burst of output costs one redraw per frame instead of one per line.
 * Log lines wake it where they may; with interrupts off the log may have been called under any lock, the run queue's
 * included, so then the line is drawn on the spot.
 *
 * Locking: con.lock guards the pictures and the display.  The log takes it by trying, outside the lock checker, as the
 * UART does and for the same reason.
 *
 * Panic: the report starts from a screen of its own making (white on red, whatever was being drawn), takes no lock and
 * waits for nobody.  It fills the screen once and does not scroll: what comes first is the most important.  After the
 * report the consoles write on, and scroll, for the monitor.
 *
 * Failure: no display, or no memory for it: no tty1, everything else works.
 */
#include "dev/char/screen_console.h"

#include <arch/cpu.h>
#include <arch/time.h>
#include <linux/kd.h>
#include <linux/vt.h>

#include "abi/errno_kernel.h"
#include "core/log.h"
#include "core/options.h"
#include "core/panic.h"
#include "dev/char/screen.h"
#include "dev/tty.h"
#include "dev/video/display.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include "mm/usercopy.h"
#include "sched/timer.h"
#include "sched/wait.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"

#define FRAME_NS (16 * NSEC_PER_MSEC)
#define LOCK_TRIES 100000
#define REPORT_ROWS_LEFT 4 /* for its last line and the monitor's first, so that nothing is scrolled away at once */
#define NOTHING_SHOWN 0xffffffff /* no cell is this */

static struct {
	struct spinlock lock;
	struct tty *tty;		/* I */
	const struct display *display;	/* I */
	struct screen screen;		/* lock; its cells are `live` */
	screen_cell_t *live;		/* lock */
	screen_cell_t *frame;		/* lock: the still picture that is being drawn */
	screen_cell_t *shown;		/* lock: what is on display */
	unsigned cursor_shown;		/* lock: a cell, or DISPLAY_NO_CURSOR */
	bool redraw_wanted;		/* lock; the thread looks without it */
	struct wait_queue redraw_queue; /* the thread waits here */
	struct log_console log;
	struct chardev on_view; /* tty0: the screen on view, which is always this one */
} con;

static enum { REPORT_NONE, REPORT_RUNS, REPORT_DONE } report; /* panicking CPU only */

/* --- drawing --- */

/* Moves what changed into the frame. Returns whether there is any; its rows are [*first, *last]. */
static bool frame_take_locked(unsigned *first, unsigned *last)
{
	struct screen *s = &con.screen;
	con.redraw_wanted = false;
	if (s->dirty_first > s->dirty_last)
		return false;
	*first = s->dirty_first;
	*last = s->dirty_last;
	size_t from = (size_t)*first * s->columns, count = (size_t)(*last - *first + 1) * s->columns;
	memcpy(con.frame + from, con.live + from, count * sizeof(*con.frame));
	screen_clean(s);
	return true;
}

/* Draws the cells of a row in which frame and display differ, each run of them in one piece. */
static void row_draw_locked(unsigned row)
{
	unsigned at = row * con.screen.columns, end = at + con.screen.columns;
	while (at < end) {
		if (con.frame[at] == con.shown[at]) {
			at++;
			continue;
		}
		unsigned first = at;
		while (at < end && con.frame[at] != con.shown[at]) {
			con.shown[at] = con.frame[at];
			at++;
		}
		con.display->draw(con.shown, first, at);
	}
}

static void cursor_draw_locked(void)
{
	const struct screen *s = &con.screen;
	unsigned at = s->cursor_visible ? (unsigned)s->row * s->columns + s->column : DISPLAY_NO_CURSOR;
	if (at == con.cursor_shown)
		return;
	con.display->cursor(con.shown, con.cursor_shown, at);
	con.cursor_shown = at;
}

static void draw_locked(void)
{
	unsigned first, last;
	if (frame_take_locked(&first, &last))
		for (unsigned row = first; row <= last; row++)
			row_draw_locked(row);
	cursor_draw_locked();
}

static void redraw(void)
{
	unsigned first = 0, last = 0;
	irqflags_t f = spin_lock(&con.lock);
	bool any = frame_take_locked(&first, &last);
	spin_unlock(&con.lock, f);
	for (unsigned row = first; any && row <= last; row++) {
		f = spin_lock(&con.lock);
		row_draw_locked(row);
		spin_unlock(&con.lock, f);
	}
	SPIN_GUARD(&con.lock);
	cursor_draw_locked();
}

static noreturn void redraw_thread(void *arg)
{
	(void)arg;
	for (;;) {
		(void)WAIT_UNTIL(&con.redraw_queue, READ_ONCE(con.redraw_wanted), 0, WAIT_FOREVER);
		redraw();
		int err = sleep_until_ns(time_ns() + FRAME_NS, false);
		(void)err; /* nothing interrupts this sleep */
	}
}

/* --- the terminal --- */

static size_t con_write(struct tty *t, const char *buf, size_t len)
{
	(void)t;
	irqflags_t f = spin_lock(&con.lock);
	screen_write(&con.screen, buf, len);
	bool wake = !con.redraw_wanted;
	con.redraw_wanted = true;
	spin_unlock(&con.lock, f);
	if (wake)
		wait_wake_all(&con.redraw_queue);
	return len;
}

/* What the terminal answers is typed after the write is over: tty_input takes the lock that our caller holds. */
static void con_write_done(struct tty *t)
{
	char reply[SCREEN_REPLY];
	irqflags_t f = spin_lock(&con.lock);
	size_t n = con.screen.reply_len;
	memcpy(reply, con.screen.reply, n);
	con.screen.reply_len = 0;
	spin_unlock(&con.lock, f);
	if (n > 0)
		(void)tty_input(t, reply, n);
}

static size_t con_write_room(struct tty *t)
{
	(void)t;
	return 4096;
}

static size_t con_chars_in_buffer(struct tty *t)
{
	(void)t;
	return 0;
}

/* The questions by which programs recognise the Linux console. */
static long con_ioctl(struct tty *t, unsigned cmd, uint64_t arg)
{
	(void)t;
	switch (cmd) {
	case KDGKBTYPE: {
		uint8_t type = KB_101;
		return copy_to_user(uptr(arg), &type, 1);
	}
	case KDGETMODE:
		return put_user_u32(uptr(arg), KD_TEXT);
	case KDGKBMODE:
		return put_user_u32(uptr(arg), K_UNICODE);
	case VT_OPENQRY:
		return put_user_u32(uptr(arg), (uint32_t)-1); /* one screen, and it is in use */
	case VT_GETSTATE: {
		struct vt_stat state = {.v_active = 1, .v_state = 1u << 1 | 1};
		return copy_to_user(uptr(arg), &state, sizeof(state));
	}
	}
	return -ENOTTY;
}

static const struct tty_driver_ops con_ops = {
	.write = con_write,
	.write_done = con_write_done,
	.write_room = con_write_room,
	.chars_in_buffer = con_chars_in_buffer,
	.ioctl = con_ioctl,
};

/* --- the log --- */

static bool lock_for_log(void)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (spin_try_unchecked(&con.lock))
			return true;
		smp_relax();
	}
	return false;
}

static void text_write(const char *text, size_t len, struct screen_style with)
{
	struct screen *s = &con.screen;
	struct screen_style style = s->style;
	enum screen_state state = s->state;
	bool newline_mode = s->newline_mode;
	s->style = with;
	s->state = SCREEN_GROUND;
	s->newline_mode = true;
	screen_write(s, text, len);
	s->newline_mode = newline_mode;
	s->style = style;
	s->state = state;
}

static const struct screen_style log_style = {.foreground = 7};
static const struct screen_style panic_style = {.foreground = 15, .background = 4};

/* A log line begins at the left and in plain colours, whatever a program was painting. */
static void con_log_write(const char *text, size_t len)
{
	if (panic_in_progress) {
		if (report == REPORT_RUNS) /* the report comes by con_report_line */
			return;
		con.screen.cursor_visible = true;
		text_write(text, len, panic_style);
		draw_locked();
		return;
	}
	/* With interrupts on, no spinlock is held: waking a thread is allowed. */
	bool may_wake = irq_enabled();
	irqflags_t f = irq_save();
	if (lock_for_log()) {
		text_write(text, len, log_style);
		if (may_wake)
			con.redraw_wanted = true;
		else
			draw_locked();
		spin_release_unchecked(&con.lock);
	}
	irq_restore(f);
	if (may_wake)
		wait_wake_all(&con.redraw_queue);
}

/* --- the panic report --- */

/* The display may have been stopped anywhere: whatever it shows is drawn over. */
static void con_report_begin(void)
{
	struct screen *s = &con.screen;
	report = REPORT_RUNS;
	screen_reset(s);
	s->style = panic_style;
	s->cursor_visible = false;
	screen_erase(s, 0, (unsigned)s->rows * s->columns);
	for (unsigned i = 0; i < (unsigned)s->rows * s->columns; i++)
		con.shown[i] = NOTHING_SHOWN;
	draw_locked();
}

static void con_report_line(const char *line)
{
	struct screen *s = &con.screen;
	unsigned rows_needed = (unsigned)(strlen(line) + s->columns - 1) / s->columns;
	if (s->row + MAX(rows_needed, 1u) + REPORT_ROWS_LEFT > s->rows)
		return;
	text_write(line, strlen(line), panic_style);
	text_write("\n", 1, panic_style);
	draw_locked();
}

static void con_report_end(const char *status)
{
	struct screen *s = &con.screen;
	report = REPORT_DONE;
	text_write(status, MIN(strlen(status), s->columns - 1u), panic_style);
	draw_locked();
}

static const struct panic_screen_ops panic_ops = {
	.begin = con_report_begin,
	.line = con_report_line,
	.end = con_report_end,
};

/* --- start --- */

struct tty *screen_console_tty(void)
{
	return con.tty;
}

bool screen_console_application_cursor(void)
{
	return con.tty && READ_ONCE(con.screen.application_cursor);
}

bool screen_console_locked(void (*fn)(void))
{
	if (!con.tty)
		return false;
	SPIN_GUARD(&con.lock);
	fn();
	return true;
}

/* VGA text where the machine starts in it, unless a size in pixels was asked for. */
static const struct display *display_choose(void)
{
	const struct display *d = NULL;
	if (options.video_width)
		d = framebuffer_display(options.video_width, options.video_height);
	if (!d)
		d = vga_text_display();
	if (!d)
		d = framebuffer_display(0, 0);
	return d;
}

static int con_start(struct tty *t)
{
	const struct display *d = con.display;
	size_t bytes = (size_t)d->rows * d->columns * sizeof(screen_cell_t);
	con.live = kmap_alloc(bytes);
	con.frame = kmap_alloc(bytes);
	con.shown = kmap_alloc(bytes);
	if (!con.live || !con.frame || !con.shown)
		return -ENOMEM;
	screen_init(&con.screen, con.live, d->rows, d->columns);
	if (d->is_black)
		memcpy(con.shown, con.live, bytes);
	else
		memset(con.shown, 0xff, bytes);
	con.cursor_shown = DISPLAY_NO_CURSOR;
	draw_locked();
	tty_init(t, "tty1", 4, 1, &con_ops, NULL);
	tty_set_window(t, d->rows, d->columns);
	con.log = (struct log_console){.name = "tty1", .write = con_log_write};
	tty_set_log_console(t, &con.log, true);
	if (thread_create(redraw_thread, NULL, "screen") != 0)
		return -ENOMEM;
	return tty_register(t);
}

void screen_console_init(void)
{
	con.display = display_choose();
	if (!con.display)
		return;
	spin_init(&con.lock, LOCK_CONSOLE, "screen");
	wait_queue_init(&con.redraw_queue);
	struct tty *t = kzalloc(tty_struct_bytes());
	if (!t || con_start(t))
		goto err_free;
	con.tty = t;
	panic_screen = &panic_ops;
	con.on_view = *tty_chardev(t);
	con.on_view.name = "tty0";
	con.on_view.minor = 0;
	if (chardev_register(&con.on_view) < 0)
		log_warn("tty0: cannot be registered");
	log_info("tty1: %s, %ux%u characters", con.display->name, con.screen.columns, con.screen.rows);
	return;

err_free:
	log_warn("tty1: no memory for the screen");
	kfree(t);
	kmap_free(con.live);
	kmap_free(con.frame);
	kmap_free(con.shown);
}
