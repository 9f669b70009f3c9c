/* Credentials: immutable once published, shared by count (man 7 credentials). */
#include "fs/cred.h"

#include <linux/capability.h>

#include "lib/string.h"
#include "mm/slab.h"

#define CAP_ALL (BIT(CAP_LAST_CAP + 1) - 1)

struct cred cred_root = {
	.refs = {1},
	.cap_permitted = CAP_ALL,
	.cap_effective = CAP_ALL,
	.cap_bounding = CAP_ALL,
};

static void cred_free(struct rcu_deferred *d)
{
	kfree(container_of(d, struct cred, deferred));
}

void cred_put(const struct cred *c)
{
	struct cred *mine = (struct cred *)(uintptr_t)c;

	if (refcount_put(&mine->refs))
		rcu_defer(&mine->deferred, cred_free);
}

struct cred *cred_copy(const struct cred *c, uint32_t group_count)
{
	struct cred *new;
	uint32_t kept = MIN(group_count, c->group_count);

	if (group_count > CRED_GROUPS_MAX)
		return NULL;
	new = kmalloc(sizeof(*new) + group_count * sizeof(new->groups[0]));
	if (!new)
		return NULL;
	memcpy(new, c, sizeof(*c));
	memcpy(new->groups, c->groups, kept * sizeof(new->groups[0]));
	memset(new->groups + kept, 0, (group_count - kept) * sizeof(new->groups[0]));
	refcount_init(&new->refs, 1);
	new->group_count = group_count;
	return new;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
	uint32_t low = 0, high = c->group_count;

	if (c->fsgid == gid)
		return true;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (c->groups[middle] == gid)
			return true;
		if (c->groups[middle] < gid)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
