/*
 * Tasks: each is polled when it was woken and not otherwise, nothing is lost, ends are ends.
 */
#include <asm/errno.h>

#include <arch/time.h>
#include "core/ktest.h"
#include "lib/lifo.h"
#include "lib/mpmc.h"
#include "lib/ready_queue.h"
#include "mm/slab.h"
#include "sched/async.h"
#include "sched/executor.h"
#include "sched/internal.h"
#include "sched/sched.h"
#include "sched/test/async_util.h"
#include "sync/atomic.h"
#include "sync/spinlock.h"

/* ---- straight-line code ---- */

struct counter {
	struct async_task task;
	struct async_timer timer;
	struct async_event event;
	struct async_task *other;
	uint32_t stage, polls, cancelled, released;
	uint64_t deadline_ns, woken_ns;
};

static void counter_cancelled(struct async_task *self)
{
	struct counter *c = container_of(self, struct counter, task);
	c->cancelled++;
	async_timer_stop(&c->timer);
	async_event_forget(&c->event, self);
}

static enum async_poll line_poll(struct async_task *self)
{
	struct counter *c = container_of(self, struct counter, task);
	c->polls++;
	ASYNC_BEGIN(self);
	c->stage = 1;
	for (unsigned i = 0; i < 1; i++)
		AWAIT(self, async_event_take(&c->event, self));
	c->stage = 2;
	ASYNC_YIELD(self);
	c->stage = 3;
	async_timer_start(&c->timer, self, c->deadline_ns = time_ns() + 3 * NSEC_PER_MSEC);
	AWAIT(self, async_timer_due(&c->timer));
	c->woken_ns = time_ns();
	async_timer_stop(&c->timer);
	if (c->other)
		AWAIT(self, async_join(c->other, self));
	self->result = 42;
	ASYNC_END(self);
}

static const struct async_ops line_ops = {.name = "line", .poll = line_poll, .cancelled = counter_cancelled};

KTEST(async, straight_line)
{
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_NORMAL);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 1));
	KTEST_TRUE(!async_done(&c.task));
	async_event_signal(&c.event);
	KTEST_EQ(result_of(&c.task), 42);
	KTEST_EQ(c.stage, 3);
	KTEST_TRUE(c.woken_ns >= c.deadline_ns);
	KTEST_EQ(refcount_read(&c.task.refs), 1);
}

/* An event that comes first is not missed, and one that comes twice is taken once. */
KTEST(async, event_before_wait)
{
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_NORMAL);
	async_event_signal(&c.event);
	async_event_signal(&c.event);
	async_spawn(&c.task);
	KTEST_EQ(result_of(&c.task), 42);
	KTEST_EQ(c.event.word, 0);
}

KTEST(async, join)
{
	struct counter first = {0}, second = {.other = &first.task};
	async_task_init(&first.task, &line_ops, ASYNC_LOW);
	async_task_init(&second.task, &line_ops, ASYNC_HIGH);
	async_spawn(&first.task);
	async_spawn(&second.task);
	async_event_signal(&second.event);
	pause_ns(10 * NSEC_PER_MSEC);
	KTEST_EQ(second.stage, 3);
	KTEST_TRUE(!async_done(&second.task));
	async_event_signal(&first.event);
	KTEST_EQ(result_of(&second.task), 42);
	KTEST_TRUE(async_done(&first.task));
	KTEST_EQ(result_of(&first.task), 42);
}

/* A wait is not polled again until somebody wakes it; then once, however often it was woken meanwhile. */
KTEST(async, polled_only_when_woken)
{
	stay_here();
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_NORMAL);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 1));
	pause_ns(2 * NSEC_PER_MSEC);
	KTEST_EQ(c.polls, 1);
	irqflags_t f = irq_save();
	for (unsigned i = 0; i < 5; i++)
		async_wake(&c.task);
	irq_restore(f);
	pause_ns(2 * NSEC_PER_MSEC);
	KTEST_EQ(c.polls, 2);
	async_cancel(&c.task);
	KTEST_EQ(result_of(&c.task), -ECANCELED);
}

/* ---- cancellation and lifetime ---- */

KTEST(async, cancel_while_waiting_for_an_event)
{
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_NORMAL);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 1));
	async_cancel(&c.task);
	async_cancel(&c.task);
	KTEST_EQ(result_of(&c.task), -ECANCELED);
	KTEST_EQ(c.cancelled, 1);
	KTEST_EQ(c.stage, 1);
	async_wake(&c.task); /* too late: nothing happens */
	async_event_signal(&c.event);
	pause_ns(NSEC_PER_MSEC);
	KTEST_EQ(c.polls, 1);
	KTEST_EQ(refcount_read(&c.task.refs), 1);
}

KTEST(async, cancel_while_a_timer_runs)
{
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_NORMAL);
	async_event_signal(&c.event);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 3));
	async_cancel(&c.task);
	int result = result_of(&c.task);
	KTEST_TRUE(result == -ECANCELED || result == 42); /* a slow machine was past the deadline */
	KTEST_TRUE(!c.timer.timer.armed);
}

static uint32_t heap_released;

static void heap_release(struct async_task *self)
{
	kfree(container_of(self, struct counter, task));
	atomic_fetch_add(&heap_released, 1);
}

static const struct async_ops heap_ops = {.name = "heap",
					  .poll = line_poll,
					  .cancelled = counter_cancelled,
					  .release = heap_release};

/* Nobody waits for it: the last of those who know it frees it. */
KTEST(async, fire_and_forget)
{
	enum { TASKS = 50 };
	heap_released = 0;
	for (unsigned i = 0; i < TASKS; i++) {
		struct counter *c = kzalloc(sizeof(*c));
		KTEST_TRUE(c);
		async_task_init(&c->task, &heap_ops, (enum async_priority)(i % 3));
		async_event_signal(&c->event);
		async_spawn(&c->task);
		if (i % 5 == 0)
			async_cancel(&c->task);
		async_put(&c->task);
	}
	KTEST_TRUE(comes_true(&heap_released, TASKS));
}

/* ---- order ---- */

static struct {
	uint32_t n;
	uint8_t order[12];
} ran;

struct numbered {
	struct async_task task;
	uint8_t number;
};

static enum async_poll numbered_poll(struct async_task *self)
{
	ran.order[ran.n++] = container_of(self, struct numbered, task)->number;
	return ASYNC_DONE;
}

static const struct async_ops numbered_ops = {.name = "numbered", .poll = numbered_poll};

KTEST(async, priorities_and_order)
{
	stay_here();
	struct numbered tasks[12];
	ran.n = 0;
	irqflags_t f = irq_save();
	for (uint8_t i = 0; i < 12; i++) {
		tasks[i].number = i;
		async_task_init(&tasks[i].task, &numbered_ops, (enum async_priority)(2 - i / 4));
		async_spawn(&tasks[i].task);
	}
	irq_restore(f);
	for (unsigned i = 0; i < 12; i++)
		KTEST_EQ(result_of(&tasks[i].task), 0);
	static const uint8_t expected[12] = {8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3};
	for (unsigned i = 0; i < 12; i++)
		KTEST_EQ(ran.order[i], expected[i]);
}

/* ---- nothing is lost ---- */

/*
 * A timer interrupt that wakes a task at ever different moments of the executor's way into sleep.  Each event must be
 * answered by a poll that sees it; the next event comes only after that, so a lost wake-up stands still for good.
 */
static struct {
	struct async_task task;
	struct timer timer;
	uint32_t events, seen;
	uint64_t gap_ns;
	bool anywhere, stop;
} hammer;

static void hammer_fire(struct timer *t)
{
	if (atomic_load_acquire(&hammer.seen) == hammer.events) {
		atomic_store_release(&hammer.events, hammer.events + 1);
		if (hammer.anywhere)
			async_wake_anywhere(&hammer.task);
		else
			async_wake(&hammer.task);
	}
	hammer.gap_ns = (hammer.gap_ns + 7) % 6007;
	if (!READ_ONCE(hammer.stop))
		timer_set(t, time_ns() + hammer.gap_ns);
}

static enum async_poll hammer_poll(struct async_task *self)
{
	(void)self;
	uint32_t events = atomic_load_acquire(&hammer.events);
	atomic_store_release(&hammer.seen, events);
	return READ_ONCE(hammer.stop) ? ASYNC_DONE : ASYNC_PENDING;
}

static const struct async_ops hammer_ops = {.name = "hammer", .poll = hammer_poll};

static void hammer_run(bool anywhere, uint32_t events)
{
	hammer.events = hammer.seen = 0;
	hammer.gap_ns = 1;
	hammer.anywhere = anywhere;
	hammer.stop = false;
	async_task_init(&hammer.task, &hammer_ops, ASYNC_NORMAL);
	async_spawn(&hammer.task);
	timer_init(&hammer.timer, hammer_fire);
	timer_set(&hammer.timer, time_ns() + 1000);
	uint32_t last = 0;
	uint64_t last_ns = time_ns();
	bool lost = false;
	while (last < events && !lost) {
		pause_ns(NSEC_PER_MSEC);
		uint32_t now = atomic_load_acquire(&hammer.seen);
		if (now != last) {
			last = now;
			last_ns = time_ns();
		}
		lost = time_ns() - last_ns > 3 * NSEC_PER_SEC;
	}
	WRITE_ONCE(hammer.stop, true);
	timer_cancel(&hammer.timer);
	KTEST_TRUE(!lost);
	async_wake(&hammer.task);
	(void)result_of(&hammer.task);
}

KTEST(async, hammer_loses_no_wakeup)
{
	hammer_run(false, 5000);
}

KTEST(async, hammer_from_anywhere)
{
	hammer_run(true, 5000);
}

/* A wake-up at each of the places where it could get lost if the executor's way to sleep were not what it is. */
static struct {
	struct async_task *task;
	enum executor_place place;
	uint32_t wakes;
} narrow;

static void narrow_hook(enum executor_place place)
{
	struct async_task *t = READ_ONCE(narrow.task);
	if (place != narrow.place || !t || t->cpu != this_cpu()->id)
		return;
	narrow.task = NULL;
	narrow.wakes++;
	irqflags_t f = irq_save(); /* as an interrupt would */
	async_wake(t);
	irq_restore(f);
}

static void narrow_run(enum executor_place place)
{
	stay_here();
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_LOW);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 1));
	narrow.place = place;
	narrow.wakes = 0;
	executor_test_hook = narrow_hook;
	for (uint32_t i = 1; i <= 20; i++) {
		WRITE_ONCE(narrow.task, &c.task); /* armed; then have the executor come by */
		async_wake(&c.task);
		uint32_t polls = 1 + 2 * i;
		if (!comes_true(&c.polls, polls))
			executor_test_hook = NULL;
		KTEST_EQ(READ_ONCE(c.polls), polls);
		KTEST_EQ(narrow.wakes, i);
	}
	executor_test_hook = NULL;
	async_cancel(&c.task);
	KTEST_EQ(result_of(&c.task), -ECANCELED);
}

KTEST(async, woken_having_found_nothing)
{
	narrow_run(EXECUTOR_FOUND_NOTHING);
}

KTEST(async, woken_before_saying_it_sleeps)
{
	narrow_run(EXECUTOR_STATE_SET);
}

KTEST(async, woken_before_the_switch)
{
	narrow_run(EXECUTOR_MAY_SLEEP);
}

/* In the middle of a switch, where an NMI that logs something may come, or a call from another CPU be served. */
static struct async_task *woken_in_switch;

static void switch_hook(void)
{
	struct async_task *t = READ_ONCE(woken_in_switch);
	if (!t || t->cpu != this_cpu()->id)
		return;
	woken_in_switch = NULL;
	async_wake_anywhere(t);
}

KTEST(async, woken_in_the_middle_of_a_switch)
{
	stay_here();
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_LOW);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 1));
	pause_ns(2 * NSEC_PER_MSEC); /* the executor sleeps, so somebody has to wake it */
	irqflags_t f = irq_save();
	thread_set_work(thread_current(), WORK_RESCHED);
	sched_test_hook = switch_hook;
	woken_in_switch = &c.task;
	sched_preempt();
	sched_test_hook = NULL;
	bool remembered = READ_ONCE(c.polls) == 2 || thread_has_work(thread_current(), WORK_RESCHED);
	bool came_by = !woken_in_switch;
	irq_restore(f);
	bool polled = comes_true(&c.polls, 2);
	async_cancel(&c.task);
	KTEST_EQ(result_of(&c.task), -ECANCELED);
	KTEST_TRUE(came_by && remembered && polled);
}

/* Woken in the middle of its poll, after it has looked: there is another poll. */
static uint32_t again_polls;

static enum async_poll again_poll(struct async_task *self)
{
	if (++again_polls == 1)
		async_wake(self);
	return again_polls < 2 ? ASYNC_PENDING : ASYNC_DONE;
}

static const struct async_ops again_ops = {.name = "again", .poll = again_poll};

KTEST(async, woken_during_its_poll)
{
	static struct async_task task;
	again_polls = 0;
	async_task_init(&task, &again_ops, ASYNC_NORMAL);
	async_spawn(&task);
	bool done = comes_true(&again_polls, 2);
	async_cancel(&task);
	(void)result_of(&task);
	KTEST_TRUE(done);
}

/* With a lock held that must not be held when a thread is woken; the task runs at the next chance to switch. */
KTEST(async, wake_with_any_lock_held)
{
	stay_here();
	struct spinlock leaf = SPINLOCK_INIT(LOCK_LEAF, "test leaf");
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_HIGH);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 1));
	pause_ns(NSEC_PER_MSEC);
	for (uint32_t i = 0; i < 10; i++) {
		uint32_t before = READ_ONCE(c.polls);
		irqflags_t f = spin_lock(&leaf);
		async_wake_anywhere(&c.task);
		KTEST_EQ(READ_ONCE(c.polls), before);
		spin_unlock(&leaf, f);
		for (uint64_t end = time_ns() + A_LONG_TIME / 20; READ_ONCE(c.polls) == before && time_ns() < end;)
			cpu_relax(); /* the tick's end is enough for it */
		KTEST_EQ(READ_ONCE(c.polls), before + 1);
	}
	async_cancel(&c.task);
	(void)result_of(&c.task);
}

/* ---- the executor and the other threads ---- */

KTEST(async, sleeps_when_nothing_is_ready)
{
	stay_here();
	struct executor_stats before, after;
	struct counter c = {0};
	async_task_init(&c.task, &line_ops, ASYNC_NORMAL);
	async_spawn(&c.task);
	KTEST_TRUE(comes_true(&c.stage, 1));
	pause_ns(5 * NSEC_PER_MSEC);
	for (unsigned window = 0; window < 20; window++) { /* the log's task may be at work in some of them */
		executor_stats_get(this_cpu()->id, &before);
		for (uint64_t end = time_ns() + 10 * NSEC_PER_MSEC; time_ns() < end;)
			sched_yield();
		executor_stats_get(this_cpu()->id, &after);
		if (after.polls == before.polls)
			break;
	}
	KTEST_EQ(after.polls, before.polls);
	KTEST_EQ(after.sleeps, before.sleeps);
	KTEST_TRUE(after.sleeps <= 2 * after.polls + 100); /* also while it kept this thread from looking */
	async_cancel(&c.task);
	(void)result_of(&c.task);
}

/* A task that is always ready does not take the machine from a thread. */
static uint32_t greedy_stop;
static uint64_t greedy_end_ns;

static enum async_poll greedy_poll(struct async_task *self)
{
	if (READ_ONCE(greedy_stop) || time_ns() > greedy_end_ns)
		return ASYNC_DONE;
	async_wake(self);
	return ASYNC_PENDING;
}

static const struct async_ops greedy_ops = {.name = "greedy", .poll = greedy_poll};

KTEST(async, endless_burst_is_ordinary)
{
	stay_here();
	static struct async_task task;
	struct executor_stats before, after;
	executor_stats_get(this_cpu()->id, &before);
	greedy_stop = 0;
	greedy_end_ns = time_ns() + NSEC_PER_SEC;
	async_task_init(&task, &greedy_ops, ASYNC_NORMAL);
	async_spawn(&task);
	uint64_t start = time_ns(), mine = thread_exec_ns(thread_current());
	while (time_ns() - start < 150 * NSEC_PER_MSEC)
		cpu_relax();
	mine = thread_exec_ns(thread_current()) - mine;
	WRITE_ONCE(greedy_stop, 1);
	(void)result_of(&task);
	executor_stats_get(this_cpu()->id, &after);
	KTEST_TRUE(mine > 30 * NSEC_PER_MSEC); /* about half of it is a fair share */
	KTEST_EQ(after.bursts, before.bursts + 1);
}

/* ---- the structures below, with interrupts in the middle of every operation ---- */

enum { STORM_NODES = 64, STORM_RING = 16, STORM_VALUES = 20000 };

static struct {
	struct timer timer;
	struct lifo stack;
	struct {
		struct lifo_node node;
		bool out;
	} nodes[STORM_NODES];
	struct lifo free; /* the interrupt takes what the thread is done with */
	struct mpmc ring;
	struct mpmc_cell cells[STORM_RING];
	uint64_t next[2], got[2], pushed, wrong;
	uint64_t gap_ns;
	bool stop;
} storm;

static void storm_push_all(struct lifo_node *n)
{
	while (n) {
		struct lifo_node *next = n->next;
		(void)lifo_push(&storm.stack, n);
		storm.pushed++;
		n = next;
	}
}

static void storm_consume(void)
{
	uint64_t v;
	while (mpmc_get(&storm.ring, &v)) {
		unsigned who = v >> 32 & 1;
		if ((uint32_t)v < storm.got[who])
			storm.wrong++;
		storm.got[who] = (uint32_t)v + 1;
	}
}

static void storm_fire(struct timer *t)
{
	storm_push_all(lifo_take_all(&storm.free));
	for (unsigned i = 0; i < 5; i++)
		storm.next[1] += mpmc_put(&storm.ring, 1ull << 32 | (uint32_t)storm.next[1]);
	storm.gap_ns = storm.gap_ns * 7 % 10007;
	if (!READ_ONCE(storm.stop))
		timer_set(t, time_ns() + 200 + storm.gap_ns);
}

/* Producers in the thread and in its timer interrupt; the thread consumes. Nothing is lost, doubled or out of order. */
KTEST(lockfree, storm_from_interrupts)
{
	stay_here();
	storm.stack = storm.free = (struct lifo){NULL};
	storm.pushed = storm.wrong = 0;
	storm.next[0] = storm.next[1] = storm.got[0] = storm.got[1] = 0;
	storm.gap_ns = 1;
	storm.stop = false;
	mpmc_init(&storm.ring, storm.cells, STORM_RING);
	for (unsigned i = 0; i < STORM_NODES; i++)
		(void)lifo_push(&storm.free, &storm.nodes[i].node);
	timer_init(&storm.timer, storm_fire);
	timer_set(&storm.timer, time_ns() + 1000);
	uint64_t taken = 0, end = time_ns() + A_LONG_TIME;
	while ((storm.got[0] < STORM_VALUES || storm.got[1] < STORM_VALUES / 10) && time_ns() < end) {
		for (unsigned i = 0; i < 3; i++)
			storm.next[0] += mpmc_put(&storm.ring, (uint32_t)storm.next[0]);
		storm_consume();
		struct lifo_node *n = lifo_take_all(&storm.stack), *next;
		for (; n; n = next) {
			next = n->next;
			taken++;
			(void)lifo_push(&storm.free, n);
		}
	}
	WRITE_ONCE(storm.stop, true);
	timer_cancel(&storm.timer);
	storm_consume();
	KTEST_EQ(storm.wrong, 0);
	KTEST_EQ(storm.got[0], storm.next[0]);
	KTEST_EQ(storm.got[1], storm.next[1]);
	KTEST_TRUE(storm.got[0] >= STORM_VALUES);
	uint64_t left = 0, idle = 0;
	for (struct lifo_node *n = lifo_take_all(&storm.stack); n; n = n->next)
		left++;
	for (struct lifo_node *n = lifo_take_all(&storm.free); n; n = n->next)
		idle++;
	KTEST_EQ(left + idle, STORM_NODES);
	KTEST_EQ(taken + left, storm.pushed);
	KTEST_TRUE(storm.pushed > STORM_NODES);
}
