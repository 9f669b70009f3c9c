/*
 * Generated text, and files that consist of it.  A file is generated when it is read at position 0 and kept with the
 * open file, so that reading on gives one consistent text; going back to 0 makes it anew, as programs that watch a file
 * expect (man 5 proc).
 */
#include <linux/fcntl.h>

#include "fs/procfs/internal.h"
#include "lib/printf.h"
#include "mm/slab.h"

#define TEXT_FIRST_BYTES 1024
#define STORE_BYTES_MAX PAGE_SIZE

struct proc_text {
	struct mutex lock;
	struct text text;
	bool valid;
};

/* --- struct text ------------------------------------------------------------------------------------------------- */

static bool text_reserve(struct text *t, size_t more)
{
	size_t capacity = MAX(t->capacity, (size_t)TEXT_FIRST_BYTES);
	char *buf;

	if (t->failed)
		return false;
	if (t->capacity - t->len >= more)
		return true;
	while (capacity - t->len < more)
		capacity *= 2;
	buf = kmalloc(capacity);
	if (!buf) {
		t->failed = true;
		return false;
	}
	memcpy(buf, t->buf, t->len);
	kfree(t->buf);
	t->buf = buf;
	t->capacity = capacity;
	return true;
}

void text_append(struct text *t, const char *s, size_t len)
{
	if (!text_reserve(t, len))
		return;
	memcpy(t->buf + t->len, s, len);
	t->len += len;
}

void text_printf(struct text *t, const char *fmt, ...)
{
	for (int tries = 0; tries < 2; tries++) {
		size_t room = t->capacity - t->len;
		va_list args;
		int n;

		va_start(args, fmt);
		n = vsnprintf(t->buf ? t->buf + t->len : NULL, room, fmt, args);
		va_end(args);
		if (n < 0)
			return;
		if ((size_t)n < room) {
			t->len += (size_t)n;
			return;
		}
		if (!text_reserve(t, (size_t)n + 1))
			return;
	}
}

/* --- files ------------------------------------------------------------------------------------------------------- */

int proc_show(struct proc_inode *p, struct text *t)
{
	int err = 0;

	if (p->entry) {
		if (!p->entry->show)
			return -EINVAL;
		p->entry->show(t, p->entry->arg);
	} else if (p->fd >= 0) {
		err = procfs_process_ops->fdinfo(p->pid, p->fd, t);
	} else {
		err = p->process_entry->show ? p->process_entry->show(p->pid, p->tid, t) : -EINVAL;
	}
	return err ? err : t->failed ? -ENOMEM : 0;
}

static int proc_text_open(struct file *f)
{
	struct proc_text *p = kzalloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	mutex_init(&p->lock, LOCK_PROC_TEXT, "proc_text");
	f->private = p;
	return 0;
}

static void proc_text_release(struct file *f)
{
	struct proc_text *p = f->private;

	kfree(p->text.buf);
	kfree(p);
}

static int64_t proc_text_read(struct file *f, uint64_t pos, struct uio *u)
{
	struct proc_text *p = f->private;
	int64_t n = 0;

	mutex_lock(&p->lock);
	if (pos == 0 || !p->valid) {
		p->text.len = 0;
		p->text.failed = false;
		n = proc_show(proc_inode_of(f->inode), &p->text);
		p->valid = n == 0;
	}
	if (!n && pos < p->text.len) {
		size_t len = MIN(u->left, p->text.len - (size_t)pos);

		n = uio_put(u, p->text.buf + pos, len);
		if (!n)
			n = (int64_t)len;
	}
	mutex_unlock(&p->lock);
	return n;
}

static int64_t proc_text_write(struct file *f, uint64_t pos, struct uio *u)
{
	struct proc_inode *p = proc_inode_of(f->inode);
	size_t len = u->left;
	char *text;
	int err;

	(void)pos;
	if (!(p->entry ? !!p->entry->store : p->process_entry && p->process_entry->store && p->fd < 0))
		return -EINVAL;
	if (len > STORE_BYTES_MAX)
		return -EINVAL;
	text = kmalloc(len + 1);
	if (!text)
		return -ENOMEM;
	err = uio_get(u, text, len);
	text[len] = '\0';
	if (!err)
		err = p->entry ? p->entry->store(text, len, p->entry->arg)
			       : p->process_entry->store(p->pid, p->tid, text, len);
	kfree(text);
	return err ? err : (int64_t)len;
}

const struct file_ops proc_text_file_ops = {
	.open = proc_text_open,
	.release = proc_text_release,
	.read = proc_text_read,
	.write = proc_text_write,
	.seek = file_seek_generic,
};

static int64_t proc_raw_read(struct file *f, uint64_t pos, struct uio *u)
{
	struct proc_inode *p = proc_inode_of(f->inode);

	return p->process_entry->read ? p->process_entry->read(p->pid, p->tid, pos, u) : -EINVAL;
}

static int64_t proc_raw_write(struct file *f, uint64_t pos, struct uio *u)
{
	struct proc_inode *p = proc_inode_of(f->inode);

	return p->process_entry->write ? p->process_entry->write(p->pid, p->tid, pos, u) : -EINVAL;
}

/* /proc/pid/mem: positions are addresses */
const struct file_ops proc_raw_file_ops = {
	.read = proc_raw_read,
	.write = proc_raw_write,
	.seek = file_seek_generic,
};
