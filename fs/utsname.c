/* The system's names (man 2 uname, sethostname).  The two a program may set are kept here. */
#include "fs/utsname.h"

#include <arch/cpu.h>

#include "lib/version.h"
#include "lib/string.h"
#include "sync/spinlock.h"

static struct spinlock uts_lock = SPINLOCK_INIT(LOCK_LEAF, "utsname");
static char hostname[__NEW_UTS_LEN + 1] = "(none)", domainname[__NEW_UTS_LEN + 1] = "(none)"; /* uts_lock */

void utsname_get(struct new_utsname *out)
{
	*out = (struct new_utsname){
		.sysname = UTS_SYSNAME,
		.release = UTS_RELEASE,
		.version = UTS_VERSION,
		.machine = ARCH_NAME,
	};
	SPIN_GUARD(&uts_lock);
	memcpy(out->nodename, hostname, sizeof(hostname));
	memcpy(out->domainname, domainname, sizeof(domainname));
}

void utsname_set(bool domain, const char *name)
{
	char *to = domain ? domainname : hostname;

	SPIN_GUARD(&uts_lock);
	memset(to, 0, sizeof(hostname)); /* no rest of a longer name reaches a program */
	strlcpy(to, name, sizeof(hostname));
}
