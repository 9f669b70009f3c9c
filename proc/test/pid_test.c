/* Process numbers: order, sharing of one number, reuse. */
#include <asm/errno.h>

#include "core/ktest.h"
#include "proc/internal.h"

KTEST(proc, pids_rise_and_differ)
{
	int a, b;

	KTEST_EQ(pid_alloc(&a), 0);
	KTEST_EQ(pid_alloc(&b), 0);
	KTEST_TRUE(a > 0 && b > a);
	KTEST_EQ(process_last_pid(), b);
	pid_cancel(a);
	pid_cancel(b);
}

KTEST(proc, pid_just_freed_is_not_given_again)
{
	int a, b;

	KTEST_EQ(pid_alloc(&a), 0);
	pid_cancel(a);
	KTEST_EQ(pid_alloc(&b), 0);
	KTEST_TRUE(a != b);
	pid_cancel(b);
}

KTEST(proc, pid_stays_taken_while_a_group_bears_it)
{
	struct process_group g;
	int pid, marker;

	KTEST_EQ(pid_alloc(&pid), 0);
	pid_set(pid, PID_TASK, (void *)&marker);
	pid_set(pid, PID_GROUP, &g);
	pid_clear(pid, PID_TASK);
	KTEST_TRUE(pid_lookup(pid, PID_GROUP) == &g);
	KTEST_TRUE(pid_lookup(pid, PID_TASK) == NULL);
	KTEST_EQ(pid_next(pid, PID_GROUP), pid);
	pid_clear(pid, PID_GROUP);
	KTEST_TRUE(pid_lookup(pid, PID_GROUP) == NULL);
}

KTEST(proc, pid_lookup_of_nonsense)
{
	KTEST_TRUE(process_find(0) == NULL);
	KTEST_TRUE(process_find(-1) == NULL);
	KTEST_TRUE(process_find(PID_MAX) == NULL);
	KTEST_TRUE(process_find(INT32_MAX) == NULL);
	KTEST_TRUE(task_find(INT32_MIN) == NULL);
}

/* All numbers can be used up, the failure is -EAGAIN, and afterwards allocation goes on. */
KTEST(proc, pids_run_out_cleanly)
{
	static uint64_t taken[PID_MAX / 64];
	int pid, err, n = 0;

	while ((err = pid_alloc(&pid)) == 0) {
		KTEST_TRUE(!(taken[pid / 64] & BIT(pid % 64)));
		taken[pid / 64] |= BIT(pid % 64);
		n++;
	}
	for (pid = 0; pid < PID_MAX; pid++) {
		if (taken[pid / 64] & BIT(pid % 64))
			pid_cancel(pid);
		if (pid % 64 == 63)
			taken[pid / 64] = 0;
	}
	KTEST_TRUE(err == -EAGAIN || err == -ENOMEM);
	KTEST_TRUE(n > 1000);
	KTEST_EQ(pid_alloc(&pid), 0);
	pid_cancel(pid);
}
