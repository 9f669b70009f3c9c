/*
 * Scheduling groups: threads that share the CPU with others as one.  Theory in group.c.
 *
 * proc/ makes one for each session (the autogroups of man 7 sched); who is in none of these is in the root group, where
 * each thread counts for itself.
 */
#pragma once

#include "lib/types.h"

struct sched_group;
struct thread;

/* A group with nice value 0 and a number of its own; returned owned. -ENOMEM. Thread context, once all CPUs
 * are there. */
int sched_group_create(struct sched_group **out) must_check;
/* Drops a reference; NULL: none. Any context. */
void sched_group_put(struct sched_group *g);
/* Moves t. Any context; the run queue's lock is taken. Borrows g. */
void sched_group_join(struct thread *t, struct sched_group *g);
/* The number and nice value of t's group. -ENOENT: the root group. Any context. */
int sched_group_of(struct thread *t, uint32_t *id, int *nice) must_check;
/* nice: -20..19. -EINVAL: out of range, or t is in the root group. Any context. */
int sched_group_set_nice(struct thread *t, int nice) must_check;
/* Whether groups count; if not each thread counts for itself (sched_autogroup_enabled). On at first. Thread context. */
void sched_grouping_set(bool on);
bool sched_grouping_get(void);
