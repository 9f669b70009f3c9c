/*
 * The smallest PID 1, without a libc: says how many cycles have passed since power-on, and powers off.
 *
 * For the boot benchmark: under QEMU's -icount shift=0 the time-stamp counter counts guest instructions, so the number
 * is all that firmware and kernel executed before the first program ran.  System calls as in man 2 syscall.
 */
#include <asm/unistd_64.h>
#include <linux/reboot.h>

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

static unsigned long cycles(void)
{
	unsigned int low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (unsigned long)high << 32 | low;
}

__attribute__((noreturn, used)) static void start(void)
{
	unsigned long now = cycles();
	char text[] = "init: here after 00000000000000000000 cycles\n";

	for (int i = 36; i >= 17; i--, now /= 10)
		text[i] = (char)('0' + now % 10);
	call(__NR_write, 1, (long)text, sizeof(text) - 1);
	call(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF);
	/* Only where reboot(2) failed: end with a status the kernel reports. */
	for (;;)
		call(__NR_exit, 1, 0, 0);
}

/* The kernel leaves the stack aligned to 16 and pushes no return address (System V ABI, 3.4.1). */
__asm__(".globl _start\n_start: xor %ebp, %ebp; call start; hlt");
