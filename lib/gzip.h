/*
 * Inflates one member of a gzip file (RFC 1952) from memory into a sink, by zlib's inflateBack: the decoder's window is
 * the output buffer, so each byte is written once and the workspace is all the memory used. Needs zlib's infback.c,
 * inffast.c, inftrees.c and zutil.c only, built with -DZ_SOLO.
 */
#pragma once

#include "lib/types.h"

#define GZIP_WORKSPACE_BYTES (40u * 1024) /* 32 KiB window and zlib's state of about 7 KiB */

/* Takes each piece of output in turn, at most 32 KiB. 0, or -errno, which stops the decoder and is passed on. */
struct gzip_sink {
	int (*write)(void *ctx, const void *data, size_t len);
	void *ctx;
};

/* True if `src` begins with gzip's magic. */
static inline bool gzip_probe(const uint8_t *src, size_t src_len)
{
	return src_len >= 2 && src[0] == 0x1f && src[1] == 0x8b;
}

/*
 * Inflates the member at `src` and checks its header, CRC and length. *src_used becomes its size: another member, or
 * anything else, may follow. `workspace` is 16-aligned and at least GZIP_WORKSPACE_BYTES.
 * 0; -EINVAL (not gzip, corrupt or truncated: *error says which, a static string); or what the sink returned (*error is
 * NULL). By then part of the output may have gone to the sink.
 */
int must_check gzip_member_inflate(const uint8_t *src, size_t src_len, size_t *src_used, const struct gzip_sink *sink,
				   void *workspace, size_t workspace_len, const char **error);
