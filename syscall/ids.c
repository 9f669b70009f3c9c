/*
 * User and group ids and capabilities (credentials(7), capabilities(7)).
 *
 * A change makes a copy, alters it and publishes it: cred_commit.  The rule for capabilities when the effective uid
 * enters or leaves 0 is in one place, uid_change_caps.
 */
#include <linux/capability.h>
#include <linux/prctl.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "syscall/handlers.h"

#define KEEP UINT32_MAX /* "-1": leave as it is */

static const struct cred *cred_now(void)
{
	return task_current()->cred;
}

static struct cred *cred_change(void)
{
	return cred_copy(cred_now(), cred_now()->group_count);
}

/* Takes c. */
static long cred_commit(struct cred *c)
{
	const struct cred *old = cred_now();

	if (c->euid != old->euid || c->egid != old->egid)
		process_current()->dumpable = false;
	task_set_cred(c);
	return 0;
}

/* capabilities(7), "Effect of user ID changes on capabilities". */
static void uid_change_caps(const struct cred *old, struct cred *c)
{
	bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
	bool has_root = c->uid == 0 || c->euid == 0 || c->suid == 0;

	if (had_root && !has_root) {
		c->cap_permitted = c->cap_ambient = 0;
		c->cap_effective = 0;
	} else if (old->euid == 0 && c->euid != 0) {
		c->cap_effective = 0;
	} else if (old->euid != 0 && c->euid == 0) {
		c->cap_effective = c->cap_permitted;
	}
}

static bool uid_is_mine(const struct cred *c, uint32_t id)
{
	return id == c->uid || id == c->euid || id == c->suid;
}

static bool gid_is_mine(const struct cred *c, uint32_t id)
{
	return id == c->gid || id == c->egid || id == c->sgid;
}

/* setresuid and all that can be said in its terms; privileged: CAP_SETUID. */
static long change_uids(uint32_t r, uint32_t e, uint32_t s)
{
	const struct cred *old = cred_now();
	struct cred *c = cred_change();

	if (!c)
		return -ENOMEM;
	c->uid = r != KEEP ? r : old->uid;
	c->euid = c->fsuid = e != KEEP ? e : old->euid;
	c->suid = s != KEEP ? s : old->suid;
	uid_change_caps(old, c);
	return cred_commit(c);
}

static long change_gids(uint32_t r, uint32_t e, uint32_t s)
{
	const struct cred *old = cred_now();
	struct cred *c = cred_change();

	if (!c)
		return -ENOMEM;
	c->gid = r != KEEP ? r : old->gid;
	c->egid = c->fsgid = e != KEEP ? e : old->egid;
	c->sgid = s != KEEP ? s : old->sgid;
	return cred_commit(c);
}

long sys_getuid(const struct syscall_args *a)
{
	(void)a;
	return cred_now()->uid;
}

long sys_geteuid(const struct syscall_args *a)
{
	(void)a;
	return cred_now()->euid;
}

long sys_getgid(const struct syscall_args *a)
{
	(void)a;
	return cred_now()->gid;
}

long sys_getegid(const struct syscall_args *a)
{
	(void)a;
	return cred_now()->egid;
}

static long three_to_user(const struct syscall_args *a, uint32_t r, uint32_t e, uint32_t s)
{
	if (put_user_u32(arg_uptr(a, 0), r) != 0 || put_user_u32(arg_uptr(a, 1), e) != 0 ||
	    put_user_u32(arg_uptr(a, 2), s) != 0)
		return -EFAULT;
	return 0;
}

long sys_getresuid(const struct syscall_args *a)
{
	return three_to_user(a, cred_now()->uid, cred_now()->euid, cred_now()->suid);
}

long sys_getresgid(const struct syscall_args *a)
{
	return three_to_user(a, cred_now()->gid, cred_now()->egid, cred_now()->sgid);
}

long sys_setuid(const struct syscall_args *a)
{
	uint32_t id = arg_uint(a, 0);

	if (id == KEEP)
		return -EINVAL;
	if (capable(CAP_SETUID))
		return change_uids(id, id, id);
	return id == cred_now()->uid || id == cred_now()->suid ? change_uids(KEEP, id, KEEP) : -EPERM;
}

long sys_setgid(const struct syscall_args *a)
{
	uint32_t id = arg_uint(a, 0);

	if (id == KEEP)
		return -EINVAL;
	if (capable(CAP_SETGID))
		return change_gids(id, id, id);
	return id == cred_now()->gid || id == cred_now()->sgid ? change_gids(KEEP, id, KEEP) : -EPERM;
}

long sys_setreuid(const struct syscall_args *a)
{
	uint32_t r = arg_uint(a, 0), e = arg_uint(a, 1);
	const struct cred *c = cred_now();

	if (!capable(CAP_SETUID) && ((r != KEEP && r != c->uid && r != c->euid) || (e != KEEP && !uid_is_mine(c, e))))
		return -EPERM;
	/* The saved id follows when the real one is set or the effective one becomes another than the real one
	 * (setreuid(2)). */
	bool follow = r != KEEP || (e != KEEP && e != c->uid);
	return change_uids(r, e, follow ? (e != KEEP ? e : c->euid) : KEEP);
}

long sys_setregid(const struct syscall_args *a)
{
	uint32_t r = arg_uint(a, 0), e = arg_uint(a, 1);
	const struct cred *c = cred_now();

	if (!capable(CAP_SETGID) && ((r != KEEP && r != c->gid && r != c->egid) || (e != KEEP && !gid_is_mine(c, e))))
		return -EPERM;
	bool follow = r != KEEP || (e != KEEP && e != c->gid);
	return change_gids(r, e, follow ? (e != KEEP ? e : c->egid) : KEEP);
}

long sys_setresuid(const struct syscall_args *a)
{
	for (unsigned i = 0; i < 3; i++)
		if (arg_uint(a, i) != KEEP && !capable(CAP_SETUID) && !uid_is_mine(cred_now(), arg_uint(a, i)))
			return -EPERM;
	return change_uids(arg_uint(a, 0), arg_uint(a, 1), arg_uint(a, 2));
}

long sys_setresgid(const struct syscall_args *a)
{
	for (unsigned i = 0; i < 3; i++)
		if (arg_uint(a, i) != KEEP && !capable(CAP_SETGID) && !gid_is_mine(cred_now(), arg_uint(a, i)))
			return -EPERM;
	return change_gids(arg_uint(a, 0), arg_uint(a, 1), arg_uint(a, 2));
}

/* setfsuid(2) cannot fail visibly: it returns the old value either way. */
long sys_setfsuid(const struct syscall_args *a)
{
	uint32_t id = arg_uint(a, 0), old = cred_now()->fsuid;

	if (id != KEEP && (capable(CAP_SETUID) || uid_is_mine(cred_now(), id) || id == old)) {
		struct cred *c = cred_change();
		if (c) {
			c->fsuid = id;
			(void)cred_commit(c);
		}
	}
	return old;
}

long sys_setfsgid(const struct syscall_args *a)
{
	uint32_t id = arg_uint(a, 0), old = cred_now()->fsgid;

	if (id != KEEP && (capable(CAP_SETGID) || gid_is_mine(cred_now(), id) || id == old)) {
		struct cred *c = cred_change();
		if (c) {
			c->fsgid = id;
			(void)cred_commit(c);
		}
	}
	return old;
}

long sys_getgroups(const struct syscall_args *a)
{
	const struct cred *c = cred_now();
	int size = arg_int(a, 0);

	if (size < 0)
		return -EINVAL;
	if (size == 0)
		return c->group_count;
	if ((uint32_t)size < c->group_count)
		return -EINVAL;
	return copy_to_user(arg_uptr(a, 1), c->groups, c->group_count * sizeof(c->groups[0])) == 0
		? (long)c->group_count
		: -EFAULT;
}

static void sort_groups(uint32_t *g, uint32_t n) /* shell sort: no recursion, no worst case to fear at 65,536 */
{
	for (uint32_t gap = n / 2; gap > 0; gap /= 2) {
		for (uint32_t i = gap; i < n; i++) {
			uint32_t v = g[i], j = i;
			for (; j >= gap && g[j - gap] > v; j -= gap)
				g[j] = g[j - gap];
			g[j] = v;
		}
	}
}

long sys_setgroups(const struct syscall_args *a)
{
	uint32_t n = arg_uint(a, 0);

	if (!capable(CAP_SETGID))
		return -EPERM;
	if (n > CRED_GROUPS_MAX)
		return -EINVAL;
	struct cred *c = cred_copy(cred_now(), n);
	if (!c)
		return -ENOMEM;
	if (copy_from_user(c->groups, arg_uptr(a, 1), n * sizeof(c->groups[0])) != 0) {
		cred_put(c);
		return -EFAULT;
	}
	sort_groups(c->groups, n);
	return cred_commit(c);
}

/* --- capabilities
 * ------------------------------------------------------------------------------------------------------ */

/* Words per set in this version; 0: an unknown one, and the preferred version was written back. */
static long cap_version_words(uptr_t head, struct __user_cap_header_struct *h, unsigned *words)
{
	if (copy_from_user(h, head, sizeof(*h)) != 0)
		return -EFAULT;
	switch (h->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		return 0;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		return 0;
	}
	return put_user_u32(head, _LINUX_CAPABILITY_VERSION_3) == 0 ? -EINVAL : -EFAULT;
}

long sys_capget(const struct syscall_args *a)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2] = {0};
	unsigned words;

	long err = cap_version_words(arg_uptr(a, 0), &h, &words);
	if (err)
		return uptr_null(arg_uptr(a, 1)) && err == -EINVAL ? 0 : err;
	if (h.pid != 0 && h.pid != task_current()->tid && h.pid != process_current()->pid)
		return -ESRCH;
	const struct cred *c = cred_now();
	for (unsigned i = 0; i < 2; i++) {
		d[i].effective = (uint32_t)(c->cap_effective >> 32 * i);
		d[i].permitted = (uint32_t)(c->cap_permitted >> 32 * i);
		d[i].inheritable = (uint32_t)(c->cap_inheritable >> 32 * i);
	}
	return copy_to_user(arg_uptr(a, 1), d, words * sizeof(d[0]));
}

long sys_capset(const struct syscall_args *a)
{
	struct __user_cap_header_struct h;
	struct __user_cap_data_struct d[2] = {0};
	unsigned words;

	long err = cap_version_words(arg_uptr(a, 0), &h, &words);
	if (err)
		return err;
	if (h.pid != 0 && h.pid != task_current()->tid)
		return -EPERM;
	if (copy_from_user(d, arg_uptr(a, 1), words * sizeof(d[0])) != 0)
		return -EFAULT;
	uint64_t effective = d[0].effective | (uint64_t)d[1].effective << 32,
		 permitted = d[0].permitted | (uint64_t)d[1].permitted << 32,
		 inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
	const struct cred *old = cred_now();
	if (permitted & ~old->cap_permitted || effective & ~permitted)
		return -EPERM;
	if (inheritable & ~(old->cap_inheritable | old->cap_permitted) ||
	    inheritable & ~(old->cap_inheritable | old->cap_bounding))
		return -EPERM;
	struct cred *c = cred_change();
	if (!c)
		return -ENOMEM;
	c->cap_effective = effective;
	c->cap_permitted = permitted;
	c->cap_inheritable = inheritable;
	c->cap_ambient &= permitted & inheritable;
	return cred_commit(c);
}
