/*
 * setitimer(2), alarm(2): the process's real-time interval timer. ITIMER_VIRTUAL and ITIMER_PROF need a clock that
 * runs with the program's CPU time and interrupts it; there is none, and the calls say -EINVAL.
 */
#include <asm/errno.h>
#include <linux/time.h>

#include "proc/internal.h"
#include "sched/clock.h"

#define PAUSE_NS (50 * NSEC_PER_USEC)

/* Interrupt context. The timer is cancelled before its process can go. */
static void expired(struct timer *timer)
{
	struct process *p = container_of(timer, struct process, itimer_real);

	SPIN_GUARD(&p->signal_lock);
	(void)!signal_send_locked(p, NULL, SIGALRM, NULL);
	if (p->itimer_interval_ns) {
		uint64_t interval = p->itimer_interval_ns, next = timer->deadline_ns + interval;
		/*
		 * Periods that were missed are not made up for, one SIGALRM stands for all of them; nor are those
		 * which would leave no time for anything else than this.
		 */
		uint64_t soonest = clock_monotonic_ns() + PAUSE_NS;
		if (next < soonest)
			next += (soonest - next + interval - 1) / interval * interval;
		timer_set(timer, next);
	}
}

void itimer_init_process(struct process *p)
{
	timer_init(&p->itimer_real, expired);
}

static uint64_t time_left(const struct process *p)
{
	uint64_t now = clock_monotonic_ns(), deadline = p->itimer_real.deadline_ns;

	if (!p->itimer_real.armed)
		return 0;
	return deadline > now ? deadline - now : NSEC_PER_USEC; /* about to fire: not "disarmed" */
}

int process_itimer_get(int which, uint64_t *value_ns, uint64_t *interval_ns)
{
	struct process *p = process_current();

	if (which != ITIMER_REAL)
		return -EINVAL;
	SPIN_GUARD(&p->signal_lock);
	*value_ns = time_left(p);
	*interval_ns = p->itimer_interval_ns;
	return 0;
}

int process_itimer_set(int which, uint64_t value_ns, uint64_t interval_ns, uint64_t *old_value_ns,
		       uint64_t *old_interval_ns)
{
	struct process *p = process_current();
	uint64_t deadline;

	if (which != ITIMER_REAL)
		return -EINVAL;
	uint64_t left = 0, interval = 0;
	irqflags_t f = spin_lock(&p->signal_lock);
	left = time_left(p);
	interval = p->itimer_interval_ns;
	p->itimer_interval_ns = 0; /* from here on an expiry does not re-arm */
	spin_unlock(&p->signal_lock, f);
	(void)timer_cancel(&p->itimer_real); /* waits for expired(), which takes S: not under it */
	if (value_ns) {
		if (__builtin_add_overflow(clock_monotonic_ns(), value_ns, &deadline))
			deadline = UINT64_MAX - 1;
		f = spin_lock(&p->signal_lock);
		p->itimer_interval_ns = interval_ns;
		timer_set(&p->itimer_real, deadline);
		spin_unlock(&p->signal_lock, f);
	}
	if (old_value_ns)
		*old_value_ns = left;
	if (old_interval_ns)
		*old_interval_ns = interval;
	return 0;
}
