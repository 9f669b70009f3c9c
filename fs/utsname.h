/* The system's names: uname(2), /proc/sys/kernel/{hostname,domainname,ostype,osrelease,version}, /proc/version. Thread
 * context. */
#pragma once

#include <linux/utsname.h>

#include "lib/types.h"

void utsname_get(struct new_utsname *out);
/* name: NUL-terminated, at most __NEW_UTS_LEN characters. */
void utsname_set(bool domain, const char *name);
