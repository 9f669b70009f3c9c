/*
 * Who writes the log to the consoles: a task, once it runs, so that a log line costs its writer nothing but a copy; and
 * the writer itself where it may be the last word.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "core/ktest.h"
#include "core/log.h"
#include "lib/string.h"
#include "sched/sched.h"
#include "sched/timer.h"

static uint32_t seen[2];
static const char *const words[] = {"log-task: later", "log-task: at once"};

static void look(const char *text, size_t len)
{
	for (unsigned i = 0; i < 2; i++)
		for (size_t at = 0; at + strlen(words[i]) <= len; at++)
			if (memcmp(text + at, words[i], strlen(words[i])) == 0)
				WRITE_ONCE(seen[i], seen[i] + 1);
}

static struct log_console spy = {.name = "spy", .write = look};

KTEST(core, log_is_written_by_a_task)
{
	seen[0] = seen[1] = 0;
	log_console_register(&spy, false);
	irqflags_t f = irq_save();
	log_write(LOG_WARNING, "%s", words[0]);
	uint32_t early = seen[0];
	irq_restore(f);
	for (unsigned tries = 0; !READ_ONCE(seen[0]) && tries < 500; tries++)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	uint32_t later = READ_ONCE(seen[0]);
	f = irq_save();
	log_write(LOG_ERR, "%s", words[1]);
	uint32_t at_once = seen[1];
	irq_restore(f);
	for (unsigned tries = 0; !READ_ONCE(seen[1]) && tries < 500; tries++)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	uint32_t error = READ_ONCE(seen[1]);
	log_console_unregister(&spy);
	KTEST_EQ(later, 1);
	KTEST_EQ(error, 1);
	if (cpus_online > 1)
		return; /* the task may be at it on another CPU all the time: then it is neither late nor early */
	KTEST_EQ(early, 0);
	KTEST_EQ(at_once, 1);
}
