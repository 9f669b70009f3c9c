/* Address spaces: mmap and its relatives. */
#include <asm/mman.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/resource.h>
#include <linux/stat.h>

#include "mm/slab.h"
#include "sync/atomic.h"
#include "syscall/handlers.h"
#include "vm/aspace.h"

_Static_assert(AREA_READ == PROT_READ && AREA_WRITE == PROT_WRITE && AREA_EXEC == PROT_EXEC, "prot bits pass through");

static struct aspace *aspace_current(void)
{
	return process_current()->aspace;
}

/* What the file behind a mapping must allow, and which object it is. */
static int map_file(struct file *f, struct map_request *r, uint64_t offset, bool shared)
{
	if (f->mode & FILE_PATH)
		return -EBADF;
	if (!(f->mode & FILE_READ))
		return -EACCES;
	if (shared && r->flags & AREA_WRITE && !(f->mode & FILE_WRITE))
		return -EACCES;
	if (!shared || f->mode & FILE_WRITE)
		r->flags |= AREA_MAY_WRITE;
	int err = vfs_mmap(f, offset, r->len, r->flags, &r->object);
	if (err)
		return err;
	if (r->object)
		r->file = f;
	r->offset = offset;
	return 0;
}

static int map_flags(unsigned prot, unsigned flags, struct map_request *r)
{
	unsigned type = flags & MAP_TYPE;

	if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (flags & MAP_GROWSDOWN && (type != MAP_PRIVATE || !(flags & MAP_ANONYMOUS)))
		return -EINVAL; /* a file has nothing before its start */
	if (flags & MAP_HUGETLB)
		return flags & MAP_ANONYMOUS
			? -ENOMEM
			: -EINVAL; /* no huge page is reserved, as on a Linux with nr_hugepages 0 */
	r->flags = prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
	r->flags |= type != MAP_PRIVATE ? AREA_SHARED : 0;
	r->flags |= flags & MAP_GROWSDOWN ? AREA_GROWSDOWN : 0;
	r->flags |= flags & MAP_LOCKED ? AREA_LOCKED : 0;
	r->flags |= flags & MAP_NORESERVE ? AREA_NORESERVE : 0;
	r->fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	r->noreplace = flags & MAP_FIXED_NOREPLACE;
	r->low = flags & MAP_32BIT;
	r->populate = (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE || flags & MAP_LOCKED;
	return 0;
}

long sys_mmap(const struct syscall_args *a)
{
	unsigned flags = arg_uint(a, 3);
	uint64_t offset = arg_u64(a, 5), where, end;
	struct map_request r = {.addr = arg_u64(a, 0), .len = arg_u64(a, 1)};

	if (offset & PAGE_MASK || r.len == 0)
		return -EINVAL;
	if (r.len > USER_VA_END)
		return -ENOMEM;
	r.len = ALIGN_UP(r.len, PAGE_SIZE);
	if (__builtin_add_overflow(offset, r.len, &end))
		return -EOVERFLOW;
	int err = map_flags(arg_uint(a, 2), flags, &r);
	if (err)
		return err;

	struct fd_ref ref cleanup_with(fd_release) = {0};
	if (!(flags & MAP_ANONYMOUS)) {
		ref = fd_borrow(arg_int(a, 4));
		if (!ref.file)
			return -EBADF;
		err = map_file(ref.file, &r, offset, r.flags & AREA_SHARED);
	} else {
		r.flags |= AREA_MAY_WRITE;
		if (r.flags & AREA_SHARED)
			err = vm_object_create(r.len, &r.object);
	}
	if (err)
		return err;
	err = aspace_map(aspace_current(), &r, &where);
	if (r.object)
		vm_object_put(r.object);
	return err ? err : (long)where;
}

long sys_munmap(const struct syscall_args *a)
{
	return aspace_unmap(aspace_current(), arg_u64(a, 0), arg_u64(a, 1));
}

long sys_mprotect(const struct syscall_args *a)
{
	unsigned prot = arg_uint(a, 2);

	if (prot & ~(unsigned)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (prot & (PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	return aspace_protect(aspace_current(), arg_u64(a, 0), arg_u64(a, 1),
			      prot & (PROT_READ | PROT_WRITE | PROT_EXEC));
}

long sys_mremap(const struct syscall_args *a)
{
	uint64_t where;
	int err = aspace_remap(aspace_current(), arg_u64(a, 0), arg_u64(a, 1), arg_u64(a, 2), arg_int(a, 3),
			       arg_u64(a, 4), &where);

	return err ? err : (long)where;
}

long sys_madvise(const struct syscall_args *a)
{
	return aspace_advise(aspace_current(), arg_u64(a, 0), arg_u64(a, 1), arg_int(a, 2));
}

long sys_msync(const struct syscall_args *a)
{
	int flags = arg_int(a, 2);

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	return aspace_sync(aspace_current(), arg_u64(a, 0), arg_u64(a, 1), flags);
}

long sys_mincore(const struct syscall_args *a)
{
	uint8_t vec[256];
	uint64_t addr = arg_u64(a, 0), pages = arg_u64(a, 1) / PAGE_SIZE + (arg_u64(a, 1) % PAGE_SIZE != 0);

	if (addr & PAGE_MASK)
		return -EINVAL;
	for (uint64_t done = 0; done < pages; done += sizeof(vec)) {
		uint64_t n = MIN(pages - done, sizeof(vec));
		int err = aspace_mincore(aspace_current(), addr + done * PAGE_SIZE, n, vec);
		if (!err)
			err = copy_to_user(uptr_add(arg_uptr(a, 2), done), vec, n);
		if (err)
			return err;
	}
	return 0;
}

long sys_brk(const struct syscall_args *a)
{
	return (long)aspace_brk(aspace_current(), arg_u64(a, 0));
}

static bool may_lock(uint64_t more_bytes)
{
	return capable(CAP_IPC_LOCK) || aspace_current()->locked_bytes + more_bytes <= process_limit(RLIMIT_MEMLOCK);
}

long sys_mlock(const struct syscall_args *a)
{
	if (!may_lock(arg_u64(a, 1)))
		return process_limit(RLIMIT_MEMLOCK) ? -ENOMEM : -EPERM;
	return aspace_lock_range(aspace_current(), arg_u64(a, 0), arg_u64(a, 1), true);
}

long sys_munlock(const struct syscall_args *a)
{
	return aspace_lock_range(aspace_current(), arg_u64(a, 0), arg_u64(a, 1), false);
}

/* Nothing is ever written out or swapped, so all that is resident stays: the future needs no mark either. */
long sys_mlockall(const struct syscall_args *a)
{
	unsigned flags = arg_uint(a, 0);

	if (!flags || flags & ~(unsigned)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	return may_lock(aspace_current()->mapped_bytes) ? 0 : process_limit(RLIMIT_MEMLOCK) ? -ENOMEM : -EPERM;
}

long sys_munlockall(const struct syscall_args *a)
{
	(void)a;
	return 0;
}
