/* Two threads made by clone(2), a mutex made of one futex word (futex(2)), and the join by CLONE_CHILD_CLEARTID. */
#include <linux/mman.h>
#include <linux/futex.h>
#include <linux/sched.h>

#include "user/rt/rt.h"

#define STACK_BYTES (64 * KIB)
#define ROUNDS 20000

static int lock; /* 0 free, 1 held, 2 held and somebody waits */
static long counter;
static int alive[2];

static void futex_wait(int *word, int value)
{
	sys(__NR_futex, (long)word, FUTEX_WAIT, value, 0, 0, 0);
}

static void mutex_lock(int *m)
{
	int seen = 0;

	if (__atomic_compare_exchange_n(m, &seen, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(m, 2, __ATOMIC_ACQUIRE) != 0)
		futex_wait(m, 2);
}

static void mutex_unlock(int *m)
{
	if (__atomic_exchange_n(m, 0, __ATOMIC_RELEASE) == 2)
		sys(__NR_futex, (long)m, FUTEX_WAKE, 1, 0, 0, 0);
}

noreturn static void worker(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		mutex_lock(&lock);
		counter++;
		mutex_unlock(&lock);
		if (i % 1000 == 0)
			sys(__NR_sched_yield, 0, 0, 0, 0, 0, 0);
	}
	for (;;)
		sys(__NR_exit, 0, 0, 0, 0, 0, 0);
}

/* The child returns from the system call on a stack that has only what is put there: worker's address. */
long thread_clone(unsigned long flags, void *stack_top, int *child_tid);
__asm__(".globl thread_clone\n"
	"thread_clone:\n"
	"	movq	%rdx, %r10\n" /* fourth argument: where the tid is cleared */
	"	xorl	%edx, %edx\n"
	"	xorl	%r8d, %r8d\n"
	"	movl	$56, %eax\n" /* __NR_clone */
	"	syscall\n"
	"	ret\n"); /* in the child: to the address on its new stack */

static bool start(int i)
{
	char *stack = (char *)sys_mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
		CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;

	if ((long)stack < 0)
		return false;
	void **top = (void **)(stack + STACK_BYTES -
			       24); /* so that worker finds the alignment it would have after a call */
	*top = (void *)worker;
	alive[i] = 1;
	return thread_clone(flags, top, &alive[i]) > 0;
}

int main(int argc, char **argv, char **envp)
{
	(void)argc;
	(void)argv;
	(void)envp;
	if (!start(0) || !start(1))
		return 1;
	for (int i = 0; i < 2; i++) {
		int tid;
		while ((tid = __atomic_load_n(&alive[i], __ATOMIC_ACQUIRE)) != 0)
			futex_wait(&alive[i], tid);
	}
	printf("two threads counted to %ld\n", counter);
	return 0;
}
