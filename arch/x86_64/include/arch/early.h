/* Output before any driver: the first serial port by polling. Also the panic path's last resort. Any context. */
#pragma once

#include "lib/types.h"

void early_console_write(const char *s, size_t len);
bool early_console_present(void);
/* The next byte that came in, -1: none yet. Only while no driver reads the port: after a panic. */
int early_console_read(void);
