/*
 * PS/2 scan codes (set 1) to what a terminal sends.  Pure; i8042.c brings the codes.
 */
#pragma once

#include "lib/types.h"

#define KEYBOARD_OUT_MAX 8

/* One key's four characters (Unicode). 0: nothing. */
struct keymap_key {
	uint16_t plain, shift, altgr, shift_altgr;
};

#define KEYMAP_KEYS 0x59

struct keymap {
	const char *name;
	struct keymap_key keys[KEYMAP_KEYS]; /* by scan code; keys without characters are all 0 */
};

extern const struct keymap keymap_us;
/* A layout by name ("us"), or NULL. */
const struct keymap *keymap_find(const char *name);

struct keyboard {
	const struct keymap *map;
	uint8_t prefix; /* 0xe0 was the last code */
	uint8_t skip;	/* codes left of the Pause key's sequence */
	bool shift_left, shift_right, ctrl_left, ctrl_right, alt, altgr;
	bool caps_lock, num_lock, scroll_lock;
	bool leds_changed; /* the caller tells the keyboard and clears it */
};

void keyboard_init(struct keyboard *k, const struct keymap *map);
/* Takes one code, writes what the key sends; its length, often 0. application_cursor: DECCKM is set on the terminal. */
size_t keyboard_decode(struct keyboard *k, uint8_t code, bool application_cursor, char out[KEYBOARD_OUT_MAX]);
