/*
 * Threads: theory.
 *
 * A struct thread is embedded in what owns it: proc/'s struct for a program's thread, nothing but itself for a kernel
 * thread.  It has two kinds of holders: the owner's references, and one of the scheduler's from thread_start() until
 * the thread has been switched away from for good.  The last reference calls release().
 *
 * Birth: thread_init() makes it complete but for the run queue, so it can still be undone (thread_fini); thread_start()
 * cannot fail.  A new thread begins in thread_begin() with interrupts off, as if it returned from a switch, and does
 * what every thread does after one.
 *
 * Death: thread_exit() switches away and sets DEAD.  Nobody can free a stack they stand on, so the next thread on the
 * CPU does it (sched_finish_switch → thread_reap): stack to the cache, off the list, reference dropped.
 *
 * All threads are on one list under thread_list_lock, for ps and the monitor; the idle threads are not.
 */
#include "sched/thread.h"

#include <asm/errno.h>
#include <linux/sched.h>

#include <arch/cpu.h>
#include <arch/time.h>
#include "core/panic.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include "sched/group.h"
#include "sched/internal.h"
#include "sched/queues.h"
#include "sched/sched.h"
#include "sync/spinlock.h"

static struct spinlock thread_list_lock = SPINLOCK_INIT(LOCK_THREAD_LIST, "threads");
static struct list threads = LIST_INIT(threads); /* thread_list_lock */
static uint64_t created_count;			 /* thread_list_lock */
static uint32_t alive_count;			 /* thread_list_lock */

static void thread_begin(void *arg)
{
	struct thread *t = arg;
	sched_finish_switch();
	irq_enable();
	t->entry(t->entry_arg);
	thread_exit();
}

/* What a thread hands on. A boost is not it, and neither is DEADLINE: its bandwidth was admitted for one thread. */
static void inherit(struct thread *t, const struct thread *like)
{
	irqflags_t f;
	struct run_queue *rq = queue_lock(like, &f); /* policy and priority belong together */
	t->nice = like->nice;
	t->slice_ns = like->slice_ns;
	t->affinity = like->affinity;
	memcpy(t->name, like->name, sizeof t->name);
	if (like->reset_on_fork) {
		t->nice = MAX(t->nice, 0);
		t->slice_ns = SLICE_NS;
	}
	/* Resetting leaves the fair policies as they are (man 7 sched). */
	if (like->policy != SCHED_DEADLINE && !(like->reset_on_fork && like->rt_priority)) {
		t->policy = like->policy;
		t->rt_priority = like->rt_priority;
	}
	spin_unlock(&rq->lock, f);
}

int thread_init(struct thread *t, const struct thread *like, void (*entry)(void *arg), void *arg)
{
	void *stack = kstack_alloc();
	if (!stack)
		return -ENOMEM;
	context_init(&t->arch, (char *)stack + KSTACK_SIZE, thread_begin, t);
	t->stack = stack;
	t->entry = entry;
	t->entry_arg = arg;
	t->state = THREAD_RUNNABLE;
	t->cpu = this_cpu()->id;
	t->affinity = UINT64_MAX;
	t->slice_ns = SLICE_NS;
	refcount_init(&t->refs, 1);
	pi_thread_init(t);
	if (like)
		inherit(t, like);
	t->group = like ? sched_group_get((struct thread *)like) : &sched_root_group;
	thread_set_effective(t);
	irqflags_t f = spin_lock(&thread_list_lock);
	list_push_back(&threads, &t->all_node);
	created_count++;
	alive_count++;
	spin_unlock(&thread_list_lock, f);
	return 0;
}

static void unlist(struct thread *t)
{
	irqflags_t f = spin_lock(&thread_list_lock);
	list_remove(&t->all_node);
	alive_count--;
	spin_unlock(&thread_list_lock, f);
}

void thread_fini(struct thread *t)
{
	unlist(t);
	sched_group_put(t->group);
	t->group = NULL;
	kstack_free(t->stack);
	t->stack = NULL;
	t->state = THREAD_DEAD;
}

void thread_start(struct thread *t)
{
	thread_get(t); /* the scheduler's */
	t->in_user = t->user;
	sched_start_new(t);
}

void thread_reap(struct thread *t)
{
	unlist(t);
	kstack_free(t->stack);
	t->stack = NULL;
	thread_put(t);
}

noreturn void thread_exit(void)
{
	struct thread *t = thread_current();
	irq_disable();
	if (CONFIG_DEBUG && t->locks.depth)
		panic("thread %s exits with %s held", t->name, t->locks.held[0].name);
	sched_switch_dead();
	panic("a dead thread runs");
}

void thread_put(struct thread *t)
{
	if (!refcount_put(&t->refs))
		return;
	sched_group_put(t->group);
	t->group = NULL;
	if (t->release)
		t->release(t);
	else
		kfree(t);
}

int thread_create(void (*fn)(void *arg), void *arg, const char *name)
{
	struct thread *t = kzalloc(sizeof *t);
	if (!t)
		return -ENOMEM;
	int err = thread_init(t, NULL, fn, arg);
	if (err) {
		kfree(t);
		return err;
	}
	thread_set_name(t, name);
	thread_start(t);
	thread_put(t);
	return 0;
}

void thread_set_name(struct thread *t, const char *name)
{
	strlcpy(t->name, name, sizeof t->name);
}

void thread_setup_idle(struct thread *t, unsigned cpu)
{
	*t = (struct thread){.state = THREAD_RUNNABLE,
			     .cpu = cpu,
			     .affinity = BIT(cpu),
			     .slice_ns = SLICE_NS,
			     .group = &sched_root_group};
	thread_set_effective(t);
	refcount_init(&t->refs, 1);
	pi_thread_init(t);
	snprintf(t->name, sizeof t->name, "idle/%u", cpu);
}

void thread_for_each(void (*fn)(struct thread *t, void *arg), void *arg)
{
	struct thread *t;
	bool locked = !panic_in_progress; /* whoever holds the lock then does not run any more */
	irqflags_t f = {0};
	if (locked)
		f = spin_lock(&thread_list_lock);
	LIST_FOR_EACH(t, &threads, all_node)
		fn(t, arg);
	if (locked)
		spin_unlock(&thread_list_lock, f);
}

void thread_counts(uint64_t *created, uint32_t *alive)
{
	*created = READ_ONCE(created_count);
	*alive = READ_ONCE(alive_count);
}
