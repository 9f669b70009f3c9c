/*
 * One-shot timers, per CPU, ordered by deadline; the hardware alarm is set for the first one only (tickless).
 */
#pragma once

#include "lib/rbtree.h"
#include "lib/types.h"

struct timer {
	struct rb_node node;
	uint64_t deadline_ns;	     /* monotonic */
	void (*fn)(struct timer *t); /* interrupt context, no lock held */
	uint32_t cpu;
	bool armed;
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));
/* Arms or re-arms on this CPU. Any context. */
void timer_set(struct timer *t, uint64_t deadline_ns);
/* True if it was armed. After it returns fn is not running and won't (unless re-armed). Not from fn itself. Any
 * context. */
bool timer_cancel(struct timer *t);
/* From the timer interrupt: runs what is due, gives the scheduler its tick if that is due, and sets the next alarm. */
void timers_run(void);

/* Sleep for the calling thread. 0, or -ERESTARTSYS if interruptible and a signal came. */
int sleep_until_ns(uint64_t deadline_ns, bool interruptible) must_check;
