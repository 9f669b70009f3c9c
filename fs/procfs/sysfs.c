/*
 * /sys/devices/system/cpu: which CPUs there are, as the C library, numactl and stress-ng look for them
 * (Documentation/ABI/testing/sysfs-devices-system-cpu).  The CPUs are all there are at boot: none comes or goes later,
 * and each is told as a core of its own in one package, which is how QEMU's -smp N builds them.
 */
#include <arch/cpu.h>

#include "core/panic.h"
#include "fs/procfs/internal.h"
#include "lib/printf.h"
#include "mm/slab.h"

/* "0-3,5" */
static void list_cpus(struct text *t, uint64_t mask)
{
	const char *comma = "";

	while (mask) {
		unsigned first = (unsigned)__builtin_ctzll(mask), last = first;

		while (last + 1 < CPUS_MAX && mask & BIT(last + 1))
			last++;
		text_printf(t, first == last ? "%s%u" : "%s%u-%u", comma, first, last);
		mask &= last + 1 < CPUS_MAX ? ~(BIT(last + 1) - 1) : 0;
		comma = ",";
	}
	text_append(t, "\n", 1);
}

static void show_online(struct text *t, void *arg)
{
	(void)arg;
	list_cpus(t, __atomic_load_n(&cpus_online_mask, __ATOMIC_RELAXED));
}

static void show_nothing(struct text *t, void *arg)
{
	(void)arg;
	list_cpus(t, 0);
}

static void show_number(struct text *t, void *arg)
{
	text_printf(t, "%u\n", (unsigned)(uintptr_t)arg);
}

static const struct procfs_entry shared[] = {
	{.path = "devices/system/cpu/possible", .mode = 0444, .show = show_online},
	{.path = "devices/system/cpu/present", .mode = 0444, .show = show_online},
	{.path = "devices/system/cpu/online", .mode = 0444, .show = show_online},
	{.path = "devices/system/cpu/offline", .mode = 0444, .show = show_nothing},
	{.path = "devices/system/cpu/isolated", .mode = 0444, .show = show_nothing},
	{.path = "devices/system/cpu/kernel_max",
	 .mode = 0444,
	 .show = show_number,
	 .arg = (void *)(uintptr_t)(CPUS_MAX - 1)},
};

static const struct {
	const char *name;
	void (*show)(struct text *t, void *arg);
	bool own; /* its argument is the CPU's number, else 0 */
} of_each[] = {
	{"topology/physical_package_id", show_number, false},
	{"topology/core_id", show_number, true},
	{"topology/thread_siblings_list", show_number, true},
	{"topology/core_siblings_list", show_online, false},
};

struct cpu_file {
	struct procfs_entry entry;
	char path[64];
};

static int register_cpu(unsigned cpu)
{
	struct cpu_file *files = kcalloc(ARRAY_SIZE(of_each), sizeof(*files));
	int err = files ? 0 : -ENOMEM;

	for (unsigned i = 0; i < ARRAY_SIZE(of_each) && !err; i++) {
		struct cpu_file *f = &files[i];

		snprintf(f->path, sizeof(f->path), "devices/system/cpu/cpu%u/%s", cpu, of_each[i].name);
		f->entry = (struct procfs_entry){.path = f->path,
						 .mode = 0444,
						 .show = of_each[i].show,
						 .arg = (void *)(uintptr_t)(of_each[i].own ? cpu : 0)};
		err = sysfs_register(&f->entry);
	}
	return err;
}

/* At boot, with all CPUs started. */
void sysfs_register_cpus(void)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(shared) && !err; i++)
		err = sysfs_register(&shared[i]);
	CPUS_FOR_EACH(cpu) {
		if (err)
			break;
		err = register_cpu(cpu);
	}
	if (err)
		panic("sysfs: /sys/devices/system/cpu at boot: error %d", err);
}
