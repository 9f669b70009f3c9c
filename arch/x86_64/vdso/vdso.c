/*
 * The vDSO: functions of the kernel that run in the program.  Theory.
 *
 * Purpose: clock_gettime, gettimeofday, time, clock_getres and getcpu without a system call. A system call costs more
 * than all that these do.
 *
 * It is a small ELF shared object, built from this folder like any other and embedded in the kernel as a file
 * (mk/kernel.mk). exec maps it into every program, private and executable, right behind the page of numbers it reads,
 * [vvar]: code and page keep their distance wherever they are put, so the code has no relocations. AT_SYSINFO_EHDR
 * tells the C library where it is; names and version are those of Linux's (man 7 vdso), with the unprefixed aliases
 * Linux also has. .eh_frame describes each function, so that debuggers and profilers can unwind through it.
 *
 * Time is read by the very function the kernel reads it with (arch/vdso.h), from the very page: a reading here and one
 * by system call, in any order and on any CPU, never go back. Where the kernel's clock is not the TSC, or it is being
 * adjusted this moment, the look fails and the system call is made: a program never waits for the kernel here, which
 * could have been interrupted in turn by a hypervisor.
 *
 * The coarse clocks are the precise ones, as in the system call: reading the TSC costs what their tick-old copy would.
 *
 * getcpu reads the CPU's number from the limit of a segment (LSL), which each CPU has in its own GDT. RDTSCP has it too
 * (and programs that use it find it), but reads a counter nobody wants here, and would need a second way for CPUs
 * without it. The answer may be old when it arrives, as with the system call.
 */
#include <arch/vdso.h>
#include <asm/unistd.h>
#include <linux/time.h>

#define EXPORT __attribute__((visibility("default")))
#define ALSO(name) __attribute__((weak, visibility("default"), alias(#name)))

/* The page before the object (vdso.ld). */
extern const struct time_page vvar __attribute__((visibility("hidden")));

struct timezone;
struct getcpu_cache;

EXPORT int __vdso_clock_gettime(int clock, struct timespec *ts);
EXPORT int __vdso_clock_getres(int clock, struct timespec *ts);
EXPORT int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz);
EXPORT long __vdso_time(long *t);
EXPORT long __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused);
int clock_gettime(int clock, struct timespec *ts) ALSO(__vdso_clock_gettime);
int clock_getres(int clock, struct timespec *ts) ALSO(__vdso_clock_getres);
int gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz) ALSO(__vdso_gettimeofday);
long time(long *t) ALSO(__vdso_time);
long getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused) ALSO(__vdso_getcpu);

#define WALL_CLOCKS (BIT(CLOCK_REALTIME) | BIT(CLOCK_REALTIME_COARSE) | BIT(CLOCK_TAI))
#define MONOTONIC_CLOCKS \
	(BIT(CLOCK_MONOTONIC) | BIT(CLOCK_MONOTONIC_RAW) | BIT(CLOCK_MONOTONIC_COARSE) | BIT(CLOCK_BOOTTIME))

static long syscall2(long nr, long a, long b)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
}

static always_inline bool is_one_of(int clock, uint64_t clocks)
{
	return (unsigned)clock < 64 && (clocks >> clock & 1);
}

int __vdso_clock_gettime(int clock, struct timespec *ts)
{
	uint64_t ns;

	if (likely(is_one_of(clock, WALL_CLOCKS | MONOTONIC_CLOCKS)) && time_page_read(&vvar, &ns)) {
		if (is_one_of(clock, WALL_CLOCKS))
			ns += READ_ONCE(vvar.wall_offset_ns);
		ts->tv_sec = (long)(ns / NSEC_PER_SEC);
		ts->tv_nsec = (long)(ns % NSEC_PER_SEC);
		return 0;
	}
	return (int)syscall2(__NR_clock_gettime, clock, (long)ts);
}

int __vdso_clock_getres(int clock, struct timespec *ts)
{
	if (!is_one_of(clock, WALL_CLOCKS | MONOTONIC_CLOCKS))
		return (int)syscall2(__NR_clock_getres, clock, (long)ts);
	if (ts)
		*ts = (struct timespec){.tv_nsec = 1};
	return 0;
}

int __vdso_gettimeofday(struct __kernel_old_timeval *tv, struct timezone *tz)
{
	uint64_t ns;

	if (tz || !tv || !time_page_read(&vvar, &ns))
		return (int)syscall2(__NR_gettimeofday, (long)tv, (long)tz);
	ns += READ_ONCE(vvar.wall_offset_ns);
	tv->tv_sec = (long)(ns / NSEC_PER_SEC);
	tv->tv_usec = (long)(ns % NSEC_PER_SEC / NSEC_PER_USEC);
	return 0;
}

long __vdso_time(long *t)
{
	uint64_t ns;

	if (!time_page_read(&vvar, &ns))
		return syscall2(__NR_time, (long)t, 0);
	long sec = (long)((ns + READ_ONCE(vvar.wall_offset_ns)) / NSEC_PER_SEC);
	if (t)
		*t = sec;
	return sec;
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, struct getcpu_cache *unused)
{
	uint32_t word;

	(void)unused; /* man 2 getcpu: since Linux 2.6.24 */
	__asm__ volatile("lsl %1, %0" : "=r"(word) : "r"(CPU_NUMBER_SELECTOR) : "cc");
	if (cpu)
		*cpu = word & CPU_NUMBER_MASK;
	if (node)
		*node = word >> 12;
	return 0;
}
