/* procfs: fixed files, and the tree of processes against an invented set of them. */
#include "fs/test/helper.h"

#include "fs/procfs/procfs.h"
#include "lib/printf.h"
#include "mm/slab.h"

static void mount_proc(void)
{
	struct path p;

	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/proc", 0755), 0);
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/proc", 0, &p), 0);
	KTEST_EQ(vfs_mount(&kernel_actor, "proc", &p, "proc", 0, ""), 0);
	path_put(&p);
}

static void umount_proc(void)
{
	struct path p;

	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/proc", 0, &p), 0);
	KTEST_EQ(vfs_umount(&kernel_actor, &p, 0), 0);
	path_put(&p);
	test_fs_end();
}

KTEST(fs, procfs_fixed_files)
{
	static const char *const files[] = {"meminfo",
					    "stat",
					    "uptime",
					    "loadavg",
					    "cpuinfo",
					    "version",
					    "cmdline",
					    "filesystems",
					    "devices",
					    "interrupts",
					    "slabinfo",
					    "vmstat",
					    "swaps",
					    "partitions",
					    "sys/kernel/ostype",
					    "sys/kernel/random/uuid",
					    "sys/kernel/hostname"};
	char path[64], *buf = kmalloc(16 * KIB);
	struct file *f;

	KTEST_TRUE(buf);
	mount_proc();
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/ktest/proc/%s", files[i]);
		KTEST_TRUE(test_read_file(path, buf, 16 * KIB) > 0);
	}
	KTEST_TRUE(test_read_file("/ktest/proc/meminfo", buf, 16 * KIB) > 0);
	KTEST_TRUE(str_skip_prefix(buf, "MemTotal:       ") && strstr(buf, " kB\nMemFree:        "));
	KTEST_EQ(test_read_file("/ktest/proc/sys/kernel/ostype", buf, 100), 6);
	KTEST_TRUE(test_read_file("/ktest/proc/filesystems", buf, 16 * KIB) > 0);
	KTEST_TRUE(strstr(buf, "nodev\ttmpfs\n"));
	/* read byte by byte: one consistent text; nothing can be made here */
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/proc/version", O_RDONLY, 0, 0, &f), 0);
	size_t n = 0;

	while (test_read(f, buf + n, 1) == 1)
		n++;
	KTEST_TRUE(n > 20 && buf[n - 1] == '\n' && memcmp(buf, "Linux version ", 14) == 0);
	file_put(f);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/proc/x", 0755), -EPERM);
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/proc/version"), -EPERM);
	KTEST_EQ(test_write_file("/ktest/proc/version", "x"), -EINVAL);
	KTEST_EQ(test_write_file("/ktest/proc/sys/kernel/domainname", "some.domain\n"), 0);
	KTEST_EQ(test_read_file("/ktest/proc/sys/kernel/domainname", buf, 100), 12);
	KTEST_EQ(test_write_file("/ktest/proc/sys/kernel/domainname", "(none)"), 0);
	umount_proc();
	kfree(buf);
}

/* --- invented processes: 3, 70 and 1000; 70 has threads 70 and 71 and fd 5 --------------------------------------- */

static struct file *open_file;

static bool fake_exists(int pid, int tid)
{
	return (pid == 3 || pid == 70 || pid == 1000) && (tid == 0 || tid == pid || (pid == 70 && tid == 71));
}

static int fake_next_pid(int n)
{
	return n <= 3 ? 3 : n <= 70 ? 70 : n <= 1000 ? 1000 : -1;
}

static int fake_next_tid(int pid, int n)
{
	return n <= pid ? pid : pid == 70 && n <= 71 ? 71 : -1;
}

static int fake_current(void)
{
	return 70;
}

static void fake_owner(int pid, uint32_t *uid, uint32_t *gid)
{
	*uid = *gid = pid == 1000 ? 1000 : 0;
}

static int fake_next_fd(int pid, int n)
{
	return pid == 70 && n <= 5 ? 5 : -1;
}

static struct file *fake_fd_file(int pid, int fd)
{
	if (pid != 70 || fd != 5)
		return NULL;
	file_get(open_file);
	return open_file;
}

static int fake_fd_mode(int pid, int fd)
{
	return pid == 70 && fd == 5 ? (int)open_file->mode : -ENOENT;
}

static int fake_fdinfo(int pid, int fd, struct text *t)
{
	text_printf(t, "pos:\t%d %d\n", pid, fd);
	return 0;
}

static int fake_stat(int pid, int tid, struct text *t)
{
	text_printf(t, "%d/%d\n", pid, tid);
	return 0;
}

static int fake_root(int pid, int tid, struct path *out)
{
	(void)pid;
	(void)tid;
	return vfs_lookup(&kernel_actor, NULL, "/", 0, out);
}

static const struct procfs_process_entry fake_entries[] = {
	{.name = "stat", .mode = S_IFREG | 0444, .show = fake_stat},
	{.name = "root", .mode = S_IFLNK | 0777, .link = fake_root},
	{.name = "fd", .mode = S_IFDIR | 0500},
	{.name = "fdinfo", .mode = S_IFDIR | 0555},
	{.name = "task", .mode = S_IFDIR | 0555},
	{0},
};

static const struct procfs_process_ops fake_ops = {
	.entries = fake_entries,
	.next_pid = fake_next_pid,
	.next_tid = fake_next_tid,
	.exists = fake_exists,
	.current_pid = fake_current,
	.current_tid = fake_current,
	.owner = fake_owner,
	.next_fd = fake_next_fd,
	.fd_file = fake_fd_file,
	.fd_mode = fake_fd_mode,
	.fdinfo = fake_fdinfo,
};

struct name_sink {
	struct dir_sink sink;
	char text[256];
	bool numbers_only;
};

static bool name_entry(struct dir_sink *s, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
	struct name_sink *n = container_of(s, struct name_sink, sink);
	size_t at = strlen(n->text);

	(void)ino;
	(void)type;
	(void)next;
	if (!n->numbers_only || (name[0] >= '0' && name[0] <= '9'))
		snprintf(n->text + at, sizeof(n->text) - at, "%.*s ", (int)len, name);
	return true;
}

static void list(const char *path, bool numbers_only, const char *want)
{
	struct name_sink s = {.sink = {name_entry}, .numbers_only = numbers_only};
	struct file *f;

	KTEST_EQ(vfs_open(&kernel_actor, NULL, path, O_RDONLY | O_DIRECTORY, 0, 0, &f), 0);
	KTEST_EQ(vfs_iterate(f, &s.sink), 0);
	KTEST_EQ(vfs_iterate(f, &s.sink), 0); /* at the end: nothing more */
	file_put(f);
	if (!str_equal(s.text, want))
		ktest_fail(__FILE__, __LINE__, "%s lists \"%s\", expected \"%s\"", path, s.text, want);
}

static void check_processes(void)
{
	struct actor user = test_actor(1000);
	struct file *f;
	struct statx s;
	char buf[64];

	list("/ktest/proc", true, "3 70 1000 ");
	list("/ktest/proc/70", false, ". .. stat root fd fdinfo task ");
	list("/ktest/proc/70/task", false, ". .. 70 71 ");
	list("/ktest/proc/70/task/71", false, ". .. stat root fd fdinfo ");
	list("/ktest/proc/70/fd", false, ". .. 5 ");
	KTEST_TRUE(test_read_file("/ktest/proc/self/stat", buf, sizeof(buf)) == 6 && str_equal(buf, "70/70\n"));
	KTEST_TRUE(test_read_file("/ktest/proc/70/task/71/stat", buf, sizeof(buf)) == 6 && str_equal(buf, "70/71\n"));
	KTEST_EQ(test_read_file("/ktest/proc/thread-self/stat", buf, sizeof(buf)), 6);
	KTEST_EQ(test_read_file("/ktest/proc/70/fdinfo/5", buf, sizeof(buf)), 10);
	KTEST_EQ(test_exists("/ktest/proc/4"), -ENOENT);
	KTEST_EQ(test_exists("/ktest/proc/070"), -ENOENT);
	KTEST_EQ(test_exists("/ktest/proc/99999999999999"), -ENOENT);
	KTEST_EQ(test_exists("/ktest/proc/70/task/72"), -ENOENT);
	KTEST_EQ(test_exists("/ktest/proc/70/root/ktest/file"), 0);
	/* the file itself, though its name is gone */
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/file"), 0);
	KTEST_EQ(test_read_file("/ktest/proc/70/fd/5", buf, sizeof(buf)), 4);
	KTEST_EQ(test_stat("/ktest/proc/70/fd/5", &s), 0);
	KTEST_EQ(s.stx_mode, S_IFLNK | 0500);
	/* fd/ is its owner's */
	KTEST_EQ(vfs_open(&user, NULL, "/ktest/proc/70/fd", O_RDONLY, 0, 0, &f), -EACCES);
	KTEST_EQ(vfs_open(&user, NULL, "/ktest/proc/1000/fd", O_RDONLY, 0, 0, &f), 0);
	file_put(f);
	test_actor_put(&user);
}

KTEST(fs, procfs_processes)
{
	const struct procfs_process_ops *before = procfs_process_ops;

	mount_proc();
	KTEST_EQ(test_write_file("/ktest/file", "text"), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/file", O_RDONLY, 0, 0, &open_file), 0);
	procfs_process_ops = &fake_ops;
	check_processes();
	procfs_process_ops = before;
	file_put(open_file);
	umount_proc();
}
