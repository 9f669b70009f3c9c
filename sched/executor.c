/*
 * The executor: theory.
 *
 * Purpose.  Work that an interrupt handler, or a caller with locks held, must not or cannot do itself: decoding keys,
 * feeding terminals, writing the log to its consoles.  Each such piece is a task: a small struct and a poll function
 * that does what can be done now and returns.  A task costs its struct (40 bytes and its own state) where a thread
 * costs a stack of 16 KiB, and running one is a call where running a thread is a switch.
 *
 * Concepts.  One thread per CPU, the executor, polls the tasks of that CPU.  A task stays with the CPU it was spawned
 * on, so its poll never runs twice at once and needs no lock against itself.  A wake-up puts the task on the CPU's
 * ready queue (lib/ready_queue.h, lock-free, three priorities) unless it is there already, and wakes the executor's
 * thread if that sleeps.  Priorities are strict; within one, first come, first served.
 *
 * A task's state is three bits in one word:
 *
 *     QUEUED     it is on the ready queue, or must not get there any more
 *     CANCELLED  its next turn is its last
 *     DONE       set by the executor, with QUEUED, which turns all later wake-ups into nothing
 *
 * Nothing is lost between waker and task: QUEUED is cleared before the poll.  A waker makes its condition true, then
 * sets QUEUED.  If it finds the bit clear it queues the task, and another poll follows.  If it finds it set, the
 * executor has yet to clear it, by a read-modify-write that reads what the waker wrote or something later in the same
 * release sequence, so the poll after it sees the condition.  That an executor with a non-empty queue does not sleep is
 * argued in lib/ready_queue.h.
 *
 * Sleeping.  An executor with nothing ready is its CPU's idle thread (sched_sleep_idling(), argued in sched.c): nothing
 * else runnable, the CPU halts in it, so an interrupt that wakes a task on an idle CPU finds the thread that polls it
 * already there, and a switch there and one back are spared.  Any thread comes before it as long as nothing is ready;
 * from the wake-up on it is the real-time thread it always was, and tasks run in it with interrupts on and can be
 * pre-empted.  A task that blocks (on a mutex) blocks an ordinary thread, not the idling: that is taken over.
 *
 * Scheduling.  The thread is SCHED_FIFO: a key press is dealt with at the end of its interrupt whatever else runs.  But
 * tasks that keep one another awake must not take the machine from the programs, so a burst of more than BURST_NS goes
 * on as an ordinary thread with its fair share, until there is nothing ready.
 *
 * Many CPUs.  A waker may be on any: the ready queue, the state word and events are atomic, and sched_wake() sends the
 * task's CPU an interrupt if that halts or runs something less urgent.  Everything else here belongs to one CPU.
 *
 * From anywhere.  Waking a thread takes the run queue's lock, so it cannot be done under that lock or one above.  The
 * log is written there too.  async_wake_anywhere() queues the task, which needs no lock, and if it cannot wake the
 * thread leaves that to this CPU's next switch, and asks for one (sched_kick_executor).
 *
 * Lifetime: counted.  The owner has a reference, the executor one from async_spawn() until the task is done and off the
 * ready queue, and everything that may wake the task (an event it waits for, an armed timer) one each.
 *
 * Failure: nothing here allocates after the start.  Cancelling is a request that the task's next turn carries out.
 *
 * Rejected.  A thread per piece of work (memory; a switch per key).  Running the work at the end of the interrupt, as
 * "soft interrupts" do: it then competes with nothing and cannot be scheduled.  A pool of worker threads with a list of
 * functions: a function has no place to wait in.  Tasks with stacks of their own: threads by another name.  Stealing
 * tasks between CPUs: the tasks here are short and belong to where their interrupt comes in.
 */
#include "sched/executor.h"

#include <asm/errno.h>
#include <linux/sched.h>

#include <arch/cpu.h>
#include <arch/time.h>
#include "core/panic.h"
#include "lib/printf.h"
#include "lib/ready_queue.h"
#include "mm/slab.h"
#include "sched/async.h"
#include "sched/internal.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/wait.h"
#include "sync/atomic.h"

#define TASK_QUEUED 1u
#define TASK_CANCELLED 2u
#define TASK_DONE 4u

#define EXECUTOR_RT_PRIORITY 50
#define BURST_NS (5 * NSEC_PER_MSEC)
#define BURST_LOOKS 32 /* polls from one look at the clock to the next: powers of two */

_Static_assert(ASYNC_LOW == READY_PRIORITIES - 1, "each priority has its stack");
_Static_assert(sizeof(struct async_task) == 40, "what a task costs is promised above");

struct executor {
	struct ready_queue queue;
	struct thread thread;
	uint32_t cpu;
	uint32_t tasks; /* atomic */
	/* the executor's own, read by others as statistics */
	uint64_t polls, sleeps, bursts;
	uint64_t burst_since_ns;    /* the first look at the clock since it slept; 0: none yet */
	bool ordinary;		    /* the burst was too long: not real-time now */
	struct wait_queue finished; /* threads that wait for the end of a task of this CPU */
};

static struct executor boot_executor;
/* I once set, which is before the CPU runs anything that spawns tasks: every task's cpu has one. */
static struct executor *executors[CPUS_MAX] = {&boot_executor};

/* ---- waking ---- */

/* True: the executor has to be woken, by the caller and nobody else. */
static always_inline bool make_ready(struct executor *e, struct async_task *t)
{
	if (atomic_fetch_or(&t->state, TASK_QUEUED) & TASK_QUEUED)
		return false;
	return ready_put(&e->queue, t->priority, &t->ready_node);
}

void async_wake(struct async_task *t)
{
	struct executor *e = executors[t->cpu];
	if (make_ready(e, t))
		sched_wake(&e->thread, WAKE_NORMAL);
}

void async_wake_anywhere(struct async_task *t)
{
	/* Interrupts on and not in a handler: then no spinlock is held, since each of them switches interrupts off. */
	if (irq_enabled() && !cpu_in_interrupt())
		async_wake(t);
	else if (make_ready(executors[t->cpu], t))
		sched_kick_executor(t->cpu);
}

void executor_wake(uint32_t cpu)
{
	sched_wake(&executors[cpu]->thread, WAKE_NORMAL);
}

void async_cancel(struct async_task *t)
{
	atomic_fetch_or(&t->state, TASK_CANCELLED);
	async_wake(t);
}

/* ---- life of a task ---- */

void async_task_init(struct async_task *t, const struct async_ops *ops, enum async_priority priority)
{
	*t = (struct async_task){.ops = ops, .priority = (uint8_t)priority};
	refcount_init(&t->refs, 1);
}

void async_spawn(struct async_task *t)
{
	irqflags_t f = irq_save();
	t->cpu = (uint8_t)this_cpu()->id;
	irq_restore(f);
	async_get(t); /* the executor's */
	__atomic_fetch_add(&executors[t->cpu]->tasks, 1, __ATOMIC_RELAXED);
	async_wake(t);
}

void async_put(struct async_task *t)
{
	if (refcount_put(&t->refs) && t->ops->release)
		t->ops->release(t);
}

bool async_done(const struct async_task *t)
{
	return atomic_load_acquire(&t->state) & TASK_DONE; /* acquire: who sees the end sees the result */
}

/* Nobody but a caller with a reference of its own will touch t. */
static bool is_over(const struct async_task *t)
{
	return async_done(t) && (t->ops->release || refcount_read(&t->refs) == 1);
}

int async_wait(struct async_task *t)
{
	ASSERT(!executor_is_current());
	(void)WAIT_UNTIL(&executors[t->cpu]->finished, is_over(t), 0, WAIT_FOREVER);
	return t->result;
}

/* The executor's reference; t may be gone afterwards. */
static void let_go(struct executor *e, struct async_task *t)
{
	async_put(t);
	wait_wake_all(&e->finished);
}

static void finish(struct executor *e, struct async_task *t)
{
	__atomic_fetch_sub(&e->tasks, 1, __ATOMIC_RELAXED);
	uint32_t before = atomic_fetch_or(&t->state, TASK_DONE | TASK_QUEUED);
	async_event_signal(&t->ended);
	if (!(before & TASK_QUEUED))
		let_go(e, t); /* else it is on the ready queue once more: run_task() drops it there */
}

static always_inline void run_task(struct executor *e, struct async_task *t)
{
	if (unlikely(async_done(t))) {
		let_go(e, t);
		return;
	}
	/* Before the poll: whoever wakes from here on gets another one. It is set, so subtracting clears it, and the
	 * one instruction also says whether somebody cancelled up to now. */
	uint32_t state = __atomic_fetch_sub(&t->state, TASK_QUEUED, __ATOMIC_ACQ_REL);
	e->polls++;
	if (unlikely(state & TASK_CANCELLED)) {
		t->result = -ECANCELED;
		if (t->ops->cancelled)
			t->ops->cancelled(t);
		finish(e, t);
	} else if (t->ops->poll(t) == ASYNC_DONE) {
		finish(e, t);
	}
}

/* ---- the thread ---- */

static void set_ordinary(struct executor *e, bool ordinary)
{
	int err = ordinary ? sched_set_policy(&e->thread, SCHED_NORMAL, 0)
			   : sched_set_policy(&e->thread, SCHED_FIFO, EXECUTOR_RT_PRIORITY);
	BUG_ON(err);
	e->ordinary = ordinary;
}

static noinline void look_at_burst(struct executor *e)
{
	uint64_t now = time_ns();
	if (e->burst_since_ns == 0)
		e->burst_since_ns = now;
	if (e->ordinary || now - e->burst_since_ns < BURST_NS)
		return;
	e->bursts++;
	set_ordinary(e, true);
}

#if CONFIG_KTEST
void (*executor_test_hook)(enum executor_place place);
#define NARROW_PLACE(place)                        \
	do {                                       \
		if (executor_test_hook)            \
			executor_test_hook(place); \
	} while (0)
#else
#define NARROW_PLACE(place) \
	do {                \
	} while (0)
#endif

/* Nothing was ready. Returns when something may be. */
static void executor_sleep(struct executor *e)
{
	if (e->ordinary)
		set_ordinary(e, false);
	NARROW_PLACE(EXECUTOR_FOUND_NOTHING);
	e->thread.wait_reason = "nothing ready";
	/* Before the queue says that we sleep: see lib/ready_queue.h. */
	WRITE_ONCE(e->thread.state, THREAD_SLEEPING);
	NARROW_PLACE(EXECUTOR_STATE_SET);
	if (ready_sleep(&e->queue)) {
		NARROW_PLACE(EXECUTOR_MAY_SLEEP);
		e->sleeps++;
		sched_sleep_idling();
	}
	WRITE_ONCE(e->thread.state, THREAD_RUNNABLE);
	ready_woken(&e->queue);
	e->burst_since_ns = 0;
}

static void executor_thread(void *arg)
{
	struct executor *e = arg;
	set_ordinary(e, false);
	for (;;) {
		struct lifo_node *n = ready_get(&e->queue);
		if (unlikely(!n)) {
			executor_sleep(e);
			continue;
		}
		run_task(e, container_of(n, struct async_task, ready_node));
		if (unlikely(e->polls % BURST_LOOKS == 0))
			look_at_burst(e);
	}
}

/* Only thread_start() is left to do. */
static int must_check executor_setup(struct executor *e, uint32_t cpu)
{
	e->cpu = cpu;
	wait_queue_init(&e->finished);
	int err = thread_init(&e->thread, NULL, executor_thread, e);
	if (err)
		return err;
	e->thread.affinity = BIT(cpu); /* no lock: it has never run, and that CPU may have no run queue yet */
	snprintf(e->thread.name, sizeof(e->thread.name), "async/%u", cpu);
	return 0;
}

void executor_init(void)
{
	if (executor_setup(&boot_executor, this_cpu()->id) != 0)
		boot_stop("no memory for the executor: the machine needs at least 8 MiB of RAM");
	thread_start(&boot_executor.thread);
}

int executor_cpu_prepare(uint32_t cpu)
{
	ASSERT(cpu < CPUS_MAX && !executors[cpu]);
	/* a power of two, because those are aligned to themselves: the queue wants its cache lines */
	struct executor *e = kzalloc(1ul << (64 - __builtin_clzl(sizeof(*e) - 1)));
	if (!e)
		return -ENOMEM;
	int err = executor_setup(e, cpu);
	if (err) {
		kfree(e);
		return err;
	}
	atomic_store_release(&executors[cpu], e);
	return 0;
}

void executor_cpu_start(void)
{
	thread_start(&executors[this_cpu()->id]->thread);
}

bool executor_is_current(void)
{
	const struct executor *e = executors[this_cpu()->id];
	return e && thread_current() == &e->thread;
}

void executor_stats_get(unsigned cpu, struct executor_stats *out)
{
	*out = (struct executor_stats){0};
	const struct executor *e = cpu < CPUS_MAX ? executors[cpu] : NULL;
	if (!e)
		return;
	out->polls = READ_ONCE(e->polls);
	out->sleeps = READ_ONCE(e->sleeps);
	out->bursts = READ_ONCE(e->bursts);
	out->tasks = atomic_load_relaxed(&e->tasks);
}
