/*
 * Futexes: futex(2), futex_waitv(2), and robust lists (set_robust_list(2)).  Theory in futex.c, of PI futexes in
 * futex_pi.c.
 *
 * All take what the system call takes.  shared: without FUTEX_PRIVATE_FLAG.  Deadlines are absolute monotonic ns, or
 * WAIT_FOREVER.  All may sleep.  Common errors: -EINVAL (a word that is not aligned, a bitset of 0, a plain operation
 * that meets a waiter of a PI futex), -EFAULT.
 */
#pragma once

#include "lib/types.h"

struct task;
struct futex_waitv;

/* Plain futexes: 0 or how many were woken (and moved). futex_wait ends with 0, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS (no
 * deadline) or -ERESTART_RESTARTBLOCK (prepared). futex_wake_op: -ENOSYS for an operation or comparison there
 * is not. */
long futex_wait(uptr_t addr, uint32_t value, uint32_t bitset, bool shared, uint64_t deadline_ns);
long futex_wake(uptr_t addr, int count, uint32_t bitset, bool shared);
long futex_requeue(uptr_t from, uptr_t to, int wake, int requeue, const uint32_t *expect, bool shared);
long futex_wake_op(uptr_t a, uptr_t b, int wake_a, int wake_b, uint32_t op, bool shared);
/* futex_waitv(2): of the n (1..FUTEX_WAITV_MAX) words in kernel memory the index of one that was woken; -EAGAIN,
 * -ETIMEDOUT, -ERESTARTSYS, -ENOMEM, -EINVAL (flags of an entry). */
long futex_wait_any(const struct futex_waitv *words, unsigned n, uint64_t deadline_ns);

/* PI futexes. Lock: 0, -EDEADLK, -ESRCH (no such owner), -EAGAIN (try), -ETIMEDOUT, -ENOMEM, -ERESTARTNOINTR. */
long futex_lock_pi(uptr_t addr, bool shared, uint64_t deadline_ns, bool try);
long futex_unlock_pi(uptr_t addr, bool shared); /* -EPERM: not the owner */
/* FUTEX_WAIT_REQUEUE_PI: 0: it holds the lock at `to`. FUTEX_CMP_REQUEUE_PI: how many were moved or given the lock. */
long futex_wait_requeue_pi(uptr_t addr, uint32_t value, uptr_t to, bool shared, uint64_t deadline_ns);
long futex_requeue_pi(uptr_t from, uptr_t to, int wake, int requeue, uint32_t expect, bool shared);

/* A new thread, before it can be found. */
void futex_task_init(struct task *t);
/* The calling thread leaves its memory (exit, exec): its robust list and its PI futexes are given up, FUTEX_OWNER_DIED
 * set. again: it lives on in other memory. */
void futex_leave(struct task *t, bool again);
/* Boot order step, after the CPUs are counted. */
void futex_init(void);
