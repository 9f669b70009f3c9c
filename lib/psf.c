/*
 * PC screen fonts (the format is described in kbd's doc/font-formats-4.html and by the fonts themselves).
 *
 * Version 1: magic, mode, height; glyphs are 8 wide; the table is 16-bit words, FFFF ends a glyph's list, FFFE begins a
 * sequence.  Version 2: a header of 32-bit words; the table is UTF-8 with the bytes FF and FE in the same roles.
 */
#include <linux/errno.h>

#include "lib/psf.h"
#include "lib/unaligned.h"
#include "lib/utf8.h"

#define PSF1_MAGIC 0x0436
#define PSF1_HEADER 4
#define PSF1_512_GLYPHS 0x01
#define PSF1_HAS_TABLE 0x06
#define PSF1_END 0xffff
#define PSF1_SEQUENCE 0xfffe
#define PSF2_MAGIC 0x864ab572
#define PSF2_HEADER 32
#define PSF2_HAS_TABLE 0x01
#define PSF2_END 0xff
#define PSF2_SEQUENCE 0xfe
#define SIDE_MAX 64 /* pixels */

static int finish(struct psf_font *f, const uint8_t *data, size_t len, size_t header, bool table, struct psf_font *out)
{
	uint64_t bytes = (uint64_t)f->count * f->glyph_bytes;
	if (f->count == 0 || f->count > UINT16_MAX || f->width == 0 || f->width > SIDE_MAX || f->height == 0 ||
	    f->height > SIDE_MAX || f->row_bytes * f->height > f->glyph_bytes || header > len || bytes > len - header)
		return -EINVAL;
	f->glyphs = data + header;
	f->unicode = table ? f->glyphs + bytes : NULL;
	f->unicode_bytes = table ? len - header - (size_t)bytes : 0;
	*out = *f;
	return 0;
}

int psf_open(const void *data, size_t len, struct psf_font *font)
{
	const uint8_t *p = data;
	struct psf_font f = {.width = 8, .row_bytes = 1};

	if (len >= PSF1_HEADER && load_le16(p) == PSF1_MAGIC) {
		f.version = 1;
		f.count = p[2] & PSF1_512_GLYPHS ? 512 : 256;
		f.height = f.glyph_bytes = p[3];
		return finish(&f, p, len, PSF1_HEADER, p[2] & PSF1_HAS_TABLE, font);
	}
	if (len >= PSF2_HEADER && load_le32(p) == PSF2_MAGIC) {
		f.version = 2;
		f.count = load_le32(p + 16);
		f.glyph_bytes = load_le32(p + 20);
		f.height = load_le32(p + 24);
		f.width = load_le32(p + 28);
		f.row_bytes = f.width / 8 + (f.width % 8 != 0);
		return finish(&f, p, len, load_le32(p + 8), load_le32(p + 12) & PSF2_HAS_TABLE, font);
	}
	return -EINVAL;
}

static void each1(const struct psf_font *f, void (*fn)(void *arg, uint32_t code, uint32_t glyph), void *arg)
{
	uint32_t glyph = 0;
	bool sequence = false;

	for (size_t at = 0; at + 2 <= f->unicode_bytes && glyph < f->count; at += 2) {
		uint16_t word = load_le16(f->unicode + at);
		if (word == PSF1_END) {
			glyph++;
			sequence = false;
		} else if (word == PSF1_SEQUENCE) {
			sequence = true;
		} else if (!sequence) {
			fn(arg, word, glyph);
		}
	}
}

static void each2(const struct psf_font *f, void (*fn)(void *arg, uint32_t code, uint32_t glyph), void *arg)
{
	struct utf8_decoder utf8 = {0};
	uint32_t glyph = 0;
	bool sequence = false;

	for (size_t at = 0; at < f->unicode_bytes && glyph < f->count; at++) {
		uint8_t byte = f->unicode[at];
		uint32_t codes[2];
		if (byte == PSF2_END) {
			glyph++;
			sequence = false;
			utf8 = (struct utf8_decoder){0};
		} else if (byte == PSF2_SEQUENCE) {
			sequence = true;
			utf8 = (struct utf8_decoder){0};
		} else {
			unsigned n = utf8_decode(&utf8, byte, codes);
			for (unsigned i = 0; i < n && !sequence; i++)
				fn(arg, codes[i], glyph);
		}
	}
}

void psf_each_character(const struct psf_font *f, void (*fn)(void *arg, uint32_t code, uint32_t glyph), void *arg)
{
	if (f->version == 1)
		each1(f, fn, arg);
	else
		each2(f, fn, arg);
}
