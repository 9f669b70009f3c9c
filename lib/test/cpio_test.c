/*
 * lib/cpio: archives of the real cpio program compared with lstat(2), archives made by hand for every error, every
 * truncation and every changed byte; all of them pushed in pieces of different sizes.
 */
#include "lib/test/test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cpio.h"
#include "lib/crc32.h"

/* --- a consumer that writes down what it is told --- */

struct record {
	char name[256], target[256];
	struct cpio_entry entry;
	uint32_t data_bytes, data_crc;
	bool ended;
};

struct recorder {
	struct record records[64];
	size_t count, trailers;
	int fail_begin, fail_data, fail_end; /* what the callbacks return */
	bool open;
};

static int record_begin(void *ctx, const struct cpio_entry *entry)
{
	struct recorder *recorder = ctx;
	struct record *record = &recorder->records[recorder->count];

	assert_false(recorder->open);
	assert_true(recorder->count < ARRAY_SIZE(recorder->records));
	if (recorder->fail_begin)
		return recorder->fail_begin;
	*record = (struct record){.entry = *entry};
	assert_true(strlen(entry->name) < CPIO_NAME_MAX);
	snprintf(record->name, sizeof(record->name), "%s", entry->name);
	if (entry->link_target)
		snprintf(record->target, sizeof(record->target), "%s", entry->link_target);
	recorder->open = true;
	recorder->count++;
	return 0;
}

static int record_data(void *ctx, const void *data, size_t len)
{
	struct recorder *recorder = ctx;
	struct record *record = &recorder->records[recorder->count - 1];

	assert_true(recorder->open && len > 0);
	assert_true(S_ISREG(record->entry.mode));
	record->data_bytes += (uint32_t)len;
	record->data_crc = crc32_update(record->data_crc, data, len);
	return recorder->fail_data;
}

static int record_end(void *ctx)
{
	struct recorder *recorder = ctx;

	assert_true(recorder->open);
	recorder->open = false;
	recorder->records[recorder->count - 1].ended = true;
	return recorder->fail_end;
}

static int record_trailer(void *ctx)
{
	((struct recorder *)ctx)->trailers++;
	return 0;
}

static const struct cpio_ops recorder_ops = {record_begin, record_data, record_end, record_trailer};

static struct cpio_parser parser;
static struct recorder recorder;

/* Parses `len` bytes in pieces of `piece` bytes, each in memory of its own size. */
static int parse(const uint8_t *archive, size_t len, size_t piece)
{
	int error = 0;

	cpio_init(&parser, &recorder_ops, &recorder);
	recorder.count = 0;
	recorder.trailers = 0;
	recorder.open = false;
	for (size_t at = 0; at < len && !error; at += piece) {
		size_t count = MIN(piece, len - at);
		uint8_t *copy = malloc(count);

		memcpy(copy, archive + at, count);
		error = cpio_push(&parser, copy, count);
		free(copy);
	}
	if (!error)
		error = cpio_finish(&parser);
	if (error) {
		assert_non_null(parser.error);
		assert_true(parser.error_offset <= len);
		assert_int_equal(cpio_push(&parser, "x", 1), error);
		assert_int_equal(cpio_finish(&parser), error);
	} else {
		assert_null(parser.error);
		assert_int_equal(parser.entries, recorder.count);
	}
	return error;
}

/* --- archives made by hand --- */

struct archive {
	uint8_t bytes[1 << 16];
	size_t len;
};

static struct archive archive;

static void append(const void *bytes, size_t len)
{
	assert_true(archive.len + len <= sizeof(archive.bytes));
	memcpy(archive.bytes + archive.len, bytes, len);
	archive.len += len;
}

static void append_padding(void)
{
	while (archive.len % 4)
		append("", 1);
}

static void append_header(const char *magic, uint32_t mode, uint32_t size, uint32_t name_bytes, uint32_t check)
{
	char header[111];

	snprintf(header, sizeof(header), "%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", magic, 0x11, mode,
		 1000, 100, 1, 0x5f000000, size, 8, 1, 4, 64, name_bytes, check);
	append(header, 110);
}

static void append_entry(const char *magic, const char *name, uint32_t mode, const void *data, uint32_t size,
			 uint32_t check)
{
	append_header(magic, mode, size, (uint32_t)strlen(name) + 1, check);
	append(name, strlen(name) + 1);
	append_padding();
	append(data, size);
	append_padding();
}

static void append_simple(const char *name, uint32_t mode, const char *data)
{
	append_entry("070701", name, mode, data, (uint32_t)strlen(data), 0);
}

static void append_trailer(void)
{
	append_entry("070701", "TRAILER!!!", 0, "", 0, 0);
}

static void test_kinds(void **state maybe_unused)
{
	archive.len = 0;
	append_simple("dir", S_IFDIR | 0755, "");
	append_simple("dir/file", S_IFREG | 0644, "hello");
	append_simple("dir/empty", S_IFREG | 0600, "");
	append_simple("dir/link", S_IFLNK | 0777, "../target");
	append_simple("dev", S_IFBLK | 0660, "");
	append_simple("odd", S_IFDIR | 0700, "directories have no data");
	append_trailer();
	for (size_t piece = 1; piece < archive.len + 10; piece++) {
		assert_int_equal(parse(archive.bytes, archive.len, piece), 0);
		assert_int_equal(recorder.count, 6);
		assert_int_equal(recorder.trailers, 1);
		for (size_t i = 0; i < recorder.count; i++)
			assert_true(recorder.records[i].ended);

		struct record *file = &recorder.records[1], *link = &recorder.records[3];

		assert_string_equal(file->name, "dir/file");
		assert_int_equal(file->entry.mode, S_IFREG | 0644);
		assert_int_equal(file->entry.ino, 0x11);
		assert_int_equal(file->entry.uid, 1000);
		assert_int_equal(file->entry.gid, 100);
		assert_int_equal(file->entry.nlink, 1);
		assert_int_equal(file->entry.mtime_s, 0x5f000000);
		assert_int_equal(file->entry.dev_major, 8);
		assert_int_equal(file->entry.dev_minor, 1);
		assert_int_equal(file->entry.rdev_major, 4);
		assert_int_equal(file->entry.rdev_minor, 64);
		assert_int_equal(file->data_bytes, 5);
		assert_int_equal(file->data_crc, crc32_update(0, "hello", 5));
		assert_string_equal(link->target, "../target");
		assert_int_equal(recorder.records[5].data_bytes, 0);
	}
}

/* Several archives, zeros before, between and after them, no trailer at the end; names padded with NULs. */
static void test_concatenation(void **state maybe_unused)
{
	static const uint8_t zeros[512];

	archive.len = 0;
	append(zeros, 512);
	append_simple("one", S_IFREG | 0644, "1");
	append(zeros, 8);
	append_simple("two", S_IFREG | 0644, "22");
	append_trailer();
	append(zeros, 512 - archive.len % 512);
	append_header("070701", S_IFREG | 0644, 3, 30, 0);
	append("three", 5);
	append(zeros, 25);
	append_padding();
	append("333", 3);
	for (size_t piece = 1; piece < archive.len; piece += 3) {
		assert_int_equal(parse(archive.bytes, archive.len, piece), 0);
		assert_int_equal(recorder.count, 3);
		assert_int_equal(recorder.trailers, 1);
		assert_string_equal(recorder.records[2].name, "three");
		assert_int_equal(recorder.records[2].data_crc, crc32_update(0, "333", 3));
	}
}

static void expect_error(const char *part_of_why, uint64_t offset)
{
	for (size_t piece = 1; piece < archive.len; piece = piece * 2 + 1) {
		assert_int_equal(parse(archive.bytes, archive.len, piece), -EINVAL);
		if (!strstr(parser.error, part_of_why))
			fail_msg("'%s' where '%s' was expected", parser.error, part_of_why);
		assert_int_equal(parser.error_offset, offset);
	}
}

static size_t start_with_good_entry(void)
{
	archive.len = 0;
	append_simple("good", S_IFREG | 0644, "data");
	return archive.len;
}

static void test_errors(void **state maybe_unused)
{
	static char long_name[CPIO_NAME_MAX + 1];
	size_t at;

	at = start_with_good_entry();
	append_entry("070707", "old", S_IFREG, "", 0, 0);
	expect_error("-H newc", at);

	at = start_with_good_entry();
	append_entry("070703", "new", S_IFREG, "", 0, 0);
	expect_error("no cpio header", at);

	at = start_with_good_entry();
	append_simple("bad", S_IFREG, "");
	archive.bytes[at + 6 + 8 * 3 + 2] = 'g';
	expect_error("hexadecimal", at + 6 + 8 * 3);

	at = start_with_good_entry();
	append("\1\2\3\4", 4);
	expect_error("neither padding", at);

	at = start_with_good_entry();
	append("", 1);
	append_simple("off", S_IFREG, "");
	expect_error("multiple of four", at + 1);

	at = start_with_good_entry();
	append_header("070701", S_IFREG, 0, 0, 0);
	append("        ", 8);
	expect_error("no name", at);

	at = start_with_good_entry();
	memset(long_name, 'n', CPIO_NAME_MAX);
	append_simple(long_name, S_IFREG, "");
	expect_error("longer than 4095", at);

	at = start_with_good_entry();
	append_header("070701", S_IFREG, 0, 0xffffffff, 0);
	expect_error("longer than 4095", at);

	at = start_with_good_entry();
	append_header("070701", S_IFREG, 0, 6, 0);
	append("sixsix", 6);
	append_padding();
	expect_error("NUL-terminated", at + 110);

	at = start_with_good_entry();
	append_simple("link", S_IFLNK | 0777, long_name);
	expect_error("target is longer", at);

	at = start_with_good_entry();
	append_simple("link", S_IFLNK | 0777, "");
	expect_error("no target", at);

	start_with_good_entry();
	append_header("070701", S_IFREG, 0xffffffff, 4, 0);
	append("big\0\0\0 some data", 16);
	expect_error("inside an entry's data", archive.len);

	/* the longest that is allowed */
	start_with_good_entry();
	long_name[CPIO_NAME_MAX - 1] = '\0';
	append_simple(long_name, S_IFREG, "");
	append_simple("link", S_IFLNK | 0777, long_name);
	assert_int_equal(parse(archive.bytes, archive.len, 100), 0);
	assert_int_equal(recorder.count, 3);
}

static void test_checksum(void **state maybe_unused)
{
	size_t at;

	archive.len = 0;
	append_entry("070702", "sum", S_IFREG | 0644, "\1\2\377", 3, 258);
	append_entry("070702", "dir", S_IFDIR | 0755, "", 0, 0);
	append_entry("070702", "hard link without data", S_IFREG | 0755, "", 0, 77);
	append_trailer();
	assert_int_equal(parse(archive.bytes, archive.len, 7), 0);
	assert_int_equal(recorder.count, 3);
	at = start_with_good_entry();
	append_entry("070702", "sum", S_IFREG | 0644, "\1\2\377", 3, 259);
	expect_error("checksum", at);
}

/* A prefix is good exactly if it ends between entries. */
static void test_every_truncation(void **state maybe_unused)
{
	size_t ends[8] = {0}, padded_ends[8] = {0}, boundaries = 1;

	archive.len = 0;
	for (int i = 0; i < 3; i++) {
		append_simple(i == 1 ? "link" : "file", (i == 1 ? S_IFLNK : S_IFREG) | 0644, "content");
		ends[boundaries] = archive.len - 1; /* one byte of padding may be missing */
		padded_ends[boundaries++] = archive.len;
	}
	for (size_t len = 0; len <= archive.len; len++) {
		bool boundary = false;

		for (size_t i = 0; i < boundaries; i++)
			boundary |= len == ends[i] || len == padded_ends[i];
		for (size_t piece = 1; piece < 200; piece = piece * 3 + 1) {
			int error = parse(archive.bytes, len, piece);

			assert_int_equal(error, boundary ? 0 : -EINVAL);
			if (error)
				assert_int_equal(parser.error_offset, len);
		}
	}
}

static void test_every_changed_byte(void **state maybe_unused)
{
	archive.len = 0;
	append_simple("dir", S_IFDIR | 0755, "");
	append_entry("070702", "file", S_IFREG | 0644, "hello", 5, 532);
	append_simple("link", S_IFLNK | 0777, "target");
	append_trailer();
	for (size_t at = 0; at < archive.len; at++) {
		uint8_t kept = archive.bytes[at];

		for (unsigned int byte = 0; byte < 256; byte++) {
			int whole, bytewise;
			uint64_t offset;

			archive.bytes[at] = (uint8_t)byte;
			whole = parse(archive.bytes, archive.len, archive.len);
			offset = parser.error_offset;
			bytewise = parse(archive.bytes, archive.len, 1);
			assert_int_equal(whole, bytewise);
			assert_int_equal(offset, parser.error_offset);
			if (at < 6 && byte != kept)
				assert_true(whole != 0 || byte == 0 || byte == '2');
		}
		archive.bytes[at] = kept;
	}
}

static void test_consumer_refuses(void **state maybe_unused)
{
	archive.len = 0;
	append_simple("file", S_IFREG | 0644, "data");
	append_trailer();
	for (size_t piece = 1; piece < archive.len; piece += 5) {
		recorder = (struct recorder){.fail_begin = -ENOSPC};
		assert_int_equal(parse(archive.bytes, archive.len, piece), -ENOSPC);
		assert_string_equal(parser.name_buf, "file");
		recorder = (struct recorder){.fail_data = -EIO};
		assert_int_equal(parse(archive.bytes, archive.len, piece), -EIO);
		recorder = (struct recorder){.fail_end = -EROFS};
		assert_int_equal(parse(archive.bytes, archive.len, piece), -EROFS);
		recorder = (struct recorder){.fail_begin = 1}; /* not wanted */
		cpio_init(&parser, &recorder_ops, &recorder);
		assert_int_equal(cpio_push(&parser, archive.bytes, archive.len), 0);
		assert_int_equal(cpio_finish(&parser), 0);
		assert_int_equal(recorder.count, 0);
		assert_int_equal(recorder.trailers, 1);
	}
	recorder = (struct recorder){0};
}

/* The parser knows when it stands between two entries, whether the last one needed padding or not. */
static void test_boundary(void **state maybe_unused)
{
	size_t first, second;

	archive.len = 0;
	append_simple("aligned", S_IFREG | 0644, "four");
	first = archive.len;
	append_simple("padded", S_IFREG | 0644, "three");
	second = archive.len;
	cpio_init(&parser, &recorder_ops, &recorder);
	recorder.count = 0;
	for (size_t at = 0; at < second; at++) {
		assert_int_equal(cpio_at_boundary(&parser), at == 0 || at == first);
		assert_int_equal(cpio_push(&parser, archive.bytes + at, 1), 0);
	}
	assert_true(cpio_at_boundary(&parser));
	assert_int_equal(recorder.count, 2);
}

/* Something else behind an archive: the parser stops before it. */
static void test_foreign_bytes(void **state maybe_unused)
{
	size_t used, end;

	archive.len = 0;
	append_simple("file", S_IFREG | 0644, "data");
	append_trailer();
	append("\0\0\0\0", 4);
	end = archive.len;
	append("\x1f\x8b\x08 and so on", 12);
	cpio_init(&parser, &recorder_ops, &recorder);
	recorder.count = 0;
	assert_int_equal(cpio_push_some(&parser, archive.bytes, archive.len, &used), 0);
	assert_int_equal(used, end);
	assert_true(cpio_at_boundary(&parser));
	assert_int_equal(cpio_push_some(&parser, archive.bytes + used, archive.len - used, &used), 0);
	assert_int_equal(used, 0);
	assert_int_equal(cpio_finish(&parser), 0);
}

/* --- archives of the real program --- */

static uint32_t file_crc(const char *path, uint32_t *size)
{
	size_t len;
	uint8_t *bytes = test_read_file(path, &len);
	uint32_t crc;

	assert_non_null(bytes);
	crc = crc32_update(0, bytes, len);
	*size = (uint32_t)len;
	free(bytes);
	return crc;
}

static void check_against_file(const struct record *record, const char *dir)
{
	char path[700], target[256] = "";
	struct stat st;
	uint32_t size;

	snprintf(path, sizeof(path), "%s/%s", dir, record->name);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(record->entry.mode, st.st_mode);
	assert_int_equal(record->entry.uid, st.st_uid);
	assert_int_equal(record->entry.gid, st.st_gid);
	assert_int_equal(record->entry.nlink, st.st_nlink);
	assert_int_equal(record->entry.mtime_s, (uint32_t)st.st_mtime);
	if (S_ISLNK(st.st_mode)) {
		assert_true(readlink(path, target, sizeof(target) - 1) > 0);
		assert_string_equal(record->target, target);
	} else if (S_ISCHR(st.st_mode)) {
		assert_int_equal(record->entry.rdev_major, major(st.st_rdev));
		assert_int_equal(record->entry.rdev_minor, minor(st.st_rdev));
	} else if (S_ISREG(st.st_mode) && record->data_bytes) {
		assert_int_equal(record->data_crc, file_crc(path, &size));
		assert_int_equal(record->data_bytes, size);
	} else if (S_ISREG(st.st_mode)) {
		assert_true(st.st_size == 0 || st.st_nlink > 1);
	}
}

static void test_real_cpio(void **state maybe_unused)
{
	static const char *const formats[] = {"newc", "crc"};
	char dir[] = "/tmp/ashlar-cpio-XXXXXX", command[512];
	int linked_with_data = 0, linked = 0;

	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command),
		 "cd %s && mkdir -p a/b && touch empty && printf x >one && seq 1 30000 >a/big && printf abc >a/b/three "
		 "&&"
		 " ln a/big a/big2 && ln a/big a/b/big3 && ln -s a/b/three soft && mkfifo fifo && chmod 4755 one &&"
		 " touch 'name with blanks' && { mknod null c 1 3 2>/dev/null || true; }",
		 dir);
	assert_int_equal(system(command), 0);
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		size_t len;
		uint8_t *bytes;

		snprintf(command, sizeof(command), "cd %s && find . | sort | cpio -o --quiet -H %s", dir, formats[f]);
		bytes = test_read_command(command, &len);
		if (!bytes)
			fail_msg("the program cpio does not work (package cpio)");
		for (size_t piece = 1; piece < 2 * len; piece = piece * 7 + 1) {
			assert_int_equal(parse(bytes, len, piece), 0);
			assert_in_range(recorder.count, 12, 13);
			assert_int_equal(recorder.trailers, 1);
			linked = linked_with_data = 0;
			for (size_t i = 0; i < recorder.count; i++) {
				check_against_file(&recorder.records[i], dir);
				if (recorder.records[i].entry.nlink == 3 && S_ISREG(recorder.records[i].entry.mode)) {
					linked++;
					linked_with_data += recorder.records[i].data_bytes > 0;
				}
			}
			assert_int_equal(linked, 3);
			assert_int_equal(linked_with_data, 1);
		}
		free(bytes);
	}
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int cpio_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_concatenation),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_changed_byte),
		cmocka_unit_test(test_consumer_refuses),
		cmocka_unit_test(test_boundary),
		cmocka_unit_test(test_foreign_bytes),
		cmocka_unit_test(test_real_cpio),
	};

	return cmocka_run_group_tests_name("cpio", tests, NULL, NULL);
}
