/*
 * "Nothing that was woken is left unpolled while the executor sleeps", in every interleaving.
 *
 * First a model of the whole path (sched/executor.c, lib/ready_queue.h) on a machine with store buffers: all states
 * that two wakers of one task and the executor can reach.  Each step of the protocol is then broken in turn, and the
 * model must find a run that loses a wake-up: so it looks at what it claims to look at.  tools/model/ready_queue.pml
 * has the same in Promela.
 *
 * Then the code itself: lib/ready_queue.h is compiled with every atomic access as a place where another context may go
 * on, and all schedules up to a number of switches are run.
 */
#include "lib/test/test.h"

#include <ucontext.h>

/* ---- the model ---- */

enum variant {
	AS_BUILT,
	CLEAR_AFTER_POLL,	/* QUEUED is cleared after the poll, not before */
	NO_SECOND_LOOK,		/* the executor goes to sleep without looking once more (no C2) */
	LOOK_BEFORE_ANNOUNCING, /* C2 before C1 */
	ANNOUNCE_BY_STORE,	/* C1 is a plain store, which may wait in the store buffer */
	STATE_AFTER_ANNOUNCING, /* the thread's state is set after C1 and C2 */
	WAKER_DOES_NOT_LOOK,	/* no P2 */
	EVENT_AFTER_QUEUED,	/* the waker makes its condition true after async_wake() */
	/* only where the executor idles in place */
	NO_KICK,       /* no interrupt is sent to the CPU that halts */
	HALT_WITH_GAP, /* interrupts are on before the halt: one may come in between */
	VARIANTS,
};

static const char *const variant_names[VARIANTS] = {
	"as built",
	"QUEUED cleared after the poll",
	"no second look",
	"look before announcing",
	"announced by a plain store",
	"state after announcing",
	"waker does not look",
	"event after wake-up",
	"no interrupt for who halts",
	"interrupts on before the halt",
};

/* Memory, one bit each. KICK: an interrupt is pending for the executor's CPU. */
enum { EVENT0, EVENT1, QUEUED, ON_STACK, ASLEEP, THREAD_SLEEPS, IS_IDLE, KICK, CELLS };
_Static_assert(CELLS <= 8, "they fit");

/* sched_sleep_idling(): nothing else is runnable, so the executor's thread halts the CPU. Else it is switched away
 * from. */
static bool in_place;
enum { WAKERS = 2, EXECUTOR = WAKERS, PROCESSES, BUFFER = 2 };

struct store {
	uint8_t cell, value;
};

struct state {
	uint8_t memory;
	uint8_t seen;		  /* events a poll has seen: executor's local */
	uint8_t at[PROCESSES];	  /* program counters */
	uint8_t waits[PROCESSES]; /* stores in its buffer */
	struct store buffer[PROCESSES][BUFFER];
};

static int load(const struct state *s, unsigned p, unsigned cell)
{
	for (unsigned i = s->waits[p]; i > 0; i--) /* a CPU sees its own stores at once */
		if (s->buffer[p][i - 1].cell == cell)
			return s->buffer[p][i - 1].value;
	return s->memory >> cell & 1;
}

static void set(struct state *s, unsigned cell, unsigned value)
{
	s->memory = (uint8_t)((s->memory & ~(1u << cell)) | value << cell);
}

static void drain_one(struct state *s, unsigned p)
{
	set(s, s->buffer[p][0].cell, s->buffer[p][0].value);
	memmove(s->buffer[p], s->buffer[p] + 1, sizeof(s->buffer[p]) - sizeof(s->buffer[p][0]));
	s->buffer[p][BUFFER - 1] = (struct store){0};
	s->waits[p]--;
}

static void store(struct state *s, unsigned p, unsigned cell, unsigned value)
{
	s->buffer[p][s->waits[p]++] = (struct store){(uint8_t)cell, (uint8_t)value};
}

/* One step of a waker; false: it cannot go on. A read-modify-write is only called with the buffer empty. */
static bool waker_step(struct state *s, unsigned p, enum variant v)
{
	bool late = v == EVENT_AFTER_QUEUED;
	if (s->waits[p] > 0 && s->at[p] != 0) /* all after the first step are read-modify-writes, or loads behind one */
		return false;
	switch (s->at[p]) {
	case 0: /* the condition becomes true */
		if (!late)
			store(s, p, EVENT0 + p, 1);
		s->at[p] = 1;
		return true;
	case 1: /* fetch_or(state, QUEUED) */
		s->at[p] = load(s, p, QUEUED) ? 5 : 2;
		set(s, QUEUED, 1);
		return true;
	case 2: /* P1 */
		set(s, ON_STACK, 1);
		s->at[p] = v == WAKER_DOES_NOT_LOOK ? 5 : 3;
		return true;
	case 3: /* P2, and the exchange */
		s->at[p] = load(s, p, ASLEEP) ? 4 : 5;
		set(s, ASLEEP, 0);
		return true;
	case 4: /* sched_wake: under the run queue's lock */
		set(s, THREAD_SLEEPS, 0);
		s->at[p] = load(s, p, IS_IDLE) && v != NO_KICK ? 7 : 5;
		set(s, IS_IDLE, 0);
		return true;
	case 7:
		set(s, KICK, 1);
		s->at[p] = 5;
		return true;
	case 5:
		if (late)
			set(s, EVENT0 + p, 1);
		s->at[p] = 6;
		return true;
	default:
		return false;
	}
}

static bool executor_step(struct state *s, enum variant v)
{
	const unsigned p = EXECUTOR;
	bool rmw_ready = s->waits[p] == 0;
	if (s->at[p] < 7) /* interrupts are on: nothing stays pending */
		set(s, KICK, 0);
	switch (s->at[p]) {
	case 0: /* ready_get: a look and an exchange */
		if (load(s, p, ON_STACK) && !rmw_ready)
			return false;
		s->at[p] = load(s, p, ON_STACK) ? 1 : 4;
		if (s->at[p] == 1)
			set(s, ON_STACK, 0);
		return true;
	case 1: /* fetch_sub(state, QUEUED): it is set */
		if (!rmw_ready)
			return false;
		if (v != CLEAR_AFTER_POLL)
			set(s, QUEUED, 0);
		s->at[p] = 2;
		return true;
	case 2: /* the poll */
		s->seen |= (uint8_t)(load(s, p, EVENT0) | load(s, p, EVENT1) << 1);
		s->at[p] = 3;
		return true;
	case 3:
		if (!rmw_ready)
			return false;
		if (v == CLEAR_AFTER_POLL)
			set(s, QUEUED, 0);
		s->at[p] = 0;
		return true;
	case 4: /* the thread's state */
		if (s->waits[p] == BUFFER)
			return false;
		if (v != STATE_AFTER_ANNOUNCING)
			store(s, p, THREAD_SLEEPS, 1);
		s->at[p] = v == LOOK_BEFORE_ANNOUNCING ? 6 : 5;
		return true;
	case 5: /* C1 */
		if (v == ANNOUNCE_BY_STORE) {
			if (s->waits[p] == BUFFER)
				return false;
			store(s, p, ASLEEP, 1);
		} else {
			if (!rmw_ready)
				return false;
			set(s, ASLEEP, 1);
		}
		s->at[p] = v == LOOK_BEFORE_ANNOUNCING || v == NO_SECOND_LOOK ? 7 : 6;
		return true;
	case 6: /* C2 */
		s->at[p] = load(s, p, ON_STACK) ? 9 : v == LOOK_BEFORE_ANNOUNCING ? 5 : 7;
		return true;
	case 7: /* interrupts off; the run queue's lock, so all stores are out */
		if (!rmw_ready)
			return false;
		if (v == STATE_AFTER_ANNOUNCING)
			set(s, THREAD_SLEEPS, 1);
		if (in_place && load(s, p, THREAD_SLEEPS))
			set(s, IS_IDLE, 1);
		s->at[p] = 8;
		return true;
	case 8: /* asleep; if in place, a look with interrupts off */
		if (!load(s, p, THREAD_SLEEPS))
			s->at[p] = 9;
		else if (in_place)
			s->at[p] = v == HALT_WITH_GAP ? 11 : 10;
		else
			return false;
		return true;
	case 10: /* halted, until an interrupt */
		if (!load(s, p, KICK))
			return false;
		set(s, KICK, 0);
		s->at[p] = 8;
		return true;
	case 11: /* the gap */
		set(s, KICK, 0);
		s->at[p] = 10;
		return true;
	default: /* awake: RUNNABLE, ready_woken */
		if (s->waits[p] > 0)
			return false;
		store(s, p, THREAD_SLEEPS, 0);
		store(s, p, ASLEEP, 0);
		s->at[p] = 0;
		return true;
	}
}

enum { STATES_MAX = 1 << 18, TABLE = 1 << 20 };

static struct state *states;
static uint32_t *table; /* index + 1 of the state there */
static uint32_t state_count;

static void reach(const struct state *s)
{
	uint64_t hash = 14695981039346656037ull;
	for (size_t i = 0; i < sizeof(*s); i++)
		hash = (hash ^ ((const uint8_t *)s)[i]) * 1099511628211ull;
	uint32_t slot = (uint32_t)(hash >> 20) % TABLE;
	for (; table[slot]; slot = (slot + 1) % TABLE)
		if (memcmp(&states[table[slot] - 1], s, sizeof(*s)) == 0)
			return;
	assert_true(state_count < STATES_MAX);
	states[state_count] = *s;
	table[slot] = ++state_count;
}

/* How many states are ends in which something was woken and not polled. */
static unsigned explore(enum variant v)
{
	unsigned lost = 0;
	states = calloc(STATES_MAX, sizeof(*states));
	table = calloc(TABLE, sizeof(*table));
	state_count = 0;
	struct state start = {0};
	reach(&start);
	for (uint32_t i = 0; i < state_count; i++) {
		bool moved = false;
		for (unsigned p = 0; p < PROCESSES; p++) {
			struct state next = states[i];
			if (next.waits[p] > 0) { /* the buffer drains whenever it likes */
				drain_one(&next, p);
				reach(&next);
				moved = true;
				next = states[i];
			}
			if (p == EXECUTOR ? executor_step(&next, v) : waker_step(&next, p, v)) {
				reach(&next);
				moved = true;
			}
		}
		lost += !moved && states[i].seen != 3;
	}
	free(states);
	free(table);
	return lost;
}

static void test_model(void **state maybe_unused)
{
	for (unsigned i = 0; i < 2 * VARIANTS; i++) {
		enum variant v = (enum variant)(i % VARIANTS);
		in_place = i >= VARIANTS;
		if (!in_place && (v == NO_KICK || v == HALT_WITH_GAP))
			continue;
		unsigned lost = explore(v);
		printf("# %-30s %-13s %6u states, %u of them lose a wake-up\n", variant_names[v],
		       in_place ? "idles in place" : "is switched", state_count, lost);
		assert_true(v == AS_BUILT ? lost == 0 : lost > 0);
	}
}

/* ---- the code, with a switch at each atomic access ---- */

static void step(void);

#define __atomic_load_n(p, order) (step(), __atomic_load_n(p, order))
#define __atomic_store_n(p, v, order) (step(), __atomic_store_n(p, v, order))
#define __atomic_exchange_n(p, v, order) (step(), __atomic_exchange_n(p, v, order))
#define __atomic_compare_exchange_n(p, e, v, w, ok, no) (step(), __atomic_compare_exchange_n(p, e, v, false, ok, no))
#include "lib/ready_queue.h"
#undef __atomic_load_n
#undef __atomic_store_n
#undef __atomic_exchange_n
#undef __atomic_compare_exchange_n

enum { PRODUCERS_MAX = 2, CONTEXTS = PRODUCERS_MAX + 1, PUTS_MAX = 2, CHOICES_MAX = 200, STACK_BYTES = 64 * 1024 };

static struct {
	ucontext_t scheduler, contexts[CONTEXTS];
	char *stacks[CONTEXTS];
	bool over[CONTEXTS];
	unsigned running, producers, puts;
	struct ready_queue queue;
	struct lifo_node nodes[PRODUCERS_MAX * PUTS_MAX];
	bool sleeps; /* the consumer's thread state */
	bool parked; /* the consumer is in sched_switch() */
	unsigned got;
	uint8_t choice[CHOICES_MAX], options[CHOICES_MAX]; /* the schedule: which of how many went on */
	unsigned length;
} run;

static void step(void)
{
	swapcontext(&run.contexts[run.running], &run.scheduler);
}

static void producer(unsigned me)
{
	for (unsigned i = 0; i < run.puts; i++) {
		unsigned n = (me - 1) * run.puts + i;
		if (ready_put(&run.queue, n % READY_PRIORITIES, &run.nodes[n])) {
			step();
			run.sleeps = false;
		}
	}
}

static void consumer(void)
{
	while (run.got < run.producers * run.puts) {
		if (ready_get(&run.queue)) {
			run.got++;
			continue;
		}
		step();
		run.sleeps = true;
		if (ready_sleep(&run.queue)) {
			run.parked = true;
			step(); /* goes on only once `sleeps` is false */
			run.parked = false;
		}
		run.sleeps = false;
		ready_woken(&run.queue);
	}
}

static void context_main(void)
{
	unsigned me = run.running;
	if (me == 0)
		consumer();
	else
		producer(me);
	run.over[me] = true;
	step();
}

static void context_start(volatile unsigned c) /* volatile: getcontext() counts as returning twice */
{
	getcontext(&run.contexts[c]);
	run.contexts[c].uc_stack.ss_sp = run.stacks[c];
	run.contexts[c].uc_stack.ss_size = STACK_BYTES;
	run.contexts[c].uc_link = NULL;
	makecontext(&run.contexts[c], context_main, 0);
}

/*
 * One run by the schedule so far; beyond it, whoever runs goes on as long as it can. At most switches_max times a
 * context is stopped that could have gone on. True: it ended with everything taken.
 */
static bool run_once(unsigned switches_max)
{
	unsigned switches = 0, last = CONTEXTS;
	memset(run.over, 0, sizeof(run.over));
	memset(&run.queue, 0, sizeof(run.queue));
	run.sleeps = run.parked = false;
	run.got = 0;
	for (unsigned c = 0; c <= run.producers; c++)
		context_start(c);
	for (unsigned at = 0;; at++) {
		unsigned can[CONTEXTS], n = 0, other = 0;
		bool last_can = last < CONTEXTS && !run.over[last] && !(last == 0 && run.parked && run.sleeps);
		if (last_can)
			can[n++] = last;
		for (unsigned c = 0; c <= run.producers; c++)
			if (c != last && !run.over[c] && !(c == 0 && run.parked && run.sleeps))
				can[n + other++] = c;
		if (!last_can || switches < switches_max)
			n += other;
		if (n == 0) {
			run.length = at;
			return run.over[0];
		}
		assert_true(at < CHOICES_MAX);
		if (at >= run.length)
			run.choice[at] = 0;
		run.options[at] = (uint8_t)n;
		run.running = can[run.choice[at]];
		switches += last_can && run.running != last;
		last = run.running;
		swapcontext(&run.scheduler, &run.contexts[run.running]);
	}
}

/* All schedules, depth first. */
static void run_all(unsigned producers, unsigned puts, unsigned switches_max)
{
	unsigned long runs = 0;
	run.producers = producers;
	run.puts = puts;
	run.length = 0;
	do {
		runs++;
		if (!run_once(switches_max)) {
			printf("# lost after %lu runs:", runs);
			for (unsigned i = 0; i < run.length; i++)
				printf(" %u/%u", run.choice[i], run.options[i]);
			printf("\n");
			fail_msg("a wake-up is lost with %u producers, %u puts", producers, puts);
		}
		while (run.length > 0 && run.choice[run.length - 1] + 1u >= run.options[run.length - 1])
			run.length--;
		if (run.length > 0)
			run.choice[run.length - 1]++;
	} while (run.length > 0);
	printf("# lib/ready_queue.h: %u producer(s) x %u puts, %u switches at most: %lu schedules, none loses a "
	       "wake-up\n",
	       producers, puts, switches_max, runs);
}

static void test_code(void **state maybe_unused)
{
	for (unsigned c = 0; c < CONTEXTS; c++)
		run.stacks[c] = malloc(STACK_BYTES);
	run_all(1, 1, CHOICES_MAX);
	run_all(1, 2, 4);
	run_all(2, 1, 4);
	run_all(2, 2, 3);
	for (unsigned c = 0; c < CONTEXTS; c++)
		free(run.stacks[c]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_code),
	};
	return cmocka_run_group_tests_name("wake-ups", tests, NULL, NULL);
}
