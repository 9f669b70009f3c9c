/* Output before any driver: the first serial port by polling. Also the panic path's last resort. Any context. */
#pragma once

#include "lib/types.h"

void early_console_write(const char *s, size_t len);
