/*
 * The cursor over the buffers of a read or write.
 *
 * A single buffer, by far the commonest case, is kept in the uio itself (`one`); an iovec array stays where
 * uio_import() put it.  All copies go through advance(): piece by piece, never across a segment's end, counting what
 * was done so that a fault half-way leaves a correct partial count.
 */
#include "mm/uio.h"

#include <asm/errno.h>
#include <linux/uio.h>

#include "core/panic.h"
#include "lib/string.h"
#include "mm/usercopy.h"

#define UIO_LEN_MAX 0x7ffff000ull /* man 2 read: "at most 0x7ffff000" */

_Static_assert(sizeof(struct iovec) == sizeof(struct uio_segment), "an imported iovec is an array of segments");

static void uio_init_one(struct uio *u, uint64_t base, uint64_t len, bool kernel)
{
	u->one = (struct uio_segment){base, len};
	u->seg = &u->one;
	u->seg_done = 0;
	u->left = len;
	u->kernel = kernel;
}

int uio_init_user(struct uio *u, uptr_t buf, size_t len)
{
	if (!user_range_ok(buf, len))
		return -EFAULT;
	uio_init_one(u, buf.v, MIN(len, UIO_LEN_MAX), false);
	return 0;
}

void uio_init_kernel(struct uio *u, void *buf, size_t len)
{
	uio_init_one(u, (uintptr_t)buf, len, true);
}

void uio_init_segments(struct uio *u, const struct uio_segment *segs, unsigned count)
{
	u->seg = segs;
	u->seg_done = 0;
	u->left = 0;
	u->kernel = false;
	for (unsigned i = 0; i < count; i++)
		u->left += segs[i].len;
}

int uio_import(uptr_t iov, unsigned long count, struct uio_segment *segs, unsigned max)
{
	if (count > max)
		return -EINVAL;
	if (copy_from_user(segs, iov, count * sizeof *segs))
		return -EFAULT;
	uint64_t total = 0;
	for (unsigned long i = 0; i < count; i++) {
		if ((int64_t)segs[i].len < 0)
			return -EINVAL;
		if (!user_range_ok(uptr(segs[i].base), segs[i].len))
			return -EFAULT;
		segs[i].len = MIN(segs[i].len, UIO_LEN_MAX - total);
		total += segs[i].len;
	}
	return 0;
}

/* The piece at the cursor, at most len bytes; never empty while u->left is not. */
static size_t piece(struct uio *u, size_t len, uint64_t *at)
{
	while (u->seg_done == u->seg->len) {
		u->seg++;
		u->seg_done = 0;
	}
	*at = u->seg->base + u->seg_done;
	return MIN(len, u->seg->len - u->seg_done);
}

static void advance(struct uio *u, size_t n)
{
	u->seg_done += n;
	u->left -= n;
}

int uio_put(struct uio *u, const void *src, size_t len)
{
	ASSERT(len <= u->left);
	if (CONFIG_KASAN)
		kasan_check((uint64_t)src, len, false);
	for (const char *from = src; len;) {
		uint64_t at;
		size_t n = piece(u, len, &at), missing = 0;
		if (u->kernel)
			memcpy((void *)at, from, n);
		else
			missing = arch_copy_to_user(at, from, n);
		advance(u, n - missing);
		if (unlikely(missing))
			return -EFAULT;
		from += n;
		len -= n;
	}
	return 0;
}

int uio_get(struct uio *u, void *dst, size_t len)
{
	ASSERT(len <= u->left);
	if (CONFIG_KASAN)
		kasan_check((uint64_t)dst, len, true);
	for (char *to = dst; len;) {
		uint64_t at;
		size_t n = piece(u, len, &at), missing = 0;
		if (u->kernel)
			memcpy(to, (const void *)at, n);
		else
			missing = arch_copy_from_user(to, at, n);
		advance(u, n - missing);
		if (unlikely(missing))
			return -EFAULT;
		to += n;
		len -= n;
	}
	return 0;
}

int uio_put_zero(struct uio *u, size_t len)
{
	ASSERT(len <= u->left);
	while (len) {
		uint64_t at;
		size_t n = piece(u, len, &at), missing = 0;
		if (u->kernel)
			memset((void *)at, 0, n);
		else
			missing = arch_clear_user(at, n);
		advance(u, n - missing);
		if (unlikely(missing))
			return -EFAULT;
		len -= n;
	}
	return 0;
}

void uio_skip(struct uio *u, size_t len)
{
	ASSERT(len <= u->left);
	while (len) {
		uint64_t at;
		size_t n = piece(u, len, &at);
		advance(u, n);
		len -= n;
	}
}
