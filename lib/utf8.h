/* UTF-8, byte by byte, for the console. Ill-formed input becomes U+FFFD, as Unicode 15 §3.9 (maximal subparts) says. */
#pragma once

#include "lib/types.h"

#define UTF8_REPLACEMENT 0xfffdu

/* All zero is the initial state. */
struct utf8_decoder {
	uint32_t code;	   /* bits collected so far */
	uint8_t missing;   /* continuation bytes still to come */
	uint8_t low, high; /* what the next continuation byte may be */
};

/* Takes one byte and stores the 0, 1 or 2 code points it completes (a broken sequence and the byte itself). */
unsigned int utf8_decode(struct utf8_decoder *decoder, uint8_t byte, uint32_t out[2]);

/* Writes `code` as 1 to 4 bytes and returns their number; a surrogate or out-of-range code becomes U+FFFD. */
unsigned int utf8_encode(uint32_t code, char out[4]);
