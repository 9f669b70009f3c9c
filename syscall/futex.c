/* Futexes and robust lists: futex(2), futex_waitv(2), set_robust_list(2). */
#include <linux/futex.h>
#include <linux/time.h>

#include "mm/slab.h"
#include "proc/futex.h"
#include "sched/clock.h"
#include "sched/wait.h"
#include "syscall/handlers.h"

/* A time-out argument as a monotonic deadline; a null pointer: none. */
static int deadline_arg(uptr_t p, bool relative, bool realtime, uint64_t *deadline_ns)
{
	uint64_t ns;

	*deadline_ns = WAIT_FOREVER;
	if (uptr_null(p))
		return 0;
	int err = timespec_arg(p, &ns);
	if (err)
		return err;
	uint64_t now_ns = clock_monotonic_ns();
	if (realtime) {
		uint64_t wall_ns = clock_realtime_ns();
		ns = ns > wall_ns ? ns - wall_ns : 0;
	}
	*deadline_ns = relative || realtime ? deadline_after(now_ns, ns) : ns;
	return 0;
}

/* The operations with a time-out, which the fourth argument is a pointer to. */
static int timeout_arg(const struct syscall_args *a, int op, uint64_t *deadline_ns)
{
	int cmd = op & FUTEX_CMD_MASK;

	*deadline_ns = WAIT_FOREVER;
	switch (cmd) {
	case FUTEX_WAIT:
		return deadline_arg(arg_uptr(a, 3), true, false, deadline_ns);
	case FUTEX_LOCK_PI:
		return deadline_arg(arg_uptr(a, 3), false, true, deadline_ns);
	case FUTEX_WAIT_BITSET:
	case FUTEX_WAIT_REQUEUE_PI:
	case FUTEX_LOCK_PI2:
		return deadline_arg(arg_uptr(a, 3), false, op & FUTEX_CLOCK_REALTIME, deadline_ns);
	}
	return 0;
}

static bool realtime_allowed(int cmd)
{
	return cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAIT_REQUEUE_PI || cmd == FUTEX_LOCK_PI2;
}

long sys_futex(const struct syscall_args *a)
{
	int op = arg_int(a, 1), cmd = op & FUTEX_CMD_MASK, value = arg_int(a, 2), value2 = arg_int(a, 3);
	bool shared = !(op & FUTEX_PRIVATE_FLAG);
	uptr_t addr = arg_uptr(a, 0), addr2 = arg_uptr(a, 4);
	uint32_t value3 = arg_uint(a, 5);
	uint64_t deadline_ns;

	int err = timeout_arg(a, op, &deadline_ns);
	if (err)
		return err;
	if (op & FUTEX_CLOCK_REALTIME && !realtime_allowed(cmd))
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
		return futex_wait(addr, (uint32_t)value, FUTEX_BITSET_MATCH_ANY, shared, deadline_ns);
	case FUTEX_WAIT_BITSET:
		return futex_wait(addr, (uint32_t)value, value3, shared, deadline_ns);
	case FUTEX_WAKE:
		return futex_wake(addr, value, FUTEX_BITSET_MATCH_ANY, shared);
	case FUTEX_WAKE_BITSET:
		return futex_wake(addr, value, value3, shared);
	case FUTEX_REQUEUE:
		return futex_requeue(addr, addr2, value, value2, NULL, shared);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(addr, addr2, value, value2, &value3, shared);
	case FUTEX_WAKE_OP:
		return futex_wake_op(addr, addr2, value, value2, value3, shared);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(addr, shared, deadline_ns, false);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(addr, shared, WAIT_FOREVER, true);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(addr, shared);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(addr, (uint32_t)value, addr2, shared, deadline_ns);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_requeue_pi(addr, addr2, value, value2, value3, shared);
	}
	return -ENOSYS;
}

long sys_futex_waitv(const struct syscall_args *a)
{
	struct futex_waitv few[8], *words = few;
	unsigned n = arg_uint(a, 1);
	int clock = arg_int(a, 4);
	uint64_t deadline_ns;

	if (arg_uint(a, 2) || !n || n > FUTEX_WAITV_MAX || uptr_null(arg_uptr(a, 0)))
		return -EINVAL;
	if (!uptr_null(arg_uptr(a, 3)) && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
		return -EINVAL;
	int err = deadline_arg(arg_uptr(a, 3), false, clock == CLOCK_REALTIME, &deadline_ns);
	if (err)
		return err;
	void *many AUTO_KFREE = NULL;
	if (n > ARRAY_SIZE(few)) {
		words = many = kmalloc(n * sizeof(*words));
		if (!many)
			return -ENOMEM;
	}
	if (copy_from_user(words, arg_uptr(a, 0), n * sizeof(*words)) != 0)
		return -EFAULT;
	return futex_wait_any(words, n, deadline_ns);
}

long sys_set_robust_list(const struct syscall_args *a)
{
	if (arg_u64(a, 1) != sizeof(struct robust_list_head))
		return -EINVAL;
	task_current()->futex.robust_list = arg_uptr(a, 0);
	return 0;
}

long sys_get_robust_list(const struct syscall_args *a)
{
	int tid = arg_int(a, 0);
	struct task *t = task_find(tid ? tid : task_current()->tid);

	if (!t)
		return -ESRCH;
	bool allowed = t->process == process_current() || process_may_read(t->process);
	uint64_t head = READ_ONCE(t->futex.robust_list).v;
	task_put(t);
	if (!allowed)
		return -EPERM;
	int err = put_user_u64(arg_uptr(a, 2), sizeof(struct robust_list_head));
	return err ? err : put_user_u64(arg_uptr(a, 1), head);
}
