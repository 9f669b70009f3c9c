/* Structures that grow with the kernel's age: openat2's open_how, clone3's clone_args (man 2
 * openat2, "Extensibility"). */
#pragma once

#include "lib/types.h"

/*
 * Copies a struct of `size` bytes, as the program's headers know it, into ours of `known` bytes; what the program does
 * not have is zero. -EINVAL when smaller than `min`, -E2BIG when bytes we don't know are not zero, -EFAULT. May sleep.
 */
int extensible_struct(void *dst, size_t known, uptr_t src, uint64_t size, size_t min) must_check;
