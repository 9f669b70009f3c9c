/*
 * The scheduler's figures: per CPU, per thread, and what the load average counts.
 */
#include "core/panic.h"
#include "sched/queues.h"
#include "sched/sched.h"

uint32_t sched_active_threads(void)
{
	uint32_t n = 0;
	for (uint64_t m = sched_cpus(); m; m &= m - 1) {
		const struct run_queue *rq = run_queues[__builtin_ctzll(m)];
		n += READ_ONCE(rq->runnable) + READ_ONCE(rq->blocked);
	}
	return n;
}

void sched_stats_get(unsigned cpu, struct sched_stats *out)
{
	*out = (struct sched_stats){0};
	thread_counts(&out->threads_created, &out->threads);
	if (cpu >= CPUS_MAX || !(sched_cpus() & BIT(cpu)))
		return;
	struct run_queue *rq = run_queues[cpu];
	irqflags_t f = spin_lock(&rq->lock);
	rq_account(rq, rq->current, time_ns());
	out->user_ns = rq->user_ns;
	out->system_ns = rq->system_ns;
	out->idle_ns = rq->idle_ns;
	out->counters = rq->counters;
	out->running = rq->runnable;
	spin_unlock(&rq->lock, f);
	out->switches = out->counters.switches;
}

void sched_thread_stats_get(struct thread *t, struct sched_thread_stats *out)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(t, &f);
	out->run_delay_ns = t->run_delay_ns;
	out->switches = t->switches + t->preemptions;
	out->migrations = t->migrations;
	if (t->queued) {
		uint64_t waited = time_ns() - t->switched_in_ns;
		out->run_delay_ns += (int64_t)waited > 0 ? waited : 0;
	}
	spin_unlock(&rq->lock, f);
}

/* With t's account up to date, unless the kernel has stopped and whoever holds the lock does not run any more. */
static void times_get(const struct thread *t, uint64_t *exec_ns, uint64_t *user_ns, uint64_t *system_ns)
{
	bool locked = !panic_in_progress;
	irqflags_t f = {0};
	struct run_queue *rq = NULL;
	if (locked) {
		rq = queue_lock(t, &f);
		if (rq->current == t)
			rq_account(rq, rq->current, time_ns());
	}
	*exec_ns = t->exec_ns;
	*user_ns = t->user_ns;
	*system_ns = t->system_ns;
	if (locked)
		spin_unlock(&rq->lock, f);
}

uint64_t thread_exec_ns(const struct thread *t)
{
	uint64_t exec, user, system;
	times_get(t, &exec, &user, &system);
	return exec;
}

void thread_cpu_times(const struct thread *t, uint64_t *user_ns, uint64_t *system_ns)
{
	uint64_t exec;
	times_get(t, &exec, user_ns, system_ns);
}
