/*
 * The list of terminals, /dev/tty, /dev/console, and which of the terminals is the console.
 *
 * The list only grows, at boot; tty_list_lock guards additions, readers go without: an entry is complete before the
 * count says so.
 */
#include "abi/errno_kernel.h"
#include "core/log.h"
#include "dev/char/tty_internal.h"
#include "lib/string.h"

#define TTYS_MAX 16

static struct tty *ttys[TTYS_MAX];
static unsigned tty_count;
static struct spinlock tty_list_lock = SPINLOCK_INIT(LOCK_DEVICE, "tty list");
static struct tty *console; /* immutable once chosen */

struct tty *tty_at(unsigned index)
{
	return index < atomic_load_acquire(&tty_count) ? ttys[index] : NULL;
}

int tty_register(struct tty *t)
{
	int err = chardev_register(&t->chardev);
	if (err)
		return err;
	irqflags_t f = spin_lock(&tty_list_lock);
	bool full = tty_count == TTYS_MAX;
	if (!full) {
		ttys[tty_count] = t;
		atomic_store_release(&tty_count, tty_count + 1);
	}
	spin_unlock(&tty_list_lock, f);
	if (full) {
		chardev_unregister(&t->chardev);
		return -ENOMEM;
	}
	return 0;
}

struct tty *tty_from_chardev(struct chardev *d)
{
	struct tty *t;
	for (unsigned i = 0; (t = tty_at(i)); i++)
		if (&t->chardev == d)
			return t;
	return NULL;
}

struct tty *tty_console(void)
{
	return console ? console : tty_at(0);
}

/* "tty0" means the screen on view, which is "tty1" as long as there is one screen. */
static struct tty *tty_named(const char *name, size_t len)
{
	struct tty *t;
	if ((len == 4 && memcmp(name, "tty0", 4) == 0) || (len == 3 && memcmp(name, "tty", 3) == 0)) {
		name = "tty1";
		len = 4;
	}
	for (unsigned i = 0; (t = tty_at(i)); i++)
		if (strlen(t->chardev.name) == len && memcmp(t->chardev.name, name, len) == 0)
			return t;
	return NULL;
}

/* ",115200n8" and the like: speed, parity, bits. What is not understood is left at its default. */
static void line_options(struct tty *t, const char *options)
{
	struct termios2 settings = *tty_termios(t);
	uint32_t baud = 0;
	while (*options >= '0' && *options <= '9' && baud < 10000000)
		baud = baud * 10 + (uint32_t)(*options++ - '0');
	if (baud == 0)
		return;
	settings.c_cflag = (settings.c_cflag & ~(uint32_t)(CBAUD | PARENB | PARODD | CSIZE)) | tty_speed_code(baud) |
		CS8;
	settings.c_ispeed = settings.c_ospeed = baud;
	if (*options == 'e' || *options == 'o')
		settings.c_cflag |= *options == 'o' ? PARENB | PARODD : PARENB;
	if (*options && options[1] == '7')
		settings.c_cflag = (settings.c_cflag & ~(uint32_t)CSIZE) | CS7;
	tty_set_termios(t, &settings, false);
}

void tty_console_start_log(void)
{
	struct tty *t;
	for (unsigned i = 0; (t = tty_at(i)); i++)
		if (t->is_console && t->log)
			log_console_register(t->log, t->log_replay);
}

void tty_console_choose(const char *const *names, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const char *comma = strchr(names[i], ',');
		struct tty *t = tty_named(names[i], comma ? (size_t)(comma - names[i]) : strlen(names[i]));
		if (!t) {
			log_warn("console: there is no %s on this machine", names[i]);
			continue;
		}
		if (comma)
			line_options(t, comma + 1);
		t->is_console = true;
		console = t;
	}
	if (!console)
		console = tty_at(0);
	if (!console) {
		log_warn("console: no serial port and no screen found");
		return;
	}
	console->is_console = true;
	log_info("console: %s", console->chardev.name);
}

/* --- the two nodes that are always there and stand for another terminal --- */

static int console_open(struct chardev_handle *h)
{
	struct tty *t = tty_console();
	return t ? tty_handle_open(h, t, true) : -ENODEV;
}

static int own_open(struct chardev_handle *h)
{
	struct tty *t = tty_job_ops ? tty_job_ops->current_tty() : NULL;
	return t ? tty_handle_open(h, t, false) : -ENXIO;
}

static struct chardev_ops console_ops, own_ops;
static struct chardev console_dev = {.name = "console", .major = 5, .minor = 1, .mode = 0600, .ops = &console_ops};
static struct chardev own_dev = {.name = "tty", .major = 5, .minor = 0, .mode = 0666, .ops = &own_ops};

int tty_nodes_register(void)
{
	console_ops = own_ops = tty_ops;
	console_ops.open = console_open;
	own_ops.open = own_open;
	int err = chardev_register(&console_dev);
	return err ? err : chardev_register(&own_dev);
}
