/* The shortest program: its arguments, and a status. */
#include "user/rt/rt.h"

int main(int argc, char **argv, char **envp)
{
	(void)envp;
	for (int i = 1; i < argc; i++)
		printf("argument %d: %s\n", i, argv[i]);
	printf("hello from process %s\n", sys_getpid() > 0 ? "land" : "nowhere");
	return 7;
}
