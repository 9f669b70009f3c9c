/*
 * The shape of a siginfo for programs (man 2 sigaction), which part of its union counts, and the signals' names.
 */
#include "lib/string.h"
#include "proc/internal.h"

_Static_assert(sizeof(siginfo_t) == 128, "Linux's siginfo");

enum shape { SHAPE_KILL, SHAPE_RT, SHAPE_CHILD, SHAPE_FAULT, SHAPE_TIMER, SHAPE_POLL };

static enum shape shape_of(int signo, int code)
{
	if (code == SI_TIMER)
		return SHAPE_TIMER;
	if (code == SI_SIGIO)
		return SHAPE_POLL;
	if (code == SI_USER || code == SI_TKILL || code == SI_KERNEL)
		return SHAPE_KILL;
	if (code < 0)
		return SHAPE_RT;
	switch (signo) {
	case SIGCHLD:
		return SHAPE_CHILD;
	case SIGILL:
	case SIGFPE:
	case SIGSEGV:
	case SIGBUS:
	case SIGTRAP:
		return SHAPE_FAULT;
	case SIGPOLL:
		return SHAPE_POLL;
	default:
		return SHAPE_KILL;
	}
}

void signal_info_to_user(const struct signal_info *info, uint8_t out[128])
{
	siginfo_t s;

	memset(&s, 0, sizeof(s));
	s.si_signo = info->signo;
	s.si_errno = info->err;
	s.si_code = info->code;
	switch (shape_of(info->signo, info->code)) {
	case SHAPE_RT:
		s.si_value.sival_ptr = (void *)info->value;
		fallthrough;
	case SHAPE_KILL:
		s.si_pid = info->pid;
		s.si_uid = info->uid;
		break;
	case SHAPE_CHILD:
		s.si_pid = info->child_pid;
		s.si_uid = info->child_uid;
		s.si_status = info->child_status;
		s.si_utime = info->child_utime;
		s.si_stime = info->child_stime;
		break;
	case SHAPE_FAULT:
		s.si_addr = (void *)info->addr;
		break;
	case SHAPE_TIMER:
		s.si_tid = info->timer_id;
		s.si_overrun = info->overrun;
		s.si_value.sival_ptr = (void *)info->timer_value;
		break;
	case SHAPE_POLL:
		s.si_band = info->band;
		s.si_fd = info->fd;
		break;
	}
	memcpy(out, &s, sizeof(s));
}

void signal_info_from_user(const uint8_t in[128], int signo, struct signal_info *out)
{
	siginfo_t s;

	memcpy(&s, in, sizeof(s));
	*out = (struct signal_info){.signo = signo, .err = s.si_errno, .code = s.si_code};
	switch (shape_of(signo, s.si_code)) {
	case SHAPE_KILL:
	case SHAPE_RT:
		out->pid = s.si_pid;
		out->uid = s.si_uid;
		out->value = (uint64_t)s.si_value.sival_ptr;
		break;
	case SHAPE_CHILD:
		out->child_pid = s.si_pid;
		out->child_uid = s.si_uid;
		out->child_status = s.si_status;
		out->child_utime = s.si_utime;
		out->child_stime = s.si_stime;
		break;
	case SHAPE_FAULT:
		out->addr = (uint64_t)s.si_addr;
		break;
	case SHAPE_TIMER:
		out->timer_id = s.si_tid;
		out->overrun = s.si_overrun;
		out->timer_value = (uint64_t)s.si_value.sival_ptr;
		break;
	case SHAPE_POLL:
		out->band = s.si_band;
		out->fd = s.si_fd;
		break;
	}
}

const char *signal_name(int signo)
{
	static const char *const names[32] = {NULL,	 "SIGHUP",  "SIGINT",	 "SIGQUIT", "SIGILL",	 "SIGTRAP",
					      "SIGABRT", "SIGBUS",  "SIGFPE",	 "SIGKILL", "SIGUSR1",	 "SIGSEGV",
					      "SIGUSR2", "SIGPIPE", "SIGALRM",	 "SIGTERM", "SIGSTKFLT", "SIGCHLD",
					      "SIGCONT", "SIGSTOP", "SIGTSTP",	 "SIGTTIN", "SIGTTOU",	 "SIGURG",
					      "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH",	 "SIGIO",
					      "SIGPWR",	 "SIGSYS"};

	if (signo > 0 && signo < 32)
		return names[signo];
	return signo >= 32 && signo <= SIGNALS ? "real-time signal" : "no signal";
}
