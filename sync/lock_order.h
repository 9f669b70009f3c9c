/*
 * The lock order of the whole kernel: a lock may be taken only while every lock already held has a LOWER rank.
 * Sleeping locks come first, since a spinlock may be taken under a mutex and never the other way round.
 * Debug builds check each acquisition against this list (sync/lockdep.h).
 */
#pragma once

enum lock_rank {
	LOCK_NONE,
	/* sleeping */
	LOCK_FILE_POS,	   /* fs: a file's position: held across the read or write that uses it */
	LOCK_PROC_TEXT,	   /* fs: generated text of /proc */
	LOCK_NAMESPACE,	   /* fs: rename of directories, mount table changes */
	LOCK_INODE,	   /* fs: an inode's content and a directory's entries; parent before child */
	LOCK_INODE_CHILD,  /* fs: the child taken with its parent held, and the second of two */
	LOCK_INODE_VICTIM, /* fs: the directory a rename replaces, with both parents held */
	LOCK_PIPE,	   /* fs */
	LOCK_TTY,	   /* dev: line discipline and termios */
	LOCK_ASPACE,	   /* vm: a process's areas */
	LOCK_ASPACE_CHILD, /* vm: the copy made by fork */
	LOCK_SLEEP_LAST,
	/* spinning */
	LOCK_PROCESS_TREE, /* proc: parents, children, groups, sessions */
	LOCK_SIGNAL,	   /* proc: pending signals, actions, masks */
	LOCK_PROCESS,	   /* proc: a process's small fields */
	LOCK_FDTABLE,	   /* proc */
	LOCK_MOUNT,	   /* fs: mount table look-up */
	LOCK_DCACHE,	   /* fs: unused names (LRU), moves */
	LOCK_DENTRY,	   /* fs: a group of name hash buckets */
	LOCK_SUPER,	   /* fs */
	LOCK_DEVICE,	   /* dev: driver and device lists */
	LOCK_TTY_INPUT,	   /* dev: a terminal's line discipline, under which it echoes through its driver */
	LOCK_CONSOLE,	   /* dev: screens */
	LOCK_SERIAL,	   /* dev: UART rings */
	LOCK_FUTEX,	   /* proc: hash bucket */
	LOCK_FUTEX_SECOND, /* proc: the other bucket of a requeue */
	LOCK_OBJECT_MAPS,  /* vm: which areas map an object */
	LOCK_PAGETABLE,	   /* vm: page-table entries of one address space */
	LOCK_OBJECT,	   /* vm: an object's pages */
	LOCK_WAITQUEUE,	   /* sched */
	LOCK_PI,	   /* sched: the waiters of a mutex or PI futex */
	LOCK_PI_THREAD,	   /* sched: what a thread waits for and who boosts it */
	LOCK_FUTEX_TASK,   /* proc: the PI futexes a thread owns */
	LOCK_TIMER,	   /* sched */
	LOCK_THREAD_LIST,  /* sched: all threads */
	LOCK_RUNQUEUE,	   /* sched */
	LOCK_RUNQUEUE_SECOND,
	LOCK_KMAP,	/* mm: kernel ranges, kernel page tables, stacks */
	LOCK_SLAB_LIST, /* mm: the list of caches */
	LOCK_SLAB,	/* mm: one cache's slabs */
	LOCK_ZONE,	/* mm: buddy free lists */
	LOCK_LEAF,	/* anything that takes nothing else */
};
