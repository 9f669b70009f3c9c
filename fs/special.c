/* Character devices as files: from a node's number to its driver.  And what has no driver: -ENXIO. */
#include <asm/poll.h>
#include <linux/fcntl.h>

#include "dev/tty.h"
#include "fs/inode.h"

#define TTY_MAJOR 4
#define TTYAUX_MAJOR 5

static int chardev_file_open(struct file *f)
{
	struct chardev *dev = chardev_find(rdev_major(f->inode->rdev), rdev_minor(f->inode->rdev));

	if (!dev)
		return -ENXIO;
	f->chardev = (struct chardev_handle){.dev = dev, .flags = f->flags};
	return dev->ops->open ? dev->ops->open(&f->chardev) : 0;
}

void chardev_file_opened(struct file *f)
{
	uint32_t major = rdev_major(f->inode->rdev);
	struct tty *t;

	/* /dev/console, /dev/tty and /dev/tty0 stand for another terminal: they never become the controlling one (man 4
	 * console) */
	if (major == TTYAUX_MAJOR || (major == TTY_MAJOR && rdev_minor(f->inode->rdev) == 0) ||
	    !(f->mode & FILE_READ) || !f->chardev.dev)
		return;
	t = tty_from_chardev(f->chardev.dev);
	if (t)
		tty_open_controlling(t);
}

static void chardev_file_release(struct file *f)
{
	const struct chardev_ops *ops = f->chardev.dev->ops;

	if (ops->release)
		ops->release(&f->chardev);
}

static int64_t chardev_file_read(struct file *f, uint64_t pos, struct uio *u)
{
	const struct chardev_ops *ops = f->chardev.dev->ops;

	(void)pos;
	WRITE_ONCE(f->chardev.flags, f->flags);
	return ops->read ? ops->read(&f->chardev, u) : -EINVAL;
}

static int64_t chardev_file_write(struct file *f, uint64_t pos, struct uio *u)
{
	const struct chardev_ops *ops = f->chardev.dev->ops;

	(void)pos;
	WRITE_ONCE(f->chardev.flags, f->flags);
	return ops->write ? ops->write(&f->chardev, u) : -EINVAL;
}

static int64_t chardev_file_seek(struct file *f, int64_t offset, int whence)
{
	const struct chardev_ops *ops = f->chardev.dev->ops;

	return ops->seek ? ops->seek(&f->chardev, offset, whence) : -ESPIPE;
}

static uint32_t chardev_file_poll(struct file *f, struct poll_table *t)
{
	const struct chardev_ops *ops = f->chardev.dev->ops;

	WRITE_ONCE(f->chardev.flags, f->flags);
	return ops->poll ? ops->poll(&f->chardev, t) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

static long chardev_file_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	const struct chardev_ops *ops = f->chardev.dev->ops;

	WRITE_ONCE(f->chardev.flags, f->flags);
	return ops->ioctl ? ops->ioctl(&f->chardev, cmd, arg) : -ENOTTY;
}

static int chardev_file_mmap(struct file *f, uint64_t offset, uint64_t len, unsigned area_flags, struct vm_object **out)
{
	(void)offset;
	(void)len;
	(void)area_flags;
	if (!f->chardev.dev->ops->maps_anonymous)
		return -ENODEV;
	*out = NULL;
	return 0;
}

const struct file_ops chardev_file_ops = {
	.open = chardev_file_open,
	.release = chardev_file_release,
	.read = chardev_file_read,
	.write = chardev_file_write,
	.seek = chardev_file_seek,
	.poll = chardev_file_poll,
	.ioctl = chardev_file_ioctl,
	.mmap = chardev_file_mmap,
	.stream = true,
};

static int special_file_open(struct file *f)
{
	(void)f;
	return -ENXIO;
}

const struct file_ops special_file_ops = {.open = special_file_open, .stream = true};
