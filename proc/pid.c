/*
 * Process numbers.
 *
 * One number names up to four things at once: a thread, the process it leads, a process group, a session; it is free
 * again only when none of them is left, so a group keeps its leader's number from being given to a stranger. Numbers
 * are handed out in rising order and wrap (a number just freed stays unused for long), found by a bitmap; what a
 * number means is a two-level table, so a look-up is two loads. Table pages come when first needed and stay: 4 KiB
 * for 128 numbers.
 *
 * Locking: pid_lock (a leaf) guards changes of bitmap and table. Look-ups of tasks and processes take no lock: the
 * table borrows, whoever ends an object clears its slot first, and its memory is freed by rcu_defer() (sync/rcu.h), so
 * a look-up that found it can still try to take a reference (refcount_get_unless_zero).
 */
#include <asm/errno.h>

#include "lib/bitmap.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/internal.h"

#define SLOTS_PER_PAGE (PAGE_SIZE / sizeof(struct pid_slot))
#define SLOT_PAGES (PID_MAX / SLOTS_PER_PAGE)

static struct spinlock pid_lock = SPINLOCK_INIT(LOCK_LEAF, "pid map");
static uint64_t pid_used[BITMAP_WORDS(PID_MAX)];
static struct pid_slot *pid_slots[SLOT_PAGES];
static int pid_last;

/* NULL where no number of that page was ever used. Slots are never freed. */
static struct pid_slot *slot_of(int pid)
{
	if (pid <= 0 || pid >= PID_MAX)
		return NULL;
	struct pid_slot *page = atomic_load_acquire(&pid_slots[(unsigned)pid / SLOTS_PER_PAGE]);
	return page ? &page[(unsigned)pid % SLOTS_PER_PAGE] : NULL;
}

static size_t free_number(void)
{
	size_t n = bitmap_next_zero(pid_used, PID_MAX, (size_t)pid_last + 1);
	if (n >= PID_MAX)
		n = bitmap_next_zero(pid_used, PID_MAX, PID_RESERVED);
	return n;
}

/* Room for what the numbers around n mean. -ENOMEM. */
static int slots_make(size_t n)
{
	struct pid_slot *page = kzalloc(PAGE_SIZE);

	if (!page)
		return -ENOMEM;
	irqflags_t f = spin_lock(&pid_lock);
	if (!pid_slots[n / SLOTS_PER_PAGE]) {
		atomic_store_release(&pid_slots[n / SLOTS_PER_PAGE], page);
		page = NULL;
	}
	spin_unlock(&pid_lock, f);
	kfree(page);
	return 0;
}

int pid_alloc(int *out)
{
	for (;;) {
		irqflags_t f = spin_lock(&pid_lock);
		size_t n = free_number();
		if (n >= PID_MAX) {
			spin_unlock(&pid_lock, f);
			return -EAGAIN;
		}
		n = MAX(n, (size_t)1);
		if (pid_slots[n / SLOTS_PER_PAGE]) {
			bitmap_set(pid_used, n);
			pid_last = (int)n;
			spin_unlock(&pid_lock, f);
			*out = (int)n;
			return 0;
		}
		spin_unlock(&pid_lock, f);
		int err = slots_make(n);
		if (err)
			return err;
	}
}

int pid_alloc_this(int pid)
{
	size_t n = (size_t)pid;

	for (;;) {
		irqflags_t f = spin_lock(&pid_lock);
		bool used = bitmap_test(pid_used, n), room = pid_slots[n / SLOTS_PER_PAGE];
		if (!used && room)
			bitmap_set(pid_used, n);
		spin_unlock(&pid_lock, f);
		if (used || room)
			return used ? -EEXIST : 0;
		int err = slots_make(n);
		if (err)
			return err;
	}
}

void pid_cancel(int pid)
{
	SPIN_GUARD(&pid_lock);
	bitmap_clear(pid_used, (size_t)pid);
}

static void **slot_field(struct pid_slot *s, enum pid_kind kind)
{
	switch (kind) {
	case PID_TASK:
		return (void **)&s->task;
	case PID_PROCESS:
		return (void **)&s->process;
	case PID_GROUP:
		return (void **)&s->group;
	case PID_SESSION:
		return (void **)&s->session;
	}
	return NULL;
}

void pid_set(int pid, enum pid_kind kind, void *what)
{
	SPIN_GUARD(&pid_lock);
	atomic_store_release(slot_field(slot_of(pid), kind), what);
}

void pid_clear(int pid, enum pid_kind kind)
{
	SPIN_GUARD(&pid_lock);
	struct pid_slot *s = slot_of(pid);

	atomic_store_release(slot_field(s, kind), NULL);
	if (!s->task && !s->process && !s->group && !s->session)
		bitmap_clear(pid_used, (size_t)pid);
}

void *pid_lookup(int pid, enum pid_kind kind)
{
	SPIN_GUARD(&pid_lock);
	struct pid_slot *s = slot_of(pid);

	return s ? *slot_field(s, kind) : NULL;
}

int pid_next(int pid, enum pid_kind kind)
{
	SPIN_GUARD(&pid_lock);
	size_t n = (size_t)MAX(pid, 1);

	while ((n = bitmap_next_set(pid_used, PID_MAX, n)) < PID_MAX) {
		struct pid_slot *s = slot_of((int)n);
		if (s && *slot_field(s, kind))
			return (int)n;
		n++;
	}
	return -1;
}

struct process *process_find(int pid)
{
	irqflags_t f = rcu_enter();
	struct pid_slot *s = slot_of(pid);
	struct process *p = s ? atomic_load_acquire(&s->process) : NULL;

	if (p && !refcount_get_unless_zero(&p->refs))
		p = NULL;
	rcu_leave(f);
	return p;
}

struct task *task_find(int tid)
{
	irqflags_t f = rcu_enter();
	struct pid_slot *s = slot_of(tid);
	struct task *t = s ? atomic_load_acquire(&s->task) : NULL;

	if (t && !refcount_get_unless_zero(&t->thread.refs))
		t = NULL;
	rcu_leave(f);
	return t;
}

int process_last_pid(void)
{
	return READ_ONCE(pid_last);
}
