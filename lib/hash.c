/*
 * The string hash. Two words of input at a time are folded into the state by a 128-bit multiplication, the construction
 * of Wang Yi's wyhash; the constants are odd, with half their bits set. Short keys, which path components nearly always
 * are, take no loop: up to 16 bytes are read as two overlapping words.
 */
#include "lib/hash.h"

#include "lib/unaligned.h"

#define HASH_K0 0xa0761d6478bd642full
#define HASH_K1 0xe7037ed1a0b428dbull

uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t first, last;

	seed = hash_mix(seed ^ HASH_K0, HASH_K1);
	if (len > 16) {
		size_t left = len;

		for (; left > 16; left -= 16, p += 16)
			seed = hash_mix(load_le64(p) ^ HASH_K1, load_le64(p + 8) ^ seed);
		first = load_le64(p + left - 16);
		last = load_le64(p + left - 8);
	} else if (len >= 8) {
		first = load_le64(p);
		last = load_le64(p + len - 8);
	} else if (len >= 4) {
		first = load_le32(p);
		last = load_le32(p + len - 4);
	} else if (len) {
		first = (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
		last = 0;
	} else {
		first = 0;
		last = 0;
	}
	return hash_mix(HASH_K1 ^ len, hash_mix(first ^ HASH_K1, last ^ seed));
}
