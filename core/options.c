/*
 * Command-line options: one table of the words the kernel knows.  What each means to Linux it means here.  Words Linux
 * takes and Ashlar has no use for are accepted in silence (`ignored`), so that a command line made for Linux prints no
 * noise; all others go to init with a line that says so.
 */
#include "core/options.h"

#include <asm/errno.h>

#include "core/boot_info.h"
#include "core/log.h"
#include "lib/cmdline.h"
#include "lib/string.h"
#include "sched/group.h"
#include "sched/seed.h"

struct options options = {.rdinit = "/init", .cpus_max = UINT32_MAX};

static char text[BOOT_CMDLINE_MAX]; /* what the pointers in `options` point into */

struct option {
	const char *name;
	/* value is "" when there is no '='. False: the value makes no sense. */
	bool (*set)(const char *value);
	const char *own; /* what it means, for words that Linux does not have; the others: man 7 bootparam */
};

static bool parse_int(const char *s, int *out)
{
	bool negative = *s == '-';
	uint64_t v;

	if (str_to_u64(s + negative, 10, &v) != 0 || v > INT32_MAX)
		return false;
	*out = negative ? -(int)v : (int)v;
	return true;
}

static bool set_string(const char **where, const char *value)
{
	*where = value;
	return *value != '\0';
}

static bool set_init(const char *v)
{
	return set_string(&options.init, v);
}

static bool set_rdinit(const char *v)
{
	return set_string(&options.rdinit, v);
}

static bool set_root(const char *v)
{
	return set_string(&options.root, v);
}

static bool set_rootfstype(const char *v)
{
	return set_string(&options.rootfstype, v);
}

static bool set_rootflags(const char *v)
{
	return set_string(&options.rootflags, v);
}

static bool set_keymap(const char *v)
{
	return set_string(&options.keymap, v);
}

static bool set_clocksource(const char *v)
{
	return set_string(&options.clocksource, v);
}

static bool set_clockevent(const char *v)
{
	return set_string(&options.clockevent, v);
}

/* Linux's other values say that the TSC may be trusted, which it is anyway. */
static bool set_tsc(const char *v)
{
	options.tsc_unstable = str_equal(v, "unstable");
	return *v != '\0';
}

/* [driver:]WIDTHxHEIGHT[-BITS][@RATE], as Linux has it: driver, bits and rate are what the adapter has. */
static bool set_video(const char *v)
{
	const char *at = strrchr(v, ':');
	uint64_t size[2] = {0, 0};

	at = at ? at + 1 : v;
	for (int i = 0; i < 2; i++) {
		for (; *at >= '0' && *at <= '9' && size[i] < 100000; at++)
			size[i] = size[i] * 10 + (uint64_t)(*at - '0');
		if (i == 0 && *at++ != 'x')
			return false;
	}
	if (size[0] == 0 || size[1] == 0 || size[0] > UINT16_MAX || size[1] > UINT16_MAX)
		return false;
	options.video_width = (unsigned)size[0];
	options.video_height = (unsigned)size[1];
	return true;
}

static bool set_ktest_panic(const char *v)
{
	return set_string(&options.ktest_panic, v);
}

static bool set_ktest(const char *v)
{
	options.ktest = v;
	return true;
}

static bool set_monitor(const char *v)
{
	options.monitor = true;
	return *v == '\0';
}

static bool set_alloc_record(const char *v)
{
	options.alloc_record = true;
	return *v == '\0' && CONFIG_DEBUG;
}

static bool set_ro(const char *v)
{
	options.read_only = true;
	return *v == '\0';
}

static bool set_rw(const char *v)
{
	options.read_only = false;
	return *v == '\0';
}

static bool set_console(const char *v)
{
	if (*v == '\0')
		return false;
	if (options.console_count == ARRAY_SIZE(options.consoles))
		memmove(options.consoles, options.consoles + 1, sizeof(options.consoles) - sizeof(options.consoles[0]));
	else
		options.console_count++;
	options.consoles[options.console_count - 1] = v;
	return true;
}

static bool set_panic(const char *v)
{
	return parse_int(v, &options.panic_timeout);
}

static bool set_loglevel(const char *v)
{
	return parse_int(v, &log_console_level);
}

static bool set_quiet(const char *v)
{
	log_console_level = LOG_WARNING;
	return *v == '\0';
}

static bool set_debug(const char *v)
{
	log_console_level = LOG_DEBUG + 1;
	return *v == '\0';
}

static bool set_mem(const char *v)
{
	return cmdline_u64(v, &options.mem_limit) == 0 && options.mem_limit > 0;
}

static bool set_maxcpus(const char *v)
{
	int n;

	if (!parse_int(v, &n) || n < 0)
		return false;
	options.cpus_max = MAX((uint32_t)n, 1u);
	return true;
}

static bool set_sched_seed(const char *v)
{
	int n;

	if (!parse_int(v, &n))
		return false;
	sched_seed_set((uint64_t)(int64_t)n);
	return true;
}

static bool set_nosmp(const char *v)
{
	options.cpus_max = 1;
	return *v == '\0';
}

static bool set_noautogroup(const char *v)
{
	sched_grouping_set(false);
	return *v == '\0';
}

static const struct option known[] = {
	{"allocrecord", set_alloc_record, "record allocations for /proc/ashlar/alloc_trace (debug builds)"},
	{"clockevent", set_clockevent, "NAME: which alarm to use"},
	{"clocksource", set_clocksource},
	{"console", set_console},
	{"debug", set_debug},
	{"init", set_init},
	{"keymap", set_keymap, "NAME: keyboard layout"},
	{"ktest", set_ktest, "PREFIX: which in-kernel tests to run (test image)"},
	{"ktest-panic", set_ktest_panic, "NAME: panic on purpose in that way (test image)"},
	{"loglevel", set_loglevel},
	{"maxcpus", set_maxcpus},
	{"mem", set_mem},
	{"monitor", set_monitor, "the kernel's monitor before init"},
	{"noautogroup", set_noautogroup},
	{"nosmp", set_nosmp},
	{"panic", set_panic},
	{"quiet", set_quiet},
	{"rdinit", set_rdinit},
	{"ro", set_ro},
	{"root", set_root},
	{"rootflags", set_rootflags},
	{"rootfstype", set_rootfstype},
	{"rw", set_rw},
	{"sched_seed", set_sched_seed, "N: perturb who runs when and where, from this seed"},
	{"tsc", set_tsc},
	{"video", set_video},
};

static const char *const ignored[] = {
	"acpi",		 "apic",
	"BOOT_IMAGE",	 "earlycon",
	"earlyprintk",	 "elevator",
	"initrd",	 "ignore_loglevel",
	"lapic",	 "mitigations",
	"net",		 "nofb",
	"nokaslr",	 "noapic",
	"nolapic",	 "nomodule",
	"nomodeset",	 "no_timer_check",
	"noreplace-smp", "nopti",
	"page_poison",	 "pci",
	"printk_time",	 "random.trust_cpu",
	"reboot",	 "rootdelay",
	"rootwait",	 "selinux",
	"splash",	 "swapaccount",
	"vga",		 "vt",
};

static bool is_ignored(const struct cmdline_word *w)
{
	if (memchr(w->text, '.', w->key_len)) /* a module's parameter: Linux keeps those from init too */
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (cmdline_key_is(w, ignored[i]))
			return true;
	return false;
}

static const struct option *find(const struct cmdline_word *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (cmdline_key_is(w, known[i].name))
			return &known[i];
	return NULL;
}

static void pass_to_init(const char **list, unsigned *count, const char *word, const char *as)
{
	if (*count == OPTIONS_INIT_ARGS_MAX) {
		log_warn("options: too many words for init, \"%s\" is dropped (at most %d)", word,
			 OPTIONS_INIT_ARGS_MAX);
		return;
	}
	list[(*count)++] = word;
	if (as)
		log_info("options: \"%s\" is no word of the kernel's: handed to init as %s", word, as);
}

static void apply(const struct cmdline_word *w)
{
	const struct option *o = find(w);

	if (w->for_init) {
		pass_to_init(options.init_args, &options.init_arg_count, w->text, NULL);
	} else if (o) {
		if (!o->set(w->value ? w->value : ""))
			log_warn("options: \"%s\" has a value that makes no sense and is not used", w->text);
	} else if (!is_ignored(w)) {
		if (w->value)
			pass_to_init(options.init_env, &options.init_env_count, w->text, "environment");
		else
			pass_to_init(options.init_args, &options.init_arg_count, w->text, "an argument");
	}
}

void options_parse(const char *cmdline)
{
	struct cmdline_iter iter = CMDLINE_ITER(cmdline);
	struct cmdline_word w;
	char *at = text;
	int got;

	while ((got = cmdline_next(&iter, at, sizeof(text) - (size_t)(at - text), &w)) != 0) {
		if (got < 0)
			continue; /* cannot be: `text` is as large as the longest command line */
		apply(&w);
		at += strlen(w.text) + 1;
	}
}

const char *options_own_word(unsigned i, const char **meaning)
{
	for (size_t k = 0; k < ARRAY_SIZE(known); k++) {
		if (!known[k].own || i--)
			continue;
		*meaning = known[k].own;
		return known[k].name;
	}
	return NULL;
}
