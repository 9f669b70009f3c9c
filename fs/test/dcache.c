/* The name cache under load: many names, walks that race with renames, and a file system that is asked by lookup (LRU,
 * negative names). */
#include "fs/test/helper.h"
#include "lib/printf.h"
#include "mm/slab.h"
#include "sched/sched.h"

KTEST(fs, dcache_many_names)
{
	char path[48];

	test_fs_begin("nr_inodes=0");
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/ktest/%x", i * 2654435761u);
		KTEST_EQ(test_write_file(path, ""), 0);
	}
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/ktest/%x", i * 2654435761u);
		KTEST_EQ(test_exists(path), 0);
		if (i % 3 == 0)
			KTEST_EQ(vfs_unlink(&kernel_actor, NULL, path), 0);
	}
	for (int i = 0; i < 3000; i++) {
		snprintf(path, sizeof(path), "/ktest/%x", i * 2654435761u);
		KTEST_EQ(test_exists(path), i % 3 ? 0 : -ENOENT);
	}
	test_fs_end();
}

static bool stop_renaming;
static int renamer_done;
static uint64_t renames_begun, renames_done; /* between x and y */

static int rename_counted(const char *from, const char *to)
{
	atomic_fetch_add(&renames_begun, 1);
	int err = vfs_rename(&kernel_actor, NULL, from, NULL, to, 0);
	atomic_fetch_add(&renames_done, 1);
	return err;
}

static void renamer(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stop_renaming)) {
		if (vfs_rename(&kernel_actor, NULL, "/ktest/a/f", NULL, "/ktest/b/f", 0) ||
		    vfs_rename(&kernel_actor, NULL, "/ktest/b/f", NULL, "/ktest/a/f", 0) ||
		    rename_counted("/ktest/x", "/ktest/y") || rename_counted("/ktest/y", "/ktest/x"))
			break;
		sched_yield();
	}
	WRITE_ONCE(renamer_done, READ_ONCE(stop_renaming) ? 1 : -1);
}

/* A name that exists all the time must be found all the time. */
KTEST(fs, dcache_walk_against_rename)
{
	test_fs_begin("");
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/a", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/b", 0755), 0);
	KTEST_EQ(vfs_mkdir(&kernel_actor, NULL, "/ktest/x", 0755), 0);
	KTEST_EQ(test_write_file("/ktest/a/f", ""), 0);
	KTEST_EQ(test_write_file("/ktest/a/fixed", ""), 0);
	KTEST_EQ(test_write_file("/ktest/x/inner", ""), 0);
	stop_renaming = false;
	renamer_done = 0;
	renames_begun = renames_done = 0;
	KTEST_EQ(thread_create(renamer, NULL, "renamer"), 0);
	for (int i = 0; i < 2000; i++) {
		KTEST_EQ(test_exists("/ktest/a/fixed"), 0);
		/* It is in one place or the other, unless a rename came between the two looks. */
		uint64_t done;
		bool found;
		do {
			done = atomic_load_acquire(&renames_done);
			found = test_exists("/ktest/x/inner") == 0 || test_exists("/ktest/y/inner") == 0;
		} while (!found && atomic_load_acquire(&renames_begun) != done);
		KTEST_TRUE(found);
		if (i % 16 == 0)
			sched_yield();
	}
	WRITE_ONCE(stop_renaming, true);
	while (!READ_ONCE(renamer_done))
		sched_yield();
	KTEST_EQ(renamer_done, 1);
	test_fs_end();
}

/* --- a file system that is asked: names n0…n999 exist ------------------------------------------------------------ */

static unsigned asked;

static const struct inode_ops asked_ops;

static struct inode *asked_inode(struct super *s, uint32_t mode)
{
	struct inode *i = kzalloc(sizeof(*i));

	if (i) {
		inode_init(i, s, mode);
		i->ops = &asked_ops;
	}
	return i;
}

static int asked_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	asked++;
	if (name[0] != 'n' || len < 2)
		return -ENOENT;
	*out = asked_inode(dir->super, S_IFREG | 0444);
	return *out ? 0 : -ENOMEM;
}

static const struct inode_ops asked_ops = {.lookup = asked_lookup};

static void asked_release(struct super *s)
{
	dentry_put(s->root);
}

static void asked_inode_release(struct inode *i)
{
	kfree(i);
}

static const struct super_ops asked_super_ops = {.inode_release = asked_inode_release, .release = asked_release};
static const struct fs_type asked_type = {.name = "asked"};

KTEST(fs, dcache_of_looked_up_names)
{
	struct super *s = kzalloc(sizeof(*s));
	struct mount *m;
	struct path root, p;
	char name[16];

	KTEST_TRUE(s);
	super_init(s, &asked_type, &asked_super_ops);
	s->root = dentry_create_root(s, asked_inode(s, S_IFDIR | 0755), "");
	KTEST_TRUE(s->root);
	super_publish(s);
	KTEST_EQ(mount_create(s, s->root, "asked", 0, &m), 0);
	root = (struct path){m, s->root};
	asked = 0;
	for (int i = 0; i < 3; i++) {
		KTEST_EQ(vfs_lookup(&kernel_actor, &root, "n1", 0, &p), 0);
		path_put(&p);
		KTEST_EQ(vfs_lookup(&kernel_actor, &root, "absent", 0, &p), -ENOENT);
		KTEST_EQ(vfs_lookup(&kernel_actor, &root, "n1/x", 0, &p), -ENOTDIR);
	}
	KTEST_EQ(asked, 2); /* each name once, also the one that is not there */
	/* more names than the cache keeps: it stays bounded and right */
	for (uint64_t i = 0; i < dcache_mask + 500; i++) {
		snprintf(name, sizeof(name), "n%lu", (unsigned long)i);
		KTEST_EQ(vfs_lookup(&kernel_actor, &root, name, 0, &p), 0);
		path_put(&p);
	}
	KTEST_TRUE(dcache_shrink(s) <= dcache_mask + 1);
	KTEST_EQ(dcache_shrink(s), 0);
	mount_put(m);
}
