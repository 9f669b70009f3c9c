/*
 * Splits a kernel command line as Linux does.
 *
 * Words are separated by blanks; double quotes keep blanks together, around a whole word ("a b=c") or a value (a="b
 * c"), and are removed in those two places; a word is `key` or `key=value`. The word `--` ends the kernel's own words:
 * all that follow it are arguments for init, passed on whole. The table of known words lives with their users.
 *
 *	struct cmdline_iter iter = CMDLINE_ITER(boot->cmdline);
 *	while ((got = cmdline_next(&iter, buf, sizeof(buf), &word)) != 0)
 *		…
 */
#pragma once

#include "lib/types.h"

#define CMDLINE_MAX 4096 /* enough for any line a boot loader passes, with its NUL */

struct cmdline_iter {
	const char *next;
	bool after_dashes;
};

#define CMDLINE_ITER(line) ((struct cmdline_iter){.next = (line)})

struct cmdline_word {
	const char *text;  /* the whole word without quotes, in the caller's buffer */
	size_t key_len;	   /* bytes of `text` before the first '=' (all of it if there is none) */
	const char *value; /* after the '=', inside `text`; NULL if there is no '=' */
	bool for_init;	   /* stood after `--` (then never split: value is NULL) */
};

/* 1: *word is the next word; 0: no more; -ENAMETOOLONG: the next word does not fit `buf` and was passed over. */
int must_check cmdline_next(struct cmdline_iter *iter, char *buf, size_t buf_len, struct cmdline_word *word);

/* Whether the word's key is `key`; '-' and '_' count as the same, as in Linux. Never true for init's words. */
bool cmdline_key_is(const struct cmdline_word *word, const char *key);

/* The last kernel word with this key (the last one wins): 1 found, 0 not there, -ENAMETOOLONG. */
int must_check cmdline_find(const char *line, const char *key, char *buf, size_t buf_len, struct cmdline_word *word);

/* A number as in `mem=512M`: C notation with an optional K, M, G, T, P or E (powers of 1024). 0, -EINVAL or -ERANGE. */
int must_check cmdline_u64(const char *value, uint64_t *out);
