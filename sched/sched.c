/*
 * The scheduler: theory.
 *
 * Each CPU has a run queue (runqueue.c says in which order) and switches between its threads.  Threads are put on it by
 * any CPU (wake.c) and taken from it by idle ones and the balancer (balance.c); parameters are changed in params.c.
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
 * interrupts off, load its page tables and change stacks.  From the unlock on others may find prev on the queue, or
 * wake it, while its registers are still being saved: prev->on_cpu says so.  Only this CPU may run it until that is
 * cleared; others leave it here (wake.c, balance.c), or wait for the flag, which takes this CPU a few instructions for
 * which it needs no lock.  What must wait until nobody stands on prev's stack is done by the thread switched to, in
 * finish_switch(): an exited thread's stack is freed there, and one that may not run here any more is sent away.
 *
 * Page tables are switched lazily (mm/tlb.c): a kernel thread keeps those it finds, since the kernel half is the same
 * in all.
 *
 * Other CPUs.  Who makes this CPU's running thread obsolete sets WORK_RESCHED on it under the queue's lock and, once
 * per switch, sends IRQ_RESCHEDULE, when it has let go of the lock (queues.h); who only needs an earlier tick sets
 * tick_ns and sends it.  Interrupts are what ends a halt, and the idle loop looks at its work with interrupts off
 * before it halts, so neither is lost.  A CPU that runs on in user mode takes the interrupt and looks at its work bits
 * on the way back.  A thread that is about to run sets on_cpu, then a locked instruction follows, then it looks at its
 * bits; who sets a bit does so by a locked instruction and then looks at on_cpu: one of the two sees the other.
 *
 * Time.  The timer is not periodic.  A tick is asked for only while a thread runs: after its turn if others wait, else
 * rarely, to sample whether it is in user mode: 10 ms after it came, then at twice the distance each time that finds
 * what the one before did, up to 1 s.  An idle CPU has no tick.  tick_ns moves only when needed, so switching a
 * thousand times within a slice programs the timer once.  CPUs' clocks may differ a little: times are compared as
 * signed differences, and a negative run time counts as none.
 *
 * Who idles.  rq->idle has the CPU when nothing is runnable.  That is the CPU's executor whenever it sleeps for want of
 * ready tasks (sched_sleep_idling), so that waking a task on an idle CPU needs no switch: the thread that will poll it
 * is the one that halts.  As rq->idle it is asleep like any sleeper: in no queue, not counted in `runnable`, any thread
 * comes before it.  Whoever wakes it ends that under the lock: off the CPU it is queued, on it (the halt's interrupt,
 * or an IPI, follows) it becomes the running thread where it stands, with its policy and priority.  rq->spare_idle, the
 * flow of control the CPU was started with, takes its place meanwhile: while it polls, or waits for a lock in a poll.
 * Only a thread bound to its CPU may idle so: another CPU could otherwise want a thread whose stack is stood on; and
 * none that may die, or has page tables of its own, which would be kept alive.
 *
 * Interrupts off is what stops pre-emption and keeps the CPU; there is no other counter.  WORK_RESCHED on the running
 * thread asks for a switch at the next return to user mode or, from an interrupt, to kernel code that had interrupts
 * on; so that an interrupt comes, whoever sets it sees to the tick.
 *
 * Rejected: one queue for all CPUs (its lock); a lock per thread besides the queues' (each wake-up would take two);
 * stealing within the switch to idle (the lock order would force it to let go of its own queue; the idle thread does it
 * with nothing held, for two stack switches).
 */
#include "sched/sched.h"

#include <asm/errno.h>

#include <arch/cpu.h>
#include <arch/time.h>
#include "core/panic.h"
#include "core/trace.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include "mm/tlb.h"
#include "sched/queues.h"
#include "sync/lockdep.h"

static struct run_queue boot_queue = {.lock = SPINLOCK_INIT(LOCK_RUNQUEUE, "run queue"),
				      .group = &sched_root_group,
				      .tick_ns = UINT64_MAX,
				      .sample_ns = SAMPLE_MIN_NS};
struct run_queue *run_queues[CPUS_MAX] = {&boot_queue};
static struct thread boot_idle;

uint64_t sched_cpu_mask = 1, sched_idle_mask;
bool sched_many;

void (*sched_kick_cpu)(uint32_t cpu);

/* ---- asking a CPU for something ---- */

/*
 * How long a thread that is in the kernel may go on after it was asked to give up the CPU by itself, or by what it
 * woke: the way to user mode is short as a rule, a kernel thread has none.
 */
static always_inline uint64_t patience_ns(const struct thread *t)
{
	return t->user ? SLICE_NS : 500 * NSEC_PER_USEC;
}

void rq_resched(struct run_queue *rq, uint64_t now)
{
	__atomic_fetch_or(&rq->current->arch.work, WORK_RESCHED, __ATOMIC_ACQ_REL);
	if (rq->cpu == this_cpu()->id) {
		if (rq->current != rq->idle)
			rq_tick_by(rq, now + patience_ns(rq->current));
	} else if (!rq->kicked) {
		rq->kicked = true;
		rq->counters.kicks++;
		kick_later(rq->cpu);
	}
}

void rq_tick_by(struct run_queue *rq, uint64_t deadline_ns)
{
	if (likely(rq->tick_ns <= deadline_ns))
		return;
	rq->tick_ns = deadline_ns;
	if (rq->cpu == this_cpu()->id) {
		timer_alarm_by(deadline_ns);
	} else {
		rq->counters.kicks++;
		kick_later(rq->cpu);
	}
}

void kicks_send_all(void)
{
	struct run_queue *rq = my_queue();
	uint64_t kicks = rq->kicks;
	rq->kicks = 0;
	for (; kicks; kicks &= kicks - 1)
		cpu_kick((uint32_t)__builtin_ctzll(kicks));
}

void sched_send_kicks(void)
{
	kicks_send();
}

void sched_kicked(void)
{
	timer_alarm_by(READ_ONCE(my_queue()->tick_ns));
}

void thread_set_work(struct thread *t, uint32_t bits)
{
	__atomic_fetch_or(&t->arch.work, bits, __ATOMIC_SEQ_CST);
	if (bits & (WORK_SIGNAL | WORK_KILL) && READ_ONCE(t->state) == THREAD_SLEEPING)
		sched_wake(t, WAKE_SIGNAL);
	if (atomic_load_acquire(&t->on_cpu))
		cpu_kick(READ_ONCE(t->cpu));
}

void sched_kick_executor(uint32_t cpu)
{
	struct run_queue *rq = my_queue();
	/* In this order, see clear_resched(). */
	__atomic_fetch_or(&rq->executor_kicks, BIT(cpu), __ATOMIC_ACQ_REL);
	__atomic_fetch_or(&rq->current->arch.work, WORK_RESCHED, __ATOMIC_ACQ_REL);
	timer_alarm_by(time_ns() + patience_ns(rq->current));
}

/* Wakes the executors that somebody could not wake for the locks they held. Interrupts off, no lock held. */
static noinline void executors_wake(struct run_queue *rq)
{
	uint64_t kicks = atomic_exchange(&rq->executor_kicks, 0);
	for (; kicks; kicks &= kicks - 1)
		executor_wake((uint32_t)__builtin_ctzll(kicks));
}

/* ---- switching ---- */

static always_inline void finish_switch(void)
{
	struct run_queue *rq = my_queue();
	struct thread *prev = rq->previous;
	bool dead = prev->state == THREAD_DEAD;
	atomic_store_release(&prev->on_cpu, false); /* from here on prev may run elsewhere, and end */
	if (unlikely(dead))
		thread_reap(prev);
	if (unlikely(rq->misplaced)) {
		struct thread *t = rq->misplaced;
		rq->misplaced = NULL;
		balance_evict(t);
		thread_put(t);
	}
}

void sched_finish_switch(void)
{
	finish_switch();
}

/* prev, which ran until now and goes on later, back on the queue; not picked yet. */
static always_inline void put_back(struct run_queue *rq, struct thread *prev, bool preempted, uint64_t now)
{
	bool turn_over = prev->eff_policy == SCHED_RR && prev->exec_ns >= prev->vdeadline_ns;
	rq_enqueue(rq, prev, preempted && !turn_over, now);
}

static always_inline struct thread *choose_next(struct run_queue *rq, struct thread *prev, bool preempted, uint64_t now)
{
	if (unlikely(prev == rq->idle))
		return rq_pick(rq, now);
	if (!preempted && prev->state != THREAD_RUNNABLE) {
		rq_leave(rq, prev);
		if (unlikely(prev->woke_ns))
			wake_note_sleep(prev, now);
		rq->blocked += prev->state == THREAD_BLOCKED;
		if (unlikely(prev->idles)) {
			rq->idle = prev;
			rq->urgency = 0;
		}
		return rq_pick(rq, now);
	}
	if (unlikely(!(prev->affinity & BIT(rq->cpu)))) {
		struct thread *next = rq_pick(rq, now);
		put_back(rq, prev, preempted, now);
		thread_get(prev);
		rq->misplaced = prev;
		return next;
	}
	if (rq->runnable == 1 && !prev->special) {
		prev->switched_in_ns = now;
		return prev;
	}
	if (unlikely(sched_many) && preempted)
		balance_invite(prev->affinity);
	if (likely(!prev->special))
		return rq_exchange(rq, prev, now);
	put_back(rq, prev, preempted, now);
	return rq_pick(rq, now);
}

#if CONFIG_KTEST
void (*sched_test_hook)(void);
#endif

/*
 * prev gave way to next, which is rq->current.  Who asked for an executor since the look at the start (an NMI, or a
 * call from another CPU served while the lock was waited for) set the bit on prev: it must not go with prev's.
 */
static always_inline void clear_resched(const struct run_queue *rq, struct thread *prev, struct thread *next)
{
	thread_clear_work(prev, WORK_RESCHED); /* also the fence between next's on_cpu and its look at its work */
	if (unlikely(READ_ONCE(rq->executor_kicks)))
		__atomic_fetch_or(&next->arch.work, WORK_RESCHED, __ATOMIC_ACQ_REL);
}

/* Threads that wait for their next period, and not for an event, are the one thing an idle CPU needs its timer for. */
static always_inline void tick_while_idle(struct run_queue *rq, uint64_t now)
{
	if (unlikely(rq->dl_exhausted_first || rq->rt_throttled))
		rq_tick_by(rq, rq_tick_wanted(rq, now));
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

#if CONFIG_KTEST
	if (unlikely(sched_test_hook))
		sched_test_hook();
#endif
	rq_account(rq, prev, now);
	struct thread *next = choose_next(rq, prev, preempted, now);
	rq->kicked = false;
	if (next == prev) {
		clear_resched(rq, prev, next);
		if (prev != rq->idle) {
			rq_begin_turn(prev, now);
			rq_tick_by(rq, rq_tick_wanted(rq, now));
		} else {
			tick_while_idle(rq, now);
		}
		spin_release(&rq->lock);
		kicks_send();
		return;
	}
	if (preempted)
		prev->preemptions++;
	else
		prev->switches++;
	rq->counters.switches++;
	rq->current = next;
	rq->previous = prev;
	rq->urgency = next == rq->idle ? 0 : thread_urgency(next);
	next->on_cpu = true;
	clear_resched(rq, prev, next);
	if (likely(next != rq->idle)) {
		uint64_t waited = now - next->switched_in_ns;
		if (likely((int64_t)waited > 0)) {
			next->run_delay_ns += waited;
			rq->counters.run_delay_ns += waited;
		}
		rq_begin_turn(next, now);
		rq_tick_by(rq, rq_tick_wanted(rq, now));
	} else {
		tick_while_idle(rq, now);
	}
	next->switched_in_ns = now;
	if (unlikely(prev == rq->idle) && sched_many && atomic_load_relaxed(&sched_idle_mask) & BIT(rq->cpu))
		atomic_fetch_and(&sched_idle_mask, ~BIT(rq->cpu));
	spin_release(&rq->lock);
	kicks_send();

	if (next->mmu)
		mmu_switch(next->mmu);
	else
		mmu_switch_lazy();
	trace_event_thread(TRACE_SWITCH, next, preempted ? THREAD_RUNNABLE : prev->state);
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
	struct run_queue *rq = my_queue();
	struct thread *t = rq->current;

	/*
	 * Under the lock: a waker that found t asleep, which it may have been a moment ago, is about to write RUNNABLE
	 * there, and may be held up for as long as its host likes. And who changes parameters must find t as it was, or
	 * dead.
	 */
	spin_acquire(&rq->lock);
	if (t->dl.runtime_ns)
		sched_dl_forget_locked(t);
	t->state = THREAD_DEAD;
	spin_release(&rq->lock);
	switch_away(false);
}

void sched_preempt(void)
{
	ASSERT(!irq_enabled() && !this_cpu()->irq_depth);
	if (thread_has_work(thread_current(), WORK_RESCHED))
		switch_away(true);
}

/* Gives up what is left of the request, and the credit: runs when all others have come as far. */
static void yield_fair(struct run_queue *rq, struct thread *t, uint64_t now)
{
	struct fair_queue *q = &rq->fair;
	rq_account(rq, t, now);
	if (!q->load)
		return;
	uint64_t after = q->base + (uint64_t)(q->sum / (int64_t)q->load) + 1;
	if (time_before(t->vruntime_ns, after))
		t->vruntime_ns = after;
	t->vdeadline_ns = t->vserved_ns = t->vruntime_ns + t->vslice_ns;
}

void sched_yield(void)
{
	irqflags_t f = irq_save();
	struct run_queue *rq = my_queue();
	struct thread *t = rq->current;
	if (READ_ONCE(rq->runnable) > 1 || t->special || thread_has_work(t, WORK_RESCHED)) {
		spin_acquire(&rq->lock);
		if (!t->special)
			yield_fair(rq, t, time_ns());
		else if (t->eff_policy == SCHED_DEADLINE)
			t->dl.budget_ns = MIN(t->dl.budget_ns, 0);
		spin_release(&rq->lock);
		switch_away(false);
	}
	irq_restore(f);
}

/* ---- the tick ---- */

/* How long until the running thread's mode is sampled again. */
static void sample(struct run_queue *rq, const struct thread *cur)
{
	rq->sample_ns = rq->sampled_user == cur->in_user ? MIN(rq->sample_ns * 2, SAMPLE_MAX_NS) : SAMPLE_MIN_NS;
	rq->sampled_user = cur->in_user;
}

/* Nobody waits for the end of cur's turn: it gets another. */
static void turn_again(struct thread *cur, uint64_t now)
{
	if (cur->eff_policy == SCHED_RR && cur->exec_ns >= cur->vdeadline_ns)
		cur->vdeadline_ns = cur->exec_ns + SLICE_RR_NS;
	rq_begin_turn(cur, now);
}

uint64_t sched_tick(uint64_t now)
{
	struct run_queue *rq = my_queue();
	if (READ_ONCE(rq->tick_ns) > now)
		return rq->tick_ns;
	irqflags_t f = spin_lock(&rq->lock);
	struct thread *cur = rq->current;
	rq_account(rq, cur, now);
	if (unlikely(rq->rt_throttled))
		(void)rq_rt_period(rq, now);
	if (unlikely(rq->dl_exhausted_first))
		(void)rq_dl_refill(rq, now);
	if (rq_turn_is_over(rq, now) || (rq->runnable > 1 && sched_seeded)) {
		rq->tick_ns = now + SLICE_NS; /* should the switch have to wait */
		rq_resched(rq, now);
	} else {
		if (cur != rq->idle) {
			sample(rq, cur);
			if (cur->special && now >= cur->slice_end_ns)
				turn_again(cur, now);
		}
		rq->tick_ns = rq_tick_wanted(rq, now);
	}
	spin_unlock(&rq->lock, f);
	balance_tick(rq, now);
	load_update(now);
	return READ_ONCE(rq->tick_ns);
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

/* ---- start ---- */

static struct lockdep_stack *current_locks(void)
{
	struct thread *t = thread_current();
	return t ? &t->locks : NULL;
}

static void adopt_idle(struct run_queue *rq, void *stack_top)
{
	rq->idle->switched_in_ns = time_ns();
	rq->idle->on_cpu = true;
	context_adopt(&rq->idle->arch, stack_top, rq->idle);
}

void sched_init(void)
{
	struct run_queue *rq = &boot_queue;
	thread_setup_idle(&boot_idle, 0);
	boot_idle.stack = idle_stack;
	rq->idle = rq->spare_idle = rq->current = &boot_idle;
	adopt_idle(rq, idle_stack_top);
	if (CONFIG_DEBUG)
		lockdep_current = current_locks;
}

int sched_cpu_prepare(unsigned cpu)
{
	if (run_queues[cpu])
		return 0;
	struct run_queue *rq = kzalloc(sizeof(*rq));
	struct thread *idle = kzalloc(sizeof(*idle));
	void *stack = kstack_alloc();
	if (!rq || !idle || !stack || timer_cpu_prepare(cpu) != 0)
		goto err_free;
	thread_setup_idle(idle, cpu);
	idle->stack = stack;
	spin_init(&rq->lock, LOCK_RUNQUEUE, "run queue");
	rq->cpu = cpu;
	rq->tick_ns = UINT64_MAX;
	rq->sample_ns = SAMPLE_MIN_NS;
	rq->group = &sched_root_group;
	rq->idle = rq->spare_idle = rq->current = idle;
	atomic_store_release(&run_queues[cpu], rq);
	return 0;

err_free:
	if (stack)
		kstack_free(stack);
	kfree(idle);
	kfree(rq);
	return -ENOMEM;
}

void *sched_cpu_stack_top(unsigned cpu)
{
	return (char *)run_queues[cpu]->spare_idle->stack + KSTACK_SIZE;
}

void sched_cpu_start(void)
{
	uint32_t cpu = this_cpu()->id;
	adopt_idle(run_queues[cpu], sched_cpu_stack_top(cpu));
	WRITE_ONCE(sched_many, true);
	atomic_fetch_or(&sched_cpu_mask, BIT(cpu));
}

uint64_t sched_cpus(void)
{
	return atomic_load_acquire(&sched_cpu_mask);
}

/* Interrupts off. Says that this CPU is idle, and looks for work elsewhere. True: there is some. */
static noinline bool idle_look(struct run_queue *rq)
{
	if (!(atomic_load_relaxed(&sched_idle_mask) & BIT(rq->cpu)))
		atomic_fetch_or(&sched_idle_mask, BIT(rq->cpu)); /* before the look: who comes later sees the bit */
	return balance_steal(rq);
}

/* The caller idles: does what it is asked for, or waits for an interrupt. Interrupts off on entry and return. */
static always_inline void idle_once(struct run_queue *rq)
{
	if (CONFIG_DEBUG)
		ASSERT(!rq->kicks);
	if (thread_has_work(thread_current(), WORK_RESCHED)) {
		sched_preempt();
	} else if (!READ_ONCE(sched_many) || !idle_look(rq)) {
		/* STI's shadow: between the caller's and this look and the halt fits no interrupt, so no wake-up. */
		cpu_idle_wait();
		irq_disable();
	}
}

void sched_sleep_idling(void)
{
	struct thread *self = thread_current();
	if (CONFIG_DEBUG)
		lockdep_may_sleep();
	irqflags_t f = irq_save();
	self->idles = true;
	switch_away(false);
	while (READ_ONCE(self->state) != THREAD_RUNNABLE)
		idle_once(my_queue());
	self->idles = false;
	irq_restore(f);
}

noreturn void sched_idle_loop(void)
{
	struct run_queue *rq = my_queue(); /* an idle thread stays with its CPU */
	lockdep_boot_done();
	irq_disable();
	for (;;)
		idle_once(rq);
}
