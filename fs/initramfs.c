/*
 * Unpacks the boot initramfs: cpio archives, plain or gzip, one after the other, as
 * Documentation/driver-api/early-userspace/buffer-format.rst describes them.
 *
 * Bytes flow: initrd memory → (gzip) → cpio parser → pages of tmpfs files.  A plain archive's data is copied once, and
 * the initrd's pages are given back as the parser passes them, so a machine needs little more memory than the larger of
 * archive and files.  A gzip member needs its input until it is inflated.
 *
 * Hard links: names with the same (device, inode) are linked to the first of them, found in a hash table that lives
 * until the trailer.
 */
#include "fs/initramfs.h"

#include <linux/fcntl.h>

#include "core/log.h"
#include "fs/inode.h"
#include "lib/cpio.h"
#include "lib/gzip.h"
#include "lib/printf.h"
#include "mm/slab.h"

#define LINK_BUCKETS 64
#define PIECE_BYTES (256 * KIB)

struct link_entry {
	struct link_entry *next;
	uint32_t ino, dev_major, dev_minor;
	char name[];
};

struct unpack {
	struct cpio_parser parser;
	const struct actor *who;
	struct file *file; /* being written; NULL: none */
	uint64_t pos;
	const struct cpio_entry *entry;
	struct link_entry *links[LINK_BUCKETS];
	uint64_t files_bytes;
	bool compressed;
};

/* --- entries ----------------------------------------------------------------------------------------------------- */

static struct link_entry **link_bucket(struct unpack *u, const struct cpio_entry *e)
{
	return &u->links[hash_u64((uint64_t)e->ino << 32 ^ (uint64_t)e->dev_major << 20 ^ e->dev_minor) % LINK_BUCKETS];
}

static const char *link_find(struct unpack *u, const struct cpio_entry *e)
{
	for (struct link_entry *l = *link_bucket(u, e); l; l = l->next)
		if (l->ino == e->ino && l->dev_major == e->dev_major && l->dev_minor == e->dev_minor)
			return l->name;
	return NULL;
}

static int link_remember(struct unpack *u, const struct cpio_entry *e)
{
	size_t len = strlen(e->name) + 1;
	struct link_entry *l = kmalloc(sizeof(*l) + len), **bucket = link_bucket(u, e);

	if (!l)
		return -ENOMEM;
	*l = (struct link_entry){.next = *bucket, .ino = e->ino, .dev_major = e->dev_major, .dev_minor = e->dev_minor};
	memcpy(l->name, e->name, len);
	*bucket = l;
	return 0;
}

static int links_forget(void *ctx)
{
	struct unpack *u = ctx;

	for (unsigned i = 0; i < LINK_BUCKETS; i++)
		while (u->links[i]) {
			struct link_entry *next = u->links[i]->next;

			kfree(u->links[i]);
			u->links[i] = next;
		}
	return 0;
}

/* Owner and time of what was just made at `path`. */
static int set_attributes(const struct unpack *u, const struct cpio_entry *e, const struct path *path)
{
	struct attr_change c = {
		.valid = ATTR_MTIME | ATTR_ATIME,
		.mtime = {e->mtime_s, 0},
		.atime = {e->mtime_s, 0},
	};

	if (e->uid || e->gid) {
		c.valid |= ATTR_UID | ATTR_GID;
		c.uid = e->uid;
		c.gid = e->gid;
	}
	if (!S_ISLNK(e->mode)) {
		c.valid |= ATTR_MODE;
		c.mode = e->mode & 07777;
	}
	return vfs_setattr(u->who, path, &c);
}

static int set_attributes_at(const struct unpack *u, const struct cpio_entry *e)
{
	struct path p;
	int err = vfs_lookup(u->who, NULL, e->name, 0, &p);

	if (err)
		return err;
	err = set_attributes(u, e, &p);
	path_put(&p);
	return err;
}

/* Removes what is in the way, unless both are directories. */
static int make_way(const struct unpack *u, const struct cpio_entry *e)
{
	struct path p;
	bool is_dir;
	int err = vfs_lookup(u->who, NULL, e->name, 0, &p);

	if (err)
		return err == -ENOENT ? 0 : err;
	is_dir = S_ISDIR(p.dentry->inode->mode);
	path_put(&p);
	if (is_dir)
		return S_ISDIR(e->mode) ? 0 : vfs_rmdir(u->who, NULL, e->name);
	return vfs_unlink(u->who, NULL, e->name);
}

static int begin_file(struct unpack *u, const struct cpio_entry *e)
{
	const char *first = e->nlink > 1 ? link_find(u, e) : NULL;
	unsigned flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_LARGEFILE | O_NONBLOCK; /* a FIFO has no reader */
	int err;

	if (first && str_equal(first, e->name))
		first = NULL;
	if (first) {
		err = make_way(u, e);
		if (!err)
			err = vfs_link(u->who, NULL, first, NULL, e->name, 0);
		if (err || !e->size_bytes)
			return err;
	} else {
		flags |= O_EXCL;
		if (e->nlink > 1) {
			err = link_remember(u, e);
			if (err)
				return err;
		}
	}
	u->pos = 0;
	err = vfs_open(u->who, NULL, e->name, flags, e->mode & 07777, 0, &u->file);
	if (err == -EEXIST) { /* replaces an earlier entry of the same name */
		err = make_way(u, e);
		if (!err)
			err = vfs_open(u->who, NULL, e->name, flags, e->mode & 07777, 0, &u->file);
	}
	return err;
}

static int begin_other(const struct unpack *u, const struct cpio_entry *e)
{
	int err;

	for (int tries = 0;; tries++) {
		switch (e->mode & S_IFMT) {
		case S_IFDIR:
			err = vfs_mkdir(u->who, NULL, e->name, e->mode & 07777);
			break;
		case S_IFLNK:
			err = vfs_symlink(u->who, e->link_target ? e->link_target : "", NULL, e->name);
			break;
		case S_IFCHR:
		case S_IFBLK:
		case S_IFIFO:
		case S_IFSOCK:
			err = vfs_mknod(u->who, NULL, e->name, e->mode, (uint64_t)e->rdev_major << 32 | e->rdev_minor);
			break;
		default:
			return -EINVAL;
		}
		if (err != -EEXIST)
			return err;
		if (tries)
			return S_ISDIR(e->mode) ? 0 : err;
		err = make_way(u, e);
		if (err)
			return err;
	}
}

static int unpack_begin(void *ctx, const struct cpio_entry *e)
{
	struct unpack *u = ctx;
	int err;

	u->entry = e;
	u->file = NULL;
	if (S_ISREG(e->mode)) {
		err = begin_file(u, e);
	} else {
		err = begin_other(u, e);
		if (!err)
			err = set_attributes_at(u, e);
	}
	/* As on Linux an entry that cannot be made (its directory is missing) is passed over, but not in silence. */
	if (err && err != -ENOMEM) {
		log_warn("initramfs: \"%s\" cannot be made (error %d): %s; entry skipped", e->name, -err,
			 err == -ENOENT ? "its directory is not in the archive before it"
					: "the file system refused it");
		return 1;
	}
	return err;
}

static int unpack_data(void *ctx, const void *data, size_t len)
{
	struct unpack *u = ctx;
	struct uio io;
	int64_t n;

	if (!u->file)
		return 0;
	uio_init_kernel(&io, (void *)(uintptr_t)data, len);
	n = vfs_pwrite(u->file, u->pos, &io, UINT64_MAX);
	if (n < 0)
		return (int)n;
	if ((size_t)n < len)
		return -ENOMEM;
	u->pos += len;
	u->files_bytes += len;
	return 0;
}

static int unpack_end(void *ctx)
{
	struct unpack *u = ctx;
	int err = 0;

	if (u->file) {
		err = set_attributes(u, u->entry, &u->file->path);
		file_put(u->file);
		u->file = NULL;
	}
	return err;
}

/* --- the stream -------------------------------------------------------------------------------------------------- */

static const struct cpio_ops unpack_ops = {
	.begin = unpack_begin,
	.data = unpack_data,
	.end = unpack_end,
	.trailer = links_forget,
};

static int inflated(void *ctx, const void *data, size_t len)
{
	struct unpack *u = ctx;

	return cpio_push(&u->parser, data, len);
}

static const char *other_compression(const uint8_t *p, size_t len)
{
	if (len >= 4 && p[0] == 0x28 && p[1] == 0xb5 && p[2] == 0x2f && p[3] == 0xfd)
		return "zstd";
	if (len >= 6 && p[0] == 0xfd && p[1] == '7' && p[2] == 'z')
		return "xz";
	if (len >= 3 && p[0] == 'B' && p[1] == 'Z' && p[2] == 'h')
		return "bzip2";
	if (len >= 4 && p[0] == 0x02 && p[1] == 0x21 && p[2] == 0x4c && p[3] == 0x18)
		return "lz4";
	return NULL;
}

static cold void report_memory(const struct unpack *u, uint64_t offset, const uint8_t *src, uint64_t len)
{
	/* What the files will take in all: a gzip member ends with its inflated size (RFC 1952 2.3.1). */
	uint64_t total = u->compressed && len >= 4 ? MAX((uint64_t)load_le32(src + len - 4), u->files_bytes) : len;
	uint64_t missing = total - MIN(total, u->files_bytes);
	struct page_stats s;

	page_stats_get(&s);
	log_err("initramfs: out of memory at byte %lu of %lu, in \"%s\", with %lu MiB of RAM; about %lu MiB would do: "
		"give the machine more "
		"(qemu -m) or make the archive smaller",
		(unsigned long)offset, (unsigned long)len, u->parser.name_buf,
		(unsigned long)(s.total * PAGE_SIZE / MIB),
		(unsigned long)((s.total * PAGE_SIZE + missing + missing / 8) / MIB + 2));
}

/* offset: how far into src the good part goes. */
static cold void report(const struct unpack *u, int err, uint64_t offset, const uint8_t *src, uint64_t len,
			const char *gzip_error)
{
	const struct cpio_parser *c = &u->parser;
	const char *kind = offset < len ? other_compression(src + offset, len - offset) : NULL;

	if (err == -ENOMEM)
		report_memory(u, u->compressed ? offset : c->offset, src, len);
	else if (gzip_error)
		log_err("initramfs: gzip data from byte %lu of %lu on: %s; the archive is damaged or was cut short: "
			"make it again and check it "
			"with `gzip -t`",
			(unsigned long)offset, (unsigned long)len, gzip_error);
	else if (c->error)
		log_err("initramfs: %s at byte %lu of the %s archive%s%s%s; make it again with `cpio -o -H newc`",
			c->error, (unsigned long)c->error_offset, u->compressed ? "inflated" : "cpio",
			c->name_buf[0] ? ", entry \"" : "", c->name_buf, c->name_buf[0] ? "\"" : "");
	else if (kind)
		log_err("initramfs: %s compression (at byte %lu) is not supported; pack it with gzip or not at all",
			kind, (unsigned long)offset);
	else
		log_err("initramfs: byte %lu of %lu is the start of neither a newc cpio nor a gzip archive; pass one "
			"of these with -initrd "
			"(`cpio -o -H newc`, optionally through gzip)",
			(unsigned long)offset, (unsigned long)len);
}

static int push_gzip(struct unpack *u, const uint8_t *src, size_t len, size_t *used, const char **error)
{
	const struct gzip_sink sink = {inflated, u};
	void *workspace = kmalloc(GZIP_WORKSPACE_BYTES);
	int err;

	if (!workspace)
		return -ENOMEM;
	u->compressed = true;
	err = gzip_member_inflate(src, len, used, &sink, workspace, GZIP_WORKSPACE_BYTES, error);
	kfree(workspace);
	return err;
}

/* Gives back the initrd's pages the parser has passed. */
static void release_passed(paddr_t base, uint64_t at, uint64_t *released)
{
	uint64_t whole = ALIGN_DOWN(base.v + at, PAGE_SIZE);

	if (whole > base.v + *released) {
		page_release_range(paddr(base.v + *released), whole - (base.v + *released));
		*released = whole - base.v;
	}
}

/* One piece of src, of which `left` bytes are there: a gzip member or some of a plain archive. */
static int unpack_piece(struct unpack *u, const uint8_t *src, uint64_t left, size_t *used, const char **gzip_error)
{
	int err;

	if (cpio_at_boundary(&u->parser) && gzip_probe(src, left))
		return push_gzip(u, src, left, used, gzip_error);
	err = cpio_push_some(&u->parser, src, MIN(left, PIECE_BYTES), used);
	if (err || *used || gzip_probe(src, left))
		return err;
	return -EINVAL;
}

/* base: the physical address of src if its pages are to be given back, else 0. */
static int unpack_all(struct unpack *u, const uint8_t *src, uint64_t len, paddr_t base, uint64_t *released)
{
	const char *gzip_error = NULL;
	uint64_t at = 0;
	size_t used;
	int err = 0;

	while (at < len) {
		err = unpack_piece(u, src + at, len - at, &used, &gzip_error);
		if (err)
			break;
		at += used;
		if (base.v)
			release_passed(base, at, released);
	}
	if (!err)
		err = cpio_finish(&u->parser);
	if (!err && u->parser.entries == 0) {
		u->parser.error = "no entry in it";
		err = -EINVAL;
	}
	if (err)
		report(u, err, at, src, len, gzip_error);
	return err;
}

static int unpack(const struct actor *who, const void *src, uint64_t len, paddr_t base, uint64_t *released)
{
	struct unpack *u = kzalloc(sizeof(*u));
	int err;

	if (!u) {
		log_err("initramfs: out of memory before the first byte; give the machine more memory (qemu -m)");
		return -ENOMEM;
	}
	u->who = who;
	cpio_init(&u->parser, &unpack_ops, u);
	err = unpack_all(u, src, len, base, released);
	if (u->file)
		file_put(u->file);
	links_forget(u);
	kfree(u);
	return err;
}

int initramfs_unpack_bytes(const struct actor *who, const void *src, uint64_t len_bytes)
{
	return unpack(who, src, len_bytes, paddr(0), NULL);
}

int initramfs_unpack(paddr_t base, uint64_t len_bytes)
{
	uint64_t released = 0;
	int err;

	if (!len_bytes)
		return -ENOENT;
	err = unpack(&kernel_actor, paddr_to_ptr(base), len_bytes, base, &released);
	page_release_range(paddr(base.v + released), len_bytes - released);
	return err;
}
