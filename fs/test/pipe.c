/* Pipes and FIFOs. */
#include <asm/poll.h>

#include "fs/pipe.h"
#include "fs/test/helper.h"
#include "mm/slab.h"
#include "sched/sched.h"

#define PIPE_BYTES (16 * PAGE_SIZE)

KTEST(fs, pipe_bytes)
{
	char *data = kmalloc(PIPE_BYTES), *back = kmalloc(PIPE_BYTES);
	struct file *r, *w;

	KTEST_TRUE(data && back);
	for (unsigned i = 0; i < PIPE_BYTES; i++)
		data[i] = (char)(i * 7 + i / 251);
	KTEST_EQ(pipe_create(O_NONBLOCK, &r, &w), 0);
	KTEST_EQ(test_read(r, back, 1), -EAGAIN);
	KTEST_EQ(vfs_poll(r, NULL), 0);
	KTEST_EQ(vfs_poll(w, NULL), POLLOUT | POLLWRNORM);
	KTEST_EQ(test_write(w, data, PIPE_BYTES), PIPE_BYTES);
	KTEST_EQ(vfs_poll(w, NULL), 0);
	KTEST_EQ(vfs_poll(r, NULL), POLLIN | POLLRDNORM);
	KTEST_EQ(test_write(w, data, 1), -EAGAIN);
	/* odd sizes */
	for (size_t at = 0, n = 1; at < PIPE_BYTES; at += n, n = n * 2 + 1) {
		n = MIN(n, PIPE_BYTES - at);
		KTEST_EQ(test_read(r, back + at, n), n);
	}
	KTEST_EQ(memcmp(data, back, PIPE_BYTES), 0);
	/* small writes share a page: far more than 16 fit */
	for (int i = 0; i < 1000; i++)
		KTEST_EQ(test_write(w, data + i, 1), 1);
	KTEST_EQ(test_read(r, back, PIPE_BYTES), 1000);
	KTEST_EQ(memcmp(data, back, 1000), 0);
	KTEST_EQ(test_read(w, back, 1), -EBADF);
	KTEST_EQ(test_write(r, back, 1), -EBADF);
	KTEST_EQ(vfs_seek(r, 0, 0), -ESPIPE);
	file_put(r);
	KTEST_EQ(vfs_poll(w, NULL) & POLLERR, POLLERR);
	KTEST_EQ(test_write(w, data, 1), -EPIPE);
	file_put(w);
	kfree(data);
	kfree(back);
}

KTEST(fs, pipe_atomic_and_eof)
{
	static char data[PAGE_SIZE];
	struct file *r, *w;

	KTEST_EQ(pipe_create(O_NONBLOCK, &r, &w), 0);
	/* 15 pages and some: a write of PIPE_BUF goes in as a whole or not at all */
	for (int i = 0; i < 16; i++)
		KTEST_EQ(test_write(w, data, PAGE_SIZE - 10), PAGE_SIZE - 10);
	KTEST_EQ(test_write(w, data, 11), -EAGAIN);
	KTEST_EQ(test_write(w, data, 10), 10);
	KTEST_EQ(test_write(w, data, PAGE_SIZE), -EAGAIN);
	file_put(w);
	int64_t n, total = 0;

	while ((n = test_read(r, data, PAGE_SIZE)) > 0)
		total += n;
	KTEST_EQ(n, 0);
	KTEST_EQ(total, 16 * (PAGE_SIZE - 10) + 10);
	KTEST_EQ(vfs_poll(r, NULL), POLLHUP);
	file_put(r);
	/* packets */
	KTEST_EQ(pipe_create(O_DIRECT, &r, &w), 0);
	KTEST_EQ(test_write(w, "abc", 3), 3);
	KTEST_EQ(test_write(w, "de", 2), 2);
	KTEST_EQ(test_read(r, data, 2), 2);
	KTEST_EQ(test_read(r, data, 10), 2);
	KTEST_EQ(data[0], 'd');
	file_put(w);
	KTEST_EQ(test_read(r, data, 1), 0);
	file_put(r);
}

KTEST(fs, pipe_size)
{
	static char data[PAGE_SIZE];
	struct file *r, *w;

	KTEST_EQ(pipe_create(O_NONBLOCK, &r, &w), 0);
	KTEST_EQ(pipe_get_size(r), 65536);
	KTEST_EQ(test_write(w, data, PAGE_SIZE), PAGE_SIZE);
	KTEST_EQ(test_write(w, data, PAGE_SIZE), PAGE_SIZE);
	KTEST_EQ(pipe_set_size(r, 1, false), -EBUSY);
	KTEST_EQ(pipe_set_size(r, 5000, false), 8192);
	KTEST_EQ(test_write(w, data, 1), -EAGAIN);
	KTEST_EQ(pipe_set_size(w, 2 * MIB, false), -EPERM);
	KTEST_EQ(pipe_set_size(w, MIB, false), MIB);
	KTEST_EQ(test_write(w, data, 1), 1);
	file_put(r);
	file_put(w);
}

static struct file *writer_end;
static int writer_result;

static void fill_and_close(void *arg)
{
	static char data[PAGE_SIZE];
	int64_t total = 0, n;

	(void)arg;
	for (int i = 0; i < 100; i++) { /* much more than fits: sleeps */
		memset(data, i, sizeof(data));
		n = test_write(writer_end, data, sizeof(data));
		total += n > 0 ? n : 0;
	}
	writer_result = (int)(total / PAGE_SIZE);
	file_put(writer_end);
}

KTEST(fs, pipe_blocking_transfer)
{
	static char buf[1000];
	struct file *r;
	int64_t n, total = 0;

	KTEST_EQ(pipe_create(0, &r, &writer_end), 0);
	KTEST_EQ(thread_create(fill_and_close, NULL, "pipe-writer"), 0);
	while ((n = test_read(r, buf, sizeof(buf))) > 0) {
		KTEST_EQ(buf[0], total / (int64_t)PAGE_SIZE);
		total += n;
	}
	KTEST_EQ(n, 0);
	KTEST_EQ(total, 100 * PAGE_SIZE);
	KTEST_EQ(writer_result, 100);
	file_put(r);
}

static void open_fifo_writer(void *arg)
{
	struct file *f;

	(void)arg;
	writer_result = vfs_open(&kernel_actor, NULL, "/ktest/fifo", O_WRONLY, 0, 0, &f);
	if (!writer_result) {
		test_write(f, "hi", 2);
		file_put(f);
	}
}

KTEST(fs, fifo_open)
{
	struct file *r, *w;
	char buf[4];

	test_fs_begin("");
	KTEST_EQ(vfs_mknod(&kernel_actor, NULL, "/ktest/fifo", S_IFIFO | 0666, 0), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/fifo", O_WRONLY | O_NONBLOCK, 0, 0, &w), -ENXIO);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/fifo", O_RDONLY | O_NONBLOCK, 0, 0, &r), 0);
	KTEST_EQ(vfs_poll(r, NULL), 0); /* no writer yet is no hang-up */
	KTEST_EQ(test_read(r, buf, 1), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/fifo", O_WRONLY | O_NONBLOCK, 0, 0, &w), 0);
	KTEST_EQ(test_read(r, buf, 1), -EAGAIN);
	file_put(w);
	KTEST_EQ(vfs_poll(r, NULL), POLLHUP);
	file_put(r);
	/* blocking opens meet */
	KTEST_EQ(thread_create(open_fifo_writer, NULL, "fifo-writer"), 0);
	KTEST_EQ(vfs_open(&kernel_actor, NULL, "/ktest/fifo", O_RDONLY, 0, 0, &r), 0);
	KTEST_EQ(test_read(r, buf, 4), 2);
	KTEST_EQ(test_read(r, buf, 4), 0);
	file_put(r);
	test_fs_end();
}
