/* The vDSO (man 7 vdso): the object itself, and that its clocks are the system calls'. */
#include "user/test/test.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>

static const char *vdso_base(void)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);

	CHECK(base != NULL);
	CHECK_EQ(memcmp(base, ELFMAG, SELFMAG), 0);
	return base;
}

static const ElfW(Phdr) * segment(const char *base, unsigned type)
{
	const ElfW(Ehdr) *e = (const void *)base;
	const ElfW(Phdr) *p = (const void *)(base + e->e_phoff);

	for (int i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == type)
			return &p[i];
	FAIL("no segment of type %#x", type);
}

/* An entry of the dynamic section as a place in the object; its addresses start at 0. */
static const void *dynamic(const char *base, long tag)
{
	for (const ElfW(Dyn) *d = (const void *)(base + segment(base, PT_DYNAMIC)->p_vaddr); d->d_tag; d++)
		if (d->d_tag == tag)
			return base + d->d_un.d_val;
	FAIL("no dynamic entry %ld", tag);
}

static void *find(const char *name)
{
	const char *base = vdso_base(), *strings = dynamic(base, DT_STRTAB);
	const ElfW(Sym) *s = dynamic(base, DT_SYMTAB);
	const ElfW(Half) *versions = dynamic(base, DT_VERSYM);

	/* The string table follows the symbols. */
	for (size_t i = 0; (const char *)&s[i] < strings; i++) {
		if (strcmp(strings + s[i].st_name, name) != 0)
			continue;
		CHECK_EQ(ELF64_ST_TYPE(s[i].st_info), STT_FUNC);
		CHECK(s[i].st_shndx != SHN_UNDEF);
		/* The version's name is the last of the definitions, the first being the object's own. */
		const ElfW(Verdef) *v = dynamic(base, DT_VERDEF);
		while (v->vd_ndx != (versions[i] & 0x7fff) && v->vd_next)
			v = (const void *)((const char *)v + v->vd_next);
		const ElfW(Verdaux) *a = (const void *)((const char *)v + v->vd_aux);
		CHECK_EQ(strcmp(strings + a->vda_name, "LINUX_2.6"), 0);
		return (void *)(base + s[i].st_value);
	}
	FAIL("no %s", name);
}

typedef int clock_fn(clockid_t, struct timespec *);
typedef int timeofday_fn(struct timeval *, void *);
typedef time_t time_fn(time_t *);
typedef long getcpu_fn(unsigned *, unsigned *, void *);

static long long ns_by(clock_fn *fn, clockid_t clock)
{
	struct timespec t = {-1, -1};

	if (fn ? fn(clock, &t) : (int)syscall(SYS_clock_gettime, clock, &t))
		FAIL("clock %d", (int)clock);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

TEST(object)
{
	static const char *const names[] = {"__vdso_clock_gettime", "clock_gettime", "__vdso_gettimeofday",
					    "gettimeofday",	    "__vdso_time",   "time",
					    "__vdso_getcpu",	    "getcpu",	     "__vdso_clock_getres",
					    "clock_getres"};
	const char *base = vdso_base();

	CHECK_EQ(((const ElfW(Ehdr) *)base)->e_type, ET_DYN);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK(find(names[i]) != NULL);
	for (const ElfW(Dyn) *d = (const void *)(base + segment(base, PT_DYNAMIC)->p_vaddr); d->d_tag; d++)
		if (d->d_tag == DT_SONAME)
			CHECK_EQ(strcmp((const char *)dynamic(base, DT_STRTAB) + d->d_un.d_val, "linux-vdso.so.1"), 0);
}

/* .eh_frame_hdr has a sorted table of functions, in which an unwinder finds each of ours (LSB 5.0, 10.6). */
TEST(unwind_table)
{
	const char *base = vdso_base();
	const uint8_t *header = (const void *)(base + segment(base, PT_GNU_EH_FRAME)->p_vaddr);

	CHECK_EQ(header[0], 1);
	CHECK_EQ(header[2], 0x03); /* the count: udata4 */
	CHECK_EQ(header[3], 0x3b); /* the table: sdata4, relative to here */
	int32_t count = *(const int32_t *)(header + 8);
	CHECK(count >= 5);
	const int32_t *table = (const int32_t *)(header + 12);
	const char *fn = find("__vdso_gettimeofday");
	bool found = false;
	for (int i = 0; i < count; i++) {
		found |= (const char *)header + table[2 * i] == fn;
		CHECK(i == 0 || table[2 * i] > table[2 * i - 2]);
	}
	CHECK(found);
}

TEST(mappings)
{
	static char text[16384];
	uintptr_t base = (uintptr_t)vdso_base();
	char line[64];

	CHECK(test_read_file("/proc/self/maps", text, sizeof(text)) > 0);
	char *vdso = strstr(text, "[vdso]\n"), *vvar = strstr(text, "[vvar]\n");
	CHECK(vdso && vvar);
	while (vdso > text && vdso[-1] != '\n')
		vdso--;
	while (vvar > text && vvar[-1] != '\n')
		vvar--;
	snprintf(line, sizeof(line), "%lx-", (unsigned long)base);
	CHECK_EQ(memcmp(vdso, line, strlen(line)), 0);
	CHECK_EQ(memcmp(strchr(vdso, ' '), " r-xp ", 6), 0);
	CHECK_EQ(memcmp(strchr(vvar, ' '), " r--p ", 6), 0);
	char *data = (char *)strtoul(vvar, NULL, 16);
	CHECK(mprotect(data, 4096, PROT_READ | PROT_WRITE) == -1 && (errno == EACCES || errno == EPERM));
	CHECK(mprotect(data, 4096, PROT_READ | PROT_EXEC) == -1 && (errno == EACCES || errno == EPERM));
	pid_t pid = test_fork();
	if (pid == 0) {
		*(volatile char *)data = 1;
		_exit(0);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

TEST(clocks_agree)
{
	static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW,
					   CLOCK_TAI};
	clock_fn *fn = (clock_fn *)find("__vdso_clock_gettime");

	for (size_t c = 0; c < sizeof(clocks) / sizeof(clocks[0]); c++) {
		long long last = ns_by(NULL, clocks[c]);

		for (int i = 0; i < 20000; i++) {
			long long now = ns_by(i % 3 ? fn : NULL, clocks[c]);

			if (now < last)
				FAIL("clock %d went back by %lld ns in step %d", (int)clocks[c], last - now, i);
			last = now;
		}
	}
}

static long long latest;
static int readers_left;

/* Each reading is later than any that was finished before it began, whoever took it. */
static void *reader(void *arg)
{
	clock_fn *fn = arg;

	for (int i = 0; i < 30000; i++) {
		long long before = __atomic_load_n(&latest, __ATOMIC_SEQ_CST),
			  now = ns_by(i & 1 ? fn : NULL, CLOCK_MONOTONIC);

		if (now < before)
			FAIL("a reading %lld ns before one of another thread", before - now);
		while (now > before &&
		       !__atomic_compare_exchange_n(&latest, &before, now, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			;
	}
	__atomic_fetch_sub(&readers_left, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

TEST(threads_agree)
{
	clock_fn *fn = (clock_fn *)find("__vdso_clock_gettime");
	pthread_t t[4];

	readers_left = 4;
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, reader, (void *)fn), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_EQ(readers_left, 0);
}

TEST(time_and_gettimeofday)
{
	timeofday_fn *timeofday = (timeofday_fn *)find("__vdso_gettimeofday");
	time_fn *seconds = (time_fn *)find("__vdso_time");
	struct timeval a, b;
	int zone[2] = {-1, -1};
	time_t kept;

	for (int i = 0; i < 2000; i++) {
		CHECK_EQ(syscall(SYS_gettimeofday, &a, NULL), 0);
		CHECK_EQ(timeofday(&b, NULL), 0);
		CHECK(timercmp(&a, &b, <=) && b.tv_usec < 1000000);
		CHECK_EQ(syscall(SYS_gettimeofday, &a, NULL), 0);
		CHECK(timercmp(&b, &a, <=));
	}
	CHECK_EQ(timeofday(&b, zone), 0);
	CHECK(zone[0] != -1 && zone[1] != -1);
	time_t now = seconds(&kept);
	CHECK_EQ(now, kept);
	CHECK(now - b.tv_sec >= -1 && now - b.tv_sec <= 1);
	CHECK_EQ(seconds(NULL) - now <= 1, 1);
}

TEST(other_clocks)
{
	clock_fn *get = (clock_fn *)find("__vdso_clock_gettime"), *resolution = (clock_fn *)find("__vdso_clock_getres");
	struct timespec t;

	CHECK_EQ(get(CLOCK_THREAD_CPUTIME_ID, &t), 0);
	CHECK_EQ(get(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	CHECK_EQ(get(CLOCK_MONOTONIC_COARSE, &t), 0);
	CHECK_EQ(get(CLOCK_REALTIME_COARSE, &t), 0);
	CHECK_EQ(get(999, &t), -EINVAL);
	CHECK_EQ(get(64, &t), -EINVAL);
	CHECK_EQ(resolution(999, &t), -EINVAL);
	CHECK_EQ(resolution(CLOCK_MONOTONIC, NULL), 0);
	CHECK_EQ(resolution(CLOCK_REALTIME, &t), 0);
	CHECK(t.tv_sec == 0 && t.tv_nsec == 1);
	CHECK_EQ(resolution(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
}

TEST(getcpu_everywhere)
{
	getcpu_fn *fn = (getcpu_fn *)find("__vdso_getcpu");
	cpu_set_t all, one;
	unsigned cpu, node, asked;

	CHECK_EQ(fn(NULL, NULL, NULL), 0);
	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	for (unsigned i = 0; i < 64; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
		cpu = node = ~0u;
		CHECK_EQ(fn(&cpu, &node, NULL), 0);
		CHECK_EQ(cpu, i);
		CHECK_EQ(node, 0);
		CHECK_EQ(syscall(SYS_getcpu, &asked, NULL, NULL), 0);
		CHECK_EQ(asked, i);
	}
}

TEST(after_fork)
{
	clock_fn *fn = (clock_fn *)find("__vdso_clock_gettime");
	long long before = ns_by(fn, CLOCK_MONOTONIC);
	pid_t pid = test_fork();

	if (pid == 0)
		_exit(ns_by(fn, CLOCK_MONOTONIC) >= before && ns_by(NULL, CLOCK_MONOTONIC) >= before ? 3 : 4);
	CHECK_EXIT(pid, 3);
}
