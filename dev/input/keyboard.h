/*
 * PS/2 scan codes (set 1) to what a terminal sends.  Pure; i8042.c brings the codes.
 */
#pragma once

#include "lib/types.h"

#define KEYBOARD_OUT_MAX 8

/* One key's four characters (Unicode), or dead keys. 0: nothing. */
struct keymap_key {
	uint16_t plain, shift, altgr, shift_altgr;
	bool caps; /* Caps Lock turns it, as it does every a to z */
};

/* A dead key waits for the next: 0xf400 + the accent's number, as in loadkeys' tables (private-use code points). */
#define KEYMAP_DEAD 0xf400
#define KEYMAP_ACCENTS 13
extern const uint16_t keymap_accents[KEYMAP_ACCENTS]; /* each accent by itself */

struct keymap_compose {
	uint16_t dead, letter, result;
};

#define KEYMAP_KEYS 0x59

struct keymap {
	const char *name;
	bool altgr; /* the right Alt key is AltGr; otherwise it is a second Alt */
	const struct keymap_compose *compose;
	unsigned compose_count;
	struct keymap_key keys[KEYMAP_KEYS]; /* by scan code; keys without characters are all 0 */
};

/* Made from loadkeys' keymaps by tools/keymap, NULL at the end. */
extern const struct keymap *const keymaps_generated[];

extern const struct keymap keymap_us;
/* A layout by name ("us"), or NULL. */
const struct keymap *keymap_find(const char *name);

struct keyboard {
	const struct keymap *map;
	uint8_t prefix;	    /* 0xe0 was the last code */
	uint8_t skip;	    /* codes left of the Pause key's sequence */
	uint16_t dead;	    /* the dead key that was pressed before; 0: none */
	uint8_t locks_held; /* a held lock key repeats, and must not toggle each time */
	bool shift_left, shift_right, ctrl_left, ctrl_right, alt, altgr;
	bool caps_lock, num_lock, scroll_lock;
	bool attention;	   /* Alt-SysRq was pressed; the caller reports it and clears it */
	bool leds_changed; /* the caller tells the keyboard and clears it */
};

void keyboard_init(struct keyboard *k, const struct keymap *map);
/* Takes one code, writes what the key sends; its length, often 0. application_cursor: DECCKM is set on the terminal. */
size_t keyboard_decode(struct keyboard *k, uint8_t code, bool application_cursor, char out[KEYBOARD_OUT_MAX]);
