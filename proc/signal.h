/*
 * Signals (signal(7)).  Theory in signal.c.
 *
 * Locks: process->signal_lock (rank LOCK_SIGNAL, "S") guards pending sets, masks, group stop and the sighand pointer
 * of a process; sighand->lock guards the actions, which processes made with CLONE_SIGHAND share.
 */
#pragma once

#include <linux/signal.h>

#include "lib/list.h"
#include "lib/types.h"
#include "sched/wait.h"
#include "sync/refcount.h"
#include "sync/spinlock.h"

#define SIGNALS 64
#define SIGNAL_BIT(sig) BIT((sig)-1)

struct task;
struct process;
struct trap_frame;
struct cred;

/* The kernel's copy of a siginfo (128 bytes as user space sees it). Which part of the union counts follows from signo
 * and code (signal_info.c). */
struct signal_info {
	int signo, err, code;
	union {
		struct {
			int pid;
			uint32_t uid;
			uint64_t value;
		};
		struct {
			int child_pid;
			uint32_t child_uid;
			int child_status;
			int64_t child_utime, child_stime; /* USER_HZ ticks */
		};
		struct {
			uint64_t addr;
		};
		struct {
			int timer_id, overrun;
			uint64_t timer_value;
		};
		struct {
			int64_t band;
			int fd;
		};
	};
};

struct signal_pending {
	uint64_t set;
	struct list queue; /* of queued infos; real-time signals queue, standard ones keep the first */
};

struct signal_action {
	uint64_t handler, flags, restorer, mask; /* struct sigaction of <asm/signal.h> */
};

struct sighand {
	struct refcount refs;
	struct spinlock lock;
	uint64_t changed;		       /* actions that were ever set: exec looks at these only */
	struct signal_action actions[SIGNALS]; /* index signo - 1 */
};

/* --- sending ----------------------------------------------------------------------------------------------------- */
/* Any context unless said. info NULL: SI_KERNEL. signo 0 only probes. 0 (also when ignored), -EAGAIN (queue full,
 * real-time signals only). */
int signal_send_task(struct task *t, int signo, const struct signal_info *info) must_check;
int signal_send_process(struct process *p, int signo, const struct signal_info *info) must_check;
/* kill(2), rt_sigqueueinfo(2): one process, a group (0, <-1) or everybody (-1), with permission checks for the
 * caller. info NULL: SI_USER of the caller. Thread context. -EINVAL, -EPERM, -ESRCH, -EAGAIN. */
int signal_kill(int pid, int sig, const struct signal_info *info) must_check;
/* tkill (tgid <= 0), tgkill(2), rt_tgsigqueueinfo(2). info NULL: SI_TKILL of the caller. */
int signal_tgkill(int tgid, int tid, int sig, const struct signal_info *info) must_check;
/* By the terminal and the kernel: no permission check. -ESRCH for an empty group. */
int signal_group(int pgid, int sig);
/* To the calling thread, as the kernel does for SIGPIPE and SIGXFSZ. */
void signal_raise(int sig);
/* A fault of the running program: cannot be blocked or ignored. Thread context. */
void signal_fault(int signo, int code, uint64_t addr);

/* --- receiving --------------------------------------------------------------------------------------------------- */
/* Delivers what is pending to the returning thread: handler frame, stop, termination. May not return. From
 * user_return, interrupts on. */
void signal_deliver(struct trap_frame *f);
/* Whether a sleep should end (a signal is deliverable or the thread must die). */
bool signal_pending_current(void);
/* Sets the calling thread's mask (SIGKILL and SIGSTOP are taken out). t must be the caller. */
void signal_mask_set(struct task *t, uint64_t mask);
/* For ppoll, pselect, epoll_pwait: sets mask until the call ends; then signal_mask_end(interrupted): when
 * interrupted, the old mask comes back only after the handler's frame is built, otherwise at once. */
void signal_mask_begin(uint64_t mask);
void signal_mask_end(bool interrupted);
/* rt_sigsuspend(2): -ERESTARTNOHAND. */
long signal_suspend(uint64_t mask);
/* pause(2). */
long signal_pause(void);
/* rt_sigpending(2): pending and blocked. */
uint64_t signal_pending_blocked(void);
/* Dequeues one of set for signalfd; false when none. */
bool signal_take(uint64_t set, struct signal_info *out);
/* Whether one of set is pending for the caller (signalfd's poll). */
bool signal_waiting(uint64_t set);
/* rt_sigtimedwait(2): signo, -EAGAIN on timeout, -EINTR. deadline: monotonic ns or WAIT_FOREVER. */
long signal_wait(uint64_t set, uint64_t deadline_ns, struct signal_info *out);
/* rt_sigaction(2): either may be NULL. -EINVAL. */
int signal_action_change(int sig, const struct signal_action *set, struct signal_action *old) must_check;
/* sigaltstack(2): either may be NULL. -EINVAL, -EPERM (running on it), -ENOMEM. user_sp: of the caller's frame. */
struct altstack;
int signal_altstack(const struct altstack *set, struct altstack *old, uint64_t user_sp) must_check;
/* rt_sigreturn(2): restores *f; returns the value for rax, or dies of SIGSEGV. */
long signal_return(struct trap_frame *f);

/* --- shapes and names -------------------------------------------------------------------------------------------- */
void signal_info_to_user(const struct signal_info *info, uint8_t out[128]);
/* For rt_sigqueueinfo: takes signo from the caller, the rest from the program's 128 bytes. */
void signal_info_from_user(const uint8_t in[128], int signo, struct signal_info *out);
const char *signal_name(int signo); /* "SIGSEGV" */

/* --- for proc/ alone --------------------------------------------------------------------------------------------- */
int sighand_create(struct sighand **out) must_check;			 /* all default */
int sighand_copy(struct sighand *from, struct sighand **out) must_check; /* fork */
static inline void sighand_get(struct sighand *h)
{
	refcount_get(&h->refs);
}
void sighand_put(struct sighand *h);
void signal_pending_init(struct signal_pending *p);
void signal_pending_flush(struct signal_pending *p); /* nobody else can reach it */
/* exec: handlers back to default, altstack dropped. The process has its sighand for itself (exec sees to it). */
void signal_exec_reset(void);
/* S held: starts the end of the whole group with this wait status, unless it has begun; wakes every thread. */
void signal_group_exit_locked(struct process *p, int wait_status);
/* S held, the thread is leaving: a group stop must not wait for it; pending process-wide signals find another thread.
 * True: the parent must be told of the stop. */
bool signal_thread_leaves_locked(struct task *t);
/* Tells the parent of a stop or continue. */
void signal_notify_parent_stop(struct process *p, int code);
void signal_init(void);
