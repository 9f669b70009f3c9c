/*
 * N_TTY: theory.
 *
 * Purpose: what POSIX calls general terminal interface (man 3 termios) and Linux implements with a few more
 * characters: line editing and echo in canonical mode, a plain queue otherwise, characters that send signals or hold
 * the output, and output processing.
 *
 * The input queue is one ring. In canonical mode a line is edited in place at its end, [canon, head), and becomes
 * readable when a line end is typed: its bit in line_end[] is set and canon moves up. Outside canonical mode
 * everything up to head is readable and canon has no meaning. End of file is a line end whose byte is NUL (no line-end
 * character can be NUL: a NUL in c_cc means "none").
 *
 * Echo goes through output processing (so that columns are right) into a ring of its own, which the core empties into
 * the driver before any later output. Echo that finds its ring full is dropped; input never waits for output.
 *
 * A full input queue drops ordinary bytes but still acts on signal, flow and editing characters, so Ctrl-C always
 * works. The last place is kept for a line end: the longest line is NTTY_BUFFER - 1 bytes and its end.
 *
 * Locking: the caller's (struct tty's input lock).  Nothing here allocates, sleeps or fails.
 */
#include "dev/char/n_tty.h"
#include "lib/string.h"

#define CTRL(c) ((c) ^ 0x40)
#define BELL 0x07
#define DEL 0x7f

static inline bool lflag(const struct ntty *n, unsigned f)
{
	return n->termios.c_lflag & f;
}

static inline bool iflag(const struct ntty *n, unsigned f)
{
	return n->termios.c_iflag & f;
}

static inline bool oflag(const struct ntty *n, unsigned f)
{
	return n->termios.c_oflag & f;
}

/* Whether c is the special character `which`; NUL there means there is none. */
static inline bool is_char(const struct ntty *n, uint8_t c, unsigned which)
{
	return c != 0 && c == n->termios.c_cc[which];
}

static inline bool is_control(uint8_t c)
{
	return c < 0x20 || c == DEL;
}

static inline bool is_continuation(const struct ntty *n, uint8_t c)
{
	return iflag(n, IUTF8) && (c & 0xc0) == 0x80;
}

static inline uint8_t byte_at(const struct ntty *n, uint32_t pos)
{
	return n->buffer[pos % NTTY_BUFFER];
}

static inline bool ends_line(const struct ntty *n, uint32_t pos)
{
	return n->line_end[pos % NTTY_BUFFER / 64] >> (pos % 64) & 1;
}

static inline void line_end_set(struct ntty *n, uint32_t pos, bool on)
{
	uint64_t *word = &n->line_end[pos % NTTY_BUFFER / 64];
	*word = on ? *word | BIT(pos % 64) : *word & ~BIT(pos % 64);
}

/* --- output processing --- */

/* One byte; returns how many it became (0..NTTY_OUTPUT_MAX). */
static unsigned output_byte(struct ntty *n, uint8_t c, uint8_t *to)
{
	switch (c) {
	case '\n':
		if (oflag(n, ONLRET))
			n->column = 0;
		if (oflag(n, ONLCR)) {
			n->column = 0;
			to[0] = '\r';
			to[1] = '\n';
			return 2;
		}
		break;
	case '\r':
		if (oflag(n, ONOCR) && n->column == 0)
			return 0;
		if (oflag(n, OCRNL)) {
			c = '\n';
			if (oflag(n, ONLRET))
				n->column = 0;
		} else {
			n->column = 0;
		}
		break;
	case '\t': {
		unsigned spaces = 8 - (n->column & 7);
		n->column += spaces;
		if ((n->termios.c_oflag & TABDLY) == XTABS) {
			memset(to, ' ', spaces);
			return spaces;
		}
		break;
	}
	case '\b':
		if (n->column > 0)
			n->column--;
		break;
	default:
		if (is_control(c))
			break;
		if (oflag(n, OLCUC) && c >= 'a' && c <= 'z')
			c = (uint8_t)(c - 'a' + 'A');
		if (!is_continuation(n, c))
			n->column++;
		break;
	}
	to[0] = c;
	return 1;
}

size_t ntty_output(struct ntty *n, const uint8_t *from, size_t len, size_t *used, uint8_t *to, size_t room)
{
	size_t in = 0, out = 0;
	if (!oflag(n, OPOST)) {
		in = out = MIN(len, room);
		memcpy(to, from, in);
	} else {
		bool plain = !oflag(n, OLCUC);
		while (in < len && room - out >= NTTY_OUTPUT_MAX) {
			uint8_t c = from[in++];
			if (likely(plain && c >= ' ' && c < DEL)) {
				to[out++] = c;
				n->column++;
			} else {
				out += output_byte(n, c, to + out);
			}
		}
	}
	*used = in;
	return out;
}

/* --- echo --- */

static void echo_put(struct ntty *n, uint8_t c)
{
	uint8_t out[NTTY_OUTPUT_MAX] = {c};
	unsigned count = oflag(n, OPOST) ? output_byte(n, c, out) : 1;
	if (NTTY_ECHO - (n->echo_head - n->echo_tail) < count)
		return;
	for (unsigned i = 0; i < count; i++)
		n->echo[n->echo_head++ % NTTY_ECHO] = out[i];
}

static void echo_string(struct ntty *n, const char *s)
{
	while (*s)
		echo_put(n, (uint8_t)*s++);
}

/* A byte as the user shall see it: control characters as ^X where ECHOCTL asks for it. */
static void echo_visible(struct ntty *n, uint8_t c)
{
	if (lflag(n, ECHOCTL) && is_control(c) && c != '\t') {
		echo_put(n, '^');
		echo_put(n, CTRL(c));
	} else {
		echo_put(n, c);
	}
}

static void echo_finish_erasing(struct ntty *n)
{
	if (n->erasing) {
		echo_put(n, '/');
		n->erasing = false;
	}
}

/* How many columns the byte takes when echoed at this column. */
static unsigned echo_width(const struct ntty *n, uint8_t c, unsigned column)
{
	if (c == '\t')
		return 8 - (column & 7);
	if (is_control(c))
		return lflag(n, ECHOCTL) ? 2 : 0;
	return is_continuation(n, c) ? 0 : 1;
}

/* Column at which the line being typed ends, counted from its start: needed to go back over a tab. */
static unsigned typed_column(const struct ntty *n)
{
	unsigned column = n->line_column;
	for (uint32_t p = n->canon; p != n->head; p++)
		column += echo_width(n, byte_at(n, p), column);
	return column;
}

/* Takes the character that began at n->head (already removed from the queue) off the screen. */
static void echo_erase(struct ntty *n, uint8_t c)
{
	if (c == '\t') {
		unsigned target = typed_column(n);
		for (unsigned i = 0; i < 8 && n->column > target; i++)
			echo_put(n, '\b');
		return;
	}
	for (unsigned i = echo_width(n, c, 0); i > 0; i--)
		echo_string(n, "\b \b");
}

size_t ntty_echo_peek(const struct ntty *n, const uint8_t **bytes)
{
	uint32_t at = n->echo_tail % NTTY_ECHO;
	*bytes = &n->echo[at];
	return MIN(n->echo_head - n->echo_tail, NTTY_ECHO - at);
}

void ntty_echo_take(struct ntty *n, size_t len)
{
	n->echo_tail += (uint32_t)len;
}

/* --- the queue --- */

/* False: no room. A line end may take the place that is kept for it. */
static bool queue_put(struct ntty *n, uint8_t c, bool end)
{
	uint32_t used = n->head - n->tail;
	if (used >= NTTY_BUFFER - 1 && !(end && used < NTTY_BUFFER)) {
		n->dropped++;
		if (iflag(n, IMAXBEL))
			echo_put(n, BELL);
		return false;
	}
	line_end_set(n, n->head, end);
	n->buffer[n->head++ % NTTY_BUFFER] = c;
	if (end)
		n->canon = n->head;
	if (end || !lflag(n, ICANON))
		n->effects |= NTTY_READABLE;
	return true;
}

void ntty_flush_input(struct ntty *n)
{
	n->tail = n->canon = n->head;
	n->lnext = n->erasing = false;
}

/* --- line editing --- */

enum erase_kind { ERASE_CHAR, ERASE_WORD, ERASE_LINE };

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

/*
 * Removes the last character, which may be several bytes, and returns its first byte through *first. False: none that
 * is whole.
 */
static bool remove_last(struct ntty *n, uint8_t *first, bool only_if_not_word)
{
	uint32_t pos = n->head;
	uint8_t c;
	do {
		c = byte_at(n, --pos);
	} while (is_continuation(n, c) && pos != n->canon);
	if (is_continuation(n, c) || (only_if_not_word && !is_word(c)))
		return false;
	*first = c;
	n->head = pos;
	return true;
}

static void erase(struct ntty *n, enum erase_kind kind, uint8_t typed)
{
	if (n->canon == n->head)
		return;
	if (kind == ERASE_LINE) {
		if (!lflag(n, ECHO)) {
			n->head = n->canon;
			return;
		}
		if (!lflag(n, ECHOK) || !lflag(n, ECHOKE) || !lflag(n, ECHOE)) {
			n->head = n->canon;
			echo_finish_erasing(n);
			echo_visible(n, typed);
			if (lflag(n, ECHOK))
				echo_put(n, '\n');
			return;
		}
	}
	bool in_word = false;
	while (n->head != n->canon) {
		uint8_t c;
		uint32_t end = n->head;
		if (!remove_last(n, &c, kind == ERASE_WORD && in_word))
			break;
		if (is_word(c))
			in_word = true;
		if (lflag(n, ECHO)) {
			if (lflag(n, ECHOPRT)) {
				if (!n->erasing) {
					echo_put(n, '\\');
					n->erasing = true;
				}
				echo_visible(n, c);
				for (uint32_t p = n->head + 1; p != end; p++)
					echo_put(n, byte_at(n, p));
			} else if (kind == ERASE_CHAR && !lflag(n, ECHOE)) {
				echo_visible(n, typed);
			} else {
				echo_erase(n, c);
			}
		}
		if (kind == ERASE_CHAR)
			break;
	}
	if (n->head == n->canon && lflag(n, ECHO))
		echo_finish_erasing(n);
}

static void reprint(struct ntty *n, uint8_t typed)
{
	echo_finish_erasing(n);
	echo_visible(n, typed);
	echo_put(n, '\n');
	n->line_column = n->column;
	for (uint32_t p = n->canon; p != n->head; p++)
		echo_visible(n, byte_at(n, p));
}

/* --- input --- */

static void flow_set(struct ntty *n, bool stopped)
{
	if (n->stopped != stopped) {
		n->stopped = stopped;
		n->effects |= NTTY_FLOW;
	}
}

static void signal_char(struct ntty *n, uint8_t c, enum ntty_effect signal)
{
	if (!lflag(n, NOFLSH)) {
		ntty_flush_input(n);
		n->echo_tail = n->echo_head;
		n->effects |= NTTY_FLUSH_OUTPUT;
	}
	n->effects |= signal;
	if (iflag(n, IXON))
		flow_set(n, false);
	if (lflag(n, ECHO))
		echo_visible(n, c);
}

static bool receive_literal(struct ntty *n, uint8_t c)
{
	if (lflag(n, ECHO)) {
		echo_finish_erasing(n);
		if (n->canon == n->head)
			n->line_column = n->column;
		if (c == '\n' && !n->lnext)
			echo_put(n, '\n');
		else
			echo_visible(n, c);
	}
	if (iflag(n, PARMRK) && c == 0xff && !queue_put(n, c, false)) /* so that a program can tell it from a mark */
		return false;
	return queue_put(n, c, false);
}

/* Editing characters and line ends. True: c was one and is dealt with (*stored says whether it found room). */
static bool receive_canonical(struct ntty *n, uint8_t c, bool *stored)
{
	bool extended = lflag(n, IEXTEN);
	if (is_char(n, c, VERASE)) {
		erase(n, ERASE_CHAR, c);
	} else if (is_char(n, c, VKILL)) {
		erase(n, ERASE_LINE, c);
	} else if (extended && is_char(n, c, VWERASE)) {
		erase(n, ERASE_WORD, c);
	} else if (extended && is_char(n, c, VLNEXT)) {
		n->lnext = true;
		if (lflag(n, ECHO)) {
			echo_finish_erasing(n);
			if (n->canon == n->head)
				n->line_column = n->column;
			if (lflag(n, ECHOCTL))
				echo_string(n, "^\b");
		}
	} else if (extended && lflag(n, ECHO) && is_char(n, c, VREPRINT)) {
		reprint(n, c);
	} else if (c == '\n') {
		*stored = queue_put(n, c, true);
		if (*stored && (lflag(n, ECHO) || lflag(n, ECHONL))) {
			echo_finish_erasing(n);
			echo_put(n, '\n');
		}
	} else if (is_char(n, c, VEOF)) {
		*stored = queue_put(n, 0, true);
	} else if (is_char(n, c, VEOL) || (extended && is_char(n, c, VEOL2))) {
		if (lflag(n, ECHO)) {
			if (n->canon == n->head)
				n->line_column = n->column;
			echo_visible(n, c);
		}
		*stored = queue_put(n, c, true);
	} else {
		return false;
	}
	return true;
}

static bool receive_byte(struct ntty *n, uint8_t c)
{
	if (iflag(n, ISTRIP))
		c &= 0x7f;
	if (iflag(n, IUCLC) && lflag(n, IEXTEN) && c >= 'A' && c <= 'Z')
		c = (uint8_t)(c - 'A' + 'a');
	if (n->lnext) {
		bool stored = receive_literal(n, c);
		n->lnext = false;
		return stored;
	}
	if (iflag(n, IXON)) {
		bool start = is_char(n, c, VSTART), stop = is_char(n, c, VSTOP);
		if (start || stop) {
			flow_set(n, stop && !(start && n->stopped)); /* the same character for both: it toggles */
			return true;
		}
		if (iflag(n, IXANY))
			flow_set(n, false);
	}
	if (lflag(n, ISIG)) {
		enum ntty_effect signal = is_char(n, c, VINTR) ? NTTY_SIGINT
			: is_char(n, c, VQUIT)		       ? NTTY_SIGQUIT
			: is_char(n, c, VSUSP)		       ? NTTY_SIGTSTP
							       : 0;
		if (signal) {
			signal_char(n, c, signal);
			return true;
		}
	}
	if (c == '\r') {
		if (iflag(n, IGNCR))
			return true;
		if (iflag(n, ICRNL))
			c = '\n';
	} else if (c == '\n' && iflag(n, INLCR)) {
		c = '\r';
	}
	bool stored = true;
	if (lflag(n, ICANON) && receive_canonical(n, c, &stored))
		return stored;
	return receive_literal(n, c);
}

size_t ntty_receive(struct ntty *n, const uint8_t *bytes, size_t len)
{
	size_t taken = 0;
	for (size_t i = 0; i < len; i++)
		taken += receive_byte(n, bytes[i]);
	return taken;
}

/* --- reading --- */

bool ntty_readable(const struct ntty *n, uint32_t min)
{
	if (lflag(n, ICANON))
		return n->canon != n->tail;
	return n->head - n->tail >= MAX(min, 1u);
}

size_t ntty_room(const struct ntty *n)
{
	uint32_t used = n->head - n->tail;
	if (lflag(n, ICANON) && n->canon == n->tail)
		return NTTY_BUFFER;
	return used < NTTY_BUFFER - 1 ? NTTY_BUFFER - 1 - used : 0;
}

uint32_t ntty_available(const struct ntty *n)
{
	if (!lflag(n, ICANON))
		return n->head - n->tail;
	uint32_t count = 0;
	for (uint32_t p = n->tail; p != n->canon; p++)
		if (!(ends_line(n, p) && byte_at(n, p) == 0))
			count++;
	return count;
}

size_t ntty_read(struct ntty *n, uint8_t *to, size_t len, bool *line_done)
{
	size_t count = 0;
	*line_done = false;
	if (!lflag(n, ICANON)) {
		count = MIN(len, (size_t)(n->head - n->tail));
		uint32_t at = n->tail % NTTY_BUFFER;
		size_t first = MIN(count, (size_t)(NTTY_BUFFER - at));
		memcpy(to, n->buffer + at, first);
		memcpy(to + first, n->buffer, count - first);
		n->tail += (uint32_t)count;
		/* canon is not used here but must not stay behind */
		n->canon = n->head;
		return count;
	}
	while (n->tail != n->canon && !*line_done) {
		uint8_t c = byte_at(n, n->tail);
		bool end = ends_line(n, n->tail);
		/*
		 * An end-of-file mark right behind the last byte asked for belongs to this read, or the next would see
		 * a file end.
		 */
		if (count == len && !(end && c == 0 && len > 0))
			break;
		n->tail++;
		*line_done = end;
		if (!(end && c == 0))
			to[count++] = c;
	}
	return count;
}

/* --- settings --- */

void ntty_set_termios(struct ntty *n, const struct termios2 *t)
{
	bool was_canonical = lflag(n, ICANON);
	bool had_flow = iflag(n, IXON);
	n->termios = *t;
	if (lflag(n, ICANON) && !was_canonical) {
		memset(n->line_end, 0, sizeof(n->line_end));
		n->canon = n->tail;
		if (n->head != n->tail) {
			line_end_set(n, n->head - 1, true);
			n->canon = n->head;
		}
		n->line_column = n->column;
		n->lnext = n->erasing = false;
	}
	if (had_flow && !iflag(n, IXON))
		flow_set(n, false);
	n->effects |= NTTY_READABLE; /* what counts as readable may have changed */
}

void ntty_init(struct ntty *n)
{
	memset(n, 0, sizeof(*n));
	n->termios = (struct termios2){
		.c_iflag = ICRNL | IXON,
		.c_oflag = OPOST | ONLCR,
		.c_cflag = B38400 | CS8 | CREAD | HUPCL,
		.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
		.c_cc = {[VINTR] = CTRL('C'),
			 [VQUIT] = CTRL('\\'),
			 [VERASE] = DEL,
			 [VKILL] = CTRL('U'),
			 [VEOF] = CTRL('D'),
			 [VTIME] = 0,
			 [VMIN] = 1,
			 [VSTART] = CTRL('Q'),
			 [VSTOP] = CTRL('S'),
			 [VSUSP] = CTRL('Z'),
			 [VREPRINT] = CTRL('R'),
			 [VDISCARD] = CTRL('O'),
			 [VWERASE] = CTRL('W'),
			 [VLNEXT] = CTRL('V')},
		.c_ispeed = 38400,
		.c_ospeed = 38400,
	};
}
