/*
 * Fuzzes lib/cpio. The input is pushed whole, in bytes, and in pieces whose size is its first byte; the consumer must
 * see the same each time, the callbacks must come in order, and errors must be the same at the same place.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cpio.h"
#include "lib/hash.h"

struct seen {
	uint64_t events; /* a hash of all that was called */
	bool open;
	uint32_t data_left;
	uint32_t wanted;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static int begin(void *ctx, const struct cpio_entry *entry)
{
	struct seen *seen = ctx;

	require(!seen->open);
	require(strlen(entry->name) < CPIO_NAME_MAX);
	require(!entry->link_target == !S_ISLNK(entry->mode));
	seen->events = hash_bytes(seen->events, entry->name, strlen(entry->name));
	if (entry->link_target)
		seen->events = hash_bytes(seen->events, entry->link_target, strlen(entry->link_target));
	seen->events = hash_mix(seen->events ^ entry->mode, 0x9e3779b97f4a7c15ull ^ entry->size_bytes);
	if (entry->uid % 5 == 4)
		return 1;
	if (entry->uid % 97 == 96)
		return -1000;
	seen->open = true;
	seen->data_left = S_ISREG(entry->mode) ? entry->size_bytes : 0;
	return 0;
}

static int data(void *ctx, const void *bytes, size_t len)
{
	struct seen *seen = ctx;

	require(seen->open && len > 0 && len <= seen->data_left);
	seen->data_left -= (uint32_t)len;
	for (size_t i = 0; i < len; i++) /* bytewise, so that pieces do not show */
		seen->events = seen->events * 31 + ((const uint8_t *)bytes)[i];
	return 0;
}

static int end(void *ctx)
{
	struct seen *seen = ctx;

	require(seen->open && !seen->data_left);
	seen->open = false;
	seen->events = hash_u64(seen->events);
	return 0;
}

static int trailer(void *ctx)
{
	struct seen *seen = ctx;

	require(!seen->open);
	seen->events = ~seen->events;
	return 0;
}

static const struct cpio_ops ops = {begin, data, end, trailer};

static int parse(struct cpio_parser *parser, const uint8_t *input, size_t len, size_t piece, uint64_t *events)
{
	struct seen seen = {0};
	int error = 0;

	cpio_init(parser, &ops, &seen);
	for (size_t at = 0; at < len && !error; at += piece)
		error = cpio_push(parser, input + at, MIN(piece, len - at));
	if (!error)
		error = cpio_finish(parser);
	require(error ? parser->error && parser->error_offset <= len : !parser->error && !seen.open);
	*events = seen.events;
	return error;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	static struct cpio_parser parser;
	uint64_t events, again;
	size_t piece = len ? 1 + input[0] : 1;
	int error;
	uint64_t offset;

	if (!len)
		return 0;
	input++;
	len--;
	error = parse(&parser, input, len, len ? len : 1, &events);
	offset = parser.error_offset;
	require(parse(&parser, input, len, piece, &again) == error && again == events && parser.error_offset == offset);
	require(parse(&parser, input, len, 1, &again) == error && again == events && parser.error_offset == offset);
	return 0;
}
