/*
 * MSI and MSI-X: writes the message that arch gives (address and data) to where the function wants it.
 *
 * Locking: none; a function belongs to one driver, and arch's allocation is safe by itself. The table's size and place
 * come from the device, so both are checked against the base address register they point into.
 */
#include "dev/bus/msi.h"

#include <arch/io.h>
#include <arch/irq.h>
#include "abi/errno_kernel.h"
#include "mm/kmap.h"

#define ENTRY_BYTES 16
#define ENTRY_ADDRESS 0 /* low, high, data, control: 32 bits each */
#define ENTRY_DATA 8
#define ENTRY_CONTROL 12
#define ENTRY_MASKED BIT(0)

int pci_msi_enable(const struct pci_device *d, unsigned *irq)
{
	unsigned cap = pci_capability(d, PCI_CAP_ID_MSI, 0), got;
	struct irq_message m;

	if (!cap)
		return -ENOENT;
	int err = irqchip_alloc_msi(&got, &m);
	if (err)
		return err;
	uint16_t flags = pci_read16(d, cap + PCI_MSI_FLAGS) & (uint16_t) ~(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;
	pci_write16(d, cap + PCI_MSI_FLAGS, flags);
	pci_write32(d, cap + PCI_MSI_ADDRESS_LO, (uint32_t)m.address);
	if (wide)
		pci_write32(d, cap + PCI_MSI_ADDRESS_HI, (uint32_t)(m.address >> 32));
	pci_write16(d, cap + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), (uint16_t)m.data);
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		pci_write32(d, cap + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 0);
	pci_enable(d, PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE); /* a message is a write of the device's */
	pci_write16(d, cap + PCI_MSI_FLAGS, flags | PCI_MSI_FLAGS_ENABLE);
	*irq = got;
	return 0;
}

void pci_msi_disable(const struct pci_device *d, unsigned irq)
{
	unsigned cap = pci_capability(d, PCI_CAP_ID_MSI, 0);

	pci_write16(d, cap + PCI_MSI_FLAGS, pci_read16(d, cap + PCI_MSI_FLAGS) & (uint16_t)~PCI_MSI_FLAGS_ENABLE);
	irqchip_free_msi(irq);
}

static void entry_write(const struct pci_msix *m, unsigned entry, unsigned field, uint32_t v)
{
	mmio_write32(m->table + entry * ENTRY_BYTES + field, v);
}

int pci_msix_open(const struct pci_device *d, struct pci_msix *m)
{
	unsigned cap = pci_capability(d, PCI_CAP_ID_MSIX, 0);
	struct pci_bar bar;

	if (!cap)
		return -ENOENT;
	uint16_t flags = pci_read16(d, cap + PCI_MSIX_FLAGS);
	uint32_t where = pci_read32(d, cap + PCI_MSIX_TABLE);
	unsigned entries = (flags & PCI_MSIX_FLAGS_QSIZE) + 1u;
	uint64_t offset = where & PCI_MSIX_TABLE_OFFSET;
	int err = pci_bar_get(d, where & PCI_MSIX_TABLE_BIR, &bar);
	if (err)
		return err;
	if (bar.io || offset + (uint64_t)entries * ENTRY_BYTES > bar.len_bytes)
		return -ENOENT;
	volatile uint8_t *table = kmap_device(paddr(bar.base.v + offset), (size_t)entries * ENTRY_BYTES);
	if (!table)
		return -ENOMEM;
	*m = (struct pci_msix){.device = d, .table = table, .capability = cap, .entries = entries};
	pci_enable(d, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	for (unsigned i = 0; i < entries; i++)
		entry_write(m, i, ENTRY_CONTROL, ENTRY_MASKED);
	pci_write16(d, cap + PCI_MSIX_FLAGS, (uint16_t)((flags & ~PCI_MSIX_FLAGS_MASKALL) | PCI_MSIX_FLAGS_ENABLE));
	return 0;
}

int pci_msix_enable(const struct pci_msix *m, unsigned entry, unsigned *irq)
{
	struct irq_message message;
	unsigned got;

	if (entry >= m->entries)
		return -EINVAL;
	int err = irqchip_alloc_msi(&got, &message);
	if (err)
		return err;
	entry_write(m, entry, ENTRY_ADDRESS, (uint32_t)message.address);
	entry_write(m, entry, ENTRY_ADDRESS + 4, (uint32_t)(message.address >> 32));
	entry_write(m, entry, ENTRY_DATA, message.data);
	pci_msix_mask(m, entry, false);
	*irq = got;
	return 0;
}

void pci_msix_mask(const struct pci_msix *m, unsigned entry, bool masked)
{
	entry_write(m, entry, ENTRY_CONTROL, masked ? ENTRY_MASKED : 0);
	(void)mmio_read32(m->table + entry * ENTRY_BYTES + ENTRY_CONTROL); /* the write has arrived when this returns */
}

void pci_msix_disable(const struct pci_msix *m, unsigned entry, unsigned irq)
{
	pci_msix_mask(m, entry, true);
	irqchip_free_msi(irq);
}

void pci_msix_close(struct pci_msix *m)
{
	const struct pci_device *d = m->device;
	uint16_t flags = pci_read16(d, m->capability + PCI_MSIX_FLAGS);

	pci_write16(d, m->capability + PCI_MSIX_FLAGS, flags & (uint16_t)~PCI_MSIX_FLAGS_ENABLE);
	m->table = NULL;
}
