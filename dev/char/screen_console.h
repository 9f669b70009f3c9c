/* What others need of the screen's terminal, tty1. */
#pragma once

#include "lib/types.h"

struct tty;

/* The screen's terminal, or NULL where there is no screen. */
struct tty *screen_console_tty(void);
/* Programs asked for the other cursor-key sequences (DECCKM). Any context. */
bool screen_console_application_cursor(void);
/* For tests: calls fn with the screen's lock held. False: there is no screen. */
bool screen_console_locked(void (*fn)(void));
