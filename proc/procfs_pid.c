/*
 * /proc/[pid]: which files there are, the simple ones, and the answers fs/procfs asks for (man 5 proc). The long
 * texts are in procfs_stat.c and procfs_memory.c.
 *
 * Each file takes a counted look at its process, copies what it needs under the locks, and writes text without any.
 */
#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/resource.h>
#include <linux/stat.h>

#include "core/log.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/procfs_internal.h"

int procfs_target_get(int pid, int tid, struct procfs_target *out)
{
	struct process *p = process_find(pid);
	if (!p)
		return -ESRCH;
	struct task *t = tid && tid != pid ? task_find(tid) : process_any_task(p);
	if (tid && tid != pid && (!t || t->process != p)) {
		if (t)
			task_put(t);
		process_put(p);
		return -ESRCH;
	}
	*out = (struct procfs_target){p, t};
	return 0;
}

void procfs_target_put(struct procfs_target *t)
{
	if (t->task)
		task_put(t->task);
	process_put(t->process);
}

/* As above, but the caller must be allowed to look inside. -EACCES. */
static int private_target(int pid, int tid, struct procfs_target *out)
{
	struct procfs_target t;
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	if (!process_may_read(t.process)) {
		procfs_target_put(&t);
		return -EACCES;
	}
	*out = t;
	return 0;
}

/* --- small texts ------------------------------------------------------------------------------------------------- */

static int show_comm(int pid, int tid, struct text *text)
{
	struct procfs_target t;
	char comm[16];
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	irqflags_t f = spin_lock(&t.process->lock);
	memcpy(comm, tid != pid && t.task ? t.task->thread.name : t.process->comm, sizeof(comm));
	spin_unlock(&t.process->lock, f);
	comm[15] = '\0';
	text_printf(text, "%s\n", comm);
	procfs_target_put(&t);
	return 0;
}

static int store_comm(int pid, int tid, const char *s, size_t len)
{
	struct procfs_target t;
	char comm[16];
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	if (t.process != process_current()) {
		err = -EINVAL; /* a thread names only its own process's threads */
	} else if (t.task) {
		size_t n = MIN(len, sizeof(comm) - 1);
		memcpy(comm, s, n);
		comm[n] = '\0';
		char *newline = strchr(comm, '\n');
		if (newline)
			*newline = '\0';
		task_set_name(t.task, comm);
	}
	procfs_target_put(&t);
	return err;
}

static int show_limits(int pid, int tid, struct text *text)
{
	static const struct {
		const char *name, *unit;
	} rows[RLIMITS] = {
		[RLIMIT_CPU] = {"Max cpu time", "seconds"},
		[RLIMIT_FSIZE] = {"Max file size", "bytes"},
		[RLIMIT_DATA] = {"Max data size", "bytes"},
		[RLIMIT_STACK] = {"Max stack size", "bytes"},
		[RLIMIT_CORE] = {"Max core file size", "bytes"},
		[RLIMIT_RSS] = {"Max resident set", "bytes"},
		[RLIMIT_NPROC] = {"Max processes", "processes"},
		[RLIMIT_NOFILE] = {"Max open files", "files"},
		[RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
		[RLIMIT_AS] = {"Max address space", "bytes"},
		[RLIMIT_LOCKS] = {"Max file locks", "locks"},
		[RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
		[RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
		[RLIMIT_NICE] = {"Max nice priority", ""},
		[RLIMIT_RTPRIO] = {"Max realtime priority", ""},
		[RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
	};
	struct procfs_target t;
	struct resource_limit limits[RLIMITS];
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	irqflags_t f = spin_lock(&t.process->lock);
	memcpy(limits, t.process->rlimits, sizeof(limits));
	spin_unlock(&t.process->lock, f);
	procfs_target_put(&t);

	text_printf(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < RLIMITS; i++) {
		text_printf(text, "%-25s ", rows[i].name);
		for (unsigned k = 0; k < 2; k++) {
			uint64_t v = k ? limits[i].max : limits[i].cur;
			if (v == RLIM64_INFINITY)
				text_printf(text, "%-20s ", "unlimited");
			else
				text_printf(text, "%-20llu ", (unsigned long long)v);
		}
		text_printf(text, "%-10s\n", rows[i].unit);
	}
	return 0;
}

static int show_mount_table(int pid, int tid, struct text *text, bool mountinfo)
{
	struct procfs_target t;
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	struct fs_context *fs = t.task ? task_fs(t.task) : NULL;
	procfs_target_put(&t);
	if (!fs)
		return -EINVAL;
	irqflags_t f = spin_lock(&fs->lock);
	struct path root = fs->root;
	path_get(&root);
	spin_unlock(&fs->lock, f);
	fs_context_put(fs);

	size_t len = PAGE_SIZE;
	for (;;) {
		char *buf = kmalloc(len);
		if (!buf) {
			err = -ENOMEM;
			break;
		}
		size_t need = vfs_mounts_print(&root, mountinfo, buf, len);
		if (need < len)
			text_append(text, buf, need);
		kfree(buf);
		if (need < len)
			break;
		len = need + 256; /* a mount may come meanwhile */
	}
	path_put(&root);
	return err;
}

static int show_mounts(int pid, int tid, struct text *text)
{
	return show_mount_table(pid, tid, text, false);
}

static int show_mountinfo(int pid, int tid, struct text *text)
{
	return show_mount_table(pid, tid, text, true);
}

static int show_wchan(int pid, int tid, struct text *text)
{
	struct procfs_target t;
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	const char *why = t.task && READ_ONCE(t.task->thread.state) != THREAD_RUNNABLE
		? READ_ONCE(t.task->thread.wait_reason)
		: NULL;
	text_printf(text, "%s", why ? why : "0");
	procfs_target_put(&t);
	return 0;
}

/* --- out of memory ----------------------------------------------------------------------------------------------- */

static int show_oom_score(int pid, int tid, struct text *text)
{
	struct procfs_target t;
	struct page_stats s;
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	page_stats_get(&s);
	int64_t points = oom_points(t.process, (int64_t)s.total);
	/* Linux's scale: 0 to 2000 with the adjustment's share, two thirds of 1000 being "nothing". */
	text_printf(text, "%lld\n", (long long)(points * 1000 / (int64_t)MAX(s.total, 1ull)));
	procfs_target_put(&t);
	return 0;
}

static int show_oom_score_adj(int pid, int tid, struct text *text)
{
	struct procfs_target t;
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	text_printf(text, "%d\n", t.process->oom_score_adj);
	procfs_target_put(&t);
	return 0;
}

static int set_oom_adj(int pid, int tid, const char *s, size_t len, int64_t limit)
{
	struct procfs_target t;
	char number[16];
	int64_t v;

	while (len && (s[len - 1] == '\n' || s[len - 1] == ' '))
		len--;
	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, s, len);
	number[len] = '\0';
	if (str_to_s64(number, 10, &v) != 0 || v < -limit || v > (limit == 17 ? 15 : limit))
		return -EINVAL;
	if (limit == 17)
		v = v == 15 ? 1000 : v * 1000 / 17; /* the old scale, /proc/pid/oom_adj */
	int err = private_target(pid, tid, &t);
	if (err)
		return err;
	if (v < t.process->oom_score_adj && !process_capable(24 /* CAP_SYS_RESOURCE */))
		err = -EACCES;
	else
		t.process->oom_score_adj = (int16_t)v;
	procfs_target_put(&t);
	return err;
}

static int store_oom_score_adj(int pid, int tid, const char *s, size_t len)
{
	return set_oom_adj(pid, tid, s, len, 1000);
}

static int show_oom_adj(int pid, int tid, struct text *text)
{
	struct procfs_target t;
	int err = procfs_target_get(pid, tid, &t);

	if (err)
		return err;
	text_printf(text, "%d\n", t.process->oom_score_adj == 1000 ? 15 : t.process->oom_score_adj * 17 / 1000);
	procfs_target_put(&t);
	return 0;
}

static int store_oom_adj(int pid, int tid, const char *s, size_t len)
{
	return set_oom_adj(pid, tid, s, len, 17);
}

/* --- links ------------------------------------------------------------------------------------------------------- */

static int link_exe(int pid, int tid, struct path *out)
{
	struct procfs_target t;
	int err = private_target(pid, tid, &t);

	if (err)
		return err;
	struct file *f = process_exe(t.process);
	procfs_target_put(&t);
	if (!f)
		return -ENOENT;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

static int link_fs(int pid, int tid, bool root, struct path *out)
{
	struct procfs_target t;
	int err = private_target(pid, tid, &t);

	if (err)
		return err;
	struct fs_context *fs = t.task ? task_fs(t.task) : NULL;
	procfs_target_put(&t);
	if (!fs)
		return -ENOENT;
	irqflags_t f = spin_lock(&fs->lock);
	*out = root ? fs->root : fs->cwd;
	path_get(out);
	spin_unlock(&fs->lock, f);
	fs_context_put(fs);
	return 0;
}

static int link_cwd(int pid, int tid, struct path *out)
{
	return link_fs(pid, tid, false, out);
}

static int link_root(int pid, int tid, struct path *out)
{
	return link_fs(pid, tid, true, out);
}

/* --- descriptors ------------------------------------------------------------------------------------------------- */

static struct fdtable *files_of(int pid)
{
	struct procfs_target t;

	if (private_target(pid, pid, &t) != 0)
		return NULL;
	struct fdtable *files = t.task ? task_files(t.task) : NULL;
	procfs_target_put(&t);
	return files;
}

static int next_fd(int pid, int n)
{
	struct fdtable *files = files_of(pid);
	int fd = files ? fdtable_next(files, n) : -1;

	if (files)
		fdtable_put(files);
	return fd;
}

static struct file *fd_file(int pid, int fd)
{
	struct fdtable *files = files_of(pid);
	struct file *f = files ? fdtable_file(files, fd) : NULL;

	if (files)
		fdtable_put(files);
	return f;
}

static int fd_mode(int pid, int fd)
{
	struct fdtable *files = files_of(pid);
	int mode = files ? fdtable_mode(files, fd) : -ENOENT;

	if (files)
		fdtable_put(files);
	return mode;
}

static int fdinfo(int pid, int fd, struct text *text)
{
	struct fdtable *files = files_of(pid);
	if (!files)
		return -EACCES;
	struct file *f = fdtable_file(files, fd);
	bool cloexec = fdtable_cloexec(files, fd);
	fdtable_put(files);
	if (!f)
		return -ENOENT;
	text_printf(text, "pos:\t%lli\nflags:\t0%o\nino:\t%llu\n", (long long)READ_ONCE(f->pos),
		    READ_ONCE(f->flags) | (cloexec ? O_CLOEXEC : 0), (unsigned long long)f->inode->ino);
	file_put(f);
	return 0;
}

/* --- the tree ---------------------------------------------------------------------------------------------------- */

static int next_pid(int n)
{
	return pid_next(n, PID_PROCESS);
}

static int next_tid(int pid, int n)
{
	struct process *p = process_find(pid);
	struct task *t;
	int best = -1;

	if (!p)
		return -1;
	irqflags_t f = spin_lock(&p->signal_lock);
	LIST_FOR_EACH(t, &p->threads, thread_node)
		if (t->tid >= n && (best < 0 || t->tid < best))
			best = t->tid;
	spin_unlock(&p->signal_lock, f);
	process_put(p);
	return best;
}

static bool exists(int pid, int tid)
{
	struct procfs_target t;

	if (tid == 0)
		return pid_lookup(pid, PID_PROCESS);
	if (procfs_target_get(pid, tid, &t) != 0)
		return false;
	procfs_target_put(&t);
	return true;
}

static int current_pid(void)
{
	return thread_current()->user ? process_current()->pid : 0;
}

static int current_tid(void)
{
	return thread_current()->user ? task_current()->tid : 0;
}

static void owner(int pid, uint32_t *uid, uint32_t *gid)
{
	struct process *p = process_find(pid);

	*uid = *gid = 0;
	if (!p)
		return;
	if (p->dumpable == 1) {
		*uid = READ_ONCE(p->uid);
		*gid = READ_ONCE(p->gid);
	}
	process_put(p);
}

#define TEXT(mode_) (S_IFREG | (mode_))
static const struct procfs_process_entry entries[] = {
	{.name = "stat", .mode = TEXT(0444), .show = procfs_show_stat},
	{.name = "statm", .mode = TEXT(0444), .show = procfs_show_statm},
	{.name = "status", .mode = TEXT(0444), .show = procfs_show_status},
	{.name = "schedstat", .mode = TEXT(0444), .show = procfs_show_schedstat},
	{.name = "autogroup", .mode = TEXT(0644), .show = procfs_show_autogroup, .store = procfs_store_autogroup},
	{.name = "cmdline", .mode = TEXT(0444), .show = procfs_show_cmdline},
	{.name = "environ", .mode = TEXT(0400), .show = procfs_show_environ},
	{.name = "auxv", .mode = TEXT(0400), .show = procfs_show_auxv},
	{.name = "maps", .mode = TEXT(0444), .show = procfs_show_maps},
	{.name = "smaps", .mode = TEXT(0444), .show = procfs_show_smaps},
	{.name = "mem", .mode = TEXT(0600), .read = procfs_mem_read, .write = procfs_mem_write},
	{.name = "comm", .mode = TEXT(0644), .show = show_comm, .store = store_comm},
	{.name = "limits", .mode = TEXT(0444), .show = show_limits},
	{.name = "mounts", .mode = TEXT(0444), .show = show_mounts},
	{.name = "mountinfo", .mode = TEXT(0444), .show = show_mountinfo},
	{.name = "wchan", .mode = TEXT(0444), .show = show_wchan},
	{.name = "oom_score", .mode = TEXT(0444), .show = show_oom_score},
	{.name = "oom_score_adj", .mode = TEXT(0644), .show = show_oom_score_adj, .store = store_oom_score_adj},
	{.name = "oom_adj", .mode = TEXT(0644), .show = show_oom_adj, .store = store_oom_adj},
	{.name = "exe", .mode = S_IFLNK | 0777, .link = link_exe},
	{.name = "cwd", .mode = S_IFLNK | 0777, .link = link_cwd},
	{.name = "root", .mode = S_IFLNK | 0777, .link = link_root},
	{.name = "fd", .mode = S_IFDIR | 0500},
	{.name = "fdinfo", .mode = S_IFDIR | 0555},
	{.name = "net", .mode = S_IFDIR | 0555}, /* empty: there is no networking */
	{.name = "task", .mode = S_IFDIR | 0555},
	{.name = NULL},
};

static const struct procfs_process_ops ops = {
	.entries = entries,
	.next_pid = next_pid,
	.next_tid = next_tid,
	.exists = exists,
	.current_pid = current_pid,
	.current_tid = current_tid,
	.owner = owner,
	.next_fd = next_fd,
	.fd_file = fd_file,
	.fd_mode = fd_mode,
	.fdinfo = fdinfo,
};

void procfs_pid_init(void)
{
	procfs_process_ops = &ops;
}
