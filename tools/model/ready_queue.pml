/*
 * The way of a wake-up (sched/executor.c, lib/ready_queue.h) for `spin`:
 *
 *     spin -run -safety tools/model/ready_queue.pml                    errors: 0
 *     spin -DNO_SECOND_LOOK -run -safety tools/model/ready_queue.pml   and so each name below: errors: 1
 *
 * Two wakers (interrupt handlers, other CPUs), one task, one executor.  A read-modify-write is one atomic step.  This
 * model is sequentially consistent; lib/test/wakeup_model.c has the same with store buffers, with
 * the executor halting in place as well as switched away from, and is part of `make test`.
 */
#define WAKERS 2

bool event[WAKERS];	/* what a waker made true */
bool seen[WAKERS];	/* what a poll has seen of it */
bool queued;		/* the task's QUEUED */
bool on_stack;		/* the task is on the ready queue */
bool asleep;		/* struct ready_queue's */
bool thread_sleeps;	/* the thread's state; sched_wake() clears it whether it sleeps yet or not */
byte ended;

active [WAKERS] proctype waker()
{
	bool was;
	event[_pid] = true;
	atomic { was = queued; queued = true }
	if
	:: was
	:: else ->
		on_stack = true;			/* P1 */
#ifndef WAKER_DOES_NOT_LOOK
		atomic { was = asleep; asleep = false }	/* P2 */
		if
		:: was -> thread_sleeps = false		/* sched_wake() */
		:: else
		fi
#endif
	fi;
	ended++
}

active proctype executor()
{
	bool work;
end:	do
	:: atomic { work = on_stack; on_stack = false }
		if
		:: work ->
#ifndef CLEAR_AFTER_POLL
			queued = false;
#endif
			seen[0] = event[0];
			seen[1] = event[1];
#ifdef CLEAR_AFTER_POLL
			queued = false;
#endif
		:: else ->
#ifndef STATE_AFTER_ANNOUNCING
			thread_sleeps = true;
#endif
#ifndef LOOK_BEFORE_ANNOUNCING
			asleep = true;			/* C1 */
#endif
#ifdef NO_SECOND_LOOK
			work = false;
#else
			work = on_stack;		/* C2 */
#endif
#ifdef LOOK_BEFORE_ANNOUNCING
			asleep = true;
#endif
			if
			:: !work ->
#ifdef STATE_AFTER_ANNOUNCING
				thread_sleeps = true;
#endif
end_asleep:			!thread_sleeps		/* sched_switch() */
			:: else
			fi;
			thread_sleeps = false;
			asleep = false
		fi
	od
}

/* If the executor sleeps and the wakers are done, everything they woke for has been seen. */
active proctype check()
{
	end_check:
	atomic {
		ended == WAKERS && executor@end_asleep && thread_sleeps;
		assert(seen[0] && seen[1])
	}
}
