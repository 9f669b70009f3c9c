/*
 * The screen's cells and what can be done to them; ansi.c decides what is to be done.  Theory.
 *
 * Purpose: what TERM=linux promises (man 4 console_codes), once, for every display: VGA text and framebuffer differ in
 * how a cell is drawn and in nothing else.  The panic report uses it as well, so it works from any state.
 *
 * Concepts: a cell is a character and its attribute; the screen is an array of them that its owner lends.  Bytes go
 * through the UTF-8 decoder and, from ESC on, through ansi.c's state machine.  Changes are noted by rows; the owner
 * compares the cells of those with what is on display.
 *
 * Invariants: rows are counted from 0; the cursor is always inside the screen; top < bottom < rows.  Writing the last
 * column leaves the cursor there with wrap_pending set, as a VT100 does, so that a full last line does not scroll
 * before its time.
 *
 * Locking: the owner's.  Failure: none; there is nothing to allocate, and unknown sequences are read to their end.
 *
 * Rejected: libvterm, the one terminal parser that Debian has as a C library.  It is an xterm (its OSC strings need a
 * terminator, which the Linux console's palette commands lack, and would swallow the text behind one), it allocates
 * while it parses and calls back for each change, 49 KB of code for what is 8 here, and it can be neither copied nor
 * reset in the middle of a write, which log lines between a program's output and the panic report need.
 */
#include "dev/char/screen.h"
#include "lib/string.h"

/* Characters that fonts lack and what is near enough: typographic quotes and dashes, heavy and rounded lines. */
static const struct {
	uint16_t code, shown;
} stand_ins[] = {
	{0x00a0, ' '},	  {0x2010, '-'},    {0x2011, '-'},    {0x2012, '-'},	{0x2013, '-'},	  {0x2014, '-'},
	{0x2018, '\''},	  {0x2019, '\''},   {0x201c, '"'},    {0x201d, '"'},	{0x2026, '.'},	  {0x2212, '-'},
	{0x2501, 0x2500}, {0x2503, 0x2502}, {0x250f, 0x250c}, {0x2513, 0x2510}, {0x2517, 0x2514}, {0x251b, 0x2518},
	{0x2523, 0x251c}, {0x252b, 0x2524}, {0x2533, 0x252c}, {0x253b, 0x2534}, {0x254b, 0x253c}, {0x256d, 0x250c},
	{0x256e, 0x2510}, {0x256f, 0x2518}, {0x2570, 0x2514}, {0x2713, 0x221a}, {0x2717, 'x'},
};

uint32_t screen_stand_in(uint32_t code)
{
	for (unsigned i = 0; i < ARRAY_SIZE(stand_ins); i++)
		if (stand_ins[i].code == code)
			return stand_ins[i].shown;
	return code;
}

/* Characters that take no room of their own. A cell holds one character, so they are left out. */
static bool is_zero_width(uint32_t code)
{
	return (code >= 0x300 && code < 0x370) || (code >= 0x200b && code < 0x2010) ||
		(code >= 0x20d0 && code < 0x2100) || (code >= 0xfe00 && code < 0xfe10) || code == 0xfeff;
}

static screen_cell_t cell_of(const struct screen *s, uint32_t code)
{
	const struct screen_style *style = &s->style;
	uint8_t fg = style->foreground, bg = style->background;
	if (style->bold)
		fg |= 8;
	if (style->reverse) {
		uint8_t t = fg;
		fg = bg;
		bg = t & 7;
	}
	return SCREEN_CELL(code, fg | bg << 4) | (style->underline ? (screen_cell_t)SCREEN_CELL_UNDERLINE : 0);
}

/* Erased cells keep the background that is set, and nothing else (ECMA-48's "erase" as all colour terminals do it). */
static screen_cell_t blank(const struct screen *s)
{
	return SCREEN_CELL(' ', 7 | s->style.background << 4);
}

static void touch(struct screen *s, unsigned first, unsigned last)
{
	s->dirty_first = (uint16_t)MIN(s->dirty_first, first);
	s->dirty_last = (uint16_t)(s->dirty_first > s->dirty_last || last > s->dirty_last ? last : s->dirty_last);
}

void screen_clean(struct screen *s)
{
	s->dirty_first = s->rows;
	s->dirty_last = 0;
}

void screen_erase(struct screen *s, unsigned from, unsigned to)
{
	if (from >= to)
		return;
	screen_cell_t b = blank(s);
	for (unsigned i = from; i < to; i++)
		s->cells[i] = b;
	touch(s, from / s->columns, (to - 1) / s->columns);
}

void screen_scroll_up(struct screen *s, unsigned top, unsigned bottom, unsigned count)
{
	unsigned rows = bottom - top + 1;
	count = MIN(count, rows);
	screen_cell_t *at = &s->cells[top * s->columns];
	memmove(at, at + count * s->columns, (size_t)(rows - count) * s->columns * sizeof(*at));
	screen_erase(s, (bottom + 1 - count) * s->columns, (bottom + 1) * s->columns);
	touch(s, top, bottom);
}

void screen_scroll_down(struct screen *s, unsigned top, unsigned bottom, unsigned count)
{
	unsigned rows = bottom - top + 1;
	count = MIN(count, rows);
	screen_cell_t *at = &s->cells[top * s->columns];
	memmove(at + count * s->columns, at, (size_t)(rows - count) * s->columns * sizeof(*at));
	screen_erase(s, top * s->columns, (top + count) * s->columns);
	touch(s, top, bottom);
}

void screen_line_feed(struct screen *s)
{
	s->wrap_pending = false;
	if (s->row == s->bottom)
		screen_scroll_up(s, s->top, s->bottom, 1);
	else if (s->row < s->rows - 1)
		s->row++;
}

void screen_reverse_line_feed(struct screen *s)
{
	s->wrap_pending = false;
	if (s->row == s->top)
		screen_scroll_down(s, s->top, s->bottom, 1);
	else if (s->row > 0)
		s->row--;
}

void screen_insert_cells(struct screen *s, unsigned count)
{
	unsigned left = s->columns - s->column;
	count = MIN(count, left);
	unsigned start = s->row * s->columns + s->column;
	memmove(&s->cells[start + count], &s->cells[start], (left - count) * sizeof(s->cells[0]));
	screen_erase(s, start, start + count);
}

void screen_delete_cells(struct screen *s, unsigned count)
{
	unsigned left = s->columns - s->column;
	count = MIN(count, left);
	unsigned start = s->row * s->columns + s->column;
	memmove(&s->cells[start], &s->cells[start + count], (left - count) * sizeof(s->cells[0]));
	screen_erase(s, start + left - count, start + left);
}

void screen_move(struct screen *s, int row, int column)
{
	s->row = (uint16_t)MIN(MAX(row, 0), s->rows - 1);
	s->column = (uint16_t)MIN(MAX(column, 0), s->columns - 1);
	s->wrap_pending = false;
}

void screen_tab(struct screen *s, unsigned count)
{
	while (count-- > 0 && s->column < s->columns - 1) {
		do {
			s->column++;
		} while (s->column < s->columns - 1 && !(s->tabs[s->column / 8] & 1u << s->column % 8));
	}
}

void screen_back_tab(struct screen *s, unsigned count)
{
	s->wrap_pending = false;
	while (count-- > 0 && s->column > 0) {
		do {
			s->column--;
		} while (s->column > 0 && !(s->tabs[s->column / 8] & 1u << s->column % 8));
	}
}

void screen_put(struct screen *s, uint32_t code)
{
	if (s->wrap_pending && s->autowrap) {
		s->column = 0;
		screen_line_feed(s);
	}
	if (s->insert)
		screen_insert_cells(s, 1);
	s->cells[s->row * s->columns + s->column] = cell_of(s, code);
	touch(s, s->row, s->row);
	if (s->column == s->columns - 1)
		s->wrap_pending = true;
	else
		s->column++;
	s->last_code = code;
}

void screen_init(struct screen *s, screen_cell_t *cells, unsigned rows, unsigned columns)
{
	s->cells = cells;
	s->rows = (uint16_t)rows;
	s->columns = (uint16_t)columns;
	screen_reset(s);
}

void screen_reset(struct screen *s)
{
	*s = (struct screen){.cells = s->cells,
			     .rows = s->rows,
			     .columns = s->columns,
			     .bottom = (uint16_t)(s->rows - 1),
			     .cursor_visible = true,
			     .autowrap = true,
			     .style = {.foreground = 7},
			     .saved.style = {.foreground = 7}};
	memset(s->tabs, 1, sizeof(s->tabs)); /* bit 0 of each byte: every eighth column */
	screen_clean(s);
	screen_erase(s, 0, s->rows * s->columns);
}

void screen_write(struct screen *s, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)bytes[i];
		if (s->state != SCREEN_GROUND) {
			screen_sequence_byte(s, c);
			continue;
		}
		if (c >= 0x20 && c < 0x7f && s->utf8.missing == 0) {
			screen_put(s, c);
			continue;
		}
		uint32_t codes[2];
		unsigned n = utf8_decode(&s->utf8, c, codes);
		for (unsigned k = 0; k < n; k++) {
			if (codes[k] < 0x20 || codes[k] == 0x7f)
				screen_control(s, (uint8_t)codes[k]);
			else if (!(codes[k] >= 0x80 && codes[k] < 0xa0) &&
				 !is_zero_width(codes[k])) /* C1: no meaning */
				screen_put(s, codes[k]);
		}
	}
}
