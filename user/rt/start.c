/*
 * From _start to main() and from exit() to the end.
 *
 * The linker gathers pointers to constructors in .preinit_array and .init_array and to destructors in .fini_array and
 * marks both ends of each with symbols; running them is the start-up code's job, in this order going in and backwards
 * going out (System V ABI, "Initialization and Termination Functions").
 */
#include <linux/auxvec.h>

#include "user/rt/rt.h"

typedef void init_fn(int argc, char **argv, char **envp);
typedef void fini_fn(void);

extern init_fn *__preinit_array_start[], *__preinit_array_end[];
extern init_fn *__init_array_start[], *__init_array_end[];
extern fini_fn *__fini_array_start[], *__fini_array_end[];

static const unsigned long *auxv;
static fini_fn *exit_fns[32];
static unsigned exit_count;

unsigned long rt_auxv(unsigned long type)
{
	for (const unsigned long *a = auxv; a[0] != AT_NULL; a += 2)
		if (a[0] == type)
			return a[1];
	return 0;
}

int atexit(void (*fn)(void))
{
	if (exit_count == ARRAY_SIZE(exit_fns))
		return -1;
	exit_fns[exit_count++] = fn;
	return 0;
}

noreturn void exit(int status)
{
	while (exit_count)
		exit_fns[--exit_count]();
	for (fini_fn **f = __fini_array_end; f > __fini_array_start;)
		(*--f)();
	sys_exit_group(status);
}

noreturn void rt_start(long *stack);

noreturn void rt_start(long *stack)
{
	int argc = (int)stack[0];
	char **argv = (char **)&stack[1];
	char **envp = argv + argc + 1;
	char **end = envp;

	while (*end)
		end++;
	auxv = (const unsigned long *)(end + 1);
	for (init_fn **f = __preinit_array_start; f < __preinit_array_end; f++)
		(*f)(argc, argv, envp);
	for (init_fn **f = __init_array_start; f < __init_array_end; f++)
		(*f)(argc, argv, envp);
	exit(main(argc, argv, envp));
}
