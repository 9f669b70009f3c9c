/*
 * Further processors: theory.
 *
 * Purpose: bring the CPUs that ACPI lists from wherever the firmware left them to kernel_secondary_start(), and carry
 * the interrupts by which CPUs call one another.
 *
 * Start.  Each gets INIT and then the start-up message that names AP_PAGE (SDM 3A 8.4.4), all of them before any is
 * waited for, so that 64 take hardly longer than one.  On AP_PAGE lies a copy of ap_boot.S, with page tables that show
 * low memory at its physical place too; the kernel's own tables never do.  A CPU learns from its APIC id which number,
 * and so which stack and area, are its own.
 *
 * Who is up.  state[] goes from WAITED_FOR to UP by the CPU itself, or to GIVEN_UP by the boot CPU, each by
 * compare-and-swap: a CPU that arrives too late finds that it has been given up and halts, and its memory is never used
 * for anything else.  CPUs are numbered as the firmware lists them, so the same machine has the same numbers in each
 * boot; a hole is left where one did not come.  Above arch/, cpus_online_mask says who is there.
 *
 * A CPU that cannot do what the boot CPU can is refused: programs move between CPUs, and the kernel's code was patched
 * once, for all.
 *
 * Waits.  Processors since the P6 need no pause between INIT and start-up beyond what the messages take; a second
 * start-up message after 200 us is for those that lost the first.
 *
 * Panic.  An NMI reaches CPUs that have interrupts off. What it finds is told to smp_stopped_place().
 */
#include <asm/processor-flags.h>

#include <arch/irq.h>
#include <arch/mmu.h>
#include <arch/smp.h>
#include <arch/time.h>
#include "arch/x86_64/internal.h"
#include "arch/x86_64/irqchip.h"
#include "lib/string.h"

/* On a loaded host a virtual CPU may not run for long. */
#define ARRIVAL_NS (2 * NSEC_PER_SEC)
#define SECOND_STARTUP_NS (200 * NSEC_PER_USEC)
#define STOP_NS (NSEC_PER_SEC / 2)
#define IDENTITY_BYTES KERNEL_IMAGE_MAX

enum ap_state { NOT_STARTED, WAITED_FOR, UP, GIVEN_UP, REFUSED };

/* A CPU's memory: its area, and the stacks for what must not trust the one it interrupts. */
struct ap_area {
	struct arch_cpu cpu;
	struct {
		uint8_t stack[IST_STACK_SIZE - sizeof(struct ist_top)];
		struct ist_top top;
	} aligned_to(16) ist[IST_COUNT];
};

extern const char ap_code[], ap_code_end[], ap_efer[], ap_cr0[];
extern uint64_t boot_root[PT_ENTRIES];
noreturn void ap_start(unsigned id);

/* Read by ap_boot.S. */
uint8_t ap_number[256]; /* by APIC id; 0: not ours (the boot CPU never asks) */
uint64_t ap_stacks[CPUS_MAX];

static uint32_t state[CPUS_MAX]; /* enum ap_state; atomic */
static struct stopped {
	uint64_t ip, fp;
	bool there; /* set last */
} stopped[CPUS_MAX];
static uint32_t stopper = CPUS_MAX; /* the CPU for which all others stop, having written `stopped`; atomic */

size_t smp_area_bytes(void)
{
	return sizeof(struct ap_area);
}

void smp_prepare(unsigned id, uint32_t hardware_id, void *area, void *stack_top)
{
	struct ap_area *a = area;
	a->cpu.cpu.id = id;
	a->cpu.cpu.hardware_id = hardware_id;
	ap_stacks[id] = (uint64_t)stack_top;
	if (hardware_id < ARRAY_SIZE(ap_number)) /* beyond are x2APIC ids, which the start-up code does not read */
		ap_number[hardware_id] = (uint8_t)id;
	cpus[id] = &a->cpu.cpu;
}

/* Fills AP_PAGE and its tables. False: that memory is not free on this machine. */
static bool low_memory_prepare(void)
{
	const struct memmap_range *r = memmap_find(&boot_info.memory, AP_PAGE);
	if (!r || r->type != MEMMAP_KERNEL || r->end < AP_END)
		return false;
	uint64_t *root = direct_map(AP_ROOT), *pdpt = direct_map(AP_PDPT), *pd = direct_map(AP_PD);
	char *page = direct_map(AP_PAGE);
	memcpy(page, ap_code, (size_t)(ap_code_end - ap_code));
	*(uint32_t *)(page + (ap_efer - ap_code)) = EFER_LME | EFER_SCE | (cpu_features.nx ? EFER_NXE : 0);
	*(uint32_t *)(page + (ap_cr0 - ap_code)) = (uint32_t)read_cr0();
	memcpy(root, boot_root, PAGE_SIZE);
	memset(pdpt, 0, PAGE_SIZE);
	memset(pd, 0, PAGE_SIZE);
	root[0] = AP_PDPT | PTE_P | PTE_W;
	pdpt[0] = AP_PD | PTE_P | PTE_W;
	for (uint64_t pa = 0; pa < IDENTITY_BYTES; pa += 2 * MIB)
		pd[pa / (2 * MIB)] = pa | PTE_P | PTE_W | PTE_PS;
	return true;
}

static void send_to_all(uint64_t mask, uint32_t command)
{
	for (; mask; mask &= mask - 1) {
		irqflags_t f = irq_save();
		lapic_send(cpus[__builtin_ctzll(mask)]->hardware_id, command);
		irq_restore(f);
	}
}

/* Those of the mask that have decided, until `until_ns`. */
static uint64_t wait_for(uint64_t mask, uint64_t until_ns)
{
	uint64_t open = mask;
	do {
		for (uint64_t m = open; m; m &= m - 1) {
			unsigned id = (unsigned)__builtin_ctzll(m);
			uint32_t s = __atomic_load_n(&state[id], __ATOMIC_ACQUIRE);
			if (s == REFUSED || (cpus_online_mask & BIT(id)))
				open &= ~BIT(id);
		}
		cpu_relax();
	} while (open && time_ns() < until_ns);
	return open;
}

uint64_t smp_start(uint64_t mask)
{
	if (!mask || !low_memory_prepare())
		return 0;
	for (uint64_t m = mask; m; m &= m - 1)
		__atomic_store_n(&state[__builtin_ctzll(m)], WAITED_FOR, __ATOMIC_RELEASE);
	uint64_t start_ns = time_ns();
	send_to_all(mask, LAPIC_COMMAND_INIT);
	send_to_all(mask, LAPIC_COMMAND_INIT_DONE);
	send_to_all(mask, LAPIC_COMMAND_STARTUP | AP_PAGE >> PAGE_SHIFT);
	uint64_t late = wait_for(mask, start_ns + SECOND_STARTUP_NS);
	send_to_all(late, LAPIC_COMMAND_STARTUP | AP_PAGE >> PAGE_SHIFT);
	for (late = wait_for(late, start_ns + ARRIVAL_NS); late; late &= late - 1) {
		unsigned id = (unsigned)__builtin_ctzll(late);
		uint32_t waited_for = WAITED_FOR;
		if (!__atomic_compare_exchange_n(&state[id], &waited_for, GIVEN_UP, false, __ATOMIC_ACQ_REL,
						 __ATOMIC_ACQUIRE) &&
		    waited_for == UP)
			while (!(__atomic_load_n(&cpus_online_mask, __ATOMIC_ACQUIRE) & BIT(id)))
				cpu_relax(); /* it is on its way, and nothing can stop it */
	}
	uint64_t up = __atomic_load_n(&cpus_online_mask, __ATOMIC_ACQUIRE) & mask;
	for (uint64_t m = mask & ~up; m; m &= m - 1)
		cpus[__builtin_ctzll(m)] = NULL;
	return up;
}

const char *smp_failure(unsigned id)
{
	switch ((enum ap_state)state[id]) {
	case GIVEN_UP:
		return "it did not answer";
	case REFUSED:
		return "it lacks what the first CPU has";
	default:
		return "no low memory to start it in";
	}
}

void smp_online(void)
{
	struct cpu *c = this_cpu();
	c->online = true;
	__atomic_fetch_add(&cpus_online, 1, __ATOMIC_RELAXED);
	__atomic_fetch_or(&cpus_online_mask, BIT(c->id), __ATOMIC_SEQ_CST);
	/* Kernel mappings that went before the bit was seen: whoever removed them did not tell this CPU. */
	mmu_flush_global_local();
}

/* On the CPU itself, from ap_boot.S, on its idle thread's stack, interrupts off. */
noreturn void ap_start(unsigned id)
{
	struct ap_area *a = container_of((struct arch_cpu *)cpus[id], struct ap_area, cpu);
	struct ist_top *ist[IST_COUNT];
	uint32_t waited_for = WAITED_FOR;

	for (int i = 0; i < IST_COUNT; i++)
		ist[i] = &a->ist[i].top;
	uint32_t next = cpu_is_like_boot_cpu() ? UP : REFUSED;
	if (!__atomic_compare_exchange_n(&state[id], &waited_for, next, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
	    next == REFUSED)
		cpu_stop();
	cpu_setup(&a->cpu, ist);
	irqchip_cpu_init();
	time_cpu_init();
	kernel_secondary_start();
}

void smp_interrupt(unsigned cpu, unsigned irq)
{
	lapic_send(cpus[cpu]->hardware_id, LAPIC_COMMAND_FIXED | (IRQ_VECTOR_BASE + irq));
}

void smp_stop_others(void)
{
	uint32_t me = this_cpu()->id;
	uint64_t others = cpus_online_mask & ~BIT(me);
	if (!others)
		return;
	__atomic_store_n(&stopper, me, __ATOMIC_SEQ_CST);
	uint64_t until_ns = time_ns() + STOP_NS;
	send_to_all(others, LAPIC_COMMAND_NMI);
	for (uint64_t m = others; m && time_ns() < until_ns;)
		if (__atomic_load_n(&stopped[__builtin_ctzll(m)].there, __ATOMIC_ACQUIRE))
			m &= m - 1;
		else
			cpu_relax();
}

void smp_stop_here(const struct trap_frame *f)
{
	uint32_t by = __atomic_load_n(&stopper, __ATOMIC_SEQ_CST), me = this_cpu()->id;
	if (by == CPUS_MAX || by == me) /* an operator's NMI must not stop the one that reports */
		return;
	struct stopped *s = &stopped[me];
	s->ip = trap_from_user(f) ? 0 : trap_ip(f).v;
	s->fp = trap_from_user(f) ? 0 : trap_frame_pointer(f);
	__atomic_store_n(&s->there, true, __ATOMIC_RELEASE);
	cpu_stop();
}

bool smp_stopped_place(unsigned cpu, uint64_t *ip, uint64_t *fp)
{
	if (!__atomic_load_n(&stopped[cpu].there, __ATOMIC_ACQUIRE))
		return false;
	*ip = stopped[cpu].ip;
	*fp = stopped[cpu].fp;
	return true;
}
