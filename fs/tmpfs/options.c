/* mount -t tmpfs -o … : man 5 tmpfs. */
#include <linux/magic.h>

#include "fs/tmpfs/internal.h"
#include "lib/cmdline.h"
#include "lib/printf.h"
#include "mm/slab.h"

/* "64M", "50%" → pages, rounded up. 0 means no limit. */
static int parse_size(const char *text, uint64_t unit, uint64_t *pages)
{
	size_t len = strlen(text);
	uint64_t n;

	if (len > 1 && text[len - 1] == '%') {
		struct page_stats stats;
		char digits[8];

		if (strlcpy(digits, text, sizeof(digits)) >= sizeof(digits))
			return -EINVAL;
		digits[len - 1] = '\0';
		if (str_to_u64(digits, 10, &n))
			return -EINVAL;
		page_stats_get(&stats);
		*pages = stats.total * n / 100;
		return 0;
	}
	if (cmdline_u64(text, &n) || __builtin_mul_overflow(n, unit, &n) || n > UINT64_MAX - PAGE_MASK)
		return -EINVAL;
	*pages = (n + PAGE_MASK) / PAGE_SIZE;
	return 0;
}

static int parse_u32(const char *text, unsigned base, uint32_t max, uint32_t *out)
{
	uint64_t n;

	if (!text || str_to_u64(text, base, &n) || n > max)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

static int parse_option(struct tmpfs_options *o, const char *key, const char *value)
{
	if (str_equal(key, "size"))
		return value ? parse_size(value, 1, &o->pages_max) : -EINVAL;
	if (str_equal(key, "nr_blocks"))
		return value ? parse_size(value, PAGE_SIZE, &o->pages_max) : -EINVAL;
	if (str_equal(key, "nr_inodes"))
		return value && !cmdline_u64(value, &o->inodes_max) ? 0 : -EINVAL;
	if (str_equal(key, "mode"))
		return parse_u32(value, 8, 07777, &o->mode);
	if (str_equal(key, "uid"))
		return parse_u32(value, 10, UINT32_MAX - 1, &o->uid);
	if (str_equal(key, "gid"))
		return parse_u32(value, 10, UINT32_MAX - 1, &o->gid);
	return -EINVAL;
}

static int parse_options(struct tmpfs_options *o, const char *text)
{
	char *copy = kstrdup(text), *rest = copy, *key, *value;
	int err = copy ? 0 : -ENOMEM;

	while (!err && option_next(&rest, &key, &value))
		err = parse_option(o, key, value);
	kfree(copy);
	return err;
}

size_t tmpfs_options_print(struct super *s, char *buf, size_t len)
{
	const struct tmpfs_options *o = &((struct tmpfs *)s->private)->options;
	size_t n = 0;

	if (o->pages_max)
		n += (size_t)snprintf(buf, len, ",size=%luk", (unsigned long)(o->pages_max * (PAGE_SIZE / 1024)));
	if (o->inodes_max)
		n += (size_t)snprintf(buf + MIN(n, len), len - MIN(n, len), ",nr_inodes=%lu",
				      (unsigned long)o->inodes_max);
	if (o->mode != (s->type->magic == TMPFS_MAGIC ? 01777u : 0755u))
		n += (size_t)snprintf(buf + MIN(n, len), len - MIN(n, len), ",mode=%o", o->mode);
	return n;
}

int tmpfs_remount(struct super *s, const char *text)
{
	struct tmpfs *t = s->private;
	struct tmpfs_options o = t->options;
	int err = parse_options(&o, text);

	if (err)
		return err;
	/* a file system that did not count cannot begin in the middle, nor go below what it holds */
	if (!o.pages_max != !t->options.pages_max || !o.inodes_max != !t->options.inodes_max ||
	    (o.pages_max && o.pages_max < atomic_load_relaxed(&t->pages)) ||
	    (o.inodes_max && o.inodes_max < atomic_load_relaxed(&t->inodes)))
		return -EINVAL;
	t->options = o;
	return 0;
}

static int tmpfs_mount(const struct fs_type *t, const char *source, unsigned long flags, const char *text,
		       struct super **out)
{
	struct tmpfs_options o = {.mode = 01777};
	struct page_stats stats;
	int err;

	(void)source;
	page_stats_get(&stats);
	if (t->magic == TMPFS_MAGIC) { /* half of the memory, as on Linux */
		o.pages_max = stats.total / 2;
		o.inodes_max = stats.total / 2;
	} else {
		o.mode = 0755;
	}
	err = parse_options(&o, text);
	return err ? err : tmpfs_create(t, &o, flags, out);
}

static const struct fs_type tmpfs_type = {.name = "tmpfs",
					  .flags = FS_NODEV,
					  .magic = TMPFS_MAGIC,
					  .mount = tmpfs_mount};
static const struct fs_type ramfs_type = {.name = "ramfs",
					  .flags = FS_NODEV,
					  .magic = RAMFS_MAGIC,
					  .mount = tmpfs_mount};
static const struct fs_type rootfs_type = {.name = "rootfs",
					   .flags = FS_NODEV,
					   .magic = RAMFS_MAGIC,
					   .mount = tmpfs_mount};
FILESYSTEM(tmpfs_type);
FILESYSTEM(ramfs_type);
FILESYSTEM(rootfs_type);
