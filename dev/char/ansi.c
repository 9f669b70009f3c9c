/*
 * Control characters and escape sequences: ECMA-48 as far as a VT102 and the Linux console go (man 4 console_codes),
 * which is what TERM=linux and TERM=vt102 promise to programs.
 *
 * A sequence that is not known is read to its end and does nothing. Numbers are bounded while they are read; every
 * position is clamped to the screen by screen.c.
 */
#include "dev/char/screen.h"
#include "lib/printf.h"
#include "lib/string.h"

#define PARAM_MAX 9999
#define ESC 0x1b

/* ANSI counts colours red, green, blue from bit 0; VGA blue, green, red. */
static const uint8_t vga_colour[8] = {0, 4, 2, 6, 1, 5, 3, 7};

static void reply(struct screen *s, const char *text)
{
	size_t len = strlen(text);
	if (len > sizeof(s->reply) - s->reply_len)
		return;
	memcpy(s->reply + s->reply_len, text, len);
	s->reply_len = (uint8_t)(s->reply_len + len);
}

/* The i-th parameter; `otherwise` when it was left out or is 0. */
static unsigned param(const struct screen *s, unsigned i, unsigned otherwise)
{
	return i < s->param_count && s->params[i] ? s->params[i] : otherwise;
}

static void cursor_save(struct screen *s)
{
	s->saved.row = s->row;
	s->saved.column = s->column;
	s->saved.style = s->style;
}

static void cursor_restore(struct screen *s)
{
	screen_move(s, s->saved.row, s->saved.column);
	s->style = s->saved.style;
}

/* Rows of a position are counted inside the scroll region in origin mode. */
static void move_to(struct screen *s, unsigned row, unsigned column)
{
	int base = s->origin ? s->top : 0;
	int limit = s->origin ? s->bottom : s->rows - 1;
	screen_move(s, MIN(base + (int)row - 1, limit), (int)column - 1);
}

/* Up and down stop at the scroll region's edge when they start inside. */
static void move_rows(struct screen *s, int by)
{
	int row = s->row + by;
	if (by < 0 && s->row >= s->top)
		row = MAX(row, s->top);
	if (by > 0 && s->row <= s->bottom)
		row = MIN(row, s->bottom);
	screen_move(s, row, s->column);
}

/* --- colours --- */

/* A colour of the 256-colour palette or of red, green, blue, as the nearest of the 16. */
static uint8_t nearest(unsigned r, unsigned g, unsigned b)
{
	unsigned max = MAX(r, MAX(g, b));
	if (max < 48)
		return 0;
	unsigned half = max / 2;
	uint8_t c = (uint8_t)((b > half ? 1 : 0) | (g > half ? 2 : 0) | (r > half ? 4 : 0));
	return max > 170 ? c | 8 : c == 7 && max < 100 ? 8 : c;
}

static uint8_t palette256(unsigned n)
{
	if (n < 16)
		return (uint8_t)(vga_colour[n & 7] | (n & 8));
	if (n >= 232) {
		unsigned grey = (n - 232) * 10 + 8;
		return nearest(grey, grey, grey);
	}
	n -= 16;
	return nearest(n / 36 * 51, n / 6 % 6 * 51, n % 6 * 51);
}

/* 38 or 48: the colour in the parameters that follow; returns how many those are. */
static unsigned extended_colour(const struct screen *s, unsigned i, uint8_t *colour)
{
	unsigned left = s->param_count - i;
	if (left >= 2 && s->params[i] == 5) {
		*colour = palette256(s->params[i + 1] & 0xff);
		return 2;
	}
	if (left >= 4 && s->params[i] == 2) {
		*colour = nearest(s->params[i + 1], s->params[i + 2], s->params[i + 3]);
		return 4;
	}
	return left;
}

static void select_graphics(struct screen *s)
{
	struct screen_style *style = &s->style;
	unsigned count = MAX(s->param_count, 1);
	for (unsigned i = 0; i < count; i++) {
		unsigned p = i < s->param_count ? s->params[i] : 0;
		switch (p) {
		case 0:
			*style = (struct screen_style){.foreground = 7};
			break;
		case 1:
			style->bold = true;
			break;
		case 4:
			style->underline = true;
			break;
		case 7:
			style->reverse = true;
			break;
		case 2:
		case 21:
		case 22:
			style->bold = false;
			break;
		case 24:
			style->underline = false;
			break;
		case 27:
			style->reverse = false;
			break;
		case 38:
			i += extended_colour(s, i + 1, &style->foreground);
			break;
		case 39:
			style->foreground = 7;
			break;
		case 48:
			i += extended_colour(s, i + 1, &style->background);
			break;
		case 49:
			style->background = 0;
			break;
		default:
			if (p >= 30 && p <= 37)
				style->foreground = vga_colour[p - 30];
			else if (p >= 40 && p <= 47)
				style->background = vga_colour[p - 40];
			else if (p >= 90 && p <= 97)
				style->foreground = vga_colour[p - 90] | 8;
			else if (p >= 100 && p <= 107)
				style->background = vga_colour[p - 100] | 8;
			break;
		}
	}
}

/* --- erasing and modes --- */

static void erase_display(struct screen *s, unsigned what)
{
	unsigned here = s->row * s->columns + s->column;
	unsigned all = s->rows * s->columns;
	if (what == 0)
		screen_erase(s, here, all);
	else if (what == 1)
		screen_erase(s, 0, here + 1);
	else if (what == 2 || what == 3)
		screen_erase(s, 0, all);
}

static void erase_line(struct screen *s, unsigned what)
{
	unsigned start = s->row * s->columns;
	if (what == 0)
		screen_erase(s, start + s->column, start + s->columns);
	else if (what == 1)
		screen_erase(s, start, start + s->column + 1u);
	else if (what == 2)
		screen_erase(s, start, start + s->columns);
}

static void set_modes(struct screen *s, bool on)
{
	for (unsigned i = 0; i < s->param_count; i++) {
		unsigned p = s->params[i];
		if (s->marker == '?') {
			if (p == 1)
				s->application_cursor = on;
			else if (p == 6) {
				s->origin = on;
				move_to(s, 1, 1);
			} else if (p == 7)
				s->autowrap = on;
			else if (p == 25)
				s->cursor_visible = on;
		} else if (s->marker == 0) {
			if (p == 4)
				s->insert = on;
			else if (p == 20)
				s->newline_mode = on;
		}
	}
}

static void report(struct screen *s)
{
	char text[SCREEN_REPLY];
	unsigned what = param(s, 0, 0);
	if (what == 5) {
		reply(s, "\x1b[0n");
	} else if (what == 6) {
		unsigned row = s->row - (s->origin ? s->top : 0) + 1u;
		snprintf(text, sizeof(text), "\x1b[%u;%uR", row, s->column + 1u);
		reply(s, text);
	}
}

static void set_region(struct screen *s)
{
	unsigned top = param(s, 0, 1), bottom = MIN(param(s, 1, s->rows), (unsigned)s->rows);
	if (top >= bottom)
		return;
	s->top = (uint16_t)(top - 1);
	s->bottom = (uint16_t)(bottom - 1);
	move_to(s, 1, 1);
}

static void lines_change(struct screen *s, bool insert)
{
	if (s->row < s->top || s->row > s->bottom)
		return;
	unsigned count = param(s, 0, 1);
	if (insert)
		screen_scroll_down(s, s->row, s->bottom, count);
	else
		screen_scroll_up(s, s->row, s->bottom, count);
	s->column = 0;
	s->wrap_pending = false;
}

static void tabs_clear(struct screen *s)
{
	unsigned what = param(s, 0, 0);
	if (what == 0)
		s->tabs[s->column / 8] &= (uint8_t) ~(1u << s->column % 8);
	else if (what == 3)
		memset(s->tabs, 0, sizeof(s->tabs));
}

static void csi_plain(struct screen *s, uint8_t final)
{
	unsigned n = param(s, 0, 1);
	unsigned here = s->row * s->columns + s->column;
	switch (final) {
	case '@':
		screen_insert_cells(s, n);
		break;
	case 'A':
		move_rows(s, -(int)n);
		break;
	case 'B':
	case 'e':
		move_rows(s, (int)n);
		break;
	case 'C':
	case 'a':
		screen_move(s, s->row, s->column + (int)n);
		break;
	case 'D':
		screen_move(s, s->row, s->column - (int)n);
		break;
	case 'E':
		move_rows(s, (int)n);
		s->column = 0;
		break;
	case 'F':
		move_rows(s, -(int)n);
		s->column = 0;
		break;
	case 'G':
	case '`':
		screen_move(s, s->row, (int)n - 1);
		break;
	case 'H':
	case 'f':
		move_to(s, n, param(s, 1, 1));
		break;
	case 'I':
		screen_tab(s, n);
		break;
	case 'J':
		erase_display(s, param(s, 0, 0));
		break;
	case 'K':
		erase_line(s, param(s, 0, 0));
		break;
	case 'L':
		lines_change(s, true);
		break;
	case 'M':
		lines_change(s, false);
		break;
	case 'P':
		screen_delete_cells(s, n);
		break;
	case 'S':
		screen_scroll_up(s, s->top, s->bottom, n);
		break;
	case 'T':
		screen_scroll_down(s, s->top, s->bottom, n);
		break;
	case 'X':
		screen_erase(s, here, here + MIN(n, (unsigned)s->columns - s->column));
		break;
	case 'Z':
		screen_back_tab(s, n);
		break;
	case 'b':
		for (n = MIN(n, (unsigned)s->rows * s->columns); n > 0 && s->last_code; n--)
			screen_put(s, s->last_code);
		break;
	case 'c':
		if (param(s, 0, 0) == 0)
			reply(s, "\x1b[?6c"); /* "I am a VT102" */
		break;
	case 'd':
		move_to(s, n, s->column + 1u);
		break;
	case 'g':
		tabs_clear(s);
		break;
	case 'h':
	case 'l':
		set_modes(s, final == 'h');
		break;
	case 'm':
		select_graphics(s);
		break;
	case 'n':
		report(s);
		break;
	case 'r':
		set_region(s);
		break;
	case 's':
		cursor_save(s);
		break;
	case 'u':
		cursor_restore(s);
		break;
	default:
		break;
	}
}

/* --- the parser --- */

static void csi_byte(struct screen *s, uint8_t c)
{
	if (c >= '0' && c <= '9') {
		if (s->param_count == 0)
			s->param_count = 1;
		if (s->param_count <= SCREEN_PARAMS) {
			uint16_t *p = &s->params[s->param_count - 1];
			*p = (uint16_t)MIN(*p * 10u + (c - '0'), PARAM_MAX);
		}
	} else if (c == ';' || c == ':') {
		s->param_count = (uint8_t)MIN(MAX(s->param_count, 1) + 1, SCREEN_PARAMS + 1);
	} else if (c >= '<' && c <= '?') {
		s->marker = (char)c;
	} else if (c >= 0x20 && c < 0x30) {
		s->intermediate = true;
	} else if (c >= 0x40 && c < 0x7f) {
		s->param_count = MIN(s->param_count, SCREEN_PARAMS);
		s->state = SCREEN_GROUND;
		if (s->intermediate)
			return;
		if (s->marker == 0)
			csi_plain(s, c);
		else if (s->marker == '?' && (c == 'h' || c == 'l'))
			set_modes(s, c == 'h');
	}
}

static void escape_byte(struct screen *s, uint8_t c)
{
	s->state = SCREEN_GROUND;
	switch (c) {
	case '[':
		s->state = SCREEN_CSI;
		s->param_count = 0;
		memset(s->params, 0, sizeof(s->params));
		s->marker = 0;
		s->intermediate = false;
		break;
	case ']':
	case 'P':
	case 'X':
	case '^':
	case '_':
		s->state = SCREEN_STRING;
		s->palette_left = c == ']' ? 1 : 0; /* the next byte may make it the console's own palette command */
		break;
	case '(':
	case ')':
	case '*':
	case '+':
	case '%':
	case '#':
	case ' ':
		s->state = SCREEN_SKIP_ONE; /* character sets and sizes */
		break;
	case '7':
		cursor_save(s);
		break;
	case '8':
		cursor_restore(s);
		break;
	case 'D':
		screen_line_feed(s);
		break;
	case 'E':
		s->column = 0;
		screen_line_feed(s);
		break;
	case 'H':
		s->tabs[s->column / 8] |= (uint8_t)(1u << s->column % 8);
		break;
	case 'M':
		screen_reverse_line_feed(s);
		break;
	case 'Z':
		reply(s, "\x1b[?6c");
		break;
	case 'c': {
		bool bell = s->bell;
		screen_reset(s);
		s->bell = bell;
		break;
	}
	default:
		break;
	}
}

static void string_byte(struct screen *s, uint8_t c)
{
	/* man 4 console_codes: ESC ] R and ESC ] P nrrggbb end without a terminator. */
	if (s->palette_left) {
		s->palette_left = 0;
		if (c == 'R') {
			s->state = SCREEN_GROUND;
			return;
		}
		if (c == 'P') {
			s->state = SCREEN_PALETTE;
			s->palette_left = 7;
			return;
		}
	}
	if (c == 0x07)
		s->state = SCREEN_GROUND;
	else if (c == ESC)
		s->state = SCREEN_STRING_ESC;
}

void screen_sequence_byte(struct screen *s, uint8_t c)
{
	bool in_string = s->state == SCREEN_STRING || s->state == SCREEN_STRING_ESC;
	if (c == 0x18 || c == 0x1a) { /* CAN and SUB break off whatever it is */
		s->state = SCREEN_GROUND;
		return;
	}
	if (!in_string && c < 0x20) { /* controls act in the middle of a sequence */
		screen_control(s, c);
		return;
	}
	switch (s->state) {
	case SCREEN_GROUND:
		break;
	case SCREEN_ESCAPE:
		escape_byte(s, c);
		break;
	case SCREEN_CSI:
		csi_byte(s, c);
		break;
	case SCREEN_SKIP_ONE:
		s->state = SCREEN_GROUND;
		break;
	case SCREEN_STRING:
		string_byte(s, c);
		break;
	case SCREEN_STRING_ESC:
		s->state = SCREEN_GROUND;
		if (c != '\\')
			escape_byte(s, c);
		break;
	case SCREEN_PALETTE:
		if (--s->palette_left == 0)
			s->state = SCREEN_GROUND;
		break;
	}
}

void screen_control(struct screen *s, uint8_t c)
{
	switch (c) {
	case 0x07:
		s->bell = true;
		break;
	case '\b':
		screen_move(s, s->row, s->column - 1);
		break;
	case '\t':
		screen_tab(s, 1);
		break;
	case '\n':
	case 0x0b:
	case 0x0c:
		if (s->newline_mode)
			s->column = 0;
		screen_line_feed(s);
		break;
	case '\r':
		s->column = 0;
		s->wrap_pending = false;
		break;
	case ESC:
		s->state = SCREEN_ESCAPE;
		break;
	default:
		break;
	}
}
