/* The machine as a whole: names, memory and load figures, the log, random numbers, reboot; and other
 * programs' memory. */
#include <linux/capability.h>
#include <linux/random.h>
#include <linux/reboot.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>

#include <arch/cpu.h>
#include <arch/power.h>
#include <arch/smp.h>

#include "core/log.h"
#include "dev/random.h"
#include "fs/utsname.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/clock.h"
#include "sched/sched.h"
#include "syscall/handlers.h"

long sys_uname(const struct syscall_args *a)
{
	struct new_utsname u = {0};

	utsname_get(&u);
	return copy_to_user(arg_uptr(a, 0), &u, sizeof(u));
}

static long set_name(const struct syscall_args *a, bool domain)
{
	char name[__NEW_UTS_LEN + 1] = {0};
	int len = arg_int(a, 1);

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > __NEW_UTS_LEN)
		return -EINVAL;
	if (copy_from_user(name, arg_uptr(a, 0), (size_t)len) != 0)
		return -EFAULT;
	utsname_set(domain, name);
	return 0;
}

long sys_sethostname(const struct syscall_args *a)
{
	return set_name(a, false);
}

long sys_setdomainname(const struct syscall_args *a)
{
	return set_name(a, true);
}

long sys_sysinfo(const struct syscall_args *a)
{
	struct page_stats pages;
	struct sched_stats sched;
	uint64_t load[3];

	page_stats_get(&pages);
	sched_stats_get(0, &sched);
	sched_load_average(load);
	struct sysinfo s = {
		.uptime = (long)(clock_monotonic_ns() / NSEC_PER_SEC),
		.loads = {load[0] << 5, load[1] << 5, load[2] << 5}, /* 11 fraction bits to 16 */
		.totalram = pages.total * PAGE_SIZE,
		.freeram = pages.free * PAGE_SIZE,
		.sharedram = vm_object_pages_shmem * PAGE_SIZE,
		.procs = (unsigned short)MIN(sched.threads, UINT16_MAX),
		.mem_unit = 1,
	};
	return copy_to_user(arg_uptr(a, 0), &s, sizeof(s));
}

long sys_getrandom(const struct syscall_args *a)
{
	uint8_t block[256];
	uint64_t len = MIN(arg_u64(a, 1), 0x7ffff000ull), done = 0;

	if (arg_uint(a, 2) & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
	    (arg_uint(a, 2) & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	while (done < len) {
		size_t n = MIN(len - done, sizeof(block));
		random_bytes(block, n);
		if (copy_to_user(uptr_add(arg_uptr(a, 0), done), block, n) != 0)
			return done ? (long)done : -EFAULT;
		done += n;
		if (done < len && signal_pending_current())
			break;
	}
	return (long)done;
}

/* --- syslog(2): the log as dmesg reads it
 * ------------------------------------------------------------------------------- */

enum syslog_action {
	CLOSE,
	OPEN,
	READ,
	READ_ALL,
	READ_CLEAR,
	CLEAR,
	CONSOLE_OFF,
	CONSOLE_ON,
	CONSOLE_LEVEL,
	SIZE_UNREAD,
	SIZE_BUFFER
};

static uint64_t cleared_seq; /* READ_ALL starts here */

static size_t record_text(const struct log_record *r, char *line, size_t size)
{
	int n = snprintf(line, size, "<%u>[%5llu.%06llu] %.*s\n", r->facility_level,
			 (unsigned long long)(r->time_ns / NSEC_PER_SEC),
			 (unsigned long long)(r->time_ns % NSEC_PER_SEC / 1000), (int)r->len, r->text);
	return MIN((size_t)n, size - 1);
}

/* The last len bytes' worth of whole records since the last clear. */
static long syslog_read_all(uptr_t buf, size_t len)
{
	struct log_record r;
	char line[sizeof(r.text) + 48];
	size_t total = 0, done = 0;

	for (uint64_t seq = atomic_load_relaxed(&cleared_seq); log_read(&seq, &r); seq++)
		total += record_text(&r, line, sizeof(line));
	for (uint64_t seq = atomic_load_relaxed(&cleared_seq); log_read(&seq, &r); seq++) {
		size_t n = record_text(&r, line, sizeof(line));
		if (total > len) {
			total -= n;
			continue;
		}
		if (n > len - done)
			break; /* records were added meanwhile */
		if (copy_to_user(uptr_add(buf, done), line, n) != 0)
			return -EFAULT;
		done += n;
	}
	return (long)done;
}

long sys_syslog(const struct syscall_args *a)
{
	int action = arg_int(a, 0), len = arg_int(a, 2);

	if (action != READ_ALL && action != SIZE_BUFFER && !capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	switch (action) {
	case CLOSE:
	case OPEN:
		return 0;
	case READ_ALL:
	case READ_CLEAR: {
		if (uptr_null(arg_uptr(a, 1)) || len < 0)
			return -EINVAL;
		long n = syslog_read_all(arg_uptr(a, 1), (size_t)len);
		if (n >= 0 && action == READ_CLEAR)
			atomic_store_relaxed(&cleared_seq, log_next_seq());
		return n;
	}
	case CLEAR:
		atomic_store_relaxed(&cleared_seq, log_next_seq());
		return 0;
	case CONSOLE_OFF:
		log_console_level = LOG_ALERT;
		return 0;
	case CONSOLE_ON:
		log_console_level = LOG_DEBUG;
		return 0;
	case CONSOLE_LEVEL:
		if (len < 1 || len > 8)
			return -EINVAL;
		log_console_level = len;
		return 0;
	case SIZE_BUFFER:
		return (long)log_buffer_bytes();
	}
	return -EINVAL; /* READ and SIZE_UNREAD, the destructive reader: /dev/kmsg serves that */
}

long sys_reboot(const struct syscall_args *a)
{
	unsigned magic2 = arg_uint(a, 1);

	if (!capable(CAP_SYS_BOOT))
		return -EPERM;
	if (arg_uint(a, 0) != LINUX_REBOOT_MAGIC1 ||
	    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A && magic2 != LINUX_REBOOT_MAGIC2B &&
	     magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	switch (arg_uint(a, 2)) {
	case LINUX_REBOOT_CMD_CAD_ON:
	case LINUX_REBOOT_CMD_CAD_OFF:
		return 0; /* Ctrl-Alt-Del is an ordinary key here either way */
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
		log_info("reboot: resetting the machine");
		power_reset();
	case LINUX_REBOOT_CMD_HALT:
		log_info("reboot: system halted");
		log_flush();
		irq_disable();
		smp_stop_others(); /* programs on other CPUs, too, come no further */
		cpu_stop();
	case LINUX_REBOOT_CMD_POWER_OFF:
		log_info("reboot: power off");
		power_off();
	}
	return -EINVAL;
}

/* --- process_vm_readv, process_vm_writev
 * -------------------------------------------------------------------------------- */

static long move_memory(struct aspace *as, struct uio *local, const struct uio_segment *remote, unsigned count,
			bool write)
{
	long done = 0;
	void *buf AUTO_KFREE = kmalloc(PAGE_SIZE);

	if (!buf)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		for (uint64_t at = 0; at < remote[i].len && local->left;) {
			size_t n = MIN(MIN(remote[i].len - at, local->left),
				       PAGE_SIZE - ((remote[i].base + at) & PAGE_MASK));
			int err = write ? uio_get(local, buf, n) : 0;
			if (!err)
				err = aspace_access(as, remote[i].base + at, buf, n, write) == (int64_t)n ? 0 : -EFAULT;
			if (!err && !write)
				err = uio_put(local, buf, n);
			if (err)
				return done ? done : err;
			at += n;
			done += (long)n;
		}
	}
	return done;
}

static long process_vm(const struct syscall_args *a, bool write)
{
	uint64_t here = arg_u64(a, 2), there = arg_u64(a, 4);
	struct uio u;
	struct aspace *as;

	if (arg_u64(a, 5) || here > UIO_SEGMENTS_MAX || there > UIO_SEGMENTS_MAX)
		return -EINVAL;
	struct uio_segment *local AUTO_KFREE = kcalloc(here + there + 1, sizeof(*local));
	if (!local)
		return -ENOMEM;
	struct uio_segment *remote = local + here;
	int err = uio_import(arg_uptr(a, 1), here, local, (unsigned)here);
	if (!err)
		err = uio_import(arg_uptr(a, 3), there, remote, (unsigned)there);
	if (!err)
		err = process_aspace_for_access(arg_int(a, 0), &as);
	if (err)
		return err;
	uio_init_segments(&u, local, (unsigned)here);
	long n = move_memory(as, &u, remote, (unsigned)there, write);
	aspace_put(as);
	return n;
}

long sys_process_vm_readv(const struct syscall_args *a)
{
	return process_vm(a, false);
}

long sys_process_vm_writev(const struct syscall_args *a)
{
	return process_vm(a, true);
}
