/*
 * The Bochs display adapter (QEMU's docs/specs/standard-vga.txt): a linear framebuffer in BAR 0, and a dozen 16-bit
 * registers ("DISPI") that set its size, behind two ports or, where the device has a BAR 2, in memory at 0x500 of it.
 * The VGA's own registers are mirrored there at 0x400.
 */
#include "dev/video/bochs.h"

#include <arch/io.h>
#include <linux/errno.h>

#include "core/log.h"
#include "dev/bus/pci.h"
#include "mm/kmap.h"

#define VENDOR_QEMU 0x1234
#define DEVICE_VGA 0x1111
#define PORT_INDEX 0x1ce
#define PORT_DATA 0x1cf
#define REGISTERS_BYTES 0x1000
#define REGISTERS_VGA 0x400
#define REGISTERS_DISPI 0x500

enum {
	DISPI_ID,
	DISPI_XRES,
	DISPI_YRES,
	DISPI_BPP,
	DISPI_ENABLE,
	DISPI_BANK,
	DISPI_VIRT_WIDTH,
	DISPI_VIRT_HEIGHT,
	DISPI_X_OFFSET,
	DISPI_Y_OFFSET,
};
#define ID_MASK 0xfff0
#define ID_VALUE 0xb0c0
#define ENABLE_ON 0x01
#define ENABLE_CAPABILITIES 0x02 /* the size registers then read as the largest there is */
#define ENABLE_LINEAR 0x40
#define VGA_ATTRIBUTE 0x00 /* 0x3c0 */
#define ATTRIBUTE_VIDEO_ON 0x20

static volatile uint8_t *registers; /* NULL: by ports */

static void dispi_write(unsigned reg, uint16_t v)
{
	if (registers) {
		*(volatile uint16_t *)(registers + REGISTERS_DISPI + 2 * reg) = v;
	} else {
		io_out16(PORT_INDEX, (uint16_t)reg);
		io_out16(PORT_DATA, v);
	}
}

static uint16_t dispi_read(unsigned reg)
{
	if (registers)
		return *(volatile uint16_t *)(registers + REGISTERS_DISPI + 2 * reg);
	io_out16(PORT_INDEX, (uint16_t)reg);
	return io_in16(PORT_DATA);
}

static bool size_possible(unsigned width, unsigned height, uint64_t memory_bytes)
{
	uint16_t before = dispi_read(DISPI_ENABLE);
	dispi_write(DISPI_ENABLE, ENABLE_CAPABILITIES);
	unsigned width_max = dispi_read(DISPI_XRES), height_max = dispi_read(DISPI_YRES);
	dispi_write(DISPI_ENABLE, before);
	return width >= 320 && height >= 200 && width % 8 == 0 && width <= width_max && height <= height_max &&
		(uint64_t)width * height * 4 <= memory_bytes;
}

int bochs_set_mode(unsigned width, unsigned height, struct boot_framebuffer *fb)
{
	struct pci_device *d = pci_find(VENDOR_QEMU, DEVICE_VGA, NULL);
	struct pci_bar memory, mmio;

	if (!d || pci_bar_get(d, 0, &memory) || memory.io)
		return -ENODEV;
	if (pci_bar_get(d, 2, &mmio) == 0 && !mmio.io && mmio.len_bytes >= REGISTERS_BYTES)
		registers = kmap_device(mmio.base, REGISTERS_BYTES);
	pci_enable(d, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	if ((dispi_read(DISPI_ID) & ID_MASK) != ID_VALUE) {
		log_warn("bochs: pci %02x:%02x.%x does not answer as a Bochs display", d->bus, d->slot, d->function);
		return -ENODEV;
	}
	if (!size_possible(width, height, memory.len_bytes))
		return -EINVAL;
	dispi_write(DISPI_ENABLE, 0); /* the size changes only while it is off */
	dispi_write(DISPI_XRES, (uint16_t)width);
	dispi_write(DISPI_YRES, (uint16_t)height);
	dispi_write(DISPI_BPP, 32);
	dispi_write(DISPI_X_OFFSET, 0);
	dispi_write(DISPI_Y_OFFSET, 0);
	dispi_write(DISPI_ENABLE, ENABLE_ON | ENABLE_LINEAR);
	/* A VGA that no BIOS has set up keeps its picture dark until the attribute controller is told. */
	if (registers)
		registers[REGISTERS_VGA + VGA_ATTRIBUTE] = ATTRIBUTE_VIDEO_ON;
	*fb = (struct boot_framebuffer){.base = memory.base,
					.width = width,
					.height = height,
					.pitch_bytes = width * 4,
					.bits_per_pixel = 32,
					.red = {16, 8},
					.green = {8, 8},
					.blue = {0, 8}};
	return 0;
}
