/* Clocks, sleeping, interval timers. */
#include <linux/capability.h>
#include <linux/time.h>
#include <linux/timex.h>

#include "sched/clock.h"
#include "sched/timer.h"
#include "syscall/handlers.h"

/* What the clock shows now; -EINVAL for one there is not. CPU-time clocks of other processes are not offered. */
static int clock_now(int clock, uint64_t *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_TAI:
	case CLOCK_REALTIME_ALARM:
		*ns = clock_realtime_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_monotonic_ns();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ns = process_cpu_ns(process_current());
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ns = thread_exec_ns(thread_current());
		return 0;
	}
	return -EINVAL;
}

long sys_clock_gettime(const struct syscall_args *a)
{
	uint64_t ns;
	int err = clock_now(arg_int(a, 0), &ns);

	return err ? err : timespec_to_user(arg_uptr(a, 1), ns);
}

long sys_clock_getres(const struct syscall_args *a)
{
	uint64_t ns;
	int err = clock_now(arg_int(a, 0), &ns);

	if (err || uptr_null(arg_uptr(a, 1)))
		return err;
	return timespec_to_user(arg_uptr(a, 1), 1);
}

long sys_clock_settime(const struct syscall_args *a)
{
	uint64_t ns;

	if (arg_int(a, 0) != CLOCK_REALTIME)
		return -EINVAL;
	int err = timespec_arg(arg_uptr(a, 1), &ns);
	if (err)
		return err;
	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	clock_realtime_set(ns);
	return 0;
}

long sys_gettimeofday(const struct syscall_args *a)
{
	struct timezone utc = {0};

	if (!uptr_null(arg_uptr(a, 0)) && timeval_to_user(arg_uptr(a, 0), clock_realtime_ns()) != 0)
		return -EFAULT;
	return uptr_null(arg_uptr(a, 1)) ? 0 : copy_to_user(arg_uptr(a, 1), &utc, sizeof(utc));
}

long sys_settimeofday(const struct syscall_args *a)
{
	struct __kernel_old_timeval tv;

	if (!capable(CAP_SYS_TIME))
		return -EPERM;
	if (uptr_null(arg_uptr(a, 0)))
		return 0; /* the time zone alone: kept by programs */
	if (copy_from_user(&tv, arg_uptr(a, 0), sizeof(tv)) != 0)
		return -EFAULT;
	if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EINVAL;
	clock_realtime_set((uint64_t)tv.tv_sec * NSEC_PER_SEC + (uint64_t)tv.tv_usec * NSEC_PER_USEC);
	return 0;
}

long sys_time(const struct syscall_args *a)
{
	uint64_t sec = clock_realtime_ns() / NSEC_PER_SEC;

	if (!uptr_null(arg_uptr(a, 0)) && put_user_u64(arg_uptr(a, 0), sec) != 0)
		return -EFAULT;
	return (long)sec;
}

/* Sleeps; what is left goes to `rest` when a signal ends it. */
static long sleep_common(uint64_t deadline_ns, uptr_t rest)
{
	int err = sleep_until_ns(deadline_ns, true);

	if (err == 0)
		return 0;
	if (!uptr_null(rest)) {
		uint64_t now_ns = clock_monotonic_ns();
		if (timespec_to_user(rest, deadline_ns > now_ns ? deadline_ns - now_ns : 0) != 0)
			return -EFAULT;
	}
	return -ERESTART_RESTARTBLOCK;
}

static long sleep_restart(struct task *t)
{
	return sleep_common(t->restart.deadline_ns, t->restart.user);
}

static long sleep_relative(uint64_t ns, uptr_t rest)
{
	uint64_t deadline_ns = deadline_after(clock_monotonic_ns(), ns);
	struct task *t = task_current();

	t->restart = (struct task_restart){.fn = sleep_restart, .deadline_ns = deadline_ns, .user = rest};
	return sleep_common(deadline_ns, rest);
}

long sys_nanosleep(const struct syscall_args *a)
{
	uint64_t ns;
	int err = timespec_arg(arg_uptr(a, 0), &ns);

	return err ? err : sleep_relative(ns, arg_uptr(a, 1));
}

long sys_clock_nanosleep(const struct syscall_args *a)
{
	int clock = arg_int(a, 0), flags = arg_int(a, 1);
	uint64_t ns, now_ns;

	if (clock == CLOCK_THREAD_CPUTIME_ID || flags & ~TIMER_ABSTIME)
		return -EINVAL;
	if (clock == CLOCK_PROCESS_CPUTIME_ID)
		return -EOPNOTSUPP;
	int err = clock_now(clock, &now_ns);
	if (!err)
		err = timespec_arg(arg_uptr(a, 2), &ns);
	if (err)
		return err;
	if (!(flags & TIMER_ABSTIME))
		return sleep_relative(ns, arg_uptr(a, 3));
	/* An absolute sleep that a signal ended is simply begun again: it needs no memory of its own. */
	uint64_t wait_ns = ns > now_ns ? ns - now_ns : 0;
	return sleep_until_ns(deadline_after(clock_monotonic_ns(), wait_ns), true) == 0 ? 0 : -ERESTARTNOHAND;
}

/* --- interval timers
 * ---------------------------------------------------------------------------------------------------- */

/* What is longer than a clock can count is cut short, so that a point in time and one of these make another. */
static bool timeval_ns(const struct __kernel_old_timeval *tv, uint64_t *ns)
{
	if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
		return false;
	if (__builtin_mul_overflow((uint64_t)tv->tv_sec, NSEC_PER_SEC, ns) ||
	    __builtin_add_overflow(*ns, (uint64_t)tv->tv_usec * NSEC_PER_USEC, ns))
		*ns = UINT64_MAX;
	*ns = MIN(*ns, (uint64_t)INT64_MAX);
	return true;
}

struct user_itimer {
	struct __kernel_old_timeval interval, value;
};

static int itimer_to_user(uptr_t p, uint64_t interval_ns, uint64_t value_ns)
{
	int err = timeval_to_user(p, interval_ns);

	return err ? err : timeval_to_user(uptr_add(p, offsetof(struct user_itimer, value)), value_ns);
}

long sys_setitimer(const struct syscall_args *a)
{
	struct user_itimer t = {0};
	uint64_t value_ns, interval_ns, old_value_ns, old_interval_ns;

	if (!uptr_null(arg_uptr(a, 1)) && copy_from_user(&t, arg_uptr(a, 1), sizeof(t)) != 0)
		return -EFAULT;
	if (!timeval_ns(&t.value, &value_ns) || !timeval_ns(&t.interval, &interval_ns))
		return -EINVAL;
	int err = process_itimer_set(arg_int(a, 0), value_ns, interval_ns, &old_value_ns, &old_interval_ns);
	if (err || uptr_null(arg_uptr(a, 2)))
		return err;
	return itimer_to_user(arg_uptr(a, 2), old_interval_ns, old_value_ns);
}

long sys_getitimer(const struct syscall_args *a)
{
	uint64_t value_ns, interval_ns;
	int err = process_itimer_get(arg_int(a, 0), &value_ns, &interval_ns);

	return err ? err : itimer_to_user(arg_uptr(a, 1), interval_ns, value_ns);
}

long sys_alarm(const struct syscall_args *a)
{
	uint64_t old_ns, old_interval_ns;
	int err = process_itimer_set(0 /* ITIMER_REAL */, (uint64_t)arg_uint(a, 0) * NSEC_PER_SEC, 0, &old_ns,
				     &old_interval_ns);

	if (err)
		return err;
	uint64_t sec = old_ns / NSEC_PER_SEC;
	if (old_ns % NSEC_PER_SEC >= NSEC_PER_SEC / 2 || (sec == 0 && old_ns))
		sec++; /* never 0 while an alarm was pending (alarm(2)) */
	return (long)sec;
}
