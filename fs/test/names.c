/* Walking paths, making and removing names, links, rights. */
#include "fs/test/helper.h"
#include "lib/printf.h"
#include "mm/slab.h"

static int lookup(const char *path, unsigned flags)
{
	struct path p;
	int err = vfs_lookup(&kernel_actor, NULL, path, flags, &p);

	if (!err)
		path_put(&p);
	return err;
}

KTEST(fs, walk_paths)
{
	char buf[64], *name;
	struct path p;

	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a/b/", 0755), 0);
	KTEST_EQ(test_write_file("/ktest/a/b/f", "hello"), 0);
	KTEST_EQ(lookup("/ktest/a/b/f", 0), 0);
	KTEST_EQ(lookup("//ktest///a/./b/../b//f", 0), 0);
	KTEST_EQ(lookup("/../../ktest/a", 0), 0);
	KTEST_EQ(lookup("/ktest/a/b/f/", 0), -ENOTDIR);
	KTEST_EQ(lookup("/ktest/a/b/f/x", 0), -ENOTDIR);
	KTEST_EQ(lookup("/ktest/a/b/f/..", 0), -ENOTDIR);
	KTEST_EQ(lookup("/ktest/a/x", 0), -ENOENT);
	KTEST_EQ(lookup("/ktest/a/x/y", 0), -ENOENT);
	KTEST_EQ(lookup("", 0), -ENOENT);
	KTEST_EQ(lookup("", LOOKUP_EMPTY), 0);
	KTEST_EQ(lookup("/", 0), 0);
	KTEST_EQ(lookup("/ktest/a/b/f", LOOKUP_DIRECTORY), -ENOTDIR);
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/a/b", 0, &p), 0);
	KTEST_EQ(lookup("ktest/a/b/f", 0), 0); /* cwd is the root */
	name = path_render(&p, NULL, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, "/ktest/a/b"));
	name = path_render(&p, &p, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, "/"));
	KTEST_TRUE(!path_render(&p, NULL, buf, 6));
	path_put(&p);
	test_fs_end();
}

/* Names of every length around the word and inline sizes, at every alignment. */
KTEST(fs, walk_name_lengths)
{
	char *path = kmalloc(1024);
	struct file *f;

	KTEST_TRUE(path);
	test_fs_begin("");
	for (size_t len = 1; len <= 257; len++) {
		int want = len > NAME_MAX_BYTES ? -ENAMETOOLONG : 0;
		size_t shift = len % 8; /* extra slashes */

		memcpy(path, "/ktest", 6);
		memset(path + 6, '/', shift + 1);
		memset(path + 7 + shift, 'a' + (int)(len % 26), len);
		path[7 + shift + len] = '\0';
		int err = vfs_open(&kernel_actor, NULL, path, O_RDWR | O_CREAT | O_EXCL, 0600, 0, &f);

		KTEST_EQ(err, want);
		if (!err)
			file_put(f);
		KTEST_EQ(lookup(path, 0), want);
		if (!err) { /* one byte less or more is another name */
			path[7 + shift + len - 1] ^= 1;
			KTEST_EQ(lookup(path, 0), -ENOENT);
		}
	}
	kfree(path);
	test_fs_end();
}

KTEST(fs, symlinks)
{
	char buf[16], path[64];
	struct statx s;
	struct path p;

	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/d", 0755), 0);
	KTEST_EQ(test_write_file("/ktest/d/f", "content"), 0);
	KTEST_EQ(vfs_symlink(&kernel_actor, "d/f", NULL, "/ktest/rel"), 0);
	KTEST_EQ(vfs_symlink(&kernel_actor, "/ktest/d", NULL, "/ktest/abs"), 0);
	KTEST_EQ(vfs_symlink(&kernel_actor, "nowhere", NULL, "/ktest/dangling"), 0);
	KTEST_EQ(vfs_symlink(&kernel_actor, "", NULL, "/ktest/empty"), -ENOENT);
	KTEST_EQ(test_read_file("/ktest/rel", buf, sizeof(buf)), 7);
	KTEST_EQ(test_read_file("/ktest/abs/f", buf, sizeof(buf)), 7);
	KTEST_EQ(test_read_file("/ktest/abs/../rel", buf, sizeof(buf)), 7);
	KTEST_EQ(lookup("/ktest/abs/", 0), 0);
	KTEST_EQ(lookup("/ktest/rel/", 0), -ENOTDIR);
	KTEST_EQ(lookup("/ktest/dangling", 0), 0);
	KTEST_EQ(lookup("/ktest/dangling", LOOKUP_FOLLOW), -ENOENT);
	KTEST_EQ(test_stat("/ktest/rel", &s), 0);
	KTEST_TRUE(S_ISLNK(s.stx_mode) && s.stx_size == 3);
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/rel", 0, &p), 0);
	KTEST_EQ(vfs_readlink(&p, &kernel_actor, buf, 2), 2);
	KTEST_EQ(vfs_readlink(&p, &kernel_actor, buf, sizeof(buf)), 3);
	path_put(&p);
	/* a chain of 40 works, of 41 does not; a loop neither */
	KTEST_EQ(vfs_symlink(&kernel_actor, "d", NULL, "/ktest/l0"), 0);
	for (int i = 1; i <= 40; i++) {
		snprintf(buf, sizeof(buf), "l%d", i - 1);
		snprintf(path, sizeof(path), "/ktest/l%d", i);
		KTEST_EQ(vfs_symlink(&kernel_actor, buf, NULL, path), 0);
	}
	KTEST_EQ(lookup("/ktest/l39/f", 0), 0);
	KTEST_EQ(lookup("/ktest/l40/f", 0), -ELOOP);
	KTEST_EQ(vfs_symlink(&kernel_actor, "loop", NULL, "/ktest/loop"), 0);
	KTEST_EQ(lookup("/ktest/loop", LOOKUP_FOLLOW), -ELOOP);
	/* O_CREAT through a dangling link makes its target */
	KTEST_EQ(test_write_file("/ktest/dangling", "x"), 0);
	KTEST_EQ(test_exists("/ktest/nowhere"), 0);
	test_fs_end();
}

KTEST(fs, open_flags)
{
	struct file *f;
	struct statx s;

	test_fs_begin("");
#define OPEN(path, flags) vfs_open(&kernel_actor, NULL, (path), (flags), 0644, 0, &f)
	KTEST_EQ(OPEN("/ktest/f", O_RDONLY), -ENOENT);
	KTEST_EQ(OPEN("/ktest/f/", O_WRONLY | O_CREAT), -EISDIR);
	KTEST_EQ(OPEN("/ktest/f", O_WRONLY | O_CREAT | O_EXCL), 0);
	KTEST_EQ(test_write(f, "12345", 5), 5);
	file_put(f);
	KTEST_EQ(OPEN("/ktest/f", O_WRONLY | O_CREAT | O_EXCL), -EEXIST);
	KTEST_EQ(OPEN("/ktest/f", O_RDONLY | O_DIRECTORY), -ENOTDIR);
	KTEST_EQ(OPEN("/ktest", O_WRONLY), -EISDIR);
	KTEST_EQ(OPEN("/ktest", O_RDWR | O_CREAT), -EISDIR);
	KTEST_EQ(vfs_symlink(&kernel_actor, "f", NULL, "/ktest/l"), 0);
	KTEST_EQ(OPEN("/ktest/l", O_RDONLY | O_NOFOLLOW), -ELOOP);
	KTEST_EQ(OPEN("/ktest/l", O_RDONLY | O_CREAT | O_EXCL), -EEXIST);
	KTEST_EQ(OPEN("/ktest/l", O_PATH | O_NOFOLLOW), 0);
	KTEST_EQ(test_read(f, &s, 1), -EBADF);
	file_put(f);
	KTEST_EQ(OPEN("/ktest/f", O_RDWR | O_APPEND), 0);
	KTEST_EQ(test_write(f, "67", 2), 2);
	KTEST_EQ((int)f->pos, 7);
	file_put(f);
	KTEST_EQ(OPEN("/ktest/f", O_WRONLY | O_TRUNC), 0);
	KTEST_EQ(test_read(f, &s, 1), -EBADF);
	file_put(f);
	KTEST_EQ(test_stat("/ktest/f", &s), 0);
	KTEST_EQ(s.stx_size, 0);
	/* a nameless file that gets a name */
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest", O_TMPFILE | O_RDWR, 0600, 0, &f), 0);
	KTEST_EQ(test_write(f, "t", 1), 1);
	KTEST_EQ(vfs_link(&kernel_actor, &f->path, "", NULL, "/ktest/named", AT_EMPTY_PATH), 0);
	KTEST_EQ(f->inode->nlink, 1);
	file_put(f);
	KTEST_EQ(test_exists("/ktest/named"), 0);
	test_fs_end();
#undef OPEN
}

KTEST(fs, unlink_while_open)
{
	struct file *f;
	char buf[80], *name;

	test_fs_begin("");
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/f", O_RDWR | O_CREAT, 0644, 0, &f), 0);
	KTEST_EQ(test_write(f, "abc", 3), 3);
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/f"), 0);
	KTEST_EQ(test_exists("/ktest/f"), -ENOENT);
	KTEST_EQ(f->inode->nlink, 0);
	KTEST_EQ(vfs_seek(f, 0, 0), 0);
	KTEST_EQ(test_read(f, buf, 3), 3);
	name = path_render(&f->path, NULL, buf, sizeof(buf));
	KTEST_TRUE(name && str_equal(name, "/ktest/f (deleted)"));
	KTEST_EQ(vfs_link(&kernel_actor, &f->path, "", NULL, "/ktest/g", AT_EMPTY_PATH), -ENOENT);
	file_put(f);
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest"), -EISDIR);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/d", 0755), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/d", O_RDONLY | O_DIRECTORY, 0, 0, &f), 0);
	KTEST_EQ(vfs_rmdir(&kernel_actor, NULL, "/ktest/d"), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, &f->path, "x", 0755), -ENOENT);
	KTEST_EQ(vfs_lookup(&kernel_actor, &f->path, "x", 0, &(struct path){0}), -ENOENT);
	file_put(f);
	test_fs_end();
}

KTEST(fs, hard_links)
{
	struct statx s;

	test_fs_begin("");
	KTEST_EQ(test_write_file("/ktest/a", "x"), 0);
	KTEST_EQ(vfs_link(&kernel_actor, NULL, "/ktest/a", NULL, "/ktest/b", 0), 0);
	KTEST_EQ(vfs_link(&kernel_actor, NULL, "/ktest/a", NULL, "/ktest/b", 0), -EEXIST);
	KTEST_EQ(vfs_link(&kernel_actor, NULL, "/ktest", NULL, "/ktest/c", 0), -EPERM);
	KTEST_EQ(vfs_link(&kernel_actor, NULL, "/ktest/a", NULL, "/elsewhere", 0), -EXDEV);
	KTEST_EQ(test_stat("/ktest/b", &s), 0);
	KTEST_EQ(s.stx_nlink, 2);
	KTEST_EQ(vfs_unlink(&kernel_actor, NULL, "/ktest/a"), 0);
	KTEST_EQ(test_stat("/ktest/b", &s), 0);
	KTEST_EQ(s.stx_nlink, 1);
	test_fs_end();
}

static bool count_entry(struct dir_sink *s, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
	(void)name;
	(void)len;
	(void)ino;
	(void)type;
	(void)next;
	(void)s;
	return true;
}

struct limited_sink {
	struct dir_sink sink;
	unsigned room, seen;
	char last[32];
};

static bool limited_entry(struct dir_sink *s, const char *name, size_t len, uint64_t ino, unsigned type, uint64_t next)
{
	struct limited_sink *l = container_of(s, struct limited_sink, sink);

	(void)ino;
	(void)type;
	(void)next;
	if (!l->room)
		return false;
	l->room--;
	l->seen++;
	memcpy(l->last, name, MIN(len, sizeof(l->last) - 1));
	l->last[MIN(len, sizeof(l->last) - 1)] = '\0';
	return true;
}

/* Every file is seen once although each is removed as soon as it was seen. */
KTEST(fs, readdir_while_removing)
{
	struct limited_sink l = {.sink = {limited_entry}};
	struct dir_sink any = {count_entry};
	struct file *f;
	char path[64];
	unsigned removed = 0;

	test_fs_begin("");
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/ktest/file%d", i);
		KTEST_EQ(test_write_file(path, ""), 0);
	}
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest", O_RDONLY | O_DIRECTORY, 0, 0, &f), 0);
	for (;;) {
		unsigned before = l.seen;

		l.room = 1;
		KTEST_EQ(vfs_iterate(f, &l.sink), 0);
		if (l.seen == before)
			break;
		if (l.last[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/ktest/%s", l.last);
		KTEST_EQ(vfs_unlink(&kernel_actor, NULL, path), 0);
		removed++;
	}
	KTEST_EQ(removed, 300);
	KTEST_EQ(vfs_iterate(f, &any), 0);
	file_put(f);
	test_fs_end();
}

KTEST(fs, rights)
{
	struct actor a = test_actor(1000), b = test_actor(1001);
	struct attr_change c = {.valid = ATTR_MODE, .mode = 0777};
	struct file *f;
	struct statx s;
	struct path p;

	test_fs_begin("mode=777");
	KTEST_EQ(vfs_mkdir(&a, NULL, "/ktest/priv", 0700), 0);
	/* mode does not bind the creator */
	KTEST_EQ(vfs_open(&a, NULL, "/ktest/priv/f", O_RDWR | O_CREAT, 0444, 0, &f), 0);
	KTEST_EQ(f->inode->uid, 1000);
	file_put(f);
	KTEST_EQ(vfs_open(&a, NULL, "/ktest/priv/f", O_RDWR, 0, 0, &f), -EACCES);
	KTEST_EQ(vfs_open(&b, NULL, "/ktest/priv/f", O_RDONLY, 0, 0, &f), -EACCES);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/priv/f", O_RDWR, 0, 0, &f), 0);
	file_put(f);
	/* sticky: others may not remove what is not theirs */
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/tmp", 01777), 0);
	KTEST_EQ(vfs_open(&a, NULL, "/ktest/tmp/f", O_WRONLY | O_CREAT, 0666, 0, &f), 0);
	file_put(f);
	KTEST_EQ(vfs_unlink(&b, NULL, "/ktest/tmp/f"), -EPERM);
	KTEST_EQ(vfs_rename(&b, NULL, "/ktest/tmp/f", NULL, "/ktest/tmp/g", 0), -EPERM);
	KTEST_EQ(vfs_unlink(&a, NULL, "/ktest/tmp/f"), 0);
	/* chmod and chown */
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/priv", 0, &p), 0);
	KTEST_EQ(vfs_setattr(&b, &p, &c), -EPERM);
	KTEST_EQ(vfs_setattr(&a, &p, &c), 0);
	c = (struct attr_change){.valid = ATTR_UID, .uid = 1001};
	KTEST_EQ(vfs_setattr(&a, &p, &c), -EPERM);
	KTEST_EQ(vfs_setattr(&kernel_actor, &p, &c), 0);
	path_put(&p);
	/* set-group-id directories hand down their group */
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest/tmp", 0, &p), 0);
	c = (struct attr_change){.valid = ATTR_MODE | ATTR_GID, .mode = 02777, .gid = 77};
	KTEST_EQ(vfs_setattr(&kernel_actor, &p, &c), 0);
	path_put(&p);
	KTEST_EQ(vfs_mkdir(&a, NULL, "/ktest/tmp/sub", 0755), 0);
	KTEST_EQ(test_stat("/ktest/tmp/sub", &s), 0);
	KTEST_TRUE(s.stx_gid == 77 && (s.stx_mode & S_ISGID));
	/* a write takes set-user-id away; a device needs the capability */
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/su", O_WRONLY | O_CREAT, 04777, 0, &f), 0);
	file_put(f);
	KTEST_EQ(vfs_open(&a, NULL, "/ktest/su", O_WRONLY, 0, 0, &f), 0);
	KTEST_EQ(test_write(f, "x", 1), 1);
	KTEST_TRUE(!(f->inode->mode & S_ISUID));
	file_put(f);
	KTEST_EQ(vfs_mknod(&a, NULL, "/ktest/null", S_IFCHR | 0666, 1ull << 32 | 3), -EPERM);
	test_actor_put(&a);
	test_actor_put(&b);
	test_fs_end();
}

KTEST(fs, text_busy)
{
	struct file *f, *x;

	test_fs_begin("");
	KTEST_EQ(test_write_file("/ktest/prog", "#!"), 0);
	KTEST_EQ(vfs_open_exec(&kernel_actor, NULL, "/ktest/prog", LOOKUP_FOLLOW, &x), -EACCES); /* no x bit */
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/p2", O_WRONLY | O_CREAT, 0755, 0, &f), 0);
	KTEST_EQ(vfs_open_exec(&kernel_actor, NULL, "/ktest/p2", LOOKUP_FOLLOW, &x), -ETXTBSY);
	file_put(f);
	KTEST_EQ(vfs_open_exec(&kernel_actor, NULL, "/ktest/p2", LOOKUP_FOLLOW, &x), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/p2", O_WRONLY, 0, 0, &f), -ETXTBSY);
	vfs_exec_done(x);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/p2", O_WRONLY, 0, 0, &f), 0);
	file_put(f);
	file_put(x);
	test_fs_end();
}
