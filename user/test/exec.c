/* execve, execveat, scripts, the auxiliary vector, damaged programs (man 2 execve, man 3 getauxval, man 5 elf). */
#define TEST_REENTER(argc, argv) reenter(argc, argv)
static void reenter(int argc, char **argv);
#include "user/test/test.h"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

extern char **environ;

/* "exec --count": what a program started by a test here says about itself, as its exit status. */
static void reenter(int argc, char **argv)
{
	if (argc < 2 || strncmp(argv[1], "--", 2) != 0)
		return;
	if (strcmp(argv[1], "--count") == 0)
		_exit(argc);
	if (strcmp(argv[1], "--where") == 0) { /* 1: root's rights in a directory that somebody else chose */
		char go, where[200] = "";
		_exit(write(1, "", 1) != 1 || read(0, &go, 1) != 1 || !getcwd(where, sizeof(where)) ||
		      (geteuid() == 0 && strcmp(where, "/") == 0));
	}
	if (strcmp(argv[1], "--env") == 0) {
		int n = 0;
		while (environ[n])
			n++;
		_exit(n);
	}
	if (strcmp(argv[1], "--fds") == 0) {
		int open_fds = 0;
		for (int fd = 0; fd < 64; fd++)
			open_fds += fcntl(fd, F_GETFD) >= 0;
		_exit(open_fds);
	}
	if (strcmp(argv[1], "--signals") == 0) {
		struct sigaction act;
		sigset_t mask;
		sigaction(SIGUSR1, NULL, &act);
		int handled = act.sa_handler != SIG_DFL;
		sigaction(SIGUSR2, NULL, &act);
		int ignored = act.sa_handler == SIG_IGN;
		sigprocmask(SIG_BLOCK, NULL, &mask);
		_exit(handled * 4 + ignored * 2 + sigismember(&mask, SIGHUP));
	}
	if (strcmp(argv[1], "--auxv") == 0) {
		/* Every argument is "type"; the exit status is the first that is missing. */
		for (int i = 2; i < argc; i++) {
			errno = 0;
			getauxval(strtoul(argv[i], NULL, 0));
			if (errno)
				_exit(i);
		}
		_exit(0);
	}
	if (strcmp(argv[1], "--same-auxv") == 0) {
		const char *name = (const char *)getauxval(AT_EXECFN);
		const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
		int sum = 0;
		for (int i = 0; i < 16; i++)
			sum |= random[i];
		const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
		int loads = 0;
		for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++)
			loads += headers[i].p_type == PT_LOAD;
		if (getauxval(AT_PAGESZ) != 4096)
			_exit(1);
		if (getauxval(AT_UID) != getuid() || getauxval(AT_EGID) != getegid() || getauxval(AT_SECURE) != 0)
			_exit(2);
		if (!name || strcmp(name, argv[2]) != 0)
			_exit(3);
		if (sum == 0)
			_exit(4);
		if (loads == 0 || getauxval(AT_PHENT) != sizeof(Elf64_Phdr))
			_exit(5);
		if (getauxval(AT_CLKTCK) != 100)
			_exit(6);
		if (strcmp((const char *)getauxval(AT_PLATFORM), "x86_64") != 0)
			_exit(7);
		_exit(0);
	}
	if (strcmp(argv[1], "--write") == 0) {
		for (int i = 0; i < argc; i++)
			printf("[%s]", argv[i]);
		printf("\n");
		fflush(stdout);
		_exit(0);
	}
	if (strcmp(argv[1], "--sleep") == 0) {
		if (write(1, "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	_exit(99);
}

static char self[PATH_MAX];

static const char *self_path(void)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0)
		FAIL("readlink /proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	return self;
}

static int run(const char *path, char *const argv[], char *const envp[])
{
	int status;
	pid_t pid = test_fork();

	if (pid == 0) {
		execve(path, argv, envp);
		_exit(200 + (errno & 31));
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})
#define NONE ((char *[]){NULL})

TEST(arguments_and_environment)
{
	const char *me = self_path();

	CHECK_EQ(run(me, ARGS("x", "--count"), NONE), 2);
	CHECK_EQ(run(me, ARGS("x", "--count", "", "b"), NONE), 4);
	CHECK_EQ(run(me, ARGS("x", "--env"), ARGS("A=1", "B=2", "")), 3);
	CHECK_EQ(run(me, ARGS("x", "--env"), NULL), 0);
}

TEST(no_such_file)
{
	test_scratch();
	CHECK_ERR(execve("missing", ARGS("x"), NONE), ENOENT);
	CHECK_ERR(execve("", ARGS("x"), NONE), ENOENT);
	CHECK_ERR(execve("/", ARGS("x"), NONE), EACCES);
	CHECK_ERR(execve("/dev/null", ARGS("x"), NONE), EACCES);
	CHECK_ERR(execve("/proc/self/exe/x", ARGS("x"), NONE), ENOTDIR);
	CHECK_ERR(syscall(SYS_execve, 8, ARGS("x"), NONE), EFAULT);
	CHECK_ERR(syscall(SYS_execve, self_path(), 8, NONE), EFAULT);
	CHECK_ERR(execve(self_path(), ARGS("x", (char *)8), NONE), EFAULT);
	CHECK_ERR(execve(self_path(), ARGS("x"), ARGS((char *)8)), EFAULT);
}

TEST(not_executable)
{
	test_scratch();
	test_write_file("plain", "#!/bin/sh\nexit 0\n", 17);
	CHECK_ERR(execve("plain", ARGS("x"), NONE), EACCES);
}

TEST(bad_format)
{
	test_scratch();
	test_write_file("text", "echo hello\n", 11);
	CHECK_EQ(chmod("text", 0755), 0);
	CHECK_ERR(execve("text", ARGS("x"), NONE), ENOEXEC);
	test_write_file("text", "", 0);
	CHECK_ERR(execve("text", ARGS("x"), NONE), ENOEXEC);
	test_write_file("text", "\177ELF", 4);
	CHECK_ERR(execve("text", ARGS("x"), NONE), ENOEXEC);
}

TEST(argument_too_long)
{
	/* One string may be as long as 32 pages. */
	char *text = malloc(200000);

	CHECK(text);
	memset(text, 'a', 200000);
	text[131072 - 1] = '\0';
	CHECK_EQ(run(self_path(), ARGS("x", "--count", text), NONE), 3);
	text[131072 - 1] = 'a';
	text[131072] = '\0';
	CHECK_ERR(execve(self_path(), ARGS("x", "--count", text), NONE), E2BIG);
}

TEST(arguments_too_many)
{
	/* A quarter of the stack limit in all. */
	enum { N = 30 };
	char *text = malloc(100001), *argv[N + 3] = {"x", "--count"};

	CHECK(text);
	memset(text, 'a', 100000);
	text[100000] = '\0';
	for (int i = 2; i < N + 2; i++)
		argv[i] = text;
	CHECK_ERR(execve(self_path(), argv, NONE), E2BIG);
	argv[12] = NULL;
	CHECK_EQ(run(self_path(), argv, NONE), 12);
}

TEST(many_small_arguments)
{
	enum { N = 10000 };
	static char *argv[N + 1];

	for (int i = 0; i < N; i++)
		argv[i] = "ab";
	argv[1] = "--write";
	argv[N] = NULL;
	int out[2];
	CHECK_EQ(pipe(out), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		execve(self_path(), argv, NONE);
		_exit(1);
	}
	close(out[1]);
	size_t got = 0;
	char text[4096];
	ssize_t n;
	while ((n = read(out[0], text, sizeof(text))) > 0)
		got += (size_t)n;
	CHECK_EQ(got, (N - 1) * 4 + 9 + 1);
	CHECK_EXIT(pid, 0);
}

TEST(close_on_exec)
{
	/* Whatever was open before stays. */
	int before = run(self_path(), ARGS("x", "--fds"), NONE);
	int a = open("/dev/null", O_RDONLY), b = open("/dev/null", O_RDONLY | O_CLOEXEC);

	CHECK(a >= 0 && b >= 0);
	CHECK_EQ(run(self_path(), ARGS("x", "--fds"), NONE), before + 1);
	CHECK_EQ(fcntl(b, F_SETFD, 0), 0);
	CHECK_EQ(run(self_path(), ARGS("x", "--fds"), NONE), before + 2);
	CHECK_EQ(fcntl(a, F_SETFD, FD_CLOEXEC), 0);
	CHECK_EQ(run(self_path(), ARGS("x", "--fds"), NONE), before + 1);
}

static void handler(int signo)
{
	(void)signo;
}

TEST(signals_over_exec)
{
	sigset_t mask;

	signal(SIGUSR1, handler); /* back to the default action */
	signal(SIGUSR2, SIG_IGN); /* stays ignored */
	sigemptyset(&mask);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL); /* stays blocked */
	CHECK_EQ(run(self_path(), ARGS("x", "--signals"), NONE), 3);
}

TEST(auxiliary_vector)
{
	/* PHDR PHENT PHNUM PAGESZ BASE FLAGS ENTRY UID EUID GID EGID PLATFORM HWCAP CLKTCK SECURE RANDOM
	 * HWCAP2 EXECFN */
	CHECK_EQ(run(self_path(),
		     ARGS("x", "--auxv", "3", "4", "5", "6", "7", "8", "9", "11", "12", "13", "14", "15", "16", "17",
			  "23", "25", "26", "31"),
		     NONE),
		 0);
	CHECK_EQ(run(self_path(), ARGS("x", "--same-auxv", self), NONE), 0);
}

TEST(auxv_in_proc)
{
	unsigned long pair[64];
	int fd = open("/proc/self/auxv", O_RDONLY);

	CHECK(fd >= 0);
	ssize_t n = read(fd, pair, sizeof(pair));
	CHECK(n >= 32 && n % 16 == 0);
	for (ssize_t i = 0; i < n / 16; i++)
		if (pair[2 * i] == AT_PAGESZ)
			CHECK_EQ(pair[2 * i + 1], 4096);
	CHECK_EQ(pair[n / 8 - 2], AT_NULL);
}

static void script(const char *path, const char *first_line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (fd < 0 || dprintf(fd, "%s", first_line) < 0 || close(fd) != 0)
		FAIL("writing %s", path);
}

static void expect_output(const char *path, char *const argv[], const char *wanted)
{
	int out[2];
	char text[2048];
	ssize_t n, all = 0;

	CHECK_EQ(pipe(out), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		dup2(out[1], 1);
		close(out[0]);
		execve(path, argv, NONE);
		_exit(1);
	}
	close(out[1]);
	while ((n = read(out[0], text + all, sizeof(text) - 1 - (size_t)all)) > 0)
		all += n;
	text[all] = '\0';
	CHECK_EXIT(pid, 0);
	if (strcmp(text, wanted) != 0)
		FAIL("printed \"%s\" instead of \"%s\"", text, wanted);
}

TEST(scripts)
{
	char line[PATH_MAX + 64], wanted[PATH_MAX + 128];

	self_path();
	test_scratch();
	snprintf(line, sizeof(line), "#!%s --write\n", self);
	script("s", line);
	snprintf(wanted, sizeof(wanted), "[%s][--write][./s][one][two]\n", self);
	expect_output("./s", ARGS("name", "one", "two"), wanted);
	/* The rest of the line is one argument; blanks around it go. */
	snprintf(line, sizeof(line), "#! \t %s   --write a b \t \n", self);
	script("s", line);
	CHECK_EQ(run("./s", ARGS("name"), NONE), 99);
	/* No line end at the end of the file. */
	snprintf(line, sizeof(line), "#!%s --write", self);
	script("s", line);
	snprintf(wanted, sizeof(wanted), "[%s][--write][./s]\n", self);
	expect_output("./s", ARGS("name"), wanted);
	/* A script as interpreter. */
	snprintf(line, sizeof(line), "#!%s/s\n", test_home);
	script("t", line);
	snprintf(wanted, sizeof(wanted), "[%s][--write][%s/s][./t][x]\n", self, test_home);
	expect_output("./t", ARGS("name", "x"), wanted);
}

TEST(script_errors)
{
	test_scratch();
	script("s", "#!/no/such/interpreter\n");
	CHECK_ERR(execve("s", ARGS("s"), NONE), ENOENT);
	script("s", "#!\n");
	CHECK_ERR(execve("s", ARGS("s"), NONE), ENOEXEC);
	script("s", "#!   \n");
	CHECK_ERR(execve("s", ARGS("s"), NONE), ENOEXEC);
	script("s", "#!/tmp\n");
	CHECK_ERR(execve("s", ARGS("s"), NONE), EACCES);
	char line[PATH_MAX];
	snprintf(line, sizeof(line), "#!%s/loop\n", test_home);
	script("loop", line);
	CHECK_ERR(execve("loop", ARGS("s"), NONE), ELOOP);
}

TEST(busy_program)
{
	int ready[2];
	char c;

	self_path();
	test_scratch();
	/* A copy of ourselves. */
	int from = open(self, O_RDONLY), to = open("copy", O_RDWR | O_CREAT, 0755);
	struct stat st;
	CHECK(from >= 0 && to >= 0);
	CHECK_EQ(fstat(from, &st), 0);
	char *data = malloc((size_t)st.st_size);
	CHECK_EQ(read(from, data, (size_t)st.st_size), st.st_size);
	CHECK_EQ(write(to, data, (size_t)st.st_size), st.st_size);
	CHECK_ERR(execve("copy", ARGS("x", "--count"), NONE), ETXTBSY);
	close(to);
	CHECK_EQ(run("./copy", ARGS("x", "--count"), NONE), 2);
	CHECK_EQ(pipe(ready), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		dup2(ready[1], 1);
		execve("copy", ARGS("x", "--sleep"), NONE);
		_exit(1);
	}
	CHECK_EQ(read(ready[0], &c, 1), 1);
	CHECK_ERR(open("copy", O_WRONLY), ETXTBSY);
	CHECK_ERR(open("copy", O_RDONLY | O_TRUNC), ETXTBSY);
	CHECK_ERR(truncate("copy", 0), ETXTBSY);
	CHECK_EQ(unlink("copy"), 0);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

TEST(proc_self_exe_and_cmdline)
{
	char text[300];
	int out[2];

	CHECK_EQ(pipe(out), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		dup2(out[1], 1);
		execve(self_path(), ARGS("some name", "--sleep", "", "last"), NONE);
		_exit(1);
	}
	CHECK_EQ(read(out[0], text, 1), 1);
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	CHECK_EQ(test_read_file(path, text, sizeof(text)), 10 + 8 + 1 + 5);
	CHECK_EQ(memcmp(text, "some name\0--sleep\0\0last", 24), 0);
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	CHECK_EQ(test_read_file(path, text, sizeof(text)), 5);
	CHECK_EQ(strcmp(text, "exec\n"), 0);
	kill(pid, SIGKILL);
	CHECK_KILLED(pid, SIGKILL);
}

TEST(execveat_forms)
{
	int fd = open(self_path(), O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		syscall(SYS_execveat, fd, "", ARGS("x", "--count", "c"), NONE, AT_EMPTY_PATH);
		_exit(100);
	}
	CHECK_EXIT(pid, 3);
	CHECK_ERR(syscall(SYS_execveat, fd, "", ARGS("x"), NONE, 0), ENOENT);
	CHECK_ERR(syscall(SYS_execveat, 99, "x", ARGS("x"), NONE, 0), EBADF);
	CHECK_ERR(syscall(SYS_execveat, fd, "x", ARGS("x"), NONE, 0x10), EINVAL);
	CHECK_ERR(syscall(SYS_execveat, fd, "x", ARGS("x"), NONE, 0), ENOTDIR);
}

/* A whole program in a page: exits with status 42. */
struct tiny {
	Elf64_Ehdr header;
	Elf64_Phdr segment[3];
	unsigned char code[16];
};

static struct tiny tiny_program(void)
{
	static const unsigned char exit_42[] = {0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
	struct tiny t = {0};

	memcpy(t.header.e_ident, "\177ELF\2\1\1", 7);
	t.header.e_type = ET_EXEC;
	t.header.e_machine = EM_X86_64;
	t.header.e_version = 1;
	t.header.e_entry = 0x400000 + offsetof(struct tiny, code);
	t.header.e_phoff = offsetof(struct tiny, segment);
	t.header.e_ehsize = sizeof(Elf64_Ehdr);
	t.header.e_phentsize = sizeof(Elf64_Phdr);
	t.header.e_phnum = 1;
	t.segment[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				    .p_flags = PF_R | PF_X,
				    .p_vaddr = 0x400000,
				    .p_filesz = sizeof(t),
				    .p_memsz = sizeof(t),
				    .p_align = 4096};
	memcpy(t.code, exit_42, sizeof(exit_42));
	return t;
}

static int run_tiny(const struct tiny *t, size_t len)
{
	test_write_file("tiny", t, len);
	CHECK_EQ(chmod("tiny", 0755), 0);
	return run("./tiny", ARGS("tiny"), NONE);
}

#define REFUSED(e) (200 + ((e)&31))

TEST(tiny_elf)
{
	struct tiny t = tiny_program();

	test_scratch();
	CHECK_EQ(run_tiny(&t, sizeof(t)), 42);
}

TEST(damaged_elf)
{
	struct tiny t;

	test_scratch();
	t = tiny_program(), t.header.e_machine = EM_AARCH64;
	CHECK_EQ(run_tiny(&t, sizeof(t)), REFUSED(ENOEXEC));
	t = tiny_program(), t.header.e_type = ET_REL;
	CHECK_EQ(run_tiny(&t, sizeof(t)), REFUSED(ENOEXEC));
	t = tiny_program(), t.header.e_phentsize = 12;
	CHECK_EQ(run_tiny(&t, sizeof(t)), REFUSED(ENOEXEC));
	t = tiny_program(), t.header.e_phnum = 0;
	CHECK_EQ(run_tiny(&t, sizeof(t)), REFUSED(ENOEXEC));
	t = tiny_program(), t.header.e_phnum = 0xffff;
	CHECK_EQ(run_tiny(&t, sizeof(t)), REFUSED(ENOEXEC));
	t = tiny_program();
	CHECK_EQ(run_tiny(&t, 40), REFUSED(ENOEXEC));
}

/* None of these may do the machine any harm; a refusal or a death of the program are both right. */
TEST(hostile_elf)
{
	struct tiny t;
	int got;

	test_scratch();
	t = tiny_program(), t.segment[0].p_memsz = 1ull << 46; /* huge */
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	t = tiny_program(), t.segment[0].p_memsz = ~0ull; /* wraps around */
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	t = tiny_program(), t.segment[0].p_vaddr = 0x400123; /* out of step with its file offset */
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	t = tiny_program(), t.segment[0].p_vaddr = 0xffffffff80000000ull; /* the kernel's own */
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	/* larger in the file than in memory */
	t = tiny_program(), t.segment[0].p_filesz = 1 << 20, t.segment[0].p_memsz = 4096;
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	t = tiny_program(), t.segment[0].p_offset = 1ull << 40; /* beyond the file */
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	t = tiny_program(), t.header.e_phoff = 1ull << 62;
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	t = tiny_program(), t.header.e_entry = 0xffff800000000000ull;
	got = run_tiny(&t, sizeof(t));
	CHECK(got >= 200);
	t = tiny_program(), t.segment[0].p_flags = PF_R; /* code that may not be executed */
	got = run_tiny(&t, sizeof(t));
	CHECK_EQ(got, 1000 + SIGSEGV);
	/* Overlapping segments. */
	t = tiny_program(), t.header.e_phnum = 2;
	t.segment[1] = t.segment[0];
	t.segment[1].p_flags = PF_R | PF_W;
	got = run_tiny(&t, sizeof(t));
	CHECK(got == 1000 + SIGSEGV || got >= 200);
	/* An interpreter whose name has no end, and one that is not there. */
	t = tiny_program(), t.header.e_phnum = 2;
	t.segment[1] = (Elf64_Phdr){.p_type = PT_INTERP,
				    .p_offset = offsetof(struct tiny, code),
				    .p_filesz = 12,
				    .p_memsz = 12};
	CHECK_EQ(run_tiny(&t, sizeof(t)), REFUSED(ENOEXEC));
	memcpy(t.code, "/no/such/ld\0", 12);
	CHECK_EQ(run_tiny(&t, sizeof(t)), REFUSED(ENOENT));
}

/* Linux gives it no new rights, Ashlar a directory of its own. */
TEST(set_uid_program_shares_no_directory)
{
	char buffer[65536], c;
	int go[2], there[2], from = open("/proc/self/exe", O_RDONLY), to;
	ssize_t n;

	test_needs_root();
	test_scratch();
	CHECK_EQ(chmod(".", 0755), 0);
	to = open("suid", O_WRONLY | O_CREAT, 0755);
	CHECK(from >= 0 && to >= 0);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		CHECK_EQ(write(to, buffer, (size_t)n), n);
	CHECK_EQ(close(to), 0);
	CHECK_EQ(chmod("suid", 04755), 0);
	CHECK_EQ(pipe(go), 0);
	CHECK_EQ(pipe(there), 0);
	CHECK_EQ(setresuid(54321, 54321, 54321), 0);
	pid_t pid = (pid_t)syscall(SYS_clone, 0x200 /* CLONE_FS */ | SIGCHLD, 0, 0, 0, 0);
	CHECK(pid >= 0);
	if (pid == 0) {
		dup2(go[0], 0);
		dup2(there[1], 1);
		execl("./suid", "suid", "--where", NULL);
		_exit(99);
	}
	CHECK_EQ(read(there[0], &c, 1), 1);
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(write(go[1], "", 1), 1);
	CHECK_EXIT(pid, 0);
}
