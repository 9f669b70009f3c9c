/*
 * Making threads runnable, and where.
 *
 * Placement.  A woken thread goes to the CPU it was on if that is idle, else to another idle one it may use, else to
 * that of the two, its own and the waker's, which has less to do.  "Idle" is a bit in sched_idle_mask, which the idle
 * loop sets and whoever places a thread there clears, so that two wakers choose different CPUs.  The mask is a hint: a
 * wrong bit costs a detour through the balancer.
 *
 * Unless the waker is about to sleep itself: then the woken thread may have its CPU, which is cheaper than to interrupt
 * another one, and takes no parallelism away.  wait queues may say so (WAKE_SYNC).  Otherwise it is guessed from what
 * the waker did before: if PINGS_SURE times in a row it woke exactly one thread and slept within PING_NS, as who sends
 * a request and waits for the answer does, it will this time.
 *
 * A thread that is still being switched away from (on_cpu) stays with its CPU: only that one can run it without waiting
 * for its registers.  If it has to wait there, others take it from there as they take any (balance.c).
 *
 * Going to another CPU takes both queues' locks one after the other: under the old one the state becomes RUNNABLE and
 * t->cpu the new CPU.  In between the thread is nowhere, and nobody takes notice of it: it does not run, so its state
 * stays RUNNABLE and later wakers leave it alone; a change of its parameters finds it off all queues.  Its affinity may
 * change meanwhile, so that is looked at again.
 */
#include "core/panic.h"
#include "core/trace.h"
#include "sched/queues.h"
#include "sched/sched.h"
#include "sync/smp_call.h"

void rq_arrived(struct run_queue *rq, struct thread *t, uint64_t now)
{
	struct thread *cur = rq->current;
	bool preempt = rq_should_preempt(rq, t);
	if (unlikely(sched_seeded) && cur != rq->idle && !cur->special && !t->special)
		preempt = preempt != sched_seed_chance(4);
	if (preempt) {
		rq_resched(rq, now);
	} else {
		if (!cur->special && rq->runnable == 2) /* it was alone, when the end of its turn did not matter */
			rq_begin_turn(cur, now);
		rq_tick_by(rq, rq_tick_wanted(rq, now));
	}
}

void rq_activate(struct run_queue *rq, struct thread *t, struct fair_request r, uint64_t now)
{
	rq_account(rq, rq->current, now);
	if (likely(!t->special)) {
		rq_join(rq, t, &r, now);
	} else {
		rq_count(rq, t, now);
		if (t->eff_policy == SCHED_DEADLINE)
			dl_wake(t, now);
		else if (unlikely(rq->rt_throttled))
			(void)rq_rt_period(rq, now);
	}
	rq->counters.wakeups++;
	rq_enqueue(rq, t, false, now);
	rq_arrived(rq, t, now);
}

/* ---- where ---- */

#define PING_NS (50 * NSEC_PER_USEC)
#define PINGS_SURE 4

/* Whether the running thread, which wakes another now, is expected to sleep next. Interrupts off. */
static bool waker_will_sleep(uint64_t now)
{
	struct thread *t = thread_current();
	if (this_cpu()->irq_depth || t == my_queue()->idle)
		return false;
	if (t->woke_ns) /* the second one since it slept */
		t->pings = 0;
	t->woke_ns = now;
	return t->pings >= PINGS_SURE;
}

void wake_note_sleep(struct thread *t, uint64_t now)
{
	t->pings = now - t->woke_ns < PING_NS ? MIN(t->pings + 1, PINGS_SURE) : 0;
	t->woke_ns = 0;
}

/* The idle CPU of `allowed` next after `from`, chosen so that nobody else chooses it; -1: there is none. */
static int claim_idle(uint64_t allowed, uint32_t from)
{
	for (;;) {
		uint64_t idle = atomic_load_relaxed(&sched_idle_mask) & allowed;
		if (!idle)
			return -1;
		uint64_t after = idle & ~(BIT(from) | (BIT(from) - 1));
		uint32_t cpu = (uint32_t)__builtin_ctzll(idle & BIT(from) ? BIT(from) : after ? after : idle);
		if (atomic_fetch_and(&sched_idle_mask, ~BIT(cpu)) & BIT(cpu))
			return (int)cpu;
	}
}

/* The CPU of `allowed` that runs what is least urgent, if t is more urgent; `own` if it is as good; -1: none. */
static int least_urgent(const struct thread *t, uint64_t allowed, uint32_t own)
{
	int best = -1;
	unsigned best_urgency = thread_urgency(t);
	if (allowed & BIT(own) && READ_ONCE(run_queues[own]->urgency) < best_urgency)
		return (int)own;
	for (uint64_t m = allowed; m; m &= m - 1) {
		unsigned cpu = (unsigned)__builtin_ctzll(m), u = READ_ONCE(run_queues[cpu]->urgency);
		if (u < best_urgency) {
			best_urgency = u;
			best = (int)cpu;
		}
	}
	return best;
}

static noinline uint32_t choose_cpu(const struct thread *t, bool sync)
{
	uint32_t own = t->cpu, here = this_cpu()->id;
	uint64_t allowed = t->affinity & atomic_load_relaxed(&sched_cpu_mask);
	bool own_allowed = allowed & BIT(own);

	if (likely(!(allowed & (allowed - 1))))
		return (uint32_t)__builtin_ctzll(allowed);
	if (sched_seed_chance(4)) {
		uint64_t from = allowed & ~(BIT(sched_seed_draw(64)) - 1);
		return (uint32_t)__builtin_ctzll(from ? from : allowed);
	}
	if (sync && allowed & BIT(here) && READ_ONCE(run_queues[here]->runnable) <= 1)
		return here;
	int idle = claim_idle(allowed, own_allowed ? own : here);
	if (idle >= 0)
		return (uint32_t)idle;
	if (unlikely(t->special)) {
		int cpu = least_urgent(t, allowed, own);
		if (cpu >= 0)
			return (uint32_t)cpu;
	}
	if (!own_allowed)
		return balance_least_loaded(allowed, here);
	if (own != here && allowed & BIT(here) &&
	    READ_ONCE(run_queues[here]->runnable) < READ_ONCE(run_queues[own]->runnable))
		return here;
	return own;
}

/*
 * t, asleep until now and marked RUNNABLE, belongs to rq, which is locked: the locked queue it is to go to. Interrupts
 * off.
 */
static noinline struct run_queue *place(struct run_queue *rq, struct thread *t, bool sync)
{
	if (atomic_load_acquire(&t->on_cpu)) {
		if (likely(t->affinity & BIT(rq->cpu)))
			return rq;
		while (atomic_load_acquire(&t->on_cpu)) /* until its CPU, which needs no lock for that, has left it */
			smp_relax();
	}
	uint32_t cpu = choose_cpu(t, sync);
	while (cpu != rq->cpu) {
		WRITE_ONCE(t->cpu, cpu);
		t->migrations++;
		spin_release(&rq->lock);
		rq = run_queues[cpu];
		spin_acquire(&rq->lock);
		rq->counters.migrations++;
		if (likely(t->affinity & BIT(cpu)))
			break;
		if (rq->current == rq->idle) /* claimed in vain */
			atomic_fetch_or(&sched_idle_mask, BIT(cpu));
		cpu = choose_cpu(t, sync);
	}
	rq->counters.wakeups_remote += rq->cpu != this_cpu()->id;
	return rq;
}

/*
 * t, just made RUNNABLE, is the thread that halts this CPU: it becomes the running one where it stands. No switch
 * follows, so the interrupt sent is none that rq->kicked could stand for. rq->lock held.
 */
static noinline void wake_idling(struct run_queue *rq, struct thread *t)
{
	uint64_t now = time_ns();
	rq_account(rq, t, now);
	rq->idle = rq->spare_idle;
	rq_count(rq, t, now);
	rq->urgency = thread_urgency(t);
	rq->counters.wakeups++;
	rq_begin_turn(t, now);
	rq_tick_by(rq, rq_tick_wanted(rq, now));
	if (sched_many && atomic_load_relaxed(&sched_idle_mask) & BIT(rq->cpu))
		atomic_fetch_and(&sched_idle_mask, ~BIT(rq->cpu));
	if (rq->cpu != this_cpu()->id) {
		rq->counters.wakeups_remote++;
		rq->counters.kicks++;
		kick_later(rq->cpu);
	}
}

bool sched_wake(struct thread *t, uint32_t state_mask)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	uint32_t was = t->state;
	bool woke = BIT(was) & state_mask & ~(WAKE_SYNC | WAKE_KICK_LATER);
	if (woke) {
		trace_event_thread(TRACE_WAKE, t, was);
		t->state = THREAD_RUNNABLE;
		if (likely(!t->queued && rq->current != t)) {
			if (was == THREAD_BLOCKED)
				rq->blocked--;
			if (unlikely(t == rq->idle)) /* it slept as the idle thread, and another runs */
				rq->idle = rq->spare_idle;
			uint64_t now = time_ns();
			int64_t lag_ns = t->lag_ns;
			if (lag_ns < 0) {
				rq_account(rq, rq->current, now);
				lag_ns = rq_lag(rq, t);
			}
			if (sched_many)
				rq = place(rq, t, waker_will_sleep(now) || state_mask & WAKE_SYNC);
			rq_activate(rq, t, woken_request(t, lag_ns), now);
		} else if (t == rq->idle) {
			wake_idling(rq, t);
		}
	}
	spin_release(&rq->lock);
	if (!(state_mask & WAKE_KICK_LATER))
		kicks_send();
	irq_restore(f);
	return woke;
}

/* t may be known to others already, who change its parameters: so it goes to its CPU as a woken thread does (place). */
void sched_start_new(struct thread *t)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	uint32_t here = this_cpu()->id;
	uint64_t allowed = t->affinity & atomic_load_relaxed(&sched_cpu_mask);
	int idle = sched_many ? claim_idle(allowed, here) : -1;
	uint32_t cpu = idle >= 0 ? (uint32_t)idle : sched_many ? balance_least_loaded(allowed, here) : here;

	while (cpu != rq->cpu) {
		WRITE_ONCE(t->cpu, cpu);
		spin_release(&rq->lock);
		rq = run_queues[cpu];
		spin_acquire(&rq->lock);
		if (likely(t->affinity & BIT(cpu)))
			break;
		/* changed meanwhile, and that CPU claimed in vain */
		if (rq->current == rq->idle)
			atomic_fetch_or(&sched_idle_mask, BIT(cpu));
		cpu = balance_least_loaded(t->affinity & atomic_load_relaxed(&sched_cpu_mask), here);
	}
	trace_event_thread(TRACE_WAKE, t, THREAD_RUNNABLE);
	rq_activate(rq, t, (struct fair_request){.length_ns = t->vslice_ns}, time_ns());
	queue_unlock(rq, f);
}
