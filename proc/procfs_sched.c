/*
 * What the scheduler counted and how it is set: /proc/schedstat and /proc/[pid]/schedstat in the formats of Linux's
 * sched-stats document (version 15), /proc/[pid]/autogroup (man 7 sched), and the numbers in /proc/sys/kernel that ps,
 * chrt, rt-tests and stress-ng read.
 */
#include <arch/cpu.h>
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/resource.h>

#include "core/log.h"
#include "lib/string.h"
#include "proc/procfs_internal.h"
#include "sched/clock.h"
#include "sched/group.h"
#include "sched/sched.h"

#define HZ 250 /* what a jiffy is to those who read "timestamp" */

typedef unsigned long long ull;

/* Time on a CPU, time waiting for one, turns (man 5 proc; Linux's sched-stats). */
int procfs_show_schedstat(int pid, int tid, struct text *t)
{
	struct procfs_target g;
	struct sched_thread_stats s = {0};
	uint64_t ran_ns = 0;
	int err = procfs_target_get(pid, tid, &g);

	if (err)
		return err;
	if (g.task) {
		sched_thread_stats_get(&g.task->thread, &s);
		ran_ns = thread_exec_ns(&g.task->thread);
	}
	procfs_target_put(&g);
	text_printf(t, "%llu %llu %llu\n", (ull)ran_ns, (ull)s.run_delay_ns, (ull)s.switches);
	return 0;
}

/*
 * A line a CPU: yields (not counted), 0, switches, switches to idle (not counted), wake-ups, of these by this CPU
 * itself, time ran, time waited for, turns. No scheduling domains follow: there is one.
 */
static void show_schedstat(struct text *t, void *arg)
{
	(void)arg;
	text_printf(t, "version 15\ntimestamp %llu\n", (ull)(clock_monotonic_ns() / (NSEC_PER_SEC / HZ)));
	for (unsigned i = 0; i < CPUS_MAX; i++) {
		struct sched_stats s;

		if (!(cpus_online_mask & BIT(i)))
			continue;
		sched_stats_get(i, &s);
		const struct sched_counters *c = &s.counters;
		text_printf(t, "cpu%u 0 0 %llu 0 %llu %llu %llu %llu %llu\n", i, (ull)c->switches, (ull)c->wakeups,
			    (ull)(c->wakeups - MIN(c->wakeups_remote, c->wakeups)), (ull)(s.user_ns + s.system_ns),
			    (ull)c->run_delay_ns, (ull)c->switches);
	}
}

/* What is written to a file that is one decimal number. -EINVAL: it isn't one. */
static int parse_number(const char *text, size_t len, int64_t *out)
{
	char number[16];

	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (len == 0 || len >= sizeof(number))
		return -EINVAL;
	memcpy(number, text, len);
	number[len] = '\0';
	return str_to_s64(number, 10, out) == 0 ? 0 : -EINVAL;
}

/* --- /proc/[pid]/autogroup --------------------------------------------------------------------------------------- */

/* Nothing for who was never in a session. */
int procfs_show_autogroup(int pid, int tid, struct text *t)
{
	struct procfs_target g;
	uint32_t id;
	int nice, err = procfs_target_get(pid, tid, &g);

	if (err)
		return err;
	if (g.task && sched_group_of(&g.task->thread, &id, &nice) == 0)
		text_printf(t, "/autogroup-%u nice %d\n", id, nice);
	procfs_target_put(&g);
	return 0;
}

/* The nice value of the whole group, under the rules that a thread's has (man 2 setpriority). */
int procfs_store_autogroup(int pid, int tid, const char *s, size_t len)
{
	struct procfs_target g;
	int64_t nice;
	int err = parse_number(s, len, &nice);

	if (err || nice < -20 || nice > 19)
		return -EINVAL;
	const struct process *me = process_current();
	if (nice < 0 && (uint64_t)(20 - nice) > READ_ONCE(me->rlimits[RLIMIT_NICE].cur) &&
	    !cred_capable(task_current()->cred, CAP_SYS_NICE))
		return -EPERM;
	err = procfs_target_get(pid, tid, &g);
	if (err)
		return err;
	err = g.task ? sched_group_set_nice(&g.task->thread, (int)nice) : -ESRCH;
	procfs_target_put(&g);
	return err;
}

/* --- /proc/sys/kernel -------------------------------------------------------------------------------------------- */

enum number { PID_LIMIT, THREADS_LIMIT, RT_RUNTIME, RT_PERIOD, AUTOGROUP, RR_TIMESLICE };

static void show_number(struct text *t, void *arg)
{
	int64_t runtime_us, period_us, n = 0;

	sched_rt_limit_get(&runtime_us, &period_us);
	switch ((enum number)(uintptr_t)arg) {
	case PID_LIMIT:
		n = PID_MAX;
		break;
	case THREADS_LIMIT:
		n = task_limit();
		break;
	case RT_RUNTIME:
		n = runtime_us;
		break;
	case RT_PERIOD:
		n = period_us;
		break;
	case AUTOGROUP:
		n = sched_grouping_get();
		break;
	case RR_TIMESLICE:
		n = 100;
		break;
	}
	text_printf(t, "%lld\n", (long long)n);
}

/* -1 to 2^31 - 1, as Linux's ints. */
static int store_rt_limit(const char *text, size_t len, void *arg)
{
	int64_t runtime_us, period_us, n;
	int err = parse_number(text, len, &n);

	if (err || n > INT32_MAX)
		return -EINVAL;
	sched_rt_limit_get(&runtime_us, &period_us);
	if ((enum number)(uintptr_t)arg == RT_RUNTIME)
		runtime_us = n;
	else
		period_us = n;
	return sched_rt_limit_set(runtime_us, period_us);
}

static int store_autogroup_enabled(const char *text, size_t len, void *arg)
{
	int64_t n;
	int err = parse_number(text, len, &n);

	(void)arg;
	if (err || n < 0 || n > 1)
		return -EINVAL;
	sched_grouping_set(n);
	return 0;
}

#define NUMBER(which) .mode = 0444, .show = show_number, .arg = (void *)(uintptr_t)(which)
#define RT_LIMIT(which) .mode = 0644, .show = show_number, .store = store_rt_limit, .arg = (void *)(uintptr_t)(which)

static const struct procfs_entry entries[] = {
	{.path = "schedstat", .mode = 0444, .show = show_schedstat},
	{.path = "sys/kernel/pid_max", NUMBER(PID_LIMIT)},
	{.path = "sys/kernel/threads-max", NUMBER(THREADS_LIMIT)},
	{.path = "sys/kernel/sched_autogroup_enabled",
	 .mode = 0644,
	 .show = show_number,
	 .store = store_autogroup_enabled,
	 .arg = (void *)(uintptr_t)AUTOGROUP},
	{.path = "sys/kernel/sched_rr_timeslice_ms", NUMBER(RR_TIMESLICE)},
	{.path = "sys/kernel/sched_rt_runtime_us", RT_LIMIT(RT_RUNTIME)},
	{.path = "sys/kernel/sched_rt_period_us", RT_LIMIT(RT_PERIOD)},
};

void procfs_sched_init(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
		if (procfs_register(&entries[i]) != 0)
			log_warn("proc: no memory for /proc/%s", entries[i].path);
}
