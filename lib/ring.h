/*
 * A byte ring of a power-of-two size in the caller's memory.
 *
 * Safe without a lock between one producer and one consumer, which may run on two CPUs or one of them in an interrupt:
 * each side writes only its own counter, with release, and reads the other's with acquire. Several producers (or
 * several consumers) need a lock among themselves. The counters run freely and wrap at 2^32, so every byte of the
 * storage is usable and full is told from empty.
 */
#pragma once

#include "lib/string.h"
#include "lib/types.h"

struct ring {
	uint8_t *bytes; /* borrowed */
	uint32_t mask;	/* size - 1 */
	uint32_t head;	/* bytes ever put: written by the producer only */
	uint32_t tail;	/* bytes ever taken: written by the consumer only */
};

/* `size_bytes` must be a power of two, at most 2^31. */
static inline void ring_init(struct ring *ring, void *storage, uint32_t size_bytes)
{
	*ring = (struct ring){.bytes = storage, .mask = size_bytes - 1};
}

static inline uint32_t ring_size(const struct ring *ring)
{
	return ring->mask + 1;
}

/* Bytes waiting. For the consumer a lower bound, for the producer an upper bound, for others a snapshot. */
static inline uint32_t ring_len(const struct ring *ring)
{
	uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

	return __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - tail;
}

/* Bytes that can be put. For the producer a lower bound. */
static inline uint32_t ring_space(const struct ring *ring)
{
	return ring_size(ring) - ring_len(ring);
}

static inline bool ring_empty(const struct ring *ring)
{
	return ring_len(ring) == 0;
}

/* Producer. Puts one byte; false if the ring is full. */
static inline bool ring_put_byte(struct ring *ring, uint8_t byte)
{
	uint32_t head = ring->head;

	if (head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) > ring->mask)
		return false;
	ring->bytes[head & ring->mask] = byte;
	__atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
	return true;
}

/* Producer. Puts as much of `data` as fits and returns how many bytes that was. */
static inline size_t ring_put(struct ring *ring, const void *data, size_t len)
{
	uint32_t head = ring->head;
	size_t space = ring_size(ring) - (head - __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE));
	size_t count = MIN(len, space);
	size_t before_wrap = MIN(count, (size_t)ring_size(ring) - (head & ring->mask));

	memcpy(ring->bytes + (head & ring->mask), data, before_wrap);
	memcpy(ring->bytes, (const uint8_t *)data + before_wrap, count - before_wrap);
	__atomic_store_n(&ring->head, head + (uint32_t)count, __ATOMIC_RELEASE);
	return count;
}

/* Consumer. Copies up to `len` waiting bytes, from `skip` bytes after the oldest, without taking them; returns how
 * many. */
static inline size_t ring_peek(const struct ring *ring, uint32_t skip, void *data, size_t len)
{
	uint32_t tail = ring->tail + skip;
	uint32_t waiting = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - ring->tail;

	if (skip >= waiting)
		return 0;

	size_t count = MIN(len, (size_t)(waiting - skip));
	size_t before_wrap = MIN(count, (size_t)ring_size(ring) - (tail & ring->mask));

	memcpy(data, ring->bytes + (tail & ring->mask), before_wrap);
	memcpy((uint8_t *)data + before_wrap, ring->bytes, count - before_wrap);
	return count;
}

/* Consumer. Forgets up to `len` of the oldest bytes; returns how many. */
static inline size_t ring_drop(struct ring *ring, size_t len)
{
	uint32_t tail = ring->tail;
	size_t waiting = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE) - tail;
	size_t count = MIN(len, waiting);

	__atomic_store_n(&ring->tail, tail + (uint32_t)count, __ATOMIC_RELEASE);
	return count;
}

/* Consumer. Takes up to `len` bytes; returns how many. */
static inline size_t ring_get(struct ring *ring, void *data, size_t len)
{
	return ring_drop(ring, ring_peek(ring, 0, data, len));
}

/* Consumer. Takes one byte, 0..255, or returns -1 if the ring is empty. */
static inline int ring_get_byte(struct ring *ring)
{
	uint32_t tail = ring->tail;

	if (tail == __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE))
		return -1;

	uint8_t byte = ring->bytes[tail & ring->mask];

	__atomic_store_n(&ring->tail, tail + 1, __ATOMIC_RELEASE);
	return byte;
}
