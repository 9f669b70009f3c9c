/*
 * The PS/2 keyboard without interrupts: for after a panic, when its driver may have been caught in any state.
 */
#pragma once

#include "lib/types.h"

/* Whether there is a controller; begins with no key held. Any context. */
bool keyboard_poll_init(void);
/* The next byte that was typed, -1: none yet. Any context, no lock. */
int keyboard_poll(void);
