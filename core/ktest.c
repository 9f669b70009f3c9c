/*
 * The runner of in-kernel tests (core/ktest.h).
 *
 * Each test runs in a kernel thread of its own, so that a failed check can simply end the thread.  What the test left
 * locked or allocated then stays so, which may fail later tests too: the first failure is the one to read.  A test that
 * passed but after which pages are missing is run again, some times if need be: caches that filled up cease to grow, a
 * leak does not.
 */
#include "core/ktest.h"

#include <arch/cpu.h>
#include <arch/power.h>
#include <arch/time.h>

#include "core/log.h"
#include "core/panic.h"
#include "core/sanitizer.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab_debug.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "sched/wait.h"

extern const struct ktest __start_ktests[], __stop_ktests[];

#define RUNS_TO_FILL_CACHES 5
#define OWNERS_SHOWN 10
#define THREADS_END_NS NSEC_PER_SEC

enum outcome { RUNNING, PASSED, FAILED, SKIPPED };

static enum outcome outcome;
static struct wait_queue done = WAIT_QUEUE_INIT(done);
static char message[256];

static noreturn void finish(enum outcome o)
{
	WRITE_ONCE(outcome, o);
	wait_wake_all(&done);
	thread_exit();
}

noreturn void ktest_fail(const char *file, int line, const char *fmt, ...)
{
	int n = snprintf(message, sizeof(message), "%s:%d: ", file, line);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message + n, sizeof(message) - (size_t)n, fmt, ap);
	va_end(ap);
	finish(FAILED);
}

noreturn void ktest_skip(const char *reason)
{
	strlcpy(message, reason, sizeof(message));
	finish(SKIPPED);
}

static void test_thread(void *arg)
{
	const struct ktest *t = arg;

	/* Each begins on the first CPU, and may go elsewhere. */
	if (!sched_set_affinity(thread_current(), BIT(0)))
		(void)!sched_set_affinity(thread_current(), UINT64_MAX);
	t->run();
	finish(PASSED);
}

static uint32_t threads_alive(void)
{
	struct sched_stats stats;

	sched_stats_get(0, &stats);
	return stats.threads;
}

/* A thread that has told its test that it ends still has its last lines to run, for which its CPU may lack the time. */
static void await_threads(uint32_t alive)
{
	uint64_t end = time_ns() + THREADS_END_NS;

	while (threads_alive() > alive && time_ns() < end)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC / 10, false);
}

/* What each CPU keeps goes back. */
static void caches_drain(void)
{
	CPUS_FOR_EACH(cpu)
		if (!sched_set_affinity(thread_current(), BIT(cpu)))
			mm_caches_drain();
	(void)!sched_set_affinity(thread_current(), UINT64_MAX);
}

/* Runs one test to its end; *pages_lost is how many fewer pages are free. */
static enum outcome run(const struct ktest *t, int64_t *pages_lost)
{
	caches_drain();
	uint64_t before = page_free_count();
	uint32_t alive = threads_alive();

	outcome = RUNNING;
	message[0] = '\0';
	if (thread_create(test_thread, (void *)t, t->name) != 0) {
		strlcpy(message, "no memory for the test's thread", sizeof(message));
		return FAILED;
	}
	(void)WAIT_UNTIL(&done, READ_ONCE(outcome) != RUNNING, 0, WAIT_FOREVER);
	await_threads(alive);
	caches_drain();
	*pages_lost = (int64_t)before - (int64_t)page_free_count();
	return outcome;
}

static enum outcome run_checked(const struct ktest *t)
{
	int64_t lost = 0;
	uint32_t serial = 0;
	uint32_t reports = CONFIG_UBSAN ? san_reports : 0;
	enum outcome o = run(t, &lost);

	for (int again = 0; o == PASSED && lost > 0 && again < RUNS_TO_FILL_CACHES; again++) {
		serial = CONFIG_DEBUG ? slab_serial_now() : 0;
		o = run(t, &lost);
	}
	if (o == PASSED && lost > 0) {
		if (CONFIG_DEBUG)
			slab_owners_log(serial, OWNERS_SHOWN); /* of the last run: what it did not give back */
		snprintf(message, sizeof(message), "%s:%d: leaks %lld pages each time it runs", t->file, t->line,
			 (long long)lost);
		o = FAILED;
	}
	if (CONFIG_UBSAN && o == PASSED && san_reports != reports) {
		snprintf(message, sizeof(message), "%u reports, the last: %s", san_reports - reports, san_headline);
		o = FAILED;
	}
	return o;
}

/* File and line order: the linker's order differs between compilers. Selection sort, once, over few hundred entries. */
static void sort(const struct ktest **list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (size_t j = i + 1; j < n; j++) {
			int c = strcmp(list[j]->file, list[i]->file);
			if (c < 0 || (c == 0 && list[j]->line < list[i]->line)) {
				const struct ktest *t = list[i];
				list[i] = list[j];
				list[j] = t;
			}
		}
	}
}

unsigned ktest_run(const char *filter)
{
	static const struct ktest *list[1024];
	size_t n = 0;
	unsigned passed = 0, failed = 0, skipped = 0;
	char name[96];

	for (const struct ktest *t = __start_ktests; t < __stop_ktests; t++) {
		BUG_ON(n == ARRAY_SIZE(list));
		snprintf(name, sizeof(name), "%s.%s", t->area, t->name);
		if (!filter || str_skip_prefix(name, filter))
			list[n++] = t;
	}
	sort(list, n);
	if (CONFIG_UBSAN && san_reports) {
		failed++;
		log_err("ktest: FAIL core.boot %u reports, the last: %s", san_reports, san_headline);
	}
	for (size_t i = 0; i < n; i++) {
		log_debug("ktest: run  %s.%s", list[i]->area, list[i]->name);
		switch (run_checked(list[i])) {
		case PASSED:
			passed++;
			log_info("ktest: ok %s.%s", list[i]->area, list[i]->name);
			break;
		case SKIPPED:
			skipped++;
			log_info("ktest: skipped %s.%s: %s", list[i]->area, list[i]->name, message);
			break;
		case RUNNING:
		case FAILED:
			failed++;
			log_err("ktest: FAIL %s.%s %s", list[i]->area, list[i]->name, message);
			break;
		}
	}
	log_info("ktest: %u passed, %u failed, %u skipped", passed, failed, skipped);
	return failed;
}

noreturn void ktest_run_all(const char *filter)
{
	unsigned failed = ktest_run(filter);
	power_test_exit(failed ? 1 : 0x10);
}
