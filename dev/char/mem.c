/*
 * The devices that are nothing but behaviour: null, zero, full, random, urandom (man 4 null, full, random).
 */
#include <linux/fs.h>
#include <linux/random.h>
#include "abi/errno_kernel.h"
#include "core/log.h"
#include "dev/char/kmsg.h"
#include "dev/char/tty_internal.h"
#include "dev/chardev.h"
#include "dev/random.h"
#include "mm/usercopy.h"
#include "sched/sched.h"

#define RANDOM_CHUNK 512

static int64_t read_end(struct chardev_handle *h, struct uio *u)
{
	(void)h;
	(void)u;
	return 0;
}

static int64_t write_all(struct chardev_handle *h, struct uio *u)
{
	int64_t len = (int64_t)u->left;
	(void)h;
	uio_skip(u, u->left);
	return len;
}

/* A signal must be able to end a read of gigabytes; between pieces the caller's file code cannot look. */
static bool kill_pending(void)
{
	return thread_has_work(thread_current(), WORK_SIGNAL);
}

static int64_t read_zero(struct chardev_handle *h, struct uio *u)
{
	int64_t done = 0;
	(void)h;
	while (u->left > 0) {
		size_t n = MIN(u->left, 1 * MIB);
		size_t before = u->left;
		int err = uio_put_zero(u, n);
		done += (int64_t)(before - u->left);
		if (err)
			return done ? done : err;
		if (u->left > 0 && kill_pending())
			break;
	}
	return done;
}

static int64_t write_full(struct chardev_handle *h, struct uio *u)
{
	(void)h;
	return u->left ? -ENOSPC : 0;
}

static int64_t seek_nowhere(struct chardev_handle *h, int64_t offset, int whence)
{
	(void)offset;
	if (whence < SEEK_SET || whence > SEEK_HOLE)
		return -EINVAL;
	h->pos = 0;
	return 0;
}

static int64_t read_random(struct chardev_handle *h, struct uio *u)
{
	uint8_t bytes[RANDOM_CHUNK];
	int64_t done = 0;
	(void)h;
	while (u->left > 0) {
		size_t n = MIN(u->left, sizeof(bytes));
		random_bytes(bytes, n);
		if (uio_put(u, bytes, n) < 0)
			return done ? done : -EFAULT;
		done += (int64_t)n;
		if (u->left > 0 && kill_pending())
			break;
	}
	return done;
}

static int64_t write_random(struct chardev_handle *h, struct uio *u)
{
	uint8_t bytes[64];
	int64_t done = 0;
	(void)h;
	while (u->left > 0) {
		size_t n = MIN(u->left, sizeof(bytes));
		if (uio_get(u, bytes, n) < 0)
			return done ? done : -EFAULT;
		random_mix(bytes, n);
		done += (int64_t)n;
		if (u->left > 0 && kill_pending())
			break;
	}
	return done;
}

static long random_ioctl(struct chardev_handle *h, unsigned cmd, uint64_t arg)
{
	(void)h;
	if (cmd == RNDGETENTCNT)
		return put_user_u32(uptr(arg), 256);
	return -ENOTTY;
}

static const struct chardev_ops null_ops = {.read = read_end, .write = write_all, .seek = seek_nowhere};
static const struct chardev_ops zero_ops = {.read = read_zero,
					    .write = write_all,
					    .seek = seek_nowhere,
					    .maps_anonymous = true};
static const struct chardev_ops full_ops = {.read = read_zero, .write = write_full, .seek = seek_nowhere};
static const struct chardev_ops random_ops = {.read = read_random,
					      .write = write_random,
					      .ioctl = random_ioctl,
					      .seek = seek_nowhere};

static struct chardev devices[] = {
	{.name = "null", .major = 1, .minor = 3, .mode = 0666, .ops = &null_ops},
	{.name = "zero", .major = 1, .minor = 5, .mode = 0666, .ops = &zero_ops},
	{.name = "full", .major = 1, .minor = 7, .mode = 0666, .ops = &full_ops},
	{.name = "random", .major = 1, .minor = 8, .mode = 0666, .ops = &random_ops},
	{.name = "urandom", .major = 1, .minor = 9, .mode = 0666, .ops = &random_ops},
};

void chardev_mem_init(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(devices); i++)
		if (chardev_register(&devices[i]) < 0)
			log_warn("/dev/%s cannot be registered", devices[i].name);
	if (kmsg_register() < 0)
		log_warn("/dev/kmsg cannot be registered");
	if (tty_nodes_register() < 0)
		log_warn("/dev/tty and /dev/console cannot be registered");
}
