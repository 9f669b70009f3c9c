/*
 * The newc push parser.
 *
 * An entry is a header of 110 ASCII bytes, the name, padding to a multiple of four, the data, and padding again;
 * offsets count from the start of the stream. The parser is a state machine that consumes what it is given and keeps
 * only the header, the name and a symbolic link's target; data pass straight through to the consumer. Every number in
 * a header has 32 bits, so no sum of them overflows the 64-bit offset.
 *
 * What is checked: magic, hexadecimal fields, name and target lengths, their terminators, alignment of headers, the sum
 * of the data with magic 070702, and at the end that nothing is incomplete. What is not: the contents of padding, and
 * names ("..", absolute ones), which are the consumer's to judge. As in Linux, only regular files have data: what other
 * kinds claim to have is skipped.
 *
 * Rejected: an iterator over the whole archive in memory, which would need the inflated initramfs and its files at
 * once.
 */
#include "lib/cpio.h"

#include <linux/errno.h>
#if __STDC_HOSTED__
#include <sys/stat.h> /* linux/stat.h gives way to glibc */
#else
#include <linux/stat.h>
#endif

#include "lib/string.h"

#define CPIO_ALIGN 4u
#define TRAILER_NAME "TRAILER!!!"

/* The header's fields, in order, eight hexadecimal digits each. */
enum field {
	FIELD_INO,
	FIELD_MODE,
	FIELD_UID,
	FIELD_GID,
	FIELD_NLINK,
	FIELD_MTIME,
	FIELD_SIZE,
	FIELD_DEV_MAJOR,
	FIELD_DEV_MINOR,
	FIELD_RDEV_MAJOR,
	FIELD_RDEV_MINOR,
	FIELD_NAME_SIZE,
	FIELD_CHECK,
	FIELD_COUNT,
};

#define MAGIC_BYTES 6
#define FIELD_BYTES 8

_Static_assert(MAGIC_BYTES + FIELD_COUNT * FIELD_BYTES == CPIO_HEADER_BYTES, "newc header");

static int fail(struct cpio_parser *parser, int code, uint64_t offset, const char *why)
{
	if (parser->state == CPIO_NAME)
		parser->name_buf[MIN(parser->filled, CPIO_NAME_MAX - 1u)] = '\0';
	parser->state = CPIO_FAILED;
	parser->error = why;
	parser->error_offset = offset;
	parser->error_code = code;
	return code;
}

static int fail_consumer(struct cpio_parser *parser, int code)
{
	return fail(parser, code, parser->header_offset, "this entry could not be unpacked");
}

static bool parse_field(const char *digits, uint32_t *out)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < FIELD_BYTES; i++) {
		char c = digits[i];

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint32_t)(c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			value = value << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*out = value;
	return true;
}

static int finish_header(struct cpio_parser *parser)
{
	uint32_t field[FIELD_COUNT];
	const char *header = parser->header_buf;

	if (memcmp(header, "070707", MAGIC_BYTES) == 0)
		return fail(parser, -EINVAL, parser->header_offset,
			    "the old portable cpio format is not supported (make the archive with cpio -H newc)");
	parser->has_checksum = memcmp(header, "070702", MAGIC_BYTES) == 0;
	if (!parser->has_checksum && memcmp(header, "070701", MAGIC_BYTES) != 0)
		return fail(parser, -EINVAL, parser->header_offset,
			    "no cpio header (magic 070701 or 070702) where one should be");
	for (unsigned int i = 0; i < FIELD_COUNT; i++) {
		unsigned int at = MAGIC_BYTES + i * FIELD_BYTES;

		if (!parse_field(header + at, &field[i]))
			return fail(parser, -EINVAL, parser->header_offset + at, "a header field is not hexadecimal");
	}
	if (!field[FIELD_NAME_SIZE])
		return fail(parser, -EINVAL, parser->header_offset, "an entry has no name");
	if (field[FIELD_NAME_SIZE] > CPIO_NAME_MAX)
		return fail(parser, -EINVAL, parser->header_offset, "an entry's name is longer than 4095 bytes");
	parser->entry = (struct cpio_entry){
		.name = parser->name_buf,
		.mode = field[FIELD_MODE],
		.uid = field[FIELD_UID],
		.gid = field[FIELD_GID],
		.ino = field[FIELD_INO],
		.nlink = field[FIELD_NLINK],
		.dev_major = field[FIELD_DEV_MAJOR],
		.dev_minor = field[FIELD_DEV_MINOR],
		.rdev_major = field[FIELD_RDEV_MAJOR],
		.rdev_minor = field[FIELD_RDEV_MINOR],
		.mtime_s = field[FIELD_MTIME],
		.size_bytes = field[FIELD_SIZE],
	};
	parser->name_bytes = field[FIELD_NAME_SIZE];
	parser->checksum = 0;
	parser->checksum_expected = field[FIELD_CHECK];
	parser->filled = 0;
	parser->state = CPIO_NAME;
	return 0;
}

/* The entry's data have been consumed. */
static int finish_data(struct cpio_parser *parser)
{
	bool summed = parser->has_checksum && S_ISREG(parser->entry.mode) && parser->entry.size_bytes;
	int error;

	if (summed && !parser->skip && parser->checksum != parser->checksum_expected)
		return fail(parser, -EINVAL, parser->header_offset, "the checksum of an entry's data is wrong");
	parser->state = parser->offset % CPIO_ALIGN ? CPIO_DATA_PAD : CPIO_BETWEEN;
	if (parser->skip)
		return 0;
	error = parser->ops->end(parser->ctx);
	return error < 0 ? fail_consumer(parser, error) : 0;
}

/* Everything the consumer must know about the entry is there. */
static int begin_entry(struct cpio_parser *parser)
{
	int verdict = parser->ops->begin(parser->ctx, &parser->entry);

	if (verdict < 0)
		return fail_consumer(parser, verdict);
	parser->skip = verdict > 0;
	parser->entries++;
	return 0;
}

/* Name and padding have been consumed: choose how to treat what follows. */
static int begin_body(struct cpio_parser *parser)
{
	uint32_t size = parser->entry.size_bytes;
	int error;

	parser->data_left = size;
	parser->filled = 0;
	if (str_equal(parser->name_buf, TRAILER_NAME)) {
		parser->trailers++;
		parser->skip = true;
		error = parser->ops->trailer ? parser->ops->trailer(parser->ctx) : 0;
		if (error < 0)
			return fail_consumer(parser, error);
	} else if (S_ISLNK(parser->entry.mode)) {
		if (!size || size >= CPIO_NAME_MAX)
			return fail(parser, -EINVAL, parser->header_offset,
				    size ? "a symbolic link's target is longer than 4095 bytes"
					 : "a symbolic link has no target");
		parser->state = CPIO_TARGET;
		return 0;
	} else {
		error = begin_entry(parser);
		if (error)
			return error;
	}
	parser->state = CPIO_DATA;
	return size ? 0 : finish_data(parser);
}

static int finish_name(struct cpio_parser *parser)
{
	if (parser->name_buf[parser->name_bytes - 1] != '\0')
		return fail(parser, -EINVAL, parser->header_offset + CPIO_HEADER_BYTES,
			    "an entry's name is not NUL-terminated");
	parser->state = CPIO_NAME_PAD;
	return parser->offset % CPIO_ALIGN ? 0 : begin_body(parser);
}

static int finish_target(struct cpio_parser *parser)
{
	int error;

	parser->target_buf[parser->filled] = '\0';
	parser->entry.link_target = parser->target_buf;
	error = begin_entry(parser);
	return error ? error : finish_data(parser);
}

/* Moves up to `want - filled` bytes into `buf`; true once it holds `want`. */
static bool collect(struct cpio_parser *parser, char *buf, uint32_t want, const uint8_t **data, size_t *len)
{
	size_t count = MIN(*len, (size_t)(want - parser->filled));

	memcpy(buf + parser->filled, *data, count);
	parser->filled += (uint32_t)count;
	parser->offset += count;
	*data += count;
	*len -= count;
	return parser->filled == want;
}

/* Steps over padding; true once the offset is aligned. */
static bool skip_padding(struct cpio_parser *parser, const uint8_t **data, size_t *len)
{
	size_t count = MIN(*len, (size_t)(-parser->offset % CPIO_ALIGN));

	parser->offset += count;
	*data += count;
	*len -= count;
	return parser->offset % CPIO_ALIGN == 0;
}

static int pass_data(struct cpio_parser *parser, const uint8_t **data, size_t *len)
{
	size_t count = MIN(*len, (size_t)parser->data_left);
	const uint8_t *piece = *data;

	if (!parser->skip && S_ISREG(parser->entry.mode)) {
		int error = parser->ops->data(parser->ctx, piece, count);

		if (error < 0)
			return fail_consumer(parser, error);
		if (parser->has_checksum) {
			for (size_t i = 0; i < count; i++)
				parser->checksum += piece[i];
		}
	}
	parser->data_left -= (uint32_t)count;
	parser->offset += count;
	*data += count;
	*len -= count;
	return parser->data_left ? 0 : finish_data(parser);
}

/* Between entries. Sets *foreign, consuming nothing, at a byte that belongs to no cpio archive. */
static int find_header(struct cpio_parser *parser, const uint8_t **data, size_t *len, bool *foreign)
{
	size_t zeros = 0;

	while (zeros < *len && (*data)[zeros] == 0)
		zeros++;
	parser->offset += zeros;
	*data += zeros;
	*len -= zeros;
	if (!*len)
		return 0;
	if (**data != '0') {
		*foreign = true;
		return 0;
	}
	parser->header_offset = parser->offset;
	if (parser->offset % CPIO_ALIGN)
		return fail(parser, -EINVAL, parser->offset, "a header does not start at a multiple of four bytes");
	parser->filled = 0;
	parser->name_buf[0] = '\0';
	parser->state = CPIO_HEADER;
	return 0;
}

void cpio_init(struct cpio_parser *parser, const struct cpio_ops *ops, void *ctx)
{
	parser->ops = ops;
	parser->ctx = ctx;
	parser->state = CPIO_BETWEEN;
	parser->offset = 0;
	parser->entries = 0;
	parser->trailers = 0;
	parser->error = NULL;
	parser->error_offset = 0;
	parser->error_code = 0;
	parser->header_offset = 0;
	parser->name_buf[0] = '\0';
}

int cpio_push_some(struct cpio_parser *parser, const void *data, size_t len, size_t *used)
{
	const uint8_t *at = data;
	bool foreign = false;
	int error = parser->error_code;

	while (len && !error && !foreign) {
		switch (parser->state) {
		case CPIO_BETWEEN:
			error = find_header(parser, &at, &len, &foreign);
			break;
		case CPIO_HEADER:
			if (collect(parser, parser->header_buf, CPIO_HEADER_BYTES, &at, &len))
				error = finish_header(parser);
			break;
		case CPIO_NAME:
			if (collect(parser, parser->name_buf, parser->name_bytes, &at, &len))
				error = finish_name(parser);
			break;
		case CPIO_NAME_PAD:
			if (skip_padding(parser, &at, &len))
				error = begin_body(parser);
			break;
		case CPIO_TARGET:
			if (collect(parser, parser->target_buf, parser->entry.size_bytes, &at, &len))
				error = finish_target(parser);
			break;
		case CPIO_DATA:
			error = pass_data(parser, &at, &len);
			break;
		case CPIO_DATA_PAD:
			if (skip_padding(parser, &at, &len))
				parser->state = CPIO_BETWEEN;
			break;
		case CPIO_FAILED:
			error = parser->error_code;
			break;
		}
	}
	*used = (size_t)(at - (const uint8_t *)data);
	return error;
}

int cpio_push(struct cpio_parser *parser, const void *data, size_t len)
{
	size_t used;
	int error = cpio_push_some(parser, data, len, &used);

	if (error || used == len)
		return error;
	return fail(parser, -EINVAL, parser->offset, "bytes that are neither padding nor a cpio header");
}

int cpio_finish(struct cpio_parser *parser)
{
	switch (parser->state) {
	case CPIO_BETWEEN:
	case CPIO_DATA_PAD: /* the last entry is complete, only its padding is not */
		return 0;
	case CPIO_HEADER:
		return fail(parser, -EINVAL, parser->offset, "the archive ends inside a header");
	case CPIO_NAME:
	case CPIO_NAME_PAD:
		return fail(parser, -EINVAL, parser->offset, "the archive ends inside a name");
	case CPIO_TARGET:
	case CPIO_DATA:
		return fail(parser, -EINVAL, parser->offset, "the archive ends inside an entry's data");
	case CPIO_FAILED:
		break;
	}
	return parser->error_code;
}
