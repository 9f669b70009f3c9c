/*
 * Lock checking: theory.
 *
 * Two threads that take two locks in opposite order hang only when they meet; a rank list makes the mistake visible
 * each time the order is wrong, also when nobody else is there.  Every lock has a rank (lock_order.h), and a context
 * may take a lock only if all it holds rank lower.  If everybody keeps to it no cycle of waiters can exist, since along
 * a cycle the rank would have to rise for ever.
 *
 * A context is a thread, or a CPU while it serves an interrupt (irq_depth != 0): handlers are not part of the thread
 * they interrupted, and since a spinlock keeps interrupts out, a handler never finds its own CPU's spinlocks held.
 * That is checked from both sides: a spinlock is taken with interrupts off, and a handler that takes one finds none
 * with whom it interrupted.  A handler takes no lock that sleeps, not even by a try: it is not the owner a mutex could
 * name.  Before threads exist the boot CPU has a stack of its own as well.
 *
 * Each context's stack is touched by that context only, so nothing here takes a lock.  But a thread that is pre-empted
 * goes through the scheduler's locks on its own stack, so no change of a stack may be interrupted half-way: interrupts
 * are off for its length.
 *
 * Release out of order is normal (guards, hand-over-hand), so a release searches from the top.  The owner's stack knows
 * only locks that the same context releases; a lock is never passed to another thread.
 *
 * Everything here goes quiet once a panic is under way: the report itself must not be stopped by a lock that the
 * panicking code held.
 *
 * Rejected: learning the order at run time (a graph of classes with cycle search).  It finds undeclared orders, but a
 * declared list is also documentation, costs a comparison per held lock, and needs no memory.
 */
#include "sync/lockdep.h"

#include <arch/cpu.h>
#include <arch/layout.h>
#include <arch/trap.h>
#include "core/panic.h"
#include "core/symbols.h"
#include "lib/printf.h"
#include "sync/lock_order.h"

struct lockdep_stack *(*lockdep_current)(void);

static struct lockdep_stack boot_stack;
static struct lockdep_stack irq_stacks[CONFIG_DEBUG ? CPUS_MAX : 1];
static bool boot_is_done;

void (*lockdep_test_hook)(void);

/* In the middle of a change: here a test looks whether anybody could come between. */
static always_inline void half_way(void)
{
	if (CONFIG_KTEST && lockdep_test_hook)
		lockdep_test_hook();
}

static bool lockdep_off(void)
{
	return !CONFIG_DEBUG || READ_ONCE(panic_in_progress);
}

static bool in_handler(void)
{
	return lockdep_current && cpu_in_interrupt();
}

/* The stack of the running context. */
static struct lockdep_stack *context_stack(void)
{
	if (!lockdep_current)
		return &boot_stack;
	if (in_handler())
		return &irq_stacks[CONFIG_DEBUG ? this_cpu()->id : 0];
	struct lockdep_stack *s = lockdep_current();
	return s ? s : &boot_stack;
}

/* fp: the frame of the function that `where` returns into is the first one above it. */
static void push(struct lockdep_stack *s, const void *lock, unsigned rank, const char *name, bool sleeping,
		 const void *where, const void *fp)
{
	if ((int)s->depth >= LOCKDEP_DEPTH)
		panic("lockdep: more than %d locks held while taking %s", LOCKDEP_DEPTH, name);
	struct lockdep_held *h = &s->held[s->depth++];
	half_way();
	*h = (struct lockdep_held){.lock = lock,
				   .name = name,
				   .where = where,
				   .rank = (uint8_t)rank,
				   .sleeping = sleeping};
	uint64_t addrs[LOCKDEP_CALLERS + 1]; /* the first is `where` */
	unsigned n = trap_backtrace((uint64_t)fp, (uint64_t)fp, (uint64_t)fp + KSTACK_SIZE, addrs, ARRAY_SIZE(addrs));
	for (unsigned i = 1; i < n; i++)
		h->callers[i - 1] = addrs[i];
}

static void check_order(const struct lockdep_stack *s, const void *lock, unsigned rank, const char *name, bool sleeping,
			const void *where)
{
	for (unsigned i = s->depth; i-- > 0;) {
		const struct lockdep_held *h = &s->held[i];
		if (h->lock == lock)
			panic("lockdep: %s (rank %u) taken again at %p by its holder (first at %p)", name, rank, where,
			      h->where);
		if (sleeping && !h->sleeping)
			panic("lockdep: %s (rank %u), which may sleep, taken at %p under spinlock %s (rank %u, taken "
			      "at %p)",
			      name, rank, where, h->name, h->rank, h->where);
		if (h->rank >= rank)
			panic("lockdep: %s (rank %u) taken at %p under %s (rank %u, taken at %p)", name, rank, where,
			      h->name, h->rank, h->where);
	}
}

/* A lock that handlers take too must keep them out, and one that is held while they run must not be theirs. */
static void check_context(unsigned rank, const char *name, bool sleeping, const void *where)
{
	if (!in_handler()) {
		if (!sleeping && irq_enabled())
			panic("lockdep: spinlock %s (rank %u) taken at %p with interrupts on", name, rank, where);
		return;
	}
	const struct lockdep_stack *s = lockdep_current();
	for (unsigned i = s ? s->depth : 0; i-- > 0;)
		if (!s->held[i].sleeping)
			panic("lockdep: %s (rank %u) taken at %p in a handler that interrupted the holder of spinlock "
			      "%s "
			      "(rank %u, taken at %p)",
			      name, rank, where, s->held[i].name, s->held[i].rank, s->held[i].where);
	if (sleeping)
		panic("lockdep: %s (rank %u), which may sleep, taken at %p in an interrupt handler", name, rank, where);
}

void lockdep_acquire(const void *lock, unsigned rank, const char *name, bool sleeping)
{
	if (lockdep_off())
		return;
	const void *where = __builtin_return_address(0);
	if (rank == LOCK_NONE || !name)
		panic("lockdep: lock %p taken at %p was never initialised", lock, where);
	check_context(rank, name, sleeping, where);
	irqflags_t f = irq_save();
	struct lockdep_stack *s = context_stack();
	check_order(s, lock, rank, name, sleeping, where);
	push(s, lock, rank, name, sleeping, where, __builtin_frame_address(0));
	irq_restore(f);
}

void lockdep_acquire_tried(const void *lock, unsigned rank, const char *name, bool sleeping)
{
	if (lockdep_off())
		return;
	const void *where = __builtin_return_address(0);
	check_context(rank, name, sleeping, where);
	irqflags_t f = irq_save();
	push(context_stack(), lock, rank, name, sleeping, where, __builtin_frame_address(0));
	irq_restore(f);
}

/* False: it was not there. */
static bool pop(struct lockdep_stack *s, const void *lock)
{
	for (unsigned i = s->depth; i-- > 0;) {
		if (s->held[i].lock != lock)
			continue;
		for (unsigned j = i + 1; j < s->depth; j++)
			s->held[j - 1] = s->held[j];
		half_way();
		s->depth--;
		return true;
	}
	return false;
}

void lockdep_release(const void *lock)
{
	if (lockdep_off())
		return;
	irqflags_t f = irq_save();
	if (!pop(context_stack(), lock))
		panic("lockdep: lock %p released at %p but not held", lock, __builtin_return_address(0));
	irq_restore(f);
}

bool lockdep_holds(const void *lock)
{
	if (lockdep_off())
		return true;
	const struct lockdep_stack *s = context_stack();
	for (unsigned i = 0; i < s->depth; i++)
		if (s->held[i].lock == lock)
			return true;
	return false;
}

void lockdep_boot_done(void)
{
	boot_is_done = true;
}

void lockdep_may_sleep(void)
{
	if (lockdep_off())
		return;
	const void *where = __builtin_return_address(0);
	if (in_handler())
		panic("lockdep: sleep in an interrupt handler at %p", where);
	const struct lockdep_stack *s = context_stack();
	for (unsigned i = 0; i < s->depth; i++)
		if (!s->held[i].sleeping)
			panic("lockdep: sleep at %p under spinlock %s (taken at %p)", where, s->held[i].name,
			      s->held[i].where);
	if (boot_is_done && !irq_enabled())
		panic("lockdep: sleep at %p with interrupts off", where);
}

/* Return addresses lie behind their calls, hence the -1. */
static const char *function_at(uint64_t address, unsigned long long *offset)
{
	uintptr_t at = 0;
	const char *name = symbol_lookup(address - 1, &at);

	*offset = (unsigned long long)at + 1;
	return name ? name : "?";
}

void lockdep_print(const struct lockdep_stack *s, void (*out)(const char *line))
{
	if (!CONFIG_DEBUG)
		return;
	for (int i = 0; i < MIN((int)s->depth, LOCKDEP_DEPTH); i++) {
		const struct lockdep_held *h = &s->held[i];
		unsigned long long offset;
		const char *function = function_at((uintptr_t)h->where, &offset);
		char line[160];
		snprintf(line, sizeof line, "  holds %s (rank %u) %p, taken in %s+0x%llx", h->name, h->rank, h->lock,
			 function, offset);
		out(line);
		for (unsigned k = 0; k < LOCKDEP_CALLERS && h->callers[k]; k++) {
			function = function_at(h->callers[k], &offset);
			snprintf(line, sizeof line, "    called from %s+0x%llx", function, offset);
			out(line);
		}
	}
}

void lockdep_print_held(void (*out)(const char *line))
{
	if (!CONFIG_DEBUG)
		return;
	const struct lockdep_stack *here = context_stack();
	const struct lockdep_stack *thread = lockdep_current ? lockdep_current() : NULL;
	if (here->depth || (thread && thread->depth))
		out("locks:");
	lockdep_print(here, out);
	if (thread && thread != here)
		lockdep_print(thread, out);
}
