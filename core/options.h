/*
 * The kernel command line, taken apart once.  One table of known words in options.c; unknown words are reported on the
 * console and, as on Linux, handed to init (key=value as environment, others as arguments).
 */
#pragma once

#include "lib/types.h"

#define OPTIONS_INIT_ARGS_MAX 32

struct options {
	const char *init;   /* init= ; NULL: the usual list */
	const char *rdinit; /* rdinit= ; default "/init" */
	const char *root, *rootfstype, *rootflags;
	bool read_only;		 /* ro / rw */
	const char *consoles[8]; /* console=, last one is /dev/console */
	unsigned console_count;
	int panic_timeout;		    /* panic= : 0 halt, <0 at once, >0 seconds then reset */
	uint64_t mem_limit;		    /* mem= ; 0: all */
	unsigned cpus_max;		    /* maxcpus=, nosmp */
	const char *ktest;		    /* ktest= : filter of in-kernel tests */
	const char *ktest_panic;	    /* ktest-panic= : which way to panic; test image only */
	unsigned video_width, video_height; /* video= : size of the framebuffer in pixels; 0: as the machine starts */
	const char *keymap;
	bool alloc_record;			      /* allocrecord: record what is allocated; debug builds only */
	const char *clocksource;		      /* clocksource=tsc|hpet|acpi_pm|pit; NULL: the best */
	const char *clockevent;			      /* clockevent=tsc-deadline|lapic|hpet|pit; NULL: the best */
	bool tsc_unstable;			      /* tsc=unstable */
	bool monitor;				      /* the kernel's monitor instead of init */
	const char *init_args[OPTIONS_INIT_ARGS_MAX]; /* words init gets as arguments, NULL-terminated by count */
	unsigned init_arg_count;
	const char *init_env[OPTIONS_INIT_ARGS_MAX];
	unsigned init_env_count;
};

extern struct options options; /* immutable after options_parse() */

/* The i-th word that is Ashlar's own, and what it means; NULL past the last. */
const char *options_own_word(unsigned i, const char **meaning);
/* Parses boot_info.cmdline. Keeps pointers into a private copy. Logs each word it does not know. */
void options_parse(const char *cmdline);
