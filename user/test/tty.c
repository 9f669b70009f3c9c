/* The terminal: termios, job control (man 3 termios, man 2 ioctl_tty).  On a terminal it uses that, else a
 * pseudo-terminal. */
#include "user/test/test.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

/*
 * Become the leader of a session whose terminal is fd 0..2's.  In the guest the runner has the only terminal there is:
 * there a test borrows it by putting its own group in front.
 */
static int terminal(void)
{
	signal(SIGTTOU, SIG_IGN);
	int fd = open("/dev/tty", O_RDWR);
	if (fd >= 0) {
		if (tcsetpgrp(fd, getpgrp()) != 0)
			FAIL("tcsetpgrp: %s", strerror(errno));
		return fd;
	}
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	if (master < 0)
		SKIP("no terminal");
	grantpt(master);
	unlockpt(master);
	/* A group leader cannot start a session; its child can. */
	pid_t pid = test_fork();
	if (pid != 0) {
		int status;
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	setsid();
	fd = open(ptsname(master), O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) != 0)
		FAIL("no controlling terminal: %s", strerror(errno));
	return fd;
}

/* The terminal has to be as before when the test is through, whatever happens in between. */
static struct termios saved;
static int saved_fd;

static void restore(void)
{
	tcsetattr(saved_fd, TCSANOW, &saved);
}

static int terminal_saved(void)
{
	saved_fd = terminal();
	CHECK_EQ(tcgetattr(saved_fd, &saved), 0);
	return saved_fd;
}

TEST(attributes)
{
	int fd = terminal_saved();
	struct termios t = saved;

	CHECK(isatty(fd));
	CHECK(t.c_lflag & ISIG);
	CHECK_EQ(t.c_cc[VINTR], 3);
	CHECK_EQ(t.c_cc[VEOF], 4);
	CHECK_EQ(t.c_cc[VSUSP], 26);
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 1;
	CHECK_EQ(tcsetattr(fd, TCSADRAIN, &t), 0);
	memset(&t, 0, sizeof(t));
	CHECK_EQ(tcgetattr(fd, &t), 0);
	CHECK_EQ(t.c_lflag & (ICANON | ECHO), 0);
	CHECK_EQ(t.c_cc[VMIN], 0);
	CHECK_EQ(t.c_cc[VTIME], 1);
	char c;
	CHECK_EQ(read(fd, &c, 1), 0); /* a tenth of a second, then nothing */
	CHECK_EQ(tcflush(fd, TCIOFLUSH), 0);
	restore();
	int p[2];
	CHECK_EQ(pipe(p), 0);
	CHECK_ERR(tcgetattr(p[0], &t), ENOTTY);
	CHECK(!isatty(p[0]));
	CHECK_ERR(ioctl(fd, 0x5499, &t), ENOTTY);
}

static volatile int winch;

static void on_winch(int signo)
{
	(void)signo;
	winch++;
}

TEST(window_size)
{
	int fd = terminal();
	struct winsize old, size = {.ws_row = 33, .ws_col = 77}, now;

	signal(SIGWINCH, on_winch);
	CHECK_EQ(ioctl(fd, TIOCGWINSZ, &old), 0);
	CHECK_EQ(ioctl(fd, TIOCSWINSZ, &size), 0);
	CHECK_EQ(ioctl(fd, TIOCGWINSZ, &now), 0);
	CHECK_EQ(now.ws_row, 33);
	CHECK_EQ(now.ws_col, 77);
	CHECK_EQ(winch, 1);
	CHECK_EQ(ioctl(fd, TIOCSWINSZ, &size), 0);
	CHECK_EQ(winch, 1); /* no change, no signal */
	CHECK_EQ(ioctl(fd, TIOCSWINSZ, &old), 0);
}

TEST(sessions_and_groups)
{
	int fd = terminal();
	pid_t sid = 0;

	CHECK_EQ(tcgetpgrp(fd), getpgrp());
	CHECK_EQ(ioctl(fd, TIOCGSID, &sid), 0);
	CHECK_EQ(sid, getsid(0));
	CHECK(tcsetpgrp(fd, 0x3ffffff) != 0); /* ESRCH on Linux, EPERM in POSIX */
	CHECK_ERR(tcsetpgrp(fd, -1), EINVAL);
	pid_t pid = test_fork();
	if (pid == 0) {
		setpgid(0, 0);
		CHECK_EQ(tcsetpgrp(fd, getpid()), 0);
		CHECK_EQ(tcgetpgrp(fd), getpid());
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(tcsetpgrp(fd, getpgrp()), 0);
}

TEST(background_reading_stops)
{
	int fd = terminal(), status;
	pid_t pid = test_fork();

	if (pid == 0) {
		char c;
		setpgid(0, 0);
		_exit((int)read(fd, &c, 1));
	}
	setpgid(pid, pid);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(WSTOPSIG(status), SIGTTIN);
	kill(pid, SIGKILL);
	CHECK_KILLED(pid, SIGKILL);
	/* With the signal ignored, or with nobody to continue it, reading is an error. */
	pid = test_fork();
	if (pid == 0) {
		char c;
		setpgid(0, 0);
		signal(SIGTTIN, SIG_IGN);
		CHECK_ERR(read(fd, &c, 1), EIO);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
}

TEST(background_changing_stops)
{
	int fd = terminal_saved(), status;
	pid_t pid = test_fork();

	if (pid == 0) {
		signal(SIGTTOU, SIG_DFL);
		setpgid(0, 0);
		tcsetattr(fd, TCSANOW, &saved);
		_exit(0);
	}
	setpgid(pid, pid);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(WSTOPSIG(status), SIGTTOU);
	kill(pid, SIGKILL);
	CHECK_KILLED(pid, SIGKILL);
	/* Writing does so only with TOSTOP. */
	struct termios t = saved;
	t.c_lflag |= TOSTOP;
	CHECK_EQ(tcsetattr(fd, TCSANOW, &t), 0);
	pid = test_fork();
	if (pid == 0) {
		signal(SIGTTOU, SIG_DFL);
		setpgid(0, 0);
		ssize_t n = write(fd, "", 1);
		_exit((int)n);
	}
	setpgid(pid, pid);
	int r = waitpid(pid, &status, WUNTRACED);
	restore();
	CHECK_EQ(r, pid);
	CHECK(WIFSTOPPED(status));
	kill(pid, SIGKILL);
	CHECK_KILLED(pid, SIGKILL);
}

/* What the terminal "types" goes in by TIOCSTI where the system has it; else there is nothing to do. */
TEST(typed_input)
{
	int fd = terminal_saved();
	char text[32] = "", c;
	struct termios t = saved;

	t.c_lflag &= ~(tcflag_t)ECHO;
	CHECK_EQ(tcsetattr(fd, TCSANOW, &t), 0);
	c = 'a';
	if (ioctl(fd, TIOCSTI, &c) != 0) {
		restore();
		return;
	}
	const char *rest = "bX\177c\n";
	for (; *rest; rest++)
		if (ioctl(fd, TIOCSTI, rest) != 0) {
			restore();
			FAIL("TIOCSTI: %s", strerror(errno));
		}
	ssize_t n = read(fd, text, sizeof(text));
	restore();
	CHECK_EQ(n, 4);
	CHECK_EQ(memcmp(text, "abc\n", 4), 0);
}

TEST(poll_of_a_terminal)
{
	int fd = terminal();
	struct pollfd f = {.fd = fd, .events = POLLIN | POLLOUT};

	CHECK_EQ(tcflush(fd, TCIFLUSH), 0);
	CHECK_EQ(poll(&f, 1, 0), 1);
	CHECK_EQ(f.revents, POLLOUT);
	int waiting = -1;
	CHECK_EQ(ioctl(fd, FIONREAD, &waiting), 0);
	CHECK_EQ(waiting, 0);
}
