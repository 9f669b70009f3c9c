/* Files in memory: tmpfs, ramfs, the root file system and devtmpfs are instances.  Theory in tmpfs.c. */
#pragma once

#include "fs/mount.h"

struct tmpfs_options {
	uint64_t pages_max;  /* 0: no limit */
	uint64_t inodes_max; /* 0: no limit */
	uint32_t mode, uid, gid;
};

/* A new file system with an empty root. -ENOMEM. */
int tmpfs_create(const struct fs_type *t, const struct tmpfs_options *o, unsigned long flags,
		 struct super **out) must_check;
/* A regular file in no directory, of an internal tmpfs, nlink 0. -ENOMEM. */
int tmpfs_anonymous_inode(uint32_t mode, struct inode **out) must_check;
void tmpfs_init(void);
