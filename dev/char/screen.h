/*
 * A text screen with a terminal's brain: bytes in, cells out.  Pure; the hardware behind it is vga_console.c.
 */
#pragma once

#include "lib/types.h"
#include "lib/utf8.h"

#define SCREEN_ROWS 25
#define SCREEN_COLUMNS 80
#define SCREEN_PARAMS 16
#define SCREEN_REPLY 32
#define SCREEN_UNPRINTABLE 0xfe /* CP437's small square */

/*
 * What a cell looks like: character in CP437, VGA attribute (foreground in the low four bits, background in the high)
 * above it.
 */
typedef uint16_t screen_cell_t;

struct screen_style {
	uint8_t foreground, background; /* VGA colours 0..15 */
	bool bold, reverse, underline;
};

enum screen_state {
	SCREEN_GROUND,
	SCREEN_ESCAPE,	   /* after ESC */
	SCREEN_CSI,	   /* after ESC [ : parameters, then a final byte */
	SCREEN_SKIP_ONE,   /* after ESC ( and the like: one more byte that is of no interest */
	SCREEN_STRING,	   /* after ESC ] P X ^ _ : a string for somebody else, up to BEL or ESC \ */
	SCREEN_STRING_ESC, /* … and an ESC in it */
	SCREEN_PALETTE,	   /* after ESC ] P: seven hexadecimal digits */
};

struct screen {
	screen_cell_t cells[SCREEN_ROWS * SCREEN_COLUMNS];
	uint8_t row, column; /* of the cursor */
	bool wrap_pending;   /* the last column was written; the next character goes to the next line first */
	bool cursor_visible, autowrap, insert, origin, application_cursor, newline_mode;
	uint8_t top, bottom; /* scroll region, both rows inside */
	struct screen_style style;
	struct {
		uint8_t row, column;
		struct screen_style style;
	} saved;
	uint8_t dirty_first, dirty_last;  /* rows changed since screen_clean(); first > last: none */
	bool bell;			  /* rung since somebody looked */
	uint8_t tabs[SCREEN_COLUMNS / 8]; /* bit: a tab stop */
	uint32_t last_code;		  /* for "repeat" */
	/* the parser */
	enum screen_state state;
	uint16_t params[SCREEN_PARAMS];
	uint8_t param_count, palette_left;
	char marker;	   /* '?', '>' … after CSI, 0: none */
	bool intermediate; /* a byte 0x20..0x2f came: a sequence nobody here knows */
	struct utf8_decoder utf8;
	/* what the terminal answers, for the program to read */
	char reply[SCREEN_REPLY];
	uint8_t reply_len;
};

void screen_init(struct screen *s);
void screen_write(struct screen *s, const char *bytes, size_t len);
/* Nothing is dirty any more. */
void screen_clean(struct screen *s);
/* The byte of IBM's code page 437 that shows this character. */
uint8_t screen_cp437(uint32_t code);

/* ansi.c's part: escape sequences; screen.c's part: what they do. */
void screen_control(struct screen *s, uint8_t c);
void screen_sequence_byte(struct screen *s, uint8_t c);
void screen_put(struct screen *s, uint32_t code);
void screen_line_feed(struct screen *s);
void screen_reverse_line_feed(struct screen *s);
void screen_scroll_up(struct screen *s, unsigned top, unsigned bottom, unsigned count);
void screen_scroll_down(struct screen *s, unsigned top, unsigned bottom, unsigned count);
void screen_erase(struct screen *s, unsigned from, unsigned to); /* cells [from, to), counted from the top left */
void screen_insert_cells(struct screen *s, unsigned count);
void screen_delete_cells(struct screen *s, unsigned count);
void screen_move(struct screen *s, int row, int column); /* clamped */
void screen_tab(struct screen *s, unsigned count);
void screen_back_tab(struct screen *s, unsigned count);
