/*
 * Another program's memory, for its debugger and for /proc: page by page, the fault the program itself would have
 * taken, then a copy through the direct map.
 *
 * Between the fault and the copy the page may go again; then both are repeated.  The copy is made under table_lock, a
 * microsecond: so no fork turns the page that is being written into one of the child's, no copy-on-write of the
 * program's own leaves the written one behind, and no vm_object_sync() has cleaned the page by the time it is written
 * to.
 */
#include <asm/errno.h>
#include "lib/string.h"
#include "vm/fault.h"
#include "vm/gather.h"

/* The page behind va, if what is mapped there now allows the access; NULL: fault again. table_lock held. */
static struct page *mapped_page(struct aspace *as, uint64_t va, unsigned how)
{
	const pte_t *e = pgtable_find(as->mmu.root, vaddr(va));

	if (!e || entry_empty(*e))
		return NULL;

	struct page *p = entry_page(*e);

	if ((how & FAULT_WRITE) && !pte_writable(*e)) {
		bool ours = (how & FAULT_FORCE) && entry_is_anon(*e) && refcount_read(&p->refs) == 1;

		if (!ours)
			return NULL;
	}
	return p;
}

static int access_errno(enum fault_result r)
{
	switch (r) {
	case FAULT_OK:
		return 0;
	case FAULT_SEGV_MAPERR:
	case FAULT_SEGV_ACCERR:
		return -EFAULT;
	case FAULT_BUS_ADRERR:
	case FAULT_BUS_IO:
		return -EIO;
	case FAULT_OOM:
		return -ENOMEM;
	}
	return -EFAULT;
}

/* len bytes within one page. */
static int access_page(struct aspace *as, uint64_t addr, char *buf, size_t len, unsigned how)
{
	for (;;) {
		int err = access_errno(fault_page(as, addr, how));

		if (err)
			return err;
		SPIN_GUARD(&as->table_lock);
		struct page *p = mapped_page(as, ALIGN_DOWN(addr, (uint64_t)PAGE_SIZE), how);

		if (p) {
			char *mem = (char *)page_to_ptr(p) + (addr & PAGE_MASK);

			if (how & FAULT_WRITE)
				memcpy(mem, buf, len);
			else
				memcpy(buf, mem, len);
			return 0;
		}
	}
}

static int64_t access_range(struct aspace *as, uint64_t addr, char *buf, size_t len, unsigned how)
{
	size_t done = 0;

	while (done < len) {
		size_t part = MIN(len - done, PAGE_SIZE - ((addr + done) & PAGE_MASK));
		int err = addr + done < addr ? -EFAULT : access_page(as, addr + done, buf + done, part, how);

		if (err)
			return done ? (int64_t)done : err;
		done += part;
	}
	return (int64_t)done;
}

int64_t aspace_access(struct aspace *as, uint64_t addr, void *buf, size_t len, bool write)
{
	return access_range(as, addr, buf, len, write ? FAULT_WRITE : 0);
}

int64_t aspace_access_forced(struct aspace *as, uint64_t addr, void *buf, size_t len, bool write)
{
	return access_range(as, addr, buf, len, FAULT_FORCE | (write ? FAULT_WRITE : 0));
}
