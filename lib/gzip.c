/*
 * gzip members: the header and trailer of RFC 1952 around zlib's raw inflate.
 *
 * zlib gets its memory from the workspace by a bump allocator that never frees (inflateBack allocates once), its input
 * in one piece from where it lies, and hands out its window piece by piece; each piece is summed and passed on.
 */
#ifndef Z_SOLO
#define Z_SOLO 1
#endif
#include <zlib.h>

#include "lib/gzip.h"

#include <linux/errno.h>

#include "lib/crc32.h"
#include "lib/string.h"
#include "lib/unaligned.h"

#define WINDOW_BYTES (1u << 15)
#define TRAILER_BYTES 8
#define INPUT_PIECE_MAX (1u << 30) /* zlib counts input in an unsigned int */

enum header_flag {
	FLAG_HEADER_CRC = 1 << 1,
	FLAG_EXTRA = 1 << 2,
	FLAG_NAME = 1 << 3,
	FLAG_COMMENT = 1 << 4,
	FLAGS_UNKNOWN = 0xe0,
};

struct inflation {
	const struct gzip_sink *sink;
	const uint8_t *input; /* not yet given to zlib */
	size_t input_left;
	uint32_t crc, length; /* of the output; length modulo 2^32 */
	int sink_error;
	uint8_t *arena; /* the rest of the workspace */
	size_t arena_left;
};

static int fail(const char **error, const char *why)
{
	*error = why;
	return -EINVAL;
}

static voidpf arena_alloc(voidpf opaque, uInt items, uInt size)
{
	struct inflation *inflation = opaque;
	size_t bytes;

	if (__builtin_mul_overflow((size_t)items, (size_t)size, &bytes) || bytes > inflation->arena_left)
		return Z_NULL;

	uint8_t *mem = inflation->arena;
	size_t step = MIN(ALIGN_UP(bytes, 16), inflation->arena_left);

	inflation->arena += step;
	inflation->arena_left -= step;
	return mem;
}

static void arena_free(voidpf opaque maybe_unused, voidpf mem maybe_unused)
{
}

static unsigned int give_input(void *ctx, z_const unsigned char **piece)
{
	struct inflation *inflation = ctx;
	size_t len = MIN(inflation->input_left, (size_t)INPUT_PIECE_MAX);

	*piece = (z_const unsigned char *)inflation->input;
	inflation->input += len;
	inflation->input_left -= len;
	return (unsigned int)len;
}

static int take_output(void *ctx, unsigned char *data, unsigned int len)
{
	struct inflation *inflation = ctx;

	inflation->crc = crc32_update(inflation->crc, data, len);
	inflation->length += len;
	inflation->sink_error = inflation->sink->write(inflation->sink->ctx, data, len);
	return inflation->sink_error != 0;
}

/* Steps over a NUL-terminated field; false if it does not end. */
static bool skip_text(const uint8_t *src, size_t len, size_t *at)
{
	const uint8_t *nul = memchr(src + *at, 0, len - *at);

	if (!nul)
		return false;
	*at = (size_t)(nul - src) + 1;
	return true;
}

/* Finds where the compressed data begin. */
static int parse_header(const uint8_t *src, size_t len, size_t *header_len, const char **error)
{
	static const char truncated[] = "the file ends inside the gzip header";
	size_t at = 10;

	if (!gzip_probe(src, len))
		return fail(error, "no gzip header (magic 1f 8b)");
	if (len < at)
		return fail(error, truncated);
	if (src[2] != Z_DEFLATED)
		return fail(error, "unknown compression method in the gzip header");
	if (src[3] & FLAGS_UNKNOWN)
		return fail(error, "unknown flags in the gzip header");
	if (src[3] & FLAG_EXTRA) {
		if (len - at < 2 || len - at - 2 < load_le16(src + at))
			return fail(error, truncated);
		at += 2 + (size_t)load_le16(src + at);
	}
	if (src[3] & FLAG_NAME && !skip_text(src, len, &at))
		return fail(error, truncated);
	if (src[3] & FLAG_COMMENT && !skip_text(src, len, &at))
		return fail(error, truncated);
	if (src[3] & FLAG_HEADER_CRC) {
		if (len - at < 2)
			return fail(error, truncated);
		if (load_le16(src + at) != (uint16_t)crc32_update(0, src, at))
			return fail(error, "the checksum of the gzip header is wrong");
		at += 2;
	}
	*header_len = at;
	return 0;
}

/* Runs zlib from inflation->input on; *used becomes how many of the `len` bytes it consumed. */
static int inflate_raw(struct inflation *inflation, size_t len, size_t *used, const char **error)
{
	z_stream stream = {.zalloc = arena_alloc, .zfree = arena_free, .opaque = inflation};
	unsigned char *window = inflation->arena;
	int status;

	inflation->arena += WINDOW_BYTES;
	inflation->arena_left -= WINDOW_BYTES;
	if (inflateBackInit(&stream, 15, window) != Z_OK)
		return fail(error, "zlib does not start (its state does not fit the workspace)");
	status = inflateBack(&stream, give_input, inflation, take_output, inflation);
	*used = len - inflation->input_left - stream.avail_in;
	(void)inflateBackEnd(&stream);
	if (inflation->sink_error) {
		*error = NULL;
		return inflation->sink_error;
	}
	if (status == Z_STREAM_END)
		return 0;
	if (status == Z_BUF_ERROR)
		return fail(error, "the compressed data are cut short");
	return fail(error, stream.msg ? stream.msg : "the compressed data are corrupt");
}

int gzip_member_inflate(const uint8_t *src, size_t src_len, size_t *src_used, const struct gzip_sink *sink,
			void *workspace, size_t workspace_len, const char **error)
{
	struct inflation inflation = {.sink = sink, .arena = workspace, .arena_left = workspace_len};
	size_t at, used;
	int status;

	if (workspace_len < GZIP_WORKSPACE_BYTES)
		return fail(error, "the workspace is too small");
	status = parse_header(src, src_len, &at, error);
	if (status)
		return status;
	inflation.input = src + at;
	inflation.input_left = src_len - at;
	status = inflate_raw(&inflation, src_len - at, &used, error);
	if (status)
		return status;
	at += used;
	if (src_len - at < TRAILER_BYTES)
		return fail(error, "the file ends inside the gzip trailer");
	if (load_le32(src + at) != inflation.crc)
		return fail(error, "the checksum of the data is wrong");
	if (load_le32(src + at + 4) != inflation.length)
		return fail(error, "the length of the data is not what the gzip trailer says");
	*src_used = at + TRAILER_BYTES;
	return 0;
}
