/* Places: counting them, the contexts that hold root and cwd, and writing a place as a path. */
#include "fs/inode.h"
#include "mm/slab.h"

static struct fs_context initial_context = {
	.refs = {1},
	.lock = SPINLOCK_INIT(LOCK_PROCESS, "fs_context"),
	.umask = 022,
};
static struct fs_context kernel_context = {
	.refs = {1},
	.lock = SPINLOCK_INIT(LOCK_PROCESS, "fs_context"),
};
const struct actor kernel_actor = {&kernel_context, &cred_root};
static struct spinlock contexts_lock = SPINLOCK_INIT(LOCK_PROCESS_TREE, "fs_contexts");
static struct list contexts = LIST_INIT(contexts);

void path_get(const struct path *p)
{
	mount_get(p->mount);
	dentry_get(p->dentry);
}

void path_put(struct path *p)
{
	if (!p->mount)
		return;
	dentry_put(p->dentry);
	mount_put(p->mount);
	*p = (struct path){0};
}

struct inode *path_inode(const struct path *p)
{
	return p->dentry->inode;
}

bool path_is_unlinked(const struct path *p)
{
	return p->dentry->deleted;
}

/* --- contexts ---------------------------------------------------------------------------------------------------- */

struct fs_context *fs_context_initial(void)
{
	return &initial_context;
}

void fs_context_init(const struct path *root)
{
	initial_context.root = initial_context.cwd = *root;
	kernel_context.root = kernel_context.cwd = *root;
	for (int i = 0; i < 4; i++)
		path_get(root);
	list_push_back(&contexts, &initial_context.all);
}

int fs_context_copy(struct fs_context *from, struct fs_context **out)
{
	struct fs_context *c = kzalloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	refcount_init(&c->refs, 1);
	spin_init(&c->lock, LOCK_PROCESS, "fs_context");
	irqflags_t all = spin_lock(&contexts_lock);
	irqflags_t f = spin_lock(&from->lock);
	c->root = from->root;
	c->cwd = from->cwd;
	c->umask = from->umask;
	path_get(&c->root);
	path_get(&c->cwd);
	spin_unlock(&from->lock, f);
	list_push_back(&contexts, &c->all);
	spin_unlock(&contexts_lock, all);
	*out = c;
	return 0;
}

void fs_context_get_paths(struct fs_context *c, struct path *root, struct path *cwd)
{
	SPIN_GUARD(&c->lock);
	*root = c->root;
	*cwd = c->cwd;
	path_get(root);
	path_get(cwd);
}

void fs_context_put(struct fs_context *c)
{
	if (!refcount_put(&c->refs))
		return;
	irqflags_t f = spin_lock(&contexts_lock);
	list_remove(&c->all);
	spin_unlock(&contexts_lock, f);
	path_put(&c->root);
	path_put(&c->cwd);
	kfree(c);
}

static void context_set(struct fs_context *c, struct path *which, const struct path *p)
{
	struct path old;

	path_get(p);
	irqflags_t f = spin_lock(&c->lock);
	old = *which;
	*which = *p;
	spin_unlock(&c->lock, f);
	path_put(&old);
}

void fs_context_set_cwd(struct fs_context *c, const struct path *p)
{
	context_set(c, &c->cwd, p);
}

void fs_context_set_root(struct fs_context *c, const struct path *p)
{
	context_set(c, &c->root, p);
}

static bool path_equal(const struct path *a, const struct path *b)
{
	return a->mount == b->mount && a->dentry == b->dentry;
}

void fs_context_replace_all(const struct path *from, const struct path *to)
{
	struct fs_context *c;
	size_t replaced = 0;

	irqflags_t all = spin_lock(&contexts_lock);
	LIST_FOR_EACH(c, &contexts, all) {
		SPIN_GUARD(&c->lock);
		if (path_equal(&c->root, from)) {
			c->root = *to;
			path_get(to);
			replaced++;
		}
		if (path_equal(&c->cwd, from)) {
			c->cwd = *to;
			path_get(to);
			replaced++;
		}
	}
	spin_unlock(&contexts_lock, all);
	for (struct path p = *from; replaced; replaced--, p = *from)
		path_put(&p);
}

/* --- writing paths ----------------------------------------------------------------------------------------------- */

struct render {
	char *start, *at; /* filled from the end */
	bool overflow;
};

static void render_prepend(struct render *r, const char *s, size_t len)
{
	if ((size_t)(r->at - r->start) < len) {
		r->overflow = true;
		return;
	}
	r->at -= len;
	memcpy(r->at, s, len);
}

/* A rename may come between: then name and length do not belong together, and the caller begins again. */
static void render_name(struct render *r, const struct dentry *d)
{
	const char *name = READ_ONCE(d->name);
	size_t len = READ_ONCE(d->len), room = name == d->name_inline ? DENTRY_NAME_INLINE : DENTRY_NAME_ALLOC;

	render_prepend(r, name, MIN(len, room));
	render_prepend(r, "/", 1);
}

/* Climbs from p to `root` (or to the top); true if it met root. Nothing may sleep. */
static bool render_climb(struct render *r, struct path p, const struct path *root)
{
	for (;;) {
		if (root && path_equal(&p, root))
			return true;
		if (p.dentry == p.mount->root || p.dentry->parent == p.dentry) {
			if (!mount_above(p.mount, &p))
				return !root;
			continue;
		}
		render_name(r, p.dentry);
		p.dentry = READ_ONCE(p.dentry->parent);
	}
}

char *path_render(const struct path *p, const struct path *root, char *buf, size_t len)
{
	struct render r;
	struct path global = {mount_root, mount_root->root};
	uint64_t seq;
	bool reached;

	if (len < 2)
		return NULL;
	if (p->mount->super == anon_mount->super)
		return anon_path_render(p, buf, len);
	do { /* again if a rename came between */
		irqflags_t f = rcu_enter();

		r = (struct render){buf, buf + len - 1, false};
		*r.at = '\0';
		seq = atomic_load_acquire(&dcache_seq);
		if (p->dentry->deleted)
			render_prepend(&r, " (deleted)", 10);
		char *end = r.at;

		reached = render_climb(&r, *p, root ? root : &global);
		if (r.at == end)
			render_prepend(&r, "/", 1);
		rcu_leave(f);
	} while (!dcache_stood_still(seq));
	if (!reached)
		render_prepend(&r, "(unreachable)", 13);
	return r.overflow ? NULL : r.at;
}

char *path_render_in_super(const struct path *p, char *buf, size_t len)
{
	struct render r;
	uint64_t seq;

	do { /* again if a rename came between */
		irqflags_t f = rcu_enter();

		r = (struct render){buf, buf + len - 1, false};
		*r.at = '\0';
		seq = atomic_load_acquire(&dcache_seq);
		for (struct dentry *d = p->dentry; d != READ_ONCE(d->parent); d = READ_ONCE(d->parent))
			render_name(&r, d);
		rcu_leave(f);
	} while (!dcache_stood_still(seq));
	if (!*r.at)
		render_prepend(&r, "/", 1);
	return r.overflow ? NULL : r.at;
}
