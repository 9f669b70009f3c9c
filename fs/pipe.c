/*
 * Pipes and FIFOs (man 7 pipe, 7 fifo).
 *
 * A pipe is a ring of page slots: head counts slots ever filled, tail slots ever emptied, both running freely.  Bytes
 * are written into the last slot's page while it has room for all of them, else into fresh pages, so PIPE_BUF (a page)
 * is atomic: it fits one slot.  O_DIRECT writes make packets: slots that are read one at a time.
 *
 * The mutex guards everything, also during the copies, which may sleep.  Readers sleep while the ring is empty, writers
 * while it is full; each side is woken only if its queue is not empty.  An emptied page is kept as a spare for the next
 * write: a ping-pong allocates nothing.
 *
 * Life: both ends of pipe(2) share one inode, whose private is the pipe; a FIFO's inode gets one at its first open.
 * `files` counts open files under the inode's lock; the last frees the pipe.
 */
#include "fs/pipe.h"

#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/fcntl.h>

#include "fs/inode.h"
#include "mm/slab.h"
#include "mm/usercopy.h"

#define PIPE_SLOTS_DEFAULT 16
#define PIPE_SLOTS_MAX_USER 256 /* 1 MiB, /proc/sys/fs/pipe-max-size */
#define PIPE_SPARES 2

struct pipe_slot {
	struct page *page;
	uint16_t offset, len; /* a page is 4096, so both fit */
	bool packet;
};

struct pipe {
	struct mutex lock;
	struct wait_queue readable, writable;
	uint32_t head, tail, capacity;	     /* slots; capacity is a power of two */
	uint32_t readers, writers;	     /* open files of each side */
	uint32_t reader_opens, writer_opens; /* ever: for opening FIFOs */
	uint32_t files;			     /* inode's lock */
	unsigned spares;
	struct page *spare[PIPE_SPARES];
	struct pipe_slot *slots; /* default_slots, or owned */
	struct pipe_slot default_slots[PIPE_SLOTS_DEFAULT];
};

static struct pipe *pipe_new(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	mutex_init(&p->lock, LOCK_PIPE, "pipe");
	wait_queue_init(&p->readable);
	wait_queue_init(&p->writable);
	p->capacity = PIPE_SLOTS_DEFAULT;
	p->slots = p->default_slots;
	return p;
}

static void pipe_free(struct pipe *p)
{
	for (; p->tail != p->head; p->tail++)
		page_put(p->slots[p->tail & (p->capacity - 1)].page);
	while (p->spares)
		page_put(p->spare[--p->spares]);
	if (p->slots != p->default_slots)
		kfree(p->slots);
	kfree(p);
}

static struct pipe *pipe_of(const struct file *f)
{
	return f->inode->private;
}

static inline bool pipe_empty(const struct pipe *p)
{
	return READ_ONCE(p->head) == READ_ONCE(p->tail);
}

static inline bool pipe_full(const struct pipe *p)
{
	return READ_ONCE(p->head) - READ_ONCE(p->tail) >= READ_ONCE(p->capacity);
}

static inline struct pipe_slot *pipe_slot(struct pipe *p, uint32_t n)
{
	return &p->slots[n & (p->capacity - 1)];
}

static void wake_readers(struct pipe *p)
{
	if (wait_queue_active(&p->readable))
		wait_wake_key(&p->readable, POLLIN | POLLRDNORM);
}

static void wake_writers(struct pipe *p)
{
	if (wait_queue_active(&p->writable))
		wait_wake_key(&p->writable, POLLOUT | POLLWRNORM);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static void slot_release(struct pipe *p, struct pipe_slot *s)
{
	if (p->spares < PIPE_SPARES)
		p->spare[p->spares++] = s->page;
	else
		page_put(s->page);
	p->tail++;
}

/* Takes what is there: bytes, 0 if empty, -EFAULT. Lock held. */
static int64_t pipe_take(struct pipe *p, struct uio *u)
{
	int64_t done = 0;

	while (p->head != p->tail && u->left) {
		struct pipe_slot *s = pipe_slot(p, p->tail);
		size_t n = MIN((size_t)s->len, u->left);

		if (uio_put(u, (char *)page_to_ptr(s->page) + s->offset, n))
			return done ? done : -EFAULT;
		done += (int64_t)n;
		s->offset = (uint16_t)(s->offset + n);
		s->len = (uint16_t)(s->len - n);
		if (s->packet) {
			slot_release(p, s); /* what did not fit is lost (man 2 pipe) */
			break;
		}
		if (!s->len)
			slot_release(p, s);
	}
	return done;
}

static int64_t pipe_read(struct file *f, uint64_t pos, struct uio *u)
{
	struct pipe *p = pipe_of(f);
	int64_t n;

	(void)pos;
	if (!u->left)
		return 0;
	mutex_lock(&p->lock);
	for (;;) {
		bool was_full = pipe_full(p);

		n = pipe_take(p, u);
		if (n) {
			bool room = was_full && !pipe_full(p);

			mutex_unlock(&p->lock);
			if (room)
				wake_writers(p);
			return n;
		}
		if (!p->writers)
			break;
		if (READ_ONCE(f->flags) & O_NONBLOCK) {
			n = -EAGAIN;
			break;
		}
		mutex_unlock(&p->lock);
		n = WAIT_UNTIL(&p->readable, !pipe_empty(p) || !READ_ONCE(p->writers), WAIT_INTERRUPTIBLE,
			       WAIT_FOREVER);
		if (n)
			return n;
		mutex_lock(&p->lock);
	}
	mutex_unlock(&p->lock);
	return n;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

/* Appends to the last page what makes whole pages of the rest, if it all fits there. 0, bytes or -EFAULT. */
static int64_t pipe_merge(struct pipe *p, struct uio *u)
{
	struct pipe_slot *s = pipe_slot(p, p->head - 1);
	size_t n = u->left % PAGE_SIZE, end = (size_t)s->offset + s->len;

	if (p->head == p->tail || s->packet || !n || end + n > PAGE_SIZE)
		return 0;
	if (uio_get(u, (char *)page_to_ptr(s->page) + end, n))
		return -EFAULT;
	s->len = (uint16_t)(s->len + n);
	return (int64_t)n;
}

/* Fills one fresh slot. Bytes, -ENOMEM or -EFAULT. */
static int64_t pipe_fill_slot(struct pipe *p, struct uio *u, bool packet)
{
	struct pipe_slot *s = pipe_slot(p, p->head);
	struct page *page = p->spares ? p->spare[--p->spares] : page_alloc(0, ALLOC_USER);
	size_t n = MIN(u->left, (size_t)PAGE_SIZE);

	if (!page)
		return -ENOMEM;
	if (uio_get(u, page_to_ptr(page), n)) {
		if (p->spares < PIPE_SPARES)
			p->spare[p->spares++] = page;
		else
			page_put(page);
		return -EFAULT;
	}
	*s = (struct pipe_slot){.page = page, .len = (uint16_t)n, .packet = packet};
	WRITE_ONCE(p->head, p->head + 1);
	return (int64_t)n;
}

/* Puts in what fits. *done grows. 0: all is in, or the ring is full. */
static int64_t pipe_put(struct pipe *p, struct uio *u, bool packet, int64_t *done)
{
	int64_t n;

	if (!packet) {
		n = pipe_merge(p, u);
		if (n < 0)
			return n;
		*done += n;
	}
	while (u->left && !pipe_full(p)) {
		n = pipe_fill_slot(p, u, packet);
		if (n < 0)
			return n;
		*done += n;
	}
	return 0;
}

static int64_t pipe_write(struct file *f, uint64_t pos, struct uio *u)
{
	struct pipe *p = pipe_of(f);
	int64_t done = 0, err = 0;

	(void)pos;
	if (!u->left)
		return 0;
	mutex_lock(&p->lock);
	for (;;) {
		if (!p->readers) {
			err = -EPIPE;
			break;
		}
		err = pipe_put(p, u, READ_ONCE(f->flags) & O_DIRECT, &done);
		if (err || !u->left)
			break;
		if (READ_ONCE(f->flags) & O_NONBLOCK) {
			err = -EAGAIN;
			break;
		}
		mutex_unlock(&p->lock);
		if (done)
			wake_readers(p);
		err = WAIT_UNTIL(&p->writable, !pipe_full(p) || !READ_ONCE(p->readers), WAIT_INTERRUPTIBLE,
				 WAIT_FOREVER);
		if (err)
			return done ? done : err;
		mutex_lock(&p->lock);
	}
	mutex_unlock(&p->lock);
	if (done)
		wake_readers(p);
	return done ? done : err;
}

/* --- opening and closing ----------------------------------------------------------------------------------------- */

static void side_opened(struct pipe *p, unsigned mode)
{
	if (mode & FILE_READ) {
		p->reader_opens++;
		if (p->readers++ == 0)
			wait_wake_all(&p->writable);
	}
	if (mode & FILE_WRITE) {
		p->writer_opens++;
		if (p->writers++ == 0)
			wait_wake_all(&p->readable);
	}
}

static void pipe_release(struct file *f)
{
	struct inode *i = f->inode;
	struct pipe *p = i->private;
	bool last;

	mutex_lock(&p->lock);
	if (f->mode & FILE_READ)
		p->readers--;
	if (f->mode & FILE_WRITE)
		p->writers--;
	if (!p->readers && wait_queue_active(&p->writable))
		wait_wake_key(&p->writable, POLLOUT | POLLERR);
	if (!p->writers && wait_queue_active(&p->readable))
		wait_wake_key(&p->readable, POLLIN | POLLHUP);
	mutex_unlock(&p->lock);
	rwlock_write_lock(&i->lock);
	last = --p->files == 0;
	if (last)
		i->private = NULL;
	rwlock_write_unlock(&i->lock);
	if (last)
		pipe_free(p);
}

/* man 7 fifo: opening one side waits for the other, except read-write, and with O_NONBLOCK. */
static int fifo_wait_partner(struct file *f, struct pipe *p)
{
	uint32_t opens;
	int err = 0;

	switch (f->mode & (FILE_READ | FILE_WRITE)) {
	case FILE_READ:
		f->pos = p->writer_opens; /* POLLHUP only after a writer has come and gone */
		if (!p->writers && !(READ_ONCE(f->flags) & O_NONBLOCK)) {
			opens = p->writer_opens;
			mutex_unlock(&p->lock);
			err = WAIT_UNTIL(&p->readable, READ_ONCE(p->writer_opens) != opens, WAIT_INTERRUPTIBLE,
					 WAIT_FOREVER);
			mutex_lock(&p->lock);
		}
		break;
	case FILE_WRITE:
		if (!p->readers && (READ_ONCE(f->flags) & O_NONBLOCK)) {
			err = -ENXIO;
		} else if (!p->readers) {
			opens = p->reader_opens;
			mutex_unlock(&p->lock);
			err = WAIT_UNTIL(&p->writable, READ_ONCE(p->reader_opens) != opens, WAIT_INTERRUPTIBLE,
					 WAIT_FOREVER);
			mutex_lock(&p->lock);
		}
		break;
	}
	return err;
}

static int fifo_open(struct file *f)
{
	struct inode *i = f->inode;
	struct pipe *p;
	int err;

	rwlock_write_lock(&i->lock);
	p = i->private;
	if (!p)
		p = i->private = pipe_new();
	if (p)
		p->files++;
	rwlock_write_unlock(&i->lock);
	if (!p)
		return -ENOMEM;
	mutex_lock(&p->lock);
	side_opened(p, f->mode);
	err = fifo_wait_partner(f, p);
	mutex_unlock(&p->lock);
	if (err)
		pipe_release(f);
	return err;
}

static uint32_t pipe_poll(struct file *f, struct poll_table *t)
{
	struct pipe *p = pipe_of(f);
	uint32_t events = 0;

	if (f->mode & FILE_READ)
		poll_add(t, &p->readable);
	if (f->mode & FILE_WRITE)
		poll_add(t, &p->writable);
	if (f->mode & FILE_READ) {
		if (!pipe_empty(p))
			events |= POLLIN | POLLRDNORM;
		if (!READ_ONCE(p->writers) && (uint32_t)f->pos != READ_ONCE(p->writer_opens))
			events |= POLLHUP;
	}
	if (f->mode & FILE_WRITE) {
		if (!pipe_full(p))
			events |= POLLOUT | POLLWRNORM;
		if (!READ_ONCE(p->readers))
			events |= POLLERR;
	}
	return events;
}

static long pipe_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pipe *p = pipe_of(f);
	uint32_t bytes = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	for (uint32_t n = p->tail; n != p->head; n++)
		bytes += pipe_slot(p, n)->len;
	mutex_unlock(&p->lock);
	return put_user_u32(uptr(arg), bytes);
}

const struct file_ops fifo_file_ops = {
	.open = fifo_open,
	.release = pipe_release,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.stream = true,
};

int pipe_create(unsigned flags, struct file **reader, struct file **writer)
{
	struct pipe *p;
	struct inode *i;
	struct path path, again;
	struct file *r, *w;
	int err = -ENOMEM;

	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	flags &= O_NONBLOCK | O_DIRECT;
	p = pipe_new();
	if (!p)
		return -ENOMEM;
	i = anon_inode_create(S_IFIFO | 0600);
	if (!i)
		goto err_pipe;
	err = anon_path_create(i, "pipe", &path);
	if (err) {
		inode_put(i);
		goto err_pipe;
	}
	again = path;
	path_get(&again);
	err = file_create(&path, &fifo_file_ops, O_RDONLY | flags, FILE_READ, &cred_root, &r);
	if (err)
		goto err_path;
	err = file_create(&again, &fifo_file_ops, O_WRONLY | flags, FILE_WRITE, &cred_root, &w);
	i->private = p;
	p->files = err ? 1 : 2;
	p->readers = 1;
	if (err) { /* the reader's release frees the pipe, too */
		path_put(&again);
		file_put(r);
		return err;
	}
	p->writers = p->writer_opens = p->reader_opens = 1;
	*reader = r;
	*writer = w;
	return 0;
err_path:
	path_put(&path);
	path_put(&again);
err_pipe:
	pipe_free(p);
	return err;
}

/* --- F_SETPIPE_SZ ------------------------------------------------------------------------------------------------ */

long pipe_get_size(struct file *f)
{
	if (f->ops != &fifo_file_ops)
		return -EBADF;
	return (long)(READ_ONCE(pipe_of(f)->capacity) * PAGE_SIZE);
}

long pipe_set_size(struct file *f, unsigned long bytes, bool privileged)
{
	struct pipe_slot *slots, *old;
	struct pipe *p;
	uint32_t count = 1, used;

	if (f->ops != &fifo_file_ops)
		return -EBADF;
	if (bytes > BIT(31))
		return -EINVAL;
	while (count * PAGE_SIZE < bytes)
		count *= 2;
	if (count > PIPE_SLOTS_MAX_USER && !privileged)
		return -EPERM;
	slots = kcalloc(count, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	p = pipe_of(f);
	mutex_lock(&p->lock);
	used = p->head - p->tail;
	if (used > count) {
		mutex_unlock(&p->lock);
		kfree(slots);
		return -EBUSY;
	}
	for (uint32_t n = 0; n < used; n++)
		slots[n] = *pipe_slot(p, p->tail + n);
	old = p->slots != p->default_slots ? p->slots : NULL;
	p->slots = slots;
	p->capacity = count;
	p->tail = 0;
	p->head = used;
	mutex_unlock(&p->lock);
	kfree(old);
	wake_writers(p);
	return (long)(count * PAGE_SIZE);
}
