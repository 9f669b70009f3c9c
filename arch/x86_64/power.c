/*
 * Off, reset, and the test runner's exit: each tries the machine's documented way first and goes down a list of older
 * ones.
 *
 * Runs in any context, also in a panic with everything broken: it takes no lock, allocates nothing, and the registers
 * that need a mapping got it in power_init(). Whatever returns from the last way ends in cpu_stop().
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/mmu.h>
#include <arch/power.h>
#include "arch/x86_64/acpi_tables.h"
#include "core/log.h"

#define PM1_SCI_ENABLED BIT(0)
#define PM1_SLEEP_TYPE_SHIFT 10
#define PM1_SLEEP_ENABLE BIT(13)
#define SLEEP_CONTROL_TYPE_SHIFT 2
#define SLEEP_CONTROL_ENABLE BIT(5)

#define PORT_TEST_EXIT 0xf4
#define PORT_KBD_COMMAND 0x64
#define PORT_RESET_CONTROL 0xcf9

static volatile uint8_t *sleep_control; /* mapped, or NULL */
static volatile uint8_t *reset_register;

static volatile uint8_t *map_register(const struct acpi_gas *g)
{
	if (g->space != ACPI_SPACE_MEMORY || !g->address || !arch_map_device)
		return NULL;
	return arch_map_device(paddr(g->address), 1);
}

void power_init(void)
{
	if (acpi_fadt.hw_reduced)
		sleep_control = map_register(&acpi_fadt.sleep_control);
	if (acpi_fadt.reset_supported)
		reset_register = map_register(&acpi_fadt.reset);
}

/* Gives the machine time to act on a register write; also long enough on hardware that takes a while. */
static void wait_a_little(void)
{
	for (unsigned i = 0; i < 100000; i++)
		cpu_relax();
}

struct s5_types {
	unsigned a, b;
};

static bool s5_in_table(const struct acpi_header *t, void *arg)
{
	struct s5_types *s5 = arg;
	return acpi_aml_find_s5((const uint8_t *)(t + 1), t->length - sizeof(*t), &s5->a, &s5->b);
}

/*
 * PM1 registers answer only once ACPI mode is on; the firmware switches it on when asked through the SMI port
 * (§4.8.2.5).
 */
static void acpi_mode_enter(void)
{
	const struct acpi_fadt_view *f = &acpi_fadt;
	if ((io_in16(f->pm1a_control) & PM1_SCI_ENABLED) || !f->smi_command || !f->acpi_enable)
		return;
	io_out8(f->smi_command, f->acpi_enable);
	for (unsigned i = 0; i < 100000 && !(io_in16(f->pm1a_control) & PM1_SCI_ENABLED); i++)
		cpu_relax();
}

static void pm1_sleep(uint16_t port, unsigned type)
{
	uint16_t v = io_in16(port);
	v = (uint16_t)((v & ~(7u << PM1_SLEEP_TYPE_SHIFT)) | type << PM1_SLEEP_TYPE_SHIFT | PM1_SLEEP_ENABLE);
	io_out16(port, v);
}

static void acpi_power_off(void)
{
	const struct acpi_fadt_view *f = &acpi_fadt;
	if (!f->present)
		return;
	struct s5_types s5;
	const struct acpi_header *dsdt = acpi_dsdt();
	if (!(dsdt && s5_in_table(dsdt, &s5)) && !acpi_each_table("SSDT", s5_in_table, &s5)) {
		log_warn("power: no _S5_ in the ACPI tables");
		return;
	}
	if (sleep_control) {
		*sleep_control = (uint8_t)(s5.a << SLEEP_CONTROL_TYPE_SHIFT | SLEEP_CONTROL_ENABLE);
	} else if (f->hw_reduced && f->sleep_control.space == ACPI_SPACE_IO && f->sleep_control.address) {
		io_out8((uint16_t)f->sleep_control.address,
			(uint8_t)(s5.a << SLEEP_CONTROL_TYPE_SHIFT | SLEEP_CONTROL_ENABLE));
	} else if (f->pm1a_control) {
		acpi_mode_enter();
		pm1_sleep(f->pm1a_control, s5.a);
		if (f->pm1b_control)
			pm1_sleep(f->pm1b_control, s5.b);
	}
	wait_a_little();
}

static void acpi_reset(void)
{
	const struct acpi_fadt_view *f = &acpi_fadt;
	if (reset_register)
		*reset_register = f->reset_value;
	else if (f->reset_supported && f->reset.space == ACPI_SPACE_IO && f->reset.address <= UINT16_MAX &&
		 f->reset.address)
		io_out8((uint16_t)f->reset.address, f->reset_value);
	else
		return;
	wait_a_little();
}

/*
 * Bit 1 chooses a hard reset, the step of bit 2 from 0 to 1 does it (Intel ICH/PCH data sheets, "Reset Control
 * Register").
 */
static void chipset_reset(void)
{
	uint8_t v = io_in8(PORT_RESET_CONTROL);
	if (v == 0xff)
		return; /* nobody there */
	io_out8(PORT_RESET_CONTROL, (uint8_t)((v & ~4u) | 2));
	io_out8(PORT_RESET_CONTROL, (uint8_t)(v | 6));
	wait_a_little();
}

/* The keyboard controller's output port bit 0 is wired to the CPU's reset pin; command 0xfe pulses it. */
static void keyboard_controller_reset(void)
{
	for (unsigned i = 0; i < 10000 && (io_in8(PORT_KBD_COMMAND) & 2); i++)
		cpu_relax();
	io_out8(PORT_KBD_COMMAND, 0xfe);
	wait_a_little();
}

/*
 * An exception with no IDT to look it up in, and so a second and a third: the CPU shuts down and the board resets it.
 */
static noreturn void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} packed_struct no_idt = {0, 0};
	__asm__ volatile("lidt %0" : : "m"(no_idt));
	__asm__ volatile("int3");
	cpu_stop();
}

noreturn void power_off(void)
{
	irq_disable();
	log_flush();
	acpi_power_off();
	log_warn("power: the machine does not turn itself off, resetting it");
	power_reset();
}

noreturn void power_reset(void)
{
	irq_disable();
	log_flush();
	acpi_reset();
	chipset_reset();
	keyboard_controller_reset();
	triple_fault();
}

noreturn void power_test_exit(unsigned code)
{
	irq_disable();
	log_flush();
	io_out8(PORT_TEST_EXIT, (uint8_t)code);
	power_off();
}
