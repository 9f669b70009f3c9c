/*
 * The kernel log: theory.
 *
 * A ring of fixed slots.  A writer claims the next sequence number with one atomic add, which names its slot; it marks
 * the slot busy, fills it, and publishes it by storing the number (release).  A reader takes the number before and
 * after its copy: equal means the copy is whole.  No lock, so a record can be written in an NMI or in the middle of
 * another record.  A writer that is overtaken by a full turn of the ring (it would have to be interrupted for LOG_SLOTS
 * messages) loses its record, never the ring's shape.
 *
 * Consoles are slow (a line takes milliseconds on a real serial port), so once the system is up a task writes them, a
 * record at a time, and whoever logs only wakes it (async_wake_anywhere: from any context).  Errors are written by
 * whoever reports them, with all that came before: they may be the last words.  So is everything during the boot, in a
 * panic, and before the machine is reset or switched off (log_flush).
 *
 * Either way they are drained by whoever finds `draining` free.  The others only add their record and go: the drainer
 * looks again after it has let go, so a record is never left behind.  Hence no context waits for a console, and a
 * message from inside a console's own write (or its lock) cannot deadlock: it is printed by the drain that is already
 * on its way.
 *
 * Locking: none on the ring; the list of consoles is changed under console_list_lock and read without it (nodes are
 * never freed). Rejected: variable-length records, which save memory but need a lock or a two-step reservation to move
 * the tail.
 */
#include "core/log.h"

#include <arch/cpu.h>
#include <arch/early.h>

#include "lib/printf.h"
#include "lib/string.h"
#include "core/panic.h"
#include "sched/async.h"
#include "sched/clock.h"
#include "sync/atomic.h"
#include "sync/spinlock.h"

#define LOG_SLOTS 256u
#define SEQ_BUSY UINT64_MAX
#define FLUSH_LOOKS 100000 /* at whether another CPU has finished its line */

struct slot {
	uint64_t published; /* seq + 1 of the record here; SEQ_BUSY while it is written; 0 never used */
	struct log_record record;
};

static struct slot slots[LOG_SLOTS];
static uint64_t next_seq;
static uint64_t drained_seq; /* only the drainer moves it */
static bool draining;

static struct log_console *consoles;
static struct spinlock console_list_lock = SPINLOCK_INIT(LOCK_LEAF, "log consoles");

int log_console_level = LOG_DEBUG;
void (*log_notify)(void);

static void record_store(unsigned facility_level, uint64_t now_ns, const char *text, size_t len)
{
	uint64_t seq = atomic_fetch_add(&next_seq, 1);
	struct slot *s = &slots[seq % LOG_SLOTS];

	atomic_store_relaxed(&s->published, SEQ_BUSY);
	__atomic_thread_fence(
		__ATOMIC_RELEASE); /* a reader that sees anything of the new record sees that it is busy */
	s->record.seq = seq;
	s->record.time_ns = now_ns;
	s->record.facility_level = (uint16_t)facility_level;
	s->record.len = (uint16_t)len;
	memcpy(s->record.text, text, len);
	atomic_store_release(&s->published, seq + 1);
}

uint64_t log_next_seq(void)
{
	return atomic_load_acquire(&next_seq);
}

uint64_t log_first_seq(void)
{
	uint64_t next = log_next_seq();
	return next > LOG_SLOTS ? next - LOG_SLOTS : 0;
}

size_t log_buffer_bytes(void)
{
	return sizeof(slots);
}

/* The first complete one from seq on; log_next_seq() or more: there is none. */
static uint64_t next_published(uint64_t seq)
{
	uint64_t at = MAX(seq, log_first_seq());
	while (at < log_next_seq() && atomic_load_acquire(&slots[at % LOG_SLOTS].published) != at + 1)
		at = MAX(at + 1, log_first_seq()); /* being written or already overwritten */
	return at;
}

bool log_readable(uint64_t seq)
{
	return next_published(seq) < log_next_seq();
}

bool log_read(uint64_t *seq, struct log_record *out)
{
	for (uint64_t at = next_published(*seq); at < log_next_seq(); at = next_published(at + 1)) {
		const struct slot *s = &slots[at % LOG_SLOTS];
		memcpy(out, &s->record, sizeof(*out));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (atomic_load_relaxed(&s->published) != at + 1 || out->len > sizeof(out->text))
			continue;
		*seq = at;
		return true;
	}
	return false;
}

/* "[    1.234567] text\n" into line (room for a record and its stamp); returns its length. */
static size_t record_render(const struct log_record *r, char *line, size_t size)
{
	int n = snprintf(line, size, "[%5llu.%06llu] %.*s\n", (unsigned long long)(r->time_ns / NSEC_PER_SEC),
			 (unsigned long long)(r->time_ns % NSEC_PER_SEC / 1000), (int)r->len, r->text);
	return MIN((size_t)n, size - 1);
}

static void record_print(const struct log_record *r, struct log_console *only)
{
	char line[sizeof(r->text) + 32];
	size_t len = record_render(r, line, sizeof(line));

	if (only) {
		only->write(line, len);
		return;
	}
	for (struct log_console *c = atomic_load_acquire(&consoles); c; c = atomic_load_acquire(&c->next))
		c->write(line, len);
}

static bool record_wanted(const struct log_record *r)
{
	return (r->facility_level & 7) < log_console_level;
}

/*
 * Whether the oldest record that the consoles have not shown is complete. One that is being written blocks those behind
 * it, or it would be left out: its writer tells the consoles when it is done.
 */
static bool consoles_behind(void)
{
	uint64_t seq = atomic_load_relaxed(&drained_seq);
	uint64_t published = atomic_load_acquire(&slots[seq % LOG_SLOTS].published);
	return seq < log_next_seq() && published >= seq + 1 && published != SEQ_BUSY;
}

/*
 * One record, if there is one and nobody else is at it. True: there may be another. `last_chance`: also if somebody
 * else is at it, and past an incomplete one. A record counts as shown when it has been written, so the last chance may
 * show one twice, but leaves none out.
 */
static bool consoles_write_one(bool last_chance)
{
	struct log_record r;
	bool mine = !atomic_exchange(&draining, true);
	bool found = (mine || last_chance) && (consoles_behind() || last_chance) && log_read(&drained_seq, &r);

	if (found) {
		if (record_wanted(&r))
			record_print(&r, NULL);
		atomic_store_relaxed(&drained_seq, r.seq + 1);
	}
	if (mine)
		atomic_store_release(&draining, false);
	atomic_fence(); /* a record added before `draining` fell must be seen by consoles_behind() */
	return found;
}

static void consoles_drain(void)
{
	do {
		while (consoles_write_one(false))
			;
	} while (consoles_behind() && !atomic_load_relaxed(&draining));
}

void log_flush(void)
{
	/* Another CPU may be in the middle of a line; a context that this one interrupted never gets on with it. */
	for (unsigned i = 0; cpus_online > 1 && i < FLUSH_LOOKS && atomic_load_relaxed(&draining); i++)
		cpu_relax();
	if (panic_in_progress && atomic_load_relaxed(&draining))
		return; /* a console may be what broke; the report shows the last records itself */
	while (consoles_write_one(true))
		;
	if (panic_in_progress)
		return; /* the report's lines had it written already, where it could be */
	for (struct log_console *c = atomic_load_acquire(&consoles); c; c = atomic_load_acquire(&c->next))
		c->write("", 0); /* what programs wrote to it, also if the log had nothing to say */
}

/*
 * While somebody else is at it the task need not try, and must not try again and again: it may have pre-empted him.  He
 * looks once more when he has let go.  The fence: either he sees the record that we were woken for, or we that he has.
 */
static bool task_has_work(void)
{
	atomic_fence();
	return consoles_behind() && !atomic_load_relaxed(&draining);
}

static enum async_poll console_poll(struct async_task *self)
{
	ASYNC_BEGIN(self);
	for (;;) {
		AWAIT(self, task_has_work());
		(void)consoles_write_one(false);
		ASYNC_YIELD(self); /* a line takes its time: input goes first */
	}
	ASYNC_END(self);
}

static const struct async_ops console_ops = {.name = "log consoles", .poll = console_poll};
static struct async_task console_task;
static bool console_task_started;

void log_task_start(void)
{
	async_task_init(&console_task, &console_ops, ASYNC_LOW);
	async_spawn(&console_task);
	atomic_store_release(&console_task_started, true);
}

/* What may be the last words is written at once, and everything before it. */
static void consoles_tell(unsigned facility_level)
{
	if (atomic_load_acquire(&console_task_started) && (facility_level & 7) > LOG_ERR && !panic_in_progress)
		async_wake_anywhere(&console_task);
	else
		consoles_drain();
}

static void message_store(unsigned facility_level, const char *text, size_t len)
{
	uint64_t now_ns = clock_monotonic_ns();
	void (*notify)(void) = READ_ONCE(log_notify);

	do {
		size_t part = MIN(len, sizeof(((struct log_record *)0)->text));
		const char *newline = memchr(text, '\n', part);
		if (newline)
			part = (size_t)(newline - text);
		record_store(facility_level, now_ns, text, part);
		part += newline != NULL;
		text += part;
		len -= part;
	} while (len > 0);
	consoles_tell(facility_level);
	if (notify)
		notify();
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	message_store(level, text, MIN((size_t)MAX(n, 0), sizeof(text) - 1));
}

void log_write_user(unsigned facility_level, const char *text, size_t len)
{
	message_store(facility_level, text, len);
}

void log_console_register(struct log_console *c, bool replay)
{
	struct log_record r;

	if (replay)
		for (uint64_t seq = log_first_seq(); log_read(&seq, &r); seq++)
			if (record_wanted(&r))
				record_print(&r, c);
	irqflags_t f = spin_lock(&console_list_lock);
	c->next = consoles;
	atomic_store_release(&consoles, c);
	spin_unlock(&console_list_lock, f);
}

void log_console_unregister(struct log_console *c)
{
	irqflags_t f = spin_lock(&console_list_lock);
	for (struct log_console **at = &consoles; *at; at = &(*at)->next) {
		if (*at == c) {
			atomic_store_release(at, c->next);
			break;
		}
	}
	spin_unlock(&console_list_lock, f);
}

/* Panicking CPU only: the console that is being written, and one that broke there. */
static const struct log_console *emergency_at, *emergency_dropped;

void log_emergency_text(const char *text, size_t len)
{
	bool written = false;

	for (struct log_console *c = atomic_load_acquire(&consoles); c; c = atomic_load_acquire(&c->next)) {
		if (c == emergency_dropped)
			continue;
		emergency_at = c;
		c->write(text, len);
		written = true;
	}
	emergency_at = NULL;
	if (!written) /* between the early console and the drivers, or nothing else is left */
		early_console_write(text, len);
}

void log_emergency_drop(void)
{
	if (emergency_at)
		emergency_dropped = emergency_at;
}

void log_emergency(const char *line)
{
	log_emergency_text(line, strlen(line));
	log_emergency_text("\n", 1);
}
