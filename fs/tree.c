/* Directories in memory; see tree.h. */
#include "fs/tree.h"

#include "fs/inode.h"

void tree_dir_init(struct tree_dir *dir)
{
	rb_init(&dir->names);
	dir->next_cookie = TREE_FIRST_COOKIE;
	dir->count = 0;
}

/* The new cookie is the largest: it goes to the right end. */
static void tree_link(struct tree_dir *dir, struct dentry *d)
{
	struct rb_node **link = &dir->names.node, *parent = NULL;

	d->cookie = dir->next_cookie++;
	while (*link) {
		parent = *link;
		link = &parent->right;
	}
	rb_link(&d->tree_node, parent, link);
	rb_insert_fix(&dir->names, &d->tree_node);
	dir->count++;
}

static void tree_unlink(struct tree_dir *dir, struct dentry *d)
{
	rb_erase(&dir->names, &d->tree_node);
	dir->count--;
}

void tree_add(struct tree_dir *dir, struct dentry *d)
{
	dentry_get(d);
	tree_link(dir, d);
}

void tree_remove(struct tree_dir *dir, struct dentry *d)
{
	tree_unlink(dir, d);
	dentry_put(d);
}

void tree_move(struct tree_dir *from, struct tree_dir *to_dir, struct dentry *d)
{
	if (from == to_dir) /* the cookie may stay: a reader of the directory sees the file once */
		return;
	tree_unlink(from, d);
	tree_link(to_dir, d);
}

void tree_swap(struct tree_dir *dir_a, struct dentry *a, struct tree_dir *dir_b, struct dentry *b)
{
	uint64_t cookie = a->cookie;
	struct rb_node spare;

	rb_replace(&dir_a->names, &a->tree_node, &spare);
	rb_replace(&dir_b->names, &b->tree_node, &a->tree_node);
	rb_replace(&dir_a->names, &spare, &b->tree_node);
	a->cookie = b->cookie;
	b->cookie = cookie;
}

static struct dentry *tree_from(struct tree_dir *dir, uint64_t cookie)
{
	struct rb_node *n = dir->names.node;
	struct dentry *found = NULL;

	while (n) {
		struct dentry *d = RB_ENTRY(n, struct dentry, tree_node);

		if (d->cookie >= cookie) {
			found = d;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return found;
}

bool tree_iterate(struct tree_dir *dir, struct file *f, struct dir_sink *sink)
{
	struct dentry *d = tree_from(dir, f->pos);

	while (d) {
		struct rb_node *n = rb_next(&d->tree_node);

		if (!sink->entry(sink, d->name, d->len, d->inode->ino, (d->inode->mode & S_IFMT) >> 12, d->cookie + 1))
			return false;
		f->pos = d->cookie + 1;
		d = n ? RB_ENTRY(n, struct dentry, tree_node) : NULL;
	}
	return true;
}

void tree_destroy(struct dentry *root, struct tree_dir *(*dir_of)(struct inode *i))
{
	struct dentry *at = root;

	/* down to a leaf, remove it, go on with its parent: no recursion */
	for (;;) {
		struct tree_dir *dir = S_ISDIR(at->inode->mode) ? dir_of(at->inode) : NULL;
		struct rb_node *n = dir ? rb_first(&dir->names) : NULL;

		if (n) {
			at = RB_ENTRY(n, struct dentry, tree_node);
			continue;
		}
		struct dentry *parent = at->parent;

		dentry_delete(at);
		if (at == root)
			break;
		tree_remove(dir_of(parent->inode), at);
		at = parent;
	}
	dentry_put(root);
}
