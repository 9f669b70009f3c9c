/*
 * The first serial port, polled: what there is to speak with before drivers, and when all else fails (16550 data sheet;
 * the same registers in each PC). The boot loader's or firmware's setting of the line is kept if it looks alive; else
 * 115200 8N1 is set. No lock: two CPUs that write at once mix their characters, which is better than one that waits for
 * the other in a panic.
 */
#include <arch/early.h>
#include <arch/io.h>

enum {
	COM1 = 0x3f8,
	UART_DATA = 0,
	UART_IER = 1,
	UART_FCR = 2,
	UART_LCR = 3,
	UART_MCR = 4,
	UART_LSR = 5,
	UART_SCRATCH = 7,
	LSR_DATA = 0x01,
	LSR_THR_EMPTY = 0x20,
	POLLS_MAX = 100000, /* about 10 ms of port reads: a character takes 87 us at 115200 */
};

static enum { UART_UNKNOWN, UART_PRESENT, UART_ABSENT } uart;

static void uart_probe(void)
{
	/* An empty bus reads 0xff; a scratch register that keeps two values is a UART. */
	io_out8(COM1 + UART_SCRATCH, 0x5a);
	if (io_in8(COM1 + UART_SCRATCH) != 0x5a) {
		uart = UART_ABSENT;
		return;
	}
	io_out8(COM1 + UART_SCRATCH, 0xa5);
	if (io_in8(COM1 + UART_SCRATCH) != 0xa5) {
		uart = UART_ABSENT;
		return;
	}
	if ((io_in8(COM1 + UART_LCR) & 0x03) != 0x03) { /* not 8 bits: nobody has set it up */
		io_out8(COM1 + UART_IER, 0);
		io_out8(COM1 + UART_LCR, 0x83);
		io_out8(COM1 + UART_DATA, 1); /* divisor 1: 115200 */
		io_out8(COM1 + UART_IER, 0);
		io_out8(COM1 + UART_LCR, 0x03);
		io_out8(COM1 + UART_FCR, 0x07);
		io_out8(COM1 + UART_MCR, 0x03);
	}
	uart = UART_PRESENT;
}

static void uart_put(char c)
{
	for (unsigned i = 0; i < POLLS_MAX && !(io_in8(COM1 + UART_LSR) & LSR_THR_EMPTY); i++)
		;
	io_out8(COM1 + UART_DATA, (uint8_t)c);
}

void early_console_write(const char *s, size_t len)
{
	if (uart == UART_UNKNOWN)
		uart_probe();
	if (uart == UART_ABSENT)
		return;
	for (; len; len--, s++) {
		if (*s == '\n')
			uart_put('\r');
		uart_put(*s);
	}
}

bool early_console_present(void)
{
	if (uart == UART_UNKNOWN)
		uart_probe();
	return uart == UART_PRESENT;
}

int early_console_read(void)
{
	if (!early_console_present() || !(io_in8(COM1 + UART_LSR) & LSR_DATA))
		return -1;
	return io_in8(COM1 + UART_DATA);
}
