/* Names: folders, links, rename, permissions, getdents, working folders (man 2 rename, link, unlink, mkdir, chmod,
 * access; man 7 path_resolution). */
#include "user/test/test.h"

#include <dirent.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void touch(const char *path)
{
	test_write_file(path, path, strlen(path));
}

static bool is(const char *path, const char *text)
{
	char got[256];

	return test_read_file(path, got, sizeof(got)) >= 0 && strcmp(got, text) == 0;
}

TEST(folders)
{
	struct stat st;

	test_scratch();
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_ERR(mkdir("d", 0755), EEXIST);
	CHECK_ERR(mkdir("x/y", 0755), ENOENT);
	CHECK_ERR(mkdir("/", 0755), EEXIST);
	touch("d/f");
	CHECK_ERR(mkdir("d/f/g", 0755), ENOTDIR);
	CHECK_ERR(rmdir("d"), ENOTEMPTY);
	CHECK_ERR(rmdir("d/f"), ENOTDIR);
	CHECK_ERR(unlink("d"), EISDIR);
	CHECK_ERR(rmdir("d/."), EINVAL);
	CHECK_ERR(rmdir("d/.."), ENOTEMPTY);
	CHECK_EQ(unlink("d/f"), 0);
	CHECK_EQ(mkdir("d/e", 0700), 0);
	CHECK_EQ(stat("d/e", &st), 0);
	CHECK_EQ(st.st_mode, S_IFDIR | 0700);
	CHECK_EQ(rmdir("d/e/"), 0);
	CHECK_EQ(rmdir("d"), 0);
	CHECK_ERR(rmdir("d"), ENOENT);
	CHECK_ERR(rmdir("/"), EBUSY);
}

TEST(mkdir_through_dangling_link)
{
	test_scratch();
	CHECK_EQ(symlink("nowhere", "l"), 0);
	CHECK_ERR(mkdir("l", 0755), EEXIST);
	int fd = open("l", O_WRONLY | O_CREAT, 0600); /* makes what it points to */
	CHECK(fd >= 0);
	CHECK_EQ(access("nowhere", F_OK), 0);
	CHECK_ERR(open("l", O_WRONLY | O_CREAT | O_EXCL, 0600), EEXIST);
}

TEST(many_entries)
{
	enum { N = 1500 };
	static unsigned char seen[N];
	char name[40];
	struct dirent *e;
	int found = 0;

	test_scratch();
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "a-name-of-some-length-%d", i);
		int fd = open(name, O_WRONLY | O_CREAT, 0600);
		CHECK(fd >= 0);
		close(fd);
	}
	DIR *d = opendir(".");
	CHECK(d);
	/* Removing what has been read does not disturb the rest. */
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		int i = atoi(e->d_name + 22);
		if (i < 0 || i >= N || seen[i])
			FAIL("%s comes twice or was never there", e->d_name);
		CHECK_EQ(e->d_type, DT_REG);
		seen[i] = 1;
		found++;
		CHECK_EQ(unlink(e->d_name), 0);
	}
	CHECK_EQ(found, N);
	rewinddir(d);
	found = 0;
	while ((e = readdir(d)))
		found++;
	CHECK_EQ(found, 2);
	closedir(d);
}

struct dirent_raw {
	uint64_t ino;
	int64_t off;
	unsigned short len;
	unsigned char type;
	char name[];
};

TEST(getdents_details)
{
	char buffer[4096];
	struct stat st;
	unsigned types = 0;

	test_scratch();
	touch("f");
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(symlink("x", "l"), 0);
	CHECK_EQ(mkfifo("p", 0600), 0);
	int fd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK_ERR(syscall(SYS_getdents64, fd, buffer, 10), EINVAL);
	long n = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
	CHECK(n > 0);
	for (long at = 0; at < n;) {
		struct dirent_raw *e = (struct dirent_raw *)(buffer + at);
		CHECK_EQ(e->len % 8, 0);
		types |= 1u << e->type;
		CHECK_EQ(lstat(e->name, &st), 0);
		if (strcmp(e->name, "..") != 0)
			CHECK_EQ(st.st_ino, e->ino);
		at += e->len;
	}
	CHECK_EQ(types, 1u << DT_REG | 1u << DT_DIR | 1u << DT_LNK | 1u << DT_FIFO);
	CHECK_EQ(syscall(SYS_getdents64, fd, buffer, sizeof(buffer)), 0);
	CHECK_ERR(syscall(SYS_getdents64, open("f", O_RDONLY), buffer, sizeof(buffer)), ENOTDIR);
}

TEST(hard_links)
{
	struct stat st;

	test_scratch();
	touch("f");
	CHECK_EQ(link("f", "g"), 0);
	CHECK_ERR(link("f", "g"), EEXIST);
	CHECK_ERR(link("none", "h"), ENOENT);
	CHECK_ERR(link(".", "h"), EPERM);
	CHECK_EQ(unlink("f"), 0);
	CHECK(is("g", "f"));
	CHECK_EQ(stat("g", &st), 0);
	CHECK_EQ(st.st_nlink, 1);
	/* A file without a name lives as long as it is open. */
	int fd = open("g", O_RDWR);
	CHECK_EQ(unlink("g"), 0);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 0);
	CHECK_EQ(pwrite(fd, "zz", 2, 0), 2);
	/* The links of a folder: its name, its dot, its children's dots. */
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(mkdir("d/e", 0755), 0);
	/* A link to a link is one to the link itself. */
	CHECK_EQ(symlink("nothing", "l"), 0);
	CHECK_EQ(link("l", "m"), 0);
	CHECK_EQ(lstat("m", &st), 0);
	CHECK(S_ISLNK(st.st_mode));
}

TEST(symbolic_links)
{
	char text[64], name[16], other[16];

	test_scratch();
	touch("f");
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(symlink("../f", "d/l"), 0);
	CHECK(is("d/l", "f"));
	CHECK_ERR(symlink("x", "d/l"), EEXIST);
	CHECK_ERR(symlink("", "e"), ENOENT);
	CHECK_EQ(readlink("d/l", text, 2), 2); /* cut off without a word */
	CHECK_EQ(memcmp(text, "..", 2), 0);
	CHECK_ERR(readlink("f", text, 10), EINVAL);
	CHECK_ERR(syscall(SYS_readlink, "d/l", text, 0), EINVAL);
	CHECK_EQ(symlink("loop", "loop"), 0);
	CHECK_ERR(open("loop", O_RDONLY), ELOOP);
	/* Forty in a row are followed, not more. */
	CHECK_EQ(symlink("f", "c0"), 0);
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(other, sizeof(other), "c%d", i - 1);
		CHECK_EQ(symlink(other, name), 0);
	}
	CHECK(is("c39", "f"));
	CHECK_ERR(open("c41", O_RDONLY), ELOOP);
	CHECK_EQ(symlink("d", "dl"), 0);
	CHECK_EQ(mkdir("dl/new", 0755), 0);
	CHECK_EQ(access("d/new", F_OK), 0);
	CHECK_ERR(rmdir("dl"), ENOTDIR);
	CHECK_ERR(unlink("dl/"), ENOTDIR);
	CHECK_EQ(unlink("dl"), 0);
}

TEST(rename_matrix)
{
	test_scratch();
	touch("f"), touch("g");
	CHECK_EQ(mkdir("empty", 0755), 0);
	CHECK_EQ(mkdir("full", 0755), 0);
	touch("full/x");
	CHECK_EQ(rename("f", "g"), 0);
	CHECK(is("g", "f"));
	CHECK_ERR(access("f", F_OK), ENOENT);
	CHECK_ERR(rename("f", "h"), ENOENT);
	CHECK_ERR(rename("g", "empty"), EISDIR);
	CHECK_ERR(rename("empty", "g"), ENOTDIR);
	CHECK_ERR(rename("empty", "full"), ENOTEMPTY);
	CHECK_EQ(rename("full", "empty"), 0);
	CHECK(is("empty/x", "full/x"));
	CHECK_ERR(rename("empty", "empty/sub"), EINVAL);
	CHECK_ERR(rename("empty", "empty/x/y"), ENOTDIR);
	CHECK_EQ(mkdir("empty/a", 0755), 0);
	CHECK_EQ(mkdir("empty/a/b", 0755), 0);
	CHECK_ERR(rename("empty", "empty/a/b/c"), EINVAL);
	CHECK_EQ(rename("empty/a/b", "moved"), 0); /* its .. moves with it */
	struct stat here, up;
	CHECK_EQ(stat(".", &here), 0);
	CHECK_EQ(stat("moved/..", &up), 0);
	CHECK_EQ(here.st_ino, up.st_ino);
	CHECK_EQ(rename("g", "g"), 0);
	CHECK_EQ(link("g", "g2"), 0);
	CHECK_EQ(rename("g", "g2"), 0); /* two names of one file: nothing happens */
	CHECK_EQ(access("g", F_OK), 0);
	CHECK_ERR(rename(".", "dot"), EBUSY);
	CHECK_ERR(rename("g/", "h"), ENOTDIR);
	CHECK_ERR(rename("g", "h/"), ENOTDIR);
	CHECK_EQ(rename("moved/", "moved2/"), 0);
	CHECK_ERR(rename("empty/a", "empty"), ENOTEMPTY);
}

TEST(rename_flags)
{
	test_scratch();
	touch("a"), touch("b");
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1), EEXIST); /* NOREPLACE */
	CHECK_EQ(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 2), 0);	    /* EXCHANGE */
	CHECK(is("a", "b"));
	CHECK(is("b", "a"));
	CHECK_EQ(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "d", 2), 0);
	CHECK(is("d", "b"));
	CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "none", 2), ENOENT);
	CHECK_ERR(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 3), EINVAL);
}

TEST(long_names)
{
	char name[300], *path = malloc(6000);

	test_scratch();
	memset(name, 'n', 300);
	name[255] = 0;
	touch(name);
	CHECK_EQ(unlink(name), 0);
	name[255] = 'n', name[256] = 0;
	CHECK_ERR(open(name, O_WRONLY | O_CREAT, 0600), ENAMETOOLONG);
	CHECK_ERR(stat(name, (struct stat *)path), ENAMETOOLONG);
	memset(path, '/', 6000);
	path[4095] = 0;
	CHECK_EQ(access(path, F_OK), 0);
	path[4095] = '/', path[4096] = 0;
	CHECK_ERR(access(path, F_OK), ENAMETOOLONG);
}

TEST(working_folder)
{
	char where[PATH_MAX], start[PATH_MAX];

	test_scratch();
	CHECK(getcwd(start, sizeof(start)));
	CHECK_EQ(mkdir("a", 0755), 0);
	CHECK_EQ(mkdir("a/b", 0755), 0);
	CHECK_EQ(chdir("a/b"), 0);
	CHECK(getcwd(where, sizeof(where)));
	CHECK_EQ(strcmp(where + strlen(start), "/a/b"), 0);
	CHECK_ERR(syscall(SYS_getcwd, where, 3), ERANGE);
	int fd = open("..", O_RDONLY);
	CHECK_EQ(rename("../../a", "../../z"), 0);
	CHECK(getcwd(where, sizeof(where)));
	CHECK_EQ(strcmp(where + strlen(start), "/z/b"), 0);
	CHECK_EQ(fchdir(fd), 0);
	CHECK_EQ(rmdir("b"), 0);
	CHECK_EQ(rmdir("../z"), 0);
	CHECK_ERR(syscall(SYS_getcwd, where, sizeof(where)), ENOENT);
	CHECK_ERR(open("new", O_WRONLY | O_CREAT, 0600), ENOENT);
	CHECK_ERR(mkdir("new", 0700), ENOENT);
	CHECK_EQ(chdir(start), 0);
	touch("f");
	CHECK_ERR(chdir("f"), ENOTDIR);
	CHECK_ERR(chdir("nowhere"), ENOENT);
}

TEST(umask_applies)
{
	struct stat st;

	test_scratch();
	CHECK_EQ(umask(027) & ~0777, 0);
	close(open("f", O_WRONLY | O_CREAT, 0666));
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK_EQ(mkdir("d", 0777), 0);
	CHECK_EQ(stat("d", &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0750);
	CHECK_EQ(umask(022), 027);
}

static void become_nobody(void)
{
	gid_t none;

	if (setgroups(0, &none) != 0 || setgid(54321) != 0 || setuid(54321) != 0)
		FAIL("cannot become another user: %s", strerror(errno));
}

TEST(permissions_of_another_user)
{
	test_needs_root();
	test_scratch();
	CHECK_EQ(chmod(".", 0755), 0);
	touch("private"), touch("public"), touch("writable");
	CHECK_EQ(chmod("private", 0600), 0);
	CHECK_EQ(chmod("public", 0644), 0);
	CHECK_EQ(chmod("writable", 0666), 0);
	CHECK_EQ(mkdir("locked", 0700), 0);
	touch("locked/f");
	CHECK_EQ(mkdir("through", 0711), 0);
	touch("through/f");
	CHECK_EQ(mkdir("sticky", 01777), 0);
	CHECK_EQ(chmod("sticky", 01777), 0);
	touch("sticky/theirs");
	become_nobody();
	CHECK_ERR(open("private", O_RDONLY), EACCES);
	CHECK(open("public", O_RDONLY) >= 0);
	CHECK_ERR(open("public", O_WRONLY), EACCES);
	CHECK(open("writable", O_RDWR) >= 0);
	CHECK_ERR(open("locked/f", O_RDONLY), EACCES);
	CHECK_ERR(chdir("locked"), EACCES);
	CHECK_ERR(open("through", O_RDONLY), EACCES);
	CHECK(open("through/f", O_RDONLY) >= 0);
	CHECK_ERR(open("mine", O_WRONLY | O_CREAT, 0600), EACCES);
	CHECK_ERR(mkdir("mine", 0700), EACCES);
	CHECK_ERR(unlink("public"), EACCES);
	CHECK_ERR(rename("public", "sticky/p"), EACCES);
	CHECK_ERR(chmod("public", 0777), EPERM);
	CHECK_ERR(chown("public", 54321, 54321), EPERM);
	CHECK_ERR(unlink("sticky/theirs"), EPERM);
	CHECK_ERR(rename("sticky/theirs", "sticky/x"), EPERM);
	touch("sticky/own");
	CHECK_EQ(chmod("sticky/own", 0), 0);
	CHECK_ERR(open("sticky/own", O_RDONLY), EACCES); /* the owner's own bits count */
	CHECK_EQ(unlink("sticky/own"), 0);
	CHECK_ERR(mknod("sticky/dev", S_IFCHR | 0666, makedev(1, 3)), EPERM);
	CHECK_EQ(access("public", R_OK), 0);
	CHECK_ERR(access("public", W_OK), EACCES);
	CHECK_ERR(access("public", X_OK), EACCES);
	CHECK_ERR(access("public", 8), EINVAL);
	struct timespec when[2] = {{1, 0}, {1, 0}};
	CHECK_ERR(utimensat(AT_FDCWD, "writable", when, 0), EPERM);
	CHECK_EQ(utimensat(AT_FDCWD, "writable", NULL, 0), 0);
	CHECK_ERR(chroot("."), EPERM);
	CHECK_ERR(sethostname("x", 1), EPERM);
}

TEST(access_asks_with_the_real_ids)
{
	test_needs_root();
	test_scratch();
	CHECK_EQ(chmod(".", 0755), 0);
	CHECK_EQ(mkdir("locked", 0700), 0);
	touch("locked/f"), touch("private");
	CHECK_EQ(chmod("locked/f", 0644), 0);
	CHECK_EQ(chmod("private", 0600), 0);
	CHECK_EQ(setresuid(54321, 0, 0), 0);
	CHECK(open("locked/f", O_RDONLY) >= 0);
	CHECK_ERR(access("private", R_OK), EACCES);
	CHECK_ERR(access("locked/f", F_OK), EACCES); /* nor may it go there */
	CHECK_EQ(faccessat(AT_FDCWD, "private", R_OK, AT_EACCESS), 0);
	CHECK_EQ(faccessat(AT_FDCWD, "locked/f", R_OK, AT_EACCESS), 0);
}

TEST(owner_group_and_special_bits)
{
	struct stat st;

	test_needs_root();
	test_scratch();
	touch("f");
	CHECK_EQ(chown("f", 10, 20), 0);
	CHECK_EQ(chmod("f", 06755), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_uid, 10);
	CHECK_EQ(st.st_gid, 20);
	CHECK_EQ(st.st_mode & 07777, 06755);
	CHECK_EQ(chown("f", -1, 30), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_uid, 10);
	CHECK_EQ(st.st_gid, 30);
	CHECK_EQ(st.st_mode & 07777, 0755); /* changing the owner takes set-id bits away */
	/* A set-group-id folder hands its group on. */
	CHECK_EQ(mkdir("d", 0755), 0);
	CHECK_EQ(chown("d", 0, 40), 0);
	CHECK_EQ(chmod("d", 02777), 0);
	touch("d/f");
	CHECK_EQ(mkdir("d/e", 0755), 0);
	CHECK_EQ(stat("d/f", &st), 0);
	CHECK_EQ(st.st_gid, 40);
	CHECK_EQ(stat("d/e", &st), 0);
	CHECK_EQ(st.st_gid, 40);
	CHECK(st.st_mode & S_ISGID);
	CHECK_EQ(symlink("f", "l"), 0);
	CHECK_EQ(lchown("l", 50, 50), 0);
	CHECK_EQ(stat("f", &st), 0);
	CHECK_EQ(st.st_uid, 10);
	CHECK_EQ(lstat("l", &st), 0);
	CHECK_EQ(st.st_uid, 50);
}

TEST(group_permission)
{
	gid_t groups[2] = {777, 888};

	test_needs_root();
	test_scratch();
	CHECK_EQ(chmod(".", 0755), 0);
	touch("f");
	CHECK_EQ(chown("f", 0, 888), 0);
	CHECK_EQ(chmod("f", 0060), 0);
	CHECK_EQ(setgroups(2, groups), 0);
	CHECK_EQ(setgid(54321), 0);
	CHECK_EQ(setuid(54321), 0);
	CHECK(open("f", O_RDWR) >= 0);
}

TEST(root_reads_all_but_executes_only_what_is_executable)
{
	test_needs_root();
	test_scratch();
	touch("f");
	CHECK_EQ(chmod("f", 0), 0);
	CHECK(open("f", O_RDWR) >= 0);
	CHECK_ERR(access("f", X_OK), EACCES);
	CHECK_EQ(chmod("f", 0010), 0);
	CHECK_EQ(access("f", X_OK), 0);
}

TEST(special_files)
{
	struct stat st;
	char c;

	test_needs_root();
	test_scratch();
	CHECK_EQ(mknod("null", S_IFCHR | 0666, makedev(1, 3)), 0);
	CHECK_EQ(stat("null", &st), 0);
	CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	CHECK_EQ(mknod("plain", S_IFREG | 0600, 0), 0);
	CHECK_EQ(stat("plain", &st), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_ERR(mknod("plain", S_IFREG | 0600, 0), EEXIST);
	CHECK_ERR(mknod("d", S_IFDIR | 0700, 0), EPERM);
	CHECK_EQ(mknod("socket", S_IFSOCK | 0600, 0), 0);
	CHECK_ERR(open("socket", O_RDONLY), ENXIO);
	CHECK_EQ(mknod("nobody", S_IFCHR | 0600, makedev(240, 99)), 0);
	CHECK_ERR(open("nobody", O_RDONLY), ENXIO);
	CHECK_EQ(mkfifo("p", 0600), 0);
	int r = open("p", O_RDONLY | O_NONBLOCK);
	CHECK(r >= 0);
	int w = open("p", O_WRONLY);
	CHECK_EQ(write(w, "x", 1), 1);
	CHECK_EQ(read(r, &c, 1), 1);
	close(r);
	CHECK_ERR(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
}

TEST(change_root)
{
	test_needs_root();
	test_scratch();
	CHECK_EQ(mkdir("new", 0755), 0);
	touch("new/inside");
	touch("outside");
	CHECK_EQ(symlink("/inside", "new/l"), 0);
	CHECK_EQ(chdir("new"), 0);
	CHECK_EQ(chroot("."), 0);
	CHECK_EQ(access("/inside", F_OK), 0);
	CHECK_EQ(access("/l", F_OK), 0);
	CHECK_EQ(access("/../inside", F_OK), 0);
	CHECK_ERR(access("/../outside", F_OK), ENOENT);
	CHECK_ERR(access("../../outside", F_OK), ENOENT);
}

TEST(openat2_resolves_within)
{
	struct {
		uint64_t flags, mode, resolve;
	} how = {.flags = O_RDONLY, .resolve = 8 /* BENEATH */};

	test_scratch();
	touch("f");
	CHECK_EQ(mkdir("d", 0755), 0);
	touch("d/g");
	int dir = open("d", O_RDONLY);
	CHECK(syscall(437, dir, "g", &how, sizeof(how)) >= 0);
	CHECK_ERR(syscall(437, dir, "../f", &how, sizeof(how)), EXDEV);
	CHECK_ERR(syscall(437, dir, "/etc", &how, sizeof(how)), EXDEV);
	CHECK_EQ(symlink("../f", "d/l"), 0);
	CHECK_ERR(syscall(437, dir, "l", &how, sizeof(how)), EXDEV);
	how.resolve = 4; /* NO_SYMLINKS */
	CHECK_ERR(syscall(437, dir, "l", &how, sizeof(how)), ELOOP);
	how.resolve = 1ull << 40;
	CHECK_ERR(syscall(437, dir, "g", &how, sizeof(how)), EINVAL);
	CHECK_ERR(syscall(437, dir, "g", &how, 8), EINVAL);
}

/* What is not there in /proc may be there a moment later. */
TEST(absent_descriptors_appear)
{
	int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	struct stat st;

	CHECK(dir >= 0);
	for (int i = 0; i < 2; i++) {
		CHECK_ERR(fstatat(dir, "77", &st, AT_SYMLINK_NOFOLLOW), ENOENT);
		CHECK_EQ(dup2(dir, 77), 77);
		CHECK_EQ(fstatat(dir, "77", &st, AT_SYMLINK_NOFOLLOW), 0);
		CHECK_EQ(close(77), 0);
	}
}

/* More mounts upon one another than a kernel's stack holds. */
TEST(many_mounts_on_one_place)
{
	enum { DEPTH = 400 };
	int depth = 0;

	test_needs_root();
	test_scratch();
	CHECK_EQ(mkdir("from", 0700), 0);
	CHECK_EQ(mkdir("from/deep", 0700), 0);
	CHECK_EQ(mkdir("to", 0700), 0);
	if (mount("many", "from/deep", "tmpfs", 0, NULL) != 0)
		SKIP("mount(2) is not allowed here");
	for (depth = 1; depth < DEPTH && mount("many", "from/deep", "tmpfs", 0, NULL) == 0; depth++)
		;
	CHECK_EQ(depth, DEPTH);
	CHECK_EQ(mount("from", "to", NULL, MS_BIND | MS_REC, NULL), 0);
	for (int i = 0; i < DEPTH; i++)
		CHECK_EQ(umount("to/deep"), 0);
	CHECK_ERR(umount("to/deep"), EINVAL);
	CHECK_EQ(umount("to"), 0);
	while (depth-- > 0)
		CHECK_EQ(umount("from/deep"), 0);
}
