/* lib/gzip: files of the real gzip at several levels, headers with every field, and every truncation and
 * changed byte. */
#include "lib/test/test.h"

#include "lib/crc32.h"
#include "lib/gzip.h"

static uint8_t workspace[GZIP_WORKSPACE_BYTES] aligned_to(16);

struct collector {
	uint8_t *bytes; /* what is expected */
	size_t len, seen;
	bool differs;
	int fail_after; /* pieces; 0: never */
};

static int collect(void *ctx, const void *data, size_t len)
{
	struct collector *collector = ctx;

	assert_in_range(len, 1, 32768);
	if (collector->fail_after && --collector->fail_after == 0)
		return -ENOSPC;
	if (collector->seen + len > collector->len || memcmp(collector->bytes + collector->seen, data, len) != 0)
		collector->differs = true;
	collector->seen += len;
	return 0;
}

/* Inflates from a copy of exact size. */
static int inflate_copy(const uint8_t *src, size_t len, size_t *used, struct collector *collector, const char **error)
{
	const struct gzip_sink sink = {collect, collector};
	uint8_t *copy = malloc(len ? len : 1);
	int status;

	memcpy(copy, src, len);
	collector->seen = 0;
	collector->differs = false;
	*error = NULL;
	status = gzip_member_inflate(copy, len, used, &sink, workspace, sizeof(workspace), error);
	free(copy);
	return status;
}

static uint8_t *compress(const char *make_text, const char *gzip, size_t *len)
{
	char command[400];
	uint8_t *bytes;

	snprintf(command, sizeof(command), "%s | %s", make_text, gzip);
	bytes = test_read_command(command, len);
	assert_non_null(bytes);
	return bytes;
}

static void test_real_files(void **state maybe_unused)
{
	static const char *const texts[] = {
		"true",
		"printf x",
		"seq 1 100000",
		"head -c 300000 /dev/zero",
		"head -c 200000 /dev/urandom",
		"cat /proc/self/exe",
	};
	static const char *const levels[] = {"gzip -1nc", "gzip -6nc", "gzip -9nc"};

	for (size_t t = 0; t < ARRAY_SIZE(texts); t++) {
		char command[200];
		struct collector collector = {0};

		/* random text must be the same each time it is read */
		snprintf(command, sizeof(command), "%s >/tmp/ashlar-gzip-test.$PPID; cat /tmp/ashlar-gzip-test.$PPID",
			 texts[t]);
		collector.bytes = test_read_command(command, &collector.len);
		assert_non_null(collector.bytes);
		for (size_t l = 0; l < ARRAY_SIZE(levels); l++) {
			size_t len, used = 0;
			const char *error;
			uint8_t *zipped = compress("cat /tmp/ashlar-gzip-test.$PPID", levels[l], &len);

			assert_int_equal(inflate_copy(zipped, len, &used, &collector, &error), 0);
			assert_int_equal(used, len);
			assert_int_equal(collector.seen, collector.len);
			assert_false(collector.differs);
			free(zipped);
		}
		free(collector.bytes);
	}
	assert_int_equal(system("rm -f /tmp/ashlar-gzip-test.$PPID"), 0);
}

/* A member by hand: a stored block of "hello", with the header fields the flags ask for. */
static size_t build_member(uint8_t *out, unsigned int flags)
{
	static const uint8_t body[] = {1, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'};
	size_t at = 10;
	uint32_t crc;

	memcpy(out, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
	out[3] = (uint8_t)flags;
	if (flags & 4) {
		memcpy(out + at, "\x04\0abcd", 6);
		at += 6;
	}
	if (flags & 8) {
		memcpy(out + at, "name", 5);
		at += 5;
	}
	if (flags & 16) {
		memcpy(out + at, "comment", 8);
		at += 8;
	}
	if (flags & 2) {
		crc = crc32_update(0, out, at);
		memcpy(out + at, &crc, 2);
		at += 2;
	}
	memcpy(out + at, body, sizeof(body));
	at += sizeof(body);
	crc = crc32_update(0, "hello", 5);
	memcpy(out + at, &crc, 4);
	memcpy(out + at + 4, "\x05\0\0\0", 4);
	return at + 8;
}

static void test_header_fields(void **state maybe_unused)
{
	uint8_t member[100];
	struct collector collector = {.bytes = (uint8_t *)"hello", .len = 5};

	for (unsigned int flags = 0; flags < 256; flags++) {
		size_t len = build_member(member, flags), used = 0;
		const char *error;

		memcpy(member + len, "rest", 4);
		if (flags & 0xe0) {
			assert_int_equal(inflate_copy(member, len + 4, &used, &collector, &error), -EINVAL);
			assert_non_null(strstr(error, "flags"));
			continue;
		}
		assert_int_equal(inflate_copy(member, len + 4, &used, &collector, &error), 0);
		assert_int_equal(used, len);
		assert_int_equal(collector.seen, 5);
		assert_false(collector.differs);
		for (size_t cut = 0; cut < len; cut++) {
			assert_int_equal(inflate_copy(member, cut, &used, &collector, &error), -EINVAL);
			assert_non_null(error);
			assert_int_equal(used, len);
		}
	}
}

static void expect_error(uint8_t *member, size_t len, const char *why)
{
	struct collector collector = {.bytes = (uint8_t *)"hello", .len = 5};
	size_t used;
	const char *error;

	assert_int_equal(inflate_copy(member, len, &used, &collector, &error), -EINVAL);
	if (!strstr(error, why))
		fail_msg("'%s' where '%s' was expected", error, why);
}

static void test_errors(void **state maybe_unused)
{
	uint8_t member[100];
	size_t len = build_member(member, 2), used;
	struct collector collector = {.bytes = (uint8_t *)"hello", .len = 5};
	const struct gzip_sink sink = {collect, &collector};
	const char *error;

	member[len - 1] = 1;
	expect_error(member, len, "length");
	len = build_member(member, 2);
	member[len - 5] ^= 1;
	expect_error(member, len, "checksum of the data");
	len = build_member(member, 2);
	member[4] ^= 1;
	expect_error(member, len, "checksum of the gzip header");
	len = build_member(member, 2);
	member[2] = 7;
	expect_error(member, len, "method");
	member[0] = 'P';
	expect_error(member, len, "magic");
	assert_false(gzip_probe(member, len));
	len = build_member(member, 0);
	assert_true(gzip_probe(member, len));
	assert_false(gzip_probe(member, 1));
	expect_error(member, len - 3, "trailer");
	expect_error(member, len - 9, "cut short");
	member[10] = 7; /* a reserved block type */
	expect_error(member, len, "invalid block type");

	len = build_member(member, 0);
	assert_int_equal(gzip_member_inflate(member, len, &used, &sink, workspace, sizeof(workspace) - 1, &error),
			 -EINVAL);
	assert_non_null(strstr(error, "workspace"));
}

/* No prefix and no single changed byte of a real file passes unnoticed (but for time stamp, level and system). */
static void test_every_damage(void **state maybe_unused)
{
	size_t len, used;
	uint8_t *zipped = compress("seq 1 500", "gzip -9nc", &len);
	struct collector collector = {.bytes = test_read_command("seq 1 500", &collector.len)};
	const char *error;

	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(inflate_copy(zipped, cut, &used, &collector, &error), -EINVAL);
	for (size_t at = 0; at < len; at++) {
		for (unsigned int flip = 1; flip < 256; flip += flip < 16 ? 1 : 13) {
			int status;

			zipped[at] ^= (uint8_t)flip;
			status = inflate_copy(zipped, len, &used, &collector, &error);
			zipped[at] ^= (uint8_t)flip;
			/* some header flags only move the start of the data; what decodes then would have a
			 * wrong sum */
			if (at >= 4 && at <= 9)
				assert_int_equal(status, 0);
			else if (status == 0)
				assert_true(at == 3 && !collector.differs && collector.seen == collector.len);
			else
				assert_non_null(error);
		}
	}
	free(zipped);
	free(collector.bytes);
}

static void test_sink_refuses(void **state maybe_unused)
{
	size_t len, used = 7;
	uint8_t *zipped = compress("seq 1 100000", "gzip -1nc", &len);
	struct collector collector = {.bytes = test_read_command("seq 1 100000", &collector.len)};
	const char *error = "x";

	for (int piece = 1; piece < 10; piece++) {
		collector.fail_after = piece;
		assert_int_equal(inflate_copy(zipped, len, &used, &collector, &error), -ENOSPC);
		assert_null(error);
		assert_int_equal(used, 7);
		assert_int_equal(collector.seen, (piece - 1) * 32768);
		assert_false(collector.differs);
	}
	free(zipped);
	free(collector.bytes);
}

int gzip_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_files),   cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_errors),	     cmocka_unit_test(test_every_damage),
		cmocka_unit_test(test_sink_refuses),
	};

	return cmocka_run_group_tests_name("gzip", tests, NULL, NULL);
}
