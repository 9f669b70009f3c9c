/*
 * Threads on several CPUs: where they run, how they get there, and that nothing is lost on the way.  On one CPU the
 * same code runs with one.
 */
#include <asm/errno.h>
#include <linux/sched.h>

#include <arch/cpu.h>
#include <arch/time.h>
#include "sched/internal.h"
#include "sched/queues.h"
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"
#include "sync/smp_call.h"

enum { CREW = 8, ROUNDS = 60 };

static uint32_t cpu_now(void)
{
	irqflags_t f = irq_save();
	uint32_t id = this_cpu()->id;
	irq_restore(f);
	return id;
}

/* The n-th CPU, counted round and round. */
static uint64_t nth_cpu(unsigned n)
{
	uint64_t all = sched_cpus(), m = all;
	while (n--)
		if (!(m &= m - 1))
			m = all;
	return m & -m;
}

static bool within(const uint32_t *word, uint32_t value)
{
	uint64_t end = time_ns() + 60 * NSEC_PER_SEC; /* only what is lost takes as long */
	while (atomic_load_acquire(word) != value && time_ns() < end)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC / 2, false);
	return atomic_load_acquire(word) == value;
}

KTEST(sched, place_affinity_moves_the_caller_at_once)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t bit = nth_cpu(i * 7);
		KTEST_EQ(sched_set_affinity(thread_current(), bit), 0);
		KTEST_EQ(BIT(cpu_now()), bit);
		KTEST_EQ(sched_get_affinity(thread_current()), bit);
	}
	KTEST_EQ(sched_set_affinity(thread_current(), UINT64_MAX), 0);
	KTEST_EQ(sched_get_affinity(thread_current()), sched_cpus());
	KTEST_EQ(sched_set_affinity(thread_current(), ~sched_cpus()), -EINVAL);
}

static struct thread *member[CREW];
static uint32_t stop, seen_on[CREW];

static void spin_and_look(struct crew *c, unsigned me)
{
	(void)c;
	atomic_store_release(&member[me], thread_current());
	while (!READ_ONCE(stop))
		atomic_store_release(&seen_on[me], cpu_now());
}

static void members_here(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		while (!atomic_load_acquire(&member[i]))
			(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC / 4, false);
}

static void start(struct crew *c, unsigned count, void (*fn)(struct crew *c, unsigned me))
{
	stop = 0;
	for (unsigned i = 0; i < CREW; i++)
		member[i] = NULL;
	crew_start(c, count, fn);
	members_here(count);
}

KTEST(sched, place_affinity_moves_a_running_thread)
{
	struct crew c;
	bool moved = true;
	start(&c, 1, spin_and_look);
	for (unsigned i = 0; i < 20 && moved; i++) {
		uint64_t bit = nth_cpu(i);
		int err = sched_set_affinity(member[0], bit);
		moved = err == 0 && within(&seen_on[0], (uint32_t)__builtin_ctzll(bit));
	}
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_TRUE(moved);
}

/* Threads that never sleep, as many as there are CPUs, and the test itself: each gets on. */
KTEST(sched, place_spinners_use_all_cpus)
{
	struct crew c;
	unsigned n = 0;
	uint64_t used = 0;
	for (uint64_t m = sched_cpus(); m; m &= m - 1)
		n++;
	n = MIN(n, (unsigned)CREW);
	start(&c, n, spin_and_look);
	for (unsigned tries = 0; tries < 3000 && (unsigned)__builtin_ctzll(~used) < n; tries++) {
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
		used = 0;
		for (unsigned i = 0; i < n; i++)
			used |= BIT(atomic_load_acquire(&seen_on[i]));
	}
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_EQ((unsigned)__builtin_ctzll(~used), n);
}

/* A thread that is bound stays, whatever is done to it by others: sleeping, waking, pre-emption, priorities. */
static uint32_t strays, laps;

static void bound_and_restless(struct crew *c, unsigned me)
{
	uint64_t bit = nth_cpu(me);
	(void)c;
	KTEST_EQ(sched_set_affinity(thread_current(), bit), 0);
	atomic_store_release(&member[me], thread_current());
	for (unsigned i = 0; i < ROUNDS; i++) {
		for (unsigned k = 0; k < 50; k++)
			if (BIT(cpu_now()) != bit)
				__atomic_fetch_add(&strays, 1, __ATOMIC_RELAXED);
		if (i % 3 == 0)
			sched_yield();
		else if (i % 3 == 1)
			(void)!sleep_until_ns(time_ns() + 50000 + me * 10000, false);
		sched_set_nice(atomic_load_acquire(&member[(me + i) % CREW]) ? member[(me + i) % CREW]
									     : thread_current(),
			       (int)(i % 40) - 20);
		__atomic_fetch_add(&laps, 1, __ATOMIC_RELAXED);
	}
	while (!READ_ONCE(stop)) /* the others may still set our nice value */
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

KTEST(sched, place_bound_threads_stay)
{
	struct crew c;
	strays = laps = 0;
	start(&c, CREW, bound_and_restless);
	bool all = within(&laps, CREW * ROUNDS);
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_TRUE(all);
	KTEST_EQ(strays, 0);
}

/* Everybody moves everybody, while all sleep, wake, yield and spin. */
static void move_others(struct crew *c, unsigned me)
{
	uint64_t seed = me + 1;
	(void)c;
	atomic_store_release(&member[me], thread_current());
	for (unsigned i = 0; i < ROUNDS; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		struct thread *t = atomic_load_acquire(&member[(seed >> 33) % CREW]);
		uint64_t mask = i % 5 == 0 ? UINT64_MAX : nth_cpu((unsigned)(seed >> 40) % 64);
		if (t)
			KTEST_EQ(sched_set_affinity(t, mask), 0);
		if (seed >> 63)
			(void)!sleep_until_ns(time_ns() + (seed >> 45) % 100000, false);
		else if (seed >> 62 & 1)
			sched_yield();
		else if (t && seed >> 61 & 1)
			sched_wake(t, WAKE_NORMAL); /* a wake-up without a reason is allowed */
		__atomic_fetch_add(&laps, 1, __ATOMIC_RELAXED);
	}
	while (!READ_ONCE(stop))
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

KTEST(sched, place_everybody_moves_everybody)
{
	struct crew c;
	laps = 0;
	start(&c, CREW, move_others);
	bool all = within(&laps, CREW * ROUNDS);
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_TRUE(all);
}

/* Pairs on different CPUs that wake one another: each wake-up arrives. */
static struct wait_queue ring_queue[CREW];
static uint32_t ring_token[CREW];

static void pass_on(struct crew *c, unsigned me)
{
	unsigned next = (me + 1) % CREW;
	(void)c;
	KTEST_EQ(sched_set_affinity(thread_current(), nth_cpu(me)), 0);
	for (uint32_t lap = 1; lap <= ROUNDS; lap++) {
		(void)WAIT_UNTIL(&ring_queue[me], atomic_load_acquire(&ring_token[me]) >= lap, 0, WAIT_FOREVER);
		__atomic_fetch_add(&ring_token[next], 1, __ATOMIC_RELEASE);
		wait_wake_all(&ring_queue[next]);
	}
}

static void ring(void)
{
	struct crew c;
	for (unsigned i = 0; i < CREW; i++) {
		wait_queue_init(&ring_queue[i]);
		ring_token[i] = 0;
	}
	crew_start(&c, CREW, pass_on);
	__atomic_fetch_add(&ring_token[0], 1, __ATOMIC_RELEASE);
	wait_wake_all(&ring_queue[0]);
	crew_join(&c);
	for (unsigned i = 0; i < CREW; i++)
		KTEST_EQ(ring_token[i], ROUNDS + (i == 0));
}

KTEST(sched, place_ring_of_wakeups)
{
	ring();
}

/* Who wakes interrupts the other CPU when that can run at once: not with the locks held that it is going to want. */
static void (*real_kick)(uint32_t cpu);
static uint32_t kicks_seen, kicks_early;

static void look_and_kick(uint32_t cpu)
{
	bool holds = lockdep_holds(&run_queues[cpu]->lock);
	for (unsigned i = 0; i < CREW; i++)
		holds |= lockdep_holds(&ring_queue[i].lock);
	__atomic_fetch_add(&kicks_seen, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&kicks_early, CONFIG_DEBUG && holds, __ATOMIC_RELAXED);
	real_kick(cpu);
}

KTEST(sched, place_kicks_when_its_locks_are_free)
{
	real_kick = sched_kick_cpu;
	if (!real_kick)
		return; /* one CPU */
	kicks_seen = kicks_early = 0;
	WRITE_ONCE(sched_kick_cpu, look_and_kick);
	ring();
	WRITE_ONCE(sched_kick_cpu, real_kick);
	KTEST_TRUE(kicks_seen > 0);
	KTEST_EQ(kicks_early, 0);
}

/* What a change of a thread elsewhere asks for has been sent when the call returns, and does not wait for a switch. */
KTEST(sched, place_changes_send_their_kicks)
{
	struct crew c;
	uint64_t here = BIT(cpu_now()), there = nth_cpu(1);
	uint64_t unsent = 0;
	if (!sched_kick_cpu)
		ktest_skip("one CPU only");
	KTEST_EQ(sched_set_affinity(thread_current(), here), 0);
	if (there == here)
		there = nth_cpu(0);
	start(&c, 2, spin_and_look);
	members_here(2);
	for (unsigned i = 0; i < 2; i++)
		KTEST_EQ(sched_set_affinity(member[i], there), 0);
	bool came = within(&seen_on[0], (uint32_t)__builtin_ctzll(there)) &&
		within(&seen_on[1], (uint32_t)__builtin_ctzll(there));
	for (unsigned i = 0; i < ROUNDS; i++) {
		irqflags_t f = irq_save();
		(void)!sched_set_policy(member[i % 2], i / 2 % 2 ? SCHED_NORMAL : SCHED_FIFO, i / 2 % 2 ? 0 : 1);
		unsent |= my_queue()->kicks;
		irq_restore(f);
	}
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_EQ(sched_set_affinity(thread_current(), UINT64_MAX), 0);
	KTEST_TRUE(came);
	KTEST_EQ(unsent, 0);
}

/*
 * A thread that waited when its affinity was changed may run, on the CPU that was just forbidden, when it is to be
 * moved: then it goes from there at once, although nobody waits for that CPU.
 */
KTEST(sched, place_moves_who_runs_where_it_may_not)
{
	struct crew c;
	uint64_t here = BIT(cpu_now()), there = nth_cpu(1);
	KTEST_EQ(sched_set_affinity(thread_current(), here), 0);
	if (there == here)
		there = nth_cpu(0);
	start(&c, 1, spin_and_look);
	members_here(1);
	KTEST_EQ(sched_set_affinity(member[0], there), 0);
	bool came = within(&seen_on[0], (uint32_t)__builtin_ctzll(there));
	irqflags_t f;
	struct run_queue *rq = queue_lock(member[0], &f);
	member[0]->affinity = here; /* as sched_set_affinity() has it before it moves the thread */
	queue_unlock(rq, f);
	f = irq_save();
	balance_evict(member[0]);
	irq_restore(f);
	rq = queue_lock(member[0], &f);
	bool told = BIT(rq->cpu) != there || rq->current != member[0] || thread_has_work(member[0], WORK_RESCHED);
	queue_unlock(rq, f);
	bool left = within(&seen_on[0], (uint32_t)__builtin_ctzll(here));
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_EQ(sched_set_affinity(thread_current(), UINT64_MAX), 0);
	KTEST_TRUE(came && told && left);
}

/* CPU time seen from elsewhere never falls, and the parts add up. */
KTEST(sched, place_times_of_others_do_not_fall)
{
	struct crew c;
	bool falls = false;
	uint64_t last = 0;
	start(&c, 2, spin_and_look);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t now = thread_exec_ns(member[i % 2 ? 0 : 0]);
		falls |= now < last;
		last = now;
		if (i % 500 == 0)
			(void)!sched_set_affinity(member[0], nth_cpu(i / 500));
	}
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_TRUE(!falls);
}

/* One timer, set and cancelled by several CPUs at once: it is armed once or not at all, and after the last cancel
 * still. */
static struct timer shared;
static uint32_t fired;

static void count_fired(struct timer *t)
{
	(void)t;
	__atomic_fetch_add(&fired, 1, __ATOMIC_RELAXED);
}

static void set_and_cancel(struct crew *c, unsigned me)
{
	(void)c;
	KTEST_EQ(sched_set_affinity(thread_current(), nth_cpu(me)), 0);
	for (unsigned i = 0; i < ROUNDS * 5; i++) {
		timer_set(&shared, time_ns() + (i * 13 + me * 7) % 50 * 1000);
		if (i % 3 == me % 3)
			(void)timer_cancel(&shared);
	}
}

KTEST(sched, place_one_timer_for_all)
{
	struct crew c;
	fired = 0;
	timer_init(&shared, count_fired);
	crew_start(&c, 4, set_and_cancel);
	crew_join(&c);
	(void)timer_cancel(&shared);
	uint32_t so_far = READ_ONCE(fired);
	(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	KTEST_EQ(READ_ONCE(fired), so_far);
	KTEST_TRUE(!shared.armed);
	timer_set(&shared, time_ns() + 1000);
	KTEST_TRUE(within(&fired, so_far + 1));
}

static struct thread *candidate;
static uint32_t candidate_ends;

static void wait_in_line(struct crew *c, unsigned me)
{
	(void)c;
	(void)me;
	atomic_store_release(&candidate, thread_current());
	while (!atomic_load_acquire(&candidate_ends))
		sched_yield();
}

/* Interrupts off, on the CPU where it waits: asks the others to look until it has gone, or for so long. */
static bool is_taken_within(uint64_t ns)
{
	uint64_t end = time_ns() + ns;
	while (READ_ONCE(candidate->cpu) == this_cpu()->id && time_ns() < end) {
		balance_invite(~BIT(this_cpu()->id));
		kicks_send();
		smp_relax();
	}
	return READ_ONCE(candidate->cpu) != this_cpu()->id;
}

/*
 * A thread waits while another has its CPU: idle ones take it, but not before its registers are saved (on_cpu), or it
 * would run twice.  The moment is stretched by setting the flag by hand.
 */
KTEST(sched, place_steals_no_thread_that_is_being_switched)
{
	if (cpus_online == 1)
		ktest_skip("nobody to steal");
	struct crew c;
	uint64_t here = crew_bind(sched_cpus());
	candidate = NULL;
	candidate_ends = 0;
	crew_start_on(&c, here, 1, wait_in_line);
	while (!atomic_load_acquire(&candidate))
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	irqflags_t f = irq_save();
	atomic_store_release(&candidate->on_cpu, true);
	int err = sched_set_affinity(candidate, UINT64_MAX);
	bool early = is_taken_within(50 * NSEC_PER_MSEC);
	atomic_store_release(&candidate->on_cpu, false);
	bool taken = is_taken_within(10 * NSEC_PER_SEC);
	irq_restore(f);
	atomic_store_release(&candidate_ends, 1);
	crew_join(&c);
	KTEST_EQ(err, 0);
	KTEST_TRUE(!early && taken);
}

/* Changes its mind just when the CPU idles and is about to send the thread away. */
static uint32_t kept;

static void let_it_stay(struct thread *t)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	if (t == member[0] && t->queued && rq == my_queue() && rq->current == rq->idle) {
		t->affinity = UINT64_MAX;
		rq->tick_ns = UINT64_MAX; /* the tick it had while it ran would find it */
		atomic_store_release(&seen_on[0], UINT32_MAX);
		atomic_store_release(&kept, 1);
	}
	queue_unlock(rq, f);
}

/* It runs on, and the idle CPU does not look in vain for others: two are ready on this one, which are bound to it. */
KTEST(sched, place_allowed_again_before_it_was_moved)
{
	if (cpus_online == 1)
		ktest_skip("nowhere to go");
	struct crew c;
	uint64_t here = crew_bind(sched_cpus()), there = sched_cpus() & ~here;
	int err = 0;
	there &= -there;
	kept = 0;
	start(&c, 2, spin_and_look);
	err |= sched_set_affinity(member[1], here);
	sched_evict_hook = let_it_stay;
	for (unsigned i = 0; i < 100 && !atomic_load_acquire(&kept); i++) {
		uint64_t bit = i & 1 ? here : there;
		err |= sched_set_affinity(member[0], bit);
		while (!atomic_load_acquire(&kept) &&
		       atomic_load_acquire(&seen_on[0]) != (uint32_t)__builtin_ctzll(bit))
			sched_yield();
	}
	uint64_t end = time_ns() + 10 * NSEC_PER_SEC;
	while (atomic_load_acquire(&seen_on[0]) == UINT32_MAX && time_ns() < end)
		sched_yield();
	bool runs_on = atomic_load_acquire(&seen_on[0]) != UINT32_MAX;
	sched_evict_hook = NULL;
	WRITE_ONCE(stop, 1);
	crew_join(&c);
	KTEST_EQ(err, 0);
	KTEST_TRUE(kept && runs_on);
}
