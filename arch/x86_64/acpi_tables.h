/*
 * The fixed ACPI tables in the shape the rest of arch uses them (ACPI 6.4 chapter 5).  Private to arch/x86_64.
 *
 * Table structs are views of untrusted memory: a pointer to one is only ever handed out by acpi_table(), which has
 * checked that the whole table is mapped and that its checksum is right. Fields past what the table's own length
 * covers do not exist; the accessors below look at the length first.
 */
#pragma once

#include "lib/types.h"

struct acpi_header {
	char signature[4];
	uint32_t length; /* of the whole table, this header included */
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision, creator_id, creator_revision;
} packed_struct;
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 6.4 table 5.4");

enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1 };

/* Generic Address Structure, ACPI 6.4 §5.2.3.2 */
struct acpi_gas {
	uint8_t space, bit_width, bit_offset, access_size;
	uint64_t address;
} packed_struct;
_Static_assert(sizeof(struct acpi_gas) == 12, "ACPI 6.4 table 5.1");

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic_address, flags;
	uint8_t entries[];
} packed_struct;

enum acpi_madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_SOURCE_OVERRIDE = 2,
	MADT_LAPIC_ADDRESS = 5,
	MADT_X2APIC = 9,
};

#define MADT_CPU_ENABLED BIT(0)

struct acpi_madt_lapic {
	uint8_t type, length, processor, id;
	uint32_t flags;
} packed_struct;
_Static_assert(sizeof(struct acpi_madt_lapic) == 8, "ACPI 6.4 §5.2.12.2");

struct acpi_madt_x2apic {
	uint8_t type, length;
	uint16_t reserved;
	uint32_t id, flags, processor;
} packed_struct;
_Static_assert(sizeof(struct acpi_madt_x2apic) == 16, "ACPI 6.4 §5.2.12.12");

struct acpi_madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} packed_struct;
_Static_assert(sizeof(struct acpi_madt_ioapic) == 12, "ACPI 6.4 §5.2.12.3");

struct acpi_madt_override {
	uint8_t type, length, bus, source;
	uint32_t gsi;
	/* Polarity in bits 0-1, trigger mode in bits 2-3: 0 as the bus has it, 1 high/edge, 3 low/level. */
	uint16_t flags;
} packed_struct;
_Static_assert(sizeof(struct acpi_madt_override) == 10, "ACPI 6.4 §5.2.12.5");

struct acpi_madt_lapic_address {
	uint8_t type, length;
	uint16_t reserved;
	uint64_t address;
} packed_struct;

/* What arch wants of the FADT, copied out once so that a power-off in a panic depends on no table. */
struct acpi_fadt_view {
	bool present;
	bool hw_reduced;
	bool reset_supported;
	bool pm_timer_32bit;
	uint8_t reset_value;
	uint8_t acpi_enable;
	uint8_t century_register; /* CMOS index, 0: none */
	uint16_t boot_arch;	  /* IAPC_BOOT_ARCH, valid when boot_arch_valid */
	bool boot_arch_valid;
	uint16_t smi_command;
	uint16_t pm1a_control, pm1b_control; /* ports, 0: none */
	uint16_t pm_timer;		     /* port, 0: none */
	uint64_t dsdt;
	struct acpi_gas reset, sleep_control; /* address 0: none */
};

extern struct acpi_fadt_view acpi_fadt; /* immutable after acpi_init() */

/* The DSDT, verified, or NULL. Looked up when asked for: nothing but power-off needs it. */
const struct acpi_header *acpi_dsdt(void);

/* Calls fn for each verified table with this signature until it returns true. */
bool acpi_each_table(const char signature[4], bool (*fn)(const struct acpi_header *t, void *arg), void *arg);

/* The two values of the \_S5_ package in one table's AML. False when there is none that can be read. Pure. */
bool acpi_aml_find_s5(const uint8_t *aml, size_t len, unsigned *type_a, unsigned *type_b);

/* Called by acpi_init() when the tables are in: maps the registers power_off() and power_reset() will need. */
void power_init(void);
