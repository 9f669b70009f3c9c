/*
 * "#!" scripts (man 2 execve, "Interpreter scripts"): the first line names the program that is started instead, with
 * at most one argument.
 */
#include <asm/errno.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "proc/exec_internal.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

int exec_script_parse(char *head, size_t len, char **interp, char **arg)
{
	char *p = head + 2, *end = memchr(head, '\n', len);

	if (!end) {
		/* No end of line in what was read: a NUL ends it too; else the path, at least, must be there whole. */
		end = memchr(head, '\0', len);
		if (!end) {
			char *q = p;
			while (q < head + len && is_blank(*q))
				q++;
			while (q < head + len && !is_blank(*q))
				q++;
			if (q == head + len)
				return -ENOEXEC;
			end = head + len - 1;
		}
	}
	while (end > p && is_blank(end[-1]))
		end--;
	*end = '\0';
	while (is_blank(*p))
		p++;
	if (!*p)
		return -ENOEXEC;
	*interp = p;
	while (*p && !is_blank(*p))
		p++;
	*arg = NULL;
	if (*p) {
		*p++ = '\0';
		while (is_blank(*p))
			p++;
		if (*p)
			*arg = p;
	}
	return 0;
}

static int read_head(struct exec *e)
{
	memset(e->head, 0, sizeof(e->head));
	int64_t n = vfs_read_kernel(e->program.file, 0, e->head, sizeof(e->head));
	if (n < 0)
		return (int)n;
	e->head_len = (size_t)n;
	return 0;
}

static int prefix_push(struct exec *e, const char *s)
{
	char *copy = kstrdup(s);
	if (!copy)
		return -ENOMEM;
	e->prefix[--e->prefix_start] = copy;
	return 0;
}

static void drop_program(struct exec *e)
{
	vfs_exec_done(e->program.file);
	file_put(e->program.file);
	e->program.file = NULL;
}

int exec_open(struct exec *e, const struct path *base, const char *path, unsigned lookup_flags)
{
	int err = vfs_open_exec(&e->who, base, path, lookup_flags, &e->program.file);
	if (err)
		return err;
	e->prefix_start = EXEC_PREFIX_MAX;

	const char *script = e->filename;
	for (unsigned depth = 0;; depth++) {
		char *interp, *arg;
		err = read_head(e);
		if (err)
			return err;
		if (e->head_len < 2 || e->head[0] != '#' || e->head[1] != '!')
			return 0;
		if (depth == EXEC_SCRIPTS_MAX)
			return -ELOOP;
		/* A file that ends within its first line is followed by zeros here, and a NUL ends the line. */
		err = exec_script_parse(e->head, MIN(e->head_len + 1, sizeof(e->head)), &interp, &arg);
		if (err)
			return err;
		/* What the interpreter is told: its argument, and the script's name in place of argv[0]; a nested one
		 * keeps the name it was started by. */
		if (depth == 0)
			err = prefix_push(e, script);
		if (!err && arg)
			err = prefix_push(e, arg);
		if (!err)
			err = prefix_push(e, interp);
		if (err)
			return err;
		e->is_script = true;
		drop_program(e);
		err = vfs_open_exec(&e->who, NULL, e->prefix[e->prefix_start], LOOKUP_FOLLOW, &e->program.file);
		if (err)
			return err;
	}
}
