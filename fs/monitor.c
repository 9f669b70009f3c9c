/* Monitor command on file systems: what is mounted where.  The text is /proc/mounts's, as seen from the first root. */
#include "core/monitor.h"
#include "fs/mount.h"
#include "fs/vfs.h"
#include "mm/slab.h"

MONITOR_COMMAND(mounts, "", "mounted file systems", MONITOR_RUNNING)
{
	if (!mount_root) {
		monitor_print(out, "nothing is mounted\n");
		return;
	}
	struct path root = {mount_root, mount_root->root};
	size_t len = vfs_mounts_print(&root, false, NULL, 0) + 1024;
	char *text = kzalloc(len + 1);

	if (!text) {
		monitor_print(out, "no memory\n");
		return;
	}
	(void)vfs_mounts_print(&root, false, text, len);
	monitor_print(out, "%s", text);
	kfree(text);
}
