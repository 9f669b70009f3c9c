/*
 * Out of memory: theory.
 *
 * When a program's page cannot be had, somebody has to give memory back, and the only ones who have enough are
 * programs.  The thread that found out comes here.  The first one makes a victim of the program with most memory; all
 * others, and the first one then, wait until that victim's address space is gone or a deadline has passed.  Then each
 * tries its access again and may come back.
 *
 * One victim at a time: killing is asynchronous (the victim must run to its end), and without that rule a dozen threads
 * that fail at the same moment would kill a dozen programs where one was enough.  The deadline is there because a
 * victim may be stuck behind a lock that the waiting thread holds (a write() whose buffer faults holds an inode's
 * lock).  So no wait here may be unbounded, and after one in vain another victim is chosen.
 *
 * The way out of low memory must not need memory.  The kernel's own allocations may use what ALLOC_USER leaves
 * (mm/page.h); beyond that a dying thread's user pages come from the reserve (vm_user_page), and since it is told not
 * to try again, a dying thread never waits here.
 *
 * When memory cannot be freed by killing (there is no victim left, or the machine is too small for its init), the
 * answer is no, and the caller ends the program that asked.
 *
 * Rejected: returning -ENOMEM from the access (a store has nobody to return it to); freeing the victim's pages from
 * outside while it still runs (it may be in a user copy in the kernel; its own exit is soon enough).
 */
#include "vm/oom.h"

#include "sched/clock.h"
#include "sched/wait.h"
#include "sync/spinlock.h"
#include "vm/internal.h"

#define OOM_WAIT_NS (500 * NSEC_PER_MSEC)

const struct oom_ops *oom_ops;

static struct spinlock oom_lock = SPINLOCK_INIT(LOCK_LEAF, "oom");
static uint64_t oom_freed;	 /* address spaces that went while somebody waited; oom_lock for writing */
static uint64_t oom_deadline_ns; /* until when the present victim is waited for; 0: there is none; oom_lock */
static struct wait_queue oom_waiters = WAIT_QUEUE_INIT(oom_waiters);

bool oom_dying(void)
{
	return oom_ops && oom_ops->dying();
}

uint64_t aspace_resident_pages(const struct aspace *as)
{
	int64_t pages = READ_ONCE(as->resident_anon) + READ_ONCE(as->resident_file);

	return pages > 0 ? (uint64_t)pages : 0;
}

void vm_oom_mark_victim(struct aspace *as)
{
	WRITE_ONCE(as->oom_victim, true);
}

void oom_aspace_gone(bool victim)
{
	/* Any program's end frees memory, but only the victim's lets the next one be chosen. */
	if (!victim && !wait_queue_active(&oom_waiters))
		return;
	{
		SPIN_GUARD(&oom_lock);
		oom_freed++;
		if (victim)
			oom_deadline_ns = 0;
	}
	wait_wake_all(&oom_waiters);
}

/* Whether it is this thread that has to choose; and for the others until when to wait. */
static bool claim_choice(uint64_t *freed, uint64_t *deadline_ns)
{
	uint64_t now = clock_monotonic_ns();
	SPIN_GUARD(&oom_lock);
	bool mine = oom_deadline_ns <= now;

	if (mine)
		oom_deadline_ns = now + OOM_WAIT_NS;
	*freed = oom_freed;
	*deadline_ns = oom_deadline_ns;
	return mine;
}

bool vm_oom(void)
{
	uint64_t freed, deadline_ns;

	if (!oom_ops || oom_dying())
		return false;
	if (claim_choice(&freed, &deadline_ns) && !oom_ops->kill_one()) {
		SPIN_GUARD(&oom_lock);
		if (oom_deadline_ns == deadline_ns)
			oom_deadline_ns = 0;
		return false;
	}

	int err = WAIT_UNTIL(&oom_waiters, READ_ONCE(oom_freed) != freed, WAIT_KILLABLE, deadline_ns);

	(void)err; /* a time-out is as good: the next round chooses another victim */
	return !oom_dying();
}
