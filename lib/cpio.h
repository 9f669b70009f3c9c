/*
 * A push parser for cpio archives in the "newc" format (magic 070701, and 070702 with checksums).
 *
 * It is fed bytes in pieces of any size and calls back for each entry, so an initramfs is unpacked while it is being
 * inflated and is never held in memory twice. What it accepts is what Linux's initramfs buffer format allows (its
 * Documentation/driver-api/early-userspace/buffer-format.rst): any number of archives one after the other, each with or
 * without a TRAILER!!!, with zero bytes between entries and archives as long as each header starts at a multiple of
 * four.
 *
 *	cpio_init(&parser, &ops, ctx);
 *	while (more)
 *		error = cpio_push(&parser, chunk, len);
 *	error = cpio_finish(&parser);
 *
 * An initramfs image may mix plain and compressed archives. It is unpacked segment by segment, each with a fresh
 * parser: at gzip's magic inflate one member into cpio_push() and call cpio_finish(); elsewhere let cpio_push_some()
 * take what is plain cpio or padding, call cpio_finish(), and go on where it stopped; if it took nothing, the bytes are
 * foreign.
 *
 * On an error parser.error says what is wrong, parser.error_offset at which byte of the stream, parser.name_buf the
 * entry's name ("" if it is not known). Hard links: entries with nlink > 1 and equal (ino, dev_major, dev_minor) are
 * one file; GNU cpio gives the data to the last of them only and size 0 to the others. The consumer keeps that table,
 * links the later names to the first, writes data whenever size > 0, and forgets the table at `trailer`.
 */
#pragma once

#include "lib/types.h"

#define CPIO_HEADER_BYTES 110
#define CPIO_NAME_MAX 4096 /* of a name or symbolic-link target, with its NUL */

struct cpio_entry {
	const char *name;	 /* NUL-terminated, as in the archive: may begin with "/" or "./" and hold ".." */
	const char *link_target; /* NUL-terminated target of a symbolic link, else NULL */
	uint32_t mode;		 /* S_IFMT and permissions */
	uint32_t uid, gid;
	uint32_t ino, nlink;
	uint32_t dev_major, dev_minor;	 /* with ino: which entries are one file */
	uint32_t rdev_major, rdev_minor; /* of a device node */
	uint32_t mtime_s;
	uint32_t size_bytes; /* of the data that follows; of the target for a symbolic link */
};

/*
 * Callbacks; the strings of `entry` live until `end` returns. Each returns 0 or -errno, which stops the parser and is
 * returned from cpio_push. `begin` may also return a positive number: this entry is not wanted, skip its data and do
 * not call `end`. `data` comes zero or more times, never for a symbolic link.
 */
struct cpio_ops {
	int (*begin)(void *ctx, const struct cpio_entry *entry);
	int (*data)(void *ctx, const void *data, size_t len);
	int (*end)(void *ctx);
	int (*trailer)(void *ctx); /* end of one archive; may be NULL */
};

enum cpio_state {
	CPIO_BETWEEN, /* zero padding or a header's first byte */
	CPIO_HEADER,
	CPIO_NAME,
	CPIO_NAME_PAD,
	CPIO_TARGET,
	CPIO_DATA,
	CPIO_DATA_PAD,
	CPIO_FAILED,
};

struct cpio_parser {
	const struct cpio_ops *ops;
	void *ctx;
	enum cpio_state state;
	uint64_t offset; /* bytes consumed so far */
	uint64_t entries, trailers;
	const char *error;     /* NULL while all is well; a static string */
	uint64_t error_offset; /* of the header, name or byte that is wrong */
	int error_code;	       /* what cpio_push returned */

	/* the entry in progress */
	struct cpio_entry entry;
	uint64_t header_offset;
	uint32_t name_bytes; /* with NUL */
	uint32_t filled;     /* bytes of the header, name or target collected so far */
	uint32_t data_left;
	uint32_t checksum, checksum_expected;
	bool has_checksum; /* magic 070702 */
	bool skip;	   /* begin did not want it */
	char header_buf[CPIO_HEADER_BYTES];
	char name_buf[CPIO_NAME_MAX];
	char target_buf[CPIO_NAME_MAX];
};

/* The parser is about 8.5 KiB: static or allocated storage, not a kernel stack. `ops` and `ctx` are borrowed. */
void cpio_init(struct cpio_parser *parser, const struct cpio_ops *ops, void *ctx);

/*
 * Consumes all of `data`. 0; -EINVAL for a malformed archive; or what a callback returned. After an error every further
 * call returns the same.
 */
int must_check cpio_push(struct cpio_parser *parser, const void *data, size_t len);

/*
 * The same, but stops without an error between archives at a byte that is neither padding nor the start of a header
 * (another kind of archive may follow there): *used tells how many bytes were consumed.
 */
int must_check cpio_push_some(struct cpio_parser *parser, const void *data, size_t len, size_t *used);

/* The input is complete: 0, -EINVAL if it ends inside an entry, or the earlier error. */
int must_check cpio_finish(struct cpio_parser *parser);

/* True between entries, where the input may end and another kind of archive may follow. */
static inline bool cpio_at_boundary(const struct cpio_parser *parser)
{
	return parser->state == CPIO_BETWEEN;
}
