/*
 * The storage of a thread of a program: one slab object that holds struct task and behind it the FP save area, so
 * that fork makes one allocation for both.
 */
#include <asm/errno.h>

#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/usercopy.h"
#include "proc/futex.h"
#include "proc/internal.h"
#include "proc/user_return.h"

#define FPU_OFFSET ALIGN_UP(sizeof(struct task), 64)

static struct slab_cache *task_cache;
uint32_t task_total;

void task_init_caches(void)
{
	task_cache = slab_cache_create("task", FPU_OFFSET + fpu_area_bytes(), 64);
	if (!task_cache)
		boot_stop("no memory for the task cache");
}

/* An eighth of the memory may go into threads' stacks and structs; the rest is for programs. Never fewer than a small
 * system needs. */
uint32_t task_limit(void)
{
	static uint32_t limit;

	if (unlikely(!limit)) {
		struct page_stats s;
		page_stats_get(&s);
		uint64_t n = s.total * PAGE_SIZE / 8 / (KSTACK_SIZE + 8192);
		limit = (uint32_t)MIN(MAX(n, 64ull), (uint64_t)PID_MAX - PID_RESERVED);
	}
	return limit;
}

/* Last reference; any context (the scheduler's, after the last switch). */
static void task_release(struct thread *thread)
{
	task_free((struct task *)thread);
}

struct task *task_alloc(void)
{
	struct task *t = slab_alloc(task_cache, 0);
	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->thread.user = true;
	t->thread.release = task_release;
	signal_pending_init(&t->pending);
	futex_task_init(t);
	t->altstack.flags = SS_DISABLE;
	return t;
}

void task_start_running(void *arg)
{
	struct task *t = arg;

	if (!uptr_null(t->set_child_tid))
		(void)!put_user_u32(t->set_child_tid,
				    (uint32_t)t->tid); /* as on Linux a bad address is the program's affair */
	irq_disable();
	user_return(context_user_frame(&t->thread.arch));
	context_enter_user();
}

int task_thread_init(struct task *t, const struct thread *like, void (*entry)(void *task))
{
	int err = thread_init(&t->thread, like, entry, t);
	if (err)
		return err;
	t->thread.arch.fpu = (char *)t + FPU_OFFSET;
	fpu_forget(&t->thread.arch);
	return 0;
}

static void task_memory_free(struct rcu_deferred *d)
{
	slab_free(task_cache, container_of(d, struct task, deferred));
}

void task_free(struct task *t)
{
	signal_pending_flush(&t->pending);
	if (t->cred)
		cred_put(t->cred);
	if (t->account)
		account_put(t->account);
	if (t->process)
		process_put(t->process);
	rcu_defer(&t->deferred, task_memory_free);
}
