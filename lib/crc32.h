/* The CRC-32 of gzip, Ethernet and GPT (reflected polynomial 0xedb88320). */
#pragma once

#include "lib/types.h"

/* Continues a checksum over `len` more bytes; start with crc = 0. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t len);
