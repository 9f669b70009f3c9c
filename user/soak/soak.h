/*
 * What the torture run consists of: its actions (actions.c), and what they report to the run (soak.c).
 */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdatomic.h>
#include <stdint.h>

#define PAGE 4096
#define WORKERS_MAX 64
#define ACTIONS_MAX 24

/* One for all workers. */
struct shared {
	_Atomic uint64_t counts[ACTIONS_MAX];
	_Atomic uint64_t steps[WORKERS_MAX];
	_Atomic int doing[WORKERS_MAX], released[WORKERS_MAX];
	_Atomic unsigned failures;
	_Atomic int end;
};

struct action {
	const char *name;
	void (*run)(void);
};

extern struct shared *shared;
extern const char *self; /* the name of the program's file: `self exit N` ends with N */
extern unsigned cpus;
extern unsigned worker; /* which one this process is */

extern const struct action actions[];
extern const unsigned action_count;

uint64_t now_ns(void);
/* Starts the worker's own series of numbers. */
void random_start(uint64_t seed);
/* 0 … limit - 1.  The worker's first thread only. */
unsigned random_below(unsigned limit);
/* Counts and prints a failure. */
void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define EXPECT(cond, ...) ((cond) ? 1 : (fail(__VA_ARGS__), 0))
