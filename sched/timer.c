/*
 * Timers: theory.
 *
 * Each CPU has a tree of its armed timers by deadline, with the first of them remembered.  The hardware alarm is
 * one-shot; it is set for the first timer or the scheduler's tick, whichever is earlier, and only moved when something
 * earlier comes.  A timer that is cancelled, as nearly all time-outs are, leaves the alarm where it is: an interrupt
 * that finds nothing due costs less than programming the hardware at each cancel.
 *
 * A timer's function runs in the interrupt with no lock held, so it may arm timers, this one included, and wake
 * threads.  While it runs, queue->running names it; timer_cancel() on another CPU waits until that is over.  On the
 * same CPU it cannot be seen running, since the interrupt ends before the thread goes on.
 *
 * Locking: the lock (LOCK_TIMER) of the queue named by timer->cpu for the tree, the timer, and its `cpu`, which changes
 * only while the timer is not armed and its function not running: a timer that is set from elsewhere while its function
 * runs stays with the CPU that runs it, which looks at its queue again afterwards.  So cancelling has one queue to look
 * at.  `alarm_ns` and the programming of the hardware belong to the CPU, with interrupts off.
 *
 * Rejected: a timer wheel (cheap to arm, but it needs a periodic tick or a search for the next one); a heap (cancel
 * needs positions).
 */
#include "sched/timer.h"

#include <asm/errno.h>

#include <arch/cpu.h>
#include <arch/time.h>
#include "core/monitor.h"
#include "core/panic.h"
#include "mm/slab.h"
#include "sched/internal.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"
#include "sync/spinlock.h"

struct timer_queue {
	struct spinlock lock;
	struct rb_root timers;
	struct timer *first;   /* leftmost, or NULL */
	struct timer *running; /* whose function is being called */
	uint64_t alarm_ns;     /* what the hardware is set to; UINT64_MAX: nothing. Own CPU, interrupts off */
} aligned_to(CACHE_LINE);

static struct timer_queue boot_queue = {.lock = SPINLOCK_INIT(LOCK_TIMER, "timers"), .alarm_ns = UINT64_MAX};
static struct timer_queue *queues[CPUS_MAX] = {&boot_queue};

static always_inline struct timer_queue *my_queue(void)
{
	return queues[this_cpu()->id];
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	/* Most are set here soon, and then one queue's lock is enough. */
	*t = (struct timer){.fn = fn, .cpu = this_cpu()->id};
}

void timer_alarm_by(uint64_t deadline_ns)
{
	struct timer_queue *q = my_queue();
	if (deadline_ns < q->alarm_ns) {
		q->alarm_ns = deadline_ns;
		time_alarm_set(deadline_ns);
	}
}

/* Lock held. */
static void insert(struct timer_queue *q, struct timer *t)
{
	struct rb_node **link = &q->timers.node, *parent = NULL;
	bool leftmost = true;
	while (*link) {
		parent = *link;
		if (t->deadline_ns < RB_ENTRY(parent, struct timer, node)->deadline_ns) {
			link = &parent->left;
		} else {
			link = &parent->right; /* equal ones fire in the order they were set */
			leftmost = false;
		}
	}
	rb_link(&t->node, parent, link);
	rb_insert_fix(&q->timers, &t->node);
	if (leftmost)
		q->first = t;
	t->armed = true;
}

static void remove(struct timer_queue *q, struct timer *t)
{
	if (q->first == t) {
		struct rb_node *next = rb_next(&t->node);
		q->first = next ? RB_ENTRY(next, struct timer, node) : NULL;
	}
	rb_erase(&q->timers, &t->node);
	t->armed = false;
}

/* The queue t belongs to, locked. Interrupts off. */
static struct timer_queue *queue_lock(struct timer *t)
{
	for (;;) {
		uint32_t cpu = atomic_load_relaxed(&t->cpu);
		struct timer_queue *q = queues[cpu];
		spin_acquire(&q->lock);
		if (likely(t->cpu == cpu))
			return q;
		spin_release(&q->lock); /* it moved meanwhile */
	}
}

void timer_set(struct timer *t, uint64_t deadline_ns)
{
	irqflags_t f = irq_save();
	struct timer_queue *mine = my_queue(), *q = queue_lock(t);
	for (;;) {
		if (t->armed)
			remove(q, t);
		if (q == mine || q->running == t)
			break;
		t->cpu = this_cpu()->id;
		spin_release(&q->lock);
		q = queue_lock(t); /* ours, unless somebody else sets it too */
	}
	t->deadline_ns = deadline_ns;
	insert(q, t);
	bool is_first = q->first == t;
	spin_release(&q->lock);
	if (is_first && q == mine)
		timer_alarm_by(deadline_ns);
	irq_restore(f);
}

bool timer_cancel(struct timer *t)
{
	irqflags_t f = irq_save();
	struct timer_queue *q = queue_lock(t);
	bool was = t->armed;
	if (was)
		remove(q, t);
	spin_release(&q->lock);
	while (unlikely(atomic_load_acquire(&q->running) == t))
		smp_relax();
	irq_restore(f);
	return was;
}

void timers_run(void)
{
	struct timer_queue *q = my_queue();
	uint64_t now = time_ns();
	q->alarm_ns = UINT64_MAX; /* it went off */

	irqflags_t f = spin_lock(&q->lock);
	while (q->first && q->first->deadline_ns <= now) {
		struct timer *t = q->first;
		remove(q, t);
		q->running = t;
		spin_unlock(&q->lock, f);
		t->fn(t);
		atomic_store_release(&q->running, NULL);
		f = spin_lock(&q->lock);
	}
	uint64_t next = q->first ? q->first->deadline_ns : UINT64_MAX;
	spin_unlock(&q->lock, f);

	next = MIN(next, sched_tick(now));
	next = MIN(next, q->alarm_ns); /* a function may have armed one: programming twice the same is harmless */
	q->alarm_ns = next;
	time_alarm_set(next); /* also for "never": some clocks need an alarm of their own */
}

int timer_cpu_prepare(unsigned cpu)
{
	if (queues[cpu])
		return 0;
	struct timer_queue *q = kzalloc(sizeof(*q));
	if (!q)
		return -ENOMEM;
	spin_init(&q->lock, LOCK_TIMER, "timers");
	q->alarm_ns = UINT64_MAX;
	atomic_store_release(&queues[cpu], q);
	return 0;
}

/* --- the monitor's view --- */

#define SHOWN_MAX 64

struct shown {
	uint64_t deadline_ns;
	uint64_t fn;
};

MONITOR_COMMAND(timers, "", "armed timers, the next one first", MONITOR_RUNNING)
{
	struct shown shown[SHOWN_MAX];
	char symbol[96];

	for (unsigned cpu = 0; cpu < CPUS_MAX && !out->interrupted; cpu++) {
		struct timer_queue *q = queues[cpu];
		unsigned n = 0;
		if (!q)
			continue;
		irqflags_t f = spin_lock(&q->lock);
		for (struct timer *t = q->first; t && n < SHOWN_MAX;) {
			shown[n++] = (struct shown){t->deadline_ns, (uint64_t)t->fn};
			struct rb_node *next = rb_next(&t->node);
			t = next ? RB_ENTRY(next, struct timer, node) : NULL;
		}
		uint64_t alarm = q->alarm_ns;
		spin_unlock(&q->lock, f);

		uint64_t now = time_ns();
		if (alarm == UINT64_MAX)
			monitor_print(out, "cpu %u: no alarm set\n", cpu);
		else
			monitor_print(out, "cpu %u: alarm in %lld us\n", cpu, (long long)(alarm - now) / 1000);
		for (unsigned i = 0; i < n; i++)
			monitor_print(out, "  in %10lld us %s\n", (long long)(shown[i].deadline_ns - now) / 1000,
				      monitor_symbol(shown[i].fn, symbol, sizeof(symbol)));
	}
}
