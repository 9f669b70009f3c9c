/*
 * /proc/[pid]/maps, smaps, cmdline, environ, auxv and mem (man 5 proc): what lies in a program's memory, and where.
 */
#include <asm/errno.h>

#include "lib/printf.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "proc/procfs_internal.h"
#include "vm/aspace.h"

typedef unsigned long long ull;

#define COPY_BYTES 512u

/* Counted; NULL in *out when it has no memory (any more). may_look: also check that the caller may see it. */
static int memory_of(int pid, bool may_look, struct aspace **out)
{
	struct process *p = process_find(pid);

	if (!p)
		return -ESRCH;
	struct aspace *as = process_aspace(p); /* first: an exec in between may take the right away */
	int err = may_look && !process_may_read(p) ? -EACCES : 0;
	process_put(p);
	if (!err)
		*out = as;
	else if (as)
		aspace_put(as);
	return err;
}

static void show_area(const struct area_view *v, struct text *t)
{
	char line[128];

	/* man 5 proc: the name begins in column 74. */
	(void)snprintf(line, sizeof(line), "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu", (ull)v->start, (ull)v->end,
		       v->flags & AREA_READ ? 'r' : '-', v->flags & AREA_WRITE ? 'w' : '-',
		       v->flags & AREA_EXEC ? 'x' : '-', v->flags & AREA_SHARED ? 's' : 'p', (ull)v->offset,
		       (unsigned)(v->dev >> 32), (unsigned)v->dev, (ull)v->ino);
	if (v->name[0])
		text_printf(t, "%-72s %s\n", line, v->name);
	else
		text_printf(t, "%s \n", line);
}

int procfs_show_maps(int pid, int tid, struct text *t)
{
	struct aspace *as;
	struct area_view *v;
	int err = memory_of(pid, true, &as);

	(void)tid;
	if (err || !as)
		return err;
	v = kmalloc(sizeof(*v));
	for (uint64_t at = 0; v && aspace_area_view(as, at, v); at = v->end)
		show_area(v, t);
	kfree(v);
	aspace_put(as);
	return v ? 0 : -ENOMEM;
}

struct area_pages {
	uint64_t present, dirty;
};

static void count_pages(struct aspace *as, const struct area_view *v, struct area_pages *out)
{
	*out = (struct area_pages){0};
	vaddr_t va = vaddr(v->start), end = vaddr(v->end);

	while (va.v < end.v) {
		unsigned count;
		/* A table at a time, so that the lock is not held for long. */
		SPIN_GUARD(&as->table_lock);
		pte_t *e = pgtable_run(as->mmu.root, &va, end, &count);
		if (!e)
			return;
		for (unsigned i = 0; i < count; i++) {
			out->present += pte_present(e[i]);
			out->dirty += pte_present(e[i]) && pte_dirty(e[i]);
		}
		va.v += (uint64_t)count << PAGE_SHIFT;
	}
}

int procfs_show_smaps(int pid, int tid, struct text *t)
{
	struct aspace *as;
	struct area_view *v;
	struct area_pages n;
	int err = memory_of(pid, true, &as);

	(void)tid;
	if (err || !as)
		return err;
	v = kmalloc(sizeof(*v));
	for (uint64_t at = 0; v && aspace_area_view(as, at, v); at = v->end) {
		show_area(v, t);
		count_pages(as, v, &n);
		bool shared = v->flags & AREA_SHARED;
		ull page_kib = PAGE_SIZE / KIB, rss = n.present * page_kib, dirty = n.dirty * page_kib,
		    clean = rss - dirty;
		text_printf(t, "Size:           %8llu kB\nKernelPageSize:        4 kB\nMMUPageSize:           4 kB\n",
			    (ull)((v->end - v->start) / KIB));
		text_printf(t, "Rss:            %8llu kB\nPss:            %8llu kB\n", rss, rss);
		text_printf(t,
			    "Shared_Clean:   %8llu kB\nShared_Dirty:   %8llu kB\nPrivate_Clean:  %8llu "
			    "kB\nPrivate_Dirty:  %8llu kB\n",
			    shared ? clean : 0, shared ? dirty : 0, shared ? 0 : clean, shared ? 0 : dirty);
		text_printf(t,
			    "Referenced:     %8llu kB\nAnonymous:      %8llu kB\nSwap:                  0 kB\nSwapPss: "
			    "              0 kB\n",
			    rss, v->ino ? 0 : rss);
		text_printf(t, "Locked:         %8llu kB\nVmFlags:%s%s%s%s\n", v->flags & AREA_LOCKED ? rss : 0,
			    v->flags & AREA_READ ? " rd" : "", v->flags & AREA_WRITE ? " wr" : "",
			    v->flags & AREA_EXEC ? " ex" : "", shared ? " sh" : "");
	}
	kfree(v);
	aspace_put(as);
	return v ? 0 : -ENOMEM;
}

/* Appends [start, end) of the program's memory; stops where it is not there. True: to the end. */
static bool append_memory(struct aspace *as, uint64_t start, uint64_t end, struct text *t, char *last)
{
	char buf[COPY_BYTES];

	while (start < end) {
		int64_t n = aspace_access(as, start, buf, MIN(end - start, sizeof(buf)), false);
		if (n <= 0)
			return false;
		text_append(t, buf, (size_t)n);
		*last = buf[n - 1];
		start += (uint64_t)n;
	}
	return true;
}

int procfs_show_cmdline(int pid, int tid, struct text *t)
{
	struct aspace *as;
	char last = '\0', c;
	int err = memory_of(pid, false, &as);

	(void)tid;
	if (err || !as)
		return err;
	/* A program that wrote a longer title over its arguments (setproctitle) has no NUL at their end: the title
	 * goes on to the next one. */
	if (append_memory(as, as->arg_start, as->arg_end, t, &last) && last != '\0') {
		for (uint64_t at = as->env_start; at < as->env_end; at++) {
			if (aspace_access(as, at, &c, 1, false) != 1 || c == '\0')
				break;
			text_append(t, &c, 1);
		}
	}
	aspace_put(as);
	return 0;
}

int procfs_show_environ(int pid, int tid, struct text *t)
{
	struct aspace *as;
	char last;
	int err = memory_of(pid, true, &as);

	(void)tid;
	if (err || !as)
		return err;
	(void)append_memory(as, as->env_start, as->env_end, t, &last);
	aspace_put(as);
	return 0;
}

int procfs_show_auxv(int pid, int tid, struct text *t)
{
	struct aspace *as;
	int err = memory_of(pid, true, &as);

	(void)tid;
	if (err || !as)
		return err;
	size_t n = 0;
	while (n + 2 < ARRAY_SIZE(as->auxv) && as->auxv[n])
		n += 2;
	text_append(t, (const char *)as->auxv, (n + 2) * sizeof(as->auxv[0]));
	aspace_put(as);
	return 0;
}

static int64_t mem_access(int pid, uint64_t pos, struct uio *u, bool write)
{
	struct aspace *as;
	int64_t done = 0;
	int err = memory_of(pid, true, &as);

	if (err || !as)
		return err;
	char *buf AUTO_KFREE = kmalloc(PAGE_SIZE);
	if (!buf)
		err = -ENOMEM;
	while (!err && u->left) {
		size_t len = MIN(u->left, PAGE_SIZE - (size_t)(pos & PAGE_MASK));
		if (write)
			err = uio_get(u, buf, len);
		if (err)
			break;
		int64_t n = aspace_access_forced(as, pos, buf, len, write);
		if (n <= 0) {
			err = -EIO;
			break;
		}
		if (!write)
			err = uio_put(u, buf, (size_t)n);
		if (err)
			break;
		done += n;
		pos += (uint64_t)n;
		if ((size_t)n < len)
			break;
	}
	aspace_put(as);
	return done ? done : err;
}

int64_t procfs_mem_read(int pid, int tid, uint64_t pos, struct uio *u)
{
	(void)tid;
	return mem_access(pid, pos, u, false);
}

int64_t procfs_mem_write(int pid, int tid, uint64_t pos, struct uio *u)
{
	(void)tid;
	return mem_access(pid, pos, u, true);
}
