/* umount2(2)'s flags: ABI, but in no header of linux-libc-dev (glibc has them in <sys/mount.h>). */
#pragma once

#define MNT_FORCE 1
#define MNT_DETACH 2
#define MNT_EXPIRE 4
#define UMOUNT_NOFOLLOW 8
