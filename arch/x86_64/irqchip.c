/*
 * Which interrupt controller serves the machine, and the one numbering above them.  Theory.
 *
 * ACPI's MADT lists I/O APICs → local APIC + I/O APICs, and the 8259 pair, if there is one, is remapped and masked for
 * good. No MADT, or nothing usable in it → the 8259 pair, through the local APIC's first input if there is one (its
 * timer is then still the alarm). Nothing here can fail: on a machine with neither, lines cannot be enabled (-EINVAL)
 * and everything else still runs.
 *
 * Numbers. irq 0..15 are the ISA lines: drivers of ISA devices know theirs by heart. Where the board wired them to
 * another I/O APIC input, the MADT's source overrides say so (the PIT's line 0 is nearly always input 2). irq 16 and
 * up are I/O APIC inputs by their ACPI number (GSI). An input taken over by an override is no longer reachable by its
 * own number.
 *
 * When a line gets its EOI.  Handlers run with interrupts off, so:
 *   - edge lines, and the local APIC's own: in irqchip_ack(), before the handler. An edge that comes during the
 *     handler is latched and delivered after it; none is lost.
 *   - level lines: in irqchip_end(), after the handlers have quieted the device. With the EOI first, the line would
 *     still be high, the I/O APIC would send the same request again at once, and each interrupt would be taken twice.
 * irqchip_end() is called by the dispatcher (dev/irq.c) and not by the entry code after kernel_interrupt(), because
 * that may switch threads before it returns, and a request in service blocks all others of its priority and below
 * until its EOI.
 * Rejected: mask + EOI before, unmask after the handlers: two more register writes, each of them an exit in a
 * virtual machine.
 *
 * Messages (MSI, MSI-X). A device can write to a local APIC itself; the irqs nobody wired to an I/O APIC input are
 * given out for that, from the top. They are edges without a line: nothing to mask, route or end.
 *
 * Locking: lines[] is written at init, and by irqchip_configure() while the line is masked. The registers are guarded
 * by the controllers' own locks.
 */
#include <arch/acpi.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/smp.h>
#include <asm/errno.h>
#include "arch/x86_64/acpi_tables.h"
#include "arch/x86_64/irqchip.h"
#include "core/log.h"
#include "lib/printf.h"

#define NO_GSI 0xffff

struct line {
	uint16_t gsi; /* I/O APIC input, or NO_GSI */
	bool level, active_low;
};

static struct line lines[IRQ_IOAPIC_END];
static bool messages[IRQ_IOAPIC_END]; /* given out by irqchip_alloc_msi(); atomic */
static uint64_t spurious[CPUS_MAX];   /* each CPU counts its own */
static uint64_t errors;		      /* a lost count does no harm */
static bool use_ioapic;
static bool use_pic;
static bool line0_is_alarm; /* of the 8259; an I/O APIC can send it on the right vector */

struct madt_scan {
	paddr_t lapic;
	unsigned ioapics;
};

/* Calls fn for each well-formed entry of the MADT; an entry that does not fit ends the walk. */
static void madt_each(const struct acpi_madt *m, void (*fn)(const uint8_t *e, unsigned len, void *arg), void *arg)
{
	if (m->header.length < sizeof(*m))
		return;
	size_t left = m->header.length - sizeof(*m);
	const uint8_t *e = m->entries;
	while (left >= 2) {
		unsigned len = e[1];
		if (len < 2 || len > left) {
			log_warn("acpi: MADT entry of %u bytes with %zu left, the rest is ignored", len, left);
			return;
		}
		fn(e, len, arg);
		e += len;
		left -= len;
	}
}

static void madt_controller(const uint8_t *e, unsigned len, void *arg)
{
	struct madt_scan *scan = arg;
	if (e[0] == MADT_IOAPIC && len >= sizeof(struct acpi_madt_ioapic)) {
		const struct acpi_madt_ioapic *io = (const void *)e;
		if (ioapic_add(paddr(io->address), io->gsi_base))
			scan->ioapics++;
	}
}

/* The override counts before the local APIC is touched, so it takes a walk of its own. */
static void madt_lapic_address(const uint8_t *e, unsigned len, void *arg)
{
	struct madt_scan *scan = arg;
	if (e[0] == MADT_LAPIC_ADDRESS && len >= sizeof(struct acpi_madt_lapic_address))
		scan->lapic = paddr(((const struct acpi_madt_lapic_address *)(const void *)e)->address);
}

static void madt_override(const uint8_t *e, unsigned len, void *arg)
{
	(void)arg;
	if (e[0] != MADT_SOURCE_OVERRIDE || len < sizeof(struct acpi_madt_override))
		return;
	const struct acpi_madt_override *o = (const void *)e;
	if (o->bus != 0 || o->source >= IRQ_ISA_LINES || !ioapic_has_gsi(o->gsi)) {
		log_warn("acpi: MADT override of line %u to input %u ignored", o->source, o->gsi);
		return;
	}
	struct line *l = &lines[o->source];
	/*
	 * Whoever has the input now loses it, unless its own override comes or came: that one has another input then.
	 */
	if (o->gsi != o->source && o->gsi < IRQ_IOAPIC_END && lines[o->gsi].gsi == o->gsi)
		lines[o->gsi].gsi = NO_GSI;
	l->gsi = (uint16_t)o->gsi;
	l->active_low = (o->flags & 3) == 3;
	l->level = (o->flags >> 2 & 3) == 3;
}

static bool ioapic_start(void)
{
	const struct acpi_madt *m = acpi_table("APIC");
	if (!m || m->header.length < sizeof(*m))
		return false;
	struct madt_scan scan = {.lapic = paddr(m->lapic_address)};
	madt_each(m, madt_lapic_address, &scan);
	if (!lapic_init(scan.lapic))
		return false;
	madt_each(m, madt_controller, &scan);
	if (scan.ioapics == 0) {
		log_warn("irq: a local APIC but no I/O APIC");
		return false;
	}
	for (unsigned irq = 0; irq < IRQ_IOAPIC_END; irq++) {
		lines[irq].gsi = ioapic_has_gsi(irq) ? (uint16_t)irq : NO_GSI;
		lines[irq].level = lines[irq].active_low = irq >= IRQ_ISA_LINES; /* as PCI has them; ISA: edge, high */
	}
	madt_each(m, madt_override, NULL);
	for (unsigned irq = 0; irq < IRQ_IOAPIC_END; irq++)
		if (lines[irq].gsi != NO_GSI)
			ioapic_route(lines[irq].gsi, (uint8_t)(IRQ_VECTOR_BASE + irq), lines[irq].level,
				     lines[irq].active_low);
	return true;
}

void irqchip_init(void)
{
	bool has_pic = pic_present();
	if (has_pic)
		pic_init();
	use_ioapic = ioapic_start();
	if (use_ioapic)
		return;
	for (unsigned irq = 0; irq < IRQ_IOAPIC_END; irq++)
		lines[irq].gsi = NO_GSI;
	use_pic = has_pic;
	if (use_pic) {
		(void)lapic_init_virtual_wire(); /* not every firmware opens it; and it gives us a timer */
		pic_set_masked(2, false);	 /* the second 8259 hangs on this line of the first */
		for (unsigned irq = 0; irq < IRQ_ISA_LINES; irq++)
			lines[irq].level = pic_is_level(irq);
	} else {
		log_warn("irq: no I/O APIC and no 8259: devices cannot interrupt");
	}
}

void irqchip_cpu_init(void)
{
	lapic_cpu_init(); /* without local APICs there are no further CPUs */
}

struct cpu_scan {
	uint32_t *ids;
	unsigned count, max;
};

static void madt_cpu(const uint8_t *e, unsigned len, void *arg)
{
	struct cpu_scan *scan = arg;
	uint32_t id, flags;
	if (e[0] == MADT_LAPIC && len >= sizeof(struct acpi_madt_lapic)) {
		const struct acpi_madt_lapic *l = (const void *)e;
		id = l->id;
		flags = l->flags;
	} else if (e[0] == MADT_X2APIC && len >= sizeof(struct acpi_madt_x2apic)) {
		const struct acpi_madt_x2apic *l = (const void *)e;
		id = l->id;
		flags = l->flags;
	} else {
		return;
	}
	if (!(flags & MADT_CPU_ENABLED) || id == this_cpu()->hardware_id)
		return;
	if (scan->count < scan->max)
		scan->ids[scan->count] = id;
	scan->count++;
}

unsigned smp_list(uint32_t *hardware_ids, unsigned max)
{
	struct cpu_scan scan = {.ids = hardware_ids, .max = max};
	const struct acpi_madt *m = acpi_table("APIC");
	if (use_ioapic && m)
		madt_each(m, madt_cpu, &scan);
	return scan.count;
}

const char *irqchip_name(void)
{
	return use_ioapic ? "I/O APIC" : use_pic ? "8259" : "none";
}

static bool is_message(unsigned irq)
{
	return irq < IRQ_IOAPIC_END && __atomic_load_n(&messages[irq], __ATOMIC_RELAXED);
}

static bool line_exists(unsigned irq)
{
	if (irq == 0 && line0_is_alarm)
		return false;
	if (use_ioapic)
		return irq < IRQ_IOAPIC_END && lines[irq].gsi != NO_GSI;
	return use_pic && irq < IRQ_ISA_LINES && irq != 2;
}

int irqchip_enable(unsigned irq)
{
	if (irq == IRQ_TIMER || irq == IRQ_RESCHEDULE || irq == IRQ_CALL || is_message(irq))
		return 0; /* not lines: always open, armed by their users */
	if (!line_exists(irq))
		return -EINVAL;
	if (use_ioapic)
		ioapic_set_masked(lines[irq].gsi, false);
	else
		pic_set_masked(irq, false);
	return 0;
}

void irqchip_disable(unsigned irq)
{
	if (!line_exists(irq))
		return;
	if (use_ioapic)
		ioapic_set_masked(lines[irq].gsi, true);
	else
		pic_set_masked(irq, true);
}

bool irqchip_take_line0(void)
{
	if (line0_is_alarm || !line_exists(0))
		return false;
	if (use_ioapic) {
		ioapic_route(lines[0].gsi, IRQ_VECTOR_BASE + IRQ_TIMER, false, lines[0].active_low);
		ioapic_set_masked(lines[0].gsi, false);
	} else {
		pic_set_masked(0, false);
	}
	line0_is_alarm = true;
	return true;
}

int irqchip_configure(unsigned irq, bool level, bool active_low)
{
	if (!use_ioapic || !line_exists(irq))
		return -EINVAL;
	ioapic_route(lines[irq].gsi, (uint8_t)(IRQ_VECTOR_BASE + irq), level, active_low);
	lines[irq].level = level;
	lines[irq].active_low = active_low;
	return 0;
}

#define MSI_ADDRESS 0xfee00000ull /* SDM 3A 10.11.1: destination in bits 12-19, fixed, physical */
#define MSI_DESTINATION_SHIFT 12

int irqchip_alloc_msi(unsigned *irq, struct irq_message *message)
{
	if (!lapic_present())
		return -ENODEV;
	unsigned lowest = MAX(IRQ_ISA_LINES, use_ioapic ? ioapic_gsi_end() : 0u);
	for (unsigned i = IRQ_IOAPIC_END; i-- > lowest;) {
		if (__atomic_test_and_set(&messages[i], __ATOMIC_ACQUIRE))
			continue;
		*irq = i;
		*message = (struct irq_message){MSI_ADDRESS | (uint64_t)lapic_id() << MSI_DESTINATION_SHIFT,
						IRQ_VECTOR_BASE + i};
		return 0;
	}
	return -ENOSPC;
}

void irqchip_free_msi(unsigned irq)
{
	if (irq < IRQ_IOAPIC_END)
		__atomic_clear(&messages[irq], __ATOMIC_RELEASE);
}

void irqchip_describe(unsigned irq, char *buf, size_t len)
{
	if (is_message(irq))
		snprintf(buf, len, "%8s %3u-%-8s", "PCI-MSI", irq, "edge");
	else if (use_ioapic && line_exists(irq))
		snprintf(buf, len, "%8s %3u-%-8s", "IO-APIC", lines[irq].gsi, lines[irq].level ? "fasteoi" : "edge");
	else
		snprintf(buf, len, "%8s %3u-%-8s", use_pic ? "XT-PIC" : "none", irq, "");
}

uint64_t irqchip_spurious_count(unsigned cpu)
{
	return READ_ONCE(spurious[cpu]);
}

uint64_t irqchip_error_count(void)
{
	return READ_ONCE(errors);
}

bool irqchip_ack(unsigned *irq)
{
	unsigned i = *irq;
	if (likely(use_ioapic)) {
		if (unlikely(i >= IRQ_LAPIC_ERROR)) {
			if (i == IRQ_LAPIC_ERROR) {
				errors++;
				lapic_eoi(); /* the spurious vector alone takes none */
			} else {
				spurious[this_cpu()->id]++;
			}
			return false;
		}
		if (i >= IRQ_IOAPIC_END || !lines[i].level)
			lapic_eoi();
		return true;
	}
	if (unlikely(i >= IRQ_ISA_LINES)) { /* the local APIC's own, while the 8259 delivers through it */
		if (i != IRQ_SPURIOUS)
			lapic_eoi();
		return i < IRQ_LAPIC_ERROR;
	}
	if (pic_spurious(i)) {
		spurious[this_cpu()->id]++;
		return false;
	}
	if (!lines[i].level)
		pic_eoi(i);
	if (i == 0 && line0_is_alarm)
		*irq = IRQ_TIMER;
	return true;
}

void irqchip_end(unsigned irq)
{
	if (irq >= IRQ_IOAPIC_END || !lines[irq].level)
		return;
	if (use_ioapic)
		lapic_eoi();
	else
		pic_eoi(irq);
}
