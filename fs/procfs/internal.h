/* What the parts of procfs share.  Theory in procfs.c. */
#pragma once

#include "fs/inode.h"
#include "fs/procfs/procfs.h"
#include "fs/tree.h"

struct proc_inode {
	struct inode inode;
	struct tree_dir dir;				  /* fixed directories; inode.lock */
	const struct procfs_entry *entry;		  /* fixed files; I */
	const struct procfs_process_entry *process_entry; /* I */
	int pid, tid, fd;				  /* I */
};

static inline struct proc_inode *proc_inode_of(struct inode *i)
{
	return container_of(i, struct proc_inode, inode);
}

/* A fresh inode of the one proc super. NULL: out of memory. */
struct proc_inode *proc_inode_create(uint32_t mode);

extern const struct file_ops proc_text_file_ops, proc_raw_file_ops, proc_dir_file_ops;
/* Generates what a file says now. 0 or -errno. */
int proc_show(struct proc_inode *p, struct text *t);

/* The root's numbers and what is below them (process.c). */
int proc_pid_lookup(const char *name, size_t len, struct inode **out);
/* f->pos >= PROC_PID_COOKIE. */
void proc_pid_iterate(struct file *f, struct dir_sink *sink);
#define PROC_PID_COOKIE (1ull << 32)
/* "self" and "thread-self". */
int proc_self_readlink(struct inode *i, char *buf, size_t len);
int proc_thread_self_readlink(struct inode *i, char *buf, size_t len);
/* A decimal number without sign or leading zeros that fits an int; else -ENOENT. */
int proc_parse_number(const char *name, size_t len, int *out);
void proc_register_global(void);
void proc_register_sys(void);
void sysfs_register_cpus(void);
