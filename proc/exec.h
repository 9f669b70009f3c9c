/*
 * Starting a program image: ELF64 static, static-PIE and dynamic, and #! scripts (execve(2)).  Theory in exec.c.
 */
#pragma once

#include "fs/vfs.h"
#include "lib/types.h"

/* Strings in kernel memory for PID 1; from user memory for execve. */
struct exec_strings {
	const char *const *kernel; /* NULL-terminated, or */
	uptr_t user;		   /* char *[] of the program; a null pointer counts as empty */
};

/* Replaces the calling process's image. 0: on return to user mode the new program starts. -errno: nothing happened;
 * what fails after the point of no return kills the process by SIGSEGV as on Linux. base/lookup_flags as for
 * vfs_open_exec (LOOKUP_FOLLOW, LOOKUP_EMPTY). script_name: what a #! interpreter is told the script is called
 * (execveat's /dev/fd/N/…), NULL: path. */
int exec_program(const struct path *base, const char *path, unsigned lookup_flags, const char *script_name,
		 const struct exec_strings *argv, const struct exec_strings *envp) must_check;
