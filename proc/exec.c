/*
 * execve(2): theory and orchestration.
 *
 * Everything is prepared beside the running program: the file is found and judged, strings are collected, a whole new
 * address space with segments and stack is built, and copies of what is shared (handlers, descriptors) and new
 * credentials are made. Until then any failure leaves the caller as it was, out-of-memory included.  The point of no
 * return is process_kill_other_threads; what follows are swaps of pointers that cannot fail.
 *
 *   exec_script.c   opening, #! lines
 *   exec_args.c     strings
 *   exec_load.c     ELF segments
 *   exec_stack.c    vectors, auxv
 *   vdso.c          the vDSO
 *
 * Cost: two address spaces exist for a moment, of which the new one has two or three pages. Gain: no "killed in the
 * middle of exec".
 *
 * Set-id programs (man 2 execve): honoured unless the mount says nosuid or the process no_new_privs. Capabilities
 * follow capabilities(7), "Transformation of capabilities during execve()", for files without file capabilities.
 */
#include "proc/exec.h"

#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>

#include <arch/mmu.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "proc/exec_internal.h"

#define MOUNT_NOSUID 2 /* ST_NOSUID (man 2 statfs) */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- credentials ------------------------------------------------------------------------------------------------- */

static bool set_id_allowed(const struct exec *e)
{
	struct vfs_statfs st;

	if (process_current()->no_new_privs || vfs_statfs(&e->program.file->path, &st) != 0)
		return false;
	return !(st.flags & MOUNT_NOSUID);
}

/* capabilities(7): P'(ambient) = privileged ? 0 : P(ambient); P'(permitted) = (P(inheritable) & F) | (F & bounding) |
 * P'(ambient). */
static void new_capabilities(struct cred *n, bool set_id)
{
	bool root_rules = !(n->securebits & SECBIT_NOROOT);
	bool all = root_rules && (n->uid == 0 || n->euid == 0), effective = root_rules && n->euid == 0;

	if (set_id)
		n->cap_ambient = 0;
	n->cap_permitted = (all ? n->cap_inheritable | n->cap_bounding : 0) | n->cap_ambient;
	n->cap_effective = effective ? n->cap_permitted : n->cap_ambient;
}

static int prepare_cred(struct exec *e)
{
	const struct cred *c = e->who.cred;
	const struct inode *i = e->program.file->inode;
	uint32_t mode = READ_ONCE(i->mode);
	uint32_t euid = c->euid, egid = c->egid;
	bool set_id = false;

	if (unlikely(mode & (S_ISUID | S_ISGID)) && set_id_allowed(e)) {
		if (mode & S_ISUID)
			euid = i->uid;
		if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			egid = i->gid;
		set_id = euid != c->uid || egid != c->gid;
	}
	e->secure = set_id || euid != c->uid || egid != c->gid;
	struct cred next = *c; /* without the groups, to see whether anything changes */
	next.euid = next.suid = next.fsuid = euid;
	next.egid = next.sgid = next.fsgid = egid;
	new_capabilities(&next, set_id);
	if (next.euid == c->euid && next.suid == c->suid && next.fsuid == c->fsuid && next.egid == c->egid &&
	    next.sgid == c->sgid && next.fsgid == c->fsgid && next.cap_permitted == c->cap_permitted &&
	    next.cap_effective == c->cap_effective && next.cap_ambient == c->cap_ambient)
		return 0;
	struct cred *n = cred_copy(c, c->group_count);
	if (!n)
		return -ENOMEM;
	n->euid = n->suid = n->fsuid = euid;
	n->egid = n->sgid = n->fsgid = egid;
	new_capabilities(n, set_id);
	e->cred = n;
	return 0;
}

/* --- prepare ----------------------------------------------------------------------------------------------------- */

static int prepare_private_copies(struct exec *e)
{
	struct task *t = task_current();
	int err = 0;

	e->exe = kmalloc(sizeof(*e->exe));
	if (!e->exe)
		return -ENOMEM;
	/* Another thread may still share it with a new process (CLONE_SIGHAND) before it is ended. */
	if (refcount_read(&t->process->sighand->refs) > 1 || READ_ONCE(t->process->thread_count) > 1)
		err = sighand_copy(t->process->sighand, &e->sighand);
	if (!err && refcount_read(&t->files->refs) > 1)
		err = fdtable_copy(t->files, &e->files);
	/* Who shares the directory and the mask (CLONE_FS) could change those of a program with other rights. */
	if (!err && e->secure && refcount_read(&t->fs->refs) > 1)
		err = fs_context_copy(t->fs, &e->fs);
	return err;
}

static int prepare(struct exec *e, const struct path *base, const char *path, unsigned lookup_flags,
		   const struct exec_strings *argv, const struct exec_strings *envp)
{
	int err = exec_open(e, base, path, lookup_flags);

	if (!err)
		err = exec_load_headers(e);
	if (!err)
		err = exec_args_collect(e, argv, envp);
	if (!err)
		err = prepare_cred(e);
	if (!err)
		err = aspace_create(&e->aspace);
	if (!err)
		err = exec_load_map(e);
	if (!err)
		err = exec_map_vdso(e);
	if (!err)
		err = exec_stack_build(e);
	if (!err)
		err = prepare_private_copies(e);
	return err;
}

/* --- commit ------------------------------------------------------------------------------------------------------ */

static void switch_image(struct exec *e, struct task *t)
{
	struct process *p = t->process;

	refcount_init(&e->exe->refs, 1);
	e->exe->file = e->program.file;
	e->program.file = NULL;

	irqflags_t f = spin_lock(&p->lock);
	struct aspace *old = p->aspace;
	struct exe *old_exe = p->exe;
	p->aspace = e->aspace;
	p->exe = e->exe;
	t->thread.aspace = e->aspace;
	t->thread.mmu = &e->aspace->mmu;
	mmu_switch(&e->aspace->mmu); /* interrupts are off: no switch sees half of it */
	spin_unlock(&p->lock, f);
	e->aspace = NULL;
	e->exe = NULL;

	/* Usage counts go on over exec (man 2 getrusage). */
	struct usage u = {.faults_minor = READ_ONCE(old->faults_minor),
			  .faults_major = READ_ONCE(old->faults_major),
			  .peak_resident_pages = READ_ONCE(old->peak_resident)};
	f = spin_lock(&process_tree_lock);
	usage_add(&p->self, &u);
	spin_unlock(&process_tree_lock, f);
	aspace_put(old);
	exe_put(old_exe);
}

static void switch_private(struct exec *e, struct task *t)
{
	struct process *p = t->process;

	if (e->sighand) {
		irqflags_t f = spin_lock(&p->signal_lock);
		struct sighand *old = p->sighand;
		p->sighand = e->sighand;
		spin_unlock(&p->signal_lock, f);
		sighand_put(old);
		e->sighand = NULL;
	}
	signal_exec_reset();
	if (e->files) {
		irqflags_t f = spin_lock(&p->lock);
		struct fdtable *old = t->files;
		t->files = e->files;
		spin_unlock(&p->lock, f);
		fdtable_put(old);
		e->files = NULL;
	}
	if (e->fs) {
		irqflags_t f = spin_lock(&p->lock);
		struct fs_context *old = t->fs;
		t->fs = e->fs;
		spin_unlock(&p->lock, f);
		fs_context_put(old);
		e->fs = NULL;
	}
	fdtable_close_on_exec(t->files);
}

static void commit(struct exec *e)
{
	struct task *t = task_current();
	struct process *p = t->process;
	uint64_t entry = e->entry, sp = e->sp;

	task_leave_memory(t, true); /* its locks are marked with the number it had */
	process_take_lead(t);
	if (e->cred) { /* before there is an image that who has the old ids could write to */
		const struct cred *c = e->cred;
		e->cred = NULL;
		task_set_cred(c);
	}
	switch_image(e, t);
	switch_private(e, t);

	p->did_exec = true;
	p->dumpable = e->secure ? 0 : 1;
	if (e->secure)
		p->parent_death_signal = 0;
	irqflags_t f = spin_lock(&process_tree_lock);
	p->exit_signal = SIGCHLD;
	spin_unlock(&process_tree_lock, f);
	t->set_child_tid = uptr(0);
	t->clear_child_tid = uptr(0);
	rseq_forget(t);
	t->restart.fn = NULL;
	task_set_name(t, base_name(e->filename));

	fpu_forget(&t->thread.arch);
	fpu_area_init(t->thread.arch.fpu);
	context_set_tls(&t->thread.arch, 0);
	context_set_gs(&t->thread.arch, 0);
	context_user_frame_init(context_user_frame(&t->thread.arch), vaddr(entry), vaddr(sp));
}

static void drop_elf(struct exec_elf *x)
{
	if (x->file) {
		vfs_exec_done(x->file);
		file_put(x->file);
	}
	kfree(x->phdrs);
}

static void exec_free(struct exec *e)
{
	drop_elf(&e->program);
	drop_elf(&e->interp);
	for (unsigned i = e->prefix_start; i < EXEC_PREFIX_MAX; i++)
		kfree(e->prefix[i]);
	exec_args_free(&e->args);
	if (e->aspace)
		aspace_put(e->aspace);
	if (e->sighand)
		sighand_put(e->sighand);
	if (e->files)
		fdtable_put(e->files);
	if (e->fs)
		fs_context_put(e->fs);
	if (e->cred)
		cred_put(e->cred);
	kfree(e->exe);
	kfree(e);
}

int exec_program(const struct path *base, const char *path, unsigned lookup_flags, const char *script_name,
		 const struct exec_strings *argv, const struct exec_strings *envp)
{
	struct exec *e = kzalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->who = process_actor();
	e->filename = script_name ? script_name : path;
	e->prefix_start = EXEC_PREFIX_MAX;

	int err = prepare(e, base, path, lookup_flags, argv, envp);
	if (!err)
		err = process_kill_other_threads();
	if (!err)
		commit(e);
	exec_free(e);
	return err;
}
