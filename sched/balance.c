/*
 * Work and CPUs brought together after a thread has been placed.
 *
 * An idle CPU, before it halts, takes a waiting thread from the CPU that has most of them (balance_steal).  While it
 * halts it sees nothing, so a CPU that puts a running thread back on its queue, or that finds itself with others
 * waiting when its tick comes, invites one idle CPU to look (balance_invite).
 *
 * CPUs that are all busy are compared by the sum of their threads' shares (group.c), by a busy one, in its tick, every
 * BALANCE_NS: it gives a thread away if the difference gets smaller by that.  If a thread would only carry the
 * difference over (three equal ones on two CPUs), that is done too, but more rarely: so over a second or so each gets
 * its share of the machine and not of its CPU.  The giver chooses who has moved least often.  A CPU whose only thread
 * runs alone takes no part in this and needs no tick for it.
 *
 * How far to look for a thread that may go is bounded (LOOK_MAX): with very many pinned threads in front a CPU may stay
 * idle that could have done something.
 *
 * Real-time threads are placed by urgency when they wake (wake.c); one that waits is stolen before all others by a CPU
 * that becomes idle.
 */
#include "core/panic.h"
#include "sched/queues.h"
#include "sched/sched.h"
#include "sync/smp_call.h"

#define BALANCE_NS (32 * NSEC_PER_MSEC)
#define ROUNDS_TO_TURN 4 /* rounds of the balancer until it carries a difference over */
#define LOOK_MAX 16
#define STEAL_TRIES 4

void rq_move(struct run_queue *from, struct run_queue *to, struct thread *t)
{
	uint64_t now = time_ns();
	struct fair_request r = {0};

	rq_account(from, from->current, now);
	rq_account(to, to->current, now);
	if (!t->special)
		r = rq_request(from, t);
	rq_dequeue(from, t);
	rq_discount(from, t);
	if (time_before(t->switched_in_ns, now))
		t->run_delay_ns += now - t->switched_in_ns;

	WRITE_ONCE(t->cpu, to->cpu);
	t->migrations++;
	to->counters.migrations++;
	rq_count(to, t, now);
	if (!t->special)
		rq_place(to, t, r);
	rq_enqueue(to, t, false, now);
	rq_arrived(to, t, now);
}

/* ---- stealing ---- */

static bool may_go(const struct thread *t, uint32_t cpu)
{
	return t->affinity & BIT(cpu) && !atomic_load_acquire(&t->on_cpu);
}

static struct thread *special_for(struct run_queue *rq, uint32_t cpu)
{
	if (rq->dl_first && may_go(rq->dl_first, cpu))
		return rq->dl_first;
	unsigned looked = 0;
	for (unsigned w = 2; w-- > 0;) {
		for (uint64_t m = rq->rt_present[w]; m;) {
			unsigned bit = 63 - (unsigned)__builtin_clzll(m);
			struct thread *t;
			m &= ~BIT(bit);
			LIST_FOR_EACH(t, &rq->rt[w * 64 + bit], rt_node) {
				if (may_go(t, cpu))
					return t;
				if (++looked == LOOK_MAX)
					return NULL;
			}
		}
	}
	return NULL;
}

/* The most urgent waiting thread that may run on cpu. */
static struct thread *thread_for(struct run_queue *rq, uint32_t cpu)
{
	struct thread *t = rq->special ? special_for(rq, cpu) : NULL;
	if (t)
		return t;
	if (rq->fair.single && may_go(rq->fair.single, cpu))
		return rq->fair.single;
	unsigned looked = 0;
	for (struct rb_node *n = rb_first(&rq->fair.tree); n && looked++ < LOOK_MAX; n = rb_next(n))
		if (may_go(RB_ENTRY(n, struct thread, run_node), cpu))
			return RB_ENTRY(n, struct thread, run_node);
	return NULL;
}

/* The CPU of `among` with most threads waiting; NULL: nobody waits. */
static struct run_queue *busiest(uint64_t among)
{
	struct run_queue *best = NULL;
	uint32_t most = 1;
	for (; among; among &= among - 1) {
		struct run_queue *rq = run_queues[__builtin_ctzll(among)];
		uint32_t n = READ_ONCE(rq->runnable);
		if (n > most) {
			most = n;
			best = rq;
		}
	}
	return best;
}

bool balance_steal(struct run_queue *rq)
{
	uint64_t among = atomic_load_relaxed(&sched_cpu_mask) & ~BIT(rq->cpu);
	for (unsigned tries = 0; tries < STEAL_TRIES; tries++) {
		struct run_queue *victim = busiest(among);
		if (likely(!victim))
			return false;
		queues_lock(rq, victim);
		struct thread *t = victim->runnable > 1 ? thread_for(victim, rq->cpu) : NULL;
		if (t) {
			rq_move(victim, rq, t);
			rq->counters.steals++;
		}
		bool got = rq->runnable != 0;
		queues_unlock(rq, victim);
		if (got)
			return true;
		among &= ~BIT(victim->cpu);
	}
	return false;
}

void balance_invite(uint64_t allowed)
{
	uint64_t idle = atomic_load_relaxed(&sched_idle_mask) & allowed;
	if (!idle)
		return;
	uint32_t cpu = (uint32_t)__builtin_ctzll(idle);
	if (atomic_fetch_and(&sched_idle_mask, ~BIT(cpu)) & BIT(cpu)) /* it sets it again when it has looked */
		kick_later(cpu);
}

/* ---- busy CPUs ---- */

/* How much more belongs to one CPU than to another, and whether to move what only turns that round. */
struct imbalance {
	uint64_t pull;
	uint64_t plain_load; /* group_plain_load() of the first */
	bool carry_over;
};

static uint64_t pull_update(struct run_queue *rq)
{
	uint64_t load = group_plain_load(rq);
	WRITE_ONCE(rq->pull, group_pull(rq, load));
	return load;
}

static struct run_queue *lightest(uint64_t among)
{
	struct run_queue *best = NULL;
	uint64_t least = 0;
	for (; among; among &= among - 1) {
		struct run_queue *rq = run_queues[__builtin_ctzll(among)];
		uint64_t pull = READ_ONCE(rq->runnable) ? READ_ONCE(rq->pull) : 0;
		if (!best || pull < least) {
			best = rq;
			least = pull;
		}
	}
	return best;
}

/* Parts are rounded: what would make no difference may look as if it made one, so a sixteenth is none. */
static struct thread *better_gift(struct thread *best, struct thread *t, const struct run_queue *to,
				  const struct imbalance *i)
{
	uint64_t part = group_part(t, i->plain_load);
	if ((i->carry_over ? part - part / 16 : part + part / 16) > i->pull || !may_go(t, to->cpu))
		return best;
	return !best || t->migrations < best->migrations ? t : best;
}

/* A fair thread whose move to `to` makes the difference smaller, or carries it over. */
static struct thread *gift(struct run_queue *rq, const struct run_queue *to, const struct imbalance *i)
{
	struct thread *best = rq->fair.single ? better_gift(NULL, rq->fair.single, to, i) : NULL;
	unsigned looked = 0;
	for (struct rb_node *n = rb_last(&rq->fair.tree); n && looked++ < LOOK_MAX; n = rb_prev(n))
		best = better_gift(best, RB_ENTRY(n, struct thread, run_node), to, i);
	return best;
}

void balance_tick(struct run_queue *rq, uint64_t now)
{
	if (likely(!sched_many) || now < rq->balance_ns)
		return;
	rq->balance_ns = now + BALANCE_NS;
	spin_acquire(&rq->lock);
	(void)pull_update(rq);
	bool alone = rq->runnable < 2;
	spin_release(&rq->lock);
	if (alone)
		return;
	rq->counters.balance_runs++;
	rq->balance_round++;
	balance_invite(~BIT(rq->cpu));

	struct run_queue *to = lightest(atomic_load_relaxed(&sched_cpu_mask) & ~BIT(rq->cpu));
	if (!to || READ_ONCE(to->runnable) == 0) { /* that one is idle, and has been invited */
		kicks_send();
		return;
	}
	queues_lock(rq, to);
	uint64_t load = pull_update(rq);
	(void)pull_update(to);
	if (rq->pull > to->pull) {
		struct imbalance i = {rq->pull - to->pull, load, rq->balance_round % ROUNDS_TO_TURN == 0};
		struct thread *t = gift(rq, to, &i);
		if (t) {
			rq_move(rq, to, t);
			rq->counters.pushes++;
			(void)pull_update(rq);
			(void)pull_update(to);
		}
	}
	queues_unlock(rq, to);
}

uint32_t balance_least_loaded(uint64_t allowed, uint32_t hint)
{
	uint32_t best = allowed & BIT(hint) ? hint : (uint32_t)__builtin_ctzll(allowed);
	uint32_t least = READ_ONCE(run_queues[best]->runnable);
	for (; allowed && least; allowed &= allowed - 1) {
		uint32_t cpu = (uint32_t)__builtin_ctzll(allowed), n = READ_ONCE(run_queues[cpu]->runnable);
		if (n < least) {
			least = n;
			best = cpu;
		}
	}
	return best;
}

/* ---- affinity ---- */

#if CONFIG_KTEST
void (*sched_evict_hook)(struct thread *t);
#endif

void balance_evict(struct thread *t)
{
#if CONFIG_KTEST
	if (unlikely(sched_evict_hook))
		sched_evict_hook(t);
#endif
	for (;;) {
		irqflags_t f;
		struct run_queue *rq = queue_lock(t, &f);
		uint64_t allowed = t->affinity & atomic_load_relaxed(&sched_cpu_mask);
		bool wrong = !(allowed & BIT(rq->cpu)), must = wrong && t->queued;
		if (wrong && rq->current == t) /* it came to run meanwhile: the switch away from it moves it */
			rq_resched(rq, time_ns());
		if (!wrong && t->queued) { /* it may stay after all, and who runs does not know that it is there */
			uint64_t now = time_ns();
			rq_account(rq, rq->current, now);
			if (rq_should_preempt(rq, t))
				rq_resched(rq, now);
		}
		queue_unlock(rq, f);
		if (!must)
			return;
		if (atomic_load_acquire(&t->on_cpu)) { /* it is being switched away from, or somebody took it */
			smp_relax();
			continue;
		}
		struct run_queue *to = run_queues[balance_least_loaded(allowed, this_cpu()->id)];
		queues_lock(rq, to);
		bool moves = t->queued && t->cpu == rq->cpu && !atomic_load_acquire(&t->on_cpu) &&
			!(t->affinity & BIT(rq->cpu)) && t->affinity & BIT(to->cpu);
		if (moves)
			rq_move(rq, to, t);
		queues_unlock(rq, to);
		if (moves)
			return;
	}
}
