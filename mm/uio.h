/*
 * Where bytes of a read or write come from or go to: a program's buffers (one or an iovec) or kernel memory, behind one
 * cursor. Every file operation takes one, so each exists once for read, readv, preadv, sendfile and the kernel itself.
 */
#pragma once

#include "lib/types.h"

struct uio_segment {
	uint64_t base; /* user or kernel address */
	uint64_t len;
};

struct uio {
	const struct uio_segment *seg; /* current one; borrowed */
	size_t seg_done;	       /* bytes of it already used */
	size_t left;		       /* bytes left in all */
	bool kernel;
	struct uio_segment one;
};

#define UIO_SEGMENTS_MAX 1024 /* UIO_MAXIOV */

/* len is clamped to 0x7ffff000 as Linux does. -EFAULT if the range is not a program's. */
int uio_init_user(struct uio *u, uptr_t buf, size_t len) must_check;
void uio_init_kernel(struct uio *u, void *buf, size_t len);
/* segs: borrowed, already validated by uio_import. */
void uio_init_segments(struct uio *u, const struct uio_segment *segs, unsigned count);
/*
 * Reads an iovec array (man 2 readv) into segs[] (room for max); -EINVAL, -EFAULT. Total clamped as Linux does.
 */
int uio_import(uptr_t iov, unsigned long count, struct uio_segment *segs, unsigned max) must_check;

/* All advance the cursor by what was done. len must be <= u->left. 0 or -EFAULT (what was done before the fault stays
 * counted). */
int uio_put(struct uio *u, const void *src, size_t len) must_check; /* kernel → buffer (a read) */
int uio_get(struct uio *u, void *dst, size_t len) must_check;	    /* buffer → kernel (a write) */
int uio_put_zero(struct uio *u, size_t len) must_check;
void uio_skip(struct uio *u, size_t len);
