/*
 * The system-call interface: one typed table, thin handlers.  Theory in table.c.
 *
 * A handler fetches its arguments with the arg_… functions (each once, with its C type), validates, and calls one
 * function of the floor that does the work.  Returns the value for the program, or -errno.
 */
#pragma once

#include "lib/types.h"

struct syscall_args {
	uint64_t v[6];
};

typedef long syscall_handler(const struct syscall_args *a);

struct syscall_entry {
	syscall_handler *fn; /* NULL: ENOSYS, counted */
	const char *name;
};

extern const struct syscall_entry syscall_table[];
extern const unsigned syscall_table_len;

static always_inline int arg_int(const struct syscall_args *a, unsigned i)
{
	return (int)a->v[i];
}
static always_inline unsigned arg_uint(const struct syscall_args *a, unsigned i)
{
	return (unsigned)a->v[i];
}
static always_inline uint64_t arg_u64(const struct syscall_args *a, unsigned i)
{
	return a->v[i];
}
static always_inline int64_t arg_s64(const struct syscall_args *a, unsigned i)
{
	return (int64_t)a->v[i];
}
static always_inline uptr_t arg_uptr(const struct syscall_args *a, unsigned i)
{
	return uptr(a->v[i]);
}

/* Counts calls of numbers that have no handler, for /proc/ashlar/unknown_syscalls. */
void syscall_count_unknown(long nr);
void syscall_init(void);
