/* fork, a pipe between parent and child, a signal that interrupts, and the status that comes back. */
#include <asm/signal.h>
#include <linux/wait.h>

#include "user/rt/rt.h"

#define PAGE 4096

static volatile int caught;

static void on_signal(int signo)
{
	caught = signo;
}

/* The kernel's struct sigaction, not a libc's (man 2 rt_sigaction). */
static long handle(int signo, void (*fn)(int))
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		unsigned long mask;
	} action = {fn, 0x04000000 /* SA_RESTORER */, rt_sigreturn, 0};

	return sys(__NR_rt_sigaction, signo, (long)&action, 0, 8, 0, 0);
}

static int child(int to_parent)
{
	static const char message[] = "words through a pipe";

	sys_write(to_parent, message, sizeof(message));
	sys_close(to_parent);
	return 42;
}

int main(int argc, char **argv, char **envp)
{
	char buf[64] = "";
	int fds[2], status = 0;

	(void)argc;
	(void)argv;
	(void)envp;
	if (sys_pipe(fds) != 0)
		return 1;
	long pid = sys_fork();
	if (pid == 0)
		exit(child(fds[1]));
	sys_close(fds[1]);
	long n = sys_read(fds[0], buf, sizeof(buf));
	printf("parent read %ld bytes: %s\n", n, buf);
	printf("end of file: %ld\n", sys_read(fds[0], buf, sizeof(buf)));
	bool reaped = sys_wait4((int)pid, &status, 0) == pid;
	printf("child was %s, status %d\n", reaped ? "reaped" : "lost", status >> 8 & 0xff);
	handle(SIGUSR1, on_signal);
	sys_kill((int)sys_getpid(), SIGUSR1);
	printf("caught signal %d\n", caught);

	pid = sys_fork();
	if (pid == 0) {
		volatile int *nobodys = (volatile int *)sys_mmap(NULL, PAGE, 0 /* PROT_NONE */,
								 0x22 /* private, anonymous */, -1, 0);
		*nobodys = 1;
		exit(0);
	}
	sys_wait4((int)pid, &status, 0);
	printf("a bad pointer ended the child by signal %d\n", status & 0x7f);
	return 0;
}
