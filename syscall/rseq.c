/* What programs that share data between processors without locks ask for: rseq and membarrier. */
#include "proc/membarrier.h"
#include "syscall/handlers.h"

long sys_membarrier(const struct syscall_args *a)
{
	return membarrier(arg_int(a, 0), arg_uint(a, 1), arg_int(a, 2));
}

long sys_rseq(const struct syscall_args *a)
{
	return rseq_register(arg_uptr(a, 0), arg_uint(a, 1), arg_int(a, 2), arg_uint(a, 3));
}
