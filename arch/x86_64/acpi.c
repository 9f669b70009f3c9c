/*
 * ACPI's fixed tables: found, checked, listed.  Theory.
 *
 * Purpose: the arch needs to know where the interrupt controllers, the PM timer and the power-off register are. All of
 * this stands in tables of fixed layout, so there is no AML interpreter here; the one AML object we want, \_S5_, is a
 * constant package that a byte scan finds (acpi_aml.c).
 *
 * Trust: everything here is input. The root pointer, each table address, each length may be anything. A table is taken
 * only if its whole range lies in memory the boot loader's map knows, and its
 * bytes sum to 0; after that its length is true as far as reading goes, and whoever parses it bounds itself by that
 * length. A bad table gives a warning and counts as absent; the machine then runs on what the fall-backs find (8259,
 * PIT, keyboard-controller reset).
 *
 * Lifetime: tables lie in memory the firmware reserved; they are never copied nor freed. Locking: none, filled once on
 * the boot CPU before anyone else runs, immutable afterwards.
 */
#include <arch/acpi.h>
#include <arch/layout.h>
#include <arch/mmu.h>
#include "arch/x86_64/acpi_tables.h"
#include "core/boot_info.h"
#include "core/log.h"
#include "lib/string.h"

#define TABLES_MAX 48
#define TABLE_BYTES_MAX (4 * MIB) /* QEMU's largest DSDT with everything plugged in is below 1 MiB */

/* ACPI 6.4 §5.2.5.3; the fields from `length` on are there from revision 2 */
struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} packed_struct;
#define RSDP_V1_BYTES 20
#define RSDP_BYTES_MAX 64 /* version 2 has 36; room for growth, still inside what the firmware reports around it */
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.4 table 5.3");

struct acpi_fadt_view acpi_fadt;

static const struct acpi_header *tables[TABLES_MAX];
static unsigned table_count;

static bool map_covers(uint64_t pa, uint64_t end)
{
	while (pa < end) {
		const struct memmap_range *r = memmap_find(&boot_info.memory, pa);
		if (!r)
			return false;
		pa = r->end;
	}
	return true;
}

/*
 * The bytes at pa, or NULL unless the firmware's map names all of them (legacy BIOS memory below 1 MiB always counts).
 * The boot code's direct map holds the whole first GiB; above it only some of what is not RAM is mapped, so there the
 * table gets a mapping of its own.
 */
static const void *phys_bytes(uint64_t pa, uint64_t len)
{
	uint64_t end;
	if (pa == 0 || __builtin_add_overflow(pa, len, &end))
		return NULL;
	if (end > MIB && !map_covers(pa, end))
		return NULL;
	return end <= GIB ? (const void *)(DIRECT_MAP_BASE + pa) : arch_map_device(paddr(pa), len);
}

static uint8_t sum_bytes(const void *p, size_t len)
{
	const uint8_t *b = p;
	uint8_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + b[i]);
	return sum;
}

static const struct acpi_header *table_at(uint64_t pa)
{
	const struct acpi_header *t = phys_bytes(pa, sizeof(*t));
	if (!t) {
		log_warn("acpi: table at %#llx lies outside the memory map, ignored", (unsigned long long)pa);
		return NULL;
	}
	uint32_t len = t->length;
	const struct acpi_header *whole = len >= sizeof(*t) && len <= TABLE_BYTES_MAX ? phys_bytes(pa, len) : NULL;
	if (!whole) {
		log_warn("acpi: table %.4s has length %u, ignored", t->signature, len);
		return NULL;
	}
	if (sum_bytes(whole, len) != 0) {
		log_warn("acpi: table %.4s has a bad checksum, ignored", t->signature);
		return NULL;
	}
	return whole;
}

static const struct rsdp *rsdp_at(uint64_t pa)
{
	const struct rsdp *r = phys_bytes(pa, RSDP_BYTES_MAX);
	if (!r || memcmp(r->signature, "RSD PTR ", 8) != 0 || sum_bytes(r, RSDP_V1_BYTES) != 0)
		return NULL;
	return r;
}

/*
 * Where a BIOS leaves the root pointer: the first KiB of the EBDA, then the BIOS area, on 16-byte boundaries
 * (§5.2.5.1).
 */
static const struct rsdp *rsdp_search(void)
{
	const uint16_t *bda_ebda = phys_bytes(0x40e, 2);
	uint64_t ebda = (uint64_t)*bda_ebda << 4;
	if (ebda >= 0x80000 && ebda < 0xa0000) {
		for (uint64_t pa = ebda; pa < ebda + 1024; pa += 16) {
			const struct rsdp *r = rsdp_at(pa);
			if (r)
				return r;
		}
	}
	for (uint64_t pa = 0xe0000; pa < 0x100000; pa += 16) {
		const struct rsdp *r = rsdp_at(pa);
		if (r)
			return r;
	}
	return NULL;
}

/*
 * Lists what a root table points to; entry_bytes is 4 in the RSDT and 8 in the XSDT. False if the root itself is no
 * good.
 */
static bool root_read(uint64_t pa, const char *signature, unsigned entry_bytes)
{
	const struct acpi_header *root = pa ? table_at(pa) : NULL;
	if (!root || memcmp(root->signature, signature, 4) != 0)
		return false;
	const uint8_t *entries = (const uint8_t *)(root + 1);
	unsigned n = (root->length - sizeof(*root)) / entry_bytes;
	for (unsigned i = 0; i < n; i++) {
		if (table_count == TABLES_MAX) {
			log_warn("acpi: more than %u tables, the others are ignored", TABLES_MAX);
			break;
		}
		uint64_t at = 0;
		memcpy(&at, entries + (size_t)i * entry_bytes, entry_bytes);
		const struct acpi_header *t = table_at(at);
		if (t)
			tables[table_count++] = t;
	}
	return true;
}

/* A field of the FADT, 0 where the table is too short to have it: older revisions simply end earlier (§5.2.9). */
static uint64_t fadt_field(const struct acpi_header *t, unsigned offset, unsigned bytes)
{
	uint64_t v = 0;
	if (offset + bytes <= t->length)
		memcpy(&v, (const uint8_t *)t + offset, bytes);
	return v;
}

static struct acpi_gas fadt_gas(const struct acpi_header *t, unsigned offset)
{
	struct acpi_gas g = {0};
	if (offset + sizeof(g) <= t->length)
		memcpy(&g, (const uint8_t *)t + offset, sizeof(g));
	return g;
}

/* An I/O port given twice, as a 32-bit number and, later, as an address structure that wins when it is filled in. */
static uint16_t fadt_port(const struct acpi_header *t, unsigned offset, unsigned gas_offset)
{
	struct acpi_gas g = fadt_gas(t, gas_offset);
	uint64_t port = g.address && g.space == ACPI_SPACE_IO ? g.address : fadt_field(t, offset, 4);
	return port <= UINT16_MAX ? (uint16_t)port : 0;
}

static void fadt_read(void)
{
	const struct acpi_header *t = acpi_table("FACP");
	if (!t)
		return;
	struct acpi_fadt_view *f = &acpi_fadt;
	uint32_t flags = (uint32_t)fadt_field(t, 112, 4);
	f->present = true;
	f->reset_supported = flags & BIT(10);
	f->pm_timer_32bit = flags & BIT(8);
	f->hw_reduced = flags & BIT(20);
	f->dsdt = fadt_field(t, 140, 8);
	if (!f->dsdt)
		f->dsdt = fadt_field(t, 40, 4);
	f->century_register = (uint8_t)fadt_field(t, 108, 1);
	f->boot_arch = (uint16_t)fadt_field(t, 109, 2);
	f->boot_arch_valid = t->revision >= 2;
	f->reset = fadt_gas(t, 116);
	f->reset_value = (uint8_t)fadt_field(t, 128, 1);
	f->sleep_control = fadt_gas(t, 244);
	if (f->hw_reduced)
		return; /* the fixed hardware below does not exist then, whatever the fields say (§4.1.1) */
	uint64_t smi = fadt_field(t, 48, 4);
	f->smi_command = smi <= UINT16_MAX ? (uint16_t)smi : 0;
	f->acpi_enable = (uint8_t)fadt_field(t, 52, 1);
	f->pm1a_control = fadt_port(t, 64, 172);
	f->pm1b_control = fadt_port(t, 68, 184);
	f->pm_timer = fadt_port(t, 76, 208);
}

const void *acpi_table(const char signature[4])
{
	for (unsigned i = 0; i < table_count; i++)
		if (memcmp(tables[i]->signature, signature, 4) == 0)
			return tables[i];
	return NULL;
}

bool acpi_each_table(const char signature[4], bool (*fn)(const struct acpi_header *t, void *arg), void *arg)
{
	for (unsigned i = 0; i < table_count; i++)
		if (memcmp(tables[i]->signature, signature, 4) == 0 && fn(tables[i], arg))
			return true;
	return false;
}

const struct acpi_header *acpi_dsdt(void)
{
	const struct acpi_header *t = acpi_fadt.dsdt ? table_at(acpi_fadt.dsdt) : NULL;
	return t && memcmp(t->signature, "DSDT", 4) == 0 ? t : NULL;
}

void acpi_init(paddr_t rsdp)
{
	const struct rsdp *r = NULL;
	if (rsdp.v) {
		r = rsdp_at(rsdp.v);
		if (!r)
			log_warn("acpi: no root pointer at %#llx, searching for one", (unsigned long long)rsdp.v);
	}
	if (!r)
		r = rsdp_search();
	if (!r) {
		log_info("acpi: none");
		power_init();
		return;
	}

	bool v2 = r->revision >= 2;
	if (v2) {
		/* rsdp_at() has made sure of RSDP_BYTES_MAX bytes. */
		if (r->length < sizeof(*r) || r->length > RSDP_BYTES_MAX || sum_bytes(r, r->length) != 0) {
			log_warn("acpi: root pointer's second checksum is bad, using the old root table");
			v2 = false;
		}
	}
	if (!(v2 && root_read(r->xsdt, "XSDT", 8)) && !root_read(r->rsdt, "RSDT", 4))
		log_warn("acpi: neither XSDT nor RSDT can be read");
	fadt_read();
	power_init();
}
