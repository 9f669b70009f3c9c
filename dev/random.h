/* Random bytes for the kernel and programs. Any context; never blocks. */
#pragma once

#include "lib/types.h"

void random_bytes(void *buf, size_t len);
uint64_t random_u64(void);
/* Stirs in unpredictable input. */
void random_mix(const void *buf, size_t len);
/* Something happened at a moment nobody could foretell: a key, a packet. A few instructions; any context. */
void random_event(void);
