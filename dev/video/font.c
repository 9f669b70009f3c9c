/*
 * The console font and the way from a character to its glyph.
 *
 * The font's own table goes from glyphs to characters.  For drawing it is turned round once: 256 pages of 256 entries
 * for the characters up to U+FFFF, which is all that version 1 fonts can name, and only those pages that have any
 * (about twenty, 10 KiB).  A look-up is then two loads, without a lock, also in a panic.
 *
 * Two files make the font.  Console fonts have at most 512 glyphs; Uni2-Terminus16 spends them on letters (Latin,
 * Greek, Cyrillic) and shows double lines by single ones and half blocks not at all.  These come from
 * FullGreek-Terminus16, the same type face, whose glyphs are counted on from the first one's.
 */
#include "dev/video/font.h"

#include <linux/errno.h>

#include "dev/char/screen.h"
#include "mm/slab.h"

/* mk/kernel.mk: the unpacked file, as it is. */
extern const uint8_t console_font_start[], console_font_end[], console_lines_start[], console_lines_end[];

#define PAGE_GLYPHS 256
#define LINES_FIRST 0x2550 /* double lines … */
#define LINES_LAST 0x259f  /* … and blocks */

struct psf_font font;
static struct psf_font lines;
static uint16_t *pages[256]; /* glyph index + 1; 0: none */
static bool out_of_memory;
static const uint8_t *fallback;

static void add(void *arg, uint32_t code, uint32_t glyph)
{
	(void)arg;
	if (code >= ARRAY_SIZE(pages) * PAGE_GLYPHS)
		return;
	uint16_t **page = &pages[code / PAGE_GLYPHS];
	if (!*page)
		*page = kzalloc(PAGE_GLYPHS * sizeof(**page));
	if (!*page) {
		out_of_memory = true;
		return;
	}
	uint16_t *entry = &(*page)[code % PAGE_GLYPHS];
	if (!*entry)
		*entry = (uint16_t)(glyph + 1);
}

static void add_line(void *arg, uint32_t code, uint32_t glyph)
{
	if (code >= LINES_FIRST && code <= LINES_LAST)
		add(arg, code, glyph + font.count);
}

static const uint8_t *exact(uint32_t code)
{
	const uint16_t *page = code < ARRAY_SIZE(pages) * PAGE_GLYPHS ? pages[code / PAGE_GLYPHS] : NULL;
	unsigned entry = page ? page[code % PAGE_GLYPHS] : 0;
	if (!entry)
		return NULL;
	return entry <= font.count ? psf_glyph(&font, entry - 1) : psf_glyph(&lines, entry - 1 - font.count);
}

bool font_has(uint32_t code)
{
	return exact(code) != NULL;
}

const uint8_t *font_glyph(uint32_t code)
{
	const uint8_t *glyph = exact(code);
	if (!glyph)
		glyph = exact(screen_stand_in(code));
	return glyph ? glyph : fallback;
}

int font_init(void)
{
	int err = psf_open(console_font_start, (size_t)(console_font_end - console_font_start), &font);
	if (err)
		return err;
	/* First come, first served: the lines go in before the first font's replacements for them. */
	if (psf_open(console_lines_start, (size_t)(console_lines_end - console_lines_start), &lines) == 0 &&
	    lines.width == font.width && lines.height == font.height)
		psf_each_character(&lines, add_line, NULL);
	psf_each_character(&font, add, NULL);
	if (out_of_memory) {
		for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
			kfree(pages[i]);
			pages[i] = NULL;
		}
		return -ENOMEM;
	}
	if (font.width > 32)
		return -EINVAL;
	fallback = exact(SCREEN_UNPRINTABLE);
	if (!fallback)
		fallback = exact('?');
	return fallback ? 0 : -EINVAL;
}
