/*
 * The line editor (lib/lineedit.h).
 *
 * Whatever changes behind the cursor is shown by writing the rest of the line once more and going back with backspaces;
 * a line that got shorter is followed by as many blanks as it lost. With lines this short that is cheaper than knowing
 * what kind of terminal it is.
 *
 * Escape sequences are those of ECMA-48 as the PC keyboards of all terminals send them: ESC [ A … D, H, F, ESC O with
 * the same letters, and ESC [ 1 ~, 3 ~, 4 ~, 7 ~, 8 ~. Others are swallowed whole.
 */
#include "lib/lineedit.h"

#include "lib/string.h"

#define CTRL(c) ((c)&0x1f)
#define ESC 0x1b
#define DEL 0x7f

void lineedit_init(struct lineedit *e, const struct lineedit_ops *ops, const char *prompt)
{
	*e = (struct lineedit){.ops = ops, .prompt = prompt};
}

static void show(struct lineedit *e, const char *text, size_t len)
{
	if (len > 0)
		e->ops->show(e, text, len);
}

static void show_string(struct lineedit *e, const char *s)
{
	show(e, s, strlen(s));
}

static void show_repeated(struct lineedit *e, char c, unsigned n)
{
	while (n--)
		show(e, &c, 1);
}

static void bell(struct lineedit *e)
{
	show(e, "\a", 1);
}

/* The line from `from` on, with `gone` blanks over what stood behind its end before, and back to the cursor. */
static void redraw_from(struct lineedit *e, unsigned from, unsigned gone)
{
	show(e, e->text + from, e->len - from);
	show_repeated(e, ' ', gone);
	show_repeated(e, '\b', e->len + gone - e->cursor);
}

void lineedit_start(struct lineedit *e)
{
	e->len = e->cursor = e->back = e->escape = 0;
	e->text[0] = '\0';
	e->tabbed = false;
	show_string(e, e->prompt);
}

static void move_to(struct lineedit *e, unsigned cursor)
{
	if (cursor < e->cursor)
		show_repeated(e, '\b', e->cursor - cursor);
	else
		show(e, e->text + e->cursor, cursor - e->cursor);
	e->cursor = (uint8_t)cursor;
}

static void insert(struct lineedit *e, const char *bytes, size_t n)
{
	if (n > (size_t)(LINEEDIT_MAX - e->len)) {
		bell(e);
		return;
	}
	memmove(e->text + e->cursor + n, e->text + e->cursor, e->len - e->cursor + 1u);
	memcpy(e->text + e->cursor, bytes, n);
	unsigned from = e->cursor;
	e->len = (uint8_t)(e->len + n);
	e->cursor = (uint8_t)(e->cursor + n);
	redraw_from(e, from, 0);
}

/* Takes [from, to) out of the line; the cursor is in it or at its end. */
static void erase(struct lineedit *e, unsigned from, unsigned to, bool keep)
{
	unsigned n = to - from;
	if (n == 0) {
		bell(e);
		return;
	}
	if (keep) {
		memcpy(e->erased, e->text + from, n);
		e->erased[n] = '\0';
	}
	move_to(e, from);
	memmove(e->text + from, e->text + to, e->len - to + 1u);
	e->len = (uint8_t)(e->len - n);
	redraw_from(e, from, n);
}

static unsigned word_before(const struct lineedit *e)
{
	unsigned at = e->cursor;
	while (at > 0 && e->text[at - 1] == ' ')
		at--;
	while (at > 0 && e->text[at - 1] != ' ')
		at--;
	return at;
}

/* Puts another line in the place of this one. */
static void replace(struct lineedit *e, const char *with)
{
	unsigned old = e->len;
	move_to(e, 0);
	e->len = e->cursor = (uint8_t)strlcpy(e->text, with, sizeof(e->text));
	redraw_from(e, 0, old > e->len ? old - e->len : 0);
}

/* --- history --- */

static void remember(struct lineedit *e)
{
	unsigned last = (e->history_next + LINEEDIT_HISTORY - 1u) % LINEEDIT_HISTORY;
	if (e->len == 0 || (e->history_count > 0 && str_equal(e->history[last], e->text)))
		return;
	memcpy(e->history[e->history_next], e->text, e->len + 1u);
	e->history_next = (uint8_t)((e->history_next + 1) % LINEEDIT_HISTORY);
	e->history_count = (uint8_t)MIN(e->history_count + 1, LINEEDIT_HISTORY);
}

static void look_back(struct lineedit *e, int step)
{
	int back = e->back + step;
	if (back < 0 || back > e->history_count) {
		bell(e);
		return;
	}
	if (e->back == 0)
		memcpy(e->draft, e->text, e->len + 1u);
	e->back = (uint8_t)back;
	replace(e,
		back ? e->history[(e->history_next + LINEEDIT_HISTORY - (unsigned)back) % LINEEDIT_HISTORY] : e->draft);
}

/* --- completion --- */

/* The i-th candidate for the word that begins at `word` and is typed up to the cursor; NULL past the last. */
static const char *matching(struct lineedit *e, unsigned word, unsigned *i)
{
	char before[LINEEDIT_MAX + 1];
	const char *c;
	memcpy(before, e->text, word);
	before[word] = '\0';
	while ((c = e->ops->candidate(e, before, (*i)++)))
		if (strncmp(c, e->text + word, e->cursor - word) == 0)
			return c;
	return NULL;
}

static void show_choices(struct lineedit *e, unsigned word)
{
	const char *c;
	show_string(e, "\n");
	for (unsigned i = 0; (c = matching(e, word, &i));) {
		show_string(e, c);
		show_string(e, "  ");
	}
	show_string(e, "\n");
	show_string(e, e->prompt);
	redraw_from(e, 0, 0);
}

static void complete(struct lineedit *e)
{
	unsigned word = e->cursor, i = 0, choices = 0;
	while (word > 0 && e->text[word - 1] != ' ')
		word--;
	const char *first = NULL, *c;
	size_t common = 0;
	while (e->ops->candidate && (c = matching(e, word, &i))) {
		if (choices++ == 0) {
			first = c;
			common = strlen(c);
			continue;
		}
		size_t same = 0;
		while (same < common && c[same] == first[same])
			same++;
		common = same;
	}
	size_t typed = e->cursor - word;
	if (choices == 0) {
		bell(e);
		return;
	}
	if (common > typed)
		insert(e, first + typed, common - typed);
	if (choices == 1) {
		if (e->cursor == e->len)
			insert(e, " ", 1);
	} else if (e->tabbed) {
		show_choices(e, word);
	} else if (common == typed) {
		bell(e);
		e->tabbed = true;
	}
}

/* --- keys --- */

static void delete_forward(struct lineedit *e)
{
	if (e->cursor < e->len)
		erase(e, e->cursor, e->cursor + 1u, false);
	else
		bell(e);
}

static void step(struct lineedit *e, int by)
{
	int to = e->cursor + by;
	if (to < 0 || to > e->len)
		bell(e);
	else
		move_to(e, (unsigned)to);
}

/* The byte behind ESC, or one of a sequence. */
static void escape_byte(struct lineedit *e, uint8_t c)
{
	if (e->escape == 1) {
		e->escape = c == '[' || c == 'O' ? 2 : 0;
		e->number = 0;
		return;
	}
	if (c >= '0' && c <= '9') {
		e->number = (uint8_t)(e->number * 10 + c - '0');
		return;
	}
	if (c < 0x40 && c >= 0x20)
		return; /* a further parameter: of no key we know */
	e->escape = 0;
	switch (c) {
	case 'A':
		look_back(e, 1);
		break;
	case 'B':
		look_back(e, -1);
		break;
	case 'C':
		step(e, 1);
		break;
	case 'D':
		step(e, -1);
		break;
	case 'H':
		move_to(e, 0);
		break;
	case 'F':
		move_to(e, e->len);
		break;
	case '~':
		if (e->number == 1 || e->number == 7)
			move_to(e, 0);
		else if (e->number == 4 || e->number == 8)
			move_to(e, e->len);
		else if (e->number == 3)
			delete_forward(e);
		break;
	}
}

/* Keys that end the line. */
static enum lineedit_result ending(struct lineedit *e, uint8_t c)
{
	switch (c) {
	case '\r':
	case '\n':
		show_string(e, "\n");
		remember(e);
		return LINEEDIT_LINE;
	case CTRL('C'):
		show_string(e, "^C\n");
		return LINEEDIT_INTERRUPT;
	case CTRL('D'):
		if (e->len == 0) {
			show_string(e, "\n");
			return LINEEDIT_END;
		}
		break;
	}
	return LINEEDIT_MORE;
}

static void editing(struct lineedit *e, uint8_t c)
{
	switch (c) {
	case CTRL('A'):
		move_to(e, 0);
		break;
	case CTRL('E'):
		move_to(e, e->len);
		break;
	case CTRL('B'):
		step(e, -1);
		break;
	case CTRL('F'):
		step(e, 1);
		break;
	case CTRL('P'):
		look_back(e, 1);
		break;
	case CTRL('N'):
		look_back(e, -1);
		break;
	case CTRL('D'):
		delete_forward(e);
		break;
	case '\b':
	case DEL:
		erase(e, e->cursor ? e->cursor - 1u : 0, e->cursor, false);
		break;
	case CTRL('U'):
		erase(e, 0, e->cursor, true);
		break;
	case CTRL('K'):
		erase(e, e->cursor, e->len, true);
		break;
	case CTRL('W'):
		erase(e, word_before(e), e->cursor, true);
		break;
	case CTRL('Y'):
		insert(e, e->erased, strlen(e->erased));
		break;
	case CTRL('L'):
		show_string(e, "\x1b[H\x1b[2J");
		show_string(e, e->prompt);
		redraw_from(e, 0, 0);
		break;
	default:
		if (c >= ' ' && c < DEL)
			insert(e, (const char *)&c, 1);
		else
			bell(e);
	}
}

enum lineedit_result lineedit_byte(struct lineedit *e, uint8_t c)
{
	enum lineedit_result result = LINEEDIT_MORE;
	if (c == '\t' && !e->escape) {
		complete(e);
		return LINEEDIT_MORE;
	}
	e->tabbed = false;
	if (e->escape && c >= ' ') {
		escape_byte(e, c);
	} else if (c == ESC) {
		e->escape = 1;
	} else {
		e->escape = 0; /* a control key ends a sequence that was cut short */
		result = ending(e, c);
		if (result == LINEEDIT_MORE)
			editing(e, c);
	}
	return result;
}

unsigned lineedit_split(char *line, char **words, unsigned max)
{
	unsigned n = 0;
	while (n < max) {
		while (*line == ' ')
			line++;
		if (!*line)
			break;
		char end = *line == '"' ? '"' : ' ';
		if (end == '"')
			line++;
		words[n++] = line;
		while (*line && *line != end)
			line++;
		if (*line)
			*line++ = '\0';
	}
	return n;
}
