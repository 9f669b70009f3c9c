/*
 * Spinlocks, reference counts and what lock checking can be asked without making it panic.
 */
#include <arch/cpu.h>
#include "core/ktest.h"
#include "sync/lockdep.h"
#include "sync/refcount.h"
#include "sync/spinlock.h"

KTEST(sync, spinlock_keeps_interrupts_off)
{
	struct spinlock outer, inner;
	spin_init(&outer, LOCK_DEVICE, "outer");
	spin_init(&inner, LOCK_LEAF, "inner");
	KTEST_TRUE(irq_enabled());
	irqflags_t f = spin_lock(&outer);
	bool off_outer = !irq_enabled(), locked = spin_is_locked(&outer);
	irqflags_t g = spin_lock(&inner);
	spin_unlock(&inner, g);
	bool still_off = !irq_enabled();
	spin_unlock(&outer, f);
	KTEST_TRUE(off_outer && still_off && locked);
	KTEST_TRUE(irq_enabled() && !spin_is_locked(&outer));
}

static void guarded(struct spinlock *l, bool *was_locked)
{
	SPIN_GUARD(l);
	*was_locked = spin_is_locked(l) && lockdep_holds(l);
}

KTEST(sync, spin_guard_ends_with_its_scope)
{
	struct spinlock l;
	bool was_locked = false;
	spin_init(&l, LOCK_LEAF, "guarded");
	for (unsigned i = 0; i < 1000; i++)
		guarded(&l, &was_locked);
	KTEST_TRUE(was_locked && !spin_is_locked(&l) && irq_enabled());
}

KTEST(sync, refcount_saturates)
{
	struct refcount r;
	refcount_init(&r, 1);
	refcount_get(&r);
	KTEST_TRUE(!refcount_put(&r));
	KTEST_TRUE(refcount_get_unless_zero(&r));
	KTEST_TRUE(!refcount_put(&r));
	KTEST_TRUE(refcount_put(&r));
	KTEST_TRUE(!refcount_get_unless_zero(&r));
	KTEST_TRUE(!refcount_put(&r)); /* one too many: stuck for good */
	KTEST_EQ(refcount_read(&r), REFCOUNT_SATURATED);
	refcount_init(&r, INT32_MAX);
	refcount_get(&r);
	KTEST_EQ(refcount_read(&r), REFCOUNT_SATURATED);
	KTEST_TRUE(!refcount_put(&r));
}

KTEST(sync, lockdep_allows_release_in_any_order)
{
	if (!CONFIG_DEBUG)
		ktest_skip("lock checking is in debug builds only");
	struct spinlock a, b, c;
	spin_init(&a, LOCK_DEVICE, "a");
	spin_init(&b, LOCK_WAITQUEUE, "b");
	spin_init(&c, LOCK_LEAF, "c");
	irqflags_t f = spin_lock(&a), g = spin_lock(&b), h = spin_lock(&c);
	bool all = lockdep_holds(&a) && lockdep_holds(&b) && lockdep_holds(&c);
	spin_unlock(&a, g);
	bool two = !lockdep_holds(&a) && lockdep_holds(&b) && lockdep_holds(&c);
	spin_unlock(&c, h);
	spin_unlock(&b, f);
	KTEST_TRUE(all && two);
	KTEST_TRUE(!lockdep_holds(&b) && !lockdep_holds(&c));
	lockdep_may_sleep(); /* panics if something were left */
}

/*
 * A thread's stack of locks is changed by itself and, if it is pre-empted, by the scheduler on its behalf: nobody may
 * come between the halves of a change.  The hook is in the middle of each, in whatever context.
 */
static uint32_t changes, open_changes;

static void look_half_way(void)
{
	__atomic_fetch_add(&changes, 1, __ATOMIC_RELAXED);
	if (irq_enabled())
		__atomic_fetch_add(&open_changes, 1, __ATOMIC_RELAXED);
}

KTEST(sync, lockdep_changes_a_stack_uninterrupted)
{
	static const char lock; /* lockdep knows it by its address */
	if (!CONFIG_DEBUG)
		ktest_skip("lock checking is in debug builds only");
	KTEST_TRUE(irq_enabled());
	changes = open_changes = 0;
	lockdep_test_hook = look_half_way;
	for (unsigned i = 0; i < 10; i++) {
		lockdep_acquire(&lock, LOCK_PIPE, "sleeping", true);
		lockdep_release(&lock);
		lockdep_acquire_tried(&lock, LOCK_PIPE, "sleeping", true);
		lockdep_release(&lock);
	}
	lockdep_test_hook = NULL;
	KTEST_TRUE(changes >= 40);
	KTEST_EQ(open_changes, 0);
}
