/*
 * PCI: which functions there are, their configuration space, and where their registers lie.  Theory in pci.c.
 *
 * Functions are found once at boot and never go away; the structures are immutable after pci_init(), so they are read
 * without a lock and pointers to them may be kept.
 */
#pragma once

#include <linux/pci_regs.h>

#include "lib/types.h"

struct pci_device {
	struct pci_device *next; /* in bus order */
	uint8_t bus, slot, function;
	uint8_t class_code, subclass, interface, revision;
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem_device;
	uint8_t header_type; /* without the multi-function bit: 0 a device, 1 a bridge */
	uint8_t irq_line;    /* as the firmware left it; 0xff: none */
	uint8_t irq_pin;     /* 1..4: INTA..INTD; 0: none */
};

struct pci_bar {
	paddr_t base; /* a port number if io */
	uint64_t len_bytes;
	bool io, prefetchable;
};

/* Boot, thread context. A machine without PCI has no devices; so has one that is out of memory (logged). */
void pci_init(void);

/* The first function after `after` (NULL: of all) with these ids; NULL: no more. Any context. */
struct pci_device *pci_find(uint16_t vendor, uint16_t device, const struct pci_device *after);
/* The first function of all; the others follow through ->next. */
struct pci_device *pci_first(void);

/* Configuration space, offset below 256 and aligned to the access. Any context. */
uint8_t pci_read8(const struct pci_device *d, unsigned offset);
uint16_t pci_read16(const struct pci_device *d, unsigned offset);
uint32_t pci_read32(const struct pci_device *d, unsigned offset);
void pci_write16(const struct pci_device *d, unsigned offset, uint16_t v);
void pci_write32(const struct pci_device *d, unsigned offset, uint32_t v);

/*
 * Base address register n (0..5). 0; -ENOENT: not implemented, or the upper half of the one before; -ENXIO: nobody gave
 * it an address. Switches the function's decoding off for a moment: before the driver uses the device.
 */
int pci_bar_get(const struct pci_device *d, unsigned n, struct pci_bar *bar) must_check;
/* Sets bits (PCI_COMMAND_…) of the command register. */
void pci_enable(const struct pci_device *d, uint16_t bits);
/* Offset of a capability (PCI_CAP_ID_… of <linux/pci_regs.h>) behind `after` (0: the first); 0: none. */
unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned after);
