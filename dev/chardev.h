/*
 * Character devices: what a driver offers, without knowing files. fs/devtmpfs makes a node for each and turns file
 * operations into these.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"
#include "mm/uio.h"
#include "sched/poll.h"

struct chardev;

/* One open description's state. */
struct chardev_handle {
	struct chardev *dev;
	unsigned flags; /* O_NONBLOCK etc. as they are now (fcntl may change them); READ_ONCE */
	uint64_t pos;	/* for seekable ones */
	void *private;
};

struct chardev_ops {
	/*
	 * NULL members: open/release do nothing; read/write -EINVAL; poll always ready; ioctl -ENOTTY; seek -ESPIPE.
	 * All may sleep.
	 */
	int (*open)(struct chardev_handle *h);
	void (*release)(struct chardev_handle *h);
	int64_t (*read)(struct chardev_handle *h, struct uio *u);
	int64_t (*write)(struct chardev_handle *h, struct uio *u);
	uint32_t (*poll)(struct chardev_handle *h, struct poll_table *t);
	long (*ioctl)(struct chardev_handle *h, unsigned cmd, uint64_t arg);
	int64_t (*seek)(struct chardev_handle *h, int64_t offset, int whence);
	/* For mmap of /dev/zero: true = behaves as anonymous memory. Others cannot be mapped: -ENODEV. */
	bool maps_anonymous;
};

struct chardev {
	const char *name;      /* under /dev, may contain '/' */
	uint32_t major, minor; /* Documentation/admin-guide/devices.txt */
	uint32_t mode;	       /* permission bits */
	const struct chardev_ops *ops;
	void *private;
	struct list_node node;
};

/*
 * Registers for good (or until unregister); d stays the driver's. -EEXIST if the number or name is taken. Thread
 * context or boot.
 */
int chardev_register(struct chardev *d) must_check;
void chardev_unregister(struct chardev *d);
struct chardev *chardev_find(uint32_t major, uint32_t minor);
/* The index-th registered device; NULL past the end. */
struct chardev *chardev_at(unsigned index);
/* Upper floor's hook, called after (un)registration so that devtmpfs can add or remove the node. */
extern void (*chardev_notify)(struct chardev *d, bool added);
