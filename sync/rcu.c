/*
 * Read-copy-update: theory.
 *
 * Purpose: tables that are read all the time and changed rarely (names, process numbers, a process's credentials) are
 * read without a lock and without counting.  Whoever takes an object out of such a table must not free it while another
 * CPU is still looking at it; a reader is somewhere inside a section (rcu_enter … rcu_leave), so it is enough to
 * wait until each CPU has left the section it is in.
 *
 * Sections have interrupts off, so a CPU is in one at most, and it is over soon.  Each CPU counts its steps into and
 * out of sections: an odd number means inside.  A batch of deferred objects is closed together with a look at these
 * numbers; it may be freed once each CPU that was inside then has another number.  Only then: a reader that entered
 * later cannot have found the objects, since they had been taken out before.
 *
 * Memory order.  Reader: (R1) number becomes odd, (R2) full fence, (R3) reads the table.  Writer: (W1) takes the object
 * out, (W2) full fence, (W3) looks at the number.  If W3 sees an even number, R1 comes after it, so R3 comes after W1
 * and finds the object no more.  If it sees an odd one, it waits for the next, which rcu_leave() releases after the
 * section's last read.
 *
 * Batches are per CPU: one is open, one waits. Nobody waits for a batch: whoever fills the open one looks whether the
 * other can go.  So up to two batches a CPU stay, at most 128 objects, until somebody defers more or asks by
 * rcu_drain().
 *
 * Rejected: a count of readers (two locked instructions on a shared line for each look-up); a thread that frees (a
 * section is a path long at most, so the next free can look); readers that may sleep (nobody needs to).
 */
#include "sync/rcu.h"

#include "sync/smp_call.h"
#include "sync/spinlock.h"

#define BATCH 64

struct rcu_batches {
	struct spinlock lock; /* its CPU's, and rcu_drain() */
	struct rcu_deferred *open, *waiting;
	uint32_t open_count;
	uint64_t seen[CPUS_MAX]; /* each CPU's number when `waiting` was closed */
} aligned_to(CACHE_LINE);

struct rcu_cpu rcu_cpus[CPUS_MAX];
static struct rcu_batches batches[CPUS_MAX] = {
	[0 ... CPUS_MAX - 1] = {.lock = SPINLOCK_INIT(LOCK_LEAF, "rcu batches")},
};

static void look(uint64_t seen[CPUS_MAX])
{
	atomic_fence();
	CPUS_FOR_EACH(cpu)
		seen[cpu] = atomic_load_acquire(&rcu_cpus[cpu].seq);
}

/* Whether all sections that `seen` saw are over. */
static bool passed(const uint64_t seen[CPUS_MAX])
{
	CPUS_FOR_EACH(cpu)
		if ((seen[cpu] & 1) && atomic_load_acquire(&rcu_cpus[cpu].seq) == seen[cpu])
			return false;
	return true;
}

static void free_all(struct rcu_deferred *d)
{
	while (d) {
		struct rcu_deferred *next = d->next;

		d->free(d);
		d = next;
	}
}

void rcu_defer(struct rcu_deferred *d, void (*fn)(struct rcu_deferred *d))
{
	struct rcu_deferred *done = NULL;

	/* This CPU is in no section: the caller isn't, and sections are not pre-empted. */
	if (likely(cpus_online == 1)) {
		fn(d);
		return;
	}
	d->free = fn;

	irqflags_t f = irq_save();
	struct rcu_batches *b = &batches[this_cpu()->id];
	spin_acquire(&b->lock);
	d->next = b->open;
	b->open = d;
	if (++b->open_count >= BATCH && passed(b->seen)) {
		done = b->waiting;
		b->waiting = b->open;
		b->open = NULL;
		b->open_count = 0;
		look(b->seen);
	}
	spin_release(&b->lock);
	irq_restore(f);
	free_all(done);
}

void rcu_drain(void)
{
	uint64_t seen[CPUS_MAX] = {0};
	struct rcu_deferred *all[2 * CPUS_MAX];
	unsigned n = 0;

	CPUS_FOR_EACH(cpu) {
		struct rcu_batches *b = &batches[cpu];
		irqflags_t f = spin_lock(&b->lock);

		all[n++] = b->open;
		all[n++] = b->waiting;
		b->open = b->waiting = NULL;
		b->open_count = 0;
		spin_unlock(&b->lock, f);
	}
	look(seen);
	while (!passed(seen))
		cpu_relax();
	while (n)
		free_all(all[--n]);
}
