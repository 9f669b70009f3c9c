/* Signals: actions, masks, sending, waiting. */
#include <asm/signal.h>
#include <asm-generic/siginfo.h>

#include "sched/clock.h"
#include "syscall/handlers.h"

long sys_rt_sigaction(const struct syscall_args *a)
{
	struct signal_action new_action, old;
	struct user_action {
		uint64_t handler, flags, restorer, mask;
	} u;
	int sig = arg_int(a, 0);
	bool set = !uptr_null(arg_uptr(a, 1));

	if (arg_u64(a, 3) != sizeof(u.mask))
		return -EINVAL;
	if (set) {
		if (copy_from_user(&u, arg_uptr(a, 1), sizeof(u)) != 0)
			return -EFAULT;
		new_action = (struct signal_action){.handler = u.handler,
						    .flags = u.flags,
						    .restorer = u.restorer,
						    .mask = u.mask};
	}
	int err = signal_action_change(sig, set ? &new_action : NULL, &old);
	if (err || uptr_null(arg_uptr(a, 2)))
		return err;
	u = (struct user_action){.handler = old.handler,
				 .flags = old.flags,
				 .restorer = old.restorer,
				 .mask = old.mask};
	return copy_to_user(arg_uptr(a, 2), &u, sizeof(u));
}

long sys_rt_sigprocmask(const struct syscall_args *a)
{
	struct task *t = task_current();
	uint64_t old = t->blocked, set;

	if (arg_u64(a, 3) != sizeof(set))
		return -EINVAL;
	if (!uptr_null(arg_uptr(a, 1))) {
		if (get_user_u64(&set, arg_uptr(a, 1)) != 0)
			return -EFAULT;
		switch (arg_int(a, 0)) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		signal_mask_set(t, set);
	}
	return uptr_null(arg_uptr(a, 2)) ? 0 : put_user_u64(arg_uptr(a, 2), old);
}

long sys_rt_sigreturn(const struct syscall_args *a)
{
	(void)a;
	return signal_return(context_user_frame(&thread_current()->arch));
}

long sys_rt_sigpending(const struct syscall_args *a)
{
	uint64_t set = signal_pending_blocked();

	if (arg_u64(a, 1) > sizeof(set))
		return -EINVAL;
	return copy_to_user(arg_uptr(a, 0), &set, arg_u64(a, 1));
}

long sys_rt_sigsuspend(const struct syscall_args *a)
{
	uint64_t mask;
	int err = sigset_arg(arg_uptr(a, 0), arg_u64(a, 1), &mask);

	return err ? err : signal_suspend(mask);
}

long sys_pause(const struct syscall_args *a)
{
	(void)a;
	return signal_pause();
}

long sys_rt_sigtimedwait(const struct syscall_args *a)
{
	struct signal_info info;
	uint8_t raw[128];
	uint64_t set, ns, deadline_ns = WAIT_FOREVER;

	int err = sigset_arg(arg_uptr(a, 0), arg_u64(a, 3), &set);
	if (err)
		return err;
	if (!uptr_null(arg_uptr(a, 2))) {
		err = timespec_arg(arg_uptr(a, 2), &ns);
		if (err)
			return err;
		deadline_ns = deadline_after(clock_monotonic_ns(), ns);
	}
	long signo = signal_wait(set, deadline_ns, &info);
	if (signo < 0)
		return signo;
	if (!uptr_null(arg_uptr(a, 1))) {
		signal_info_to_user(&info, raw);
		if (copy_to_user(arg_uptr(a, 1), raw, sizeof(raw)) != 0)
			return -EFAULT;
	}
	return signo;
}

long sys_kill(const struct syscall_args *a)
{
	return signal_kill(arg_int(a, 0), arg_int(a, 1), NULL);
}

long sys_tkill(const struct syscall_args *a)
{
	return arg_int(a, 0) <= 0 ? -EINVAL : signal_tgkill(0, arg_int(a, 0), arg_int(a, 1), NULL);
}

long sys_tgkill(const struct syscall_args *a)
{
	if (arg_int(a, 0) <= 0 || arg_int(a, 1) <= 0)
		return -EINVAL;
	return signal_tgkill(arg_int(a, 0), arg_int(a, 1), arg_int(a, 2), NULL);
}

/* A program may claim to be neither the kernel nor kill(2), except towards itself (rt_sigqueueinfo(2)). */
static int queued_info(uptr_t p, int sig, int pid, struct signal_info *info)
{
	uint8_t raw[128];

	if (copy_from_user(raw, p, sizeof(raw)) != 0)
		return -EFAULT;
	signal_info_from_user(raw, sig, info);
	return (info->code >= 0 || info->code == SI_TKILL) && pid != process_current()->pid ? -EPERM : 0;
}

long sys_rt_sigqueueinfo(const struct syscall_args *a)
{
	struct signal_info info;
	int err = queued_info(arg_uptr(a, 2), arg_int(a, 1), arg_int(a, 0), &info);

	if (err)
		return err;
	return arg_int(a, 0) <= 0 ? -ESRCH : signal_kill(arg_int(a, 0), arg_int(a, 1), &info);
}

long sys_rt_tgsigqueueinfo(const struct syscall_args *a)
{
	struct signal_info info;

	if (arg_int(a, 0) <= 0 || arg_int(a, 1) <= 0)
		return -EINVAL;
	int err = queued_info(arg_uptr(a, 3), arg_int(a, 2), arg_int(a, 0), &info);
	return err ? err : signal_tgkill(arg_int(a, 0), arg_int(a, 1), arg_int(a, 2), &info);
}

long sys_sigaltstack(const struct syscall_args *a)
{
	struct altstack set, old;
	stack_t u;
	bool change = !uptr_null(arg_uptr(a, 0));

	if (change) {
		if (copy_from_user(&u, arg_uptr(a, 0), sizeof(u)) != 0)
			return -EFAULT;
		set = (struct altstack){.sp = (uint64_t)u.ss_sp, .size = u.ss_size, .flags = u.ss_flags};
	}
	int err = signal_altstack(change ? &set : NULL, &old, trap_sp(context_user_frame(&thread_current()->arch)).v);
	if (err || uptr_null(arg_uptr(a, 1)))
		return err;
	u = (stack_t){.ss_sp = (void *)old.sp, .ss_flags = old.flags, .ss_size = old.size};
	return copy_to_user(arg_uptr(a, 1), &u, sizeof(u));
}

long sys_restart_syscall(const struct syscall_args *a)
{
	struct task *t = task_current();
	long (*fn)(struct task *) = t->restart.fn;

	(void)a;
	return fn ? fn(t) : -EINTR;
}
