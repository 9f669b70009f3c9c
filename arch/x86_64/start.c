/*
 * The first C code, and what both boot protocols share.
 *
 * boot.S has mapped the image and the first GiB of the direct map.  Here the CPU gets its final tables, the loader's
 * information is copied into boot_info, and kernel_start() takes over on the same stack.
 *
 * The loader's tables may lie anywhere below 512 GiB (what one table of the direct map covers): for each GiB above the
 * first, the direct map gets one entry that leads to boot_pd_window, moved as needed and gone before kernel_start().
 * All reading goes through boot_read(), which copies: no pointer into the loader's memory survives, so of that memory
 * only the initrd needs to be kept.
 *
 * A machine or loader we cannot work with is no bug of ours: boot_fail() says what is wrong on the serial port and
 * stops.
 */
#include "arch/x86_64/internal.h"
#include <arch/early.h>
#include <arch/mmu.h>
#include "lib/string.h"

struct boot_info boot_info;

/* Enough for the fullest maps firmware makes (EFI: 150 or so entries, of which most neighbours merge), twice. */
static struct memmap_range memory_ranges[256];

static struct arch_cpu boot_cpu;
static struct {
	uint8_t stack[IST_STACK_SIZE - sizeof(struct ist_top)];
	struct ist_top top;
} aligned_to(16) boot_ist[IST_COUNT];

extern uint64_t boot_pdpt_direct[PT_ENTRIES];
static uint64_t boot_pd_window[PT_ENTRIES] aligned_to(PAGE_SIZE);
static uint64_t window_gib; /* which one the window shows; 0: closed */

extern char __kernel_start[], __kernel_end[];

/* Also to the top of the VGA text screen; where there is none, nobody sees that. */
static void boot_say(const char *text, unsigned *column)
{
	volatile uint16_t *screen = direct_map(0xb8000);

	early_console_write(text, strlen(text));
	for (; *text && *column < 80; text++)
		screen[(*column)++] = (uint16_t)(0x4f00 | (uint8_t)*text);
}

void boot_fail(const char *reason)
{
	unsigned column = 0;

	boot_say("Ashlar cannot start: ", &column);
	boot_say(reason, &column);
	early_console_write("\n", 1);
	cpu_stop();
}

static void window_close(void)
{
	if (window_gib) {
		boot_pdpt_direct[window_gib] = 0;
		window_gib = 0;
		mmu_flush_global_local();
	}
}

static void window_open(uint64_t gib)
{
	if (gib == window_gib)
		return;
	window_close();
	if (gib == 0)
		return;
	for (uint64_t i = 0; i < PT_ENTRIES; i++)
		boot_pd_window[i] = pte_leaf(paddr(gib * GIB + i * 2 * MIB), MMU_READ, 1).v;
	boot_pdpt_direct[gib] = pte_table(paddr(kernel_phys(boot_pd_window)), false).v;
	window_gib = gib;
}

bool boot_read(void *dst, uint64_t pa, uint64_t len)
{
	uint64_t end;

	if (__builtin_add_overflow(pa, len, &end) || end > PT_ENTRIES * GIB)
		return false;
	while (len) {
		uint64_t chunk = MIN(len, GIB - (pa & (GIB - 1)));

		if (pa >= GIB)
			window_open(pa / GIB);
		memcpy(dst, direct_map(pa), chunk);
		dst = (char *)dst + chunk;
		pa += chunk;
		len -= chunk;
	}
	return true;
}

/* In steps of aligned cache lines: what follows the string may not be memory. */
bool boot_read_string(char *dst, uint64_t pa, size_t size)
{
	size_t done = 0;

	while (done < size) {
		size_t chunk = MIN(size - done, CACHE_LINE - (pa & (CACHE_LINE - 1)));

		if (!boot_read(dst + done, pa, chunk)) {
			dst[done] = 0;
			return false;
		}
		if (memchr(dst + done, 0, chunk))
			return true;
		done += chunk;
		pa += chunk;
	}
	dst[size - 1] = 0;
	return false;
}

void boot_set_cmdline(uint64_t pa)
{
	if (pa)
		boot_info.cmdline_truncated = !boot_read_string(boot_info.cmdline, pa, sizeof(boot_info.cmdline));
}

void boot_add_range(uint64_t base, uint64_t len, uint32_t e820_type)
{
	if (memmap_add(&boot_info.memory, base, len, memmap_type_of_e820(e820_type)))
		boot_fail("the memory map has too many entries");
}

void boot_set_initrd(uint64_t base, uint64_t len)
{
	uint64_t end;

	if (!len || __builtin_add_overflow(base, len, &end))
		return;
	boot_info.initrd_base = paddr(base);
	boot_info.initrd_len = len;
}

/* What is RAM but not free.  The stronger type wins in the map, so firmware's own reservations stay as they are. */
static void reserve(uint64_t base, uint64_t len)
{
	if (memmap_add(&boot_info.memory, base, len, MEMMAP_KERNEL))
		boot_fail("the memory map has too many entries");
}

static void reserve_all(void)
{
	/* Interrupt vectors and data of the BIOS; also where other CPUs will start, in real mode. */
	reserve(0, 64 * KIB);
	reserve(kernel_phys(__kernel_start), (uint64_t)(__kernel_end - __kernel_start));
	if (boot_info.initrd_len) {
		uint64_t base = ALIGN_DOWN(boot_info.initrd_base.v, PAGE_SIZE);

		reserve(base, ALIGN_UP(boot_info.initrd_base.v + boot_info.initrd_len, (uint64_t)PAGE_SIZE) - base);
	}
}

static void boot_cpu_setup(void)
{
	struct ist_top *ist[IST_COUNT];

	for (int i = 0; i < IST_COUNT; i++)
		ist[i] = &boot_ist[i].top;
	cpu_detect();
	alternatives_apply();
	idt_init();
	cpu_setup(&boot_cpu, ist);
	boot_cpu.cpu.online = true;
	boot_cpu.cpu.hardware_id = cpuid(1, 0).ebx >> 24;
	cpus[0] = &boot_cpu.cpu;
	cpus_online = 1;
	cpus_online_mask = BIT(0);
}

void arch_start(enum boot_protocol protocol, uint32_t info)
{
	boot_cpu_setup();
	memmap_init(&boot_info.memory, memory_ranges, ARRAY_SIZE(memory_ranges));
	if (protocol == BOOT_PVH)
		pvh_parse(info);
	else
		multiboot2_parse(info);
	window_close();
	reserve_all();
	kernel_start(&boot_info);
}
