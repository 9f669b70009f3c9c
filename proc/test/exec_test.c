/* The #! line, in all its spellings. */
#include <asm/errno.h>

#include "core/ktest.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/exec_internal.h"

/* The line lies in a full-size head, the rest of which is zero as after a short file. */
static int parse(const char *line, char head[EXEC_HEAD_BYTES], char **interp, char **arg)
{
	memset(head, 0, EXEC_HEAD_BYTES);
	size_t len = MIN(strlen(line), (size_t)EXEC_HEAD_BYTES);
	memcpy(head, line, len);
	return exec_script_parse(head, EXEC_HEAD_BYTES, interp, arg);
}

KTEST(proc, script_line_forms)
{
	char head[EXEC_HEAD_BYTES], *interp, *arg;

	KTEST_EQ(parse("#!/bin/sh\necho", head, &interp, &arg), 0);
	KTEST_TRUE(str_equal(interp, "/bin/sh") && arg == NULL);
	KTEST_EQ(parse("#! \t/bin/sh \t\n", head, &interp, &arg), 0);
	KTEST_TRUE(str_equal(interp, "/bin/sh") && arg == NULL);
	KTEST_EQ(parse("#!/usr/bin/env  a b  \n", head, &interp, &arg), 0);
	KTEST_TRUE(str_equal(interp, "/usr/bin/env") && str_equal(arg, "a b"));
	KTEST_EQ(parse("#!/bin/sh -x", head, &interp, &arg), 0); /* the file ends without a newline */
	KTEST_TRUE(str_equal(interp, "/bin/sh") && str_equal(arg, "-x"));
}

KTEST(proc, script_line_refused)
{
	char head[EXEC_HEAD_BYTES], *interp, *arg;

	KTEST_EQ(parse("#!\n/bin/sh", head, &interp, &arg), -ENOEXEC);
	KTEST_EQ(parse("#!   \n", head, &interp, &arg), -ENOEXEC);
	KTEST_EQ(parse("#!", head, &interp, &arg), -ENOEXEC);
	/* A path that does not end within what was read must not be cut short and run. */
	char line[EXEC_HEAD_BYTES + 1];
	memset(line, 'a', sizeof(line));
	memcpy(line, "#!/", 3);
	line[EXEC_HEAD_BYTES] = '\0';
	KTEST_EQ(parse(line, head, &interp, &arg), -ENOEXEC);
	/* An argument may be cut, as on Linux. */
	memcpy(line, "#!/bin/sh ", 10);
	KTEST_EQ(parse(line, head, &interp, &arg), 0);
	KTEST_TRUE(str_equal(interp, "/bin/sh") && strlen(arg) == EXEC_HEAD_BYTES - 11);
}

/* Strings packed over page borders, offsets and limits, from kernel memory. */
KTEST(proc, exec_limits_and_packing)
{
	struct exec_args a = {.limit = 16 * KIB};

	KTEST_EQ(exec_args_add_kernel(&a, "one"), 0);
	KTEST_EQ(exec_args_add_kernel(&a, ""), 0);
	char *big = kmalloc(6000);
	KTEST_TRUE(big != NULL);
	memset(big, 'x', 5999);
	big[5999] = '\0';
	int err = exec_args_add_kernel(&a, big);
	int second = exec_args_add_kernel(&a, big), third = exec_args_add_kernel(&a, big);
	kfree(big);
	uint64_t used_pages = a.page_count;
	bool in_place = str_equal(a.pages[0], "one") && a.pages[0][4] == '\0' && a.offsets[1] == 4 &&
		a.offsets[2] == 5 && a.offsets[3] == 6005;
	exec_args_free(&a);
	KTEST_EQ(err, 0);
	KTEST_EQ(second, 0);
	KTEST_EQ(third, -E2BIG);
	KTEST_TRUE(in_place);
	KTEST_TRUE(used_pages <= 5);
}
