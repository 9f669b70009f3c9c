/*
 * Choosing who dies when memory is gone (vm/oom.h): the process whose end frees most, weighed by oom_score_adj as on
 * Linux (man 5 proc, oom_score_adj: -1000 never, each point a thousandth of memory).  Never PID 1.
 */
#include "vm/oom.h"

#include "core/log.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "proc/internal.h"

struct choice {
	struct process *best; /* counted */
	int64_t points;
	int64_t total_pages;
};

/* Its pages, and the tables that say where they are: those may be all there is. */
static uint64_t used_pages(const struct aspace *as)
{
	return aspace_resident_pages(as) + pgtable_page_count(as->mmu.root);
}

int64_t oom_points(struct process *p, int64_t total_pages)
{
	SPIN_GUARD(&p->lock);
	if (!p->aspace || p->oom_score_adj == -1000)
		return 0;
	int64_t points = (int64_t)used_pages(p->aspace) + p->oom_score_adj * total_pages / 1000;
	return MAX(points, (int64_t)1);
}

static bool consider(struct process *p, void *arg)
{
	struct choice *c = arg;

	if (p == process_init_process || p->zombie || READ_ONCE(p->group_exiting))
		return true;
	int64_t points = oom_points(p, c->total_pages);
	if (points > c->points) {
		if (c->best)
			process_put(c->best);
		process_get(p);
		c->best = p;
		c->points = points;
	}
	return true;
}

static bool kill_one(void)
{
	struct page_stats s;
	char comm[16];

	page_stats_get(&s);
	struct choice c = {.total_pages = (int64_t)s.total};
	process_for_each(consider, &c);
	if (!c.best)
		return false;
	struct aspace *as = process_aspace(c.best);
	irqflags_t f = spin_lock(&c.best->lock);
	memcpy(comm, c.best->comm, sizeof(comm));
	spin_unlock(&c.best->lock, f);
	if (as) {
		vm_oom_mark_victim(as);
		log_write(LOG_ERR, "memory: out of memory, killing process %d (%s), which has %llu KiB of %llu KiB",
			  c.best->pid, comm, (unsigned long long)(used_pages(as) * (PAGE_SIZE / KIB)),
			  (unsigned long long)(s.total * (PAGE_SIZE / KIB)));
	}
	(void)!signal_send_process(c.best, SIGKILL, NULL);
	if (as)
		aspace_put(as);
	process_put(c.best);
	return true;
}

static bool dying(void)
{
	struct thread *t = thread_current();

	return t && t->user && thread_has_work(t, WORK_KILL);
}

static const struct oom_ops ops = {.kill_one = kill_one, .dying = dying};

void oom_init(void)
{
	oom_ops = &ops;
}
