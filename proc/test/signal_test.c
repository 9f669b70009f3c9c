/* Signal queues and the decisions of sending, on a process that never runs. */
#include <asm/errno.h>
#include <linux/resource.h>

#include "core/ktest.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/internal.h"

/* A process with one task whose thread is only a struct. */
struct fixture {
	struct process *p;
	struct task *t;
};

static struct fixture make(void)
{
	struct fixture x = {process_alloc(), task_alloc()};

	KTEST_TRUE(x.p && x.t);
	x.t->process = x.p;
	x.t->account = account_get(4242);
	KTEST_TRUE(x.t->account != NULL);
	KTEST_EQ(sighand_create(&x.p->sighand), 0);
	x.t->thread.state = THREAD_DEAD; /* nothing to wake */
	x.p->rlimits[RLIMIT_SIGPENDING].cur = 4;
	x.p->thread_count = x.p->live_count = 1;
	list_push_back(&x.p->threads, &x.t->thread_node);
	return x;
}

static void drop(struct fixture x)
{
	list_remove(&x.t->thread_node);
	sighand_put(x.p->sighand);
	task_free(x.t); /* drops the process as well */
}

static int take(struct fixture x, struct signal_info *info)
{
	SPIN_GUARD(&x.p->signal_lock);
	return signal_dequeue_locked(x.t, x.t->blocked, info);
}

static int send(struct fixture x, int sig, int code, uint64_t value)
{
	struct signal_info info = {.signo = sig, .code = code, .pid = 7, .value = value};

	return signal_send_process(x.p, sig, &info);
}

static void handle(struct fixture x, int sig)
{
	x.p->sighand->actions[sig - 1].handler = 0x400000;
}

KTEST(proc, standard_signal_keeps_the_first)
{
	struct fixture x = make();
	struct signal_info info;

	handle(x, SIGUSR1);
	KTEST_EQ(send(x, SIGUSR1, SI_QUEUE, 1), 0);
	KTEST_EQ(send(x, SIGUSR1, SI_QUEUE, 2), 0);
	KTEST_EQ(take(x, &info), SIGUSR1);
	KTEST_EQ(info.value, 1);
	KTEST_EQ(take(x, &info), 0);
	drop(x);
}

KTEST(proc, realtime_signals_queue_in_order)
{
	struct fixture x = make();
	struct signal_info info;

	handle(x, 34);
	handle(x, 35);
	KTEST_EQ(send(x, 35, SI_QUEUE, 3), 0);
	KTEST_EQ(send(x, 34, SI_QUEUE, 1), 0);
	KTEST_EQ(send(x, 34, SI_QUEUE, 2), 0);
	KTEST_EQ(take(x, &info), 34);
	KTEST_EQ(info.value, 1);
	KTEST_EQ(take(x, &info), 34);
	KTEST_EQ(info.value, 2);
	KTEST_EQ(take(x, &info), 35);
	KTEST_EQ(take(x, &info), 0);
	drop(x);
}

KTEST(proc, realtime_queue_is_limited)
{
	struct fixture x = make();
	struct signal_info info;

	handle(x, 34);
	for (int i = 0; i < 4; i++)
		KTEST_EQ(send(x, 34, SI_QUEUE, (uint64_t)i), 0);
	KTEST_EQ(send(x, 34, SI_QUEUE, 9), -EAGAIN);
	KTEST_EQ(x.t->account->signals, 4);
	for (int i = 0; i < 4; i++) {
		KTEST_EQ(take(x, &info), 34);
		KTEST_EQ(info.value, i);
	}
	KTEST_EQ(take(x, &info), 0);
	KTEST_EQ(x.t->account->signals, 0);
	drop(x);
}

KTEST(proc, faults_come_before_lower_numbers)
{
	struct fixture x = make();
	struct signal_info info;

	handle(x, SIGHUP);
	handle(x, SIGSEGV);
	KTEST_EQ(send(x, SIGHUP, SI_USER, 0), 0);
	KTEST_EQ(send(x, SIGSEGV, SI_USER, 0), 0);
	KTEST_EQ(take(x, &info), SIGSEGV);
	KTEST_EQ(take(x, &info), SIGHUP);
	drop(x);
}

KTEST(proc, ignored_signals_vanish_unless_blocked)
{
	struct fixture x = make();
	struct signal_info info;

	KTEST_EQ(send(x, SIGCHLD, SI_USER, 0), 0);
	KTEST_EQ(take(x, &info), 0);
	x.t->blocked = SIGNAL_BIT(SIGCHLD);
	KTEST_EQ(send(x, SIGCHLD, SI_USER, 0), 0);
	KTEST_EQ(take(x, &info), 0);
	x.t->blocked = 0;
	KTEST_EQ(take(x, &info), SIGCHLD);
	drop(x);
}

KTEST(proc, stop_and_continue_cancel_each_other)
{
	struct fixture x = make();
	struct signal_info info;

	handle(x, SIGCONT);
	KTEST_EQ(send(x, SIGTSTP, SI_USER, 0), 0);
	KTEST_EQ(send(x, SIGCONT, SI_USER, 0), 0);
	KTEST_EQ(take(x, &info), SIGCONT);
	KTEST_EQ(take(x, &info), 0);
	KTEST_EQ(send(x, SIGCONT, SI_USER, 0), 0);
	KTEST_EQ(send(x, SIGTSTP, SI_USER, 0), 0);
	KTEST_EQ(take(x, &info), SIGTSTP);
	KTEST_EQ(take(x, &info), 0);
	drop(x);
}

KTEST(proc, fatal_signal_ends_the_group_at_once)
{
	struct fixture x = make();

	KTEST_EQ(send(x, SIGTERM, SI_USER, 0), 0);
	KTEST_TRUE(x.p->group_exiting);
	KTEST_EQ(x.p->exit_status, SIGTERM);
	KTEST_TRUE(thread_has_work(&x.t->thread, WORK_KILL));
	KTEST_EQ(send(x, SIGKILL, SI_USER, 0), 0); /* too late to change the status */
	KTEST_EQ(x.p->exit_status, SIGTERM);
	drop(x);
}

KTEST(proc, pid1_survives_what_it_has_no_handler_for)
{
	struct fixture x = make();
	struct signal_info info;

	x.p->unkillable = true;
	KTEST_EQ(send(x, SIGKILL, SI_USER, 0), 0);
	KTEST_EQ(send(x, SIGTERM, SI_USER, 0), 0);
	KTEST_TRUE(!x.p->group_exiting);
	KTEST_EQ(take(x, &info), 0);
	handle(x, SIGTERM);
	KTEST_EQ(send(x, SIGTERM, SI_USER, 0), 0);
	KTEST_EQ(take(x, &info), SIGTERM);
	drop(x);
}

KTEST(proc, siginfo_survives_the_round_trip)
{
	const struct signal_info cases[] = {
		{.signo = SIGUSR1, .code = SI_QUEUE, .pid = 12, .uid = 34, .value = 0x123456789abcdefull},
		{.signo = SIGCHLD,
		 .code = CLD_EXITED,
		 .child_pid = 5,
		 .child_uid = 6,
		 .child_status = 7,
		 .child_utime = 8,
		 .child_stime = 9},
		{.signo = SIGSEGV, .code = SEGV_MAPERR, .addr = 0xdeadbeef000ull},
	};
	uint8_t image[128];
	struct signal_info back;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		signal_info_to_user(&cases[i], image);
		signal_info_from_user(image, cases[i].signo, &back);
		KTEST_EQ(back.code, cases[i].code);
		KTEST_EQ(back.pid, cases[i].pid);
		KTEST_EQ(back.value, cases[i].value);
		KTEST_EQ(back.child_stime, cases[i].child_stime);
	}
}

KTEST(proc, signals_have_names)
{
	KTEST_TRUE(str_equal(signal_name(SIGSEGV), "SIGSEGV"));
	KTEST_TRUE(str_equal(signal_name(SIGSYS), "SIGSYS"));
	KTEST_TRUE(signal_name(0) && signal_name(64) && signal_name(1000));
}
