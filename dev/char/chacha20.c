/* ChaCha20's block function: twenty rounds of add, xor, rotate on a 4 x 4 matrix of words (RFC 8439 §2.1-2.3). */
#include "dev/char/chacha20.h"
#include "lib/unaligned.h"

static always_inline uint32_t rotate(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

#define QUARTER(a, b, c, d)            \
	do {                           \
		a += b;                \
		d = rotate(d ^ a, 16); \
		c += d;                \
		b = rotate(b ^ c, 12); \
		a += b;                \
		d = rotate(d ^ a, 8);  \
		c += d;                \
		b = rotate(b ^ c, 7);  \
	} while (0)

void chacha20_block(const uint32_t key[CHACHA20_KEY_WORDS], uint32_t counter, const uint32_t nonce[3],
		    uint8_t out[CHACHA20_BLOCK_BYTES])
{
	const uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, key[0], key[1],
				    key[2],	key[3],	    key[4],	key[5],	    key[6], key[7],
				    counter,	nonce[0],   nonce[1],	nonce[2]};
	uint32_t x[16];
	for (unsigned i = 0; i < 16; i++)
		x[i] = start[i];
	for (unsigned i = 0; i < 10; i++) {
		QUARTER(x[0], x[4], x[8], x[12]);
		QUARTER(x[1], x[5], x[9], x[13]);
		QUARTER(x[2], x[6], x[10], x[14]);
		QUARTER(x[3], x[7], x[11], x[15]);
		QUARTER(x[0], x[5], x[10], x[15]);
		QUARTER(x[1], x[6], x[11], x[12]);
		QUARTER(x[2], x[7], x[8], x[13]);
		QUARTER(x[3], x[4], x[9], x[14]);
	}
	for (unsigned i = 0; i < 16; i++)
		store_le32(out + 4 * i, x[i] + start[i]);
}
