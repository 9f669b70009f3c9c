/* Scheduling parameters and processors. */
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sched/types.h>

#include "lib/string.h"
#include "sched/sched.h"
#include "syscall/extensible.h"
#include "syscall/handlers.h"

/* man 7 sched and Linux's own bounds. */
#define RT_PRIORITY_MAX 99
#define SLICE_MIN_NS (100 * NSEC_PER_USEC)
#define SLICE_MAX_NS (100 * NSEC_PER_MSEC)
#define DEADLINE_RUNTIME_MIN_NS 1024ull
#define DEADLINE_PERIOD_MIN_NS (100 * NSEC_PER_USEC)
#define DEADLINE_PERIOD_MAX_NS ((1ull << 22) * NSEC_PER_USEC)

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

static bool may_schedule(struct task *t)
{
	const struct cred *me = task_current()->cred, *it = task_cred(t);
	bool same = me->euid == it->euid || me->euid == it->uid;

	cred_put(it);
	return same || capable(CAP_SYS_NICE);
}

/* --- policies ---------------------------------------------------------------------------------------------------- */

static bool is_realtime(int policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

static bool is_fair(int policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH;
}

static bool policy_known(int policy)
{
	return is_realtime(policy) || is_fair(policy) || policy == SCHED_IDLE || policy == SCHED_DEADLINE;
}

/* Parameters that could never be right, before anybody asks who wants them. */
static bool params_valid(const struct sched_params *p, uint32_t priority)
{
	if (priority > RT_PRIORITY_MAX || is_realtime(p->policy) != (priority != 0))
		return false;
	if (p->policy != SCHED_DEADLINE)
		return true;
	uint64_t period_ns = p->period_ns ? p->period_ns : p->deadline_ns;
	return p->runtime_ns >= DEADLINE_RUNTIME_MIN_NS && p->runtime_ns <= p->deadline_ns &&
		p->deadline_ns <= period_ns && period_ns >= DEADLINE_PERIOD_MIN_NS &&
		period_ns <= DEADLINE_PERIOD_MAX_NS;
}

/* Whether the limits of t's process let anybody have it with this nice value (man 2 getrlimit, RLIMIT_NICE). */
static bool nice_within_limit(const struct task *t, int nice)
{
	return (uint64_t)(20 - nice) <= READ_ONCE(t->process->rlimits[RLIMIT_NICE].cur);
}

/* man 7 sched, "Privileges and resource limits": what the owner may do without CAP_SYS_NICE. */
static bool change_is_free(const struct task *t, const struct sched_params *now, const struct sched_params *want)
{
	uint64_t rt_limit = READ_ONCE(t->process->rlimits[RLIMIT_RTPRIO].cur);

	if (want->policy == SCHED_DEADLINE || (now->reset_on_fork && !want->reset_on_fork))
		return false;
	if (is_fair(want->policy) && want->nice < now->nice && !nice_within_limit(t, want->nice))
		return false;
	if (now->policy == SCHED_IDLE && want->policy != SCHED_IDLE && !nice_within_limit(t, now->nice))
		return false;
	if (!is_realtime(want->policy))
		return true;
	if (want->policy != now->policy && rt_limit == 0)
		return false;
	return want->rt_priority <= now->rt_priority || want->rt_priority <= rt_limit;
}

static long set_params(struct task *t, const struct sched_params *want, uint32_t priority)
{
	struct sched_params now, p = *want;

	if (!params_valid(&p, priority))
		return -EINVAL;
	p.rt_priority = (uint8_t)priority;
	sched_get_params(&t->thread, &now);
	if (!(may_schedule(t) && change_is_free(t, &now, &p)) && !capable(CAP_SYS_NICE))
		return -EPERM;
	return sched_set_params(&t->thread, &p);
}

/* sched_setscheduler(2), sched_setparam(2): the nice value stays. policy -1: so does the policy. */
static long set_policy(const struct syscall_args *a, int policy, uptr_t param)
{
	struct sched_params p, now;
	uint32_t priority;

	if (arg_int(a, 0) < 0 || uptr_null(param))
		return -EINVAL;
	if (get_user_u32(&priority, param) != 0)
		return -EFAULT;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	sched_get_params(&t->thread, &now);
	p = (struct sched_params){.nice = now.nice,
				  .policy = now.policy,
				  .reset_on_fork = now.reset_on_fork,
				  .slice_ns = now.slice_ns};
	long err = -EINVAL;
	if (policy >= 0) {
		p.reset_on_fork = policy & SCHED_RESET_ON_FORK;
		policy &= ~SCHED_RESET_ON_FORK;
		p.policy = (uint8_t)policy;
	}
	if (policy < 0 || policy_known(policy))
		err = set_params(t, &p, priority);
	task_put(t);
	return err;
}

long sys_sched_setscheduler(const struct syscall_args *a)
{
	return arg_int(a, 1) < 0 ? -EINVAL : set_policy(a, arg_int(a, 1), arg_uptr(a, 2));
}

long sys_sched_setparam(const struct syscall_args *a)
{
	return set_policy(a, -1, arg_uptr(a, 1));
}

/* The parameters of the thread argument 0 names. -EINVAL, -ESRCH. */
static int params_of(const struct syscall_args *a, struct sched_params *out)
{
	if (arg_int(a, 0) < 0)
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	sched_get_params(&t->thread, out);
	task_put(t);
	return 0;
}

long sys_sched_getscheduler(const struct syscall_args *a)
{
	struct sched_params p;
	int err = params_of(a, &p);

	return err ? err : p.policy | (p.reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

long sys_sched_getparam(const struct syscall_args *a)
{
	struct sched_params p;

	if (uptr_null(arg_uptr(a, 1)))
		return -EINVAL;
	int err = params_of(a, &p);
	return err ? err : put_user_u32(arg_uptr(a, 1), p.rt_priority);
}

long sys_sched_get_priority_max(const struct syscall_args *a)
{
	int policy = arg_int(a, 0);

	return !policy_known(policy) ? -EINVAL : is_realtime(policy) ? RT_PRIORITY_MAX : 0;
}

long sys_sched_get_priority_min(const struct syscall_args *a)
{
	int policy = arg_int(a, 0);

	return policy_known(policy) ? is_realtime(policy) : -EINVAL;
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

/* --- sched_setattr(2), sched_getattr(2) -------------------------------------------------------------------------- */

static int attr_from_user(uptr_t from, struct sched_attr *attr)
{
	uint32_t size;

	if (get_user_u32(&size, from) != 0)
		return -EFAULT;
	if (size == 0)
		size = SCHED_ATTR_SIZE_VER0;
	int err = size < SCHED_ATTR_SIZE_VER0
		? -E2BIG
		: extensible_struct(attr, sizeof(*attr), from, size, SCHED_ATTR_SIZE_VER0);
	if (err == -E2BIG && put_user_u32(from, sizeof(*attr)) != 0) /* man: what is known is told */
		return -EFAULT;
	if (err)
		return err;
	if ((attr->sched_flags & SCHED_FLAG_UTIL_CLAMP) && size < SCHED_ATTR_SIZE_VER1)
		return -EINVAL;
	return 0;
}

/*
 * Flags: without the bandwidth reclaiming and overrun signals of DEADLINE; utilisation clamps answer as a Linux built
 * without them.
 */
static int attr_flags_check(uint64_t flags)
{
	const uint64_t known = SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_KEEP_ALL | SCHED_FLAG_UTIL_CLAMP;

	if (flags & ~known)
		return -EINVAL;
	return flags & SCHED_FLAG_UTIL_CLAMP ? -EOPNOTSUPP : 0;
}

static long attr_apply(struct task *t, const struct sched_attr *attr)
{
	struct sched_params p, now;
	uint32_t priority = attr->sched_priority;

	sched_get_params(&t->thread, &now);
	p = (struct sched_params){.reset_on_fork = attr->sched_flags & SCHED_FLAG_RESET_ON_FORK,
				  .policy = (uint8_t)attr->sched_policy,
				  .nice = (int8_t)MIN(MAX(attr->sched_nice, -20), 19)};
	if (attr->sched_flags & SCHED_FLAG_KEEP_POLICY)
		p.policy = now.policy;
	else if (!policy_known((int)attr->sched_policy))
		return -EINVAL;
	if (p.policy == SCHED_DEADLINE) {
		p.runtime_ns = attr->sched_runtime;
		p.deadline_ns = attr->sched_deadline;
		p.period_ns = attr->sched_period;
	} else if (is_fair(p.policy) && attr->sched_runtime) { /* since Linux 6.12: the slice */
		p.slice_ns = MIN(MAX(attr->sched_runtime, SLICE_MIN_NS), SLICE_MAX_NS);
	}
	if (!is_fair(p.policy))
		p.nice = now.nice;
	if (attr->sched_flags & SCHED_FLAG_KEEP_PARAMS) {
		bool reset = p.reset_on_fork;
		uint8_t policy = p.policy;
		p = now;
		p.reset_on_fork = reset;
		p.policy = policy;
		priority = now.rt_priority;
	}
	return set_params(t, &p, priority);
}

long sys_sched_setattr(const struct syscall_args *a)
{
	struct sched_attr attr;

	if (arg_int(a, 0) < 0 || uptr_null(arg_uptr(a, 1)) || arg_uint(a, 2))
		return -EINVAL;
	int err = attr_from_user(arg_uptr(a, 1), &attr);
	if (err)
		return err;
	if ((int)attr.sched_policy < 0)
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	err = attr_flags_check(attr.sched_flags);
	long result = err ? err : attr_apply(t, &attr);
	task_put(t);
	return result;
}

long sys_sched_getattr(const struct syscall_args *a)
{
	struct sched_params p;
	uint32_t size = arg_uint(a, 2);

	if (uptr_null(arg_uptr(a, 1)) || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE || arg_uint(a, 3))
		return -EINVAL;
	int err = params_of(a, &p);
	if (err)
		return err;
	struct sched_attr attr = {.size = MIN(size, sizeof(attr)),
				  .sched_policy = p.policy,
				  .sched_flags = p.reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0};
	if (p.policy == SCHED_DEADLINE) {
		attr.sched_runtime = p.runtime_ns;
		attr.sched_deadline = p.deadline_ns;
		attr.sched_period = p.period_ns;
	} else if (is_realtime(p.policy)) {
		attr.sched_priority = p.rt_priority;
	} else {
		attr.sched_nice = p.nice;
		attr.sched_runtime = p.slice_ns;
	}
	return copy_to_user(arg_uptr(a, 1), &attr, attr.size);
}

/* --- processors -------------------------------------------------------------------------------------------------- */

/* A mask shorter than ours ends in zeros, a longer one's rest names no CPU there is. */
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

/* The bytes written, not 0 (the C library's wrapper says 0). */
long sys_sched_getaffinity(const struct syscall_args *a)
{
	if (arg_uint(a, 1) % sizeof(uint64_t) || arg_uint(a, 1) < sizeof(uint64_t))
		return -EINVAL;
	struct task *t = task_arg(a, 0);
	if (!t)
		return -ESRCH;
	uint64_t mask = sched_get_affinity(&t->thread);
	task_put(t);
	return put_user_u64(arg_uptr(a, 2), mask) == 0 ? (long)sizeof(mask) : -EFAULT;
}

/* May be old when it arrives; the vDSO's is no younger. */
long sys_getcpu(const struct syscall_args *a)
{
	uint32_t cpu = this_cpu()->id;
	int err = uptr_null(arg_uptr(a, 0)) ? 0 : put_user_u32(arg_uptr(a, 0), cpu);

	return err || uptr_null(arg_uptr(a, 1)) ? err : put_user_u32(arg_uptr(a, 1), 0);
}

long sys_getpriority(const struct syscall_args *a)
{
	return process_get_priority(arg_int(a, 0), arg_int(a, 1));
}

long sys_setpriority(const struct syscall_args *a)
{
	return process_set_priority(arg_int(a, 0), arg_int(a, 1), MIN(MAX(arg_int(a, 2), -20), 19));
}
