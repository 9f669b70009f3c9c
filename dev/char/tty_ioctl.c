/*
 * ioctl on terminals (man 2 ioctl_tty, man 3 termios). Numbers, structures and results are Linux's; a command nobody
 * knows is -ENOTTY.
 */
#include <asm/ioctls.h>
#include <asm/signal.h>
#include <linux/tty.h>
#include "abi/errno_kernel.h"
#include "dev/char/tty_internal.h"
#include "mm/usercopy.h"

/* Speeds with a code of their own in c_cflag; others are BOTHER with the number beside it. */
static const struct {
	uint32_t code, baud;
} speeds[] = {
	{B0, 0},	   {B50, 50},	      {B75, 75},	   {B110, 110},	      {B134, 134},
	{B150, 150},	   {B200, 200},	      {B300, 300},	   {B600, 600},	      {B1200, 1200},
	{B1800, 1800},	   {B2400, 2400},     {B4800, 4800},	   {B9600, 9600},     {B19200, 19200},
	{B38400, 38400},   {B57600, 57600},   {B115200, 115200},   {B230400, 230400}, {B460800, 460800},
	{B500000, 500000}, {B921600, 921600}, {B1000000, 1000000},
};

uint32_t tty_speed_code(uint32_t baud)
{
	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++)
		if (speeds[i].baud == baud)
			return speeds[i].code;
	return BOTHER;
}

/* The number that c_cflag's code stands for; `other` for BOTHER. */
static uint32_t speed_of(uint32_t cflag, uint32_t other)
{
	for (size_t i = 0; i < ARRAY_SIZE(speeds); i++)
		if (speeds[i].code == (cflag & CBAUD))
			return speeds[i].baud;
	return other;
}

static struct termios2 settings_get(struct tty *t)
{
	SPIN_GUARD(&t->lock);
	return t->ntty.termios;
}

static long get_settings(struct tty *t, size_t bytes, uptr_t arg)
{
	struct termios2 settings = settings_get(t);
	return copy_to_user(arg, &settings, bytes);
}

/* bytes: of struct termios (no speeds) or termios2, the first being the head of the second. */
_Static_assert(offsetof(struct termios2, c_ispeed) == sizeof(struct termios), "one layout for both");

enum when { NOW, AFTER_DRAIN, AFTER_DRAIN_FLUSH };

static long set_settings(struct tty_handle *h, size_t bytes, uptr_t arg, enum when when)
{
	struct tty *t = h->tty;
	struct termios2 settings = settings_get(t);
	if (copy_from_user(&settings, arg, bytes) < 0)
		return -EFAULT;
	settings.c_ospeed = speed_of(settings.c_cflag, settings.c_ospeed);
	uint32_t input_code = settings.c_cflag >> IBSHIFT & CBAUD;
	settings.c_ispeed = input_code == B0 ? settings.c_ospeed : speed_of(input_code, settings.c_ispeed);
	settings.c_line = N_TTY;
	if (when != NOW) {
		int err = tty_drain(h);
		if (err)
			return err;
	}
	tty_set_termios(t, &settings, when == AFTER_DRAIN_FLUSH);
	return 0;
}

static long set_window(struct tty *t, uptr_t arg)
{
	struct winsize size;
	if (copy_from_user(&size, arg, sizeof(size)) < 0)
		return -EFAULT;
	irqflags_t f = spin_lock(&t->lock);
	bool changed = size.ws_row != t->winsize.ws_row || size.ws_col != t->winsize.ws_col ||
		size.ws_xpixel != t->winsize.ws_xpixel || size.ws_ypixel != t->winsize.ws_ypixel;
	t->winsize = size;
	int group = t->group;
	spin_unlock(&t->lock, f);
	if (changed && group && tty_job_ops)
		tty_job_ops->signal_group(group, SIGWINCH);
	return 0;
}

static long get_window(struct tty *t, uptr_t arg)
{
	irqflags_t f = spin_lock(&t->lock);
	struct winsize size = t->winsize;
	spin_unlock(&t->lock, f);
	return copy_to_user(arg, &size, sizeof(size));
}

static long flow_control(struct tty *t, uint64_t action)
{
	irqflags_t f = spin_lock(&t->lock);
	long err = 0;
	uint8_t c = 0;
	switch (action) {
	case TCOOFF:
	case TCOON:
		if (t->ntty.stopped != (action == TCOOFF)) {
			t->ntty.stopped = action == TCOOFF;
			t->ntty.effects |= NTTY_FLOW;
		}
		break;
	case TCIOFF:
	case TCION:
		c = t->ntty.termios.c_cc[action == TCIOFF ? VSTOP : VSTART];
		if (c)
			(void)t->ops->write(t, (const char *)&c, 1);
		break;
	default:
		err = -EINVAL;
	}
	tty_effects_unlock(t, f);
	return err;
}

static long flush(struct tty *t, uint64_t queue)
{
	if (queue > TCIOFLUSH)
		return -EINVAL;
	if (queue == TCIFLUSH || queue == TCIOFLUSH) {
		irqflags_t f = spin_lock(&t->lock);
		ntty_flush_input(&t->ntty);
		spin_unlock(&t->lock, f);
		tty_unthrottle(t);
	}
	if (queue == TCOFLUSH || queue == TCIOFLUSH)
		tty_flush_output(t);
	return 0;
}

/* --- sessions and groups --- */

static bool is_mine(const struct tty *t)
{
	return tty_job_ops && tty_job_ops->current_tty() == t;
}

static long put_int(uptr_t arg, int v)
{
	return put_user_u32(arg, (uint32_t)v);
}

static long set_group(struct tty *t, uptr_t arg)
{
	uint32_t v;
	if (!is_mine(t) || tty_job_ops->current_session() != READ_ONCE(t->session))
		return -ENOTTY;
	int err = tty_job_check(t, SIGTTOU);
	if (err)
		return err;
	if (get_user_u32(&v, arg) < 0)
		return -EFAULT;
	int group = (int)v;
	if (group < 0)
		return -EINVAL;
	if (!tty_job_ops->group_in_session(group, READ_ONCE(t->session)))
		return -EPERM;
	SPIN_GUARD(&t->lock);
	t->group = group;
	return 0;
}

static long become_controlling(struct tty *t, uint64_t steal)
{
	const struct tty_job_ops *job = tty_job_ops;
	if (!job)
		return -EPERM;
	int session = job->current_session(), group = job->current_group();
	if (job->current_is_session_leader() && READ_ONCE(t->session) == session)
		return 0;
	if (!job->current_is_session_leader() || job->current_tty())
		return -EPERM;
	bool may_steal = steal == 1 && job->capable_admin();
	irqflags_t f = spin_lock(&t->lock);
	int old = t->session;
	if (old && !may_steal) {
		spin_unlock(&t->lock, f);
		return -EPERM;
	}
	t->session = session;
	t->group = group;
	spin_unlock(&t->lock, f);
	if (old)
		job->session_set_tty(old, NULL);
	job->session_set_tty(session, t);
	return 0;
}

/* Only the leader can give the terminal up, and then for the whole session: a session has one terminal or none here. */
static long give_up(struct tty *t)
{
	if (!is_mine(t))
		return -ENOTTY;
	if (!tty_job_ops->current_is_session_leader())
		return -EPERM;
	int session = tty_job_ops->current_session();
	irqflags_t f = spin_lock(&t->lock);
	int group = t->group;
	t->session = t->group = 0;
	spin_unlock(&t->lock, f);
	tty_job_ops->session_set_tty(session, NULL);
	if (group) {
		tty_job_ops->signal_group(group, SIGHUP);
		tty_job_ops->signal_group(group, SIGCONT);
	}
	return 0;
}

static long set_exclusive(struct tty *t, bool on)
{
	SPIN_GUARD(&t->lock);
	t->exclusive = on;
	return 0;
}

static long output_waiting(struct tty *t, uptr_t arg)
{
	irqflags_t f = spin_lock(&t->lock);
	uint32_t n = (uint32_t)t->ops->chars_in_buffer(t) + (t->ntty.echo_head - t->ntty.echo_tail);
	spin_unlock(&t->lock, f);
	return put_user_u32(arg, n);
}

static long input_waiting(struct tty *t, uptr_t arg)
{
	irqflags_t f = spin_lock(&t->lock);
	uint32_t n = ntty_available(&t->ntty);
	spin_unlock(&t->lock, f);
	return put_user_u32(arg, n);
}

static bool is_changing(unsigned cmd)
{
	return cmd == TCSETS || cmd == TCSETSW || cmd == TCSETSF || cmd == TCSETS2 || cmd == TCSETSW2 ||
		cmd == TCSETSF2 || cmd == TCSBRK || cmd == TCSBRKP || cmd == TCXONC || cmd == TCFLSH;
}

/* Commands that change the terminal: a background group is stopped first, whatever TOSTOP says. */
static long ioctl_changing(struct tty_handle *h, unsigned cmd, uint64_t arg)
{
	struct tty *t = h->tty;
	uptr_t user = uptr(arg);
	int err = tty_job_check(t, SIGTTOU);
	if (err)
		return err;
	switch (cmd) {
	case TCSETS:
		return set_settings(h, sizeof(struct termios), user, NOW);
	case TCSETSW:
		return set_settings(h, sizeof(struct termios), user, AFTER_DRAIN);
	case TCSETSF:
		return set_settings(h, sizeof(struct termios), user, AFTER_DRAIN_FLUSH);
	case TCSETS2:
		return set_settings(h, sizeof(struct termios2), user, NOW);
	case TCSETSW2:
		return set_settings(h, sizeof(struct termios2), user, AFTER_DRAIN);
	case TCSETSF2:
		return set_settings(h, sizeof(struct termios2), user, AFTER_DRAIN_FLUSH);
	case TCSBRK: /* with 0 also a break, which no line here can send: none is there to receive it */
	case TCSBRKP:
		return tty_drain(h);
	case TCXONC:
		return flow_control(t, arg);
	case TCFLSH:
		return flush(t, arg);
	}
	return -ENOTTY;
}

long tty_ioctl(struct chardev_handle *ch, unsigned cmd, uint64_t arg)
{
	struct tty_handle *h = tty_handle_of(ch);
	struct tty *t = h->tty;
	uptr_t user = uptr(arg);
	if (tty_handle_dead(h))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	switch (cmd) {
	case TCGETS:
		return get_settings(t, sizeof(struct termios), user);
	case TCGETS2:
		return get_settings(t, sizeof(struct termios2), user);
	case TIOCGWINSZ:
		return get_window(t, user);
	case TIOCSWINSZ:
		return set_window(t, user);
	case TIOCGPGRP:
		return is_mine(t) ? put_int(user, READ_ONCE(t->group)) : -ENOTTY;
	case TIOCSPGRP:
		return set_group(t, user);
	case TIOCGSID:
		return is_mine(t) ? put_int(user, READ_ONCE(t->session)) : -ENOTTY;
	case TIOCSCTTY:
		return become_controlling(t, arg);
	case TIOCNOTTY:
		return give_up(t);
	case TIOCINQ: /* = FIONREAD */
		return input_waiting(t, user);
	case TIOCOUTQ:
		return output_waiting(t, user);
	case TIOCSTI: /* as Linux since 6.2 without dev.tty.legacy_tiocsti: nobody types for somebody else */
		return -EIO;
	case TIOCEXCL:
		return set_exclusive(t, true);
	case TIOCNXCL:
		return set_exclusive(t, false);
	case TIOCGEXCL:
		return put_int(user, READ_ONCE(t->exclusive));
	case TIOCGETD:
		return put_int(user, N_TTY);
	case TIOCSETD: {
		uint32_t line;
		if (get_user_u32(&line, user) < 0)
			return -EFAULT;
		return line == N_TTY ? 0 : -EINVAL;
	}
	case TIOCGDEV:
		return put_user_u32(user, tty_device_number(t));
	case TIOCVHANGUP:
		if (!(tty_job_ops && tty_job_ops->capable_admin()))
			return -EPERM;
		tty_hangup(t);
		return 0;
	}
	if (is_changing(cmd))
		return ioctl_changing(h, cmd, arg);
	return t->ops->ioctl ? t->ops->ioctl(t, cmd, arg) : -ENOTTY;
}
