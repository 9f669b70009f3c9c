/*
 * Futexes at the end of a thread: robust lists (set_robust_list(2)) and owned PI futexes.
 *
 * A thread's robust list is in its own memory and may be damaged: each link is fetched once, by functions that check
 * it, the walk ends at the first fault, and after ROBUST_LIST_LIMIT links (it may be a circle).  A lock word is changed
 * only if it names the dead thread as its owner.
 *
 * Whoever waits for a PI futex of a thread that has begun this waits until it is over (futex_pi.c).
 */
#include <asm/errno.h>
#include <linux/futex.h>

#include "proc/futex.h"
#include "proc/futex_internal.h"
#include "sched/wait.h"

#ifndef ROBUST_LIST_LIMIT
#define ROBUST_LIST_LIMIT 2048
#endif

void futex_task_init(struct task *t)
{
	t->futex = (struct futex_task){.lock = SPINLOCK_INIT(LOCK_FUTEX_TASK, "owned futexes"), .life = FUTEX_ALIVE};
	list_init(&t->futex.pi_owned);
}

/* A lock word of a dead owner: marked, and one waiter told. False: the memory is bad. */
static bool owner_died(struct task *t, uptr_t word, bool pi, bool pending)
{
	uint32_t v, seen;

	if (!IS_ALIGNED(word.v, 4))
		return false;
	do {
		if (get_user_u32(&v, word) != 0)
			return false;
		/*
		 * Nobody owns it: t died between taking itself out and waking, or after it was woken and before it
		 * took the lock. Somebody may sleep on it.
		 */
		if (pending && !pi && !(v & FUTEX_TID_MASK)) {
			(void)futex_wake(word, 1, ~0u, true);
			return true;
		}
		if ((v & FUTEX_TID_MASK) != (uint32_t)t->tid)
			return true;
		if (arch_cmpxchg_user_u32(word.v, v, (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen) != 0)
			return false;
	} while (seen != v);
	if (!pi && v & FUTEX_WAITERS)
		(void)futex_wake(word, 1, ~0u, true); /* those of a PI futex: futex_pi_exit */
	return true;
}

static void robust_list(struct task *t)
{
	struct robust_list_head head;
	uptr_t start = t->futex.robust_list;

	t->futex.robust_list = uptr(0);
	if (uptr_null(start) || copy_from_user(&head, start, sizeof(head)) != 0)
		return;
	/* Bit 0 of a link marks a PI futex. */
	uint64_t link = (uint64_t)head.list.next, pending = (uint64_t)head.list_op_pending;
	uint64_t offset = (uint64_t)head.futex_offset;
	for (unsigned n = 0; (link & ~1ull) != start.v && n < ROBUST_LIST_LIMIT; n++) {
		uint64_t entry = link & ~1ull, next;
		bool pi = link & 1;
		/* Read before the word is released: its new owner may unmap it. */
		int err = get_user_u64(&next, uptr(entry));
		if (entry != (pending & ~1ull) && !owner_died(t, uptr(entry + offset), pi, false))
			return;
		if (err)
			return;
		link = next;
	}
	if (pending & ~1ull)
		(void)owner_died(t, uptr((pending & ~1ull) + offset), pending & 1, true);
}

void futex_leave(struct task *t, bool again)
{
	uint8_t after = again ? FUTEX_ALIVE : FUTEX_GONE;
	irqflags_t f = spin_lock(&t->futex.lock);
	bool nothing = uptr_null(t->futex.robust_list) && list_empty(&t->futex.pi_owned);

	t->futex.life = nothing ? after : FUTEX_LEAVING;
	spin_unlock(&t->futex.lock, f);
	if (nothing)
		return;
	robust_list(t);
	futex_pi_exit(t);
	f = spin_lock(&t->futex.lock);
	t->futex.life = after;
	spin_unlock(&t->futex.lock, f);
	wait_wake_all(&t->process->thread_event);
}
