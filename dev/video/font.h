/* The framebuffer console's font: Debian's Terminus, 8 x 16, embedded at build time. Theory in font.c. */
#pragma once

#include "lib/psf.h"
#include "lib/types.h"

/* 0, -EINVAL (the embedded file is no font), -ENOMEM. Once, thread context. */
int font_init(void) must_check;
/* The size of a glyph, and what else is the same for all. Immutable after font_init. */
extern struct psf_font font;
/* The rows of the glyph that shows this character, a stand-in, or a square. Any context. */
const uint8_t *font_glyph(uint32_t code);
/* Whether it has the character itself. */
bool font_has(uint32_t code);
