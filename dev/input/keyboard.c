/*
 * Scan codes, set 1: a key sends its code when pressed and code + 0x80 when released; keys that came after the first
 * PC/AT send 0xe0 before it; Pause sends 0xe1 and five more. Names below are the keys' places on the US layout.
 *
 * Codes get lost, and lines carry noise, so nothing here waits for a code that may not come: a Pause sequence that goes
 * on otherwise than it must is over, and an overrun (0x00, 0xff) lets go of all modifiers, since their release may be
 * among what is lost.
 *
 * A dead key waits for the next character and becomes one with it; where there is no such character, or a space
 * follows, the accent stands alone. Any other key forgets it.
 *
 * What the keys that are not characters send is the Linux console's (terminfo "linux"). Alt puts ESC before a key's
 * character. AltGr is the right Alt key on layouts that use it, and a second Alt elsewhere.
 */
#include "dev/input/keyboard.h"
#include "lib/string.h"
#include "lib/utf8.h"

#define RELEASED 0x80
#define ESC 0x1b
#define DEL 0x7f

enum scan_code {
	KEY_ESC = 0x01,
	KEY_BACKSPACE = 0x0e,
	KEY_TAB = 0x0f,
	KEY_ENTER = 0x1c,
	KEY_CTRL = 0x1d,
	KEY_SHIFT_LEFT = 0x2a,
	KEY_SLASH = 0x35,
	KEY_SHIFT_RIGHT = 0x36,
	KEY_PAD_STAR = 0x37,
	KEY_ALT = 0x38,
	KEY_CAPS_LOCK = 0x3a,
	KEY_F1 = 0x3b, /* to F10 = 0x44 */
	KEY_NUM_LOCK = 0x45,
	KEY_SCROLL_LOCK = 0x46,
	KEY_PAD_7 = 0x47, /* to the keypad's point = 0x53 */
	KEY_PAD_POINT = 0x53,
	KEY_SYSRQ = 0x54, /* Print with Alt held */
	KEY_F11 = 0x57,
	KEY_F12 = 0x58,
};

/* Keypad from 0x47 on: digit with Num Lock, else a cursor or editing key, named by the last part of what it sends. */
static const char pad_digits[] = "789-456+1230.";
static const char *const pad_keys[] = {"1~", "A", "5~", NULL, "D", "G", "C", NULL, "4~", "B", "6~", "2~", "3~"};
static const char *const function_keys[] = {"[A",  "[B",  "[C",	 "[D",	"[E",  "17~",
					    "18~", "19~", "20~", "21~", "23~", "24~"};

void keyboard_init(struct keyboard *k, const struct keymap *map)
{
	*k = (struct keyboard){.map = map};
}

static size_t send_sequence(char out[KEYBOARD_OUT_MAX], char lead, const char *rest)
{
	size_t n = strlen(rest);
	out[0] = ESC;
	out[1] = lead;
	memcpy(out + 2, rest, n);
	return n + 2;
}

/* A cursor or editing key; only the four arrows (and Home/End elsewhere) know of application mode. */
static size_t send_cursor(char out[KEYBOARD_OUT_MAX], const char *rest, bool application_cursor)
{
	bool arrow = rest[0] >= 'A' && rest[0] <= 'D';
	return send_sequence(out, arrow && application_cursor ? 'O' : '[', rest);
}

/* What Ctrl makes of a character: the control codes, on the digits where VT220 keyboards have them. 0xffff: nothing. */
static uint32_t control_of(uint32_t c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 1;
	if (c >= '@' && c <= '_')
		return c & 0x1f;
	switch (c) {
	case ' ':
	case '2':
	case '`':
		return 0;
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
		return c - '3' + ESC;
	case '/':
	case '-':
		return 0x1f;
	case '8':
	case '?':
		return DEL;
	default:
		return 0xffff;
	}
}

static size_t send_code(const struct keyboard *k, char out[KEYBOARD_OUT_MAX], uint32_t code)
{
	size_t n = 0;
	if (k->alt || (k->altgr && !k->map->altgr))
		out[n++] = ESC;
	return n + utf8_encode(code, out + n);
}

static bool is_dead(uint32_t code)
{
	return code >= KEYMAP_DEAD && code < KEYMAP_DEAD + KEYMAP_ACCENTS;
}

/* A character, or a dead key, behind a dead key. */
static size_t send_composed(struct keyboard *k, char out[KEYBOARD_OUT_MAX], uint32_t code)
{
	uint16_t dead = k->dead;
	uint32_t accent = keymap_accents[dead - KEYMAP_DEAD];

	k->dead = is_dead(code) && code != dead ? (uint16_t)code : 0;
	if (code == ' ' || is_dead(code))
		return send_code(k, out, accent);
	for (unsigned i = 0; i < k->map->compose_count; i++) {
		const struct keymap_compose *c = &k->map->compose[i];
		if (c->dead == dead && c->letter == code)
			return send_code(k, out, c->result);
	}
	size_t n = send_code(k, out, accent);
	return n + utf8_encode(code, out + n);
}

static size_t send_character(struct keyboard *k, uint8_t key, char out[KEYBOARD_OUT_MAX])
{
	if (key >= KEYMAP_KEYS)
		return 0;
	const struct keymap_key *m = &k->map->keys[key];
	bool shift = k->shift_left || k->shift_right;
	bool letter = m->caps || (m->plain >= 'a' && m->plain <= 'z');
	if (k->caps_lock && letter)
		shift = !shift;
	uint32_t code = shift ? m->shift : m->plain;
	if (k->altgr && (m->altgr || m->shift_altgr))
		code = shift ? m->shift_altgr : m->altgr;
	if (!code)
		return 0;
	if (k->ctrl_left || k->ctrl_right) {
		code = control_of(code);
		if (code == 0xffff)
			return 0;
	}
	if (k->dead)
		return send_composed(k, out, code);
	if (is_dead(code)) {
		k->dead = (uint16_t)code;
		return 0;
	}
	return send_code(k, out, code);
}

/* Modifier and lock keys. True: it was one. */
static bool modifier(struct keyboard *k, uint8_t key, bool extended, bool down)
{
	bool *lock;
	switch (key) {
	case KEY_SHIFT_LEFT:
		if (!extended) /* extended: a shift that the keyboard invents around cursor keys */
			k->shift_left = down;
		return true;
	case KEY_SHIFT_RIGHT:
		if (!extended)
			k->shift_right = down;
		return true;
	case KEY_CTRL:
		*(extended ? &k->ctrl_right : &k->ctrl_left) = down;
		return true;
	case KEY_ALT:
		*(extended ? &k->altgr : &k->alt) = down;
		return true;
	case KEY_CAPS_LOCK:
		lock = &k->caps_lock;
		break;
	case KEY_NUM_LOCK:
		lock = &k->num_lock;
		break;
	case KEY_SCROLL_LOCK:
		if (extended)
			return true; /* Ctrl-Break */
		lock = &k->scroll_lock;
		break;
	default:
		return false;
	}
	uint8_t bit = (uint8_t)(1 << (lock - &k->caps_lock));
	if (down && !(k->locks_held & bit)) {
		*lock = !*lock;
		k->leds_changed = true;
	}
	k->locks_held = (uint8_t)(down ? k->locks_held | bit : k->locks_held & ~bit);
	return true;
}

static size_t key_pressed(struct keyboard *k, uint8_t key, bool extended, bool application_cursor,
			  char out[KEYBOARD_OUT_MAX])
{
	bool shift = k->shift_left || k->shift_right, ctrl = k->ctrl_left || k->ctrl_right;
	if (extended || key >= KEYMAP_KEYS || !k->map->keys[key].plain)
		k->dead = 0;
	if (key >= KEY_PAD_7 && key <= KEY_PAD_POINT) {
		unsigned i = key - KEY_PAD_7;
		bool digit = !extended && (k->num_lock != shift || !pad_keys[i]);
		if (digit)
			return send_code(k, out, (uint8_t)pad_digits[i]);
		return pad_keys[i] ? send_cursor(out, pad_keys[i], application_cursor) : 0;
	}
	if (extended)
		return key == KEY_ENTER ? send_code(k, out, '\r') : key == KEY_SLASH ? send_code(k, out, '/') : 0;
	if (key >= KEY_F1 && key < KEY_F1 + 10)
		return send_sequence(out, '[', function_keys[key - KEY_F1]);
	switch (key) {
	case KEY_F11:
	case KEY_F12:
		return send_sequence(out, '[', function_keys[10 + key - KEY_F11]);
	case KEY_ESC:
		return send_code(k, out, ESC);
	case KEY_BACKSPACE:
		return send_code(k, out, ctrl ? '\b' : DEL);
	case KEY_TAB:
		return shift ? send_sequence(out, '[', "Z") : send_code(k, out, '\t');
	case KEY_ENTER:
		return send_code(k, out, ctrl ? '\n' : '\r');
	case KEY_PAD_STAR:
		return send_code(k, out, '*');
	default:
		return send_character(k, key, out);
	}
}

size_t keyboard_decode(struct keyboard *k, uint8_t code, bool application_cursor, char out[KEYBOARD_OUT_MAX])
{
	static const uint8_t pause[] = {0x1d, 0x45, 0xe1, 0x9d, 0xc5}; /* behind its 0xe1: Ctrl and Num Lock, by name */
	if (k->skip) {
		if (code == pause[sizeof(pause) - k->skip]) {
			k->skip--;
			return 0;
		}
		k->skip = 0;
	}
	if (code == 0x00 || code == 0xff) {
		k->prefix = 0;
		k->shift_left = k->shift_right = k->ctrl_left = k->ctrl_right = k->alt = k->altgr = false;
		k->locks_held = 0;
		return 0;
	}
	if (code == 0xe0) {
		k->prefix = code;
		return 0;
	}
	bool extended = k->prefix != 0;
	k->prefix = 0;
	if (code == 0xe1) {
		k->skip = sizeof(pause);
		return 0;
	}
	uint8_t key = code & (uint8_t)~RELEASED;
	bool down = !(code & RELEASED);
	if (key == KEY_SYSRQ) {
		k->attention |= down;
		return 0;
	}
	if (key == 0 || modifier(k, key, extended, down) || !down)
		return 0;
	return key_pressed(k, key, extended, application_cursor, out);
}
