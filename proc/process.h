/*
 * Processes and their threads.  Theory in process.c.
 *
 *   T  process_tree_lock (LOCK_PROCESS_TREE)   S  process->signal_lock (LOCK_SIGNAL)   P  process->lock (LOCK_PROCESS)
 *   TS changed under both, read under either   own: only the thread itself             I  immutable
 */
#pragma once

#include "fs/cred.h"
#include "fs/vfs.h"
#include "lib/list.h"
#include "lib/types.h"
#include "proc/fdtable.h"
#include "proc/rseq.h"
#include "proc/signal.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "sched/wait.h"
#include "vm/aspace.h"

#define RLIMITS 16

struct resource_limit {
	uint64_t cur, max;
};

struct usage {
	uint64_t user_ns, system_ns;
	uint64_t faults_minor, faults_major, switches_voluntary, switches_involuntary, peak_resident_pages;
};

struct process;
struct process_group;
struct user_account;
struct vfork_wait;
struct exe;
struct tty;

/* What a thread has to do with futexes (futex.h). */
struct futex_task {
	uptr_t robust_list;   /* own, read by get_robust_list: set_robust_list(2) */
	struct spinlock lock; /* LOCK_FUTEX_TASK: what follows */
	struct list pi_owned; /* of the PI futexes it owns those that somebody waits for */
	uint8_t life;	      /* enum futex_life */
};

struct altstack {
	uint64_t sp, size;
	int flags; /* SS_DISABLE, SS_AUTODISARM */
};

/* A thread of a program. */
struct task {
	struct thread thread;	       /* first */
	struct process *process;       /* I, counted */
	int tid;		       /* T; exec makes the caller the leader */
	struct fs_context *fs;	       /* counted; changed by itself under P */
	struct fdtable *files;	       /* counted; changed by itself under P */
	const struct cred *cred;       /* counted; changed by itself; others: task_cred(), or sync/rcu.h */
	struct user_account *account;  /* of cred->uid; changed by itself under S */
	struct list_node thread_node;  /* process->threads; TS */
	struct signal_pending pending; /* S */
	uint64_t blocked;	       /* S to change; own to read */
	uint64_t sigwait_set;	       /* S: what signal_wait waits for */
	uint64_t saved_mask;	       /* own: comes back after the handler's frame is built */
	bool restore_mask;	       /* own */
	bool exiting;		       /* S */
	bool stop_counted;	       /* S: the group stop still waits for this thread */
	struct altstack altstack;      /* own */
	uptr_t set_child_tid;	       /* own: written when it first runs */
	uptr_t clear_child_tid;	       /* own: set_tid_address(2) */
	struct futex_task futex;
	struct task_rseq rseq; /* own: rseq(2) */
	struct task_restart {  /* own: restart_syscall(2) calls fn(self) */
		long (*fn)(struct task *t);
		uint64_t deadline_ns;
		uptr_t user;
		uint64_t word[4];
	} restart;
	struct vfork_wait *vfork; /* S: the parent waits until we exec or exit */
	struct rcu_deferred deferred;
};

/* A thread group: what a pid names. */
struct process {
	struct refcount refs;
	struct rcu_deferred deferred;
	int pid;				   /* I */
	struct spinlock lock;			   /* P */
	struct spinlock signal_lock;		   /* S */
	struct process *parent;			   /* T: NULL for PID 1 */
	int parent_pid;				   /* T; READ_ONCE without: getppid(2) */
	struct list children;			   /* T: those that can be waited for first */
	struct list_node sibling;		   /* T */
	struct list threads;			   /* TS: of struct task, the leader first */
	unsigned thread_count;			   /* TS: of that list */
	unsigned live_count;			   /* S: threads that may still use the address space */
	unsigned leaving_count;			   /* S: those of them that have begun to exit */
	struct process_group *group;		   /* T */
	struct list_node group_node;		   /* T */
	struct wait_queue child_event;		   /* wait4(2) sleepers: a child changed state */
	struct wait_queue thread_event;		   /* exec waits for the other threads' end */
	struct wait_queue signal_event;		   /* signal_wait, signalfd: a signal arrived */
	struct aspace *aspace;			   /* counted; NULL after exit. P to read from outside */
	struct exe *exe;			   /* counted; P: the file it runs. NULL before exec and after exit */
	struct sighand *sighand;		   /* counted; S. NULL after exit */
	struct signal_pending pending;		   /* S: process-directed */
	struct task *exec_task;			   /* S: this one lives on, the others end */
	int exit_status;			   /* S: wait status; final when zombie */
	int stop_signal;			   /* S */
	unsigned stop_count;			   /* S: threads that have yet to stop */
	bool group_exiting;			   /* S: every thread must end with exit_status */
	bool stopping;				   /* S: a group stop has begun or is complete */
	bool stopped;				   /* S: every thread is stopped */
	bool stop_reported;			   /* TS: wait4(WUNTRACED) has seen it */
	bool continued;				   /* S: wait4(WCONTINUED) has not seen it yet */
	bool tell_continued;			   /* S: the parent has not been told yet */
	bool stop_dequeued;			   /* S: a stop signal was taken but not acted on; SIGCONT revokes it */
	bool unkillable;			   /* S: PID 1: default actions do not happen */
	bool zombie;				   /* T */
	bool did_exec, is_subreaper, no_new_privs; /* own process */
	uint8_t dumpable;			   /* PR_SET_DUMPABLE */
	int16_t oom_score_adj;
	int exit_signal;			/* T: what the parent gets: SIGCHLD, or clone's choice; 0 none */
	int parent_death_signal;		/* T */
	struct resource_limit rlimits[RLIMITS]; /* P to change; cur is read without */
	struct usage self, children_usage;	/* T: of ended threads / reaped children */
	uint64_t start_ns;			/* I: monotonic */
	uint32_t uid, gid, real_uid,
		saved_uid; /* uid, gid effective; of the thread that changed them last. Word-sized reads from outside */
	struct user_account *account; /* of a zombie: who it counts for */
	struct timer itimer_real;     /* setitimer(ITIMER_REAL), alarm */
	uint64_t itimer_interval_ns;  /* S */
	char comm[16];		      /* the leader's name; P to change */
};

extern struct spinlock process_tree_lock;
extern struct process *process_init_process; /* PID 1; NULL before it is made */

static always_inline struct task *task_current(void)
{
	return (struct task *)thread_current();
}
static always_inline struct process *process_current(void)
{
	return task_current()->process;
}
/* The actor for fs/ calls. */
static always_inline struct actor process_actor(void)
{
	return (struct actor){.fs = task_current()->fs, .cred = task_current()->cred};
}
/* A user thread's task, or NULL for a kernel thread. */
static inline struct task *task_from_thread(struct thread *t)
{
	return t->user ? (struct task *)t : NULL;
}

/* --- boot -------------------------------------------------------------------------------------------------------- */
struct init_request {
	const char *rdinit; /* tried first; NULL: "/init" */
	const char *init;   /* init=: the only one after rdinit; NULL: the usual list */
	const char *const *args;
	unsigned arg_count;
	const char *const *env;
	unsigned env_count;
};
/* Makes PID 1 and lets it exec init as asked; reports each candidate that fails and why. 0 once PID 1 runs its
 * program; otherwise the errno of the last candidate. Thread context (sleeps until it is decided). */
int process_start_init(const struct init_request *r) must_check;
/* What happens when PID 1 ends; registered by core/. Called by PID 1's last thread. */
extern void (*process_init_exited)(int wait_status);
void process_init(void); /* boot order step: caches, pid map, hooks into tty, procfs, vm */

/* --- look-up: counted, NULL when there is none ------------------------------------------------------------------- */
struct process *process_find(int pid);
struct task *task_find(int tid);
static inline void process_get(struct process *p)
{
	refcount_get(&p->refs);
}
void process_put(struct process *p);
static inline void task_get(struct task *t)
{
	thread_get(&t->thread);
}
static inline void task_put(struct task *t)
{
	thread_put(&t->thread);
}
/* The process's first living thread, counted, or NULL. */
struct task *process_any_task(struct process *p);
/* What others may see of a process, counted; NULL when it has ended. */
struct aspace *process_aspace(struct process *p);
/* The file it runs, counted, or NULL. */
struct file *process_exe(struct process *p);
struct fs_context *task_fs(struct task *t);
struct fdtable *task_files(struct task *t);
const struct cred *task_cred(struct task *t);

/* --- life -------------------------------------------------------------------------------------------------------- */
/* clone(2) family: args as in struct clone_args of <linux/sched.h>. Child's pid, or -errno. Runs in the caller; the
 * parent's user frame is copied. stack is the lowest address as in clone3; clone(2) passes stack = sp with stack_size
 * 0. */
struct clone_args;
long process_clone(const struct clone_args *args);
/* unshare(2): CLONE_FS, CLONE_FILES (and the flags that are no-ops for a lone thread). */
int process_unshare(unsigned long flags) must_check;
/* Ends the calling thread / whole process. status: wait status. */
noreturn void task_exit(int status);
noreturn void process_exit_group(int status);
/* For exec. Makes the other threads of the group end; the caller is the only one when it returns. -EAGAIN when it is
 * being killed itself. */
int process_kill_other_threads(void) must_check;
/* The only thread of its process takes over the leader's number, so that the pid stays what it was. */
void process_take_lead(struct task *t);
/* Lets a vfork parent go on. The calling thread execs or exits. */
void process_vfork_done(struct task *t);

/* wait4/waitid. idtype, id, options as waitid(2), plus the __W… flags. Returns pid or 0 (WNOHANG, nothing)
 * or -errno. */
struct wait_result {
	int pid, status, code, signal_uid; /* status as wait4 encodes it; code CLD_*; signal_uid: the child's uid */
	struct usage usage;
};
long process_wait(int idtype, int id, int options, struct wait_result *out);

/* --- properties -------------------------------------------------------------------------------------------------- */
/* RLIMIT_* of the calling process: soft value. */
static always_inline uint64_t process_limit(unsigned resource)
{
	return READ_ONCE(process_current()->rlimits[resource].cur);
}
/* prlimit64(2): pid 0 is the caller; either may be NULL. -EINVAL, -EPERM, -ESRCH. */
int process_prlimit(int pid, unsigned resource, const struct resource_limit *set,
		    struct resource_limit *old) must_check;
static always_inline bool process_capable(unsigned cap)
{
	return cred_capable(task_current()->cred, cap);
}
/* getrusage(2): RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD. -EINVAL. */
int process_usage(int who, struct usage *out) must_check;
/* CPU time of the whole process / of a thread, for clock_gettime and times. */
uint64_t process_cpu_ns(struct process *p);
/* Puts new credentials (takes the reference) in place of the calling thread's. Cannot fail. */
void task_set_cred(const struct cred *c);
/* PR_SET_NAME, /proc/pid/comm. Cuts at 15 bytes. */
void task_set_name(struct task *t, const char *name);
/* setitimer(2), alarm(2): ITIMER_REAL; the others -EINVAL. old may be NULL: time left and interval. */
int process_itimer_set(int which, uint64_t value_ns, uint64_t interval_ns, uint64_t *old_value_ns,
		       uint64_t *old_interval_ns) must_check;
int process_itimer_get(int which, uint64_t *value_ns, uint64_t *interval_ns) must_check;
/* Whether the caller may look into p (ptrace_may_access's read rule, for /proc and process_vm_readv). */
bool process_may_read(struct process *p);
uint32_t process_count(void); /* threads of programs that exist */
int process_last_pid(void);

/* --- sessions and groups (credentials(7)) ------------------------------------------------------------------------ */
int process_setpgid(int pid, int pgid) must_check;
long process_getpgid(int pid);
long process_getsid(int pid);
long process_setsid(void);
/* Calls fn for each process (T held: fn must not sleep) of a group / a user (by uid) / all. Stops when fn returns
 * false. */
void process_for_each(bool (*fn)(struct process *p, void *arg), void *arg);
void process_group_for_each(int pgid, bool (*fn)(struct process *p, void *arg), void *arg);
/* getpriority(2)/setpriority(2): PRIO_PROCESS, PRIO_PGRP, PRIO_USER. get returns 20 - nice, as the system call does. */
long process_get_priority(int which, int who);
long process_set_priority(int which, int who, int nice);
/* The address space of pid for process_vm_readv and /proc/pid/mem: checks the right to look into it; counted. -ESRCH,
 * -EPERM. */
int process_aspace_for_access(int pid, struct aspace **out) must_check;
