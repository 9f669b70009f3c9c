/* Installing handlers, and two that note what came: for the programs that test signals. */
#pragma once
#include "user/test/test.h"

static volatile sig_atomic_t got, depth, deepest;
static volatile siginfo_t last_info;

__attribute__((unused)) static void count(int signo)
{
	(void)signo;
	got++;
}

__attribute__((unused)) static void record(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	last_info = *info;
	got++;
}

__attribute__((unused)) static void install(int signo, void (*handler)(int), int flags)
{
	struct sigaction act = {.sa_handler = handler, .sa_flags = flags};

	CHECK_EQ(sigaction(signo, &act, NULL), 0);
}

__attribute__((unused)) static void install_info(int signo, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction act = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

	CHECK_EQ(sigaction(signo, &act, NULL), 0);
}

__attribute__((unused)) static void block(int how, int signo)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	CHECK_EQ(sigprocmask(how, &set, NULL), 0);
}
