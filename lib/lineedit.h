/*
 * A line editor for a terminal: bytes as they are typed in, what the terminal must show out.  Pure.
 *
 * A line is at most LINEEDIT_MAX characters, so that with a short prompt it stays on one row of an 80-column screen and
 * the cursor can be moved with nothing but backspaces: the same on a dumb terminal, a serial line and a VGA screen.
 * What does not fit, and what makes no sense, rings the bell.
 *
 *     Ctrl-A Home   start        Ctrl-U   erase to the start       Ctrl-P Up     older line
 *     Ctrl-E End    end          Ctrl-K   erase to the end         Ctrl-N Down   newer line
 *     Ctrl-B Left   back         Ctrl-W   erase the word before    Tab           complete; twice: show the choices
 *     Ctrl-F Right  forward      Ctrl-Y   bring erased text back   Ctrl-L        clear the screen
 *     Ctrl-D Del    erase under the cursor; Ctrl-D on an empty line: end       Ctrl-C   drop the line
 *
 * No lock, no allocation: one editor belongs to one reader, in any context.
 */
#pragma once

#include "lib/types.h"

#define LINEEDIT_MAX 66
#define LINEEDIT_HISTORY 16

struct lineedit;

/* Both borrowed for as long as the editor is used. */
struct lineedit_ops {
	void (*show)(struct lineedit *e, const char *text, size_t len);
	/*
	 * The i-th word that may stand where a word begins behind the text `before` (NUL-terminated), in alphabetical
	 * order; NULL past the last. The whole hook may be NULL: no completion.
	 */
	const char *(*candidate)(struct lineedit *e, const char *before, unsigned i);
};

enum lineedit_result {
	LINEEDIT_MORE,	    /* go on */
	LINEEDIT_LINE,	    /* Enter: e->text is the line */
	LINEEDIT_INTERRUPT, /* Ctrl-C: the line is dropped */
	LINEEDIT_END,	    /* Ctrl-D on an empty line */
};

struct lineedit {
	const struct lineedit_ops *ops;
	const char *prompt;
	uint8_t len, cursor;
	char text[LINEEDIT_MAX + 1];   /* NUL-terminated */
	char erased[LINEEDIT_MAX + 1]; /* what Ctrl-Y brings back */
	char draft[LINEEDIT_MAX + 1];  /* the new line, while older ones are looked at */
	char history[LINEEDIT_HISTORY][LINEEDIT_MAX + 1];
	uint8_t history_next;  /* slot the next line goes to */
	uint8_t history_count; /* lines there are */
	uint8_t back;	       /* how many lines back we look; 0: at the draft */
	uint8_t escape;	       /* 0, or what the last byte was of: 1 ESC, 2 ESC [ or ESC O */
	uint8_t number;	       /* of ESC [ number ~ */
	bool tabbed;	       /* the last key was Tab, and there was more than one choice */
};

/* prompt is borrowed; with LINEEDIT_MAX it must fit into a row. */
void lineedit_init(struct lineedit *e, const struct lineedit_ops *ops, const char *prompt);
/* Begins a line: shows the prompt. */
void lineedit_start(struct lineedit *e);
/* Takes one byte. After anything but LINEEDIT_MORE the caller says lineedit_start() when it wants the next line. */
enum lineedit_result lineedit_byte(struct lineedit *e, uint8_t byte);

/*
 * Splits a line at blanks, in place, into at most `max` words; more are cut off. "…" holds a word with blanks together.
 * Returns how many words there are.
 */
unsigned lineedit_split(char *line, char **words, unsigned max);
