/* /dev/kmsg; registered by mem.c. */
#pragma once

#include "core/log.h"
#include "lib/types.h"

int kmsg_register(void);
/* A record as a line of /dev/kmsg into buf (KMSG_LINE_MAX bytes); its length. Pure. */
#define KMSG_LINE_MAX (4 * sizeof(((struct log_record *)0)->text) + 64)
size_t kmsg_format(const struct log_record *r, char *buf);
/* Takes "<N>" off the front of a program's message: facility and level; *text moves behind it. Pure. */
unsigned kmsg_prefix(const char **text, size_t *len);
