/*
 * What the files of exec share: one struct exec lives from the call to the commit, and everything that can fail is in
 * it by then.
 */
#pragma once

#include "lib/elf.h"
#include "proc/exec.h"
#include "proc/internal.h"

#define EXEC_HEAD_BYTES 256 /* what is read to tell what a file is; also the longest #! line (man 2 execve) */
#define EXEC_SCRIPTS_MAX 4  /* nested interpreters */
#define EXEC_PREFIX_MAX (2 * EXEC_SCRIPTS_MAX + 1)
#define EXEC_STRING_MAX (128 * KIB) /* MAX_ARG_STRLEN */
#define EXEC_STACK_TOP USER_VA_END

/* One ELF file: the program or its interpreter. */
struct exec_elf {
	struct file *file; /* counted, writers kept out */
	struct elf_image image;
	void *phdrs;
	uint64_t bias; /* added to every address */
};

/* All argument and environment strings, one after the other as they will lie on the stack. */
struct exec_args {
	char **pages;
	uint32_t page_count, page_capacity;
	uint32_t *offsets; /* of each string */
	uint32_t count, capacity;
	uint64_t used, limit; /* bytes; limit includes the pointers */
	uint32_t argc, envc;
	uint64_t argv_bytes, envp_bytes; /* the execfn string follows them */
};

struct exec {
	struct actor who;
	const char *filename;
	char head[EXEC_HEAD_BYTES];
	size_t head_len;
	struct exec_elf program, interp;   /* interp.file NULL: none */
	char *prefix[EXEC_PREFIX_MAX + 1]; /* argv put before the caller's by scripts, owned; used from prefix_start */
	unsigned prefix_start;
	bool is_script;
	struct exec_args args;
	struct aspace *aspace;
	uint64_t entry, sp, bss_end, vdso_start;
	const struct cred *cred; /* NULL: unchanged */
	bool secure;
	struct exe *exe;
	struct sighand *sighand; /* NULL: the present one is not shared */
	struct fdtable *files;	 /* NULL: likewise */
	struct fs_context *fs;	 /* NULL: likewise, or it may stay shared */
};

/* exec_script.c: takes a "#!" line apart, in place. *arg NULL: none. -ENOEXEC. Pure. */
int exec_script_parse(char *head, size_t len, char **interp, char **arg) must_check;
/* Opens the program, going through scripts, until there is one that is none. */
int exec_open(struct exec *e, const struct path *base, const char *path, unsigned lookup_flags) must_check;

/* exec_args.c */
int exec_args_collect(struct exec *e, const struct exec_strings *argv, const struct exec_strings *envp) must_check;
int exec_args_add_kernel(struct exec_args *a, const char *s) must_check;
void exec_args_free(struct exec_args *a);

/* exec_load.c: reads and judges the headers; maps program and interpreter into e->aspace. */
int exec_load_headers(struct exec *e) must_check;
int exec_load_map(struct exec *e) must_check;

/* vdso.c: maps the vDSO and the page it reads; sets e->vdso_start. */
int exec_map_vdso(struct exec *e) must_check;

/* exec_stack.c: the new stack with strings, vectors and auxv; sets e->sp. */
int exec_stack_build(struct exec *e) must_check;
