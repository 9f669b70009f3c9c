/* What the keyboard driver needs of the screen it types on. */
#pragma once

#include "lib/types.h"

struct tty;

/* The screen's terminal, or NULL where there is no VGA text screen. */
struct tty *vga_console_tty(void);
/* Programs asked for the other cursor-key sequences (DECCKM). */
bool vga_console_application_cursor(void);
