/* The ChaCha20 block function (RFC 8439 §2.3), for the random number generator. Pure. */
#pragma once

#include "lib/types.h"

#define CHACHA20_KEY_WORDS 8
#define CHACHA20_BLOCK_BYTES 64

/* Block number `counter` of the stream of this key and nonce. */
void chacha20_block(const uint32_t key[CHACHA20_KEY_WORDS], uint32_t counter, const uint32_t nonce[3],
		    uint8_t out[CHACHA20_BLOCK_BYTES]);
