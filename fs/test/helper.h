/* For the tests of fs/: a fresh tmpfs at /ktest, and short ways to make and look at files. */
#pragma once

#include <linux/fcntl.h>

#include "core/ktest.h"
#include "fs/inode.h"

/* Mounts a tmpfs (with options) on /ktest / takes it away again: then nothing of the test is left. */
void test_fs_begin(const char *options);
void test_fs_end(void);
/* An actor with uid = gid = id, no groups and no capability, root and cwd as the kernel's. Free with test_actor_put. */
struct actor test_actor(uint32_t id);
void test_actor_put(struct actor *a);

int test_write_file(const char *path, const char *text); /* creates or truncates, 0644 */
/* Whole content as a string into buf (of len): bytes or -errno. */
int64_t test_read_file(const char *path, char *buf, size_t len);
int64_t test_write(struct file *f, const void *data, size_t len);
int64_t test_read(struct file *f, void *buf, size_t len);
/* 0 if path exists (its final link not followed), else -errno. */
int test_exists(const char *path);
int test_stat(const char *path, struct statx *out);
