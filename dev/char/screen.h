/*
 * A text screen with a terminal's brain: bytes in, cells out.  Pure: it knows no hardware, takes no lock, allocates
 * nothing.  Theory in screen.c; what shows the cells is dev/char/screen_console.c and the displays under it.
 */
#pragma once

#include "lib/types.h"
#include "lib/utf8.h"

#define SCREEN_ROWS_MAX 256
#define SCREEN_COLUMNS_MAX 512
#define SCREEN_PARAMS 16
#define SCREEN_REPLY 32
#define SCREEN_UNPRINTABLE 0x25a0 /* a black square; 0xFE in code page 437: what no font here can show */

/* What a cell looks like: a Unicode character, whether it is underlined, and the VGA attribute in the top byte. */
typedef uint32_t screen_cell_t;
#define SCREEN_CELL_UNDERLINE BIT(21)
#define SCREEN_CELL(code, attribute) ((screen_cell_t)((code) | (uint32_t)(attribute) << 24))

static inline uint32_t screen_cell_code(screen_cell_t c)
{
	return c & 0x1fffff;
}

/* Foreground in the low four bits, background in the high. */
static inline uint8_t screen_cell_attribute(screen_cell_t c)
{
	return (uint8_t)(c >> 24);
}

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
	screen_cell_t *cells; /* rows * columns of them, the owner's */
	uint16_t rows, columns;
	uint16_t row, column; /* of the cursor */
	bool wrap_pending;    /* the last column was written; the next character goes to the next line first */
	bool cursor_visible, autowrap, insert, origin, application_cursor, newline_mode;
	uint16_t top, bottom; /* scroll region, both rows inside */
	struct screen_style style;
	struct {
		uint16_t row, column;
		struct screen_style style;
	} saved;
	uint16_t dirty_first, dirty_last;     /* rows changed since screen_clean(); first > last: none */
	bool bell;			      /* rung since somebody looked */
	uint8_t tabs[SCREEN_COLUMNS_MAX / 8]; /* bit: a tab stop */
	uint32_t last_code;		      /* for "repeat" */
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

/* cells is the caller's and stays. rows 2 to SCREEN_ROWS_MAX, columns 8 to SCREEN_COLUMNS_MAX, a multiple of 8. */
void screen_init(struct screen *s, screen_cell_t *cells, unsigned rows, unsigned columns);
/* Back to how screen_init left it, whatever state it is in (also half-way through a write: for the panic report). */
void screen_reset(struct screen *s);
void screen_write(struct screen *s, const char *bytes, size_t len);
/* Nothing is dirty any more. */
void screen_clean(struct screen *s);
/* A character that resembles this one and more fonts have; the character itself where none is known. */
uint32_t screen_stand_in(uint32_t code);

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
