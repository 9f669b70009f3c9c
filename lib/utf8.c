/*
 * UTF-8 decoding and encoding.
 *
 * The first byte fixes how many follow and what the second may be; the narrowed range of the second byte is what keeps
 * out overlong forms, surrogates and codes past U+10FFFF (Unicode 15, table 3-7), so nothing need be checked at the
 * end.
 */
#include "lib/utf8.h"

/* Begins a sequence with `byte`; true if the sequence is complete with it, *code being the result. */
static bool begin(struct utf8_decoder *decoder, uint8_t byte, uint32_t *code)
{
	decoder->low = 0x80;
	decoder->high = 0xbf;
	if (byte < 0x80) {
		*code = byte;
		return true;
	}
	if (byte >= 0xc2 && byte <= 0xdf) {
		decoder->missing = 1;
		decoder->code = byte & 0x1f;
	} else if (byte >= 0xe0 && byte <= 0xef) {
		decoder->missing = 2;
		decoder->code = byte & 0x0f;
		if (byte == 0xe0)
			decoder->low = 0xa0;
		if (byte == 0xed)
			decoder->high = 0x9f;
	} else if (byte >= 0xf0 && byte <= 0xf4) {
		decoder->missing = 3;
		decoder->code = byte & 0x07;
		if (byte == 0xf0)
			decoder->low = 0x90;
		if (byte == 0xf4)
			decoder->high = 0x8f;
	} else {
		*code = UTF8_REPLACEMENT;
		return true;
	}
	return false;
}

unsigned int utf8_decode(struct utf8_decoder *decoder, uint8_t byte, uint32_t out[2])
{
	unsigned int count = 0;

	if (decoder->missing) {
		if (byte >= decoder->low && byte <= decoder->high) {
			decoder->low = 0x80;
			decoder->high = 0xbf;
			decoder->code = decoder->code << 6 | (byte & 0x3f);
			if (--decoder->missing)
				return 0;
			out[0] = decoder->code;
			return 1;
		}
		decoder->missing = 0;
		out[count++] = UTF8_REPLACEMENT;
	}
	if (begin(decoder, byte, &out[count]))
		count++;
	return count;
}

unsigned int utf8_encode(uint32_t code, char out[4])
{
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		code = UTF8_REPLACEMENT;
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}
