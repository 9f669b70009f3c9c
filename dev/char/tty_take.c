/*
 * Taking the consoles away from the programs for a while: for the kernel's monitor.
 *
 * While a terminal is taken, what is typed goes to the taker instead of the line discipline, programs' writes wait as
 * if they were held by Ctrl-S, and the taker writes past them. Nothing of the terminal's state is touched: given back,
 * it goes on where it was, an editor in raw mode included.
 *
 * The way to the taker while programs run is the key sequence of Linux's "magic SysRq": a break on a serial line, or
 * Alt-SysRq (Alt-Print) on the keyboard, then a key. A driver reports the first half (tty_break); the byte that follows
 * is then no input but a command. NUL (some UARTs deliver a break as one) and ESC (Alt still held) are passed over.
 *
 * Locking: taken and attention are words of the terminal, changed under t->lock, so that tty_input decides for whole
 * pieces of input. One taker at a time: taking and giving back are calls of the same thread.
 */
#include <asm/poll.h>
#include "core/log.h"
#include "dev/char/tty_internal.h"
#include "sched/clock.h"
#include "sync/atomic.h"

#define ATTENTION_NS (5 * NSEC_PER_SEC) /* how long after a break a key counts */
#define TAKEN_MAX 16

void (*tty_attention)(struct tty *t, char key);

static struct tty *taken[TAKEN_MAX];
static unsigned taken_count;

void tty_break(struct tty *t)
{
	irqflags_t f = spin_lock(&t->lock);
	t->attention_until_ns = time_ns() + ATTENTION_NS;
	spin_unlock(&t->lock, f);
}

size_t tty_divert(struct tty *t, const char *buf, size_t len)
{
	size_t used = 0;
	char key = 0;
	irqflags_t f = spin_lock(&t->lock);
	if (t->attention_until_ns) {
		while (used < len && (buf[used] == '\0' || buf[used] == '\x1b'))
			used++;
		if (time_ns() > t->attention_until_ns) {
			used = 0; /* nobody pressed a key in time */
			t->attention_until_ns = 0;
		} else if (used < len) {
			key = buf[used++];
			t->attention_until_ns = 0;
		}
	}
	void (*taker)(const char *, size_t) = t->taker;
	spin_unlock(&t->lock, f);
	if (key && tty_attention)
		tty_attention(t, key);
	if (taker && used < len) {
		taker(buf + used, len - used);
		used = len;
	}
	return used;
}

static void take(struct tty *t, void (*input)(const char *bytes, size_t len))
{
	if (taken_count == TAKEN_MAX)
		return;
	irqflags_t f = spin_lock(&t->lock);
	t->taker = input;
	if (t->ntty.stopped && t->ops->set_stopped)
		t->ops->set_stopped(t, false);
	bool throttled = t->throttled;
	t->throttled = false;
	spin_unlock(&t->lock, f);
	if (throttled && t->ops->unthrottle)
		t->ops->unthrottle(t);
	taken[taken_count++] = t;
}

unsigned tty_take(struct tty *also, void (*input)(const char *bytes, size_t len))
{
	struct tty *t;
	if (also)
		take(also, input);
	for (unsigned i = 0; (t = tty_at(i)); i++)
		if (t != also && (t->is_console || t == tty_console()))
			take(t, input);
	return taken_count;
}

void tty_give_back(void)
{
	while (taken_count > 0) {
		struct tty *t = taken[--taken_count];
		irqflags_t f = spin_lock(&t->lock);
		t->taker = NULL;
		if (t->ntty.stopped && t->ops->set_stopped)
			t->ops->set_stopped(t, true);
		spin_unlock(&t->lock, f);
		tty_output_ready(t);
		wait_wake_key(&t->write_wait, POLLOUT | POLLWRNORM);
	}
}

static void write_all(struct tty *t, const char *buf, size_t len)
{
	while (len > 0) {
		irqflags_t f = spin_lock(&t->lock);
		size_t n = t->ops->write(t, buf, MIN(len, t->ops->write_room(t)));
		spin_unlock(&t->lock, f);
		buf += n;
		len -= n;
		if (len > 0)
			(void)!WAIT_UNTIL(&t->write_wait, t->ops->write_room(t) > 0, 0, WAIT_FOREVER);
	}
	if (t->ops->write_done)
		t->ops->write_done(t);
}

void tty_take_write(const char *buf, size_t len)
{
	for (unsigned i = 0; i < taken_count; i++)
		write_all(taken[i], buf, len);
}
