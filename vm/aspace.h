/*
 * Address spaces: a program's areas, its page tables, and faults.  Theory in aspace.c.
 *
 *   I  immutable   a  aspace->lock   p  aspace->table_lock   m  object->map_lock
 */
#pragma once

#include "lib/rbtree.h"
#include "lib/types.h"
#include "mm/page.h"
#include "mm/tlb.h"
#include "sched/mutex.h"
#include "sync/refcount.h"
#include "sync/spinlock.h"
#include "vm/object.h"

enum area_flag {
	AREA_READ = 1 << 0, /* the values of PROT_*: */
	AREA_WRITE = 1 << 1,
	AREA_EXEC = 1 << 2,
	AREA_SHARED = 1 << 3,
	AREA_GROWSDOWN = 1 << 4, /* a stack */
	AREA_HEAP = 1 << 5,	 /* brk: for the label in /proc/pid/maps */
	AREA_STACK = 1 << 6,
	AREA_LOCKED = 1 << 7,
	AREA_MAY_WRITE = 1 << 8, /* mprotect may add write (a shared file opened read-write, any private one) */
	AREA_DONTFORK = 1 << 9,
	AREA_WIPEONFORK = 1 << 10,
	AREA_NORESERVE = 1 << 11,
	AREA_VVAR = 1 << 12, /* the kernel's numbers for the vDSO: never anything but readable */
	AREA_VDSO = 1 << 13, /* for the label */
};

/* What a file behind an area is to vm/: an opaque counted thing with a path. Registered by fs/. */
struct vm_file_ops {
	void (*get)(void *file);
	void (*put)(void *file);
	/* get: with aspace->lock and spinlocks held; put and describe: with none of vm/'s. Path as /proc/pid/maps shows
	 * it; plus device and inode. Returns its length. */
	size_t (*describe)(void *file, char *buf, size_t len, uint64_t *dev, uint64_t *ino);
};
extern const struct vm_file_ops *vm_file_ops;

struct area {
	struct rb_node node;	  /* a: by start, augmented with the largest gap below */
	uint64_t start, end;	  /* a, and m for writing: page aligned, end exclusive */
	uint64_t max_gap;	  /* a: over this subtree */
	uint64_t gap;		  /* a: placeable bytes between the previous area and start */
	unsigned flags;		  /* a: enum area_flag */
	bool has_anon;		  /* private pages may be mapped here; set by faults, so only a hint in one direction */
	struct aspace *as;	  /* I */
	struct vm_object *object; /* I: counted; NULL: anonymous private */
	uint64_t offset;	  /* a, and m for writing: of start in the object, bytes, page aligned */
	void *file;		  /* I: counted by vm_file_ops; may be NULL */
	struct rb_node map_node;  /* m: in object->maps, by offset */
	uint64_t map_end_max;	  /* m: largest end offset in this subtree */
	struct area *next_dead;	  /* while waiting to be freed, unlinked */
};

/* Linux's defaults: programs may not map below this, and a stack keeps that far from what lies below it. */
#define VM_MMAP_MIN 65536ull
#define VM_STACK_GUARD_BYTES (256ull * PAGE_SIZE)
#define VM_AREAS_MAX 65530u

struct aspace {
	struct refcount refs;
	struct rwlock lock;					    /* faults read, changes write */
	struct rb_root areas;					    /* a */
	struct area *last_hit;					    /* a hint for look-ups; dropped by writers */
	uint32_t area_count;					    /* a */
	uint64_t mapped_bytes;					    /* a: VmSize */
	uint64_t locked_bytes, stack_bytes, exec_bytes, data_bytes; /* a */
	struct spinlock table_lock;				    /* page-table entries and resident counts */
	struct mmu_context mmu;					    /* its page tables, and who has them loaded */
	int64_t resident_anon, resident_file;			    /* p: pages */
	uint64_t peak_resident;					    /* p: pages */
	uint64_t tables_counted;     /* p: pages of tables that vm_pagetable_pages knows of */
	uint64_t peak_mapped;	     /* a: bytes */
	uint64_t brk_start, brk_end; /* a */
	uint64_t mmap_top;	     /* I after exec: mappings are placed top down below it */
	uint64_t limit_bytes;	     /* RLIMIT_AS; a */
	uint64_t limit_data_bytes, limit_stack_bytes;
	/* for /proc and exec: what exec laid out. I after exec */
	uint64_t code_start, code_end, data_start, data_end, stack_start, arg_start, arg_end, env_start, env_end;
	uint64_t auxv[2 * 24];
	uint64_t faults_minor, faults_major; /* relaxed atomics */
	uint32_t membarrier;		     /* what membarrier(2) was registered for; atomic */
	bool has_threads;		     /* more than one thread has used it at a time; never goes back */
	bool oom_victim;		     /* its end frees memory somebody waits for (vm/oom.h) */
};

/* No areas, no limits; brk and layout zero, mmap_top the highest possible. -ENOMEM. */
int aspace_create(struct aspace **out) must_check;
static inline void aspace_get(struct aspace *as)
{
	refcount_get(&as->refs);
}
/* Last reference: unmaps everything. Thread context, no lock held that a file's last put may need. */
void aspace_put(struct aspace *as);
/* fork: a copy with private pages shared copy-on-write. -ENOMEM. Takes from->lock; the copy is the caller's alone. */
int aspace_copy(struct aspace *from, struct aspace **out) must_check;

/*
 * mmap. fixed: exactly at addr (replacing what is there unless noreplace: -EEXIST); otherwise addr is a hint. Takes its
 * own references on object and file. *out is where it is. -ENOMEM (no room, limits, too many areas), -EINVAL, -EPERM
 * (fixed below VM_MMAP_MIN), -EOVERFLOW (offset). populate: best effort, as mmap(2) says. AREA_MAY_WRITE is implied by
 * AREA_WRITE and for private mappings.
 */
struct map_request {
	uint64_t addr, len;
	unsigned flags; /* enum area_flag */
	bool fixed, noreplace, populate;
	bool low; /* MAP_32BIT: in the second GiB */
	struct vm_object *object;
	uint64_t offset;
	void *file;
};
int aspace_map(struct aspace *as, const struct map_request *r, uint64_t *out) must_check;
int aspace_unmap(struct aspace *as, uint64_t addr, uint64_t len) must_check;
/* mprotect: prot = AREA_READ|WRITE|EXEC. -ENOMEM on a hole, -EACCES (write to a shared mapping of a file not open for
 * it): nothing is changed then. */
int aspace_protect(struct aspace *as, uint64_t addr, uint64_t len, unsigned prot) must_check;
/* mremap(2). */
int aspace_remap(struct aspace *as, uint64_t addr, uint64_t old_len, uint64_t new_len, int flags, uint64_t new_addr,
		 uint64_t *out) must_check;
/* madvise(2): DONTNEED, FREE, WILLNEED, DONTFORK, DOFORK, WIPEONFORK, … */
int aspace_advise(struct aspace *as, uint64_t addr, uint64_t len, int advice) must_check;
/* msync(2), mincore(2): vec kernel memory, one byte a page. */
int aspace_sync(struct aspace *as, uint64_t addr, uint64_t len, int flags) must_check;
int aspace_mincore(struct aspace *as, uint64_t addr, uint64_t pages, uint8_t *vec) must_check;
/* brk(2): returns the new (or, if refused, the old) break. */
uint64_t aspace_brk(struct aspace *as, uint64_t brk);
/* mlock(2) and mlockall(2) of what is mapped now; limits are the caller's to check. -ENOMEM (hole, memory). */
int aspace_lock_range(struct aspace *as, uint64_t addr, uint64_t len, bool lock) must_check;
int aspace_lock_all(struct aspace *as, bool lock) must_check;

/* What to do about a fault. */
enum fault_result {
	FAULT_OK,
	FAULT_SEGV_MAPERR,
	FAULT_SEGV_ACCERR,
	FAULT_BUS_ADRERR, /* beyond the end of the file */
	FAULT_BUS_IO,
	FAULT_OOM, /* no memory: the caller lets the policy choose a victim and retries */
};
/* access: enum trap_access. Thread context, interrupts on; takes as->lock for reading. */
enum fault_result aspace_fault(struct aspace *as, vaddr_t addr, unsigned access) must_check;

/*
 * Access to another program's memory: bytes done, or if none -EFAULT, -EIO (bad page of a file) or -ENOMEM. Follows the
 * areas' protections (process_vm_readv); forced (ptrace, /proc/pid/mem) reads anything mapped and writes a private copy
 * of what is read-only. buf is kernel memory. Takes as->lock.
 */
int64_t aspace_access(struct aspace *as, uint64_t addr, void *buf, size_t len, bool write);
int64_t aspace_access_forced(struct aspace *as, uint64_t addr, void *buf, size_t len, bool write);

/* For /proc/pid/maps and smaps: fills *out with a copy of the first area with end > addr. False past the last. File and
 * object NOT counted in the copy: name is already rendered into buf. */
struct area_view {
	uint64_t start, end, offset, dev, ino;
	unsigned flags;
	char name[256]; /* path, "[heap]", "[stack]", "[vdso]", "[vvar]" or "" */
};
bool aspace_area_view(struct aspace *as, uint64_t addr, struct area_view *out);

/* What is mapped in [start,end), in pages, for /proc/pid/smaps. shared: more than one holder (the object counts as
 * none). */
struct area_usage {
	uint64_t resident, anon, shared, referenced;
};
void aspace_usage(struct aspace *as, uint64_t start, uint64_t end, struct area_usage *out);

/* Pages of the whole system, for /proc/meminfo. */
extern uint64_t vm_anon_pages;
extern uint64_t vm_pagetable_pages;
/* Makes the mappings of the object's pages [first,end) go away in every address space (truncate); private copies of
 * them stay. Takes map_lock and table_locks: no spinlock above LOCK_OBJECT_MAPS may be held. The caller keeps the pages
 * alive meanwhile. */
void vm_unmap_object_range(struct vm_object *o, uint64_t first_index, uint64_t end_index);

/* Boot order step. */
void vm_init(void);
