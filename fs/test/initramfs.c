/* Unpacking archives, good and bad. */
#include "fs/initramfs.h"

#include "fs/test/helper.h"
#include "lib/crc32.h"
#include "lib/printf.h"
#include "lib/unaligned.h"
#include "mm/slab.h"

#define ARCHIVE_BYTES (64 * KIB)

struct archive {
	uint8_t *bytes;
	size_t len;
};

static void put(struct archive *a, const void *data, size_t len)
{
	memcpy(a->bytes + a->len, data, len);
	a->len += len;
	while (a->len % 4)
		a->bytes[a->len++] = 0;
}

static void entry(struct archive *a, const char *name, uint32_t mode, unsigned ino, unsigned nlink, const char *data,
		  unsigned rdev)
{
	char header[111];
	unsigned size = data ? (unsigned)strlen(data) : 0;
	size_t start = a->len;

	snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ino, mode, 7u,
		 8u, nlink, 1000000u, size, 0u, 0u, rdev >> 8, rdev & 0xff, (unsigned)strlen(name) + 1, 0u);
	memcpy(a->bytes + start, header, 110);
	a->len += 110;
	put(a, name, strlen(name) + 1);
	put(a, data, size);
}

static void trailer(struct archive *a)
{
	entry(a, "TRAILER!!!", 0, 0, 1, NULL, 0);
}

static void good(struct archive *a)
{
	entry(a, ".", S_IFDIR | 0755, 1, 2, NULL, 0);
	entry(a, "dir", S_IFDIR | 01777, 2, 2, NULL, 0);
	entry(a, "dir/file", S_IFREG | 04755, 3, 1, "content", 0);
	entry(a, "/absolute", S_IFREG | 0600, 4, 1, "", 0);
	entry(a, "link", S_IFLNK | 0777, 5, 1, "dir/file", 0);
	entry(a, "null", S_IFCHR | 0666, 6, 1, NULL, 0x103);
	entry(a, "hard1", S_IFREG | 0644, 9, 3, NULL, 0);
	entry(a, "hard2", S_IFREG | 0644, 9, 3, NULL, 0);
	entry(a, "hard3", S_IFREG | 0644, 9, 3, "shared", 0);
	entry(a, "nodir/x", S_IFREG | 0644, 10, 1, "skipped", 0);
	entry(a, "again", S_IFREG | 0644, 11, 1, "old and long", 0);
	entry(a, "again", S_IFREG | 0644, 12, 1, "new", 0);
	trailer(a);
}

static struct actor begin(struct archive *a)
{
	struct actor who = test_actor(0);
	struct path p;

	((struct cred *)(uintptr_t)who.cred)->cap_effective = cred_root.cap_effective;
	test_fs_begin("");
	KTEST_EQ(vfs_lookup(&kernel_actor, NULL, "/ktest", LOOKUP_FOLLOW, &p), 0);
	fs_context_set_root(who.fs, &p);
	fs_context_set_cwd(who.fs, &p);
	path_put(&p);
	*a = (struct archive){.bytes = kzalloc(ARCHIVE_BYTES)};
	KTEST_TRUE(a->bytes);
	return who;
}

static void end(struct archive *a, struct actor *who)
{
	kfree(a->bytes);
	test_actor_put(who);
	test_fs_end();
}

static void check_good(void)
{
	char buf[32];
	struct statx s;

	KTEST_EQ(test_stat("/ktest/dir", &s), 0);
	KTEST_EQ(s.stx_mode, S_IFDIR | 01777);
	KTEST_EQ(test_stat("/ktest/dir/file", &s), 0);
	KTEST_EQ(s.stx_mode, S_IFREG | 04755);
	KTEST_TRUE(s.stx_uid == 7 && s.stx_gid == 8 && s.stx_mtime.tv_sec == 1000000);
	KTEST_EQ(test_read_file("/ktest/link", buf, sizeof(buf)), 7);
	KTEST_TRUE(str_equal(buf, "content"));
	KTEST_EQ(test_exists("/ktest/absolute"), 0);
	KTEST_EQ(test_stat("/ktest/null", &s), 0);
	KTEST_TRUE(S_ISCHR(s.stx_mode) && s.stx_rdev_major == 1 && s.stx_rdev_minor == 3);
	KTEST_EQ(test_stat("/ktest/hard1", &s), 0);
	KTEST_TRUE(s.stx_nlink == 3 && s.stx_size == 6);
	KTEST_EQ(test_read_file("/ktest/hard2", buf, sizeof(buf)), 6);
	KTEST_EQ(test_exists("/ktest/nodir"), -ENOENT);
	KTEST_EQ(test_read_file("/ktest/again", buf, sizeof(buf)), 3);
}

KTEST(fs, initramfs_plain)
{
	struct archive a;
	struct actor who = begin(&a);

	good(&a);
	a.len += 512; /* padding, then another archive */
	entry(&a, "second", S_IFREG | 0644, 9, 1, "2", 0);
	trailer(&a);
	KTEST_EQ(initramfs_unpack_bytes(&who, a.bytes, a.len), 0);
	check_good();
	KTEST_EQ(test_exists("/ktest/second"), 0);
	end(&a, &who);
}

/* One stored block: deflate without compression (RFC 1951 3.2.4). */
static size_t gzip_store(const struct archive *a, uint8_t *out)
{
	static const uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};

	memcpy(out, header, 10);
	out[10] = 1;
	store_le16(out + 11, (uint16_t)a->len);
	store_le16(out + 13, (uint16_t)~a->len);
	memcpy(out + 15, a->bytes, a->len);
	store_le32(out + 15 + a->len, crc32_update(0, a->bytes, a->len));
	store_le32(out + 19 + a->len, (uint32_t)a->len);
	return a->len + 23;
}

KTEST(fs, initramfs_gzip)
{
	struct archive a;
	struct actor who = begin(&a);
	uint8_t *packed_bytes = kzalloc(ARCHIVE_BYTES);
	size_t len;

	KTEST_TRUE(packed_bytes);
	good(&a);
	len = gzip_store(&a, packed_bytes);
	KTEST_EQ(initramfs_unpack_bytes(&who, packed_bytes, len), 0);
	check_good();
	packed_bytes[len / 2] ^= 0x40; /* data that does not match its checksum */
	KTEST_EQ(initramfs_unpack_bytes(&who, packed_bytes, len), -EINVAL);
	KTEST_EQ(initramfs_unpack_bytes(&who, packed_bytes, len / 3), -EINVAL);
	kfree(packed_bytes);
	end(&a, &who);
}

KTEST(fs, initramfs_bad)
{
	struct archive a;
	struct actor who = begin(&a);

	good(&a);
	/* cut at many places: an error or, between entries, a shorter archive; never worse */
	for (size_t len = 1; len < a.len; len += 101) {
		int err = initramfs_unpack_bytes(&who, a.bytes, len);

		KTEST_TRUE(err == 0 || err == -EINVAL);
	}
	a.bytes[0] = 'x';
	KTEST_EQ(initramfs_unpack_bytes(&who, a.bytes, a.len), -EINVAL);
	memset(a.bytes, 0, 512);
	KTEST_EQ(initramfs_unpack_bytes(&who, a.bytes, 512), -EINVAL); /* nothing in it */
	static const uint8_t zstd[8] = {0x28, 0xb5, 0x2f, 0xfd};

	KTEST_EQ(initramfs_unpack_bytes(&who, zstd, sizeof(zstd)), -EINVAL);
	end(&a, &who);
}

KTEST(fs, initramfs_failing_allocations)
{
	struct archive a;
	struct actor who = begin(&a);
	int err = 0;

	good(&a);
	for (uint64_t n = 1; n < 60; n += 4) {
		alloc_fail_at(n);
		err = initramfs_unpack_bytes(&who, a.bytes, a.len);
		alloc_fail_at(0);
		KTEST_TRUE(err == 0 || err == -ENOMEM);
	}
	KTEST_EQ(initramfs_unpack_bytes(&who, a.bytes, a.len), 0);
	check_good();
	end(&a, &who);
}
