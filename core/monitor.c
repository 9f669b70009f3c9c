/*
 * The monitor: theory.
 *
 * Purpose: to look into the running kernel, and to have something to talk to when there is no program: nothing to boot,
 * a system that hangs, or a panic.
 *
 * Ways in.  `monitor` on the command line, and "no init could be started" (core/init.c): monitor_run() in the thread
 * that boots.  The key sequence (dev/char/tty_take.c) while programs run: a thread of its own that sleeps until then,
 * and runs at the highest priority so that a system full of busy programs can be looked at.  A panic: called by
 * core/panic.c when the user has not asked for a reset.
 *
 * Two ways to the consoles.  In a living kernel the terminals are taken from the programs (tty_take): input comes by
 * their interrupts, output goes through their drivers' queues, reading sleeps.  After a panic nothing of that may be
 * used: input is polled from the first serial port and the keyboard controller, output goes the log's emergency way.
 * `polled` says which it is; the line editor and the commands are the same.
 *
 * Commands are found in a linker section (core/monitor.h) and stand beside the code they show.  After a panic only
 * those work that are marked for it.  A command that faults then ends in a second panic, which comes back here; after
 * AFTER_PANIC_TRIES such returns the machine stands still.
 *
 * Locking: `busy` (one reader at a time) is taken by atomic exchange; the editor and the output buffer belong to
 * whoever has it.  The input ring has one consumer, that reader, and any number of producers under input_lock.
 *
 * Rejected: a debugger that stops the system and steps through it: gdb at QEMU's gdbstub does that better, and needs no
 * code here.
 */
#include "core/monitor.h"

#include <linux/sched.h>

#include <arch/cpu.h>
#include <arch/early.h>
#include <arch/power.h>
#include <arch/trap.h>
#include "core/log.h"
#include "core/options.h"
#include "core/panic.h"
#include "core/symbols.h"
#include "dev/input/keyboard_poll.h"
#include "dev/tty.h"
#include "lib/lineedit.h"
#include "lib/ring.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "sync/atomic.h"

#define WORDS_MAX 8
#define COMMANDS_MAX 64
#define BACKTRACE_MAX 32
#define AFTER_PANIC_TRIES 8
#define KEY_INTERRUPT 3 /* Ctrl-C */

extern const struct monitor_command __start_monitor_commands[], __stop_monitor_commands[];

static bool busy;   /* somebody reads; atomic */
static bool polled; /* after a panic */
static bool in_command;
static struct wait_queue idle = WAIT_QUEUE_INIT(idle);

static struct spinlock input_lock = SPINLOCK_INIT(LOCK_LEAF, "monitor input");
static uint8_t input_bytes[256];
static struct ring input = {.bytes = input_bytes, .mask = sizeof(input_bytes) - 1};
static struct wait_queue input_wait = WAIT_QUEUE_INIT(input_wait);

static bool requested; /* the key sequence was typed */
static struct tty *requested_on;
static struct wait_queue request_wait = WAIT_QUEUE_INIT(request_wait);

static const struct monitor_command *commands[COMMANDS_MAX]; /* by name */
static unsigned command_count;
static struct lineedit editor;

/* --- output --- */

static char pending[256];
static size_t pending_len;

static int poll_byte(void);

static void flush(struct monitor_out *out)
{
	if (polled) {
		log_emergency_text(pending, pending_len);
		if (in_command && poll_byte() == KEY_INTERRUPT)
			out->interrupted = true;
	} else if (pending_len > 0) {
		tty_take_write(pending, pending_len);
	}
	pending_len = 0;
}

static void put(struct fmt_sink *sink, const char *text, size_t len)
{
	struct monitor_out *out = container_of(sink, struct monitor_out, sink);

	for (size_t i = 0; i < len && !READ_ONCE(out->interrupted); i++) {
		if (text[i] == '\n' && !polled) /* the log's way does this itself */
			pending[pending_len++] = '\r';
		pending[pending_len++] = text[i];
		if (text[i] == '\n' || pending_len >= sizeof(pending) - 1)
			flush(out);
	}
}

static struct monitor_out out_all = {.sink = {put}};

/* --- input --- */

/* Any context: what is typed on a terminal that is taken. */
static void typed(const char *bytes, size_t len)
{
	irqflags_t f = spin_lock(&input_lock);
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] == KEY_INTERRUPT && READ_ONCE(in_command))
			WRITE_ONCE(out_all.interrupted, true);
		else
			(void)ring_put_byte(&input, (uint8_t)bytes[i]);
	}
	spin_unlock(&input_lock, f);
	wait_wake_all(&input_wait);
}

static int poll_byte(void)
{
	int c = early_console_read();
	return c >= 0 ? c : keyboard_poll();
}

static uint8_t read_byte(void)
{
	int c;

	if (polled) {
		while ((c = poll_byte()) < 0)
			cpu_relax();
		return (uint8_t)c;
	}
	for (;;) {
		c = ring_get_byte(&input);
		if (c >= 0)
			return (uint8_t)c;
		(void)!WAIT_UNTIL(&input_wait, !ring_empty(&input), 0, WAIT_FOREVER);
	}
}

/* --- the line editor's side --- */

static void show(struct lineedit *e, const char *text, size_t len)
{
	(void)e;
	put(&out_all.sink, text, len);
}

static bool usable(const struct monitor_command *c)
{
	return !polled || (c->flags & MONITOR_AFTER_PANIC);
}

/* Commands, for the first word and behind `help`. */
static const char *candidate(struct lineedit *e, const char *before, unsigned i)
{
	(void)e;
	if (before[0] && !str_equal(before, "help "))
		return NULL;
	for (unsigned n = 0; n < command_count; n++)
		if (usable(commands[n]) && i-- == 0)
			return commands[n]->name;
	return NULL;
}

static const struct lineedit_ops editor_ops = {.show = show, .candidate = candidate};

/* The next line; false: end (Ctrl-D). */
static bool read_line(void)
{
	lineedit_start(&editor);
	for (;;) {
		flush(&out_all);
		switch (lineedit_byte(&editor, read_byte())) {
		case LINEEDIT_MORE:
			break;
		case LINEEDIT_LINE:
			return true;
		case LINEEDIT_INTERRUPT:
			lineedit_start(&editor);
			break;
		case LINEEDIT_END:
			return false;
		}
	}
}

/* --- commands --- */

static void commands_sort(void)
{
	if (command_count)
		return;
	for (const struct monitor_command *c = __start_monitor_commands; c < __stop_monitor_commands; c++) {
		unsigned i;
		BUG_ON(command_count == COMMANDS_MAX);
		for (i = command_count++; i > 0 && strcmp(commands[i - 1]->name, c->name) > 0; i--)
			commands[i] = commands[i - 1];
		commands[i] = c;
	}
}

static const struct monitor_command *find(const char *name)
{
	for (unsigned i = 0; i < command_count; i++)
		if (str_equal(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void run_command(int argc, char **argv)
{
	const struct monitor_command *c = find(argv[0]);

	if (!c) {
		monitor_print(&out_all, "%s: no such command; `help` lists them\n", argv[0]);
		return;
	}
	if (!usable(c)) {
		monitor_print(&out_all, "%s: not after a panic\n", argv[0]);
		return;
	}
	WRITE_ONCE(in_command, true);
	c->run(&out_all, argc, argv);
	flush(&out_all);
	WRITE_ONCE(in_command, false);
	if (out_all.interrupted) {
		out_all.interrupted = false;
		monitor_print(&out_all, "^C\n");
	}
}

/* Lines until `exit`, if that is allowed. */
static void converse(const char *greeting, const char *prompt, bool may_exit)
{
	char *words[WORDS_MAX];

	commands_sort();
	if (editor.ops)
		editor.prompt = prompt; /* keeps its history */
	else
		lineedit_init(&editor, &editor_ops, prompt);
	monitor_print(&out_all, "\n%s; `help` lists the commands%s\n", greeting, may_exit ? ", `exit` goes back" : "");
	for (;;) {
		if (!panic_in_progress)
			log_flush(); /* what the command logged, before the prompt */
		bool line = read_line();
		unsigned n = line ? lineedit_split(editor.text, words, WORDS_MAX) : 0;
		if (!line || (n > 0 && str_equal(words[0], "exit"))) {
			if (may_exit)
				break;
			monitor_print(&out_all, "there is nothing to go back to: `reboot` or `poweroff`\n");
		} else if (n > 0) {
			run_command((int)n, words);
		}
	}
	flush(&out_all);
}

MONITOR_COMMAND(help, "[COMMAND]", "this list, or one line of it", MONITOR_AFTER_PANIC)
{
	char left[40];

	if (argc > 1 && !find(argv[1])) {
		monitor_print(out, "%s: no such command\n", argv[1]);
		return;
	}
	for (unsigned i = 0; i < command_count; i++) {
		const struct monitor_command *c = commands[i];
		if (!usable(c) || (argc > 1 && !str_equal(c->name, argv[1])))
			continue;
		snprintf(left, sizeof(left), "%s %s", c->name, c->args);
		monitor_print(out, "  %-26s %s\n", left, c->help);
	}
	if (argc > 1)
		return;
	const char *word, *meaning;
	monitor_print(out, "words on the kernel's command line that Linux does not have:\n");
	for (unsigned i = 0; (word = options_own_word(i, &meaning)); i++)
		monitor_print(out, "  %-26s %s\n", word, meaning);
}

/* --- for commands --- */

bool monitor_number(struct monitor_out *out, const char *word, uint64_t *value)
{
	if (str_to_u64(word, 0, value) == 0)
		return true;
	monitor_print(out, "%s: not a number\n", word);
	return false;
}

const char *monitor_symbol(uint64_t addr, char *buf, size_t len)
{
	uintptr_t offset;
	const char *name = symbol_lookup(addr, &offset);

	if (name)
		snprintf(buf, len, " %s+%#llx", name, (unsigned long long)offset);
	else
		buf[0] = '\0';
	return buf;
}

void monitor_backtrace(struct monitor_out *out, uint64_t ip, uint64_t fp, uint64_t lo, uint64_t hi)
{
	uint64_t addrs[BACKTRACE_MAX];
	char symbol[96];
	unsigned n = fp ? trap_backtrace(fp, lo, hi, addrs, BACKTRACE_MAX) : 0;

	if (ip)
		monitor_print(out, "  %016llx %s\n", (unsigned long long)ip,
			      monitor_symbol(ip, symbol, sizeof(symbol)));
	for (unsigned i = 0; i < n; i++) /* a return address lies behind its call: look up the byte before */
		monitor_print(out, "  %016llx %s\n", (unsigned long long)addrs[i],
			      monitor_symbol(addrs[i] - 1, symbol, sizeof(symbol)));
}

/* --- ways in --- */

static bool run_on(struct tty *also, const char *greeting, bool may_exit)
{
	(void)!WAIT_UNTIL(&idle, !atomic_exchange(&busy, true), 0, WAIT_FOREVER);
	unsigned terminals = tty_take(also, typed);
	if (terminals > 0)
		converse(greeting, "monitor> ", may_exit);
	tty_give_back();
	/* typed ahead, behind `exit`: for the programs */
	struct tty *next_reader = also ? also : tty_console();
	for (int c; (c = ring_get_byte(&input)) >= 0;)
		(void)tty_input(next_reader, &(char){(char)c}, 1);
	atomic_store_release(&busy, false);
	wait_wake_all(&idle);
	return terminals > 0;
}

bool monitor_run(const char *greeting, bool may_exit)
{
	return run_on(NULL, greeting, may_exit);
}

static void monitor_thread(void *arg)
{
	(void)arg;
	int err = sched_set_policy(thread_current(), SCHED_FIFO, 99);
	if (err)
		log_warn("monitor: no priority (error %d)", -err);
	for (;;) {
		(void)!WAIT_UNTIL(&request_wait, READ_ONCE(requested), 0, WAIT_FOREVER);
		(void)run_on(requested_on, "monitor: programs go on, their output waits", true);
		WRITE_ONCE(requested, false);
	}
}

/* The key behind the break: as on Linux where it means the same. Any context. */
static void attention(struct tty *t, char key)
{
	switch (key) {
	case 'b':
		power_reset();
	case 'o':
		power_off();
	case 'm':
		if (READ_ONCE(requested))
			break;
		requested_on = t;
		WRITE_ONCE(requested, true);
		wait_wake_all(&request_wait);
		break;
	default:
		log_write(LOG_NOTICE, "sysrq: keys are: b reset at once, m monitor, o power off");
	}
}

void monitor_init(void)
{
	if (thread_create(monitor_thread, NULL, "monitor") != 0) {
		log_warn("monitor: no memory for its thread: it cannot be called by key");
		return;
	}
	tty_attention = attention;
}

void monitor_after_panic(void)
{
	static unsigned tries;
	bool serial = early_console_present(), keyboard = keyboard_poll_init();

	if ((!serial && !keyboard) || tries++ == AFTER_PANIC_TRIES)
		return;
	polled = true;
	in_command = false;
	pending_len = 0;
	out_all.interrupted = false;
	converse("monitor: commands that are safe after a panic", "panic> ", false);
}
