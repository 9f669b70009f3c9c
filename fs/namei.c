/*
 * Walking a path: theory.
 *
 * A walk goes from directory to directory inside a section (sync/rcu.h): no lock, no count, interrupts off, until
 * the path is at its end or something must sleep.  For that it steps outside: it counts the place where it stands, does
 * what sleeps (a look-up in a file system that is not in memory, reading a link's text, a "magic" link), and enters
 * again at the new place, which stays counted in `held` until the walk has counted another.  A path whose names are all
 * cached is so walked with two counts in all, at its end.
 *
 * The root is read anew at each entry, since another thread may change it; it only matters for ".." and absolute links.
 * A place that dies between being found and being counted (DENTRY_DEAD) makes the walk start again.
 *
 * Symbolic links are followed by walking their text with the rest of the path behind it (man 7 path_resolution), at
 * most SYMLINK_DEPTH_MAX per walk, so a loop ends in -ELOOP and depth costs no stack.
 *
 * Rejected: recursion per link; counting each directory; a lock per directory while walking.
 */
#include "fs/namei.h"

#include <linux/fcntl.h>

#include "mm/slab.h"
#include "sched/sched.h"

#define WALK_AGAIN 1 /* internal: start from the beginning */

/* --- entering and leaving the section ---------------------------------------------------------------------------- */

static void walk_load_root(struct walk *w)
{
	struct fs_context *c = w->who->fs;

	if (w->base && (w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT))) {
		w->root = *w->base;
		return;
	}
	SPIN_GUARD(&c->lock);
	w->root = c->root;
	if (!w->at.dentry)
		w->at = w->base ? *w->base : w->path[0] == '/' ? c->root : c->cwd;
}

static void walk_begin(struct walk *w)
{
	w->irq = rcu_enter();
	w->seq = atomic_load_acquire(&dcache_seq);
	walk_load_root(w);
	w->inode = w->at.dentry ? w->at.dentry->inode : NULL;
}

/* Leaves the section with `at` counted in held. WALK_AGAIN if it has died. */
static int walk_pause(struct walk *w)
{
	struct path old = w->held;

	if (old.mount == w->at.mount && old.dentry == w->at.dentry) {
		rcu_leave(w->irq);
		return 0;
	}
	if (!path_get_live_leaving(&w->at, w->irq))
		return WALK_AGAIN;
	w->held = w->at;
	path_put(&old);
	return 0;
}

/* Goes on at p, whose references it takes. */
static void walk_resume(struct walk *w, const struct path *p)
{
	struct path old = w->held;

	w->held = w->at = *p;
	if (old.mount)
		path_put(&old);
	walk_begin(w);
}

/* --- the special steps ------------------------------------------------------------------------------------------- */

/* Outside of the lock-free way: looks n up in w->at under the directory's lock and goes there. */
static noinline int walk_child_slow(struct walk *w, const struct name *n, struct dentry **out)
{
	struct dentry *dir = w->at.dentry, *d;
	int err = walk_pause(w);

	if (err)
		return err;
	rwlock_read_lock(&dir->inode->lock);
	err = child_find_locked(dir, n, false, &d);
	rwlock_read_unlock(&dir->inode->lock);
	if (err)
		return err;
	if (!d)
		return -ENOENT;
	*out = d;
	return 0;
}

/* What is seen at d on w->at.mount: d, or the root of what is mounted there, whose mount becomes w's. */
static noinline struct dentry *walk_top(struct walk *w, struct dentry *d)
{
	struct mount *m;

	while (READ_ONCE(d->mounts) && (m = mount_covering(w->at.mount, d))) {
		w->at.mount = m;
		d = m->root;
	}
	return d;
}

/* ".." : stays at the root, climbs off mounts. */
static int walk_up(struct walk *w)
{
	struct path p = w->at;

	for (;;) {
		if (p.mount == w->root.mount && p.dentry == w->root.dentry)
			return w->flags & LOOKUP_BENEATH ? -EXDEV : 0;
		if (p.dentry != p.mount->root)
			break;
		if (!mount_above(p.mount, &p))
			return 0;
		if (w->flags & LOOKUP_NO_XDEV)
			return -EXDEV;
	}
	w->at.mount = p.mount;
	w->at.dentry = walk_top(w, atomic_load_acquire(&p.dentry->parent));
	/* What was below the root may have been moved away from under it: then ".." leads anywhere (man 2 openat2). */
	if (w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT) && !dcache_stood_still(w->seq_start))
		return -EAGAIN;
	w->inode = w->at.dentry->inode;
	return 0;
}

/* Makes "text/rest" the path still to walk. */
static int walk_set_text(struct walk *w, const char *text, size_t len, const char *rest)
{
	size_t rest_len = strlen(rest);
	char *buf;

	if (len == 0)
		return -ENOENT;
	if (len + rest_len + 1 >= PATH_MAX_BYTES)
		return -ENAMETOOLONG;
	buf = kmalloc(len + rest_len + 2);
	if (!buf)
		return -ENOMEM;
	memcpy(buf, text, len);
	if (*rest) { /* the slashes were skipped */
		buf[len++] = '/';
		memcpy(buf + len, rest, rest_len);
		len += rest_len;
	} else if (w->trailing_slash) {
		buf[len++] = '/';
	}
	buf[len] = '\0';
	kfree(w->link_buf);
	w->link_buf = buf;
	w->rest = buf;
	return 0;
}

static int walk_link_root(struct walk *w)
{
	if (w->rest[0] != '/')
		return 0;
	if (w->flags & LOOKUP_BENEATH)
		return -EXDEV;
	if ((w->flags & LOOKUP_NO_XDEV) && w->root.mount != w->at.mount)
		return -EXDEV;
	w->at = w->root;
	w->inode = w->at.dentry->inode;
	return 0;
}

/* Links that must be asked: outside of the section, which is entered again on success. link is counted and put here. */
static int walk_link_sleeping(struct walk *w, struct dentry *link, const char *rest)
{
	struct inode *i = link->inode;
	char *text = NULL;
	int err;

	if (i->ops->follow) {
		struct path p;

		err = w->flags & (LOOKUP_NO_MAGICLINKS | LOOKUP_NO_SYMLINKS) ? -ELOOP
			: w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)	     ? -EXDEV
									     : i->ops->follow(i, w->who, &p);
		dentry_put(link);
		if (err)
			return err;
		if (*rest) /* it may lie in the buffer that walk_set_text frees, so a copy of it is walked */
			err = walk_set_text(w, rest, strlen(rest), "");
		else
			w->rest = "";
		if (err) {
			path_put(&p);
			return err;
		}
		walk_resume(w, &p);
		return 0;
	}
	if (!i->ops->readlink) {
		dentry_put(link);
		return -EINVAL;
	}
	text = kmalloc(PATH_MAX_BYTES);
	err = text ? i->ops->readlink(i, text, PATH_MAX_BYTES - 1) : -ENOMEM;
	dentry_put(link);
	if (err >= 0)
		err = walk_set_text(w, text, (size_t)err, rest);
	kfree(text);
	if (err)
		return err;
	walk_begin(w);
	err = walk_link_root(w);
	if (err)
		rcu_leave(w->irq);
	return err;
}

/*
 * Follows `link`, found in w->at; inside: whether we are in the section and link is uncounted (else outside, counted
 * and `at` held). On success the section is entered; on failure it is left.
 */
static noinline int walk_follow(struct walk *w, struct dentry *link, const char *rest, bool inside)
{
	struct inode *i = link->inode;
	int err = 0;

	if (++w->links > SYMLINK_DEPTH_MAX || (w->flags & LOOKUP_NO_SYMLINKS))
		err = -ELOOP;
	if (!err && i->link) {
		err = walk_set_text(w, i->link, strlen(i->link), rest);
		if (!inside) {
			dentry_put(link);
			if (!err)
				walk_begin(w);
			inside = !err;
		}
		if (!err)
			err = walk_link_root(w);
		if (err && inside)
			rcu_leave(w->irq);
		return err;
	}
	if (inside) {
		if (!err && !dentry_get_live(link))
			err = WALK_AGAIN;
		if (err) {
			rcu_leave(w->irq);
			return err;
		}
		err = walk_pause(w);
	}
	if (err) {
		dentry_put(link);
		return err;
	}
	return walk_link_sleeping(w, link, rest);
}

/*
 * The hot path: cached names of plain directories that everybody may search.  Stops, without having taken the step, at
 * whatever is special: walk_components does that one and comes back.  With WALK_PARENT also before the last component.
 */
static always_inline void walk_plain(struct walk *w)
{
	const uint32_t open_dir = S_IFDIR | 0111;
	struct dentry *at = w->at.dentry;
	struct inode *i = w->inode;
	const char *p = w->rest;
	struct name n;

	for (;;) {
		const char *rest;
		struct dentry *d;
		struct inode *next;

		if (unlikely((READ_ONCE(i->mode) & (S_IFMT | 0111)) != open_dir || i->ops->permission || *p == '.'))
			break;
		name_parse(&n, at, p);
		if (unlikely(n.len - 1 >= NAME_MAX_BYTES)) /* also an empty one: a slash or the end */
			break;
		rest = p + n.len;
		if (*rest) {
			while (*++rest == '/')
				;
			if (unlikely(!*rest))
				break;
		} else if (w->flags & WALK_PARENT) {
			break;
		}
		d = dcache_find_walking(at, &n);
		if (unlikely(!d))
			break;
		next = atomic_load_acquire(&d->inode);
		if (unlikely(!next || S_ISLNK(next->mode)))
			break;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (unlikely(atomic_load_relaxed(&dcache_seq) != w->seq || (w->seq & 1)))
			break;
		if (unlikely(READ_ONCE(d->mounts))) {
			if (w->flags & LOOKUP_NO_XDEV)
				break;
			d = walk_top(w, d);
			next = d->inode;
		}
		at = d;
		i = next;
		p = rest;
		if (!*p)
			break;
	}
	w->at.dentry = at;
	w->inode = i;
	w->rest = p;
}

/* --- the walk ---------------------------------------------------------------------------------------------------- */

/* On return the section is left in case of an error, else still entered. */
static int walk_components(struct walk *w)
{
	struct name n;
	int err;

	for (;;) {
		const char *p, *rest;
		struct dentry *d;

		while (*w->rest == '/')
			w->rest++;
		walk_plain(w);
		p = w->rest;
		if (!*p) {
			w->last_type = WALK_LAST_ROOT;
			return 0;
		}
		if (unlikely(!S_ISDIR(w->inode->mode))) {
			err = -ENOTDIR;
			break;
		}
		err = inode_permission(w->inode, MAY_EXEC, w->who->cred);
		if (unlikely(err))
			break;
		name_parse(&n, w->at.dentry, p);
		if (unlikely(n.len > NAME_MAX_BYTES)) {
			err = -ENAMETOOLONG;
			break;
		}
		rest = p + n.len;
		bool last = !*rest;

		if (!last) {
			while (*rest == '/')
				rest++;
			last = !*rest;
			if (last)
				w->trailing_slash = true;
		}
		if (unlikely(n.text[0] == '.') && name_is_dots(&n)) {
			if (last && (w->flags & WALK_PARENT)) {
				w->last_type = n.len == 1 ? WALK_LAST_DOT : WALK_LAST_DOTDOT;
				w->last = n;
				return 0;
			}
			err = n.len == 2 ? walk_up(w) : 0;
			if (err)
				break;
			w->rest = rest;
			continue;
		}
		if (last && (w->flags & WALK_PARENT)) {
			w->last_type = WALK_LAST_NAME;
			w->last = n;
			if (!(w->flags & WALK_PARENT_FOLLOW))
				return 0;
		}
		bool inside = true;

		d = dcache_find_walking(w->at.dentry, &n);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (unlikely(atomic_load_relaxed(&dcache_seq) != w->seq || (w->seq & 1) ||
			     (!d && w->inode->ops->lookup))) {
			err = walk_child_slow(w, &n, &d);
			if (err == -ENOENT && last && (w->flags & WALK_PARENT)) {
				walk_begin(w);
				return 0;
			}
			if (err)
				return err;
			inside = false;
		}
		struct inode *i = d ? atomic_load_acquire(&d->inode) : NULL;

		if (!i) {
			if (last && (w->flags & WALK_PARENT)) {
				if (!inside) {
					dentry_put(d);
					walk_begin(w);
				}
				return 0;
			}
			err = -ENOENT;
			if (inside)
				break;
			dentry_put(d);
			return err;
		}
		if (unlikely(S_ISLNK(i->mode)) &&
		    (!last || (w->flags & (LOOKUP_FOLLOW | WALK_PARENT_FOLLOW)) ||
		     (w->trailing_slash && !(w->flags & WALK_PARENT)))) {
			err = walk_follow(w, d, rest, inside);
			if (err)
				return err;
			continue;
		}
		if (last && (w->flags & WALK_PARENT)) { /* exists and is no link to follow */
			if (!inside) {
				dentry_put(d);
				walk_begin(w);
			}
			return 0;
		}
		if (unlikely(!inside)) {
			struct path there = {w->at.mount, d};

			mount_get(there.mount);
			walk_resume(w, &there);
		}
		w->at.dentry = d;
		w->inode = i;
		if (unlikely(READ_ONCE(d->mounts))) {
			struct mount *before = w->at.mount;

			w->at.dentry = walk_top(w, d);
			w->inode = w->at.dentry->inode;
			if (w->at.mount != before && (w->flags & LOOKUP_NO_XDEV)) {
				err = -EXDEV;
				break;
			}
		}
		w->rest = rest;
	}
	rcu_leave(w->irq);
	return err;
}

static int walk_once(struct walk *w)
{
	int err;

	w->rest = w->path;
	w->links = 0;
	w->trailing_slash = false;
	w->at = (struct path){0};
	walk_begin(w);
	w->seq_start = w->seq;
	if (!w->at.dentry) /* LOOKUP_BENEATH, LOOKUP_IN_ROOT */
		w->at = w->root;
	if (w->path[0] == '/') {
		if (w->flags & LOOKUP_BENEATH) {
			rcu_leave(w->irq);
			return -EXDEV;
		}
		w->at = w->root;
	}
	w->inode = w->at.dentry->inode;
	err = walk_components(w);
	if (err)
		return err;
	if (unlikely((w->trailing_slash || (w->flags & LOOKUP_DIRECTORY)) && !(w->flags & WALK_PARENT) &&
		     !S_ISDIR(w->inode->mode))) {
		rcu_leave(w->irq);
		return -ENOTDIR;
	}
	return walk_pause(w);
}

int walk_path(struct walk *w, const struct actor *who, const struct path *base, const char *path, unsigned flags)
{
	struct path cwd = {0};
	int err;

	w->held = (struct path){0};
	w->link_buf = NULL;
	if (!path[0] && !(flags & LOOKUP_EMPTY))
		return -ENOENT;
	if (unlikely(!base && (flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)))) {
		irqflags_t f = spin_lock(&who->fs->lock);

		cwd = who->fs->cwd;
		path_get(&cwd);
		spin_unlock(&who->fs->lock, f);
		base = &cwd;
	}
	w->who = who;
	w->base = base;
	w->path = path;
	w->flags = flags;
	while (unlikely((err = walk_once(w)) == WALK_AGAIN)) {
		walk_fini(w);
		sched_yield(); /* to whoever is taking the dead name out of the table */
	}
	if (unlikely(cwd.mount))
		path_put(&cwd);
	return err;
}

void walk_fini(struct walk *w)
{
	if (w->held.mount)
		path_put(&w->held);
	if (unlikely(w->link_buf)) {
		kfree(w->link_buf);
		w->link_buf = NULL;
	}
}

int vfs_lookup(const struct actor *who, const struct path *base, const char *path, unsigned flags, struct path *out)
{
	struct walk w;
	int err = walk_path(&w, who, base, path, flags);

	if (!err)
		walk_take(&w, out);
	walk_fini(&w);
	return err;
}
