/*
 * PID 1: made from nothing, with the console as its three files, and run from the first candidate that works (man 7
 * boot; the same list as Linux).
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/resource.h>

#include <arch/mmu.h>

#include "core/log.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/exec.h"
#include "proc/internal.h"
#include "proc/user_return.h"

#define INIT_ENV_MAX 40
#define INIT_ARGS_MAX 40

static const char *const usual_places[] = {"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"};

/*
 * The one start there is.  Static: who waits may see `decided` and go on before the other has so much as begun to wake
 * it, so the queue must not lie on the waiting one's stack.
 */
static struct start {
	const struct init_request *request;
	struct wait_queue queue;
	bool decided;
	int err;
} start = {.queue = WAIT_QUEUE_INIT(start.queue)};

/* man 2 getrlimit; the values of Linux's own PID 1. */
static void default_limits(struct process *p)
{
	struct page_stats s;

	page_stats_get(&s);
	uint64_t threads = task_limit() / 2;
	for (unsigned i = 0; i < RLIMITS; i++)
		p->rlimits[i] = (struct resource_limit){RLIM64_INFINITY, RLIM64_INFINITY};
	p->rlimits[RLIMIT_STACK] = (struct resource_limit){8 * MIB, RLIM64_INFINITY};
	p->rlimits[RLIMIT_CORE] = (struct resource_limit){0, RLIM64_INFINITY};
	p->rlimits[RLIMIT_NPROC] = (struct resource_limit){threads, threads};
	p->rlimits[RLIMIT_NOFILE] = (struct resource_limit){1024, 4096};
	p->rlimits[RLIMIT_MEMLOCK] = (struct resource_limit){8 * MIB, 8 * MIB};
	p->rlimits[RLIMIT_SIGPENDING] = (struct resource_limit){threads, threads};
	p->rlimits[RLIMIT_MSGQUEUE] = (struct resource_limit){819200, 819200};
	p->rlimits[RLIMIT_NICE] = (struct resource_limit){0, 0};
	p->rlimits[RLIMIT_RTPRIO] = (struct resource_limit){0, 0};
}

static void open_console(void)
{
	struct actor who = process_actor();
	struct file *f;
	int err = vfs_open(&who, NULL, "/dev/console", O_RDWR, 0, LOOKUP_FOLLOW, &f);

	if (err) {
		log_warn("init: cannot open /dev/console (error %d): PID 1 starts without input and output. The "
			 "initramfs needs a /dev directory.",
			 -err);
		return;
	}
	for (int i = 0; i < 3; i++) {
		file_get(f);
		int fd = fd_install(f, 0, false);
		if (fd < 0)
			file_put(f);
	}
	file_put(f);
}

static int try_run(const struct init_request *r, const char *path)
{
	const char *argv[INIT_ARGS_MAX + 2], *envp[INIT_ENV_MAX + 3];
	unsigned n = 0;

	argv[n++] = path;
	for (unsigned i = 0; i < r->arg_count && n < INIT_ARGS_MAX + 1; i++)
		argv[n++] = r->args[i];
	argv[n] = NULL;
	n = 0;
	envp[n++] = "HOME=/";
	envp[n++] = "TERM=linux";
	for (unsigned i = 0; i < r->env_count && n < INIT_ENV_MAX + 2; i++)
		envp[n++] = r->env[i];
	envp[n] = NULL;

	struct exec_strings args = {.kernel = argv}, env = {.kernel = envp};
	return exec_program(NULL, path, LOOKUP_FOLLOW, NULL, &args, &env);
}

static const char *remedy(int err)
{
	switch (-err) {
	case ENOENT:
		return "not there, or its interpreter is not";
	case EACCES:
		return "not executable: chmod +x it before packing the initramfs";
	case ENOEXEC:
		return "not a program for this machine";
	case ELIBBAD:
		return "its interpreter is damaged";
	case ENOMEM:
		return "too little memory";
	case EISDIR:
		return "a directory";
	default:
		return "see errno(3)";
	}
}

static int try_and_report(const struct init_request *r, const char *path, bool optional)
{
	int err = try_run(r, path);

	if (!err) {
		log_info("init: running %s as PID 1", path);
		log_flush(); /* so far the consoles are the kernel's */
	} else if (!optional || err != -ENOENT) {
		log_err("init: cannot run %s: error %d, %s", path, -err, remedy(err));
	}
	return err;
}

static int run_candidates(const struct init_request *r)
{
	int err = try_and_report(r, r->rdinit ? r->rdinit : "/init", !r->rdinit);

	if (!err)
		return 0;
	if (r->init)
		return try_and_report(r, r->init, false);
	for (size_t i = 0; i < ARRAY_SIZE(usual_places); i++) {
		int e = try_and_report(r, usual_places[i], true);
		if (!e)
			return 0;
		if (e != -ENOENT)
			err = e;
	}
	return err;
}

static void init_entry(void *arg)
{
	struct task *t = arg;

	open_console();
	int err = run_candidates(start.request);
	start.err = err;
	atomic_store_release(&start.decided, true);
	wait_wake_all(&start.queue);
	if (err)
		task_exit(0); /* quietly: it never was a program */
	irq_disable();
	user_return(context_user_frame(&t->thread.arch));
	context_enter_user();
}

/* A task with an empty address space, root's rights and the initial directory. */
static int make_first(struct task **out)
{
	struct task *t = task_alloc();
	struct process *p = t ? process_alloc() : NULL;
	int err = -ENOMEM;

	if (!p)
		goto err_task;
	t->process = p;
	process_get(p); /* the number's */
	err = sighand_create(&p->sighand);
	if (err)
		goto err_process;
	err = aspace_create(&p->aspace);
	if (err)
		goto err_sighand;
	err = fdtable_create(&t->files);
	if (err)
		goto err_aspace;
	t->account = account_get(0);
	err = t->account ? fs_context_copy(fs_context_initial(), &t->fs) : -ENOMEM;
	if (err)
		goto err_files;
	err = pid_alloc(&t->tid);
	if (err)
		goto err_fs;
	p->pid = t->tid;
	err = group_create_first(p);
	if (!err)
		err = task_thread_init(t, NULL, init_entry);
	if (err)
		goto err_pid;
	*out = t;
	return 0;

err_pid:
	pid_cancel(t->tid);
	if (p->group) {
		irqflags_t f = spin_lock(&process_tree_lock);
		struct group_garbage g = group_leave_locked(p);
		spin_unlock(&process_tree_lock, f);
		group_free(g);
	}
err_fs:
	fs_context_put(t->fs);
err_files:
	fdtable_put(t->files);
err_aspace:
	aspace_put(p->aspace);
err_sighand:
	sighand_put(p->sighand);
err_process:
	process_put(p);
err_task:
	if (t)
		task_free(t);
	return err;
}

static void publish_first(struct task *t)
{
	struct process *p = t->process;

	t->cred = &cred_root;
	cred_get(t->cred);
	default_limits(p);
	p->exit_signal = SIGCHLD;
	t->thread.aspace = p->aspace;
	t->thread.mmu = &p->aspace->mmu;
	__atomic_fetch_add(&task_total, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&t->account->tasks, 1, __ATOMIC_RELAXED);
	SPIN_GUARD(&process_tree_lock);
	SPIN_GUARD(&p->signal_lock);
	list_push_back(&p->threads, &t->thread_node);
	p->thread_count = p->live_count = 1;
	pid_set(t->tid, PID_TASK, t);
	pid_set(p->pid, PID_PROCESS, p);
	p->unkillable = true;
	process_init_process = p;
}

int process_start_init(const struct init_request *r)
{
	struct task *t;
	int err = make_first(&t);

	if (err)
		return err;
	start.request = r;
	publish_first(t);
	task_set_name(t, "init");
	thread_start(&t->thread);
	(void)!WAIT_UNTIL(&start.queue, atomic_load_acquire(&start.decided), 0, WAIT_FOREVER);
	return start.err;
}
