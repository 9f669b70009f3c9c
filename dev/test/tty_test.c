/* The terminal core over a driver that only remembers: reading, writing, waiting, polling, signals, hang-up. */
#include <asm/fcntl.h>
#include <asm/ioctls.h>
#include <asm/poll.h>
#include <asm/signal.h>
#include "abi/errno_kernel.h"
#include "core/ktest.h"
#include "dev/char/tty_internal.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/clock.h"
#include "sched/timer.h"

#define ROOM 64

static struct {
	struct tty *tty;
	char out[4096];
	size_t out_len;
	unsigned unthrottled;
	size_t room;	    /* what the driver still takes */
	struct timer timer; /* types or drains while a test waits */
	const char *typed_later;
	int signal, group; /* last one sent */
	struct tty *current;
	int current_group;
	bool ignores, orphaned;
} fake;

static size_t fake_write(struct tty *t, const char *buf, size_t len)
{
	(void)t;
	size_t n = MIN(len, MIN(fake.room, sizeof(fake.out) - fake.out_len));
	memcpy(fake.out + fake.out_len, buf, n);
	fake.out_len += n;
	fake.room -= n;
	return n;
}

static size_t fake_room(struct tty *t)
{
	(void)t;
	return fake.room;
}

static size_t fake_chars(struct tty *t)
{
	(void)t;
	return 0;
}

static void fake_unthrottle(struct tty *t)
{
	(void)t;
	fake.unthrottled++;
}

static const struct tty_driver_ops fake_ops = {.unthrottle = fake_unthrottle,
					       .write = fake_write,
					       .write_room = fake_room,
					       .chars_in_buffer = fake_chars};

static int fake_session(void)
{
	return 10;
}
static int fake_current_group(void)
{
	return fake.current_group;
}
static bool fake_true(void)
{
	return true;
}
static struct tty *fake_current_tty(void)
{
	return fake.current;
}
static bool fake_in_session(int group, int session)
{
	(void)group;
	return session == 10;
}
static bool fake_ignores(int sig)
{
	(void)sig;
	return fake.ignores;
}
static bool fake_orphaned(void)
{
	return fake.orphaned;
}
static void fake_signal(int group, int sig)
{
	fake.group = group;
	fake.signal = sig;
}
static void fake_set_tty(int session, struct tty *t)
{
	(void)session;
	fake.current = t;
}

static const struct tty_job_ops fake_job = {
	.current_session = fake_session,
	.current_group = fake_current_group,
	.current_is_session_leader = fake_true,
	.current_tty = fake_current_tty,
	.group_in_session = fake_in_session,
	.current_ignores = fake_ignores,
	.current_group_orphaned = fake_orphaned,
	.signal_group = fake_signal,
	.session_set_tty = fake_set_tty,
	.capable_admin = fake_true,
};

static const struct tty_job_ops *real_job;
static struct chardev_handle handle;

static void setup(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.room = sizeof(fake.out);
	fake.tty = kzalloc(tty_struct_bytes());
	KTEST_TRUE(fake.tty);
	tty_init(fake.tty, "ttyTEST", 4, 250, &fake_ops, NULL);
	real_job = tty_job_ops;
	tty_job_ops = &fake_job;
	handle = (struct chardev_handle){.dev = tty_chardev(fake.tty), .flags = O_NONBLOCK};
	KTEST_EQ(tty_ops.open(&handle), 0);
}

static void teardown(void)
{
	tty_ops.release(&handle);
	tty_job_ops = real_job;
	kfree(fake.tty);
}

static void type(const char *s)
{
	KTEST_EQ(tty_input(fake.tty, s, strlen(s)), strlen(s));
}

static char read_buf[256];

static int64_t read_some(size_t len)
{
	struct uio u;
	uio_init_kernel(&u, read_buf, len);
	return tty_ops.read(&handle, &u);
}

static int64_t write_some(const char *s)
{
	struct uio u;
	uio_init_kernel(&u, (void *)(uintptr_t)s, strlen(s));
	return tty_ops.write(&handle, &u);
}

static void expect_out(const char *s)
{
	KTEST_EQ(fake.out_len, strlen(s));
	KTEST_EQ(memcmp(fake.out, s, fake.out_len), 0);
	fake.out_len = 0;
}

static void timer_types(struct timer *t)
{
	(void)t;
	(void)tty_input(fake.tty, fake.typed_later, strlen(fake.typed_later));
}

static void timer_drains(struct timer *t)
{
	(void)t;
	fake.room = ROOM;
	tty_output_ready(fake.tty);
}

static void in_a_moment(void (*fn)(struct timer *t))
{
	timer_init(&fake.timer, fn);
	timer_set(&fake.timer, time_ns() + 5 * NSEC_PER_MSEC);
}

static void set_modes(uint32_t lflag, uint8_t min, uint8_t time)
{
	struct termios2 s = *tty_termios(fake.tty);
	s.c_lflag = lflag;
	s.c_cc[VMIN] = min;
	s.c_cc[VTIME] = time;
	tty_set_termios(fake.tty, &s, false);
}

KTEST(tty, line_is_edited_echoed_and_read)
{
	setup();
	KTEST_EQ(read_some(10), -EAGAIN);
	KTEST_EQ(tty_ops.poll(&handle, NULL), POLLOUT | POLLWRNORM);
	type("ab\x7f"
	     "c\n");
	expect_out("ab\b \bc\r\n");
	KTEST_EQ(tty_ops.poll(&handle, NULL), POLLOUT | POLLWRNORM | POLLIN | POLLRDNORM);
	KTEST_EQ(read_some(100), 3);
	KTEST_EQ(memcmp(read_buf, "ac\n", 3), 0);
	type("\x04");
	KTEST_EQ(read_some(100), 0);
	KTEST_EQ(read_some(100), -EAGAIN);
	teardown();
}

KTEST(tty, read_waits_for_a_line)
{
	setup();
	handle.flags = 0;
	fake.typed_later = "later\n";
	in_a_moment(timer_types);
	KTEST_EQ(read_some(100), 6);
	teardown();
}

KTEST(tty, raw_mode_min_and_time)
{
	setup();
	handle.flags = 0;
	set_modes(0, 0, 0);
	KTEST_EQ(read_some(10), 0);
	set_modes(0, 0, 1); /* nothing comes: a tenth of a second, then 0 */
	KTEST_EQ(read_some(10), 0);
	set_modes(0, 3, 0);
	type("ab");
	KTEST_EQ(tty_ops.poll(&handle, NULL) & POLLIN, 0);
	fake.typed_later = "c";
	in_a_moment(timer_types);
	KTEST_EQ(read_some(10), 3);
	set_modes(0, 5, 1); /* the pause between two bytes ends it */
	type("xy");
	KTEST_EQ(read_some(10), 2);
	teardown();
}

KTEST(tty, write_waits_for_room)
{
	char text[3 * ROOM + 1];
	setup();
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	fake.room = ROOM;
	KTEST_TRUE(write_some(text) > 0); /* not blocking: what fits */
	KTEST_TRUE(fake.out_len <= ROOM);
	KTEST_EQ(write_some(text), -EAGAIN);
	KTEST_EQ(tty_ops.poll(&handle, NULL) & POLLOUT, 0);
	handle.flags = 0;
	fake.out_len = 0;
	text[ROOM - NTTY_OUTPUT_MAX] = 0;
	in_a_moment(timer_drains);
	KTEST_EQ(write_some(text), ROOM - NTTY_OUTPUT_MAX);
	teardown();
}

KTEST(tty, echo_waits_for_room_and_comes_first)
{
	setup();
	fake.room = 0;
	type("e");
	KTEST_EQ(fake.out_len, 0);
	KTEST_EQ(write_some("w"), -EAGAIN);
	fake.room = 100;
	KTEST_EQ(write_some("w\n"), 2);
	expect_out("ew\r\n");
	teardown();
}

KTEST(tty, stop_and_start)
{
	setup();
	type("\x13");
	KTEST_EQ(write_some("a"), -EAGAIN);
	KTEST_EQ(tty_ops.poll(&handle, NULL) & POLLOUT, 0);
	type("\x11");
	KTEST_EQ(write_some("a"), 1);
	expect_out("a");
	teardown();
}

KTEST(tty, signals_go_to_the_foreground_group)
{
	setup();
	fake.current_group = 77;
	tty_open_controlling(fake.tty);
	KTEST_TRUE(fake.current == fake.tty);
	KTEST_EQ(tty_foreground_group(fake.tty), 77);
	type("half");
	type("\x03");
	KTEST_EQ(fake.signal, SIGINT);
	KTEST_EQ(fake.group, 77);
	expect_out("half^C");
	KTEST_EQ(read_some(10), -EAGAIN);
	type("\x1a");
	KTEST_EQ(fake.signal, SIGTSTP);
	type("\x1c");
	KTEST_EQ(fake.signal, SIGQUIT);
	teardown();
}

KTEST(tty, background_groups_are_stopped)
{
	setup();
	fake.current_group = 77;
	tty_open_controlling(fake.tty);
	type("x\n");
	fake.current_group = 88;
	KTEST_EQ(read_some(10), -ERESTARTSYS);
	KTEST_EQ(fake.signal, SIGTTIN);
	KTEST_EQ(fake.group, 88);
	fake.orphaned = true;
	KTEST_EQ(read_some(10), -EIO);
	fake.orphaned = false;
	fake.ignores = true;
	KTEST_EQ(read_some(10), -EIO);
	fake.ignores = false;
	KTEST_EQ(write_some("w"), 1); /* writing is allowed … */
	set_modes(tty_termios(fake.tty)->c_lflag | TOSTOP, 1, 0);
	KTEST_EQ(write_some("w"), -ERESTARTSYS); /* … unless TOSTOP */
	KTEST_EQ(fake.signal, SIGTTOU);
	fake.ignores = true;
	KTEST_EQ(write_some("w"), 1);
	KTEST_EQ(tty_ops.ioctl(&handle, TCFLSH, TCIFLUSH), 0);
	fake.ignores = false;
	KTEST_EQ(tty_ops.ioctl(&handle, TCFLSH, TCIFLUSH), -ERESTARTSYS);
	teardown();
}

KTEST(tty, hang_up_kills_handles)
{
	setup();
	fake.current_group = 77;
	tty_open_controlling(fake.tty);
	type("x\n");
	tty_hangup(fake.tty);
	KTEST_EQ(fake.signal, SIGCONT);
	KTEST_TRUE(fake.current == NULL);
	KTEST_EQ(read_some(10), 0);
	KTEST_EQ(write_some("w"), -EIO);
	KTEST_EQ(tty_ops.ioctl(&handle, TCGETS, 0), -EIO);
	KTEST_TRUE(tty_ops.poll(&handle, NULL) & POLLHUP);
	tty_ops.release(&handle);
	KTEST_EQ(tty_ops.open(&handle), 0); /* a new handle lives */
	KTEST_EQ(write_some("w"), 1);
	teardown();
}

KTEST(tty, a_full_queue_holds_the_line)
{
	char many[NTTY_BUFFER];
	setup();
	KTEST_EQ(tty_input_room(fake.tty), NTTY_BUFFER); /* a line is being edited */
	type("line\n");
	KTEST_EQ(tty_input_room(fake.tty), NTTY_BUFFER - 1 - 5);
	memset(many, 'x', sizeof(many));
	KTEST_EQ(tty_input(fake.tty, many, NTTY_BUFFER - 1 - 5), NTTY_BUFFER - 1 - 5);
	KTEST_EQ(tty_input_room(fake.tty), 0);
	KTEST_EQ(fake.unthrottled, 0);
	KTEST_EQ(read_some(100), 5);
	KTEST_EQ(fake.unthrottled, 1);
	KTEST_EQ(read_some(100), -EAGAIN);
	KTEST_EQ(fake.unthrottled, 1);
	teardown();
}

KTEST(tty, unknown_ioctl)
{
	setup();
	KTEST_EQ(tty_ops.ioctl(&handle, 0xdeadbeef, 0), -ENOTTY);
	KTEST_EQ(tty_ops.ioctl(&handle, TIOCSTI, 0), -EIO);
	KTEST_EQ(tty_ops.ioctl(&handle, TCXONC, 99), -EINVAL);
	KTEST_EQ(tty_ops.ioctl(&handle, TIOCGWINSZ, 0), -EFAULT);
	teardown();
}

/* --- taken by the monitor --- */

static char taken_bytes[16];
static size_t taken_len;
static char attention_key;

static void taker(const char *bytes, size_t len)
{
	len = MIN(len, sizeof(taken_bytes) - taken_len);
	memcpy(taken_bytes + taken_len, bytes, len);
	taken_len += len;
}

static void attention(struct tty *t, char key)
{
	if (t == fake.tty)
		attention_key = key;
}

KTEST(tty, a_taken_terminal_is_the_takers)
{
	setup();
	taken_len = 0;
	type("ab");
	expect_out("ab"); /* echo */
	unsigned terminals = tty_take(fake.tty, taker);
	type("x\ny");
	handle.flags = O_NONBLOCK;
	int64_t written = write_some("program"), got = read_some(10);
	tty_take_write("monitor", 0); /* nothing to the real consoles */
	tty_give_back();
	KTEST_TRUE(terminals >= 1);
	KTEST_TRUE(taken_len == 3 && memcmp(taken_bytes, "x\ny", 3) == 0);
	KTEST_EQ(written, -EAGAIN);
	KTEST_EQ(got, -EAGAIN);
	type("c\n"); /* what was being typed before is still there */
	KTEST_EQ(read_some(10), 4);
	KTEST_TRUE(memcmp(read_buf, "abc\n", 4) == 0);
	KTEST_EQ(write_some("again"), 5);
	teardown();
}

KTEST(tty, the_key_behind_a_break_is_no_input)
{
	void (*real)(struct tty *, char) = tty_attention;
	setup();
	tty_attention = attention;
	attention_key = 0;
	tty_break(fake.tty);
	tty_input(fake.tty, "\0\x1b", 2); /* passed over */
	char none = attention_key;
	type("mrest\n");
	tty_attention = real;
	KTEST_EQ(none, 0);
	KTEST_EQ(attention_key, 'm');
	KTEST_EQ(read_some(10), 5);
	KTEST_TRUE(memcmp(read_buf, "rest\n", 5) == 0);
	fake.tty->attention_until_ns = 1; /* long ago: the key is input again */
	type("m\n");
	KTEST_EQ(read_some(10), 2);
	teardown();
}
