/* The console's font, the PCI bus and the screen, as far as they can be asked from inside. */
#include <arch/mmu.h>
#include <linux/errno.h>

#include <arch/io.h>
#include "core/ktest.h"
#include "core/log.h"
#include "dev/bus/pci.h"
#include "dev/char/screen_console.h"
#include "dev/video/font.h"

KTEST(screen, font_has_what_is_promised)
{
	if (font.count == 0)
		KTEST_EQ(font_init(), 0); /* VGA text needs no font */
	KTEST_EQ(font.width, 8);
	KTEST_EQ(font.height, 16);
	unsigned extended = 0;
	for (uint32_t code = 0x20; code < 0x100; code++)
		KTEST_TRUE((code >= 0x7f && code < 0xa0) || font_has(code));
	for (uint32_t code = 0x100; code < 0x180; code++)
		extended += font_has(code);
	KTEST_TRUE(extended > 100); /* Latin Extended-A but for what no language writes any more */
	static const uint16_t lines[] = {0x2500, 0x2502, 0x250c, 0x2510, 0x2514, 0x2518, 0x251c, 0x2524, 0x252c,
					 0x2534, 0x253c, 0x2550, 0x2551, 0x2554, 0x2557, 0x255a, 0x255d, 0x256c,
					 0x2580, 0x2584, 0x2588, 0x258c, 0x2590, 0x2591, 0x2592, 0x2593, 0x25a0};
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		for (unsigned j = 0; j <= i; j++) /* each has a glyph of its own */
			KTEST_EQ(font_glyph(lines[i]) == font_glyph(lines[j]), i == j);
	KTEST_TRUE(font_glyph(0x4e2d) == font_glyph(0x25a0));
	KTEST_TRUE(font_glyph(0x10ffff) == font_glyph(0x25a0));
	KTEST_TRUE(font_glyph(0x256d) == font_glyph(0x250c) || font_has(0x256d));
}

KTEST(screen, write_combining_is_its_own_kind)
{
	pte_t e = pte_leaf(paddr(0xe0000000), MMU_READ | MMU_WRITE | MMU_WRITE_COMBINE, 0);
	KTEST_EQ(pte_prot(e) & (MMU_DEVICE | MMU_WRITE_COMBINE), MMU_WRITE_COMBINE);
	e = pte_leaf(paddr(0xe0000000), MMU_READ | MMU_WRITE | MMU_DEVICE, 1);
	KTEST_EQ(pte_prot(e) & (MMU_DEVICE | MMU_WRITE_COMBINE), MMU_DEVICE);
	e = pte_leaf(paddr(0xe0000000), MMU_READ, 0);
	KTEST_EQ(pte_prot(e) & (MMU_DEVICE | MMU_WRITE_COMBINE), 0);
}

static unsigned calls;

static void count_call(void)
{
	calls++;
}

/* Or there would be eight backgrounds only. (IBM VGA: a read of the status makes the next write to 3C0 an index.) */
KTEST(screen, vga_text_does_not_blink)
{
	io_out8(0x3ce, 6); /* bit 0 of this register: graphics */
	if (!screen_console_tty() || (io_in8(0x3cf) & 1))
		ktest_skip("no VGA text here");
	(void)io_in8(0x3da);
	io_out8(0x3c0, 0x10 | 0x20); /* the mode register; the picture stays on */
	uint8_t mode = io_in8(0x3c1);
	(void)io_in8(0x3da);
	KTEST_EQ(mode & BIT(3), 0);
}

KTEST(screen, lock_can_be_held)
{
	if (!screen_console_tty())
		ktest_skip("this machine has no screen");
	calls = 0;
	KTEST_TRUE(screen_console_locked(count_call));
	KTEST_EQ(calls, 1);
}

/* Errors are written to the consoles at once, by whoever reports them. */
static void report_error(void)
{
	log_err("screen test: an error under the screen's lock");
	calls++;
}

KTEST(screen, error_under_its_lock_does_not_wait)
{
	if (!screen_console_tty())
		ktest_skip("this machine has no screen");
	calls = 0;
	KTEST_TRUE(screen_console_locked(report_error));
	KTEST_EQ(calls, 1);
	log_err("screen test: an error with the screen free");
}

KTEST(pci, host_bridge_and_vga)
{
	if (!pci_first())
		ktest_skip("this machine has no PCI");
	const struct pci_device *host = pci_first();
	KTEST_EQ(host->bus, 0);
	KTEST_EQ(host->class_code, 6);
	KTEST_EQ(pci_read32(host, PCI_VENDOR_ID), host->vendor | (uint32_t)host->device << 16);
	KTEST_EQ(pci_read16(host, PCI_DEVICE_ID), host->device);
	KTEST_EQ(pci_read8(host, PCI_CLASS_DEVICE + 1), host->class_code);
	KTEST_TRUE(pci_find(host->vendor, host->device, NULL) == host);
	KTEST_TRUE(pci_find(0x1234, 0xffff, NULL) == NULL);

	struct pci_bar bar, again;
	const struct pci_device *vga = pci_find(0x1234, 0x1111, NULL);
	if (!vga)
		return;
	KTEST_EQ(pci_bar_get(vga, 0, &bar), 0);
	KTEST_TRUE(!bar.io && bar.prefetchable);
	KTEST_EQ(bar.len_bytes & (bar.len_bytes - 1), 0);
	KTEST_EQ(bar.base.v & (bar.len_bytes - 1), 0);
	KTEST_EQ(pci_bar_get(vga, 0, &again), 0); /* asking changes nothing */
	KTEST_EQ(again.base.v, bar.base.v);
	KTEST_EQ(again.len_bytes, bar.len_bytes);
	KTEST_EQ(pci_bar_get(vga, 5, &bar), -ENOENT);
	KTEST_EQ(pci_bar_get(vga, 6, &bar), -ENOENT);
}
