/*
 * The five doors (arch/trap.h) by which the processor enters portable code, apart from start-up, which is init.c's.
 *
 * Every entry from a program leaves through user_return() (proc/user_return.h).
 *
 * A fault in the kernel is one of three things: an access to a program's memory that usercopy made (resolve it, or go
 * to its fix-up), a breakpoint somebody planted (report, go on), or our own bug (panic).
 */
#include <asm-generic/siginfo.h>
#include <asm/errno.h>
#include <asm/signal.h>

#include <arch/context.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/trap.h>

#include "core/fault_report.h"
#include "core/log.h"
#include "core/panic.h"
#include "core/trace.h"
#include "core/symbols.h"
#include "dev/irq.h"
#include "mm/kmap.h"
#include "proc/process.h"
#include "proc/signal.h"
#include "proc/user_return.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "sync/smp_call.h"
#include "syscall/syscall.h"
#include "vm/aspace.h"
#include "vm/oom.h"

static noinline long traced_call(syscall_handler *fn, long nr, const struct syscall_args *args)
{
	trace_record(TRACE_SYSCALL, (uint64_t)nr, args->v[0]);
	long result = fn(args);
	trace_record(TRACE_RESULT, (uint64_t)nr, (uint64_t)result);
	return result;
}

void kernel_syscall(struct trap_frame *f)
{
	struct syscall_args args;
	long nr = syscall_nr(f);

	irq_enable();
	syscall_args_get(f, args.v);
	syscall_handler *fn = (unsigned long)nr < syscall_table_len ? syscall_table[nr].fn : NULL;
	if (likely(fn)) {
		context_set_return(f, unlikely(READ_ONCE(trace_on)) ? traced_call(fn, nr, &args) : fn(&args));
	} else {
		syscall_count_unknown(nr);
		context_set_return(f, -ENOSYS);
	}
	irq_disable();
	user_return(f);
}

void kernel_interrupt(struct trap_frame *f, unsigned irq)
{
	struct cpu *cpu = this_cpu();
	bool user = trap_from_user(f);

	trace_event(TRACE_INTERRUPT, irq, trap_ip(f).v);
	cpu->irq_depth++;
	if (irq == IRQ_TIMER) {
		irq_count(irq);
		sched_account(user);
		timers_run();
	} else if (irq == IRQ_RESCHEDULE) {
		irq_count(irq);
		sched_kicked();
	} else if (irq == IRQ_CALL) {
		irq_count(irq);
		smp_serve();
	} else {
		irq_dispatch(irq);
	}
	cpu->irq_depth--;

	if (user)
		user_return(f);
	else if (cpu->irq_depth == 0 && trap_irqs_were_enabled(f) && cpu->current &&
		 thread_has_work(cpu->current, WORK_RESCHED))
		sched_preempt();
}

/* A guard page below a kernel stack: any thread's, or the boot CPU's idle one. */
static bool hit_guard(vaddr_t va)
{
	return kstack_is_guard(va) || (va.v >= (uintptr_t)idle_stack_guard && va.v < (uintptr_t)idle_stack);
}

/* The hole below the stack of the thread that runs here: it ran off its own. Another one's is just a wrong address. */
static bool hit_own_guard(vaddr_t va)
{
	const struct thread *t = thread_current();
	uint64_t stack = t ? (uint64_t)t->stack : 0;

	return stack ? va.v < stack && va.v >= stack - KSTACK_SIZE : hit_guard(va);
}

static cold noreturn void fault_panic(struct trap_frame *f, const struct trap_info *info)
{
	char why[128];
	uintptr_t offset;
	const char *function = symbol_lookup(trap_ip(f).v, &offset);

	if (hit_own_guard(info->addr) || hit_guard(trap_sp(f)))
		panic_frame(f, "stack overflow of thread %s in %s (%s at %#llx)",
			    thread_current() ? thread_current()->name : "(boot)", function ? function : "?", info->name,
			    (unsigned long long)trap_ip(f).v);
	if (info->kind == TRAP_PAGE_FAULT)
		fault_report_prepare(f, info);
	panic_frame(f, "%s in the kernel: %s, address %#llx", info->name, trap_error_text(info, why, sizeof(why)),
		    (unsigned long long)info->addr.v);
}

/* The signal a failed fault becomes; FAULT_OOM when no victim could be found: the program itself is it. */
static void fault_signal(enum fault_result r, uint64_t addr)
{
	switch (r) {
	case FAULT_OK:
		return;
	case FAULT_SEGV_MAPERR:
		signal_fault(SIGSEGV, SEGV_MAPERR, addr);
		return;
	case FAULT_SEGV_ACCERR:
		signal_fault(SIGSEGV, SEGV_ACCERR, addr);
		return;
	case FAULT_BUS_ADRERR:
	case FAULT_BUS_IO:
		signal_fault(SIGBUS, BUS_ADRERR, addr);
		return;
	case FAULT_OOM:
		signal_fault(SIGKILL, SI_KERNEL, addr);
		return;
	}
}

static enum fault_result fault_resolve(struct aspace *as, const struct trap_info *info)
{
	enum fault_result r;

	do {
		r = aspace_fault(as, info->addr, info->access);
	} while (r == FAULT_OOM && vm_oom());
	return r;
}

static void page_fault(struct trap_frame *f, const struct trap_info *info)
{
	struct thread *t = thread_current();
	bool user = trap_from_user(f);
	enum fault_result r = FAULT_SEGV_MAPERR;

	trace_event(TRACE_FAULT, info->addr.v, info->access);
	if (t && t->aspace && info->addr.v < USER_VA_END && trap_irqs_were_enabled(f) &&
	    (user || trap_touches_user(f))) {
		irq_enable();
		r = fault_resolve(t->aspace, info);
		irq_disable();
	}
	if (r == FAULT_OK)
		return;
	if (user) {
		irq_enable();
		fault_signal(r, info->addr.v);
		irq_disable();
	} else if (!trap_fixup(f)) {
		fault_panic(f, info);
	}
}

void kernel_trap(struct trap_frame *f, const struct trap_info *info)
{
	bool user = trap_from_user(f);

	switch (info->kind) {
	case TRAP_PAGE_FAULT:
		page_fault(f, info);
		break;
	case TRAP_FAULT:
	case TRAP_BREAKPOINT:
		if (user) {
			irq_enable();
			signal_fault(info->signo, info->si_code, info->signal_addr);
			irq_disable();
		} else if (info->kind == TRAP_BREAKPOINT) {
			log_write(LOG_WARNING, "trap: breakpoint in the kernel at %#llx; going on",
				  (unsigned long long)trap_ip(f).v);
		} else if (!trap_fixup(f)) {
			fault_panic(f, info);
		}
		break;
	case TRAP_NMI:
		log_warn("trap: unexpected NMI on cpu %u; going on", this_cpu()->id);
		return; /* it may have hit anywhere, also where exit work must not be done */
	case TRAP_FATAL:
		fault_panic(f, info);
	}
	if (user)
		user_return(f);
}
