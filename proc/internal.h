/*
 * What the files of proc/ share and nobody else needs.
 */
#pragma once

#include "proc/process.h"

#define PID_MAX 32768	 /* Linux's default */
#define PID_RESERVED 300 /* after wrapping, numbers start here, as on Linux */

#define WAIT_STATUS_EXIT(code) (((code)&0xff) << 8)
#define WAIT_STATUS_SIGNAL(sig) ((sig)&0x7f)
#define WAIT_STATUS_STOP(sig) (0x7f | (sig) << 8)
#define WAIT_STATUS_CONTINUED 0xffff

/* --- pid.c: one number space for threads, processes, groups and sessions ----------------------------------------- */
struct session;

struct pid_slot {
	struct task *task;	     /* the thread with this tid; borrowed */
	struct process *process;     /* the process with this pid; borrowed, until it is reaped */
	struct process_group *group; /* T to change as well */
	struct session *session;
};

enum pid_kind { PID_TASK, PID_PROCESS, PID_GROUP, PID_SESSION };

/* A free number, marked used. -EAGAIN (none), -ENOMEM. Any context. */
int pid_alloc(int *out) must_check;
/* This number (1 to PID_MAX - 1). -EEXIST: it is used; -ENOMEM. */
int pid_alloc_this(int pid) must_check;
/* A number that was allocated and never got a meaning. */
void pid_cancel(int pid);
/* Gives a used number a meaning / takes it away; the number is free again when it has none left. */
void pid_set(int pid, enum pid_kind kind, void *what);
void pid_clear(int pid, enum pid_kind kind);
/* Group or session of a number; T held, or a mere hint. */
void *pid_lookup(int pid, enum pid_kind kind);
/* The lowest number >= pid with that meaning, or -1. */
int pid_next(int pid, enum pid_kind kind);

/* --- account.c: what a user (uid) has in use --------------------------------------------------------------------- */
struct user_account {
	struct list_node node; /* hash chain; accounts lock */
	uint32_t uid;
	uint32_t refs;	 /* atomic; the last goes under the accounts lock */
	int32_t tasks;	 /* atomic: threads and processes: RLIMIT_NPROC */
	int32_t signals; /* atomic: queued signals: RLIMIT_SIGPENDING */
};
struct user_account *account_get(uint32_t uid) must_check; /* NULL: out of memory */
struct user_account *account_ref(struct user_account *a);
void account_put(struct user_account *a);

/* --- group.c ----------------------------------------------------------------------------------------------------- */
struct session {
	int id;
	unsigned groups;	/* T */
	struct tty *tty;	/* T: controlling terminal */
	struct process *leader; /* T: NULL once it has ended */
};

struct process_group {
	int id;
	struct session *session;
	struct list members; /* T: of processes, zombies too */
};

/* T held. A new process joins its parent's group. */
void group_join_locked(struct process *p, struct process_group *g);
/* T held; returns what the caller must kfree after dropping T (either may be NULL). */
struct group_garbage {
	struct process_group *group;
	struct session *session;
};
struct group_garbage group_leave_locked(struct process *p);
void group_free(struct group_garbage g);
/* PID 1's own session and group. -ENOMEM. */
int group_create_first(struct process *p) must_check;
/* T held: whether nobody in g has a parent in another group of the session (ignoring `except`). */
bool group_is_orphaned_locked(const struct process_group *g, const struct process *except);
bool group_has_stopped_locked(const struct process_group *g);
int signal_group_locked(struct process_group *g, int sig);
void jobs_init(void);
/* The session leader p ends: hang-up. No lock held. */
void jobs_leader_exits(struct process *p);

/* --- task.c: making and unmaking --------------------------------------------------------------------------------- */
/* A zeroed task with room for FP state / a zeroed process with one reference. NULL: out of memory. */
struct task *task_alloc(void) must_check;
void task_free(struct task *t); /* never started, never published */
struct process *process_alloc(void) must_check;
/* thread_init for a task: FP area attached, starts in entry(t). -ENOMEM. */
int task_thread_init(struct task *t, const struct thread *like, void (*entry)(void *task)) must_check;
/* The usual entry: returns to the program's frame. */
void task_start_running(void *task);
/* Tells the program's memory that the thread leaves it: futexes, clear_child_tid, vfork. again: exec. */
void task_leave_memory(struct task *t, bool again);
void task_init_caches(void);
uint32_t task_limit(void);  /* how many threads fit in this machine's memory */
extern uint32_t task_total; /* atomic: threads of programs alive */

/* --- wait.c ------------------------------------------------------------------------------------------------------ */
/* T held: p, a zombie child, disappears. The caller calls process_reaped(p) after dropping T. */
struct reaped {
	struct process *process;
	struct group_garbage garbage;
};
struct reaped process_reap_locked(struct process *p);
void process_reaped(struct reaped r);

/* --- signal.c ---------------------------------------------------------------------------------------------------- */
/* Tells p's parent (T held) that p ended; true: nobody will wait for it, reap it now. */
bool signal_notify_parent_exit_locked(struct process *p);
bool signal_ignored_by(struct process *p, int sig); /* action is SIG_IGN; any context */
/* S held. */
int signal_send_locked(struct process *p, struct task *only, int signo, const struct signal_info *info) must_check;
#define SIGNALS_STOP (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
bool signal_is_stop(int sig);
int signal_dequeue_locked(struct task *t, uint64_t blocked, struct signal_info *out); /* 0: none */
void group_stop_clear_locked(struct process *p);

/* --- the running program's file: not to be written while somebody runs it (ETXTBSY); shared by fork -------------- */
struct exe {
	struct refcount refs;
	struct file *file; /* counted */
};
void exe_put(struct exe *e); /* NULL is allowed */

/* --- others ------------------------------------------------------------------------------------------------------ */
void vdso_init(void);
void itimer_init_process(struct process *p);
void oom_init(void);
int64_t oom_points(struct process *p, int64_t total_pages); /* what /proc/pid/oom_score is made of */
void procfs_pid_init(void);
void procfs_sched_init(void);
void usage_add(struct usage *to, const struct usage *from);
/* What t has used so far. */
void task_usage(const struct task *t, struct usage *out);
/* T held: the process with its living threads, without children. */
void process_usage_locked(struct process *p, struct usage *out);
