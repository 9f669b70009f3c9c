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

/* Interrupts off, so that no task runs on this CPU: what of the two lines is shown before log_write() returns. */
static bool shown_at_once(enum log_level level, unsigned word)
{
	irqflags_t f = irq_save();
	log_write(level, "%s", words[word]);
	bool shown = READ_ONCE(seen[word]);
	irq_restore(f);
	return shown;
}

static bool comes(unsigned word)
{
	for (unsigned tries = 0; !READ_ONCE(seen[word]) && tries < 500; tries++)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	return READ_ONCE(seen[word]) == 1;
}

/* On the CPU that has the task it shows; elsewhere the task may be at work at any moment. */
KTEST(core, log_is_written_by_a_task)
{
	bool as_promised = false;
	CPUS_FOR_EACH(cpu) {
		KTEST_EQ(sched_set_affinity(thread_current(), BIT(cpu)), 0);
		seen[0] = seen[1] = 0;
		log_console_register(&spy, false);
		bool early = shown_at_once(LOG_WARNING, 0), later = comes(0);
		bool at_once = shown_at_once(LOG_ERR, 1), error = comes(1);
		log_console_unregister(&spy);
		KTEST_TRUE(later && error);
		as_promised |= !early && at_once;
	}
	KTEST_TRUE(as_promised);
}
