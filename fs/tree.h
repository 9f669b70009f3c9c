/*
 * Directories that live in memory: their names are pinned dentries, ordered for readdir by a cookie that grows with
 * each new name. So a position is the cookie of the next entry: it stays right whatever is removed or added meanwhile,
 * and is found in O(log n). The directory's inode lock guards the tree.
 */
#pragma once

#include "fs/mount.h"

#define TREE_FIRST_COOKIE 2 /* 0 and 1 are "." and ".." */

struct tree_dir {
	struct rb_root names;
	uint64_t next_cookie;
	uint64_t count;
};

void tree_dir_init(struct tree_dir *dir);
/* Takes a reference for the tree (pins) / drops it. */
void tree_add(struct tree_dir *dir, struct dentry *d);
void tree_remove(struct tree_dir *dir, struct dentry *d);
/* rename: d leaves its place for `to`'s, without a change of references; `to` may be NULL when nothing is replaced. */
void tree_move(struct tree_dir *from, struct tree_dir *to_dir, struct dentry *d);
/* exchange: each takes the other's place. */
void tree_swap(struct tree_dir *dir_a, struct dentry *a, struct tree_dir *dir_b, struct dentry *b);
/* Emits what follows f->pos (>= TREE_FIRST_COOKIE). Directory locked. False when the sink is full. */
bool tree_iterate(struct tree_dir *dir, struct file *f, struct dir_sink *sink);
/* Drops every name below root, whose directories dir_of() tells, and root itself. Nobody uses the file system
 * any more. */
void tree_destroy(struct dentry *root, struct tree_dir *(*dir_of)(struct inode *i));
