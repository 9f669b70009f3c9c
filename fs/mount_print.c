/* The text of /proc/mounts and /proc/pid/mountinfo (man 5 proc), and mount(2)'s option strings. */
#include <linux/capability.h>

#include "fs/inode.h"
#include "fs/mount.h"
#include "lib/printf.h"
#include "mm/slab.h"

bool option_next(char **rest, char **key, char **value)
{
	char *p = *rest, *end;

	while (*p == ',')
		p++;
	if (!*p)
		return false;
	end = strchr(p, ',');
	if (end) {
		*end = '\0';
		*rest = end + 1;
	} else {
		*rest = p + strlen(p);
	}
	*key = p;
	*value = strchr(p, '=');
	if (*value)
		*(*value)++ = '\0';
	return true;
}

struct out {
	char *buf;
	size_t len, n; /* n: bytes needed so far */
};

static void out_char(struct out *o, char c)
{
	if (o->n < o->len)
		o->buf[o->n] = c;
	o->n++;
}

static void out_text(struct out *o, const char *s)
{
	while (*s)
		out_char(o, *s++);
}

/* Blanks and backslashes as \ooo, so that fields stay apart (man 3 getmntent). */
static void out_escaped(struct out *o, const char *s)
{
	for (; *s; s++) {
		if (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\\' || *s == '#') {
			out_char(o, '\\');
			out_char(o, (char)('0' + (*s >> 6 & 3)));
			out_char(o, (char)('0' + (*s >> 3 & 7)));
			out_char(o, (char)('0' + (*s & 7)));
		} else {
			out_char(o, *s);
		}
	}
}

static void out_flags(struct out *o, uint32_t flags)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} words[] = {
		{MS_NOSUID, ",nosuid"},	  {MS_NODEV, ",nodev"},		  {MS_NOEXEC, ",noexec"},
		{MS_NOATIME, ",noatime"}, {MS_NODIRATIME, ",nodiratime"},
	};

	out_text(o, flags & MS_RDONLY ? "ro" : "rw");
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (flags & words[i].flag)
			out_text(o, words[i].text);
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		out_text(o, ",relatime");
}

static void out_options(struct out *o, struct super *s)
{
	if (s->options_print)
		o->n += s->options_print(s, o->buf + MIN(o->n, o->len), o->len - MIN(o->n, o->len));
}

static void print_mountinfo(struct out *o, struct mount *m, const char *where, char *scratch, size_t scratch_len)
{
	struct path inner = {m, m->root};
	char text[64];
	struct mount *parent = m->parent;

	snprintf(text, sizeof(text), "%d %d %u:%u ", m->id, parent ? parent->id : m->id, rdev_major(m->super->dev),
		 rdev_minor(m->super->dev));
	out_text(o, text);
	out_escaped(o, path_render_in_super(&inner, scratch, scratch_len) ?: "/");
	out_char(o, ' ');
	out_escaped(o, where);
	out_char(o, ' ');
	out_flags(o, m->flags);
	out_text(o, " - ");
	out_escaped(o, m->super->type->name);
	out_char(o, ' ');
	out_escaped(o, m->source);
	out_text(o, m->super->flags & MS_RDONLY ? " ro" : " rw");
	out_options(o, m->super);
	out_char(o, '\n');
}

static void print_mount(struct out *o, struct mount *m, const char *where)
{
	out_escaped(o, m->source);
	out_char(o, ' ');
	out_escaped(o, where);
	out_char(o, ' ');
	out_escaped(o, m->super->type->name);
	out_char(o, ' ');
	out_flags(o, m->flags | (uint32_t)(m->super->flags & MS_RDONLY));
	out_options(o, m->super);
	out_text(o, " 0 0\n");
}

size_t vfs_mounts_print(const struct path *root, bool mountinfo, char *buf, size_t len)
{
	struct out o = {buf, len, 0};
	char *scratch = kmalloc(2 * PATH_MAX_BYTES);
	struct mount *m;

	if (!scratch)
		return 0;
	/* the tree stands still: changes need this lock, and no other is needed to look */
	mutex_lock(&namespace_lock);
	LIST_FOR_EACH(m, &mount_all, all) {
		struct path p = {m, m->root};
		char *where = path_render(&p, root, scratch, PATH_MAX_BYTES);

		if (!where || where[0] != '/')
			continue; /* out of the reader's reach */
		if (mountinfo)
			print_mountinfo(&o, m, where, scratch + PATH_MAX_BYTES, PATH_MAX_BYTES);
		else
			print_mount(&o, m, where);
	}
	mutex_unlock(&namespace_lock);
	kfree(scratch);
	return o.n;
}
