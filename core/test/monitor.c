/*
 * The monitor's commands, run in the test image: each that shows something does so, and none leaves anything behind
 * (the runner counts pages).
 */
#include "core/ktest.h"
#include "core/monitor.h"
#include "lib/string.h"

extern const struct monitor_command __start_monitor_commands[], __stop_monitor_commands[];

struct counter {
	struct monitor_out out;
	size_t len;
};

static void count(struct fmt_sink *sink, const char *text, size_t len)
{
	struct counter *c = container_of(container_of(sink, struct monitor_out, sink), struct counter, out);

	(void)text;
	c->len += len;
}

static bool ends_the_run(const char *name)
{
	static const char *const names[] = {"reboot", "poweroff", "crash", "tests"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (str_equal(name, names[i]))
			return true;
	return false;
}

KTEST(core, monitor_commands_show_something)
{
	unsigned n = 0;

	for (const struct monitor_command *c = __start_monitor_commands; c < __stop_monitor_commands; c++, n++) {
		char name[16];
		char *argv[] = {name, NULL};
		struct counter counter = {.out = {.sink = {count}}};

		if (ends_the_run(c->name) || str_equal(c->name, "help")) /* sorts when the monitor starts */
			continue;
		strlcpy(name, c->name, sizeof(name));
		c->run(&counter.out, 1, argv);
		if (!counter.len)
			ktest_fail(__FILE__, __LINE__, "%s prints nothing", c->name);
	}
	KTEST_TRUE(n >= 18);
}

KTEST(core, monitor_numbers_and_symbols)
{
	struct counter counter = {.out = {.sink = {count}}};
	uint64_t v = 5;
	char buf[64];

	KTEST_TRUE(monitor_number(&counter.out, "0x10", &v) && v == 16 && counter.len == 0);
	KTEST_TRUE(!monitor_number(&counter.out, "1x", &v) && v == 16 && counter.len > 0);
	KTEST_TRUE(str_equal(monitor_symbol((uint64_t)monitor_symbol + 4, buf, sizeof(buf)), " monitor_symbol+0x4"));
	KTEST_TRUE(str_equal(monitor_symbol(4096, buf, sizeof(buf)), ""));
}
