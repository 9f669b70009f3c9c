/*
 * Bringing in the further processors.
 *
 * Early in the boot, as soon as there are threads: each CPU the firmware lists gets what every part of the kernel keeps
 * per CPU, all are started together (arch/smp.h), and those that come up enter the idle loop, from where the scheduler
 * gives them threads.  A CPU that cannot be had, for lack of memory or because it does not answer, is reported and left
 * out; what was allocated for it stays allocated, since it may still wake up one day.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/smp.h>
#include <arch/time.h>
#include <arch/trap.h>

#include "core/init.h"
#include "core/log.h"
#include "core/options.h"
#include "dev/irq.h"
#include "mm/slab.h"
#include "sched/executor.h"
#include "sched/sched.h"

/* What CPU `id` needs before it starts. False: no memory. */
static bool cpu_prepare(unsigned id, uint32_t hardware_id)
{
	void *area = kzalloc(smp_area_bytes());
	if (!area || irq_cpu_prepare(id) || slab_cpu_prepare(id) || sched_cpu_prepare(id) || executor_cpu_prepare(id))
		return false;
	smp_prepare(id, hardware_id, area, sched_cpu_stack_top(id));
	return true;
}

static void kick(uint32_t cpu)
{
	smp_interrupt(cpu, IRQ_RESCHEDULE);
}

void smp_init(void)
{
	uint32_t hardware_ids[CPUS_MAX - 1];
	unsigned listed = smp_list(hardware_ids, CPUS_MAX - 1), id = 1;
	unsigned wanted = MIN(options.cpus_max, (unsigned)CPUS_MAX) - 1;
	uint64_t mask = 0;

	if (!listed || !wanted)
		return;
	if (!time_alarm_is_per_cpu()) {
		log_warn("cpu: %u more left out: the alarm %s serves one only", listed, time_alarm_name());
		return;
	}
	for (; id <= MIN(listed, wanted); id++) {
		if (!cpu_prepare(id, hardware_ids[id - 1])) {
			log_warn("cpu %u: no memory, left out with those after it", id);
			break;
		}
		mask |= BIT(id);
	}
	if (listed > CPUS_MAX - 1)
		log_warn("cpu: %u more than the %u that Ashlar can use", listed - (CPUS_MAX - 1), CPUS_MAX);
	sched_kick_cpu = kick;
	uint64_t up = smp_start(mask);
	for (uint64_t m = mask & ~up; m; m &= m - 1)
		log_warn("cpu %u: left out: %s", (unsigned)__builtin_ctzll(m),
			 smp_failure((unsigned)__builtin_ctzll(m)));
	log_info("cpu: %u of %u are up", cpus_online, listed + 1);
}

noreturn void kernel_secondary_start(void)
{
	smp_online(); /* first: what runs here from now on relies on being told of changes */
	sched_cpu_start();
	executor_cpu_start();
	sched_idle_loop();
}
