/*
 * /proc/[pid]: made at each look-up from procfs_process_ops.  Directories: the process itself, task/, task/[tid], fd/,
 * fdinfo/. Inode numbers are computed from what the name stands for, so two look-ups of one name agree.
 */
#include "fs/procfs/internal.h"
#include "lib/printf.h"

enum { INO_ENTRY, INO_FD, INO_FDINFO };

static const struct inode_ops pid_dir_ops, task_dir_ops, fd_dir_ops, fdinfo_dir_ops, other_dir_ops, entry_link_ops,
	fd_link_ops;
static const struct file_ops pid_dir_file_ops, task_dir_file_ops, fd_dir_file_ops, empty_dir_file_ops;

int proc_parse_number(const char *name, size_t len, int *out)
{
	int64_t n = 0;

	if (len == 0 || len > 10 || (len > 1 && name[0] == '0'))
		return -ENOENT;
	for (size_t i = 0; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -ENOENT;
		n = n * 10 + (name[i] - '0');
	}
	if (n > INT32_MAX)
		return -ENOENT;
	*out = (int)n;
	return 0;
}

static uint64_t number_of(int tid, unsigned kind, unsigned index)
{
	return (uint64_t)(uint32_t)tid << 32 | kind << 28 | (index & 0x0fffffff);
}

static struct proc_inode *process_inode(uint32_t mode, int pid, int tid, unsigned kind, unsigned index)
{
	struct proc_inode *p = proc_inode_create(mode);

	if (!p)
		return NULL;
	p->inode.uncached = true;
	p->inode.absent_uncached = true;
	p->inode.ino = number_of(tid, kind, index);
	p->pid = pid;
	p->tid = tid;
	procfs_process_ops->owner(pid, &p->inode.uid, &p->inode.gid);
	return p;
}

/* --- self -------------------------------------------------------------------------------------------------------- */

static int print_link(char *buf, size_t len, const char *text)
{
	size_t n = MIN(strlen(text), len);

	memcpy(buf, text, n);
	return (int)n;
}

int proc_self_readlink(struct inode *i, char *buf, size_t len)
{
	char text[16];

	(void)i;
	if (!procfs_process_ops || procfs_process_ops->current_pid() <= 0)
		return -ENOENT;
	snprintf(text, sizeof(text), "%d", procfs_process_ops->current_pid());
	return print_link(buf, len, text);
}

int proc_thread_self_readlink(struct inode *i, char *buf, size_t len)
{
	char text[40];

	(void)i;
	if (!procfs_process_ops || procfs_process_ops->current_pid() <= 0)
		return -ENOENT;
	snprintf(text, sizeof(text), "%d/task/%d", procfs_process_ops->current_pid(),
		 procfs_process_ops->current_tid());
	return print_link(buf, len, text);
}

/* --- [pid] and task/[tid] ---------------------------------------------------------------------------------------- */

/* index 0 is the directory itself, entries count from 1 */
static struct proc_inode *pid_dir(int pid, int tid, bool task)
{
	struct proc_inode *p = process_inode(S_IFDIR | 0555, pid, tid, INO_ENTRY, task ? 0x8000000 : 0);

	if (p) {
		p->inode.ops = &pid_dir_ops;
		p->inode.file_ops = &pid_dir_file_ops;
		p->fd = task ? -2 : -1; /* no task/ within task/[tid] */
	}
	return p;
}

int proc_pid_lookup(const char *name, size_t len, struct inode **out)
{
	struct proc_inode *p;
	int pid, err = proc_parse_number(name, len, &pid);

	if (err)
		return err;
	if (!procfs_process_ops || !procfs_process_ops->exists(pid, 0))
		return -ENOENT;
	p = pid_dir(pid, pid, false);
	if (!p)
		return -ENOMEM;
	*out = &p->inode;
	return 0;
}

void proc_pid_iterate(struct file *f, struct dir_sink *sink)
{
	uint64_t from = f->pos - PROC_PID_COOKIE;
	char text[16];
	int pid;

	if (!procfs_process_ops || from > INT32_MAX)
		return;
	for (pid = (int)from; (pid = procfs_process_ops->next_pid(pid)) >= 0; pid++) {
		int n = snprintf(text, sizeof(text), "%d", pid);

		if (!sink->entry(sink, text, (size_t)n, number_of(pid, INO_ENTRY, 0), S_IFDIR >> 12,
				 PROC_PID_COOKIE + (uint64_t)pid + 1))
			return;
		f->pos = PROC_PID_COOKIE + (uint64_t)pid + 1;
		if (pid == INT32_MAX)
			return;
	}
}

static bool skips(const struct proc_inode *dir, const struct procfs_process_entry *e)
{
	return dir->fd == -2 && S_ISDIR(e->mode) && str_equal(e->name, "task");
}

static void dir_set_ops(struct inode *i, const char *name)
{
	if (str_equal(name, "task")) {
		i->ops = &task_dir_ops;
		i->file_ops = &task_dir_file_ops;
	} else if (str_equal(name, "fd")) {
		i->ops = &fd_dir_ops;
		i->file_ops = &fd_dir_file_ops;
	} else if (str_equal(name, "fdinfo")) {
		i->ops = &fdinfo_dir_ops;
		i->file_ops = &fd_dir_file_ops;
	} else {
		i->ops = &other_dir_ops;
		i->file_ops = &empty_dir_file_ops;
	}
}

static int pid_dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct proc_inode *d = proc_inode_of(dir), *p;
	const struct procfs_process_entry *e;

	for (e = procfs_process_ops->entries; e->name; e++)
		if (strlen(e->name) == len && memcmp(e->name, name, len) == 0)
			break;
	if (!e->name || skips(d, e) || !procfs_process_ops->exists(d->pid, d->fd == -2 ? d->tid : 0))
		return -ENOENT;
	p = process_inode(e->mode, d->pid, d->tid, INO_ENTRY, (unsigned)(e - procfs_process_ops->entries) + 1);
	if (!p)
		return -ENOMEM;
	p->process_entry = e;
	if (S_ISDIR(e->mode))
		dir_set_ops(&p->inode, e->name);
	else if (S_ISLNK(e->mode))
		p->inode.ops = &entry_link_ops;
	else if (e->read || e->write)
		p->inode.file_ops = &proc_raw_file_ops;
	*out = &p->inode;
	return 0;
}

static int pid_dir_iterate(struct file *f, struct dir_sink *sink)
{
	struct proc_inode *d = proc_inode_of(f->inode);

	if (!procfs_process_ops->exists(d->pid, d->fd == -2 ? d->tid : 0))
		return -ENOENT;
	if (!dir_emit_dots(f, sink))
		return 0;
	for (unsigned n = 0;; n++) {
		const struct procfs_process_entry *e = &procfs_process_ops->entries[n];

		if (!e->name)
			return 0;
		if (f->pos > n + 2 || skips(d, e))
			continue;
		if (!sink->entry(sink, e->name, strlen(e->name), number_of(d->tid, INO_ENTRY, n + 1),
				 (e->mode & S_IFMT) >> 12, n + 3))
			return 0;
		f->pos = n + 3;
	}
}

static int entry_link_follow(struct inode *i, const struct actor *who, struct path *out)
{
	struct proc_inode *p = proc_inode_of(i);

	(void)who;
	return p->process_entry->link ? p->process_entry->link(p->pid, p->tid, out) : -ENOENT;
}

static int empty_iterate(struct file *f, struct dir_sink *sink)
{
	dir_emit_dots(f, sink);
	return 0;
}

/* --- task/ ------------------------------------------------------------------------------------------------------- */

static int task_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct proc_inode *d = proc_inode_of(dir), *p;
	int tid, err = proc_parse_number(name, len, &tid);

	if (err)
		return err;
	if (tid == 0 || !procfs_process_ops->exists(d->pid, tid))
		return -ENOENT;
	p = pid_dir(d->pid, tid, true);
	if (!p)
		return -ENOMEM;
	*out = &p->inode;
	return 0;
}

static int task_iterate(struct file *f, struct dir_sink *sink)
{
	struct proc_inode *d = proc_inode_of(f->inode);
	char text[16];
	int tid;

	if (!procfs_process_ops->exists(d->pid, 0))
		return -ENOENT;
	if (!dir_emit_dots(f, sink) || f->pos > INT32_MAX)
		return 0;
	for (tid = (int)(f->pos - 2); (tid = procfs_process_ops->next_tid(d->pid, tid)) >= 0; tid++) {
		int n = snprintf(text, sizeof(text), "%d", tid);

		if (!sink->entry(sink, text, (size_t)n, number_of(tid, INO_ENTRY, 0x8000000), S_IFDIR >> 12,
				 (uint64_t)tid + 3))
			return 0;
		f->pos = (uint64_t)tid + 3;
	}
	return 0;
}

/* --- fd/ and fdinfo/ --------------------------------------------------------------------------------------------- */

static int fd_lookup(struct inode *dir, const char *name, size_t len, bool info, struct inode **out)
{
	struct proc_inode *d = proc_inode_of(dir), *p;
	uint32_t mode;
	int fd, err = proc_parse_number(name, len, &fd);

	if (err)
		return err;
	int how = procfs_process_ops->fd_mode(d->pid, fd);
	if (how < 0)
		return how;
	mode = (how & FILE_READ ? 0500u : 0) | (how & FILE_WRITE ? 0300u : 0);
	p = process_inode(info ? S_IFREG | 0444 : S_IFLNK | mode, d->pid, d->tid, info ? INO_FDINFO : INO_FD,
			  (unsigned)fd);
	if (!p)
		return -ENOMEM;
	p->fd = fd;
	p->process_entry = d->process_entry;
	if (!info) {
		p->inode.ops = &fd_link_ops;
		p->inode.size = 64;
	}
	*out = &p->inode;
	return 0;
}

static int fd_dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	return fd_lookup(dir, name, len, false, out);
}

static int fdinfo_dir_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	return fd_lookup(dir, name, len, true, out);
}

static int fd_iterate(struct file *f, struct dir_sink *sink)
{
	struct proc_inode *d = proc_inode_of(f->inode);
	bool info = d->inode.ops == &fdinfo_dir_ops;
	char text[16];
	int fd;

	if (!procfs_process_ops->exists(d->pid, 0))
		return -ENOENT;
	if (!dir_emit_dots(f, sink) || f->pos > INT32_MAX)
		return 0;
	for (fd = (int)(f->pos - 2); (fd = procfs_process_ops->next_fd(d->pid, fd)) >= 0; fd++) {
		int n = snprintf(text, sizeof(text), "%d", fd);

		if (!sink->entry(sink, text, (size_t)n, number_of(d->tid, info ? INO_FDINFO : INO_FD, (unsigned)fd),
				 (info ? S_IFREG : S_IFLNK) >> 12, (uint64_t)fd + 3))
			return 0;
		f->pos = (uint64_t)fd + 3;
	}
	return 0;
}

/* The file's own place, not its name walked again: works for pipes and for what was unlinked. */
static int fd_link_follow(struct inode *i, const struct actor *who, struct path *out)
{
	struct proc_inode *p = proc_inode_of(i);
	struct file *f = procfs_process_ops->fd_file(p->pid, p->fd);

	(void)who;
	if (!f)
		return -ENOENT;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

/* Owner and mode follow the process. */
static int process_setattr(struct inode *i, const struct attr_change *c)
{
	if (c->valid & (ATTR_MODE | ATTR_UID | ATTR_GID))
		return -EPERM;
	inode_apply_attr(i, c);
	return 0;
}

static const struct inode_ops pid_dir_ops = {.lookup = pid_dir_lookup, .setattr = process_setattr};
static const struct inode_ops task_dir_ops = {.lookup = task_lookup, .setattr = process_setattr};
static const struct inode_ops fd_dir_ops = {.lookup = fd_dir_lookup, .setattr = process_setattr};
static const struct inode_ops fdinfo_dir_ops = {.lookup = fdinfo_dir_lookup, .setattr = process_setattr};
static const struct inode_ops other_dir_ops = {0};
static const struct inode_ops entry_link_ops = {.follow = entry_link_follow};
static const struct inode_ops fd_link_ops = {.follow = fd_link_follow};
static const struct file_ops pid_dir_file_ops = {.iterate = pid_dir_iterate, .seek = file_seek_generic};
static const struct file_ops task_dir_file_ops = {.iterate = task_iterate, .seek = file_seek_generic};
static const struct file_ops fd_dir_file_ops = {.iterate = fd_iterate, .seek = file_seek_generic};
static const struct file_ops empty_dir_file_ops = {.iterate = empty_iterate, .seek = file_seek_generic};
