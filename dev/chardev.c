/*
 * The registry of character devices: found by number when a node is opened, listed for devtmpfs and /proc/devices.
 *
 * Devices hang in a small hash of their numbers; chardevs_lock guards it. A device lives as long as its driver says;
 * no driver here ever goes away while its nodes can be opened, so look-ups take no reference.
 */
#include "abi/errno_kernel.h"
#include "dev/chardev.h"
#include "lib/string.h"
#include "sync/spinlock.h"

#define BUCKETS 32

static struct list_node *buckets[BUCKETS]; /* singly linked through node.next; guarded by chardevs_lock */
static struct spinlock chardevs_lock = SPINLOCK_INIT(LOCK_DEVICE, "chardevs");

void (*chardev_notify)(struct chardev *d, bool added);

static unsigned bucket_of(uint32_t major, uint32_t minor)
{
	return (major * 31 + minor) % BUCKETS;
}

static struct chardev *find_locked(uint32_t major, uint32_t minor)
{
	for (struct list_node *n = buckets[bucket_of(major, minor)]; n; n = n->next) {
		struct chardev *d = LIST_ENTRY(n, struct chardev, node);
		if (d->major == major && d->minor == minor)
			return d;
	}
	return NULL;
}

static bool name_taken_locked(const char *name)
{
	for (unsigned b = 0; b < BUCKETS; b++)
		for (struct list_node *n = buckets[b]; n; n = n->next)
			if (str_equal(LIST_ENTRY(n, struct chardev, node)->name, name))
				return true;
	return false;
}

int chardev_register(struct chardev *d)
{
	irqflags_t f = spin_lock(&chardevs_lock);
	bool taken = find_locked(d->major, d->minor) || name_taken_locked(d->name);
	if (!taken) {
		unsigned b = bucket_of(d->major, d->minor);
		d->node.next = buckets[b];
		buckets[b] = &d->node;
	}
	spin_unlock(&chardevs_lock, f);
	if (taken)
		return -EEXIST;
	if (chardev_notify)
		chardev_notify(d, true);
	return 0;
}

void chardev_unregister(struct chardev *d)
{
	bool found = false;
	irqflags_t f = spin_lock(&chardevs_lock);
	for (struct list_node **at = &buckets[bucket_of(d->major, d->minor)]; *at; at = &(*at)->next) {
		if (*at == &d->node) {
			*at = d->node.next;
			found = true;
			break;
		}
	}
	spin_unlock(&chardevs_lock, f);
	if (found && chardev_notify)
		chardev_notify(d, false);
}

struct chardev *chardev_find(uint32_t major, uint32_t minor)
{
	SPIN_GUARD(&chardevs_lock);
	return find_locked(major, minor);
}

struct chardev *chardev_at(unsigned index)
{
	SPIN_GUARD(&chardevs_lock);
	for (unsigned b = 0; b < BUCKETS; b++)
		for (struct list_node *n = buckets[b]; n; n = n->next)
			if (index-- == 0)
				return LIST_ENTRY(n, struct chardev, node);
	return NULL;
}
