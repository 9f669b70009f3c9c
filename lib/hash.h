/*
 * Fast unkeyed hashes for the kernel's own tables. They spread well but an attacker who knows the seed can find
 * collisions: seed each table from the random pool when the keys come from users.
 */
#pragma once

#include "lib/types.h"

/* The folded 128-bit product: every bit of the result depends on every bit of both factors. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_u64(uint64_t value)
{
	return hash_mix(value ^ 0x9e3779b97f4a7c15ull, 0xd6e8feb86659fd93ull);
}

/* The pointer's number, for tables keyed by object. */
static inline uint64_t hash_ptr(const void *p)
{
	return hash_u64((uintptr_t)p);
}

/* `len` bytes (a path component, a key). The result differs with the seed and with the length. */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t len);
