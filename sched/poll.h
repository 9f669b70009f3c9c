/*
 * Readiness: how poll, select and epoll learn that a file became ready.
 *
 * A file's poll operation returns its present events (POLLIN …, <asm/poll.h>) and, when table is not NULL, names the
 * wait queues whose wake-up may change them.  Registration happens before the state is looked at, so no event is lost.
 */
#pragma once

#include "lib/types.h"
#include "sched/wait.h"

struct poll_table {
	void (*add)(struct poll_table *t, struct wait_queue *q);
};

static inline void poll_add(struct poll_table *t, struct wait_queue *q)
{
	if (t)
		t->add(t, q);
}
