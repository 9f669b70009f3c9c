/*
 * Children of a directory: from the cache, else from the file system.  And the counted steps of a walk: a place that
 * may be dying, and onto what is mounted on it.
 */
#include "fs/namei.h"

bool path_get_live_leaving(const struct path *p, irqflags_t section)
{
	bool mount = refcount_get_unless_zero(&p->mount->refs);
	bool both = mount && dentry_get_live(p->dentry);

	rcu_leave(section);
	if (mount && !both)
		mount_put(p->mount); /* outside: it may have become the last */
	return both;
}

static int child_ask(struct dentry *dir, const struct name *n, struct dentry **out)
{
	struct inode *i = NULL;
	struct dentry *d, *there;
	int err = dir->inode->ops->lookup(dir->inode, n->text, n->len, &i);

	if (err && err != -ENOENT)
		return err;
	d = dentry_create(dir, n->text, n->len);
	if (!d) {
		if (i)
			inode_put(i);
		return -ENOMEM;
	}
	d->inode = i;
	if (i ? i->uncached : dir->inode->absent_uncached) {
		*out = d;
		return 0;
	}
	there = dcache_insert(d);
	if (there) {
		dentry_put(d);
		d = there;
	}
	*out = d;
	return 0;
}

int child_find_locked(struct dentry *dir, const struct name *n, bool create, struct dentry **out)
{
	struct name hashed;
	struct dentry *d;

	name_parse(&hashed, dir, n->text);
	d = dcache_find(dir, &hashed);
	if (!d && dir->inode->ops->lookup && !dir->deleted) {
		int err = child_ask(dir, &hashed, &d);

		if (err)
			return err;
	}
	if (!d && create) {
		d = dentry_create(dir, hashed.text, hashed.len);
		if (!d)
			return -ENOMEM;
	}
	*out = d;
	return 0;
}

void path_cross_mounts(struct path *p)
{
	while (READ_ONCE(p->dentry->mounts)) {
		struct path next;
		irqflags_t f = rcu_enter();
		struct mount *m = mount_covering(p->mount, p->dentry);

		if (!m) {
			rcu_leave(f);
			return;
		}
		next = (struct path){m, m->root};
		if (!path_get_live_leaving(&next, f))
			return;
		path_put(p);
		*p = next;
	}
}
