/*
 * The scheduler: theory.
 *
 * Each CPU has a run queue (runqueue.c says in which order) and switches between its threads; no CPU touches another's
 * but to wake a thread there.
 *
 * States.  A thread's state is what it wants, `queued` and rq->current are where it is.  A thread that is going to
 * sleep first sets its state, then checks once more whether there is a reason not to, then calls sched_switch(), which
 * takes it off the CPU for good unless the state went back to RUNNABLE meanwhile.  sched_wake() sets RUNNABLE and
 * queues the thread if it is really off the CPU; if it is still on it, or queued because it was pre-empted between
 * setting its state and switching, the state alone does it.  Pre-emption therefore never looks at the state: a
 * pre-empted thread stays queued whatever it is about to do.
 *
 * No lost wake-up.  Sleeper: (S1) state = SLEEPING, (S2) full fence, (S3) look at the condition or the work bits.
 * Waker: (W1) make the condition true or set the bit, (W2) full fence, (W3) look at the state, or at the queue the
 * sleeper entered before S2.  If S3 sees nothing, W1 came after S3 in the order the fences make, so W3 comes after S1
 * and finds the sleeper.  The same argument covers signals: thread_set_work() is W1–W3 with the bit as the condition.
 *
 * A switch: under the queue's lock account the time, requeue or drop prev, pick next; then, without the lock but with
 * interrupts off, load its page tables and change stacks.  The lock need not be held across: others may wake prev
 * meanwhile, which queues it here, and only this CPU takes from
 * here.  prev->on_cpu tells when its registers are saved.  What must wait until nobody stands on prev's stack is done
 * by the thread switched to, in sched_finish_switch(): an exited thread's stack is freed there.
 *
 * Page tables are switched lazily (mm/tlb.c): a kernel thread keeps those it finds, since the kernel half is the same in
 * all.
 *
 * Time.  The timer is not periodic.  A tick is asked for only while a thread runs: after a slice if others wait, else
 * rarely, to sample whether it is in user mode.  An idle CPU has no tick.  tick_ns moves only when needed, so switching
 * a thousand times within a slice programs the timer once.
 *
 * Interrupts off is what stops pre-emption; there is no other counter.  WORK_RESCHED on the running thread asks for a
 * switch at the next return to user mode or, from an interrupt, to kernel code that had interrupts on.
 */
#include "sched/sched.h"

#include <asm/errno.h>
#include <linux/sched.h>

#include <arch/cpu.h>
#include <arch/time.h>
#include "core/panic.h"
#include "core/trace.h"
#include "mm/tlb.h"
#include "sched/internal.h"
#include "sched/runqueue.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

static struct run_queue boot_queue = {.lock = SPINLOCK_INIT(LOCK_RUNQUEUE, "run queue"), .tick_ns = UINT64_MAX};
static struct run_queue *run_queues[CPUS_MAX] = {&boot_queue};
static struct thread boot_idle;

void (*sched_kick_cpu)(uint32_t cpu);

static always_inline struct run_queue *my_queue(void)
{
	return run_queues[this_cpu()->id];
}

/* The queue of the CPU t belongs to, locked. */
static always_inline struct run_queue *queue_lock(const struct thread *t, irqflags_t *f)
{
	for (;;) {
		uint32_t cpu = READ_ONCE(t->cpu);
		struct run_queue *rq = run_queues[cpu];
		*f = spin_lock(&rq->lock);
		if (likely(t->cpu == cpu))
			return rq;
		spin_unlock(&rq->lock, *f);
	}
}

/* Makes that CPU take an interrupt, at the end of which it looks at WORK_RESCHED and the other work bits. */
static void cpu_kick(uint32_t cpu)
{
	if (cpu != this_cpu()->id && sched_kick_cpu)
		sched_kick_cpu(cpu);
}

static void current_resched(struct run_queue *rq)
{
	__atomic_fetch_or(&rq->current->arch.work, WORK_RESCHED, __ATOMIC_ACQ_REL);
	cpu_kick(rq->cpu);
}

/* The tick is wanted at deadline_ns at the latest. */
static void tick_want(struct run_queue *rq, uint64_t deadline_ns)
{
	if (likely(rq->tick_ns <= deadline_ns))
		return;
	rq->tick_ns = deadline_ns;
	if (rq->cpu == this_cpu()->id)
		timer_alarm_by(deadline_ns);
	else
		cpu_kick(rq->cpu);
}

/* t, just made runnable, gets on the queue; the running thread is told if it should go. rq->lock held. */
static void activate(struct run_queue *rq, struct thread *t, bool is_new)
{
	struct thread *cur = rq->current;
	uint64_t now = time_ns();
	rq_account(rq, cur, now);
	rq_place(rq, t, is_new);
	rq_enqueue(rq, t, false);
	rq->runnable++;
	if (rq_should_preempt(rq, t))
		current_resched(rq);
	else
		tick_want(rq, MAX(cur->slice_end_ns, now + WAKE_GRANULARITY_NS));
}

bool sched_wake(struct thread *t, uint32_t state_mask)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	uint32_t was = t->state;
	bool woke = BIT(was) & state_mask;
	if (woke) {
		t->state = THREAD_RUNNABLE;
		if (likely(!t->queued && rq->current != t)) {
			if (was == THREAD_BLOCKED)
				rq->blocked--;
			activate(rq, t, false);
		}
	}
	spin_unlock(&rq->lock, f);
	return woke;
}

void sched_start_new(struct thread *t)
{
	irqflags_t f = irq_save();
	t->cpu = this_cpu()->id;
	struct run_queue *rq = my_queue();
	spin_acquire(&rq->lock);
	activate(rq, t, true);
	spin_release(&rq->lock);
	irq_restore(f);
}

static always_inline void finish_switch(void)
{
	struct thread *prev = my_queue()->previous;
	bool dead = prev->state == THREAD_DEAD;
	atomic_store_release(&prev->on_cpu, false);
	if (unlikely(dead))
		thread_reap(prev);
}

void sched_finish_switch(void)
{
	finish_switch();
}

void sched_kick_executor(uint32_t cpu)
{
	struct run_queue *rq = my_queue();
	__atomic_fetch_or(&rq->executor_kicks, BIT(cpu), __ATOMIC_ACQ_REL);
	__atomic_fetch_or(&rq->current->arch.work, WORK_RESCHED, __ATOMIC_ACQ_REL);
}

/* Wakes the executors that somebody could not wake for the locks they held. Interrupts off, no lock held. */
static noinline void executors_wake(struct run_queue *rq)
{
	uint64_t kicks = atomic_exchange(&rq->executor_kicks, 0);
	for (; kicks; kicks &= kicks - 1)
		executor_wake((uint32_t)__builtin_ctzll(kicks));
}

/* Interrupts off. preempted: prev goes on later whatever its state. */
static void switch_away(bool preempted)
{
	struct run_queue *rq = my_queue();
	if (unlikely(READ_ONCE(rq->executor_kicks)))
		executors_wake(rq);
	spin_acquire(&rq->lock);
	struct thread *prev = rq->current;
	uint64_t now = time_ns();

	rq_account(rq, prev, now);
	thread_clear_work(prev, WORK_RESCHED);
	if (prev != rq->idle) {
		if (preempted || prev->state == THREAD_RUNNABLE) {
			bool turn_over = prev->policy == SCHED_RR && now >= prev->slice_end_ns;
			rq_enqueue(rq, prev, preempted && !turn_over);
		} else {
			rq->runnable--;
			rq->blocked += prev->state == THREAD_BLOCKED;
		}
	}
	struct thread *next = rq_pick(rq);
	next->slice_end_ns = now + (unlikely(next->policy == SCHED_RR) ? SLICE_RR_NS : SLICE_NS);
	if (next == prev) {
		spin_release(&rq->lock);
		return;
	}
	if (preempted)
		prev->preemptions++;
	else
		prev->switches++;
	rq->switches++;
	rq->current = next;
	rq->previous = prev;
	next->switched_in_ns = now;
	next->on_cpu = true;
	if (next != rq->idle)
		tick_want(rq, rq->runnable > 1 ? next->slice_end_ns : now + SAMPLE_NS);
	spin_release(&rq->lock);

	if (next->mmu)
		mmu_switch(next->mmu);
	else
		mmu_switch_lazy();
	trace_event_name(TRACE_SWITCH, next->name);
	context_switch(&prev->arch, &next->arch, prev, next);
	finish_switch();
}

void sched_switch(void)
{
	if (CONFIG_DEBUG)
		lockdep_may_sleep();
	irqflags_t f = irq_save();
	switch_away(false);
	irq_restore(f);
}

void sched_switch_dead(void)
{
	switch_away(false);
}

void sched_preempt(void)
{
	ASSERT(!irq_enabled() && !this_cpu()->irq_depth);
	if (thread_has_work(thread_current(), WORK_RESCHED))
		switch_away(true);
}

void sched_yield(void)
{
	irqflags_t f = irq_save();
	struct run_queue *rq = my_queue();
	spin_acquire(&rq->lock);
	struct thread *t = rq->current;
	if (rq->fair_first && !thread_is_rt(t))
		t->vruntime_ns = MAX(t->vruntime_ns, rq->fair_first->vruntime_ns + 1);
	spin_release(&rq->lock);
	switch_away(false);
	irq_restore(f);
}

uint64_t sched_tick_deadline(void)
{
	return my_queue()->tick_ns;
}

uint64_t sched_tick(uint64_t now)
{
	struct run_queue *rq = my_queue();
	if (rq->tick_ns > now)
		return rq->tick_ns;
	irqflags_t f = spin_lock(&rq->lock);
	struct thread *cur = rq->current;
	rq_account(rq, cur, now);
	if (rq_slice_is_over(rq, now)) {
		current_resched(rq);
		rq->tick_ns = now + SLICE_NS; /* should the switch have to wait */
	} else if (cur == rq->idle) {
		rq->tick_ns = UINT64_MAX;
	} else if (rq->runnable > 1 && cur->slice_end_ns > now) {
		rq->tick_ns = cur->slice_end_ns;
	} else {
		rq->tick_ns = now + SAMPLE_NS;
	}
	uint64_t next = rq->tick_ns;
	spin_unlock(&rq->lock, f);
	load_update(now);
	return next;
}

void sched_account(bool in_user)
{
	irqflags_t f = irq_save();
	struct run_queue *rq = my_queue();
	struct thread *t = rq->current;
	if (t) {
		spin_acquire(&rq->lock);
		t->in_user = in_user;
		rq_account(rq, t, time_ns());
		spin_release(&rq->lock);
	}
	irq_restore(f);
}

void thread_set_work(struct thread *t, uint32_t bits)
{
	__atomic_fetch_or(&t->arch.work, bits, __ATOMIC_SEQ_CST);
	if (bits & (WORK_SIGNAL | WORK_KILL) && READ_ONCE(t->state) == THREAD_SLEEPING)
		sched_wake(t, WAKE_SIGNAL);
	if (READ_ONCE(t->on_cpu))
		cpu_kick(READ_ONCE(t->cpu));
}

/* ---- parameters ---- */

/* Runs change(t) with t off its queue. */
static void requeue_around(struct thread *t, void (*change)(struct thread *t, int a, int b), int a, int b)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	bool queued = t->queued;
	if (rq->current == t)
		rq_account(rq, t, time_ns());
	if (queued)
		rq_dequeue(rq, t);
	change(t, a, b);
	thread_set_weight(t);
	if (queued) {
		rq_place(rq, t, false);
		rq_enqueue(rq, t, false);
	}
	/* somebody may now be ahead of whoever runs */
	if (rq->current && (queued ? rq_should_preempt(rq, t) : rq->current == t && rq->runnable > 1))
		current_resched(rq);
	spin_unlock(&rq->lock, f);
}

static void change_policy(struct thread *t, int policy, int rt_priority)
{
	t->policy = (uint8_t)policy;
	t->rt_priority = (uint8_t)rt_priority;
}

static void change_nice(struct thread *t, int nice, int unused_arg)
{
	(void)unused_arg;
	t->nice = (int8_t)nice;
}

int sched_set_policy(struct thread *t, int policy, int rt_priority)
{
	switch (policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		if (rt_priority < 1 || rt_priority >= RT_PRIORITIES)
			return -EINVAL;
		break;
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE:
		if (rt_priority != 0)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	requeue_around(t, change_policy, policy, rt_priority);
	return 0;
}

void sched_set_nice(struct thread *t, int nice)
{
	requeue_around(t, change_nice, MAX(MIN(nice, 19), -20), 0);
}

int sched_set_affinity(struct thread *t, uint64_t mask)
{
	uint64_t there = 0;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (run_queues[i])
			there |= BIT(i);
	if (!(mask & there))
		return -EINVAL;
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	t->affinity = mask;
	spin_unlock(&rq->lock, f);
	return 0;
}

/* ---- figures ---- */

uint32_t sched_active_threads(void)
{
	uint32_t n = 0;
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (run_queues[i])
			n += READ_ONCE(run_queues[i]->runnable) + READ_ONCE(run_queues[i]->blocked);
	return n;
}

void sched_stats_get(unsigned cpu, struct sched_stats *out)
{
	*out = (struct sched_stats){0};
	thread_counts(&out->threads_created, &out->threads);
	if (cpu >= CPUS_MAX || !run_queues[cpu])
		return;
	struct run_queue *rq = run_queues[cpu];
	irqflags_t f = spin_lock(&rq->lock);
	if (rq->current && cpu == this_cpu()->id)
		rq_account(rq, rq->current, time_ns());
	out->user_ns = rq->user_ns;
	out->system_ns = rq->system_ns;
	out->idle_ns = rq->idle_ns;
	out->switches = rq->switches;
	out->running = rq->runnable;
	spin_unlock(&rq->lock, f);
}

/* ---- start ---- */

static struct lockdep_stack *current_locks(void)
{
	struct thread *t = thread_current();
	return t ? &t->locks : NULL;
}

void sched_init(void)
{
	struct run_queue *rq = &boot_queue;
	thread_setup_idle(&boot_idle, 0);
	boot_idle.stack = idle_stack;
	boot_idle.switched_in_ns = time_ns();
	boot_idle.on_cpu = true;
	rq->idle = rq->current = &boot_idle;
	context_adopt(&boot_idle.arch, idle_stack_top, &boot_idle);
	if (CONFIG_DEBUG)
		lockdep_current = current_locks;
}

noreturn void sched_idle_loop(void)
{
	lockdep_boot_done();
	for (;;) {
		irq_disable();
		/* STI's shadow: no interrupt, and so no wake-up, fits between this look and the halt. */
		if (thread_has_work(thread_current(), WORK_RESCHED))
			sched_preempt();
		else
			cpu_idle_wait();
	}
}

uint64_t sched_slice_ns(const struct thread *t)
{
	return t->policy == SCHED_FIFO ? 0 : t->policy == SCHED_RR ? SLICE_RR_NS : SLICE_NS;
}
