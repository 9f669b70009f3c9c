/*
 * Start-up: the boot order as one list.
 *
 * arch hands over a CPU in its final mode with the kernel mapped W^X and struct boot_info filled.  The steps run one
 * after the other, first on the boot stack, then, from the first threaded step on, in a kernel thread named "init" that
 * finally becomes PID 1's launcher; the boot stack's own thread of control is CPU 0's idle loop from then on.
 *
 * Each step may rely on all before it and on none after it.  A step that can fail for lack of hardware reports and goes
 * on; only what no kernel can run without panics, with the remedy in the message.
 */
#include "core/init.h"

#include <arch/acpi.h>
#include <arch/cpu.h>
#include <arch/early.h>
#include <arch/irq.h>
#include <arch/power.h>
#include <arch/time.h>
#include <arch/trap.h>
#include <asm/errno.h>

#include "core/boot_info.h"
#include "core/ktest.h"
#include "core/log.h"
#include "core/monitor.h"
#include "core/options.h"
#include "core/panic.h"
#include "core/trace.h"
#include "lib/version.h"
#include "dev/bus/pci.h"
#include "dev/tty.h"
#include "fs/initramfs.h"
#include "fs/procfs/procfs.h"
#include "fs/vfs.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "proc/process.h"
#include "sched/executor.h"
#include "sched/sched.h"
#include "sched/timer.h"
#include "syscall/syscall.h"
#include "vm/aspace.h"

static void step_banner(void)
{
	log_info("boot: Ashlar %s, started by %s%s%s", ASHLAR_VERSION, boot_info.protocol,
		 boot_info.loader[0] ? " from " : "", boot_info.loader);
	log_info("boot: command line: %s", boot_info.cmdline);
	if (boot_info.cmdline_truncated)
		log_warn("boot: the command line was longer than %d bytes; the rest is not seen", BOOT_CMDLINE_MAX - 1);
	options_parse(boot_info.cmdline);
}

static void step_memory(void)
{
	struct page_stats s;

	if (options.mem_limit)
		memmap_limit_usable(&boot_info.memory, options.mem_limit);
	mm_init(&boot_info);
	page_stats_get(&s);
	log_info("memory: %llu KiB, %llu KiB free, %llu KiB taken by the kernel and its tables",
		 (unsigned long long)(s.total * 4), (unsigned long long)(s.free * 4),
		 (unsigned long long)(s.reserved * 4));
}

static void step_acpi(void)
{
	acpi_init(boot_info.rsdp);
}

static void step_irqchip(void)
{
	irqchip_init();
	log_info("interrupts: %s", irqchip_name());
}

static void step_time(void)
{
	time_init();
	log_info("time: clock %s, alarm %s", time_source_name(), time_alarm_name());
	log_info("cpu: %s", cpu_model_name());
}

static void refine(struct timer *t)
{
	(void)t;
	time_refine();
}

/* The clock's rate was measured over a very short window so as not to hold up the boot; a second later there is a long
 * one for free. */
static void step_refine_clock(void)
{
	static struct timer timer;

	timer_init(&timer, refine);
	timer_set(&timer, time_ns() + NSEC_PER_SEC);
}

/* Until the drivers are there, lines go out by polling the first serial port. */
static void early_write(const char *text, size_t len)
{
	early_console_write(text, len);
}

static struct log_console early_console = {.name = "early", .write = early_write};

static void step_devices(void)
{
	rtc_init(); /* first: the nodes in /dev carry dates */
	chardev_mem_init();
	uart_init();
	pci_init();
	screen_console_init();
	i8042_init();
	tty_console_choose(options.consoles, options.console_count);
	log_console_unregister(&early_console); /* the drivers take over */
	tty_console_start_log();
}

static void step_initramfs(void)
{
	if (boot_info.initrd_len == 0) {
		log_info("initramfs: none given");
		return;
	}
	uint64_t start_ns = time_ns();
	int err = initramfs_unpack(boot_info.initrd_base, boot_info.initrd_len); /* reports its own errors */
	log_info("initramfs: %llu KiB unpacked in %llu us%s", (unsigned long long)(boot_info.initrd_len / KIB),
		 (unsigned long long)((time_ns() - start_ns) / NSEC_PER_USEC), err ? ", not to the end" : "");
}

/* All mappings of the kernel's that boot code and drivers make are there by now. */
static void step_check_mappings(void)
{
	uint64_t found = pgtable_check_wx();
	if (!mmu_has_nx())
		log_warn("paging: this CPU cannot forbid execution: any page may be executed");
	else if (found)
		log_err("paging: %llu pages are writable and executable; `pagetables` in the monitor shows them",
			(unsigned long long)found);
	else
		log_info("paging: no page of the kernel is writable and executable");
}

/* With `monitor` the tests are run from there, by `tests`. */
static void step_ktest(void)
{
	if (CONFIG_KTEST && options.ktest_panic)
		ktest_panic(options.ktest_panic);
	if (CONFIG_KTEST && !options.monitor)
		ktest_run_all(options.ktest);
}

/* There is no program and there will be none: resets where `panic=` asks for it, else talks to whoever is there. */
static noreturn void kernel_stop(void)
{
	if (CONFIG_KTEST && !options.monitor)
		power_test_exit(0x7e);
	if (options.panic_timeout < 0)
		power_reset();
	if (options.panic_timeout > 0) {
		log_write(LOG_EMERG, "init: resetting in %d seconds (panic=%d)", options.panic_timeout,
			  options.panic_timeout);
		(void)!sleep_until_ns(time_ns() + (uint64_t)options.panic_timeout * NSEC_PER_SEC, false);
		power_reset();
	}
	log_write(LOG_EMERG, "init: panic=-1 on the command line resets in this case, panic=N after N seconds");
	(void)monitor_run("monitor: there is no program to run", false);
	log_write(LOG_EMERG, "init: halted; there is no console to talk to");
	irq_disable();
	cpu_stop();
}

static void step_pid1(void)
{
	if (options.monitor)
		(void)monitor_run("monitor: instead of init, as the command line says", true);
	process_init_exited = kernel_init_exited;
	struct init_request request = {
		.rdinit = options.rdinit,
		.init = options.init,
		.args = options.init_args,
		.arg_count = options.init_arg_count,
		.env = options.init_env,
		.env_count = options.init_env_count,
	};
	int err = process_start_init(&request);
	if (!err)
		return;
	log_write(LOG_EMERG,
		  "init: no init could be started (error %d). Give an initramfs with -initrd that has an executable "
		  "/init, or name another program with rdinit=",
		  -err);
	kernel_stop();
}

struct boot_step {
	const char *name;
	void (*run)(void);
	bool threaded; /* needs a thread: may sleep */
};

static const struct boot_step steps[] = {
	{"banner", step_banner, false},
	{"memory", step_memory, false},
	{"acpi", step_acpi, false},
	{"irqchip", step_irqchip, false},
	{"time", step_time, false},
	{"scheduler", sched_init, false},
	{"executor", executor_init, true},
	{"processors", smp_init, true},
	{"refine clock", step_refine_clock, true},
	{"address spaces", vm_init, true},
	{"file systems", vfs_init, true},
	{"devices", step_devices, true},
	{"monitor", monitor_init, true},
	{"procfs", procfs_init, true},
	{"processes", process_init, true},
	{"system calls", syscall_init, true},
	{"trace", trace_init, true},
	{"initramfs", step_initramfs, true},
	{"page permissions", step_check_mappings, true},
	{"log task", log_task_start, true},
	{"in-kernel tests", step_ktest, true},
	{"PID 1", step_pid1, true},
};

static void init_thread(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (steps[i].threaded)
			steps[i].run();
}

noreturn void kernel_start(struct boot_info *info)
{
	(void)info;
	log_console_register(&early_console, false);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (!steps[i].threaded)
			steps[i].run();
	if (thread_create(init_thread, NULL, "init") != 0)
		boot_stop("no memory for the first thread: give the machine at least 8 MiB of RAM");
	sched_idle_loop();
}

noreturn void kernel_init_exited(int status)
{
	if (status & 0x7f)
		log_write(LOG_EMERG, "init: PID 1 was killed by signal %d. The system cannot go on without it.",
			  status & 0x7f);
	else
		log_write(LOG_EMERG, "init: PID 1 exited with status %d. The system cannot go on without it.",
			  status >> 8 & 0xff);
	kernel_stop();
}
