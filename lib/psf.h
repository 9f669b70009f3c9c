/*
 * PC screen fonts, versions 1 and 2: bitmaps of one size and a table that says which characters each shows.
 *
 * The file is somebody else's data: every length in it is checked.  Nothing is copied; `data` must stay.
 */
#pragma once

#include "lib/types.h"

struct psf_font {
	const uint8_t *glyphs;
	uint32_t count;		/* of glyphs */
	uint32_t width, height; /* of one, in pixels */
	uint32_t row_bytes;	/* of one row: the leftmost pixel is the first byte's highest bit */
	uint32_t glyph_bytes;
	const uint8_t *unicode; /* the table, NULL: none */
	size_t unicode_bytes;
	uint8_t version;
};

/* 0, or -EINVAL: no font of either version, or one that is cut off. */
int psf_open(const void *data, size_t len, struct psf_font *font) must_check;
static inline const uint8_t *psf_glyph(const struct psf_font *f, uint32_t index)
{
	return f->glyphs + (size_t)index * f->glyph_bytes;
}
/* Calls fn for each single character of the table; sequences of several characters are passed over. */
void psf_each_character(const struct psf_font *f, void (*fn)(void *arg, uint32_t code, uint32_t glyph), void *arg);
