/*
 * The event trace: theory.
 *
 * Each CPU has a ring of slots that only it writes, so recording shares no cache line with another CPU and takes no
 * lock: an event may be recorded anywhere, also in the scheduler and in an NMI.  Interrupts are off while a slot is
 * written, which keeps the thread on its CPU and the ring in order of time; only an NMI can come between, and it gets a
 * slot of its own because the number is taken by one atomic add.  A slot is published by storing its number + 1, and
 * unpublished before it is written anew; a reader, on any CPU, that meets a slot in the middle of a change, or changed
 * while it was copied, passes over it.
 *
 * Order between CPUs is that of time_ns, which is one clock for all.
 *
 * Off by default: each place costs one compare then, and the rings do not exist.  They are made by the first start and
 * never freed, since a CPU that found trace_on set may write at any time after it was cleared.  The monitor switches
 * tracing off while it prints, or the printing would be all there is to see; a reader of /proc does that itself.
 *
 * Rejected: one ring for all CPUs, whose counter would be the busiest line of the machine and make tracing change what
 * it shows; a file in the format of somebody's viewer made here: tools/trace does that, outside.
 */
#include "core/trace.h"

#include <arch/cpu.h>
#include <asm/errno.h>

#include "core/trace_internal.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "proc/process.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "sync/atomic.h"

bool trace_on;
uint32_t trace_slots;
struct trace_ring trace_rings[CPUS_MAX];

/* A program's thread has a number; a kernel thread is told from others by where it lies. */
static int32_t number_of(const struct thread *t)
{
	if (t->user)
		return container_of(t, const struct task, thread)->tid;
	return -1 - (int32_t)((uint64_t)t >> 6 & 0x3fffffff);
}

/* Interrupts off. Returns the slot, which is the caller's until it publishes it with *number. */
static struct trace_slot *slot_begin(enum trace_kind kind, uint64_t *number)
{
	struct trace_ring *ring = &trace_rings[this_cpu()->id];
	const struct thread *t = thread_current();

	*number = atomic_fetch_add(&ring->next, 1);
	struct trace_slot *s = &ring->slots[*number & (trace_slots - 1)];

	atomic_store_relaxed(&s->published, 0);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* the 0 is seen before anything of the new event is */
	s->time_ns = clock_monotonic_ns();
	memcpy(s->thread, t ? t->name : "boot", t ? sizeof(s->thread) : 5);
	s->tid = t ? number_of(t) : 0;
	s->kind = (uint8_t)kind;
	return s;
}

static void slot_end(struct trace_slot *s, uint64_t number)
{
	atomic_store_release(&s->published, number + 1);
}

void trace_record(enum trace_kind kind, uint64_t a, uint64_t b)
{
	irqflags_t f = irq_save();
	uint64_t number;
	struct trace_slot *s = slot_begin(kind, &number);

	s->words[0] = a;
	s->words[1] = b;
	slot_end(s, number);
	irq_restore(f);
}

void trace_record_thread(enum trace_kind kind, const struct thread *of, uint32_t state)
{
	irqflags_t f = irq_save();
	uint64_t number;
	struct trace_slot *s = slot_begin(kind, &number);

	memcpy(s->words, of->name, sizeof(s->words));
	s->other_tid = number_of(of);
	s->state = (uint8_t)state;
	slot_end(s, number);
	irq_restore(f);
}

bool trace_read(unsigned cpu, uint64_t number, struct trace_slot *out)
{
	const struct trace_slot *s = &trace_rings[cpu].slots[number & (trace_slots - 1)];

	if (atomic_load_acquire(&s->published) != number + 1)
		return false;
	*out = *s;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return atomic_load_relaxed(&s->published) == number + 1;
}

uint64_t trace_range(unsigned cpu, uint64_t *end)
{
	*end = READ_ONCE(trace_slots) ? atomic_load_acquire(&trace_rings[cpu].next) : 0;
	return *end - MIN(*end, (uint64_t)trace_slots);
}

int trace_start(uint32_t events_per_cpu)
{
	static struct mutex lock = MUTEX_INIT(lock, LOCK_PROC_TEXT, "trace");
	uint32_t slots = 64;
	int err = 0;

	while (slots < MIN(events_per_cpu, TRACE_EVENTS_MAX))
		slots *= 2;
	mutex_lock(&lock);
	CPUS_FOR_EACH(i) {
		if (trace_slots || err)
			break;
		/* what an earlier try that failed has left is of another size */
		kmap_free(trace_rings[i].slots);
		trace_rings[i].slots = kmap_alloc(slots * sizeof(struct trace_slot));
		err = trace_rings[i].slots ? 0 : -ENOMEM;
	}
	if (!err && !trace_slots)
		WRITE_ONCE(trace_slots, slots);
	if (!err)
		atomic_store_release(&trace_on, true);
	mutex_unlock(&lock);
	return err;
}

void trace_stop(void)
{
	WRITE_ONCE(trace_on, false);
}
