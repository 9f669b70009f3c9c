/*
 * Everything at once on files: names that come and go in one directory, mounts that somebody walks into, pipes that
 * many ends share, one table of descriptors.  What was sent has arrived, what was made can be removed, what is replaced
 * was never missing.
 */
#include "user/test/test.h"

#include <dirent.h>
#include <poll.h>
#include <sys/mount.h>

#include "user/test/storm.h"

/* --- names -------------------------------------------------------------------------------------------------------- */

static void name_of(char *s, unsigned n)
{
	/* some that fit into a directory entry of the cache and some that do not */
	sprintf(s, n % 3 ? "n%u" : "a-name-that-is-longer-than-forty-bytes-to-be-kept-elsewhere-%u", n);
}

static void read_names(void)
{
	DIR *d = opendir(".");
	struct dirent *e;

	CHECK(d != NULL);
	while ((e = readdir(d)))
		CHECK(strlen(e->d_name) > 0 && strlen(e->d_name) < 70);
	closedir(d);
}

static void name_step(void)
{
	char a[80], b[180], c[80];
	struct stat st;
	int fd;

	name_of(a, dice(9));
	name_of(c, dice(9));
	switch (dice(11)) {
	case 0:
	case 1:
		MAY_FAIL(fd = open(a, O_RDWR | O_CREAT | (dice(2) ? O_EXCL : 0), 0600), EEXIST, EISDIR, ELOOP, ENOENT);
		if (fd >= 0) {
			int other = dup(fd);
			CHECK(other >= 0);
			CHECK_EQ(write(fd, "x", 1), 1);
			CHECK_EQ(close(fd), 0);
			CHECK_EQ(fstat(other, &st), 0);
			CHECK_EQ(close(other), 0);
		}
		break;
	case 2:
		MAY_FAIL(unlink(a), ENOENT, EISDIR, EPERM);
		break;
	case 3:
		MAY_FAIL(mkdir(a, 0700), EEXIST);
		break;
	case 4:
		MAY_FAIL(rmdir(a), ENOENT, ENOTDIR, ENOTEMPTY);
		break;
	case 5:
	case 6:
		MAY_FAIL(rename(a, c), ENOENT, ENOTDIR, EISDIR, ENOTEMPTY);
		break;
	case 7: /* from one directory to another, and so that a loop would come of it */
		snprintf(b, sizeof(b), "%s/%s", c, a);
		MAY_FAIL(dice(2) ? rename(a, b) : rename(b, a), ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, EINVAL, ELOOP);
		break;
	case 8:
		MAY_FAIL(dice(2) ? link(a, c) : symlink(a, c), ENOENT, EEXIST, EPERM, EACCES);
		break;
	case 9:
		MAY_FAIL(syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, c, 2 /* RENAME_EXCHANGE */), ENOENT, EINVAL);
		break;
	case 10:
		snprintf(b, sizeof(b), "%s/../%s/.", a, c);
		MAY_FAIL(stat(b, &st), ENOENT, ENOTDIR, ELOOP);
		read_names();
		break;
	}
}

static void *names_thread(void *arg)
{
	dice_seed((uint32_t)(long)arg);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;)
		for (int i = 0; i < 20; i++)
			name_step();
	return NULL;
}

TEST(names_in_one_directory)
{
	pthread_t t[2];
	struct stat st;
	pid_t pid[2];

	test_scratch();
	CHECK_EQ(mkdir("d", 0700), 0);
	CHECK_EQ(chdir("d"), 0);
	for (int i = 0; i < 2; i++) {
		pid[i] = test_fork();
		if (pid[i] == 0) {
			names_thread((void *)(10l + i));
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		go(&t[i], names_thread, 20 + i);
	for (int i = 0; i < 2; i++) {
		pthread_join(t[i], NULL);
		CHECK_EXIT(pid[i], 0);
	}
	test_remove_tree("../d");
	CHECK_ERR(stat("../d", &st), ENOENT);
	CHECK_EQ(stat(".", &st), 0);
	CHECK_EQ(st.st_nlink, 0);
}

static void *replaced_reader(void *arg)
{
	struct stat st;
	const char *path = arg;
	long n = 0;

	for (; !shared->stop; n++)
		if (stat(path, &st) != 0)
			FAIL("%s was not there: %s", path, strerror(errno));
	return (void *)n;
}

/* rename(2): "there is no point at which another process attempting to access newpath will find it missing". */
TEST(what_is_replaced_is_never_missing)
{
	pthread_t t[3];

	test_scratch();
	shared_make();
	test_write_file("target", "1", 1);
	CHECK_EQ(mkdir("left", 0700), 0);
	CHECK_EQ(mkdir("right", 0700), 0);
	test_write_file("left/in", "1", 1);
	test_write_file("right/in", "1", 1);
	go(&t[0], replaced_reader, (long)"target");
	go(&t[1], replaced_reader, (long)"left/in");
	go(&t[2], replaced_reader, (long)"./left/../right/in");
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		CHECK_EQ(close(open("fresh", O_CREAT | O_WRONLY, 0600)), 0);
		CHECK_EQ(rename("fresh", "target"), 0);
		CHECK_EQ(syscall(SYS_renameat2, AT_FDCWD, "left", AT_FDCWD, "right", 2), 0);
	}
	shared->stop = 1;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
}

static void *visitor(void *arg)
{
	struct stat st;

	dice_seed(5 + (uint32_t)(long)arg);
	while (!shared->stop) {
		int fd = open("place", O_RDONLY | O_DIRECTORY);
		CHECK(fd >= 0);
		CHECK_EQ(fstat(fd, &st), 0);
		for (int i = 0; i < 3; i++) {
			if (shared->count == (long)st.st_dev)
				FAIL("umount said that nobody was inside");
			sched_yield();
		}
		CHECK_EQ(close(fd), 0);
		usleep(50 + dice(400));
	}
	return arg;
}

/* A file system is either busy or gone for good, whoever is just walking into it. */
TEST(umount_knows_who_is_inside)
{
	pthread_t t[2];
	struct stat st;

	test_scratch();
	shared_make();
	CHECK_EQ(mkdir("place", 0700), 0);
	if (mount("storm", "place", "tmpfs", 0, NULL) != 0)
		SKIP("may not mount");
	CHECK_EQ(umount("place"), 0);
	for (int i = 0; i < 2; i++)
		go(&t[i], visitor, i);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		shared->count = 0; /* what is gone: the numbers of file systems are used again */
		CHECK_EQ(mount("storm", "place", "tmpfs", 0, NULL), 0);
		CHECK_EQ(stat("place", &st), 0);
		for (int err = EBUSY; err == EBUSY;) {
			err = umount("place") ? errno : 0;
			CHECK(err == 0 || err == EBUSY);
			sched_yield();
		}
		shared->count = (long)st.st_dev;
		sched_yield();
	}
	shared->stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

/* --- pipes -------------------------------------------------------------------------------------------------------- */

#define PIPES 4
static int pipes[PIPES][2];

static void *pipe_writer(void *arg)
{
	long sent = 0;
	char text[300];

	dice_seed((uint32_t)(long)arg);
	memset(text, 'x', sizeof(text));
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		struct pollfd p[PIPES];
		for (int i = 0; i < PIPES; i++)
			p[i] = (struct pollfd){.fd = pipes[i][1], .events = POLLOUT};
		CHECK(poll(p, PIPES, -1) > 0);
		for (int i = 0; i < PIPES; i++) {
			ssize_t n = p[i].revents ? write(pipes[i][1], text, 1 + dice(sizeof(text))) : 0;
			int errno_was = errno;
			CHECK(n >= 0 || errno_was == EAGAIN);
			sent += n > 0 ? n : 0;
		}
	}
	__atomic_fetch_add(&shared->count, sent, __ATOMIC_RELAXED);
	return NULL;
}

/* Until all pipes say that nobody writes any more. The time-out is there to fail, in a test that would hang. */
static void *pipe_reader(void *arg)
{
	bool open[PIPES] = {true, true, true, true};
	int left = PIPES;
	long got = 0;
	char text[700];

	dice_seed((uint32_t)(long)arg);
	while (left) {
		struct pollfd p[PIPES];
		for (int i = 0; i < PIPES; i++)
			p[i] = (struct pollfd){.fd = open[i] ? pipes[i][0] : -1, .events = POLLIN};
		CHECK(poll(p, PIPES, 20000) > 0);
		for (int i = 0; i < PIPES; i++) {
			if (!p[i].revents)
				continue;
			ssize_t n = read(pipes[i][0], text, 1 + dice(sizeof(text)));
			int errno_was = errno;
			CHECK(n >= 0 || errno_was == EAGAIN);
			if (n == 0) {
				open[i] = false;
				left--;
			}
			got += n > 0 ? n : 0;
		}
	}
	__atomic_fetch_add(&shared->other, got, __ATOMIC_RELAXED);
	return NULL;
}

TEST(pipes_with_many_ends)
{
	pthread_t r[2], w[2];
	pid_t pid[2];

	shared_make();
	for (int i = 0; i < PIPES; i++)
		CHECK_EQ(pipe2(pipes[i], O_NONBLOCK), 0);
	for (int i = 0; i < 2; i++) {
		pid[i] = test_fork();
		if (pid[i] == 0) {
			for (int k = 0; k < PIPES; k++)
				close(pipes[k][i == 0]);
			(i ? pipe_writer : pipe_reader)((void *)(3l + i));
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++) {
		go(&w[i], pipe_writer, 10 + i);
		go(&r[i], pipe_reader, 20 + i);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(w[i], NULL);
	for (int i = 0; i < PIPES; i++)
		CHECK_EQ(close(pipes[i][1]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(r[i], NULL);
	for (int i = 0; i < 2; i++)
		CHECK_EXIT(pid[i], 0);
	CHECK(shared->count > 0);
	CHECK_EQ(shared->other, shared->count);
}

/* --- one table of descriptors ------------------------------------------------------------------------------------- */

static int quiet_pipe[2];

static void *descriptor_thread(void *arg)
{
	char c = (char)(long)arg;

	dice_seed((uint32_t)(long)arg);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		int fd = 200 + (int)dice(4);
		switch (dice(6)) {
		case 0:
			MAY_FAIL(dup2(quiet_pipe[dice(2)], fd), EBUSY);
			break;
		case 1:
			MAY_FAIL(close(fd), EBADF);
			break;
		case 2:
			MAY_FAIL(write(fd, &c, 1), EBADF, EAGAIN);
			break;
		case 3:
			MAY_FAIL(read(fd, &c, 1), EBADF, EAGAIN);
			break;
		case 4:
			MAY_FAIL(fcntl(fd, F_DUPFD_CLOEXEC, 204), EBADF, EMFILE);
			MAY_FAIL(close(204 + (int)dice(8)), EBADF);
			break;
		case 5: {
			struct pollfd p[4];
			for (int i = 0; i < 4; i++)
				p[i] = (struct pollfd){.fd = 200 + i, .events = POLLIN | POLLOUT};
			CHECK(poll(p, 4, (int)dice(2)) >= 0);
			break;
		}
		}
	}
	return NULL;
}

TEST(descriptors_of_many_threads)
{
	pthread_t t[4];

	CHECK_EQ(pipe2(quiet_pipe, O_NONBLOCK), 0);
	for (long i = 0; i < 4; i++)
		go(&t[i], descriptor_thread, 'a' + i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}
