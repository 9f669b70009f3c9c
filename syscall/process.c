/* Processes: clone and its older forms, exec, exit, wait, groups and sessions, limits, prctl. */
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/personality.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/time.h>
#include <linux/wait.h>

#include "lib/printf.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/exec.h"
#include "sched/clock.h"
#include "syscall/extensible.h"
#include "syscall/handlers.h"

long sys_fork(const struct syscall_args *a)
{
	struct clone_args args = {.exit_signal = 17 /* SIGCHLD */};

	(void)a;
	return process_clone(&args);
}

long sys_vfork(const struct syscall_args *a)
{
	struct clone_args args = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = 17 /* SIGCHLD */};

	(void)a;
	return process_clone(&args);
}

/* x86-64's order: flags, stack, parent_tid, child_tid, tls (man 2 clone). The stack pointer is the top: a base with no
 * size. */
long sys_clone(const struct syscall_args *a)
{
	struct clone_args args = {
		.flags = arg_u64(a, 0) & 0xffffff00,
		.exit_signal = arg_u64(a, 0) & CSIGNAL,
		.stack = arg_u64(a, 1),
		.parent_tid = arg_u64(a, 2),
		.pidfd = arg_u64(a, 2),
		.child_tid = arg_u64(a, 3),
		.tls = arg_u64(a, 4),
	};

	if (args.flags & CLONE_PIDFD && args.flags & CLONE_PARENT_SETTID)
		return -EINVAL; /* both would be written to the same place */
	return process_clone(&args);
}

#define PID_NAMESPACES_MAX 32 /* how deep they may be nested on Linux */

long sys_clone3(const struct syscall_args *a)
{
	struct clone_args args;

	int err = extensible_struct(&args, sizeof(args), arg_uptr(a, 0), arg_u64(a, 1), CLONE_ARGS_SIZE_VER0);
	if (err)
		return err;
	/* In the order in which Linux looks. */
	if (args.set_tid_size > PID_NAMESPACES_MAX || !args.set_tid != !args.set_tid_size)
		return -EINVAL;
	if (args.exit_signal > SIGNALS)
		return -EINVAL;
	if (args.flags & CLONE_INTO_CGROUP && (args.cgroup > INT32_MAX || arg_u64(a, 1) < CLONE_ARGS_SIZE_VER2))
		return -EINVAL;
	if (args.flags & ~(uint64_t)(UINT32_MAX | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP) ||
	    args.flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME)))
		return -EINVAL;
	if (args.flags & (CLONE_THREAD | CLONE_PARENT) && args.exit_signal)
		return -EINVAL;
	if (!args.stack != !args.stack_size)
		return -EINVAL;
	if (args.stack && !user_range_ok(uptr(args.stack), args.stack_size))
		return -EINVAL;
	return process_clone(&args);
}

long sys_unshare(const struct syscall_args *a)
{
	return process_unshare(arg_u64(a, 0));
}

static long exec_at(int dirfd, uptr_t path, uptr_t argv, uptr_t envp, unsigned flags)
{
	const struct exec_strings args = {.user = argv}, env = {.user = envp};

	PATH_ARG(name, path);
	if (name.err)
		return name.err;
	BASE_ARG(base, name.name[0] == '/' ? AT_FDCWD : dirfd);
	if (base.err)
		return base.err;
	unsigned lookup = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
		(flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	/* man 2 execveat: a script's interpreter, and ps, are told where the file is by way of the descriptor. */
	char *told AUTO_KFREE = NULL;
	if (base.path) {
		size_t bytes = strlen(name.name) + 24;
		told = kmalloc(bytes);
		if (!told)
			return -ENOMEM;
		snprintf(told, bytes, "/dev/fd/%d%s%s", dirfd, name.name[0] ? "/" : "", name.name);
	}
	return exec_program(base.path, name.name, lookup, told, &args, &env);
}

long sys_execve(const struct syscall_args *a)
{
	return exec_at(AT_FDCWD, arg_uptr(a, 0), arg_uptr(a, 1), arg_uptr(a, 2), 0);
}

long sys_execveat(const struct syscall_args *a)
{
	unsigned flags = arg_uint(a, 4);

	if (flags & ~(unsigned)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return exec_at(arg_int(a, 0), arg_uptr(a, 1), arg_uptr(a, 2), arg_uptr(a, 3), flags);
}

long sys_exit(const struct syscall_args *a)
{
	task_exit((arg_int(a, 0) & 0xff) << 8);
}

long sys_exit_group(const struct syscall_args *a)
{
	process_exit_group((arg_int(a, 0) & 0xff) << 8);
}

static int usage_to_user(uptr_t p, const struct usage *u)
{
	struct rusage r = {
		.ru_utime = {(long)(u->user_ns / NSEC_PER_SEC), (long)(u->user_ns % NSEC_PER_SEC / NSEC_PER_USEC)},
		.ru_stime = {(long)(u->system_ns / NSEC_PER_SEC), (long)(u->system_ns % NSEC_PER_SEC / NSEC_PER_USEC)},
		.ru_maxrss = (long)(u->peak_resident_pages * (PAGE_SIZE / 1024)),
		.ru_minflt = (long)u->faults_minor,
		.ru_majflt = (long)u->faults_major,
		.ru_nvcsw = (long)u->switches_voluntary,
		.ru_nivcsw = (long)u->switches_involuntary,
	};
	return copy_to_user(p, &r, sizeof(r));
}

long sys_wait4(const struct syscall_args *a)
{
	struct wait_result r = {0};
	int pid = arg_int(a, 0), options = arg_int(a, 2);
	int idtype = pid < -1 || pid == 0 ? P_PGID : pid == -1 ? P_ALL : P_PID;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	long n = process_wait(idtype, pid < 0 ? -pid : pid, options | WEXITED, &r);
	if (n <= 0)
		return n;
	if (!uptr_null(arg_uptr(a, 1)) && put_user_u32(arg_uptr(a, 1), (uint32_t)r.status) != 0)
		return -EFAULT;
	if (!uptr_null(arg_uptr(a, 3)) && usage_to_user(arg_uptr(a, 3), &r.usage) != 0)
		return -EFAULT;
	return n;
}

long sys_waitid(const struct syscall_args *a)
{
	struct wait_result r = {0};
	int idtype = arg_int(a, 0), options = arg_int(a, 3);
	uint8_t raw[128] = {0};

	if (options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL) ||
	    !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	if ((idtype != P_ALL && idtype != P_PID && idtype != P_PGID) || (idtype == P_PID && arg_int(a, 1) <= 0) ||
	    (idtype == P_PGID && arg_int(a, 1) < 0))
		return -EINVAL;
	long n = process_wait(idtype, arg_int(a, 1), options, &r);
	if (n < 0)
		return n;
	if (n > 0) {
		bool plain_exit = r.code == 1 /* CLD_EXITED */;
		struct signal_info info = {
			.signo = 17 /* SIGCHLD */,
			.code = r.code,
			.child_pid = r.pid,
			.child_uid = (uint32_t)r.signal_uid,
			.child_status = plain_exit ? r.status >> 8 & 0xff : r.status & 0x7f,
		};
		if (r.code > 3) /* CLD_TRAPPED and later carry the signal itself */
			info.child_status = (r.status & 0xff) == 0x7f ? r.status >> 8 & 0xff : 18 /* SIGCONT */;
		signal_info_to_user(&info, raw);
	}
	if (!uptr_null(arg_uptr(a, 2)) && copy_to_user(arg_uptr(a, 2), raw, sizeof(raw)) != 0)
		return -EFAULT;
	if (n > 0 && !uptr_null(arg_uptr(a, 4)) && usage_to_user(arg_uptr(a, 4), &r.usage) != 0)
		return -EFAULT;
	return 0;
}

long sys_getrusage(const struct syscall_args *a)
{
	struct usage u;
	int err = process_usage(arg_int(a, 0), &u);

	return err ? err : usage_to_user(arg_uptr(a, 1), &u);
}

long sys_times(const struct syscall_args *a)
{
	const uint64_t tick_ns = NSEC_PER_SEC / 100;
	struct usage self, children;

	int err = process_usage(RUSAGE_SELF, &self);
	if (!err)
		err = process_usage(RUSAGE_CHILDREN, &children);
	if (err)
		return err;
	long t[4] = {(long)(self.user_ns / tick_ns), (long)(self.system_ns / tick_ns),
		     (long)(children.user_ns / tick_ns), (long)(children.system_ns / tick_ns)};
	if (!uptr_null(arg_uptr(a, 0)) && copy_to_user(arg_uptr(a, 0), t, sizeof(t)) != 0)
		return -EFAULT;
	return (long)(clock_monotonic_ns() / tick_ns);
}

/* --- who is who --------------------------------------------------------------------------------------------------- */

long sys_getpid(const struct syscall_args *a)
{
	(void)a;
	return process_current()->pid;
}

long sys_gettid(const struct syscall_args *a)
{
	(void)a;
	return task_current()->tid;
}

long sys_getppid(const struct syscall_args *a)
{
	(void)a;
	return READ_ONCE(process_current()->parent_pid);
}

long sys_set_tid_address(const struct syscall_args *a)
{
	task_current()->clear_child_tid = arg_uptr(a, 0);
	return task_current()->tid;
}

long sys_setpgid(const struct syscall_args *a)
{
	return process_setpgid(arg_int(a, 0), arg_int(a, 1));
}

long sys_getpgid(const struct syscall_args *a)
{
	return process_getpgid(arg_int(a, 0));
}

long sys_getpgrp(const struct syscall_args *a)
{
	(void)a;
	return process_getpgid(0);
}

long sys_getsid(const struct syscall_args *a)
{
	return process_getsid(arg_int(a, 0));
}

long sys_setsid(const struct syscall_args *a)
{
	(void)a;
	return process_setsid();
}

/* --- limits and settings
 * ---------------------------------------------------------------------------------------------- */

static long limits(int pid, unsigned resource, uptr_t set, uptr_t get)
{
	struct resource_limit new_limit, old;

	if (resource >= RLIMITS)
		return -EINVAL;
	if (!uptr_null(set) && copy_from_user(&new_limit, set, sizeof(new_limit)) != 0)
		return -EFAULT;
	int err = process_prlimit(pid, resource, uptr_null(set) ? NULL : &new_limit, &old);
	if (err)
		return err;
	return uptr_null(get) ? 0 : copy_to_user(get, &old, sizeof(old));
}

long sys_getrlimit(const struct syscall_args *a)
{
	return uptr_null(arg_uptr(a, 1)) ? -EFAULT : limits(0, arg_uint(a, 0), uptr(0), arg_uptr(a, 1));
}

long sys_setrlimit(const struct syscall_args *a)
{
	return uptr_null(arg_uptr(a, 1)) ? -EFAULT : limits(0, arg_uint(a, 0), arg_uptr(a, 1), uptr(0));
}

long sys_prlimit64(const struct syscall_args *a)
{
	return limits(arg_int(a, 0), arg_uint(a, 1), arg_uptr(a, 2), arg_uptr(a, 3));
}

long sys_personality(const struct syscall_args *a)
{
	if (arg_uint(a, 0) != UINT32_MAX && arg_uint(a, 0) != PER_LINUX)
		return -EINVAL; /* only Linux's own is offered */
	return PER_LINUX;
}

static long prctl_name(bool set, uptr_t p)
{
	struct thread *t = thread_current();
	char name[sizeof(t->name)] = {0};

	if (!set)
		return copy_to_user(p, t->name, sizeof(t->name));
	int64_t n = strncpy_from_user(name, p, sizeof(name));
	if (n < 0 && n != -ENAMETOOLONG)
		return n;
	name[sizeof(name) - 1] = '\0';
	task_set_name(task_current(), name);
	return 0;
}

long sys_prctl(const struct syscall_args *a)
{
	struct process *p = process_current();
	uint64_t arg = arg_u64(a, 1);

	switch (arg_int(a, 0)) {
	case PR_SET_NAME:
	case PR_GET_NAME:
		return prctl_name(arg_int(a, 0) == PR_SET_NAME, arg_uptr(a, 1));
	case PR_SET_PDEATHSIG:
		if (arg > SIGNALS)
			return -EINVAL;
		p->parent_death_signal = (int)arg;
		return 0;
	case PR_GET_PDEATHSIG:
		return put_user_u32(arg_uptr(a, 1), (uint32_t)p->parent_death_signal);
	case PR_SET_DUMPABLE:
		if (arg > 1)
			return -EINVAL;
		p->dumpable = arg;
		return 0;
	case PR_GET_DUMPABLE:
		return p->dumpable;
	case PR_SET_CHILD_SUBREAPER:
		p->is_subreaper = arg != 0;
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_user_u32(arg_uptr(a, 1), p->is_subreaper);
	case PR_SET_NO_NEW_PRIVS:
		if (arg != 1 || arg_u64(a, 2) || arg_u64(a, 3) || arg_u64(a, 4))
			return -EINVAL;
		p->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return arg || arg_u64(a, 2) || arg_u64(a, 3) || arg_u64(a, 4) ? -EINVAL : p->no_new_privs;
	case PR_CAPBSET_READ:
		return arg > CAP_LAST_CAP ? -EINVAL : (task_current()->cred->cap_bounding & BIT(arg)) != 0;
	case PR_GET_KEEPCAPS:
	case PR_GET_SECCOMP:
		return 0;
	case PR_GET_TIMERSLACK:
		return 50000;
	case PR_SET_TIMERSLACK:
		return 0; /* timers are never late on purpose */
	}
	return -EINVAL;
}

long sys_arch_prctl(const struct syscall_args *a)
{
	struct arch_thread *t = &thread_current()->arch;
	uint64_t arg = arg_u64(a, 1);

	switch (arg_int(a, 0)) {
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (arg >= USER_VA_END)
			return -EPERM;
		if (arg_int(a, 0) == ARCH_SET_FS)
			context_set_tls(t, arg);
		else
			context_set_gs(t, arg);
		return 0;
	case ARCH_GET_FS:
	case ARCH_GET_GS:
		context_save_tls(t);
		return put_user_u64(arg_uptr(a, 1), arg_int(a, 0) == ARCH_GET_FS ? t->fs_base : t->gs_base);
	}
	return -EINVAL;
}
