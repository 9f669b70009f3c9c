/* What tmpfs.c and options.c share. */
#pragma once

#include "fs/tmpfs/tmpfs.h"
#include "fs/tree.h"

struct tmpfs {
	struct tmpfs_options options;
	uint64_t pages, inodes; /* atomic */
};

struct tmpfs_inode {
	struct inode inode;
	struct tree_dir dir; /* inode.lock */
	uint64_t accounted;  /* pages of this file in tmpfs.pages; inode.lock */
};

extern const struct inode_ops tmpfs_inode_ops;
extern const struct file_ops tmpfs_file_ops, tmpfs_dir_ops;

size_t tmpfs_options_print(struct super *s, char *buf, size_t len);
int tmpfs_remount(struct super *s, const char *text);
