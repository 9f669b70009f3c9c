/* Scheduling parameters, and futexes. */
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#include "lib/string.h"
#include "proc/futex.h"
#include "sched/clock.h"
#include "sched/sched.h"
#include "syscall/extensible.h"
#include "syscall/handlers.h"

long sys_sched_yield(const struct syscall_args *a)
{
	(void)a;
	sched_yield();
	return 0;
}

/* The task a tid argument names (0: the caller), counted; NULL: -ESRCH. */
static struct task *task_arg(const struct syscall_args *a, unsigned i)
{
	int tid = arg_int(a, i);

	return task_find(tid ? tid : task_current()->tid);
}

static bool may_schedule(const struct task *t)
{
	const struct cred *me = task_current()->cred;

	return me->euid == t->cred->euid || me->euid == t->cred->uid || capable(CAP_SYS_NICE);
}

static long set_policy(struct task *t, int policy, int priority)
{
	bool realtime = policy == SCHED_FIFO || policy == SCHED_RR;

	if (!may_schedule(t))
		return -EPERM;
	if (realtime && !capable(CAP_SYS_NICE) && (uint64_t)priority > process_limit(RLIMIT_RTPRIO))
		return -EPERM;
	return sched_set_policy(&t->thread, policy, priority);
}

long sys_sched_setscheduler(const struct syscall_args *a)
{
	uint32_t priority;

	if (arg_int(a, 0) < 0 || arg_int(a, 1) < 0)
		return -EINVAL;
	if (get_user_u32(&priority, arg_uptr(a, 2)) != 0)
		return -EFAULT;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	long err = set_policy(t, arg_int(a, 1) & ~SCHED_RESET_ON_FORK, (int)priority);
	task_put(t);
	return err;
}

long sys_sched_setparam(const struct syscall_args *a)
{
	uint32_t priority;

	if (arg_int(a, 0) < 0)
		return -EINVAL;
	if (get_user_u32(&priority, arg_uptr(a, 1)) != 0)
		return -EFAULT;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	long err = set_policy(t, t->thread.policy, (int)priority);
	task_put(t);
	return err;
}

long sys_sched_getscheduler(const struct syscall_args *a)
{
	if (arg_int(a, 0) < 0)
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	long policy = t->thread.policy;
	task_put(t);
	return policy;
}

long sys_sched_getparam(const struct syscall_args *a)
{
	if (arg_int(a, 0) < 0 || uptr_null(arg_uptr(a, 1)))
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	uint32_t priority = t->thread.rt_priority;
	task_put(t);
	return put_user_u32(arg_uptr(a, 1), priority);
}

static bool policy_known(int policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_BATCH ||
		policy == SCHED_IDLE;
}

long sys_sched_get_priority_max(const struct syscall_args *a)
{
	int policy = arg_int(a, 0);

	return policy_known(policy) ? (policy == SCHED_FIFO || policy == SCHED_RR ? 99 : 0) : -EINVAL;
}

long sys_sched_get_priority_min(const struct syscall_args *a)
{
	int policy = arg_int(a, 0);

	return policy_known(policy) ? policy == SCHED_FIFO || policy == SCHED_RR : -EINVAL;
}

long sys_sched_rr_get_interval(const struct syscall_args *a)
{
	if (arg_int(a, 0) < 0)
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	uint64_t ns = sched_slice_ns(&t->thread);
	task_put(t);
	return timespec_to_user(arg_uptr(a, 1), ns);
}

long sys_sched_setattr(const struct syscall_args *a)
{
	struct sched_attr attr;
	uint32_t size;

	if (arg_int(a, 0) < 0 || arg_uint(a, 2))
		return -EINVAL;
	if (get_user_u32(&size, arg_uptr(a, 1)) != 0)
		return -EFAULT;
	if (size == 0)
		size = SCHED_ATTR_SIZE_VER0;
	int err = extensible_struct(&attr, sizeof(attr), arg_uptr(a, 1), size, SCHED_ATTR_SIZE_VER0);
	if (err)
		return err;
	if (attr.sched_flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK || !policy_known((int)attr.sched_policy))
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	long result = set_policy(t, (int)attr.sched_policy, (int)attr.sched_priority);
	if (!result && (attr.sched_policy == SCHED_NORMAL || attr.sched_policy == SCHED_BATCH))
		sched_set_nice(&t->thread, MIN(MAX(attr.sched_nice, -20), 19));
	task_put(t);
	return result;
}

long sys_sched_getattr(const struct syscall_args *a)
{
	struct sched_attr attr = {.size = sizeof(attr)};
	uint32_t size = arg_uint(a, 2);

	if (arg_int(a, 0) < 0 || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE || arg_uint(a, 3))
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	attr.sched_policy = t->thread.policy;
	attr.sched_nice = t->thread.nice;
	attr.sched_priority = t->thread.rt_priority;
	task_put(t);
	attr.size = MIN(size, sizeof(attr));
	return copy_to_user(arg_uptr(a, 1), &attr, attr.size);
}

long sys_sched_setaffinity(const struct syscall_args *a)
{
	uint64_t mask = 0;

	if (copy_from_user(&mask, arg_uptr(a, 2), MIN(arg_uint(a, 1), sizeof(mask))) != 0)
		return -EFAULT;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	long err = may_schedule(t) ? sched_set_affinity(&t->thread, mask) : -EPERM;
	task_put(t);
	return err;
}

long sys_sched_getaffinity(const struct syscall_args *a)
{
	if (arg_uint(a, 1) % 8 || arg_uint(a, 1) < sizeof(uint64_t))
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	uint64_t mask = t->thread.affinity & (cpus_online >= 64 ? UINT64_MAX : BIT(cpus_online) - 1);
	task_put(t);
	return put_user_u64(arg_uptr(a, 2), mask) == 0 ? (long)sizeof(mask) : -EFAULT;
}

long sys_getcpu(const struct syscall_args *a)
{
	uint32_t cpu = thread_current()->cpu;

	if (!uptr_null(arg_uptr(a, 0)) && put_user_u32(arg_uptr(a, 0), cpu) != 0)
		return -EFAULT;
	return uptr_null(arg_uptr(a, 1)) ? 0 : put_user_u32(arg_uptr(a, 1), 0);
}

long sys_getpriority(const struct syscall_args *a)
{
	return process_get_priority(arg_int(a, 0), arg_int(a, 1));
}

long sys_setpriority(const struct syscall_args *a)
{
	return process_set_priority(arg_int(a, 0), arg_int(a, 1), MIN(MAX(arg_int(a, 2), -20), 19));
}

/* --- futexes
 * ------------------------------------------------------------------------------------------------------------ */

static int futex_deadline(const struct syscall_args *a, int cmd, int op, uint64_t *deadline_ns)
{
	uint64_t ns;

	*deadline_ns = WAIT_FOREVER;
	if (uptr_null(arg_uptr(a, 3)))
		return 0;
	int err = timespec_arg(arg_uptr(a, 3), &ns);
	if (err)
		return err;
	uint64_t now_ns = clock_monotonic_ns();
	if (cmd == FUTEX_WAIT) {
		*deadline_ns = deadline_after(now_ns, ns);
	} else if (op & FUTEX_CLOCK_REALTIME) {
		uint64_t wall_ns = clock_realtime_ns();
		*deadline_ns = deadline_after(now_ns, ns > wall_ns ? ns - wall_ns : 0);
	} else {
		*deadline_ns = ns;
	}
	return 0;
}

static long futex_restart(struct task *t)
{
	struct task_restart *r = &t->restart;
	long n = futex_wait(r->user, (uint32_t)r->word[0], FUTEX_BITSET_MATCH_ANY, r->word[1], r->deadline_ns);

	return n == -ERESTARTSYS ? -ERESTART_RESTARTBLOCK : n;
}

static long futex_wait_call(const struct syscall_args *a, int cmd, int op, bool shared)
{
	uint64_t deadline_ns;
	int err = futex_deadline(a, cmd, op, &deadline_ns);

	if (err)
		return err;
	uint32_t bitset = cmd == FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : arg_uint(a, 5);
	long n = futex_wait(arg_uptr(a, 0), arg_uint(a, 2), bitset, shared, deadline_ns);
	if (n != -ERESTARTSYS || cmd != FUTEX_WAIT || deadline_ns == WAIT_FOREVER)
		return n;
	task_current()->restart = (struct task_restart){.fn = futex_restart,
							.deadline_ns = deadline_ns,
							.user = arg_uptr(a, 0),
							.word = {arg_uint(a, 2), shared}};
	return -ERESTART_RESTARTBLOCK;
}

long sys_futex(const struct syscall_args *a)
{
	int op = arg_int(a, 1), cmd = op & FUTEX_CMD_MASK;
	bool shared = !(op & FUTEX_PRIVATE_FLAG);
	uptr_t addr = arg_uptr(a, 0), addr2 = arg_uptr(a, 4);
	uint32_t expect = arg_uint(a, 5);

	if (op & FUTEX_CLOCK_REALTIME && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return futex_wait_call(a, cmd, op, shared);
	case FUTEX_WAKE:
		return futex_wake(addr, arg_int(a, 2), FUTEX_BITSET_MATCH_ANY, shared);
	case FUTEX_WAKE_BITSET:
		return futex_wake(addr, arg_int(a, 2), arg_uint(a, 5), shared);
	case FUTEX_REQUEUE:
		return futex_requeue(addr, addr2, arg_int(a, 2), arg_int(a, 3), NULL, shared);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(addr, addr2, arg_int(a, 2), arg_int(a, 3), &expect, shared);
	case FUTEX_WAKE_OP:
		return futex_wake_op(addr, addr2, arg_int(a, 2), arg_int(a, 3), arg_uint(a, 5), shared);
	}
	return -ENOSYS;
}

long sys_set_robust_list(const struct syscall_args *a)
{
	if (arg_u64(a, 1) != sizeof(struct robust_list_head))
		return -EINVAL;
	task_current()->robust_list = arg_uptr(a, 0);
	return 0;
}

long sys_get_robust_list(const struct syscall_args *a)
{
	struct task *t = task_arg(a, 0);

	if (!t)
		return -ESRCH;
	bool allowed = t->process == process_current() || may_schedule(t);
	uint64_t head = t->robust_list.v;
	task_put(t);
	if (!allowed)
		return -EPERM;
	int err = put_user_u64(arg_uptr(a, 2), sizeof(struct robust_list_head));
	return err ? err : put_user_u64(arg_uptr(a, 1), head);
}
