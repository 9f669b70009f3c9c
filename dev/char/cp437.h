/* IBM's code page 437: what the VGA's own font shows. */
#pragma once

#include "lib/types.h"

#define CP437_UNPRINTABLE 0xfe /* a small square */

/* The byte that shows this character or one that resembles it; CP437_UNPRINTABLE for all others. Pure. */
uint8_t cp437_byte(uint32_t code);
