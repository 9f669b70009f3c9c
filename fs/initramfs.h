/* Unpacks the boot initramfs (newc cpio, plain or gzip, concatenated) into the root file system. */
#pragma once

#include "fs/vfs.h"
#include "lib/types.h"

/* -EINVAL (corrupt: logged with cause, place and remedy), -ENOMEM (too little memory, logged with how much is needed),
 * -ENOENT (none). Thread context. What was unpacked before an error stays, as on Linux. Frees the initrd's memory. */
int initramfs_unpack(paddr_t base, uint64_t len_bytes) must_check;
/* The same from memory that stays the caller's, into who's working directory and root. */
int initramfs_unpack_bytes(const struct actor *who, const void *src, uint64_t len_bytes) must_check;
