/*
 * /proc: a tree of generated text.  This floor knows the tree and the file operations; what a file says comes from
 * those who register it: global files from here and above, the per-process part from proc/ through procfs_process_ops.
 */
#pragma once

#include "fs/vfs.h"
#include "lib/types.h"

/* Text being generated: grows as needed. */
struct text {
	char *buf;
	size_t len, capacity;
	bool failed; /* out of memory: the read returns -ENOMEM */
};
void text_printf(struct text *t, const char *fmt, ...) printf_like(2, 3);
void text_append(struct text *t, const char *s, size_t len);

struct procfs_entry {
	const char *path; /* below /proc, e.g. "sys/kernel/ostype"; directories on the way are made */
	uint32_t mode;	  /* 0444, 0644 … */
	void (*show)(struct text *t, void *arg);
	int (*store)(const char *text, size_t len, void *arg); /* NULL: not writable */
	void *arg;
};
/* e stays the caller's for good. Boot or thread context. */
int procfs_register(const struct procfs_entry *e) must_check;
/* The same below /sys. */
int sysfs_register(const struct procfs_entry *e) must_check;

/* Entries below /proc/[pid] and /proc/[pid]/task/[tid]. tid == pid for the process view. */
struct procfs_process_entry {
	const char *name;
	uint32_t mode; /* with type: S_IFREG|0444, S_IFLNK|0777, S_IFDIR|0500 (fd, fdinfo, task) */
	/* Regular: text. 0 or -ESRCH, -EACCES, … */
	int (*show)(int pid, int tid, struct text *t);
	int (*store)(int pid, int tid, const char *text, size_t len);
	/* Link: the place (counted). */
	int (*link)(int pid, int tid, struct path *out);
	/* Raw file (mem): at pos. */
	int64_t (*read)(int pid, int tid, uint64_t pos, struct uio *u);
	int64_t (*write)(int pid, int tid, uint64_t pos, struct uio *u);
};

struct procfs_process_ops {
	const struct procfs_process_entry *entries; /* ends with name NULL */
	/* The lowest pid (or tid of pid) >= n that exists, or -1: for iteration. */
	int (*next_pid)(int n);
	int (*next_tid)(int pid, int n);
	bool (*exists)(int pid, int tid); /* tid 0: the process */
	int (*current_pid)(void);
	int (*current_tid)(void);
	void (*owner)(int pid, uint32_t *uid, uint32_t *gid);
	/* fd directory: lowest open fd >= n or -1; its file, counted, or NULL. */
	int (*next_fd)(int pid, int n);
	struct file *(*fd_file)(int pid, int fd);
	/* The mode of what fd stands for (FILE_READ …); -ENOENT. It holds nothing, so any lock may be held. */
	int (*fd_mode)(int pid, int fd);
	int (*fdinfo)(int pid, int fd, struct text *t);
};
extern const struct procfs_process_ops *procfs_process_ops;

/* Registers the global files this floor and those below can tell: meminfo, stat, uptime, loadavg, cpuinfo, version,
 * cmdline, mounts (link to self/mounts), filesystems, devices, interrupts, slabinfo, vmstat, zoneinfo-free subset,
 * swaps, partitions, diskstats, sys/kernel/{ostype,osrelease,version,hostname, random/boot_id,…},
 * sys/vm/overcommit_memory … */
void procfs_init(void);
