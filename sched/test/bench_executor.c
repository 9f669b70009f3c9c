/*
 * Tasks beside threads: what waking one costs until it runs, and what many at once cost.
 *
 *     make bench-async          100,000 tasks; instructions, counted by QEMU
 *
 * As one of the tests it runs with few tasks, so that it cannot rot.  Threads do the same with a wait queue; there are
 * fewer of them, since each has a stack.  Both sides run real-time, so that a wake-up from an interrupt ends in a
 * switch.
 */
#include <linux/sched.h>

#include <arch/time.h>
#include "core/ktest.h"
#include "core/log.h"
#include "core/options.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "sched/async.h"
#include "sched/executor.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/atomic.h"

enum { TASKS_BIG = 100000, THREADS_BIG = 1000, TASKS_SMALL = 500, THREADS_SMALL = 20, ROUNDS = 10, SINGLE = 200 };

struct figures {
	unsigned count;
	uint64_t bytes, create, step, wake;
};

static struct {
	uint32_t arrived; /* how many polled, or ran, in this round; atomic */
	uint32_t target;  /* whoever makes `arrived` this wakes the test */
	bool stop;
	uint64_t woken_at, ran_at; /* cycles */
	struct wait_queue done;
} bench;

static void arrive(void)
{
	if (__atomic_add_fetch(&bench.arrived, 1, __ATOMIC_RELAXED) == bench.target)
		wait_wake_all(&bench.done);
}

static void await_round(void)
{
	(void)WAIT_UNTIL(&bench.done, atomic_load_relaxed(&bench.arrived) >= bench.target, 0, WAIT_FOREVER);
}

static void round_begin(unsigned count)
{
	bench.target = count;
	atomic_store_relaxed(&bench.arrived, 0);
}

static uint64_t pages_used(void)
{
	struct page_stats s;
	mm_caches_drain();
	page_stats_get(&s);
	return s.total - page_free_count();
}

/* ---- tasks ---- */

struct bench_task {
	struct async_task task;
	struct async_event event;
};

static enum async_poll task_poll(struct async_task *self)
{
	struct bench_task *t = container_of(self, struct bench_task, task);
	ASYNC_BEGIN(self);
	arrive();
	while (!bench.stop) {
		AWAIT(self, async_event_take(&t->event, self));
		bench.ran_at = cpu_cycles();
		arrive();
	}
	ASYNC_END(self);
}

static void task_release(struct async_task *self)
{
	kfree(container_of(self, struct bench_task, task));
}

static const struct async_ops task_ops = {.name = "bench", .poll = task_poll, .release = task_release};
static struct bench_task *one_task;

static void task_fire(struct timer *t)
{
	(void)t;
	bench.woken_at = cpu_cycles();
	async_event_signal(&one_task->event);
}

static struct figures bench_tasks(struct bench_task **tasks, unsigned count)
{
	struct figures f = {.count = count};
	uint64_t pages = pages_used();

	bench.stop = false;
	round_begin(count);
	uint64_t start = cpu_cycles();
	for (unsigned i = 0; i < count; i++) {
		tasks[i] = kzalloc(sizeof(*tasks[i]));
		KTEST_TRUE(tasks[i]);
		async_task_init(&tasks[i]->task, &task_ops, ASYNC_NORMAL);
		async_spawn(&tasks[i]->task);
	}
	await_round();
	f.create = (cpu_cycles() - start) / count;
	f.bytes = (pages_used() - pages) * PAGE_SIZE / count;

	start = cpu_cycles();
	for (unsigned round = 0; round < ROUNDS; round++) {
		round_begin(count);
		irqflags_t flags = irq_save(); /* all at once: one burst */
		for (unsigned i = 0; i < count; i++)
			async_event_signal(&tasks[i]->event);
		irq_restore(flags);
		await_round();
	}
	f.step = (cpu_cycles() - start) / ROUNDS / count;

	struct timer timer;
	timer_init(&timer, task_fire);
	one_task = tasks[0];
	for (unsigned i = 0; i < SINGLE; i++) {
		round_begin(1);
		timer_set(&timer, time_ns() + 50 * NSEC_PER_USEC);
		await_round();
		f.wake += bench.ran_at - bench.woken_at;
	}
	f.wake /= SINGLE;

	bench.stop = true;
	round_begin(count);
	for (unsigned i = 0; i < count; i++) {
		async_event_signal(&tasks[i]->event);
		async_put(&tasks[i]->task);
	}
	await_round();
	return f;
}

/* ---- threads ---- */

struct bench_thread {
	struct wait_queue queue;
	bool set;
};

static void thread_main(void *arg)
{
	struct bench_thread *t = arg;
	arrive();
	while (!bench.stop) {
		(void)WAIT_UNTIL(&t->queue, READ_ONCE(t->set), 0, WAIT_FOREVER);
		bench.ran_at = cpu_cycles();
		t->set = false;
		arrive();
	}
}

static void thread_main_realtime(void *arg)
{
	int err = sched_set_policy(thread_current(), SCHED_FIFO, 50); /* as the executor */
	BUG_ON(err);
	thread_main(arg);
}

static struct bench_thread *one_thread;

static void thread_signal(struct bench_thread *t)
{
	WRITE_ONCE(t->set, true);
	wait_wake(&t->queue, 1);
}

static void thread_fire(struct timer *t)
{
	(void)t;
	bench.woken_at = cpu_cycles();
	thread_signal(one_thread);
}

static struct figures bench_threads(struct bench_thread *threads, unsigned count)
{
	struct figures f = {.count = count};
	uint64_t pages = pages_used();

	bench.stop = false;
	round_begin(count);
	uint64_t start = cpu_cycles();
	for (unsigned i = 0; i < count; i++) {
		wait_queue_init(&threads[i].queue);
		KTEST_EQ(thread_create(thread_main_realtime, &threads[i], "bench"), 0);
	}
	await_round();
	f.create = (cpu_cycles() - start) / count;
	f.bytes = (pages_used() - pages) * PAGE_SIZE / count;

	start = cpu_cycles();
	for (unsigned round = 0; round < ROUNDS; round++) {
		round_begin(count);
		irqflags_t flags = irq_save();
		for (unsigned i = 0; i < count; i++)
			thread_signal(&threads[i]);
		irq_restore(flags);
		await_round();
	}
	f.step = (cpu_cycles() - start) / ROUNDS / count;

	struct timer timer;
	timer_init(&timer, thread_fire);
	one_thread = &threads[0];
	for (unsigned i = 0; i < SINGLE; i++) {
		round_begin(1);
		timer_set(&timer, time_ns() + 50 * NSEC_PER_USEC);
		await_round();
		f.wake += bench.ran_at - bench.woken_at;
	}
	f.wake /= SINGLE;

	bench.stop = true;
	round_begin(count);
	for (unsigned i = 0; i < count; i++)
		thread_signal(&threads[i]);
	await_round();
	return f;
}

/* ---- the table ---- */

static void row(const char *what, uint64_t task, uint64_t thread)
{
	log_info("bench: %-44s %10llu %10llu", what, (unsigned long long)task, (unsigned long long)thread);
}

KTEST(bench, async)
{
	bool big = options.ktest && str_skip_prefix(options.ktest, "bench");
	unsigned tasks = big ? TASKS_BIG : TASKS_SMALL, threads = big ? THREADS_BIG : THREADS_SMALL;
	struct bench_task **task_list = kcalloc(tasks, sizeof(*task_list));
	struct bench_thread *thread_list = kcalloc(threads, sizeof(*thread_list));
	KTEST_TRUE(task_list && thread_list);

	wait_queue_init(&bench.done);
	struct figures a = bench_tasks(task_list, tasks);
	struct figures b = bench_threads(thread_list, threads);
	int err = sleep_until_ns(time_ns() + 20 * NSEC_PER_MSEC, false); /* the last threads give back their stacks */
	(void)err;
	kfree(task_list);
	kfree(thread_list);
	if (big) {
		log_info("bench: %-44s %10s %10s", "", "task", "thread");
		row("at once", a.count, b.count);
		row("memory each, bytes", a.bytes, b.bytes);
		row("create and first run, each, cycles", a.create, b.create);
		row("wake all, each runs and waits again, cycles", a.step, b.step);
		row("wake one from an interrupt until it runs", a.wake, b.wake);
	}
	KTEST_TRUE(a.bytes < b.bytes);
}
