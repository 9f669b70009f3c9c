/* Futexes: futex(2). WAIT, WAKE, REQUEUE, CMP_REQUEUE, WAKE_OP, BITSET variants; robust lists (set_robust_list(2)) at
 * exit. Theory in futex.c. */
#pragma once

#include "lib/types.h"

struct task;

/* As the system call; PI operations are -ENOSYS there. deadline: absolute monotonic ns or WAIT_FOREVER. futex_wait
 * ends with 0, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS (no deadline) or -ERESTART_RESTARTBLOCK (prepared). */
long futex_wait(uptr_t addr, uint32_t value, uint32_t bitset, bool shared, uint64_t deadline_ns);
long futex_wake(uptr_t addr, int count, uint32_t bitset, bool shared);
long futex_requeue(uptr_t from, uptr_t to, int wake, int requeue, const uint32_t *expect, bool shared);
long futex_wake_op(uptr_t a, uptr_t b, int wake_a, int wake_b, uint32_t op, bool shared);
/* The exiting thread's robust list: marks owner-died and wakes one waiter each. */
void futex_exit_robust(struct task *t);
void futex_init(void);
