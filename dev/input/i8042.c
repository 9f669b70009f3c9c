/*
 * The i8042 keyboard controller and the keyboard behind it (IBM PC/AT Technical Reference): scan codes in by interrupt
 * 1, characters out to the screen's terminal.
 *
 * The controller translates to scan-code set 1. Its second port (mouse) is switched off. All waits at start are
 * bounded; a controller that is absent reads as all ones.
 *
 * Once running, the interrupt handler does nothing but put codes into a lock-free ring. Two asynchronous tasks do the
 * rest: one decodes and types, the other keeps the lock lights right, which is a conversation with the keyboard (byte,
 * acknowledgement, byte, acknowledgement) whose answers come among the codes; the first task hands them to the second.
 * Both run on one executor, so what they share needs no lock. A keyboard that does not answer is left alone until the
 * next change.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/time.h>
#include "core/log.h"
#include "core/options.h"
#include "dev/char/screen_console.h"
#include "dev/input/keyboard.h"
#include "dev/irq.h"
#include "dev/tty.h"
#include "lib/mpmc.h"
#include "sched/async.h"
#include "sync/atomic.h"

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
#define CODES 128
#define ANSWER_NS (100 * NSEC_PER_MSEC) /* a keyboard answers within 20 ms */

static struct mpmc codes; /* the interrupt puts, the decoder gets */
static struct mpmc_cell code_cells[CODES];
static bool codes_lost; /* the ring was full; atomic */

/* The tasks' from here on. */
static struct keyboard keyboard;
static struct tty *terminal;
static struct async_task decoder, lights;
static struct async_event locks_changed;
static struct async_timer answer_timer;
static bool answer_expected;
static uint8_t answer; /* 0: none yet */

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

static void keyboard_interrupt(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < 16; i++) {
		uint8_t status = io_in8(PORT_STATUS);
		if (!(status & STATUS_OUTPUT_FULL))
			break;
		uint8_t code = io_in8(PORT_DATA);
		if (!(status & STATUS_AUX) && !mpmc_put(&codes, code))
			atomic_store_release(&codes_lost, true);
	}
	async_wake(&decoder);
}

/* Some codes are missing, releases maybe: no key is held down for good. */
static void release_all(void)
{
	struct keyboard fresh;
	keyboard_init(&fresh, keyboard.map);
	fresh.caps_lock = keyboard.caps_lock;
	fresh.num_lock = keyboard.num_lock;
	fresh.scroll_lock = keyboard.scroll_lock;
	keyboard = fresh;
}

static void decode(uint8_t code)
{
	char out[KEYBOARD_OUT_MAX];
	if (answer_expected && (code == KEYBOARD_ACK || code == KEYBOARD_RESEND)) {
		answer = code;
		async_wake(&lights);
		return;
	}
	if (unlikely(atomic_load_relaxed(&codes_lost)) && atomic_exchange(&codes_lost, false))
		release_all();
	size_t n = keyboard_decode(&keyboard, code, screen_console_application_cursor(), out);
	if (keyboard.attention) {
		keyboard.attention = false;
		tty_break(terminal);
	}
	if (n > 0)
		(void)tty_input(terminal, out, n);
	if (keyboard.leds_changed) {
		keyboard.leds_changed = false;
		async_event_signal(&locks_changed);
	}
}

static enum async_poll decoder_poll(struct async_task *self)
{
	uint64_t code;
	ASYNC_BEGIN(self);
	for (;;) {
		AWAIT(self, mpmc_get(&codes, &code));
		decode((uint8_t)code);
	}
	ASYNC_END(self);
}

static const struct async_ops decoder_ops = {.name = "keyboard", .poll = decoder_poll};

/* Sends a byte and has the answer to it awaited; false: it cannot be sent. */
static bool lights_send(uint8_t byte)
{
	answer = 0;
	answer_expected = data(byte);
	if (answer_expected)
		async_timer_start(&answer_timer, &lights, time_ns() + ANSWER_NS);
	return answer_expected;
}

/* The answer is there, or there will be none. */
static bool lights_answered(void)
{
	if (answer == 0 && answer_expected && !async_timer_due(&answer_timer))
		return false;
	answer_expected = false;
	async_timer_stop(&answer_timer);
	return true;
}

static enum async_poll lights_poll(struct async_task *self)
{
	ASYNC_BEGIN(self);
	for (;;) {
		AWAIT(self, async_event_take(&locks_changed, self));
		if (!lights_send(KEYBOARD_SET_LEDS))
			continue;
		AWAIT(self, lights_answered());
		if (answer != KEYBOARD_ACK)
			continue; /* it does not know the command, or there is none */
		if (lights_send((uint8_t)(keyboard.scroll_lock | keyboard.num_lock << 1 | keyboard.caps_lock << 2)))
			AWAIT(self, lights_answered());
	}
	ASYNC_END(self);
}

static const struct async_ops lights_ops = {.name = "keyboard lights", .poll = lights_poll};

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
	struct tty *t = screen_console_tty();
	if (!t)
		return; /* nobody would see what is typed */
	if (!controller_start()) {
		log_info("keyboard: no PS/2 controller");
		return;
	}
	const struct keymap *map = options.keymap ? keymap_find(options.keymap) : &keymap_us;
	if (!map)
		log_warn("keyboard: no layout %s was built in (mk/keymap.mk)", options.keymap);
	keyboard_init(&keyboard, map ? map : &keymap_us);
	terminal = t;
	mpmc_init(&codes, code_cells, CODES);
	async_task_init(&decoder, &decoder_ops, ASYNC_HIGH);
	async_task_init(&lights, &lights_ops, ASYNC_NORMAL);
	irqflags_t f = irq_save(); /* both on this CPU's executor */
	async_spawn(&decoder);
	async_spawn(&lights);
	irq_restore(f);
	if (irq_register(IRQ_KEYBOARD, &action) < 0) {
		log_warn("keyboard: interrupt %u is not to be had", IRQ_KEYBOARD);
		return;
	}
	drain(); /* a byte that came before the handler would hold up all others */
	log_info("keyboard: PS/2, layout %s", keyboard.map->name);
}
