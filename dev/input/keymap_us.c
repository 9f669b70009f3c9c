/* The US layout, which is always there, and the search among it and those made at build time (mk/keymap.mk). */
#include "dev/input/keyboard.h"
#include "lib/string.h"

#define KEY(plain_, shift_)                          \
	{                                            \
		.plain = (plain_), .shift = (shift_) \
	}

const struct keymap keymap_us = {
	.name = "us",
	.keys =
		{
			[0x02] = KEY('1', '!'),	 [0x03] = KEY('2', '@'),  [0x04] = KEY('3', '#'),
			[0x05] = KEY('4', '$'),	 [0x06] = KEY('5', '%'),  [0x07] = KEY('6', '^'),
			[0x08] = KEY('7', '&'),	 [0x09] = KEY('8', '*'),  [0x0a] = KEY('9', '('),
			[0x0b] = KEY('0', ')'),	 [0x0c] = KEY('-', '_'),  [0x0d] = KEY('=', '+'),
			[0x10] = KEY('q', 'Q'),	 [0x11] = KEY('w', 'W'),  [0x12] = KEY('e', 'E'),
			[0x13] = KEY('r', 'R'),	 [0x14] = KEY('t', 'T'),  [0x15] = KEY('y', 'Y'),
			[0x16] = KEY('u', 'U'),	 [0x17] = KEY('i', 'I'),  [0x18] = KEY('o', 'O'),
			[0x19] = KEY('p', 'P'),	 [0x1a] = KEY('[', '{'),  [0x1b] = KEY(']', '}'),
			[0x1e] = KEY('a', 'A'),	 [0x1f] = KEY('s', 'S'),  [0x20] = KEY('d', 'D'),
			[0x21] = KEY('f', 'F'),	 [0x22] = KEY('g', 'G'),  [0x23] = KEY('h', 'H'),
			[0x24] = KEY('j', 'J'),	 [0x25] = KEY('k', 'K'),  [0x26] = KEY('l', 'L'),
			[0x27] = KEY(';', ':'),	 [0x28] = KEY('\'', '"'), [0x29] = KEY('`', '~'),
			[0x2b] = KEY('\\', '|'), [0x2c] = KEY('z', 'Z'),  [0x2d] = KEY('x', 'X'),
			[0x2e] = KEY('c', 'C'),	 [0x2f] = KEY('v', 'V'),  [0x30] = KEY('b', 'B'),
			[0x31] = KEY('n', 'N'),	 [0x32] = KEY('m', 'M'),  [0x33] = KEY(',', '<'),
			[0x34] = KEY('.', '>'),	 [0x35] = KEY('/', '?'),  [0x39] = KEY(' ', ' '),
			[0x56] = KEY('<', '>'),
		},
};

const struct keymap *keymap_find(const char *name)
{
	for (const struct keymap *const *m = keymaps_generated; *m; m++)
		if (str_equal((*m)->name, name))
			return *m;
	return str_equal(keymap_us.name, name) ? &keymap_us : NULL;
}
