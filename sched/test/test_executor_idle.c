/*
 * The executor and its CPU's idling: it idles itself, wakes up where it is, and is replaced while a task blocks.
 */
#include <asm/errno.h>

#include "core/ktest.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "sched/async.h"
#include "sched/sched.h"
#include "sched/test/async_util.h"
#include "sched/wait.h"

/*
 * Waking a task on an idle CPU takes no switch: there are two in all, from the test to what idles and back, though the
 * task was polled in between.  Others may be awake at the same time, so one round of many must be so.
 */
static struct {
	struct async_task task;
	struct timer timer;
	uint32_t polls;
} idler;

static void idler_fire(struct timer *t)
{
	(void)t;
	async_wake(&idler.task);
}

static enum async_poll idler_poll(struct async_task *self)
{
	(void)self;
	idler.polls++;
	return ASYNC_PENDING;
}

static const struct async_ops idler_ops = {.name = "idler", .poll = idler_poll};

static void find_executor(struct thread *t, void *arg)
{
	char name[sizeof(t->name)];
	snprintf(name, sizeof(name), "async/%u", this_cpu()->id);
	if (strcmp(t->name, name) == 0)
		*(struct thread **)arg = t;
}

KTEST(async, polled_where_the_cpu_idles)
{
	stay_here();
	const unsigned cpu = this_cpu()->id;
	struct sched_stats before, after;
	struct thread *executor = NULL;
	uint64_t switches, asleep_ns = 0;
	uint32_t polls;
	thread_for_each(find_executor, &executor);
	KTEST_TRUE(executor);
	async_task_init(&idler.task, &idler_ops, ASYNC_NORMAL);
	async_spawn(&idler.task);
	timer_init(&idler.timer, idler_fire);
	pause_ns(NSEC_PER_MSEC);

	uint64_t exec_ns = thread_exec_ns(executor), idle_ns;
	sched_stats_get(cpu, &before);
	idle_ns = before.idle_ns;
	for (unsigned round = 0; round < 50; round++) {
		polls = idler.polls;
		sched_stats_get(cpu, &before);
		timer_set(&idler.timer, time_ns() + NSEC_PER_MSEC);
		pause_ns(3 * NSEC_PER_MSEC);
		sched_stats_get(cpu, &after);
		switches = after.switches - before.switches;
		asleep_ns += 3 * NSEC_PER_MSEC;
		if (idler.polls == polls + 1 && switches == 2 && after.running == 1)
			break;
	}
	idle_ns = after.idle_ns - idle_ns;
	exec_ns = thread_exec_ns(executor) - exec_ns;
	async_cancel(&idler.task);
	KTEST_EQ(result_of(&idler.task), -ECANCELED);
	KTEST_EQ(switches, 2);
	KTEST_EQ(after.running, 1);
	KTEST_TRUE(exec_ns < idle_ns); /* its idling is the CPU's, and not its run time */
	KTEST_TRUE(idle_ns > asleep_ns / 2);
}

/* The thread that idles is real-time from the wake-up on: a program that becomes ready after it has to wait. */
static struct {
	struct async_task task;
	struct timer timer;
	struct wait_queue queue;
	uint32_t ready, before_task;
	bool polled;
} rival;

static void rival_fire(struct timer *t)
{
	(void)t;
	WRITE_ONCE(rival.ready, rival.ready + 1);
	wait_wake_all(&rival.queue); /* first: the switch to it is asked for, and must not come before the task */
	async_wake(&rival.task);
}

static enum async_poll rival_poll(struct async_task *self)
{
	(void)self;
	WRITE_ONCE(rival.polled, true);
	return ASYNC_PENDING;
}

static const struct async_ops rival_ops = {.name = "rival", .poll = rival_poll};

KTEST(async, idling_it_comes_before_threads)
{
	stay_here();
	wait_queue_init(&rival.queue);
	rival.ready = rival.before_task = 0;
	async_task_init(&rival.task, &rival_ops, ASYNC_NORMAL);
	async_spawn(&rival.task);
	timer_init(&rival.timer, rival_fire);
	pause_ns(NSEC_PER_MSEC);
	for (uint32_t i = 0; i < 20; i++) {
		rival.polled = false;
		timer_set(&rival.timer, time_ns() + 200 * NSEC_PER_USEC);
		(void)WAIT_UNTIL(&rival.queue, READ_ONCE(rival.ready) == i + 1, 0, WAIT_FOREVER);
		rival.before_task += !READ_ONCE(rival.polled);
	}
	async_cancel(&rival.task);
	KTEST_EQ(result_of(&rival.task), -ECANCELED);
	KTEST_EQ(rival.before_task, 0);
}

/* A task that blocks leaves its CPU to threads, and to the idling of another: the wake-up that it waits for arrives. */
static struct {
	struct async_task task;
	struct wait_queue queue;
	uint32_t open, passed;
} gate;

static enum async_poll gate_poll(struct async_task *self)
{
	(void)self;
	(void)WAIT_UNTIL(&gate.queue, READ_ONCE(gate.open), 0, WAIT_FOREVER);
	gate.passed++;
	return ASYNC_DONE;
}

static const struct async_ops gate_ops = {.name = "gate", .poll = gate_poll};

KTEST(async, blocked_task_leaves_the_idling_to_another)
{
	stay_here();
	wait_queue_init(&gate.queue);
	gate.open = gate.passed = 0;
	async_task_init(&gate.task, &gate_ops, ASYNC_NORMAL);
	async_spawn(&gate.task);
	for (unsigned i = 0; i < 5; i++) {
		pause_ns(NSEC_PER_MSEC); /* nothing is runnable: somebody idles, and it is not the executor */
		KTEST_EQ(gate.passed, 0);
		async_wake(&gate.task); /* does not end the wait */
	}
	WRITE_ONCE(gate.open, 1);
	wait_wake_all(&gate.queue);
	KTEST_EQ(result_of(&gate.task), 0);
	KTEST_EQ(gate.passed, 1);
}

/* From another CPU, at ever different moments of the executor's way into the halt: each wake-up gets its poll. */
KTEST(async, halting_cpu_is_woken_by_another)
{
	uint64_t others = sched_cpus();
	stay_here();
	others &= ~BIT(this_cpu()->id);
	if (!others)
		ktest_skip("one CPU only");
	idler.polls = 0;
	async_task_init(&idler.task, &idler_ops, ASYNC_NORMAL);
	async_spawn(&idler.task);
	KTEST_TRUE(comes_true(&idler.polls, 1));
	KTEST_EQ(sched_set_affinity(thread_current(), others), 0);
	uint32_t polls = 1;
	for (uint64_t gap_ns = 1; polls < 100; gap_ns = (gap_ns + 377) % 10007) {
		for (uint64_t end = time_ns() + gap_ns; time_ns() < end;)
			cpu_relax();
		async_wake(&idler.task);
		if (!comes_true(&idler.polls, ++polls))
			break;
	}
	uint32_t seen = READ_ONCE(idler.polls);
	async_cancel(&idler.task);
	KTEST_EQ(result_of(&idler.task), -ECANCELED);
	KTEST_EQ(seen, polls);
}
