/*
 * Restartable sequences, rseq(2).  Theory.
 *
 * A program updates per-CPU data without atomic instructions: its code between start_ip and post_commit_offset, a
 * critical section, runs undisturbed on one CPU or is begun again. While in it, the thread's struct rseq points to its
 * description; if the kernel took the CPU away meanwhile, or delivered a signal, the thread goes on at abort_ip. The
 * four bytes before that must be the signature given at registration, so that nobody can be sent just anywhere. The
 * kernel also keeps the CPU's number there, for whoever only wants that. C libraries register every thread (glibc since
 * 2.35).
 *
 * Mechanism. A registered thread has WORK_RSEQ in arch.switch_work: each switch to it puts that into its work, and the
 * return to the program comes here. Threads without, and returns without a switch before, pay nothing. So it is enough
 * to look at a thread on its way out, by itself, in its own memory.
 *
 * When a system call slept, which is most switches, there is nothing to abort (a critical section must not make system
 * calls), and unless the CPU is another one nothing to write either: rseq_return() looks at no user memory then.
 *
 * Concurrency id (mm_cid): distinct among the threads that run at one moment in one address space, below the number of
 * CPUs. It is 0 while the address space has one thread, else the CPU's number. When a second thread is made, its maker
 * is in the kernel, and on return gets its CPU's number, before or after the other runs. Rejected: ids packed to the
 * lowest ones in use, as on Linux; they want a map per address space that every switch changes.
 *
 * Failure: an area that cannot be written, a wrong signature or a description that makes no sense ends in SIGSEGV, as
 * on Linux; the handler's frame is not built if the section it interrupts is damaged.
 */
#include "proc/rseq.h"

#include <asm/errno.h>
#include <asm/signal.h>

#include "abi/rseq.h"
#include "core/log.h"
#include "mm/usercopy.h"
#include "proc/internal.h"

#define RSEQ_NEVER UINT32_MAX
#define AREA_FIELD(r, name) uptr_add((r)->area, offsetof(struct rseq_area, name))

/* --- registration ------------------------------------------------------------------------------------------------ */

void rseq_forget(struct task *t)
{
	t->rseq = (struct task_rseq){0};
	t->thread.arch.switch_work &= ~(uint32_t)WORK_RSEQ;
	thread_clear_work(&t->thread, WORK_RSEQ);
}

static int area_unregister(struct task *t, uptr_t area, uint32_t len, uint32_t sig)
{
	struct task_rseq *r = &t->rseq;

	if (uptr_null(r->area) || r->area.v != area.v || r->len != len)
		return -EINVAL;
	if (r->sig != sig)
		return -EPERM;
	if (put_user_u32(AREA_FIELD(r, cpu_id_start), 0) != 0 ||
	    put_user_u32(AREA_FIELD(r, cpu_id), (uint32_t)RSEQ_CPU_ID_UNINITIALIZED) != 0 ||
	    put_user_u32(AREA_FIELD(r, node_id), 0) != 0 || put_user_u32(AREA_FIELD(r, mm_cid), 0) != 0)
		return -EFAULT;
	rseq_forget(t);
	return 0;
}

/* The length of Linux before 6.3 wants that length's alignment, any other the structure's own: here they are
 * the same. */
static bool length_and_place_ok(uptr_t area, uint32_t len)
{
	return len >= RSEQ_ORIGINAL_BYTES && IS_ALIGNED(area.v, RSEQ_ALIGN);
}

int rseq_register(uptr_t area, uint32_t len, int flags, uint32_t sig)
{
	struct task *t = task_current();
	struct task_rseq *r = &t->rseq;

	if (flags & RSEQ_FLAG_UNREGISTER)
		return flags == RSEQ_FLAG_UNREGISTER ? area_unregister(t, area, len, sig) : -EINVAL;
	if (flags)
		return -EINVAL;
	if (!uptr_null(r->area)) {
		if (r->area.v != area.v || r->len != len)
			return -EINVAL;
		return r->sig != sig ? -EPERM : -EBUSY;
	}
	if (!length_and_place_ok(area, len))
		return -EINVAL;
	if (!user_range_ok(area, len))
		return -EFAULT;
	*r = (struct task_rseq){.area = area, .len = len, .sig = sig, .cpu = RSEQ_NEVER};
	t->thread.arch.switch_work |= WORK_RSEQ;
	thread_set_work(&t->thread, WORK_RSEQ); /* the first numbers are written on the way out */
	return 0;
}

void rseq_clone(struct task *me, struct task *t, bool shares_memory)
{
	if (shares_memory) {
		if (!uptr_null(me->rseq.area))
			thread_set_work(&me->thread, WORK_RSEQ); /* it is not alone any more: mm_cid */
		return;
	}
	t->rseq = me->rseq;
	if (uptr_null(t->rseq.area))
		return;
	t->rseq.cpu = RSEQ_NEVER;
	t->thread.arch.switch_work |= WORK_RSEQ;
}

/* --- critical sections ------------------------------------------------------------------------------------------- */

/* -EFAULT, -EINVAL: a description that cannot be. */
static int section_read(const struct task_rseq *r, uint64_t at, struct rseq_cs *cs)
{
	uint32_t sig;
	uint64_t end;

	if (at >= USER_VA_END)
		return -EINVAL;
	if (copy_from_user(cs, uptr(at), sizeof(*cs)) != 0)
		return -EFAULT;
	if (cs->version > 0 || cs->start_ip >= USER_VA_END || cs->abort_ip >= USER_VA_END ||
	    __builtin_add_overflow(cs->start_ip, cs->post_commit_offset, &end) || end >= USER_VA_END)
		return -EINVAL;
	if (cs->abort_ip - cs->start_ip < cs->post_commit_offset)
		return -EINVAL; /* it would abort into itself */
	if (get_user_u32(&sig, uptr(cs->abort_ip - sizeof(sig))) != 0)
		return -EFAULT;
	if (sig == r->sig)
		return 0;
	log_debug("rseq: %s[%d]: signature %#x, not %#x, before the abort handler at %#llx",
		  task_current()->thread.name, task_current()->tid, sig, r->sig, (unsigned long long)cs->abort_ip);
	return -EINVAL;
}

/* Ends the section the thread is in, if it is in one. */
static int section_abort(const struct task_rseq *r, struct trap_frame *f)
{
	struct rseq_cs cs;
	uint64_t at;
	uint32_t flags;

	if (get_user_u64(&at, AREA_FIELD(r, rseq_cs)) != 0)
		return -EFAULT;
	if (likely(!at))
		return 0;
	int err = section_read(r, at, &cs);
	if (err)
		return err;
	if (trap_ip(f).v - cs.start_ip < cs.post_commit_offset) {
		/* Asking not to be restarted is a thing of the past (Linux 6.1): it is refused loudly. */
		if (get_user_u32(&flags, AREA_FIELD(r, flags)) != 0)
			return -EFAULT;
		if (flags | cs.flags)
			return -EINVAL;
		context_set_ip(f, vaddr(cs.abort_ip));
	}
	return put_user_u64(AREA_FIELD(r, rseq_cs), 0);
}

static uint32_t concurrency_id(const struct task *t, uint32_t cpu)
{
	return READ_ONCE(t->thread.aspace->has_threads) ? cpu : 0;
}

/* The thread may move to another CPU at any moment here; then WORK_RSEQ is set again. */
static int numbers_write(struct task *t)
{
	struct task_rseq *r = &t->rseq;
	uint32_t cpu = this_cpu()->id, cid = concurrency_id(t, cpu);

	if (r->cpu == cpu && r->cid == cid)
		return 0;
	if (put_user_u32(AREA_FIELD(r, cpu_id_start), cpu) != 0 || put_user_u32(AREA_FIELD(r, cpu_id), cpu) != 0 ||
	    put_user_u32(AREA_FIELD(r, node_id), 0) != 0 || put_user_u32(AREA_FIELD(r, mm_cid), cid) != 0)
		return -EFAULT;
	r->cpu = cpu;
	r->cid = cid;
	return 0;
}

void rseq_return(struct trap_frame *f)
{
	struct task *t = task_current();
	uint32_t cpu = this_cpu()->id;

	thread_clear_work(&t->thread, WORK_RSEQ);
	if (uptr_null(t->rseq.area) ||
	    (syscall_in_frame(f) && t->rseq.cpu == cpu && t->rseq.cid == concurrency_id(t, cpu)))
		return;
	irq_enable();
	if (section_abort(&t->rseq, f) != 0 || numbers_write(t) != 0)
		signal_fault(SIGSEGV, SI_KERNEL, 0);
	irq_disable();
}

bool rseq_signal(struct trap_frame *f, int signo)
{
	struct task *t = task_current();

	if (likely(uptr_null(t->rseq.area)) || (section_abort(&t->rseq, f) == 0 && numbers_write(t) == 0))
		return true;
	/* A handler of SIGSEGV for this SIGSEGV would be interrupted in the same damaged section. */
	if (signo == SIGSEGV)
		(void)!signal_action_change(SIGSEGV, &(struct signal_action){0}, NULL);
	signal_fault(SIGSEGV, SI_KERNEL, 0);
	return false;
}
