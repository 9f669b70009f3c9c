/* The PS/2 keyboard by polling (dev/input/keyboard_poll.h): a decoder of its own, no light is lit. */
#include "dev/input/keyboard_poll.h"

#include <arch/io.h>
#include "core/options.h"
#include "dev/input/keyboard.h"

#define PORT_DATA 0x60
#define PORT_STATUS 0x64
#define STATUS_OUTPUT_FULL BIT(0)
#define STATUS_AUX BIT(5)

static struct keyboard keyboard;
static bool present;
static char typed[KEYBOARD_OUT_MAX];
static size_t typed_len, typed_at;

bool keyboard_poll_init(void)
{
	const struct keymap *map = options.keymap ? keymap_find(options.keymap) : NULL;

	keyboard_init(&keyboard, map ? map : &keymap_us);
	typed_len = typed_at = 0;
	present = io_in8(PORT_STATUS) != 0xff;
	return present;
}

int keyboard_poll(void)
{
	if (!present)
		return -1;
	for (unsigned i = 0; i < 16 && typed_at == typed_len; i++) {
		uint8_t status = io_in8(PORT_STATUS);
		if (!(status & STATUS_OUTPUT_FULL))
			return -1;
		uint8_t code = io_in8(PORT_DATA);
		if (status & STATUS_AUX)
			continue;
		typed_len = keyboard_decode(&keyboard, code, false, typed);
		typed_at = 0;
	}
	return typed_at < typed_len ? (uint8_t)typed[typed_at++] : -1;
}
