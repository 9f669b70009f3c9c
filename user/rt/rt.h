/*
 * A C runtime in a few hundred lines: enough to write programs for Ashlar, or for Linux, without any libc.
 *
 * What happens before main() and after it is crt0.S and start.c; what a program asks of the kernel goes through the one
 * function sys() and the stubs below it; memory comes from heap.c; text is formatted by lib/printf.c, the kernel's own.
 *
 * Results are the kernel's: a negative number is -errno (man 2 syscalls); there is no errno variable.
 */
#pragma once

#include <asm/unistd_64.h>

#include "lib/printf.h"
#include "lib/string.h"
#include "lib/types.h"

/* --- the system-call instruction (man 2 syscall, x86-64) ---------------------------------------------------------- */

static inline long sys(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	/* The instruction itself keeps the return address in RCX and the flags in R11. */
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static inline long sys_write(int fd, const void *buf, size_t len)
{
	return sys(__NR_write, fd, (long)buf, (long)len, 0, 0, 0);
}

static inline long sys_read(int fd, void *buf, size_t len)
{
	return sys(__NR_read, fd, (long)buf, (long)len, 0, 0, 0);
}

static inline long sys_open(const char *path, int flags, int mode)
{
	return sys(__NR_open, (long)path, flags, mode, 0, 0, 0);
}

static inline long sys_close(int fd)
{
	return sys(__NR_close, fd, 0, 0, 0, 0, 0);
}

static inline long sys_mmap(void *addr, size_t len, int prot, int flags, int fd, long offset)
{
	return sys(__NR_mmap, (long)addr, (long)len, prot, flags, fd, offset);
}

static inline long sys_fork(void)
{
	return sys(__NR_fork, 0, 0, 0, 0, 0, 0);
}

static inline long sys_wait4(int pid, int *status, int options)
{
	return sys(__NR_wait4, pid, (long)status, options, 0, 0, 0);
}

static inline long sys_pipe(int fds[2])
{
	return sys(__NR_pipe, (long)fds, 0, 0, 0, 0, 0);
}

static inline long sys_kill(int pid, int signo)
{
	return sys(__NR_kill, pid, signo, 0, 0, 0, 0);
}

static inline long sys_getpid(void)
{
	return sys(__NR_getpid, 0, 0, 0, 0, 0, 0);
}

noreturn static inline void sys_exit_group(int status)
{
	for (;;)
		sys(__NR_exit_group, status, 0, 0, 0, 0, 0);
}

/* --- life of a program -------------------------------------------------------------------------------------------- */

int main(int argc, char **argv, char **envp);
/* Runs what atexit() registered, newest first, then the destructors, and ends the process. */
noreturn void exit(int status);
/* At most 32 functions; -1 when there are more. */
int atexit(void (*fn)(void));
/* A value of the auxiliary vector (man 3 getauxval), 0 where there is none. */
unsigned long rt_auxv(unsigned long type);

/* --- memory: heap.c ----------------------------------------------------------------------------------------------- */

/* 16-byte aligned; NULL when the kernel gives no more. */
void *malloc(size_t len);
void free(void *p);
void *realloc(void *p, size_t len);

/* --- text --------------------------------------------------------------------------------------------------------- */

/* To standard output, unbuffered; returns the length. */
int printf(const char *fmt, ...) printf_like(1, 2);

/* --- signals: a handler's way back (man 2 sigreturn)
 * ------------------------------------------------------------------ */

void rt_sigreturn(void);
