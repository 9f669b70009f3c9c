/* What happens around main(): zeroed .bss, constructors in, atexit functions and destructors out, in the
 * right order. */
#include <linux/auxvec.h>

#include "user/rt/rt.h"

static char zeroed[100000];
static int step;

__attribute__((constructor(101))) static void first(void)
{
	printf("%d constructor 101\n", ++step);
}

__attribute__((constructor)) static void second(void)
{
	printf("%d constructor\n", ++step);
}

__attribute__((destructor)) static void late(void)
{
	printf("%d destructor\n", ++step);
}

static void at_exit_1(void)
{
	printf("%d registered first\n", ++step);
}

static void at_exit_2(void)
{
	printf("%d registered second\n", ++step);
}

int main(int argc, char **argv, char **envp)
{
	unsigned sum = 0;

	(void)argc;
	(void)argv;
	(void)envp;
	for (size_t i = 0; i < sizeof(zeroed); i++)
		sum += (unsigned char)zeroed[i];
	printf("%d main: .bss sums to %u, pages of %lu bytes\n", ++step, sum, rt_auxv(AT_PAGESZ));
	atexit(at_exit_1);
	atexit(at_exit_2);
	return 0;
}
