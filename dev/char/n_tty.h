/*
 * The N_TTY line discipline as a pure machine: bytes of the line in, edited lines and echo out.  Theory in n_tty.c.
 *
 * It knows neither hardware nor processes nor locks; dev/char/tty.c feeds it under the terminal's input lock and
 * carries out what it asks for, and tests/host drives it on the host.
 */
#pragma once

#include <asm/termbits.h>
#include "lib/types.h"

#define NTTY_BUFFER 4096 /* the longest line, with its end */
#define NTTY_ECHO 2048

/* What the tty core must do after ntty_receive: bits of ntty.effects, cleared by the core. */
enum ntty_effect {
	NTTY_SIGINT = 1 << 0,
	NTTY_SIGQUIT = 1 << 1,
	NTTY_SIGTSTP = 1 << 2,
	NTTY_FLUSH_OUTPUT = 1 << 3, /* forget what the driver has queued: a signal character came without NOFLSH */
	NTTY_FLOW = 1 << 4,	    /* `stopped` changed */
	NTTY_READABLE = 1 << 5,	    /* there is more to read than before */
};
#define NTTY_SIGNALS (NTTY_SIGINT | NTTY_SIGQUIT | NTTY_SIGTSTP)

struct ntty {
	struct termios2 termios; /* change it through ntty_set_termios() only */
	/* Positions run freely; byte p is at p % NTTY_BUFFER. tail <= canon <= head. */
	uint32_t tail;	/* next byte to read */
	uint32_t canon; /* end of the complete lines; only these can be read in canonical mode */
	uint32_t head;	/* end of what was typed */
	uint32_t effects;
	uint32_t column;      /* where the terminal's cursor is, as far as output processing can tell */
	uint32_t line_column; /* where it was when the line being typed began */
	uint32_t echo_head, echo_tail;
	uint32_t dropped;		     /* bytes there was no room for */
	bool lnext;			     /* the next byte is literal (VLNEXT) */
	bool erasing;			     /* inside \.../ of ECHOPRT */
	bool stopped;			     /* output is held (VSTOP) */
	uint64_t line_end[NTTY_BUFFER / 64]; /* bit: the byte ends a line; a NUL with it is an end-of-file mark */
	uint8_t buffer[NTTY_BUFFER];
	uint8_t echo[NTTY_ECHO]; /* echo that waits for the driver, already processed for output */
};

void ntty_init(struct ntty *n);
/* Takes new settings; switching canonical mode on makes what was typed so far a line. */
void ntty_set_termios(struct ntty *n, const struct termios2 *t);
/* Bytes from the line. Returns how many there was room for (or that were acted on). Sets n->effects. */
size_t ntty_receive(struct ntty *n, const uint8_t *bytes, size_t len);

/* Whether a read would find something: a line in canonical mode, else at least `min` bytes (and one). */
bool ntty_readable(const struct ntty *n, uint32_t min);
/*
 * How many more bytes the queue takes; 0: hold the line until a reader has been there. While a line is being edited and
 * none waits to be read there is always room (what does not fit is dropped): or nobody could end or erase the line.
 */
size_t ntty_room(const struct ntty *n);
/* Bytes a read could get now (FIONREAD). */
uint32_t ntty_available(const struct ntty *n);
/*
 * Copies up to len bytes and takes them; *line_done when canonical mode says the read ends here. 0 with *line_done:
 * end of file.
 */
size_t ntty_read(struct ntty *n, uint8_t *to, size_t len, bool *line_done);

/*
 * Output processing: up to `room` bytes into `to`; *used says how much of the input that took. Returns the bytes
 * produced.
 */
size_t ntty_output(struct ntty *n, const uint8_t *from, size_t len, size_t *used, uint8_t *to, size_t room);
#define NTTY_OUTPUT_MAX 8 /* a single byte becomes at most this many (a tab) */

/* Echo that waits: a contiguous piece, and taking it. */
size_t ntty_echo_peek(const struct ntty *n, const uint8_t **bytes);
void ntty_echo_take(struct ntty *n, size_t len);

void ntty_flush_input(struct ntty *n);
