/* What the /proc/[pid] files share. */
#pragma once

#include "fs/procfs/procfs.h"
#include "proc/internal.h"

/* The process pid, and thread tid of it (tid == pid: its leader, or another thread if that has ended); both counted.
 * task is NULL for a zombie. */
struct procfs_target {
	struct process *process;
	struct task *task;
};
int procfs_target_get(int pid, int tid, struct procfs_target *out) must_check; /* -ESRCH */
void procfs_target_put(struct procfs_target *t);

/* procfs_stat.c */
int procfs_show_stat(int pid, int tid, struct text *t);
int procfs_show_statm(int pid, int tid, struct text *t);
int procfs_show_status(int pid, int tid, struct text *t);
/* procfs_sched.c */
int procfs_show_schedstat(int pid, int tid, struct text *t);
int procfs_show_autogroup(int pid, int tid, struct text *t);
int procfs_store_autogroup(int pid, int tid, const char *s, size_t len);
/* procfs_memory.c */
int procfs_show_maps(int pid, int tid, struct text *t);
int procfs_show_smaps(int pid, int tid, struct text *t);
int procfs_show_cmdline(int pid, int tid, struct text *t);
int procfs_show_environ(int pid, int tid, struct text *t);
int procfs_show_auxv(int pid, int tid, struct text *t);
int64_t procfs_mem_read(int pid, int tid, uint64_t pos, struct uio *u);
int64_t procfs_mem_write(int pid, int tid, uint64_t pos, struct uio *u);
