/*
 * Scheduling groups: theory.
 *
 * What they are for.  Time is shared first among groups, by their weights, and what a group gets among its threads, by
 * theirs: a session that runs one program gets as much as one that runs ten.  A thread of the root group (kernel
 * threads, PID 1, who never was in a session) stands for itself, as if it were a group with its own weight.
 *
 * One flat queue.  There is no queue of groups.  A thread's part of the CPU is known without one: it is the group's
 * weight times the thread's own by the weight of all runnable threads of the group.  That is its `share`, what it
 * counts in the queue's mean; `vrate`, virtual nanoseconds per nanosecond, is the same once more, not rounded: a share
 * below 1 counts as 1, but is charged for exactly.  So who runs next is one decision over all threads of the CPU, and a
 * thread that wakes up has to wait for one turn, not for its group's and then its own.
 *
 * When nobody pays for it.  As long as all fair threads that are runnable on a CPU belong to one group, the factor is
 * the same for all of them and left out: the CPU is plain, rq->group names the group, and all there is to do is to
 * compare that when a thread comes.  It is also plain while nothing but one thread runs, whatever group comes after
 * whatever other. When a thread of a second group comes while others are there, rq->group becomes NULL, which sends all
 * who come, go or are picked the longer way below; the first group's load is then known without having been counted,
 * being the CPU's. The CPU is plain again when one group is left and nobody's factor is in use any more (rq->scaled is
 * how many threads have one).
 *
 * Shares change with each thread that comes or goes.  Only the thread that comes and the one that runs get their new
 * share at once, others when they are picked: what they wait with is out of date by then, but nobody is charged by it.
 * Who was charged by a factor that has become smaller since may wait far behind all others, though, and would only be
 * picked when they have come that far.  Such threads are last by deadline: so each pick first looks at the last ones,
 * at most TRIM of them, and puts right who has at least twice what it should have.
 *
 * A new share leaves what a thread is owed, or owes, as it is in real time: its distance from the mean, and what is
 * left of its request, are stretched by the new rate over the old.  Requests that are kept while a thread is in no
 * queue are at the thread's own rate.  The one thing not stretched is the deadline of a woken thread, which is earlier
 * than its request is long: its head start is to bring it ahead of others whatever the size of its group; it costs them
 * nothing since it must not owe anything.
 *
 * Several CPUs.  A group's load is that of all CPUs: its threads' shares on each add up to its weight.  What runs on
 * other CPUs is added up at most every OTHERS_NS by whoever needs it, without a lock: the sum is a little old.
 *
 * The balancer compares CPUs by the sum of the shares of what runs there, so that four threads of one session do not
 * weigh more than the one of another, and each of the two gets a CPU where there are two.
 *
 * Locks and lifetime.  rq->group, group_cpu.load and a thread's share belong to the queue's lock, as does t->group.
 * Each thread has a reference to its group; rq->group has none: it is only looked at for a thread that is runnable
 * there, or compared.  group_cpu.load is 0 while the CPU is plain.
 *
 * Rejected: a queue per group and CPU, and one of the groups' queues above (two decisions for each switch, and two
 * waits for each wake-up; moving a CPU between one and several groups means moving all threads); brought up to date at
 * once when a share changes (linear in the group's threads for each wake-up).
 */
#include "sched/group.h"

#include <asm/errno.h>

#include "mm/slab.h"
#include "sched/queues.h"
#include "sched/sched.h"
#include "sync/atomic.h"

#define TRIM 2
#define OTHERS_NS (4 * NSEC_PER_MSEC)
#define LOAD_MAX (1ull << 33)
#define VRATE_MAX (1ull << 36) /* 65,536 times that of nice 0: so that products of rates and times fit */
/* The longest slice of the lightest thread that counts for itself: so that the sum of lags by share fits, too. */
#define VSLICE_MAX_NS (1ull << 35)

/* Never ends, and its threads are not scaled; its loads are there to be counted like others'. */
struct sched_group sched_root_group = {.refs = {.n = 1}, .cpu_count = CPUS_MAX, .cpu = {[CPUS_MAX - 1] = {0}}};

static bool grouping = true;
static uint32_t last_id; /* atomic */

/* ---- rates ---- */

/* x times to/from. */
static int64_t stretch(int64_t x, uint64_t to, uint64_t from)
{
	return to == from ? x : (int64_t)((__int128)x * (int64_t)((to << 26) / from) >> 26);
}

/* The queue's mean, with t, which is in none. */
static uint64_t mean_with(const struct fair_queue *q, const struct thread *t)
{
	return q->base + (uint64_t)((q->sum + fair_key(q, t) * (int64_t)t->share) / (int64_t)(q->load + t->share));
}

static uint64_t load_elsewhere(const struct sched_group *g, const struct run_queue *rq)
{
	uint64_t sum = 0;
	for (uint64_t m = atomic_load_relaxed(&sched_cpu_mask) & ~BIT(rq->cpu); m; m &= m - 1) {
		uint32_t cpu = (uint32_t)__builtin_ctzll(m);
		const struct run_queue *other = run_queues[cpu];
		uint64_t all = READ_ONCE(other->weight), special = READ_ONCE(other->weight_special);
		if (READ_ONCE(other->group) == g)
			sum += all > special ? all - special : 0;
		else if (cpu < g->cpu_count)
			sum += READ_ONCE(g->cpu[cpu].load);
	}
	return sum;
}

/* The weight of all that t's part is a part of; 0: it counts for itself. */
static uint64_t group_load(struct run_queue *rq, const struct thread *t, uint64_t now)
{
	struct sched_group *g = t->group;
	struct group_cpu *c = &g->cpu[rq->cpu];
	if (g == &sched_root_group || rq->groups < 2 || !READ_ONCE(grouping))
		return 0;
	if (READ_ONCE(sched_many) && now - c->others_ns >= OTHERS_NS) {
		c->others = load_elsewhere(g, rq);
		c->others_ns = now;
	}
	return c->load + c->others;
}

/* Stores what t counts now; true if that is new. */
static bool rate_set(struct run_queue *rq, struct thread *t, uint64_t load)
{
	uint32_t weight = READ_ONCE(t->group->weight);
	uint64_t of = load ? load << 17 | weight : 0; /* 17 bits: the heaviest is 88,818 */

	if (likely(t->rate_of == of))
		return false;
	rq->scaled += (of != 0) - (t->rate_of != 0);
	t->rate_of = of;
	t->share = t->weight;
	t->vrate = vrate_of_weight(t->weight);
	if (of) {
		uint64_t part = (uint64_t)weight * t->weight;
		t->share = (uint32_t)MAX((part + load / 2) / load, 1ull);
		t->vrate = MIN(VRATE_ONE * WEIGHT_NICE_0 * MIN(load, LOAD_MAX) / part, VRATE_MAX);
	}
	t->vslice_ns = MIN(real_to_virtual(t, t->slice_ns), VSLICE_MAX_NS);
	return true;
}

/* t, which is in no queue, gets its present share; nothing it is owed or owes changes. */
static void reshare(struct run_queue *rq, struct thread *t, uint64_t load)
{
	uint64_t from = t->vrate, mean = mean_with(&rq->fair, t);
	if (likely(!rate_set(rq, t, load)))
		return;
	int64_t ahead = (int64_t)(t->vruntime_ns - mean), left = (int64_t)(t->vserved_ns - t->vruntime_ns),
		due = (int64_t)(t->vdeadline_ns - t->vruntime_ns);
	t->vruntime_ns = mean + (uint64_t)stretch(ahead, t->vrate, from);
	t->vserved_ns = t->vruntime_ns + (uint64_t)stretch(left, t->vrate, from);
	t->vdeadline_ns = t->vruntime_ns + (uint64_t)(left == due || due > 0 ? stretch(due, t->vrate, from) : due);
}

struct fair_request group_request_to_own(const struct thread *t, struct fair_request r)
{
	uint64_t own = vrate_of_weight(t->weight), due = r.length_ns - r.head_start_ns;
	r.lag_ns = stretch(r.lag_ns, own, t->vrate);
	r.length_ns = (uint64_t)stretch((int64_t)r.length_ns, own, t->vrate);
	if (r.head_start_ns)
		r.head_start_ns = r.length_ns - due;
	return r;
}

struct fair_request group_request_from_own(const struct thread *t, struct fair_request r)
{
	uint64_t own = vrate_of_weight(t->weight), due = r.length_ns - r.head_start_ns;
	r.lag_ns = stretch(r.lag_ns, t->vrate, own);
	r.length_ns = (uint64_t)stretch((int64_t)r.length_ns, t->vrate, own);
	if (r.head_start_ns)
		r.head_start_ns = r.length_ns - due;
	return r;
}

void group_place(struct run_queue *rq, struct thread *t, struct fair_request r)
{
	rq_place_at_rate(rq, t, group_request_from_own(t, r));
}

/* ---- coming and going ---- */

/* The running thread's share is brought up to date. */
static void reshare_running(struct run_queue *rq, uint64_t now)
{
	struct thread *cur = rq->current;
	if (rq_fair_runs(rq))
		reshare(rq, cur, group_load(rq, cur, now));
}

void group_enter(struct run_queue *rq, struct thread *t, uint64_t now)
{
	struct group_cpu *c = &t->group->cpu[rq->cpu];
	uint64_t here = rq->weight - rq->weight_special; /* without t */

	if (!here && !rq->groups) {
		rq->group = t->group;
		return;
	}
	if (rq->group) {
		rq->group->cpu[rq->cpu].load = here;
		rq->groups = 1;
		rq->group = NULL;
	}
	rq->groups += c->load == 0;
	c->load += t->weight;
	if (rq->current != t)
		reshare_running(rq, now);
	(void)rate_set(rq, t, group_load(rq, t, now));
}

void group_join(struct run_queue *rq, struct thread *t, const struct fair_request *r, uint64_t now)
{
	rq_count(rq, t, now);
	rq_place(rq, t, *r);
}

void group_leave(struct run_queue *rq, struct thread *t)
{
	struct group_cpu *c = &t->group->cpu[rq->cpu];

	if (t->rate_of)
		reshare(rq, t, 0); /* what sleeps is at its own rate */
	c->load -= t->weight;
	rq->groups -= c->load == 0;
}

/* The last by deadline, and the one outside of the tree. */
static void trim(struct run_queue *rq, uint64_t now)
{
	for (unsigned i = 0; i <= TRIM; i++) {
		struct rb_node *n = i ? rb_last(&rq->fair.tree) : NULL;
		struct thread *t = i ? (n ? RB_ENTRY(n, struct thread, run_node) : NULL) : rq->fair.single;
		if (!t || !t->rate_of)
			continue;
		uint64_t load = group_load(rq, t, now);
		if (load && load * 2 > t->rate_of >> 17)
			continue;
		fair_remove(rq, t);
		reshare(rq, t, load);
		fair_enqueue(&rq->fair, t);
	}
}

struct thread *group_pick(struct run_queue *rq, uint64_t now)
{
	trim(rq, now);
	struct thread *t = fair_pick(&rq->fair);
	if (!t)
		return NULL;
	reshare(rq, t, group_load(rq, t, now));
	if (rq->groups == 1 && !rq->scaled) {
		rq->group = t->group;
		rq->groups = 0;
		t->group->cpu[rq->cpu].load = 0;
	}
	return t;
}

/* ---- for the balancer ---- */

#define PART_BITS 10

uint64_t group_plain_load(const struct run_queue *rq)
{
	uint64_t here = rq->weight - rq->weight_special;
	if (!rq->group || !here || rq->group == &sched_root_group || !READ_ONCE(grouping))
		return 0;
	return here + load_elsewhere(rq->group, rq);
}

uint64_t group_part(const struct thread *t, uint64_t load)
{
	if (load && !t->special)
		return ((uint64_t)t->group->weight * t->weight << PART_BITS) / load;
	return (uint64_t)(t->special ? t->weight : t->share) << PART_BITS;
}

uint64_t group_pull(const struct run_queue *rq, uint64_t load)
{
	uint64_t fair = rq->weight - rq->weight_special;
	if (load)
		fair = (fair * rq->group->weight << PART_BITS) / load;
	else if (rq->group)
		fair <<= PART_BITS;
	else
		fair = (rq->fair.load + (rq_fair_runs(rq) ? rq->current->share : 0)) << PART_BITS;
	return fair + (rq->weight_special << PART_BITS);
}

/* ---- groups ---- */

int sched_group_create(struct sched_group **out)
{
	uint32_t count = 64 - (uint32_t)__builtin_clzll(atomic_load_relaxed(&sched_cpu_mask));
	struct sched_group *g = kzalloc(sizeof(*g) + count * sizeof(g->cpu[0]));
	if (!g)
		return -ENOMEM;
	refcount_init(&g->refs, 1);
	g->id = atomic_fetch_add(&last_id, 1) + 1;
	g->weight = WEIGHT_NICE_0;
	g->cpu_count = count;
	*out = g;
	return 0;
}

void sched_group_put(struct sched_group *g)
{
	if (g && g != &sched_root_group && refcount_put(&g->refs))
		kfree(g);
}

struct sched_group *sched_group_get(struct thread *t)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	struct sched_group *g = t->group;
	if (g != &sched_root_group)
		refcount_get(&g->refs);
	spin_unlock(&rq->lock, f);
	return g;
}

int sched_group_of(struct thread *t, uint32_t *id, int *nice)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	bool root = t->group == &sched_root_group;
	if (!root) {
		*id = t->group->id;
		*nice = t->group->nice;
	}
	spin_unlock(&rq->lock, f);
	return root ? -ENOENT : 0;
}

int sched_group_set_nice(struct thread *t, int nice)
{
	irqflags_t f;
	if (nice < -20 || nice > 19)
		return -EINVAL;
	struct run_queue *rq = queue_lock(t, &f);
	bool root = t->group == &sched_root_group;
	if (!root) { /* one word at a time, last come: two who set it at once both may win a half for a while */
		WRITE_ONCE(t->group->nice, (int8_t)nice);
		WRITE_ONCE(t->group->weight, weight_of_nice(nice));
	}
	spin_unlock(&rq->lock, f);
	return root ? -EINVAL : 0;
}

bool sched_grouping_get(void)
{
	return READ_ONCE(grouping);
}

void sched_grouping_set(bool on)
{
	WRITE_ONCE(grouping, on); /* who is picked next counts by it */
}
