/*
 * MSI and MSI-X against real senders: QEMU's `edu` device interrupts when told to and has MSI; its e1000e has MSI-X and
 * a register that sets interrupt causes. tests/boot/interrupts.py starts a machine with both; on others these skip.
 */
#include <arch/io.h>
#include <arch/irq.h>
#include <arch/time.h>

#include "core/ktest.h"
#include "dev/bus/msi.h"
#include "dev/irq.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include "sched/timer.h"

static volatile uint8_t *registers;
static uint32_t hits[2];

static volatile uint8_t *map(const struct pci_device *d, unsigned n)
{
	struct pci_bar bar;
	KTEST_EQ(pci_bar_get(d, n, &bar), 0);
	KTEST_TRUE(!bar.io);
	volatile uint8_t *at = kmap_device(bar.base, 0x1000);
	KTEST_TRUE(at);
	pci_enable(d, PCI_COMMAND_MEMORY);
	return at;
}

/* What must not come would come within a moment. */
static void settle(void)
{
	int err = sleep_until_ns(time_ns() + 2 * NSEC_PER_MSEC, false);
	KTEST_EQ(err, 0);
}

/* What must come may take its time. */
static void wait_for(const uint32_t *count, uint32_t wanted)
{
	for (int i = 0; i < 500 && READ_ONCE(*count) < wanted; i++)
		settle();
	KTEST_TRUE(READ_ONCE(*count) >= wanted);
}

#define EDU_ID 0x00
#define EDU_IRQ_STATUS 0x24
#define EDU_IRQ_RAISE 0x60
#define EDU_IRQ_ACK 0x64

static void edu_interrupt(void *arg)
{
	uint32_t *count = arg;
	uint32_t cause = mmio_read32(registers + EDU_IRQ_STATUS);

	*count += cause;
	mmio_write32(registers + EDU_IRQ_ACK, cause);
}

KTEST(msi, edu_interrupts_by_message)
{
	struct pci_device *d = pci_find(0x1234, 0x11e8, NULL);
	struct irq_action action = {.fn = edu_interrupt, .arg = &hits[0], .name = "edu"};
	static char table[4096];
	unsigned irq;

	if (!d)
		ktest_skip("no edu device");
	registers = map(d, 0);
	KTEST_EQ(mmio_read32(registers + EDU_ID) & 0xffff, 0x00ed);
	KTEST_EQ(pci_msi_enable(d, &irq), 0);
	KTEST_EQ(irq_register(irq, &action), 0);
	hits[0] = 0;
	uint64_t counted = irq_count_get(irq, 0); /* not from 0 when the test runs again */
	mmio_write32(registers + EDU_IRQ_RAISE, 5);
	wait_for(&hits[0], 5);
	KTEST_EQ(hits[0], 5);
	mmio_write32(registers + EDU_IRQ_RAISE, 2);
	wait_for(&hits[0], 7);
	KTEST_EQ(hits[0], 7);
	KTEST_EQ(irq_count_get(irq, 0) - counted, 2);
	irq_table_print(table, sizeof(table));
	KTEST_TRUE(strstr(table, "PCI-MSI"));
	KTEST_TRUE(strstr(table, "-edge      edu\n"));
	pci_msi_disable(d, irq);
	mmio_write32(registers + EDU_IRQ_RAISE, 4);
	settle();
	KTEST_EQ(hits[0], 7);
	mmio_write32(registers + EDU_IRQ_ACK, 4);
	irq_unregister(irq, &action);
}

/* Intel 82574L data sheet §10.2.4: interrupt causes, and which message each has. */
#define NIC_CTRL_EXT 0x18
#define NIC_INTERRUPT_SET 0xc8
#define NIC_MASK_SET 0xd0
#define NIC_MASK_CLEAR 0xd8
#define NIC_VECTORS 0xe4
#define NIC_CAUSE_RX0 BIT(20)
#define NIC_CAUSE_OTHER BIT(24)
#define NIC_VECTORS_RX0(n) (8u | (n))
#define NIC_VECTORS_OTHER(n) ((8u | (n)) << 16)

static void count_interrupt(void *arg)
{
	uint32_t *count = arg;
	++*count;
}

KTEST(msi, e1000e_has_a_vector_per_cause)
{
	struct pci_device *d = pci_find(0x8086, 0x10d3, NULL);
	struct irq_action rx = {.fn = count_interrupt, .arg = &hits[0], .name = "nic-rx"};
	struct irq_action other = {.fn = count_interrupt, .arg = &hits[1], .name = "nic-other"};
	unsigned rx_irq, other_irq, none;
	struct pci_msix m;

	if (!d)
		ktest_skip("no e1000e");
	registers = map(d, 0);
	KTEST_EQ(pci_msix_open(d, &m), 0);
	KTEST_EQ(m.entries, 5);
	KTEST_EQ(pci_msix_enable(&m, 5, &none), -22);
	KTEST_EQ(pci_msix_enable(&m, 0, &rx_irq), 0);
	KTEST_EQ(pci_msix_enable(&m, 3, &other_irq), 0);
	KTEST_TRUE(rx_irq != other_irq);
	KTEST_EQ(irq_register(rx_irq, &rx), 0);
	KTEST_EQ(irq_register(other_irq, &other), 0);
	hits[0] = hits[1] = 0;
	mmio_write32(registers + NIC_VECTORS, NIC_VECTORS_RX0(0) | NIC_VECTORS_OTHER(3));
	mmio_write32(registers + NIC_MASK_SET, NIC_CAUSE_RX0 | NIC_CAUSE_OTHER);
	mmio_write32(registers + NIC_INTERRUPT_SET, NIC_CAUSE_RX0);
	wait_for(&hits[0], 1);
	settle();
	KTEST_EQ(hits[1], 0);
	uint32_t before = hits[0];
	pci_msix_mask(&m, 3, true);
	mmio_write32(registers + NIC_INTERRUPT_SET, NIC_CAUSE_OTHER);
	settle();
	KTEST_EQ(hits[1], 0);
	pci_msix_mask(&m, 3, false); /* what came while it was masked is sent now */
	wait_for(&hits[1], 1);
	KTEST_EQ(hits[0], before);
	mmio_write32(registers + NIC_MASK_CLEAR, UINT32_MAX);
	pci_msix_disable(&m, 0, rx_irq);
	pci_msix_disable(&m, 3, other_irq);
	irq_unregister(rx_irq, &rx);
	irq_unregister(other_irq, &other);
	pci_msix_close(&m);
}

/* Every number once, and back again. */
KTEST(msi, numbers_run_out_and_come_back)
{
	unsigned char *taken = kmalloc(IRQS_MAX);
	struct irq_message m;
	unsigned irq, n = 0;
	int err;

	KTEST_TRUE(taken);
	memset(taken, 0, IRQS_MAX);
	while ((err = irqchip_alloc_msi(&irq, &m)) == 0) {
		KTEST_TRUE(irq < IRQS_MAX && !taken[irq]);
		KTEST_EQ(m.address & ~0xff000ull, 0xfee00000);
		KTEST_TRUE(m.data >= 0x30 && m.data < 0xff);
		taken[irq] = 1;
		n++;
	}
	for (irq = 0; irq < IRQS_MAX; irq++)
		if (taken[irq])
			irqchip_free_msi(irq);
	kfree(taken);
	if (err == -19)
		ktest_skip("no local APIC");
	KTEST_EQ(err, -28);
	KTEST_TRUE(n > 100);
	KTEST_EQ(irqchip_alloc_msi(&irq, &m), 0);
	irqchip_free_msi(irq);
}
