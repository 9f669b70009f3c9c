/*
 * PCI: theory.
 *
 * Purpose: one list of the functions on the machine's PCI buses, for drivers to look through.
 *
 * Mechanism: configuration space is reached through the two ports of access mechanism #1 (PCI 3.0 §3.2.2.3.2): an
 * address goes to 0xcf8, data through 0xcfc.  Every PC chip set and QEMU's pc and q35 have it; on a machine without PCI
 * (microvm) the ports read all ones, which is also what an absent function answers, so there is nothing to ask first.
 * The first 256 bytes of each function are within reach, which is where everything a driver of ours needs lies.
 *
 * Buses are found by descent: bus 0, and behind each bridge its secondary bus as the firmware has numbered it.  Numbers
 * come from hardware, so each bus is scanned at most once (a bitmap), whatever the bridges say.
 *
 * Locking: config_lock makes address and data one access.  The list is built at boot and then immutable.
 * Failure: out of memory ends the scan with a log line; what was found before stays usable.
 * Rejected: the memory-mapped mechanism (MCFG), which reaches the other 3840 bytes: to be added with the first driver
 * that reads an extended capability; giving addresses to functions the firmware has left without.
 */
#include "dev/bus/pci.h"

#include <arch/io.h>
#include <linux/errno.h>

#include "core/log.h"
#include "lib/bitmap.h"
#include "mm/slab.h"
#include "sync/spinlock.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA 0xcfc
#define ADDRESS_ENABLE BIT(31)
#define SLOTS 32
#define FUNCTIONS 8
#define BUSES 256
#define CAPABILITIES_MAX 48 /* of 4 bytes each, as many as fit: a longer chain is a loop */

static struct spinlock config_lock = SPINLOCK_INIT(LOCK_LEAF, "pci config");
static struct pci_device *devices, **devices_end = &devices;
static uint64_t scanned[BITMAP_WORDS(BUSES)];

static uint32_t address_of(const struct pci_device *d, unsigned offset)
{
	return (uint32_t)ADDRESS_ENABLE | (uint32_t)d->bus << 16 | (uint32_t)d->slot << 11 |
		(uint32_t)d->function << 8 | (offset & 0xfc);
}

uint32_t pci_read32(const struct pci_device *d, unsigned offset)
{
	SPIN_GUARD(&config_lock);
	io_out32(PORT_ADDRESS, address_of(d, offset));
	return io_in32(PORT_DATA);
}

uint16_t pci_read16(const struct pci_device *d, unsigned offset)
{
	return (uint16_t)(pci_read32(d, offset) >> (offset & 2) * 8);
}

uint8_t pci_read8(const struct pci_device *d, unsigned offset)
{
	return (uint8_t)(pci_read32(d, offset) >> (offset & 3) * 8);
}

void pci_write32(const struct pci_device *d, unsigned offset, uint32_t v)
{
	SPIN_GUARD(&config_lock);
	io_out32(PORT_ADDRESS, address_of(d, offset));
	io_out32(PORT_DATA, v);
}

/* A write of exactly 16 bits: the neighbouring status register has bits that a write of 1 clears. */
void pci_write16(const struct pci_device *d, unsigned offset, uint16_t v)
{
	SPIN_GUARD(&config_lock);
	io_out32(PORT_ADDRESS, address_of(d, offset));
	io_out16((uint16_t)(PORT_DATA + (offset & 2)), v);
}

void pci_enable(const struct pci_device *d, uint16_t bits)
{
	pci_write16(d, PCI_COMMAND, pci_read16(d, PCI_COMMAND) | bits);
}

/* Writes all ones, reads what sticks, and puts the old value back: the lowest bit that can be set is the size. */
static uint32_t bar_mask(const struct pci_device *d, unsigned offset)
{
	uint32_t old = pci_read32(d, offset);
	pci_write32(d, offset, UINT32_MAX);
	uint32_t mask = pci_read32(d, offset);
	pci_write32(d, offset, old);
	return mask;
}

static bool is_wide(uint32_t bar)
{
	return !(bar & PCI_BASE_ADDRESS_SPACE_IO) &&
		(bar & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
}

/* Whether register n is the upper half of a 64-bit one. */
static bool is_upper_half(const struct pci_device *d, unsigned n)
{
	unsigned i = 0;
	while (i < n)
		i += is_wide(pci_read32(d, PCI_BASE_ADDRESS_0 + 4 * i)) ? 2 : 1;
	return i != n;
}

int pci_bar_get(const struct pci_device *d, unsigned n, struct pci_bar *bar)
{
	unsigned count = d->header_type == PCI_HEADER_TYPE_NORMAL ? 6
		: d->header_type == PCI_HEADER_TYPE_BRIDGE	  ? 2
								  : 0;
	if (n >= count || is_upper_half(d, n))
		return -ENOENT;
	unsigned offset = PCI_BASE_ADDRESS_0 + 4 * n;
	uint32_t low = pci_read32(d, offset);
	bool io = low & PCI_BASE_ADDRESS_SPACE_IO, wide = is_wide(low) && n + 1 < count;
	uint32_t high = wide ? pci_read32(d, offset + 4) : 0;

	uint16_t command = pci_read16(d, PCI_COMMAND);
	pci_write16(d, PCI_COMMAND, command & (uint16_t) ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	uint32_t low_mask = bar_mask(d, offset), high_mask = wide ? bar_mask(d, offset + 4) : UINT32_MAX;
	pci_write16(d, PCI_COMMAND, command);

	uint32_t flags = io ? 0x3 : 0xf;
	if (io)
		low_mask |= 0xffff0000; /* ports have 16 bits, and the upper ones need not be there */
	uint64_t mask = (uint64_t)high_mask << 32 | (low_mask & ~flags);
	if (!(low_mask & ~flags) && (!wide || !high_mask))
		return -ENOENT;
	uint64_t base = (uint64_t)high << 32 | (low & ~flags);
	if (!base)
		return -ENXIO;
	*bar = (struct pci_bar){.base = paddr(base),
				.len_bytes = ~mask + 1,
				.io = io,
				.prefetchable = !io && low & PCI_BASE_ADDRESS_MEM_PREFETCH};
	return 0;
}

unsigned pci_capability(const struct pci_device *d, uint8_t id, unsigned after)
{
	if (!(pci_read16(d, PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	unsigned at = pci_read8(d, after ? after + PCI_CAP_LIST_NEXT : PCI_CAPABILITY_LIST) & 0xfc;
	for (unsigned i = 0; at >= PCI_STD_HEADER_SIZEOF && i < CAPABILITIES_MAX; i++) {
		if (pci_read8(d, at + PCI_CAP_LIST_ID) == id)
			return at;
		at = pci_read8(d, at + PCI_CAP_LIST_NEXT) & 0xfc;
	}
	return 0;
}

struct pci_device *pci_first(void)
{
	return devices;
}

struct pci_device *pci_find(uint16_t vendor, uint16_t device, const struct pci_device *after)
{
	for (struct pci_device *d = after ? after->next : devices; d; d = d->next)
		if (d->vendor == vendor && d->device == device)
			return d;
	return NULL;
}

/* --- the scan --- */

/* The function at this place, on the list; NULL: there is none, or no memory (*full). */
static struct pci_device *probe(unsigned bus, unsigned slot, unsigned function, bool *full)
{
	struct pci_device at = {.bus = (uint8_t)bus, .slot = (uint8_t)slot, .function = (uint8_t)function};
	uint32_t ids = pci_read32(&at, PCI_VENDOR_ID);
	if ((ids & 0xffff) == 0xffff || (ids & 0xffff) == 0)
		return NULL;
	struct pci_device *d = kmalloc(sizeof(*d));
	if (!d) {
		*full = true;
		return NULL;
	}
	uint32_t class = pci_read32(&at, PCI_CLASS_REVISION);
	at.vendor = (uint16_t)ids;
	at.device = (uint16_t)(ids >> 16);
	at.revision = (uint8_t) class;
	at.interface = (uint8_t)(class >> 8);
	at.subclass = (uint8_t)(class >> 16);
	at.class_code = (uint8_t)(class >> 24);
	at.header_type = pci_read8(&at, PCI_HEADER_TYPE) & 0x7f;
	if (at.header_type == PCI_HEADER_TYPE_NORMAL) {
		at.subsystem_vendor = pci_read16(&at, PCI_SUBSYSTEM_VENDOR_ID);
		at.subsystem_device = pci_read16(&at, PCI_SUBSYSTEM_ID);
	}
	at.irq_line = pci_read8(&at, PCI_INTERRUPT_LINE);
	at.irq_pin = pci_read8(&at, PCI_INTERRUPT_PIN);
	*d = at;
	*devices_end = d;
	devices_end = &d->next;
	return d;
}

/* Adds what is in the slot; buses behind its bridges go to the set of those to scan. */
static bool scan_slot(unsigned bus, unsigned slot, uint64_t *to_scan)
{
	bool full = false;
	for (unsigned function = 0; function < FUNCTIONS && !full; function++) {
		struct pci_device *d = probe(bus, slot, function, &full);
		if (d && d->header_type == PCI_HEADER_TYPE_BRIDGE)
			bitmap_set(to_scan, pci_read8(d, PCI_SECONDARY_BUS));
		if (function == 0 && (!d || !(pci_read8(d, PCI_HEADER_TYPE) & 0x80)))
			break;
	}
	return !full;
}

void pci_init(void)
{
	uint64_t to_scan[BITMAP_WORDS(BUSES)] = {BIT(0)};
	unsigned count = 0;

	for (unsigned bus; (bus = (unsigned)bitmap_next_set(to_scan, BUSES, 0)) < BUSES;) {
		bitmap_clear(to_scan, bus);
		if (bitmap_test(scanned, bus))
			continue;
		bitmap_set(scanned, bus);
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			if (!scan_slot(bus, slot, to_scan)) {
				log_warn("pci: no memory for the list of functions");
				return;
			}
		}
	}
	for (struct pci_device *d = devices; d; d = d->next, count++)
		log_debug("pci: %02x:%02x.%x %04x:%04x class %02x%02x", d->bus, d->slot, d->function, d->vendor,
			  d->device, d->class_code, d->subclass);
	if (count)
		log_info("pci: %u functions", count);
}
