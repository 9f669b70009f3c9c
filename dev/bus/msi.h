/*
 * Message-signalled interrupts of PCI functions (PCI 3.0 §6.8): MSI, one message, and MSI-X, a table of them. The irq
 * they yield is used with irq_register() (dev/irq.h).
 *
 * Order for a driver: enable, irq_register, let the device interrupt … silence the device, irq_unregister, disable.
 */
#pragma once

#include "dev/bus/pci.h"

/*
 * One message for the whole function; its line (INTx) is silent from then on. Thread context. -ENOENT: it has no MSI;
 * otherwise as irqchip_alloc_msi().
 */
int pci_msi_enable(const struct pci_device *d, unsigned *irq) must_check;
void pci_msi_disable(const struct pci_device *d, unsigned irq);

struct pci_msix {
	const struct pci_device *device;
	volatile uint8_t *table;
	unsigned capability, entries;
};

/*
 * Maps the table, masks all entries, switches the function to MSI-X. Thread context. -ENOENT: it has none, or its table
 * lies outside the register it names; -ENOMEM; or the register has no address (-ENXIO).
 */
int pci_msix_open(const struct pci_device *d, struct pci_msix *m) must_check;
/* Gives an entry an irq and opens it. -EINVAL: no such entry; otherwise as irqchip_alloc_msi(). */
int pci_msix_enable(const struct pci_msix *m, unsigned entry, unsigned *irq) must_check;
/* A masked entry remembers one message and sends it when it is opened again. Any context. */
void pci_msix_mask(const struct pci_msix *m, unsigned entry, bool masked);
void pci_msix_disable(const struct pci_msix *m, unsigned entry, unsigned irq);
/* Every entry disabled before. (The mapping stays, as those of all device registers do.) */
void pci_msix_close(struct pci_msix *m);
