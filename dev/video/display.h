/*
 * A display: something that shows a grid of cells.  dev/char/screen_console.c owns the terminal in front of it and
 * calls these under its lock, or, in a panic, from whatever context there is: they take no lock, allocate nothing and
 * never wait.
 */
#pragma once

#include "dev/char/screen.h"
#include "lib/types.h"

#define DISPLAY_NO_CURSOR UINT32_MAX

struct display {
	const char *name; /* for the log: "VGA text" */
	unsigned rows, columns;
	bool is_black; /* it shows nothing yet: black blanks need not be drawn */
	/* Shows cells[first, end) of the whole grid's cells. */
	void (*draw)(const screen_cell_t *cells, unsigned first, unsigned end);
	/* The cursor leaves cell `from` for cell `to`; either may be DISPLAY_NO_CURSOR. cells is what is on display. */
	void (*cursor)(const screen_cell_t *cells, unsigned from, unsigned to);
};

/* Each looks for its hardware and prepares it; NULL: there is none. Boot, thread context. */
const struct display *vga_text_display(void);
/*
 * A linear framebuffer: with a width, the Bochs adapter (-vga std) set to that size; else what the boot loader left us,
 * else the Bochs adapter at 1024 x 768.
 */
const struct display *framebuffer_display(unsigned width, unsigned height);

/* Colours 0..15 of the VGA as 0xRRGGBB, in the order of a cell's attribute. */
extern const uint32_t display_palette[16];
