/* The global files of /proc, in the formats of man 5 proc. */
#include <arch/cpu.h>
#include <linux/sysinfo.h>

#include "core/boot_info.h"
#include "core/log.h"
#include "core/options.h"
#include "lib/version.h"
#include "dev/chardev.h"
#include "dev/irq.h"
#include "fs/mount.h"
#include "fs/procfs/internal.h"
#include "lib/printf.h"
#include "mm/slab.h"
#include "mm/slab_debug.h"
#include "sched/clock.h"
#include "sched/sched.h"
#include "vm/aspace.h"

#define TICK_NS (NSEC_PER_SEC / 100) /* USER_HZ */

static void line_kib(struct text *t, const char *name, uint64_t pages)
{
	char label[32];

	snprintf(label, sizeof(label), "%s:", name);
	text_printf(t, "%-15s %8lu kB\n", label, (unsigned long)(pages * (PAGE_SIZE / 1024)));
}

static void show_meminfo(struct text *t, void *arg)
{
	struct page_stats s;
	uint64_t slab = slab_pages_total(), cached, shmem;

	(void)arg;
	page_stats_get(&s);
	shmem = vm_object_pages_shmem;
	cached = vm_object_pages_cached + shmem;
	line_kib(t, "MemTotal", s.total);
	line_kib(t, "MemFree", s.free);
	line_kib(t, "MemAvailable", s.free + vm_object_pages_cached);
	line_kib(t, "Buffers", 0);
	line_kib(t, "Cached", cached);
	line_kib(t, "SwapCached", 0);
	line_kib(t, "Active", vm_anon_pages + cached);
	line_kib(t, "Inactive", 0);
	line_kib(t, "SwapTotal", 0);
	line_kib(t, "SwapFree", 0);
	line_kib(t, "Dirty", 0);
	line_kib(t, "Writeback", 0);
	line_kib(t, "AnonPages", vm_anon_pages);
	line_kib(t, "Mapped", 0);
	line_kib(t, "Shmem", shmem);
	line_kib(t, "Slab", slab);
	line_kib(t, "SReclaimable", 0);
	line_kib(t, "SUnreclaim", slab);
	line_kib(t, "PageTables", vm_pagetable_pages);
	line_kib(t, "CommitLimit", s.total / 2);
	line_kib(t, "Committed_AS", vm_anon_pages);
}

static void stat_cpu(struct text *t, const char *name, const struct sched_stats *s)
{
	text_printf(t, "%s %lu 0 %lu %lu 0 %lu 0 0 0 0\n", name, (unsigned long)(s->user_ns / TICK_NS),
		    (unsigned long)(s->system_ns / TICK_NS), (unsigned long)(s->idle_ns / TICK_NS),
		    (unsigned long)(s->irq_ns / TICK_NS));
}

/* Sums over all CPUs. */
static void stats_total(struct sched_stats *sum)
{
	struct sched_stats one;

	*sum = (struct sched_stats){0};
	CPUS_FOR_EACH(i) {
		sched_stats_get(i, &one);
		sum->user_ns += one.user_ns;
		sum->system_ns += one.system_ns;
		sum->idle_ns += one.idle_ns;
		sum->irq_ns += one.irq_ns;
		sum->switches += one.switches;
		sum->running += one.running;
		sum->threads_created = one.threads_created; /* these two say each time how it is everywhere */
		sum->threads = one.threads;
	}
}

static void show_stat(struct text *t, void *arg)
{
	struct sched_stats s;

	(void)arg;
	stats_total(&s);
	stat_cpu(t, "cpu ", &s);
	CPUS_FOR_EACH(i) {
		struct sched_stats one;
		char name[16];

		sched_stats_get(i, &one);
		snprintf(name, sizeof(name), "cpu%u", i);
		stat_cpu(t, name, &one);
	}
	text_printf(t, "intr %lu\nctxt %lu\nbtime %lu\nprocesses %lu\nprocs_running %u\nprocs_blocked 0\n",
		    (unsigned long)irq_count_total(), (unsigned long)s.switches,
		    (unsigned long)((clock_realtime_ns() - clock_monotonic_ns()) / NSEC_PER_SEC),
		    (unsigned long)s.threads_created, s.running);
}

static void show_uptime(struct text *t, void *arg)
{
	uint64_t up = clock_monotonic_ns() / (NSEC_PER_SEC / 100), idle;
	struct sched_stats s;

	(void)arg;
	stats_total(&s);
	idle = s.idle_ns / (NSEC_PER_SEC / 100);
	text_printf(t, "%lu.%02lu %lu.%02lu\n", (unsigned long)(up / 100), (unsigned long)(up % 100),
		    (unsigned long)(idle / 100), (unsigned long)(idle % 100));
}

static void show_loadavg(struct text *t, void *arg)
{
	struct sched_stats s;
	uint64_t load[3];

	(void)arg;
	stats_total(&s);
	sched_load_average(load);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t rounded = load[i] + (1 << 11) / 200;

		text_printf(t, "%lu.%02lu ", (unsigned long)(rounded >> 11),
			    (unsigned long)((rounded & 0x7ff) * 100 >> 11));
	}
	text_printf(t, "%u/%u %lu\n", s.running, s.threads, (unsigned long)s.threads_created);
}

static void show_cpuinfo(struct text *t, void *arg)
{
	(void)arg;
	CPUS_FOR_EACH(i) {
		size_t len = cpu_describe(cpus[i], NULL, 0);
		char *buf = kmalloc(len + 1);

		if (!buf) {
			t->failed = true;
			return;
		}
		cpu_describe(cpus[i], buf, len + 1);
		text_append(t, buf, strlen(buf));
		kfree(buf);
	}
}

static void show_version(struct text *t, void *arg)
{
	(void)arg;
	text_printf(t, "%s version %s (ashlar) (" __VERSION__ ") %s\n", UTS_SYSNAME, UTS_RELEASE, UTS_VERSION);
}

static void show_cmdline(struct text *t, void *arg)
{
	(void)arg;
	text_printf(t, "%s\n", boot_info.cmdline);
}

/* What a print function with a "bytes needed" result says. */
static void show_printed(struct text *t, size_t (*print)(char *buf, size_t len))
{
	size_t len = print(NULL, 0) + 256, n;
	char *buf = kmalloc(len);

	if (!buf) {
		t->failed = true;
		return;
	}
	n = print(buf, len);
	text_append(t, buf, MIN(n, len - 1));
	kfree(buf);
}

static void show_filesystems(struct text *t, void *arg)
{
	(void)arg;
	show_printed(t, vfs_filesystems_print);
}

static void show_interrupts(struct text *t, void *arg)
{
	(void)arg;
	show_printed(t, irq_table_print);
}

static void show_devices(struct text *t, void *arg)
{
	struct chardev *d;

	(void)arg;
	text_printf(t, "Character devices:\n");
	/* each major once, at its first minor's name */
	for (unsigned i = 0; (d = chardev_at(i)); i++) {
		bool seen = false;
		struct chardev *before;

		for (unsigned j = 0; j < i && (before = chardev_at(j)); j++)
			seen = seen || before->major == d->major;
		if (!seen)
			text_printf(t, "%3u %s\n", d->major, d->name);
	}
	text_printf(t, "\nBlock devices:\n");
}

static void show_slabinfo(struct text *t, void *arg)
{
	struct slab_stats s;

	(void)arg;
	text_printf(t,
		    "slabinfo - version: 2.1\n# name            <active_objs> <num_objs> <objsize> <objperslab> "
		    "<pagesperslab> : tunables "
		    "<limit> <batchcount> <sharedfactor> : slabdata <active_slabs> <num_slabs> <sharedavail>\n");
	for (unsigned i = 0; slab_stats_get(i, &s); i++) {
		uint64_t per_page = s.pages ? s.objects_total / s.pages : 0;

		text_printf(t, "%-17s %6lu %6lu %6lu %4lu    1 : tunables    0    0    0 : slabdata %6lu %6lu      0\n",
			    s.name, (unsigned long)s.objects_used, (unsigned long)s.objects_total,
			    (unsigned long)s.size_bytes, (unsigned long)per_page, (unsigned long)s.pages,
			    (unsigned long)s.pages);
	}
}

static void show_vmstat(struct text *t, void *arg)
{
	struct page_stats s;

	(void)arg;
	page_stats_get(&s);
	text_printf(t,
		    "nr_free_pages %lu\nnr_anon_pages %lu\nnr_file_pages %lu\nnr_shmem %lu\nnr_page_table_pages %lu\n"
		    "nr_slab_unreclaimable %lu\npgalloc_normal %lu\npgfree %lu\n",
		    (unsigned long)s.free, (unsigned long)vm_anon_pages,
		    (unsigned long)(vm_object_pages_cached + vm_object_pages_shmem),
		    (unsigned long)vm_object_pages_shmem, (unsigned long)vm_pagetable_pages,
		    (unsigned long)slab_pages_total(), (unsigned long)s.allocs, (unsigned long)s.frees);
}

/* "SIZE ADDRESS" in hexadecimal for each request recorded, "0 ADDRESS" for each given back. */
static void show_alloc_trace(struct text *t, void *arg)
{
	(void)arg;
	if (!CONFIG_DEBUG)
		return;
	size_t count;
	const struct alloc_record *r = alloc_record_get(&count);

	for (size_t i = 0; i < count && !t->failed; i++)
		text_printf(t, "%llx %llx\n", (unsigned long long)r[i].size,
			    (unsigned long long)(r[i].addr - DIRECT_MAP_BASE) >> 4);
}

static void show_text(struct text *t, void *arg)
{
	text_append(t, arg, strlen(arg));
}

#define FIXED(text_) .show = show_text, .arg = (text_)

static const struct procfs_entry entries[] = {
	{.path = "meminfo", .mode = 0444, .show = show_meminfo},
	{.path = "stat", .mode = 0444, .show = show_stat},
	{.path = "uptime", .mode = 0444, .show = show_uptime},
	{.path = "loadavg", .mode = 0444, .show = show_loadavg},
	{.path = "cpuinfo", .mode = 0444, .show = show_cpuinfo},
	{.path = "version", .mode = 0444, .show = show_version},
	{.path = "cmdline", .mode = 0444, .show = show_cmdline},
	{.path = "filesystems", .mode = 0444, .show = show_filesystems},
	{.path = "interrupts", .mode = 0444, .show = show_interrupts},
	{.path = "devices", .mode = 0444, .show = show_devices},
	{.path = "slabinfo", .mode = 0400, .show = show_slabinfo},
	{.path = "vmstat", .mode = 0444, .show = show_vmstat},
	{.path = "swaps", .mode = 0444, FIXED("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")},
	{.path = "partitions", .mode = 0444, FIXED("major minor  #blocks  name\n\n")},
	{.path = "diskstats", .mode = 0444, FIXED("")},
	{.path = "modules", .mode = 0444, FIXED("")},
};

void proc_register_global(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++) {
		int err = procfs_register(&entries[i]);

		if (err)
			panic("procfs: /proc/%s at boot: error %d", entries[i].path, -err);
	}
	if (CONFIG_DEBUG && options.alloc_record) {
		static const struct procfs_entry trace = {.path = "ashlar/alloc_trace",
							  .mode = 0400,
							  .show = show_alloc_trace};
		int err = procfs_register(&trace);

		if (err)
			log_warn("procfs: no /proc/ashlar/alloc_trace: error %d", -err);
	}
}
