/* Walking paths.  For fs/ only; theory in namei.c. */
#pragma once

#include "fs/inode.h"

enum walk_last { WALK_LAST_NAME, WALK_LAST_DOT, WALK_LAST_DOTDOT, WALK_LAST_ROOT };

enum walk_flag {
	WALK_PARENT = 1u << 16, /* stop in the directory of the last component and say what that is */
	/* … unless it is a symbolic link: then go on with its text (open with O_CREAT) */
	WALK_PARENT_FOLLOW = 1u << 17,
};

/* A walk in progress. Starts with walk_path, ends with walk_fini. After success `at` is where it ended: counted, in
 * `held`. */
struct walk {
	const struct actor *who;
	const struct path *base;
	const char *path, *rest;
	unsigned flags;
	unsigned links;	     /* symbolic links followed */
	struct path root;    /* uncounted */
	struct path at;	     /* uncounted inside the section */
	struct inode *inode; /* of at */
	struct path held;    /* counted; what keeps `at` alive outside of the section */
	uint64_t seq;	     /* dcache_seq when this section began */
	uint64_t seq_start;  /* … when the walk did */
	irqflags_t irq;
	char *link_buf; /* text being walked when a link was followed; owned */
	/* result of WALK_PARENT */
	struct name last;
	enum walk_last last_type;
	bool trailing_slash;
};

/* 0 or -errno. In both cases walk_fini follows. */
int walk_path(struct walk *w, const struct actor *who, const struct path *base, const char *path,
	      unsigned flags) must_check;
void walk_fini(struct walk *w);
/* Hands over the counted end of a walk. */
static inline void walk_take(struct walk *w, struct path *out)
{
	*out = w->held;
	w->held = (struct path){0};
}

/*
 * The child `n` of dir, counted, perhaps negative, made if it was not in the cache.  n->hash need not be valid.  dir's
 * inode is locked, for reading at least. create: also makes a dentry (in no table) where a directory in memory has
 * nothing; else *out is NULL there.
 */
int child_find_locked(struct dentry *dir, const struct name *n, bool create, struct dentry **out) must_check;
/* If something is mounted on *p goes there, counted. */
void path_cross_mounts(struct path *p);
/* Inside a walk section, which it leaves: counts p. False, and not counted, if dentry or mount is on its way out. */
bool path_get_live_leaving(const struct path *p, irqflags_t section) must_check;
