/*
 * What every test file of lib/ needs. The C library's and cmocka's headers come first: lib/types.h defines short words
 * that theirs use as attribute names.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include <cmocka.h>

#include "lib/types.h"

/* One group per file; the number of failed tests. */
int list_tests(void);
int rbtree_tests(void);
int radix_tests(void);
int bitmap_tests(void);
int ring_tests(void);
int string_tests(void);
int printf_tests(void);
int hash_tests(void);
int utf8_tests(void);
int psf_tests(void);
int cpio_tests(void);
int gzip_tests(void);
int elf_tests(void);
int cmdline_tests(void);
int memmap_tests(void);
int allocator_tests(void);
int lineedit_tests(void);

/* tests/host/ */
int ntty_tests(void);
int screen_tests(void);
int keyboard_tests(void);
int devmisc_tests(void);

/* A repeatable stream of random numbers; test_random_seed() starts it. */
void test_random_seed(uint64_t seed);
uint64_t test_random(void);

/* 0 .. limit - 1 */
static inline uint64_t test_random_below(uint64_t limit)
{
	return test_random() % limit;
}

/* What a file holds, or what a shell command prints; malloc'd, NULL on failure. */
uint8_t *test_read_file(const char *path, size_t *len);
uint8_t *test_read_command(const char *command, size_t *len);
