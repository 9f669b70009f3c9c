/*
 * futex_waitv(2): sleeping on several words at once.
 *
 * One plain waiter a word, all of the same thread and with one common word to sleep on.  Whoever wakes any of them sets
 * that word; the sleeper then takes all off their buckets, and the first that had been claimed is the answer.  Others
 * that were claimed at the same time are lost to their wakers, as the manual says: the caller looks at its words.
 */
#include <asm/errno.h>
#include <linux/futex.h>

#include "mm/slab.h"
#include "proc/futex.h"
#include "proc/futex_internal.h"
#include "sched/wait.h"

/* Takes the first n off again. The index of the first that was woken, or -1. */
static int dequeue_all(struct futex_waiter *w, unsigned n)
{
	int first = -1;

	for (unsigned i = 0; i < n; i++)
		if (futex_dequeue(&w[i]) && first < 0)
			first = (int)i;
	return first;
}

/* All of them or none: the sleeper stands in every bucket, or what the call ends with. 0: sleep. */
static int enqueue_all(struct futex_waiter *w, const struct futex_waitv *words, unsigned n, int *woken)
{
	for (unsigned i = 0; i < n; i++) {
		int err = futex_enqueue(&w[i], uptr(words[i].uaddr), (uint32_t)words[i].val);
		if (err) {
			*woken = dequeue_all(w, i);
			return err;
		}
	}
	return 0;
}

static int keys_get(struct futex_waiter *w, const struct futex_waitv *words, unsigned n, uint32_t *wake_word,
		    unsigned *have)
{
	for (unsigned i = 0; i < n; i++) {
		const struct futex_waitv *v = &words[i];
		w[i] = (struct futex_waiter){.bitset = ~0u, .wake_word = wake_word};
		int err = futex_key_get(uptr(v->uaddr), !(v->flags & FUTEX_PRIVATE_FLAG), false, &w[i].key);
		if (err)
			return err;
		*have = i + 1;
	}
	return 0;
}

long futex_wait_any(const struct futex_waitv *words, unsigned n, uint64_t deadline_ns)
{
	uint32_t wake_word = 0;
	unsigned have = 0;
	int woken = -1;

	for (unsigned i = 0; i < n; i++)
		if (words[i].flags & ~(uint32_t)(FUTEX_32 | FUTEX_PRIVATE_FLAG) || !(words[i].flags & FUTEX_32) ||
		    words[i].__reserved || words[i].val >> 32)
			return -EINVAL;
	struct futex_waiter *w = kmalloc(n * sizeof(*w));
	if (!w)
		return -ENOMEM;
	int err = keys_get(w, words, n, &wake_word, &have);
	if (!err)
		err = enqueue_all(w, words, n, &woken);
	if (!err) {
		err = wait_word(&wake_word, WAIT_INTERRUPTIBLE, deadline_ns, "futex");
		woken = dequeue_all(w, n);
	}
	for (unsigned i = 0; i < have; i++)
		futex_key_put(&w[i].key);
	kfree(w);
	return woken >= 0 ? woken : err;
}
