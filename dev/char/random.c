/*
 * Random numbers: one secret key, and ChaCha20 to make bytes and new keys of it.
 *
 * Output. Under pool_lock one block is made from the key: its first half replaces the key at once, so that whoever
 * reads the memory later cannot go back, and its second half serves the request, directly if it is short, else as the
 * key of a stream that is generated outside the lock.
 *
 * Input. 32 bytes at a time are xored into the key and the key goes through a block: one-way, and no input can undo
 * what earlier, unknown input did. The seed is the CPU's generator (where it has one), and in any case the jitter of
 * the TSC around work whose duration nobody controls. Every RESEED_BYTES of output, and with every moment recorded by
 * random_event() that was collected since, it is stirred again.
 *
 * There is no "not ready" state: the seed is complete before the first byte leaves. A machine with neither generator
 * nor jitter (an emulator that counts instructions) gives numbers that can be foretold; /dev/random says nothing else
 * there on Linux either once it is seeded.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "dev/char/chacha20.h"
#include "dev/random.h"
#include "lib/string.h"
#include "sync/atomic.h"
#include "sync/spinlock.h"

#define RESEED_BYTES (1 * MIB)
#define JITTER_ROUNDS 64
#define KEY_BYTES (CHACHA20_KEY_WORDS * sizeof(uint32_t))

static struct spinlock pool_lock = SPINLOCK_INIT(LOCK_LEAF, "random pool");
static uint32_t pool[CHACHA20_KEY_WORDS]; /* pool_lock */
static uint32_t pool_counter;		  /* blocks made for mixing; pool_lock */
static uint64_t until_reseed;		  /* bytes; 0: not seeded yet; pool_lock */
static uint64_t events[4];		  /* written without a lock: a lost update loses nothing that matters */
static uint32_t event_index;

static void mix_key_locked(const uint32_t in[CHACHA20_KEY_WORDS])
{
	static const uint32_t nonce[3] = {'m', 'i', 'x'};
	uint8_t block[CHACHA20_BLOCK_BYTES];
	for (unsigned i = 0; i < CHACHA20_KEY_WORDS; i++)
		pool[i] ^= in[i];
	chacha20_block(pool, pool_counter++, nonce, block);
	memcpy(pool, block, KEY_BYTES);
}

static void mix_bytes_locked(const void *buf, size_t len)
{
	const uint8_t *from = buf;
	while (len > 0) {
		uint32_t in[CHACHA20_KEY_WORDS] = {0};
		size_t n = MIN(len, KEY_BYTES);
		memcpy(in, from, n);
		mix_key_locked(in);
		from += n;
		len -= n;
	}
}

static void stir_locked(void)
{
	uint8_t hardware[KEY_BYTES];
	mix_bytes_locked(hardware, cpu_random(hardware, sizeof(hardware)));
	mix_bytes_locked(events, sizeof(events));
	uint64_t now[2] = {cpu_cycles(), time_ns()};
	mix_bytes_locked(now, sizeof(now));
}

/* The time a block takes differs by caches, interrupts and the host; all of it goes into the key. */
static void seed_locked(void)
{
	uint64_t stamps[4];
	for (unsigned round = 0; round < JITTER_ROUNDS; round++) {
		stamps[round % 4] = cpu_cycles();
		if (round % 4 == 3)
			mix_bytes_locked(stamps, sizeof(stamps));
	}
	stir_locked();
}

void random_mix(const void *buf, size_t len)
{
	SPIN_GUARD(&pool_lock);
	mix_bytes_locked(buf, len);
}

void random_event(void)
{
	uint64_t *e = &events[event_index++ % ARRAY_SIZE(events)];
	WRITE_ONCE(*e, (*e << 7 | *e >> 57) ^ cpu_cycles());
}

/* p is 8-byte aligned and len a multiple of 8. Volatile, or the compiler drops stores to what is dead afterwards. */
static void wipe(void *p, size_t len)
{
	volatile uint64_t *w = p;
	for (size_t i = 0; i < len / sizeof(*w); i++)
		w[i] = 0;
}

void random_bytes(void *buf, size_t len)
{
	static const uint32_t nonce[3] = {'k', 'e', 'y'};
	uint8_t block[CHACHA20_BLOCK_BYTES] aligned_to(8);
	irqflags_t f = spin_lock(&pool_lock);
	if (unlikely(until_reseed == 0))
		seed_locked();
	if (until_reseed <= len) {
		stir_locked();
		until_reseed = RESEED_BYTES;
	} else {
		until_reseed -= len;
	}
	chacha20_block(pool, 0, nonce, block);
	memcpy(pool, block, KEY_BYTES);
	spin_unlock(&pool_lock, f);

	if (len <= CHACHA20_BLOCK_BYTES - KEY_BYTES) {
		memcpy(buf, block + KEY_BYTES, len);
	} else {
		uint32_t key[CHACHA20_KEY_WORDS] aligned_to(8);
		uint8_t *to = buf;
		memcpy(key, block + KEY_BYTES, KEY_BYTES);
		for (uint32_t counter = 0; len > 0; counter++) {
			size_t n = MIN(len, (size_t)CHACHA20_BLOCK_BYTES);
			if (n == CHACHA20_BLOCK_BYTES) {
				chacha20_block(key, counter, nonce, to);
			} else {
				chacha20_block(key, counter, nonce, block);
				memcpy(to, block, n);
			}
			to += n;
			len -= n;
		}
		wipe(key, sizeof(key));
	}
	wipe(block, sizeof(block));
}

uint64_t random_u64(void)
{
	uint64_t v;
	random_bytes(&v, sizeof(v));
	return v;
}
