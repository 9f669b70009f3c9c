/*
 * Parameters of threads: policy, nice value, slice, deadline parameters, affinity, and the boost of priority
 * inheritance.
 *
 * A change takes the thread out of whatever it is in (change_begin), alters the fields, derives the effective ones
 * (thread_set_effective), and puts it back with the lag it had, in real time (change_end); nobody gains or loses time
 * by it.  All under the lock of the thread's queue.
 */
#include <asm/errno.h>

#include "core/panic.h"
#include "sched/group.h"
#include "sched/queues.h"
#include "sched/sched.h"

struct change {
	struct run_queue *rq;
	irqflags_t flags;
	uint64_t now;
	bool queued, running, was_fair, was_deadline;
	uint32_t weight;	     /* as it was */
	struct fair_request request; /* what was left of it, if it was fair */
};

static void change_begin(struct thread *t, struct change *c)
{
	struct run_queue *rq = c->rq = queue_lock(t, &c->flags);
	c->now = time_ns();
	c->queued = t->queued;
	c->running = rq->current == t && t != rq->idle;
	c->was_fair = !t->special;
	c->was_deadline = t->policy == SCHED_DEADLINE;
	c->weight = t->weight;
	c->request = (struct fair_request){0};
	if (!c->queued && !c->running)
		return;
	rq_account(rq, rq->current, c->now);
	if (c->was_fair)
		c->request = rq_request(rq, t);
	if (c->queued)
		rq_dequeue(rq, t);
	rq_discount(rq, t);
}

/* t runs and is fair: its lag is to be from the mean of the others. */
static void place_running(struct run_queue *rq, struct thread *t, const struct change *c)
{
	const struct fair_queue *q = &rq->fair;
	struct fair_request r = t->rate_of ? group_request_from_own(t, c->request) : c->request;
	int64_t lag_ns = r.lag_ns;
	if (q->load)
		t->vruntime_ns = q->base + (uint64_t)(q->sum / (int64_t)q->load) -
			(uint64_t)(lag_ns + lag_ns * (int64_t)t->share / (int64_t)q->load);
	else if (!c->was_fair)
		t->vruntime_ns = q->base;
	t->vserved_ns = t->vruntime_ns + r.length_ns;
	t->vdeadline_ns = t->vserved_ns - r.head_start_ns;
}

/* One that has been DEADLINE before goes on with its period. */
static void begin_deadline(struct thread *t, const struct change *c)
{
	if (t->eff_policy == SCHED_DEADLINE && !c->was_deadline)
		dl_wake(t, c->now);
}

static void put_back_queued(struct run_queue *rq, struct thread *t, const struct change *c)
{
	uint64_t since = t->switched_in_ns;
	if (!t->special)
		rq_place(rq, t, c->request);
	else
		begin_deadline(t, c);
	rq_enqueue(rq, t, false, c->now);
	t->switched_in_ns = since; /* it waits since then */
	rq_arrived(rq, t, c->now);
}

static void go_on_running(struct run_queue *rq, struct thread *t, const struct change *c)
{
	if (!t->special)
		place_running(rq, t, c);
	else if (t->eff_policy == SCHED_DEADLINE)
		begin_deadline(t, c);
	else
		t->vdeadline_ns = t->exec_ns + SLICE_RR_NS;
	rq->urgency = thread_urgency(t);
	rq_begin_turn(t, c->now);
	if (rq->runnable > 1) /* somebody may now be ahead of it */
		rq_resched(rq, c->now);
	else
		rq_tick_by(rq, rq_tick_wanted(rq, c->now));
}

static void change_end(struct thread *t, struct change *c)
{
	struct run_queue *rq = c->rq;
	thread_set_effective(t);
	struct fair_request *r = &c->request;
	if (!c->was_fair)
		r->length_ns = t->vslice_ns;
	if (t->weight != c->weight && c->was_fair) {
		r->lag_ns = r->lag_ns * (int64_t)c->weight / (int64_t)t->weight;
		r->length_ns = r->length_ns * c->weight / t->weight;
	}
	r->length_ns = MIN(r->length_ns, t->vslice_ns);
	if (c->queued || c->running)
		rq_count(rq, t, c->now);
	if (c->queued)
		put_back_queued(rq, t, c);
	else if (c->running)
		go_on_running(rq, t, c);
	else if (c->was_fair != !t->special)
		t->lag_ns = 0;
	queue_unlock(rq, c->flags);
}

/* ---- policy ---- */

#define DL_RUNTIME_MIN_NS 1024ull /* as Linux has it: shorter ones are within the clock's error */

static int deadline_check(const struct sched_params *p, struct sched_dl *dl)
{
	uint64_t period = p->period_ns ? p->period_ns : p->deadline_ns;
	if (p->runtime_ns < DL_RUNTIME_MIN_NS || p->runtime_ns > p->deadline_ns || p->deadline_ns > period ||
	    period > INT64_MAX)
		return -EINVAL;
	*dl = (struct sched_dl){.runtime_ns = p->runtime_ns, .deadline_ns = p->deadline_ns, .period_ns = period};
	return 0;
}

static int params_check(const struct sched_params *p, struct sched_dl *dl)
{
	*dl = (struct sched_dl){0};
	switch (p->policy) {
	case SCHED_FIFO:
	case SCHED_RR:
		return p->rt_priority >= 1 && p->rt_priority < RT_PRIORITIES ? 0 : -EINVAL;
	case SCHED_NORMAL:
	case SCHED_BATCH:
	case SCHED_IDLE:
		return p->rt_priority == 0 ? 0 : -EINVAL;
	case SCHED_DEADLINE:
		return p->rt_priority == 0 ? deadline_check(p, dl) : -EINVAL;
	default:
		return -EINVAL;
	}
}

static unsigned count(uint64_t cpu_mask)
{
	unsigned n = 0;
	for (; cpu_mask; cpu_mask &= cpu_mask - 1)
		n++;
	return n;
}

int sched_set_params(struct thread *t, const struct sched_params *p)
{
	struct sched_dl dl;
	struct change c;
	int err = params_check(p, &dl);
	if (err)
		return err;
	uint64_t there = atomic_load_relaxed(&sched_cpu_mask);
	change_begin(t, &c);
	if (t->state == THREAD_DEAD)
		err = -ESRCH; /* what it had admitted has been given back */
	else if (p->policy == SCHED_DEADLINE && (t->affinity & there) != there)
		err = -EPERM;
	else
		err = dl_admit(&t->dl, &dl, count(there));
	if (!err) {
		t->policy = p->policy;
		t->rt_priority = p->rt_priority;
		t->reset_on_fork = p->reset_on_fork;
		dl_keep_period(&dl, &t->dl);
		t->dl = dl;
		if (p->policy == SCHED_NORMAL || p->policy == SCHED_BATCH) {
			t->nice = MAX(MIN(p->nice, 19), -20);
			t->slice_ns = p->slice_ns ? (uint32_t)MIN(MAX(p->slice_ns, SLICE_MIN_NS), SLICE_MAX_NS)
						  : (uint32_t)SLICE_NS;
		}
	}
	change_end(t, &c);
	if (!err)
		pi_priority_changed(t); /* what it waits for has another order now, and its owner another boost */
	return err;
}

void sched_get_params(struct thread *t, struct sched_params *out)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	*out = (struct sched_params){.policy = t->policy,
				     .rt_priority = t->rt_priority,
				     .nice = t->nice,
				     .reset_on_fork = t->reset_on_fork,
				     .slice_ns = t->slice_ns,
				     .runtime_ns = t->dl.runtime_ns,
				     .deadline_ns = t->dl.deadline_ns,
				     .period_ns = t->dl.period_ns};
	spin_unlock(&rq->lock, f);
}

int sched_set_policy(struct thread *t, int policy, int rt_priority)
{
	struct sched_params p;
	if (policy < 0 || policy > (int)UINT8_MAX || policy == SCHED_DEADLINE || rt_priority < 0 ||
	    rt_priority >= RT_PRIORITIES)
		return -EINVAL;
	sched_get_params(t, &p);
	p.policy = (uint8_t)policy;
	p.rt_priority = (uint8_t)rt_priority;
	return sched_set_params(t, &p);
}

void sched_set_nice(struct thread *t, int nice)
{
	struct change c;
	change_begin(t, &c);
	t->nice = (int8_t)MAX(MIN(nice, 19), -20);
	change_end(t, &c);
}

uint64_t sched_slice_ns(const struct thread *t)
{
	return t->policy == SCHED_FIFO ? 0 : t->policy == SCHED_RR ? SLICE_RR_NS : t->slice_ns;
}

void sched_dl_forget_locked(struct thread *t)
{
	static const struct sched_dl none;
	int err = dl_admit(&t->dl, &none, 1);
	BUG_ON(err);
	t->dl.runtime_ns = 0;
}

int sched_rt_limit_set(int64_t runtime_us, int64_t period_us)
{
	if (period_us <= 0 || period_us > (int64_t)(INT64_MAX / NSEC_PER_USEC) || runtime_us < -1 ||
	    runtime_us > period_us)
		return -EINVAL;
	WRITE_ONCE(rt_period_ns, (uint64_t)period_us * NSEC_PER_USEC);
	WRITE_ONCE(rt_runtime_ns, runtime_us < 0 ? UINT64_MAX : (uint64_t)runtime_us * NSEC_PER_USEC);
	return 0;
}

void sched_rt_limit_get(int64_t *runtime_us, int64_t *period_us)
{
	*runtime_us = rt_runtime_ns == UINT64_MAX ? -1 : (int64_t)(rt_runtime_ns / NSEC_PER_USEC);
	*period_us = (int64_t)(rt_period_ns / NSEC_PER_USEC);
}

/* ---- priority inheritance ---- */

static struct sched_key own_key(const struct thread *t)
{
	if (t->policy == SCHED_DEADLINE)
		return (struct sched_key){.rank = 0, .deadline_ns = t->dl.due_ns};
	if (t->rt_priority)
		return (struct sched_key){.rank = RT_PRIORITIES - t->rt_priority};
	if (t->policy == SCHED_IDLE)
		return (struct sched_key){.rank = RT_PRIORITIES + 40};
	return (struct sched_key){.rank = (uint32_t)(RT_PRIORITIES + 20 + t->nice)};
}

struct sched_key sched_key(struct thread *t)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	struct sched_key own = own_key(t), boost = {.rank = t->boost.rank - 1, .deadline_ns = t->boost.deadline_ns};
	spin_unlock(&rq->lock, f);
	return sched_key_before(boost, own) ? boost : own;
}

void sched_set_boost(struct thread *t, struct sched_key key)
{
	struct change c;
	if (t->boost.rank == key.rank + 1 && t->boost.deadline_ns == key.deadline_ns)
		return;
	change_begin(t, &c);
	t->boost.rank = key.rank + 1;
	t->boost.deadline_ns = key.deadline_ns;
	change_end(t, &c);
}

/* ---- groups ---- */

void sched_group_join(struct thread *t, struct sched_group *g)
{
	struct change c;
	refcount_get(&g->refs);
	change_begin(t, &c);
	struct sched_group *old = t->group;
	t->group = g;
	change_end(t, &c);
	sched_group_put(old);
}

/* ---- affinity ---- */

int sched_set_affinity(struct thread *t, uint64_t mask)
{
	uint64_t there = atomic_load_relaxed(&sched_cpu_mask);
	if (!(mask & there))
		return -EINVAL;
	bool may_switch = irq_enabled() && !cpu_in_interrupt();
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	if (t->policy == SCHED_DEADLINE && (mask & there) != there) {
		spin_unlock(&rq->lock, f);
		return -EBUSY;
	}
	t->affinity = mask;
	bool must_go = !(mask & BIT(rq->cpu));
	bool running = rq->current == t, queued = t->queued;
	if (must_go && running)
		rq_resched(rq, time_ns());
	spin_release(&rq->lock);
	kicks_send();
	if (must_go && queued)
		balance_evict(t);
	if (must_go && t == thread_current() && may_switch)
		sched_preempt();
	irq_restore(f);
	return 0;
}

uint64_t sched_get_affinity(const struct thread *t)
{
	return READ_ONCE(t->affinity) & atomic_load_relaxed(&sched_cpu_mask);
}
