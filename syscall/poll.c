/*
 * poll, ppoll, select, pselect6: waiting for many files at once.
 *
 * Each file is asked once with a table that puts a waiter on the file's queues; a wake-up marks the call as triggered
 * and wakes its thread, which asks again, now without registering.  Waiters for a handful of queues lie in the call's
 * own frame; more are allocated.
 */
#include <asm/poll.h>
#include <linux/posix_types.h>
#include <linux/resource.h>
#include <linux/time.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "sched/clock.h"
#include "sched/poll.h"
#include "sched/sched.h"
#include "syscall/handlers.h"

struct poll_call;

struct poll_entry {
	struct waiter waiter;
	struct wait_queue *queue;
	struct poll_call *call;
	struct file *file; /* counted: the queue lives as long as the file */
};

#define ENTRIES_INLINE 6
#define ENTRIES_BLOCK 32

struct poll_block {
	struct poll_block *next;
	unsigned used;
	struct poll_entry entries[ENTRIES_BLOCK];
};

struct poll_call {
	struct poll_table table;
	struct thread *thread;
	struct file *file;  /* being asked */
	uint32_t triggered; /* the word that the call sleeps on */
	bool failed;
	unsigned inline_used;
	struct poll_entry inline_entries[ENTRIES_INLINE];
	struct poll_block *blocks;
};

static bool entry_wake(struct waiter *w, uint32_t key)
{
	struct poll_entry *e = container_of(w, struct poll_entry, waiter);

	(void)key; /* which events matter is decided when the file is asked again */
	atomic_store_release(&e->call->triggered, 1);
	sched_wake(e->call->thread, WAKE_NORMAL); /* it cannot go: entry_end() takes this queue's lock */
	return true;
}

static struct poll_entry *entry_new(struct poll_call *c)
{
	if (c->inline_used < ENTRIES_INLINE)
		return &c->inline_entries[c->inline_used++];
	if (!c->blocks || c->blocks->used == ENTRIES_BLOCK) {
		struct poll_block *b = kzalloc(sizeof(*b));
		if (!b)
			return NULL;
		b->next = c->blocks;
		c->blocks = b;
	}
	return &c->blocks->entries[c->blocks->used++];
}

static void queue_add(struct poll_table *t, struct wait_queue *q)
{
	struct poll_call *c = container_of(t, struct poll_call, table);
	struct poll_entry *e = entry_new(c);

	if (!e) {
		c->failed = true;
		return;
	}
	*e = (struct poll_entry){.waiter = {.wake = entry_wake}, .queue = q, .call = c, .file = c->file};
	file_get(c->file);
	waiter_add(q, &e->waiter);
}

static void entry_end(struct poll_entry *e)
{
	waiter_remove(e->queue, &e->waiter);
	file_put(e->file);
}

static void call_begin(struct poll_call *c)
{
	c->table.add = queue_add;
	c->thread = thread_current();
	c->triggered = 0;
	c->failed = false;
	c->inline_used = 0;
	c->blocks = NULL;
}

static void call_end(struct poll_call *c)
{
	for (unsigned i = 0; i < c->inline_used; i++)
		entry_end(&c->inline_entries[i]);
	while (c->blocks) {
		struct poll_block *b = c->blocks;
		for (unsigned i = 0; i < b->used; i++)
			entry_end(&b->entries[i]);
		c->blocks = b->next;
		kfree(b);
	}
}

static uint32_t ask(struct poll_call *c, struct file *f, bool register_too)
{
	c->file = f;
	return vfs_poll(f, register_too ? &c->table : NULL);
}

/*
 * Asks until somebody is ready, the deadline passes or a signal comes. scan counts the ready ones.
 */
static long poll_loop(struct poll_call *c, long (*scan)(struct poll_call *c, void *arg, bool register_too), void *arg,
		      uint64_t deadline_ns)
{
	long ready;
	int err = 0;

	call_begin(c);
	for (bool first = true;; first = false) {
		ready = scan(c, arg, first && deadline_ns != 0);
		if (ready || c->failed || err || deadline_ns == 0)
			break;
		err = wait_word(&c->triggered, WAIT_INTERRUPTIBLE, deadline_ns, "poll");
		WRITE_ONCE(c->triggered, 0);
		atomic_fence(); /* before the files are asked again: who triggers after that must not be overwritten */
	}
	call_end(c);
	if (ready == 0 && c->failed)
		return -ENOMEM;
	if (ready == 0 && err && err != -ETIMEDOUT)
		return -ERESTARTNOHAND;
	return ready;
}

/* --- poll --------------------------------------------------------------------------------------------------------- */

struct poll_list {
	struct pollfd *fds;
	unsigned count;
};

static long poll_scan(struct poll_call *c, void *arg, bool register_too)
{
	struct poll_list *l = arg;
	long ready = 0;

	for (unsigned i = 0; i < l->count; i++) {
		struct pollfd *p = &l->fds[i];
		uint32_t events = 0;
		if (p->fd >= 0) {
			FD_BORROW(r, p->fd);
			events = r.file ? ask(c, r.file, register_too && !ready) : POLLNVAL;
			events &= (uint16_t)p->events | POLLERR | POLLHUP | POLLNVAL;
		}
		p->revents = (short)events;
		ready += events != 0;
	}
	return ready;
}

static long poll_common(uptr_t user_fds, unsigned count, uint64_t deadline_ns)
{
	struct poll_call c;
	struct pollfd few[8];
	struct pollfd *many AUTO_KFREE = NULL;
	struct poll_list l = {.fds = few, .count = count};

	if (count > process_limit(RLIMIT_NOFILE))
		return -EINVAL;
	if (count > ARRAY_SIZE(few)) {
		many = kcalloc(count, sizeof(*many));
		if (!many)
			return -ENOMEM;
		l.fds = many;
	}
	if (copy_from_user(l.fds, user_fds, count * sizeof(*l.fds)) != 0)
		return -EFAULT;
	long n = poll_loop(&c, poll_scan, &l, deadline_ns);
	if (n < 0)
		return n;
	for (unsigned i = 0; i < count; i++) {
		uptr_t at = uptr_add(user_fds, i * sizeof(struct pollfd) + offsetof(struct pollfd, revents));
		if (copy_to_user(at, &l.fds[i].revents, sizeof(l.fds[i].revents)) != 0)
			return -EFAULT;
	}
	return n;
}

static uint64_t milliseconds_deadline(int ms)
{
	if (ms == 0)
		return 0;
	return ms < 0 ? WAIT_FOREVER : deadline_after(clock_monotonic_ns(), (uint64_t)ms * NSEC_PER_MSEC);
}

static long poll_restart(struct task *t)
{
	long n = poll_common(t->restart.user, (unsigned)t->restart.word[0], t->restart.deadline_ns);

	return n == -ERESTARTNOHAND ? -ERESTART_RESTARTBLOCK : n;
}

long sys_poll(const struct syscall_args *a)
{
	uint64_t deadline_ns = milliseconds_deadline(arg_int(a, 2));
	long n = poll_common(arg_uptr(a, 0), arg_uint(a, 1), deadline_ns);

	if (n != -ERESTARTNOHAND)
		return n;
	/* A stop and SIGCONT must not start the time-out anew. */
	struct task *t = task_current();
	t->restart = (struct task_restart){.fn = poll_restart,
					   .deadline_ns = deadline_ns,
					   .user = arg_uptr(a, 0),
					   .word = {arg_uint(a, 1)}};
	return -ERESTART_RESTARTBLOCK;
}

/* ppoll and pselect6 wait with another signal mask; it stays for the handler's sake until the handler's frame
 * is built. */
static int mask_for_wait(uptr_t p, uint64_t size, bool *begun)
{
	uint64_t mask;

	*begun = false;
	if (uptr_null(p))
		return 0;
	int err = sigset_arg(p, size, &mask);
	if (!err) {
		signal_mask_begin(mask);
		*begun = true;
	}
	return err;
}

/* Writes back the time that is left, as Linux's two calls do. */
static void remaining_to_user(uptr_t p, uint64_t deadline_ns, bool timeval)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;

	if (uptr_null(p))
		return;
	int err = timeval ? timeval_to_user(p, left_ns) : timespec_to_user(p, left_ns);
	(void)err; /* the result stands even where the time can't be written (man 2 select, BUGS) */
}

static int timespec_deadline(uptr_t p, uint64_t *deadline_ns)
{
	uint64_t ns;

	*deadline_ns = WAIT_FOREVER;
	if (uptr_null(p))
		return 0;
	int err = timespec_arg(p, &ns);
	if (!err)
		*deadline_ns = ns ? deadline_after(clock_monotonic_ns(), ns) : 0;
	return err;
}

long sys_ppoll(const struct syscall_args *a)
{
	uint64_t deadline_ns;
	bool masked;
	int err = timespec_deadline(arg_uptr(a, 2), &deadline_ns);

	if (!err)
		err = mask_for_wait(arg_uptr(a, 3), arg_u64(a, 4), &masked);
	if (err)
		return err;
	long n = poll_common(arg_uptr(a, 0), arg_uint(a, 1), deadline_ns);
	if (masked)
		signal_mask_end(n == -ERESTARTNOHAND);
	remaining_to_user(arg_uptr(a, 2), deadline_ns, false);
	return n;
}

/* --- select ------------------------------------------------------------------------------------------------------- */

enum { SET_READ, SET_WRITE, SET_EXCEPT, SETS };

static const uint32_t set_events[SETS] = {
	[SET_READ] = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
	[SET_WRITE] = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
	[SET_EXCEPT] = POLLPRI,
};

struct select_sets {
	unsigned count; /* of descriptors */
	uint64_t *want[SETS], *got[SETS];
	bool bad;
};

static long select_scan(struct poll_call *c, void *arg, bool register_too)
{
	struct select_sets *s = arg;
	long ready = 0;

	for (unsigned fd = 0; fd < s->count; fd++) {
		uint64_t bit = BIT(fd % 64);
		unsigned word = fd / 64;
		uint64_t wanted = (s->want[SET_READ][word] | s->want[SET_WRITE][word] | s->want[SET_EXCEPT][word]) &
			~(bit - 1);
		if (!wanted) {
			fd |= 63; /* nothing more in this word */
			continue;
		}
		if (!(wanted & bit))
			continue;
		FD_BORROW(r, (int)fd);
		if (!r.file) {
			s->bad = true;
			return 1;
		}
		uint32_t events = ask(c, r.file, register_too && !ready);
		for (unsigned i = 0; i < SETS; i++) {
			if (s->want[i][word] & bit && events & set_events[i]) {
				s->got[i][word] |= bit;
				ready++;
			}
		}
	}
	return ready;
}

static long select_common(int count, const uptr_t user[SETS], uint64_t deadline_ns)
{
	struct poll_call c;
	struct select_sets s = {0};
	uint64_t few[SETS * 2 * 2] = {0};

	if (count < 0)
		return -EINVAL;
	s.count = (unsigned)MIN((uint32_t)count, fdtable_capacity());
	size_t words = (s.count + 63) / 64, bytes = words * 8;
	uint64_t *many AUTO_KFREE = NULL;
	uint64_t *at = few;
	if (words > 2) {
		at = many = kcalloc(words, SETS * 2 * sizeof(uint64_t));
		if (!many)
			return -ENOMEM;
	}
	for (unsigned i = 0; i < SETS; i++) {
		s.want[i] = at + i * 2 * words;
		s.got[i] = s.want[i] + words;
		if (!uptr_null(user[i]) && copy_from_user(s.want[i], user[i], bytes) != 0)
			return -EFAULT;
		if (s.count % 64 && words)
			s.want[i][words - 1] &= BIT(s.count % 64) - 1;
	}
	long n = poll_loop(&c, select_scan, &s, deadline_ns);
	if (s.bad)
		return -EBADF;
	if (n < 0)
		return n;
	for (unsigned i = 0; i < SETS; i++)
		if (!uptr_null(user[i]) && copy_to_user(user[i], s.got[i], bytes) != 0)
			return -EFAULT;
	return n;
}

long sys_select(const struct syscall_args *a)
{
	const uptr_t user[SETS] = {arg_uptr(a, 1), arg_uptr(a, 2), arg_uptr(a, 3)};
	uptr_t timeout = arg_uptr(a, 4);
	uint64_t deadline_ns = WAIT_FOREVER;

	if (!uptr_null(timeout)) {
		struct __kernel_old_timeval tv;
		if (copy_from_user(&tv, timeout, sizeof(tv)) != 0)
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0)
			return -EINVAL;
		uint64_t ns;
		if (__builtin_mul_overflow((uint64_t)tv.tv_sec, NSEC_PER_SEC, &ns))
			ns = UINT64_MAX / 2;
		ns = deadline_after(ns, (uint64_t)tv.tv_usec * NSEC_PER_USEC);
		deadline_ns = ns ? deadline_after(clock_monotonic_ns(), ns) : 0;
	}
	long n = select_common(arg_int(a, 0), user, deadline_ns);
	remaining_to_user(timeout, deadline_ns, true);
	return n;
}

long sys_pselect6(const struct syscall_args *a)
{
	const uptr_t user[SETS] = {arg_uptr(a, 1), arg_uptr(a, 2), arg_uptr(a, 3)};
	uint64_t deadline_ns;
	bool masked;
	uint64_t mask_arg[2] =
		{0, 0}; /* pointer and size of the signal set (man 2 select, "C library/kernel differences") */

	int err = timespec_deadline(arg_uptr(a, 4), &deadline_ns);
	if (!err && !uptr_null(arg_uptr(a, 5)))
		err = copy_from_user(mask_arg, arg_uptr(a, 5), sizeof(mask_arg));
	if (!err)
		err = mask_for_wait(uptr(mask_arg[0]), mask_arg[1], &masked);
	if (err)
		return err;
	long n = select_common(arg_int(a, 0), user, deadline_ns);
	if (masked)
		signal_mask_end(n == -ERESTARTNOHAND);
	remaining_to_user(arg_uptr(a, 4), deadline_ns, false);
	return n;
}
