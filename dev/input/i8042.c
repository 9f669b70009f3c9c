/*
 * The i8042 keyboard controller and the keyboard behind it (IBM PC/AT Technical Reference): scan codes in by interrupt
 * 1, characters out to the screen's terminal.
 *
 * The controller translates to scan-code set 1. Its second port (mouse) is switched off. All waits at start are
 * bounded; a controller that is absent reads as all ones. Once running, only the interrupt handler touches the ports,
 * and commands to the keyboard (the lock lights) are sent from it: byte, acknowledgement, byte.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include "core/log.h"
#include "dev/char/vga_console.h"
#include "dev/input/keyboard.h"
#include "dev/irq.h"
#include "dev/tty.h"

#define PORT_DATA 0x60
#define PORT_STATUS 0x64
#define PORT_COMMAND 0x64
#define STATUS_OUTPUT_FULL BIT(0) /* a byte for us */
#define STATUS_INPUT_FULL BIT(1)  /* the controller has not taken our last byte */
#define STATUS_AUX BIT(5)	  /* the byte is from the second port */
#define COMMAND_READ_CONFIG 0x20
#define COMMAND_WRITE_CONFIG 0x60
#define COMMAND_DISABLE_AUX 0xa7
#define COMMAND_DISABLE_KEYBOARD 0xad
#define COMMAND_ENABLE_KEYBOARD 0xae
#define CONFIG_IRQ1 BIT(0)
#define CONFIG_IRQ12 BIT(1)
#define CONFIG_KEYBOARD_OFF BIT(4)
#define CONFIG_AUX_OFF BIT(5)
#define CONFIG_TRANSLATE BIT(6)
#define KEYBOARD_SET_LEDS 0xed
#define KEYBOARD_ENABLE 0xf4
#define KEYBOARD_ACK 0xfa
#define KEYBOARD_RESEND 0xfe
#define WAIT_LOOKS 10000
#define IRQ_KEYBOARD 1

static struct keyboard keyboard; /* the handler's, as all below */
static enum { LEDS_IDLE, LEDS_COMMAND_SENT, LEDS_VALUE_SENT } leds;

static bool wait_can_write(void)
{
	for (unsigned i = 0; i < WAIT_LOOKS; i++) {
		if (!(io_in8(PORT_STATUS) & STATUS_INPUT_FULL))
			return true;
		cpu_relax();
	}
	return false;
}

static bool wait_can_read(void)
{
	for (unsigned i = 0; i < WAIT_LOOKS; i++) {
		if (io_in8(PORT_STATUS) & STATUS_OUTPUT_FULL)
			return true;
		cpu_relax();
	}
	return false;
}

static bool command(uint8_t c)
{
	if (!wait_can_write())
		return false;
	io_out8(PORT_COMMAND, c);
	return true;
}

static bool data(uint8_t v)
{
	if (!wait_can_write())
		return false;
	io_out8(PORT_DATA, v);
	return true;
}

static void drain(void)
{
	for (unsigned i = 0; i < 32 && (io_in8(PORT_STATUS) & STATUS_OUTPUT_FULL); i++)
		(void)io_in8(PORT_DATA);
}

/* The lights follow the locks, one exchange at a time; a change meanwhile starts another when this one is over. */
static void leds_next(void)
{
	switch (leds) {
	case LEDS_IDLE:
		if (keyboard.leds_changed && data(KEYBOARD_SET_LEDS))
			leds = LEDS_COMMAND_SENT;
		break;
	case LEDS_COMMAND_SENT:
		keyboard.leds_changed = false;
		(void)data((uint8_t)(keyboard.scroll_lock | keyboard.num_lock << 1 | keyboard.caps_lock << 2));
		leds = LEDS_VALUE_SENT;
		break;
	case LEDS_VALUE_SENT:
		leds = LEDS_IDLE;
		leds_next();
		break;
	}
}

static void keyboard_interrupt(void *arg)
{
	struct tty *t = arg;
	for (unsigned i = 0; i < 16; i++) {
		uint8_t status = io_in8(PORT_STATUS);
		if (!(status & STATUS_OUTPUT_FULL))
			return;
		uint8_t code = io_in8(PORT_DATA);
		if (status & STATUS_AUX)
			continue;
		if (leds != LEDS_IDLE && (code == KEYBOARD_ACK || code == KEYBOARD_RESEND)) {
			if (code == KEYBOARD_ACK)
				leds_next();
			else
				leds = LEDS_IDLE; /* it does not know the command */
			continue;
		}
		char out[KEYBOARD_OUT_MAX];
		size_t n = keyboard_decode(&keyboard, code, vga_console_application_cursor(), out);
		if (n > 0)
			(void)tty_input(t, out, n);
		if (keyboard.leds_changed && leds == LEDS_IDLE)
			leds_next();
	}
}

static bool controller_start(void)
{
	if (io_in8(PORT_STATUS) == 0xff)
		return false;
	if (!command(COMMAND_DISABLE_KEYBOARD) || !command(COMMAND_DISABLE_AUX))
		return false;
	drain();
	if (!command(COMMAND_READ_CONFIG) || !wait_can_read())
		return false;
	uint8_t config = io_in8(PORT_DATA);
	config = (uint8_t)((config & ~(CONFIG_IRQ12 | CONFIG_KEYBOARD_OFF)) | CONFIG_IRQ1 | CONFIG_AUX_OFF |
			   CONFIG_TRANSLATE);
	if (!command(COMMAND_WRITE_CONFIG) || !data(config) || !command(COMMAND_ENABLE_KEYBOARD))
		return false;
	/* A keyboard that the firmware left silent. Its answer, or none, changes nothing. */
	if (data(KEYBOARD_ENABLE))
		(void)wait_can_read();
	drain();
	return true;
}

void i8042_init(void)
{
	static struct irq_action action = {.fn = keyboard_interrupt, .name = "i8042"};
	struct tty *t = vga_console_tty();
	if (!t)
		return; /* nobody would see what is typed */
	if (!controller_start()) {
		log_info("keyboard: no PS/2 controller");
		return;
	}
	keyboard_init(&keyboard, &keymap_us);
	action.arg = t;
	if (irq_register(IRQ_KEYBOARD, &action) < 0) {
		log_warn("keyboard: interrupt %u is not to be had", IRQ_KEYBOARD);
		return;
	}
	drain(); /* a byte that came before the handler would hold up all others */
	log_info("keyboard: PS/2, layout %s", keyboard.map->name);
}
