/*
 * The screen's cells and what can be done to them.  ansi.c decides what is to be done.
 *
 * Rows are counted from 0. The cursor is always inside the screen; writing the last column leaves it there with
 * wrap_pending set, as a VT100 does, so that a full last line does not scroll before its time.
 */
#include "dev/char/screen.h"
#include "lib/string.h"

/* Code page 437 from 0x80 on, in Unicode. */
static const uint16_t cp437_high[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee,
	0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6,
	0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa,
	0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502,
	0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514,
	0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
	0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c,
	0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4,
	0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320,
	0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

/* Characters that are not in the page but have a stand-in there. */
static const struct {
	uint16_t code;
	uint8_t shown;
} stand_ins[] = {
	{0x2018, '\''}, {0x2019, '\''}, {0x201c, '"'},	{0x201d, '"'},	{0x2010, '-'},	{0x2011, '-'},
	{0x2013, '-'},	{0x2014, '-'},	{0x2022, 0x07}, {0x2190, 0x1b}, {0x2191, 0x18}, {0x2192, 0x1a},
	{0x2193, 0x19}, {0x00a7, 0x15}, {0x00b6, 0x14}, {0x2026, '.'},
};

uint8_t screen_cp437(uint32_t code)
{
	if (code >= 0x20 && code < 0x7f)
		return (uint8_t)code;
	for (unsigned i = 0; i < ARRAY_SIZE(cp437_high); i++)
		if (cp437_high[i] == code)
			return (uint8_t)(0x80 + i);
	for (unsigned i = 0; i < ARRAY_SIZE(stand_ins); i++)
		if (stand_ins[i].code == code)
			return stand_ins[i].shown;
	return SCREEN_UNPRINTABLE;
}

static screen_cell_t cell_of(const struct screen *s, uint8_t c)
{
	const struct screen_style *style = &s->style;
	uint8_t fg = style->foreground, bg = style->background;
	if (style->underline && fg == 7)
		fg = 3; /* text mode cannot underline in colour: shown in cyan */
	if (style->bold)
		fg |= 8;
	if (style->reverse) {
		uint8_t t = fg;
		fg = bg;
		bg = t & 7;
	}
	return (screen_cell_t)(c | (fg | bg << 4) << 8);
}

/* Erased cells keep the background that is set, and nothing else (ECMA-48's "erase" as all colour terminals do it). */
static screen_cell_t blank(const struct screen *s)
{
	return (screen_cell_t)(' ' | (7 | s->style.background << 4) << 8);
}

static void touch(struct screen *s, unsigned first, unsigned last)
{
	s->dirty_first = (uint8_t)MIN(s->dirty_first, first);
	s->dirty_last = (uint8_t)(s->dirty_first > s->dirty_last || last > s->dirty_last ? last : s->dirty_last);
}

void screen_clean(struct screen *s)
{
	s->dirty_first = SCREEN_ROWS;
	s->dirty_last = 0;
}

void screen_erase(struct screen *s, unsigned from, unsigned to)
{
	if (from >= to)
		return;
	screen_cell_t b = blank(s);
	for (unsigned i = from; i < to; i++)
		s->cells[i] = b;
	touch(s, from / SCREEN_COLUMNS, (to - 1) / SCREEN_COLUMNS);
}

void screen_scroll_up(struct screen *s, unsigned top, unsigned bottom, unsigned count)
{
	unsigned rows = bottom - top + 1;
	count = MIN(count, rows);
	screen_cell_t *at = &s->cells[top * SCREEN_COLUMNS];
	memmove(at, at + count * SCREEN_COLUMNS, (size_t)(rows - count) * SCREEN_COLUMNS * sizeof(*at));
	screen_erase(s, (bottom + 1 - count) * SCREEN_COLUMNS, (bottom + 1) * SCREEN_COLUMNS);
	touch(s, top, bottom);
}

void screen_scroll_down(struct screen *s, unsigned top, unsigned bottom, unsigned count)
{
	unsigned rows = bottom - top + 1;
	count = MIN(count, rows);
	screen_cell_t *at = &s->cells[top * SCREEN_COLUMNS];
	memmove(at + count * SCREEN_COLUMNS, at, (size_t)(rows - count) * SCREEN_COLUMNS * sizeof(*at));
	screen_erase(s, top * SCREEN_COLUMNS, (top + count) * SCREEN_COLUMNS);
	touch(s, top, bottom);
}

void screen_line_feed(struct screen *s)
{
	s->wrap_pending = false;
	if (s->row == s->bottom)
		screen_scroll_up(s, s->top, s->bottom, 1);
	else if (s->row < SCREEN_ROWS - 1)
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
	unsigned left = SCREEN_COLUMNS - s->column;
	count = MIN(count, left);
	unsigned start = s->row * SCREEN_COLUMNS + s->column;
	memmove(&s->cells[start + count], &s->cells[start], (left - count) * sizeof(s->cells[0]));
	screen_erase(s, start, start + count);
}

void screen_delete_cells(struct screen *s, unsigned count)
{
	unsigned left = SCREEN_COLUMNS - s->column;
	count = MIN(count, left);
	unsigned start = s->row * SCREEN_COLUMNS + s->column;
	memmove(&s->cells[start], &s->cells[start + count], (left - count) * sizeof(s->cells[0]));
	screen_erase(s, start + left - count, start + left);
}

void screen_move(struct screen *s, int row, int column)
{
	s->row = (uint8_t)MIN(MAX(row, 0), SCREEN_ROWS - 1);
	s->column = (uint8_t)MIN(MAX(column, 0), SCREEN_COLUMNS - 1);
	s->wrap_pending = false;
}

void screen_tab(struct screen *s, unsigned count)
{
	while (count-- > 0 && s->column < SCREEN_COLUMNS - 1) {
		do {
			s->column++;
		} while (s->column < SCREEN_COLUMNS - 1 && !(s->tabs[s->column / 8] & 1u << s->column % 8));
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
	s->cells[s->row * SCREEN_COLUMNS + s->column] = cell_of(s, screen_cp437(code));
	touch(s, s->row, s->row);
	if (s->column == SCREEN_COLUMNS - 1)
		s->wrap_pending = true;
	else
		s->column++;
	s->last_code = code;
}

void screen_init(struct screen *s)
{
	memset(s, 0, sizeof(*s));
	s->cursor_visible = s->autowrap = true;
	s->bottom = SCREEN_ROWS - 1;
	s->style = (struct screen_style){.foreground = 7};
	s->saved.style = s->style;
	memset(s->tabs, 1, sizeof(s->tabs)); /* bit 0 of each byte: every eighth column */
	screen_clean(s);
	screen_erase(s, 0, SCREEN_ROWS * SCREEN_COLUMNS);
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
			else if (!(codes[k] >= 0x80 && codes[k] < 0xa0)) /* C1 controls in UTF-8 mean nothing here */
				screen_put(s, codes[k]);
		}
	}
}
