/*
 * 16550 serial ports (National PC16550D data sheet): ttyS0 to ttyS3 at the PC's four places, and the kernel log's way
 * out.
 *
 * Output. A write fills the transmit FIFO itself when the port is idle, so a prompt or an echo costs no interrupt;
 * what does not fit goes into a ring that the transmitter-empty interrupt drains, a FIFO at a time. In a virtual
 * machine each register access is an exit: one status read pays for sixteen bytes. The kernel log is written by
 * polling, after the ring has been pushed out the same way, so that its lines stand where they belong and a panic
 * leaves nothing behind in memory.
 *
 * Input. The interrupt moves bytes from the receive FIFO to a lock-free ring and wakes a task, which feeds the line
 * discipline as far as there is room. With the ring full the receive interrupt is switched off until the task has
 * emptied it, so that a pasted file waits at the sender's end (or overruns the FIFO, on a real line without flow
 * control). What the line discipline itself cannot take is dropped and counted.
 * A break calls for attention (tty_break): it is no input, and what came before it is handed on first.
 *
 * Locking: u->lock guards ring and registers. The log may be written with any lock held, even this one's rank or
 * above, so it does not go through the lock checker; it tries for a bounded time (only another CPU can hold the lock
 * then, or we are in a panic inside it) and then goes ahead.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <linux/serial.h>
#include "abi/errno_kernel.h"
#include "core/log.h"
#include "core/panic.h"
#include "dev/irq.h"
#include "dev/tty.h"
#include "lib/mpmc.h"
#include "lib/ring.h"
#include "mm/slab.h"
#include "mm/usercopy.h"
#include "sched/async.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"
#include "sync/spinlock.h"

enum uart_reg {
	UART_DATA = 0,	     /* DLAB: divisor low */
	UART_IRQ_ENABLE = 1, /* DLAB: divisor high */
	UART_IRQ_ID = 2,     /* read */
	UART_FIFO = 2,	     /* write */
	UART_LINE_CONTROL = 3,
	UART_MODEM_CONTROL = 4,
	UART_LINE_STATUS = 5,
	UART_SCRATCH = 7,
};

#define IER_RECEIVE (BIT(0) | BIT(2)) /* data; line status, without which a break may come unheard */
#define IER_TRANSMIT BIT(1)
#define IIR_NONE BIT(0)
#define IIR_FIFO_WORKS 0xc0
#define FCR_ENABLE_CLEAR 0x87 /* on, both emptied, receive interrupt at 8 bytes */
#define LCR_DLAB BIT(7)
#define LCR_STOP2 BIT(2)
#define LCR_PARITY BIT(3)
#define LCR_EVEN BIT(4)
#define MCR_ON 0x0b /* DTR, RTS, and OUT2, which lets the interrupt line through on a PC */
#define LSR_DATA BIT(0)
#define LSR_BREAK BIT(4)
#define LSR_TRANSMIT_EMPTY BIT(5)
#define UART_CLOCK 115200 /* divisor 1 */
#define FIFO_BYTES 16
#define TX_RING_BYTES 4096
#define POLL_MAX 100000 /* looks at a transmitter that never gets ready before a byte is given up */
#define RX_RING_CELLS 256
#define RX_BREAK 0x100 /* in the ring, among bytes */
#define PORTS_MAX 4

struct uart {
	uint16_t base; /* immutable, as are irq, tty, fifo_bytes */
	uint8_t irq;
	uint8_t fifo_bytes;
	struct tty *tty;
	struct spinlock lock;
	struct ring tx;	  /* lock */
	uint8_t enabled;  /* what UART_IRQ_ENABLE holds; lock */
	bool stopped;	  /* Ctrl-S: the ring waits; lock */
	bool polled;	  /* it has no interrupt: everything is sent by polling; immutable */
	uint32_t dropped; /* input bytes without room; the task's */
	struct mpmc rx;	  /* the interrupt puts, the task gets */
	struct async_task rx_task;
	struct irq_action action;
	struct log_console log;
	uint8_t tx_storage[TX_RING_BYTES];
	struct mpmc_cell rx_cells[RX_RING_CELLS];
};

static const struct {
	uint16_t base;
	uint8_t irq;
	const char *name;
} places[PORTS_MAX] = {{0x3f8, 4, "ttyS0"}, {0x2f8, 3, "ttyS1"}, {0x3e8, 4, "ttyS2"}, {0x2e8, 3, "ttyS3"}};

static struct uart *uarts[PORTS_MAX];

static uint8_t reg_read(const struct uart *u, enum uart_reg reg)
{
	return io_in8((uint16_t)(u->base + reg));
}

static void reg_write(const struct uart *u, enum uart_reg reg, uint8_t v)
{
	io_out8((uint16_t)(u->base + reg), v);
}

/* --- output --- */

static bool wait_transmitter(struct uart *u)
{
	for (unsigned i = 0; i < POLL_MAX; i++) {
		if (reg_read(u, UART_LINE_STATUS) & LSR_TRANSMIT_EMPTY)
			return true;
		cpu_relax();
	}
	return false;
}

static void poll_out(struct uart *u, const uint8_t *bytes, size_t len)
{
	while (len > 0 && wait_transmitter(u)) {
		size_t n = MIN(len, u->fifo_bytes);
		for (size_t i = 0; i < n; i++)
			reg_write(u, UART_DATA, bytes[i]);
		bytes += n;
		len -= n;
	}
}

/* One FIFO's worth from the ring, if the transmitter is empty. */
static void transmit_locked(struct uart *u)
{
	if (u->stopped || ring_empty(&u->tx) || !(reg_read(u, UART_LINE_STATUS) & LSR_TRANSMIT_EMPTY))
		return;
	uint8_t bytes[FIFO_BYTES];
	size_t n = ring_get(&u->tx, bytes, u->fifo_bytes);
	for (size_t i = 0; i < n; i++)
		reg_write(u, UART_DATA, bytes[i]);
}

/* The interrupt comes as long as the transmitter is empty, so it is on only while there is something to send. */
static void transmit_irq_locked(struct uart *u)
{
	bool on = !u->stopped && !ring_empty(&u->tx);
	uint8_t enabled = (uint8_t)(on ? u->enabled | IER_TRANSMIT : u->enabled & ~IER_TRANSMIT);
	if (enabled != u->enabled) {
		u->enabled = enabled;
		reg_write(u, UART_IRQ_ENABLE, enabled);
	}
}

static size_t uart_write(struct tty *t, const char *buf, size_t len)
{
	struct uart *u = tty_private(t);
	SPIN_GUARD(&u->lock);
	if (unlikely(u->polled)) {
		poll_out(u, (const uint8_t *)buf, len);
		return len;
	}
	size_t n = ring_put(&u->tx, buf, len);
	if (!(u->enabled & IER_TRANSMIT)) {
		transmit_locked(u);
		transmit_irq_locked(u);
	}
	return n;
}

static size_t uart_write_room(struct tty *t)
{
	struct uart *u = tty_private(t);
	return ring_space(&u->tx);
}

static size_t uart_chars_in_buffer(struct tty *t)
{
	struct uart *u = tty_private(t);
	return ring_len(&u->tx);
}

static void uart_flush_output(struct tty *t)
{
	struct uart *u = tty_private(t);
	SPIN_GUARD(&u->lock);
	ring_drop(&u->tx, TX_RING_BYTES);
	transmit_irq_locked(u);
}

static void uart_set_stopped(struct tty *t, bool stopped)
{
	struct uart *u = tty_private(t);
	SPIN_GUARD(&u->lock);
	u->stopped = stopped;
	transmit_locked(u);
	transmit_irq_locked(u);
}

static void line_setup_locked(struct uart *u, const struct termios2 *settings)
{
	uint32_t divisor = settings->c_ospeed ? UART_CLOCK / settings->c_ospeed : 1;
	divisor = MIN(MAX(divisor, 1u), 0xffffu);
	uint8_t lcr = (uint8_t)((settings->c_cflag & CSIZE) >>
				4); /* CS5..CS8 are 0..3 in these bits, as in the register */
	if (settings->c_cflag & CSTOPB)
		lcr |= LCR_STOP2;
	if (settings->c_cflag & PARENB)
		lcr |= LCR_PARITY | (settings->c_cflag & PARODD ? 0 : LCR_EVEN);
	reg_write(u, UART_LINE_CONTROL, lcr | LCR_DLAB);
	reg_write(u, UART_DATA, (uint8_t)divisor);
	reg_write(u, UART_IRQ_ENABLE, (uint8_t)(divisor >> 8));
	reg_write(u, UART_LINE_CONTROL, lcr);
	reg_write(u, UART_IRQ_ENABLE, u->enabled);
}

static void uart_set_termios(struct tty *t)
{
	struct uart *u = tty_private(t);
	SPIN_GUARD(&u->lock);
	line_setup_locked(u, tty_termios(t));
}

/* Programs ask this to learn that the terminal is a serial line, and which. */
static long uart_ioctl(struct tty *t, unsigned cmd, uint64_t arg)
{
	const struct uart *u = tty_private(t);
	if (cmd != TIOCGSERIAL)
		return -ENOTTY;
	struct serial_struct s = {.type = PORT_16550A,
				  .port = u->base,
				  .irq = u->irq,
				  .xmit_fifo_size = u->fifo_bytes,
				  .baud_base = UART_CLOCK};
	s.line = (int)(tty_device_number(t) & 0xff) - 64;
	return copy_to_user(uptr(arg), &s, sizeof(s));
}

static void uart_unthrottle(struct tty *t);

static const struct tty_driver_ops uart_ops = {
	.write = uart_write,
	.write_room = uart_write_room,
	.chars_in_buffer = uart_chars_in_buffer,
	.unthrottle = uart_unthrottle,
	.set_termios = uart_set_termios,
	.flush_output = uart_flush_output,
	.set_stopped = uart_set_stopped,
	.ioctl = uart_ioctl,
};

/* --- input: from the interrupt --- */

/* What lies in the FIFO, as far as there is room for it. */
static void receive(struct uart *u)
{
	uint8_t status;
	irqflags_t f = spin_lock(&u->lock);
	while ((status = reg_read(u, UART_LINE_STATUS)) & LSR_DATA) {
		if (unlikely(mpmc_full(&u->rx))) {
			u->enabled &= (uint8_t)~IER_RECEIVE;
			reg_write(u, UART_IRQ_ENABLE, u->enabled);
			break;
		}
		uint8_t byte = reg_read(u, UART_DATA);
		if (status == 0xff)
			break; /* the device went away */
		(void)mpmc_put(&u->rx, status & LSR_BREAK ? RX_BREAK : byte);
	}
	spin_unlock(&u->lock, f);
	async_wake(&u->rx_task); /* also when it went off: the task may have emptied the ring just before */
}

/* --- input: the task --- */

static void receive_resume(struct uart *u)
{
	SPIN_GUARD(&u->lock);
	u->enabled |= IER_RECEIVE;
	reg_write(u, UART_IRQ_ENABLE, u->enabled); /* what lies in the FIFO interrupts at once */
}

/* Whether there is something to hand on and room for it; without room the terminal calls uart_unthrottle() later. */
static bool input_can_move(struct uart *u)
{
	if (!mpmc_empty(&u->rx))
		return tty_input_room(u->tty) > 0;
	if (unlikely(!(READ_ONCE(u->enabled) & IER_RECEIVE)))
		receive_resume(u);
	return false;
}

/* What came before a break is handed on before it, and what came after it after. */
static void input_move(struct uart *u)
{
	char bytes[64];
	size_t room = MIN(tty_input_room(u->tty), sizeof(bytes)), n = 0;
	uint64_t value = 0;
	while (n < room && value != RX_BREAK && mpmc_get(&u->rx, &value))
		if (value != RX_BREAK)
			bytes[n++] = (char)value;
	if (n > 0)
		u->dropped += (uint32_t)(n - tty_input(u->tty, bytes, n));
	if (value == RX_BREAK)
		tty_break(u->tty);
}

static enum async_poll input_poll(struct async_task *self)
{
	struct uart *u = container_of(self, struct uart, rx_task);
	ASYNC_BEGIN(self);
	for (;;) {
		AWAIT(self, input_can_move(u));
		input_move(u);
	}
	ASYNC_END(self);
}

static const struct async_ops input_ops = {.name = "serial input", .poll = input_poll};

static void uart_unthrottle(struct tty *t)
{
	struct uart *u = tty_private(t);
	async_wake(&u->rx_task);
}

/* --- interrupt --- */

static void uart_interrupt(void *arg)
{
	struct uart *u = arg;
	/* Each turn deals with one cause; a line that never gets quiet is left for the next interrupt. */
	for (unsigned i = 0; i < 16; i++) {
		uint8_t id = reg_read(u, UART_IRQ_ID);
		if (id & IIR_NONE)
			return;
		switch (id >> 1 & 7) {
		case 1: { /* transmitter empty */
			irqflags_t f = spin_lock(&u->lock);
			uint32_t before = ring_len(&u->tx);
			transmit_locked(u);
			transmit_irq_locked(u);
			uint32_t after = ring_len(&u->tx);
			spin_unlock(&u->lock, f);
			/* Wakes writers when half is free, and those who wait for the last byte. */
			if (after == 0 || (before > TX_RING_BYTES / 2 && after <= TX_RING_BYTES / 2))
				tty_output_ready(u->tty);
			break;
		}
		case 2: /* data */
		case 3: /* line status: a break or an error, which comes with its byte */
		case 6: /* data that lies in the FIFO too long */
			receive(u);
			break;
		default: /* modem lines changed: a read makes it quiet */
			(void)io_in8((uint16_t)(u->base + 6));
			break;
		}
	}
}

/* --- the kernel log, and the last words of a panic --- */

/* Bounded: the log may be written to while this CPU, or one that stands still, holds the lock. */
static bool lock_for_log(struct spinlock *l)
{
	for (unsigned i = 0; i < POLL_MAX; i++) {
		if (spin_try_unchecked(l))
			return true;
		if (panic_in_progress)
			return false;
		smp_relax();
	}
	return false;
}

static void uart_log_write(struct uart *u, const char *text, size_t len)
{
	irqflags_t f = irq_save();
	bool locked = lock_for_log(&u->lock);
	uint8_t bytes[64];
	size_t n;
	while (locked && !u->stopped && (n = ring_get(&u->tx, bytes, sizeof(bytes))) > 0)
		poll_out(u, bytes, n);
	n = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			bytes[n++] = '\r';
		bytes[n++] = (uint8_t)text[i];
		if (n >= sizeof(bytes) - 2 || i + 1 == len) {
			poll_out(u, bytes, n);
			n = 0;
		}
	}
	if (locked)
		spin_release_unchecked(&u->lock);
	irq_restore(f);
}

static void log_write0(const char *text, size_t len)
{
	uart_log_write(uarts[0], text, len);
}

static void log_write1(const char *text, size_t len)
{
	uart_log_write(uarts[1], text, len);
}

static void log_write2(const char *text, size_t len)
{
	uart_log_write(uarts[2], text, len);
}

static void log_write3(const char *text, size_t len)
{
	uart_log_write(uarts[3], text, len);
}

static void (*const log_writers[PORTS_MAX])(const char *, size_t) = {log_write0, log_write1, log_write2, log_write3};

/* --- finding them --- */

/* A port nobody answers at reads as all ones, so the scratch register does not keep what is written to it. */
static bool uart_present(uint16_t base)
{
	io_out8((uint16_t)(base + UART_SCRATCH), 0x5a);
	if (io_in8((uint16_t)(base + UART_SCRATCH)) != 0x5a)
		return false;
	io_out8((uint16_t)(base + UART_SCRATCH), 0xa5);
	return io_in8((uint16_t)(base + UART_SCRATCH)) == 0xa5;
}

static int uart_start(unsigned i)
{
	int err = -ENOMEM;
	struct uart *u = kzalloc(sizeof(*u));
	struct tty *t = kzalloc(tty_struct_bytes());
	if (!u || !t)
		goto err_free;
	u->base = places[i].base;
	u->irq = places[i].irq;
	u->tty = t;
	spin_init(&u->lock, LOCK_SERIAL, "uart");
	ring_init(&u->tx, u->tx_storage, sizeof(u->tx_storage));
	mpmc_init(&u->rx, u->rx_cells, RX_RING_CELLS);
	async_task_init(&u->rx_task, &input_ops, ASYNC_HIGH);
	tty_init(t, places[i].name, 4, 64 + i, &uart_ops, u);

	reg_write(u, UART_IRQ_ENABLE, 0);
	(void)wait_transmitter(u); /* or clearing the FIFO would swallow the end of the early console's last line */
	struct termios2 settings = *tty_termios(t);
	settings.c_cflag = B9600 | CS8 | CREAD | HUPCL | CLOCAL; /* nobody watches the carrier here */
	settings.c_ispeed = settings.c_ospeed = 9600;
	tty_set_termios(t, &settings, false); /* differs from the default, so the line is set up */
	reg_write(u, UART_FIFO, FCR_ENABLE_CLEAR);
	u->fifo_bytes = (reg_read(u, UART_IRQ_ID) & IIR_FIFO_WORKS) == IIR_FIFO_WORKS ? FIFO_BYTES : 1;
	reg_write(u, UART_MODEM_CONTROL, MCR_ON);

	u->action = (struct irq_action){.fn = uart_interrupt, .arg = u, .name = places[i].name};
	u->log = (struct log_console){.name = places[i].name, .write = log_writers[i]};
	uarts[i] = u;
	tty_set_log_console(t, &u->log, i != 0);
	err = tty_register(t);
	if (err)
		goto err_port;
	err = irq_register(u->irq, &u->action);
	if (err) {
		log_warn("%s: no interrupt %u: output by polling, no input", places[i].name, u->irq);
		u->polled = true;
		return 0;
	}
	async_spawn(&u->rx_task); /* its first poll switches the receive interrupt on */
	return 0;

err_port:
	uarts[i] = NULL;
err_free:
	kfree(t);
	kfree(u);
	return err;
}

void uart_init(void)
{
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		if (!uart_present(places[i].base))
			continue;
		int err = uart_start(i);
		if (err)
			log_warn("%s: not usable (error %d)", places[i].name, -err);
		else
			log_info("%s: 16550 at %#x, irq %u", places[i].name, places[i].base, places[i].irq);
	}
}
