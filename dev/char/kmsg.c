/*
 * /dev/kmsg (Linux: Documentation/ABI/testing/dev-kmsg): each read gives one record of the kernel log as
 *
 *     <facility*8+level>,<sequence>,<microseconds>,-;text\n
 *
 * with bytes that are not printable as \xNN; a write adds a record. A handle's private state is the number of the next
 * record to read; the log itself needs no lock.
 *
 * Readers are woken by a task: log_notify runs in any context, also under the scheduler's own locks, where a thread
 * cannot be woken.
 */
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <linux/fs.h>
#include "abi/errno_kernel.h"
#include "dev/char/kmsg.h"
#include "dev/chardev.h"
#include "lib/printf.h"
#include "mm/slab.h"
#include "sched/async.h"
#include "sched/mutex.h"
#include "sched/wait.h"

#define WRITE_MAX 992	/* as Linux: a longer message is -EINVAL */
#define FACILITY_USER 1 /* what a program's message gets that names none or the kernel's */
#define LEVEL_DEFAULT LOG_WARNING

static struct wait_queue readers = WAIT_QUEUE_INIT(readers);

static enum async_poll wake_poll(struct async_task *self)
{
	(void)self;
	wait_wake_key(&readers, POLLIN | POLLRDNORM);
	return ASYNC_PENDING; /* woken by the next record */
}

static const struct async_ops wake_ops = {.name = "kmsg readers", .poll = wake_poll};
static struct async_task wake_task;

static void log_grew(void)
{
	if (wait_queue_active(&readers))
		async_wake_anywhere(&wake_task);
}

size_t kmsg_format(const struct log_record *r, char *buf)
{
	size_t n = (size_t)snprintf(buf, KMSG_LINE_MAX, "%u,%llu,%llu,-;", r->facility_level,
				    (unsigned long long)r->seq, (unsigned long long)(r->time_ns / NSEC_PER_USEC));
	for (uint32_t i = 0; i < r->len && i < sizeof(r->text); i++) {
		uint8_t c = (uint8_t)r->text[i];
		if (c < ' ' || c >= 127 || c == '\\')
			n += (size_t)snprintf(buf + n, 5, "\\x%02x", c);
		else
			buf[n++] = (char)c;
	}
	buf[n++] = '\n';
	return n;
}

unsigned kmsg_prefix(const char **text, size_t *len)
{
	const char *s = *text;
	unsigned value = 0;
	size_t i = 1;
	if (*len < 3 || s[0] != '<')
		return FACILITY_USER << 3 | LEVEL_DEFAULT;
	while (i < *len && i < 6 && s[i] >= '0' && s[i] <= '9')
		value = value * 10 + (unsigned)(s[i++] - '0');
	if (i == 1 || i >= *len || s[i] != '>')
		return FACILITY_USER << 3 | LEVEL_DEFAULT;
	*text += i + 1;
	*len -= i + 1;
	/* Nobody but the kernel speaks as the kernel. */
	return value >> 3 ? value & 0xfff : FACILITY_USER << 3 | (value & 7);
}

struct kmsg_reader {
	struct mutex lock; /* one read at a time */
	uint64_t seq;	   /* lock */
	struct log_record record;
	char line[KMSG_LINE_MAX];
};

static int kmsg_open(struct chardev_handle *h)
{
	if ((h->flags & O_ACCMODE) == O_WRONLY)
		return 0;
	struct kmsg_reader *r = kmalloc(sizeof(*r));
	if (!r)
		return -ENOMEM;
	mutex_init(&r->lock, LOCK_TTY, "kmsg");
	r->seq = log_first_seq();
	h->private = r;
	return 0;
}

static void kmsg_release(struct chardev_handle *h)
{
	kfree(h->private);
}

static int64_t kmsg_read(struct chardev_handle *h, struct uio *u)
{
	struct kmsg_reader *r = h->private;
	if (!r)
		return -EBADF;
	MUTEX_GUARD(&r->lock);
	if (r->seq < log_first_seq()) { /* some were overwritten: say so once, then go on with the oldest */
		r->seq = log_first_seq();
		return -EPIPE;
	}
	while (!log_read(&r->seq, &r->record)) {
		if (READ_ONCE(h->flags) & O_NONBLOCK)
			return -EAGAIN;
		int err = WAIT_UNTIL(&readers, log_readable(r->seq), WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		if (err)
			return err;
	}
	size_t len = kmsg_format(&r->record, r->line);
	if (len > u->left)
		return -EINVAL;
	if (uio_put(u, r->line, len) < 0)
		return -EFAULT;
	r->seq++;
	return (int64_t)len;
}

static int64_t kmsg_write(struct chardev_handle *h, struct uio *u)
{
	char bytes[WRITE_MAX];
	size_t len = u->left;
	(void)h;
	if (len > sizeof(bytes))
		return -EINVAL;
	if (uio_get(u, bytes, len) < 0)
		return -EFAULT;
	const char *text = bytes;
	size_t left = len;
	unsigned facility_level = kmsg_prefix(&text, &left);
	if (left > 0 && text[left - 1] == '\n')
		left--;
	log_write_user(facility_level, text, left);
	return (int64_t)len;
}

static uint32_t kmsg_poll(struct chardev_handle *h, struct poll_table *t)
{
	struct kmsg_reader *r = h->private;
	if (!r)
		return POLLOUT | POLLWRNORM;
	poll_add(t, &readers);
	uint32_t events = POLLOUT | POLLWRNORM;
	uint64_t seq = READ_ONCE(r->seq);
	if (log_readable(seq))
		events |= POLLIN | POLLRDNORM | (seq < log_first_seq() ? POLLERR | POLLPRI : 0u);
	return events;
}

/* Only these three places exist; there are no byte offsets in the log. */
static int64_t kmsg_seek(struct chardev_handle *h, int64_t offset, int whence)
{
	struct kmsg_reader *r = h->private;
	if (!r)
		return -EBADF;
	if (offset)
		return -ESPIPE;
	MUTEX_GUARD(&r->lock);
	switch (whence) {
	case SEEK_SET:
	case SEEK_DATA: /* after the last clear; the log has no clear mark */
		r->seq = log_first_seq();
		return 0;
	case SEEK_END:
		r->seq = log_next_seq();
		return 0;
	default:
		return -EINVAL;
	}
}

static const struct chardev_ops kmsg_ops = {
	.open = kmsg_open,
	.release = kmsg_release,
	.read = kmsg_read,
	.write = kmsg_write,
	.poll = kmsg_poll,
	.seek = kmsg_seek,
};

static struct chardev kmsg = {.name = "kmsg", .major = 1, .minor = 11, .mode = 0644, .ops = &kmsg_ops};

int kmsg_register(void)
{
	async_task_init(&wake_task, &wake_ops, ASYNC_NORMAL);
	async_spawn(&wake_task);
	log_notify = log_grew;
	return chardev_register(&kmsg);
}
