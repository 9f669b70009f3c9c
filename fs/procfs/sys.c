/* /proc/sys: what this floor and those below can tell (Documentation/admin-guide/sysctl). */
#include "core/log.h"
#include "lib/version.h"
#include "dev/random.h"
#include "fs/procfs/internal.h"
#include "fs/utsname.h"

/* RFC 4122, version 4 */
static void show_uuid(struct text *t, const uint8_t id[16])
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned b = i == 6 ? (id[i] & 0x0fu) | 0x40 : i == 8 ? (id[i] & 0x3fu) | 0x80 : id[i];

		text_printf(t, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b);
	}
	text_append(t, "\n", 1);
}

static uint8_t boot_id[16];

static void show_boot_id(struct text *t, void *arg)
{
	(void)arg;
	show_uuid(t, boot_id);
}

static void show_new_uuid(struct text *t, void *arg)
{
	uint8_t id[16];

	(void)arg;
	random_bytes(id, sizeof(id));
	show_uuid(t, id);
}

static void show_text(struct text *t, void *arg)
{
	text_append(t, arg, strlen(arg));
}

/* arg non-NULL: the domain */
static void show_name(struct text *t, void *arg)
{
	struct new_utsname u;

	utsname_get(&u);
	text_printf(t, "%s\n", arg ? u.domainname : u.nodename);
}

static int store_name(const char *text, size_t len, void *arg)
{
	char name[__NEW_UTS_LEN + 1];

	len = MIN(strnlen(text, len), sizeof(name) - 1);
	memcpy(name, text, len);
	if (len && name[len - 1] == '\n')
		len--;
	name[len] = '\0';
	utsname_set(arg, name);
	return 0;
}

static void show_printk(struct text *t, void *arg)
{
	(void)arg;
	text_printf(t, "%d\t4\t1\t7\n", log_console_level);
}

static int store_printk(const char *text, size_t len, void *arg)
{
	(void)arg;
	if (len == 0 || text[0] < '0' || text[0] > '9')
		return -EINVAL;
	log_console_level = text[0] - '0';
	return 0;
}

#define FIXED(text_) .mode = 0444, .show = show_text, .arg = (text_)

static const struct procfs_entry entries[] = {
	{.path = "sys/kernel/ostype", FIXED(UTS_SYSNAME "\n")},
	{.path = "sys/kernel/osrelease", FIXED(UTS_RELEASE "\n")},
	{.path = "sys/kernel/version", FIXED(UTS_VERSION "\n")},
	{.path = "sys/kernel/hostname", .mode = 0644, .show = show_name, .store = store_name},
	{.path = "sys/kernel/domainname", .mode = 0644, .show = show_name, .store = store_name, .arg = (void *)1},
	{.path = "sys/kernel/random/boot_id", .mode = 0444, .show = show_boot_id},
	{.path = "sys/kernel/random/uuid", .mode = 0444, .show = show_new_uuid},
	{.path = "sys/kernel/random/entropy_avail", FIXED("256\n")},
	{.path = "sys/kernel/random/poolsize", FIXED("256\n")},
	{.path = "sys/kernel/cap_last_cap", FIXED("40\n")},
	{.path = "sys/kernel/ngroups_max", FIXED("65536\n")},
	{.path = "sys/kernel/overflowuid", FIXED("65534\n")},
	{.path = "sys/kernel/overflowgid", FIXED("65534\n")},
	{.path = "sys/kernel/printk", .mode = 0644, .show = show_printk, .store = store_printk},
	{.path = "sys/vm/overcommit_memory", FIXED("1\n")},
	{.path = "sys/vm/mmap_min_addr", FIXED("4096\n")},
	{.path = "sys/vm/swappiness", FIXED("0\n")},
	{.path = "sys/fs/file-max", FIXED("9223372036854775807\n")},
	{.path = "sys/fs/nr_open", FIXED("1048576\n")},
	{.path = "sys/fs/pipe-max-size", FIXED("1048576\n")},
	{.path = "sys/fs/protected_hardlinks", FIXED("0\n")},
	{.path = "sys/fs/protected_symlinks", FIXED("0\n")},
};

void proc_register_sys(void)
{
	random_bytes(boot_id, sizeof(boot_id));
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
		int err = procfs_register(&entries[i]);

		if (err)
			panic("procfs: /proc/%s at boot: error %d", entries[i].path, -err);
	}
}
