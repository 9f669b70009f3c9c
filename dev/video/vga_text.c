/*
 * VGA text mode: 80 x 25 cells at 0xB8000 (IBM VGA manual; the registers are those of the FreeVGA project's list).
 *
 * Video memory is only written, never read, each access through a volatile pointer: to the compiler nobody reads what
 * is stored there, so plain stores could be left out or merged.  Two cells go in one store, as each store is an exit in
 * a virtual machine and uncached on hardware.
 *
 * Presence: VGA answers on its own ports whatever memory lies at 0xB8000 (which is RAM on a microvm), so the ports are
 * asked, and a card in graphics mode counts as absent.
 */
#include <arch/io.h>

#include "dev/char/cp437.h"
#include "dev/video/display.h"
#include "mm/kmap.h"

#define ROWS 25
#define COLUMNS 80
#define VGA_MEMORY 0xb8000
#define PORT_CRTC 0x3d4
#define CRTC_CURSOR_START 0x0a
#define CRTC_CURSOR_END 0x0b
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW 0x0f
#define CURSOR_HIDDEN BIT(5)
#define CURSOR_LINES_FIRST 13 /* of the cell's 16: an underline */
#define CURSOR_LINES_LAST 14
#define PORT_GRAPHICS 0x3ce
#define GRAPHICS_MISC 0x06 /* bit 0: graphics mode */
#define PORT_STATUS 0x3da
#define PORT_ATTRIBUTE 0x3c0
#define ATTRIBUTE_MODE 0x10 /* bit 3: the attribute's top bit blinks instead of brightening the background */
#define ATTRIBUTE_VIDEO_ON 0x20

static volatile uint32_t *memory; /* two cells a word */

static void crtc_write(uint8_t reg, uint8_t v)
{
	io_out8(PORT_CRTC, reg);
	io_out8(PORT_CRTC + 1, v);
}

static uint8_t crtc_read(uint8_t reg)
{
	io_out8(PORT_CRTC, reg);
	return io_in8(PORT_CRTC + 1);
}

/* Character in the low byte, attribute in the high. Text mode cannot underline in colour: grey text turns cyan. */
static uint16_t vga_cell(screen_cell_t c)
{
	uint8_t attribute = screen_cell_attribute(c);
	if (c & SCREEN_CELL_UNDERLINE && (attribute & 7) == 7)
		attribute = (uint8_t)((attribute & 0xf8) | 3);
	return (uint16_t)(cp437_byte(screen_cell_code(c)) | attribute << 8);
}

static void draw(const screen_cell_t *cells, unsigned first, unsigned end)
{
	for (unsigned pair = first / 2; pair < (end + 1) / 2; pair++)
		mmio_write32(&memory[pair], vga_cell(cells[2 * pair]) | (uint32_t)vga_cell(cells[2 * pair + 1]) << 16);
}

static void cursor(const screen_cell_t *cells, unsigned from, unsigned to)
{
	(void)cells;
	if (to == DISPLAY_NO_CURSOR) {
		crtc_write(CRTC_CURSOR_START, CURSOR_HIDDEN);
		return;
	}
	if (from == DISPLAY_NO_CURSOR) {
		crtc_write(CRTC_CURSOR_START, CURSOR_LINES_FIRST);
		crtc_write(CRTC_CURSOR_END, CURSOR_LINES_LAST);
	}
	if (from == DISPLAY_NO_CURSOR || (from ^ to) & 0xff00)
		crtc_write(CRTC_CURSOR_HIGH, (uint8_t)(to >> 8));
	crtc_write(CRTC_CURSOR_LOW, (uint8_t)to);
}

/* The cursor position keeps what is written to it only where there is a CRTC at the colour address. */
static bool present(void)
{
	uint8_t old = crtc_read(CRTC_CURSOR_LOW);
	crtc_write(CRTC_CURSOR_LOW, 0x5a);
	bool keeps = crtc_read(CRTC_CURSOR_LOW) == 0x5a;
	crtc_write(CRTC_CURSOR_LOW, 0xa5);
	keeps = keeps && crtc_read(CRTC_CURSOR_LOW) == 0xa5;
	crtc_write(CRTC_CURSOR_LOW, old);
	if (!keeps)
		return false;
	io_out8(PORT_GRAPHICS, GRAPHICS_MISC);
	return !(io_in8(PORT_GRAPHICS + 1) & 1);
}

/* Sixteen background colours instead of eight and blinking. */
static void blinking_off(void)
{
	(void)io_in8(PORT_STATUS); /* the next write to the attribute port is an index */
	io_out8(PORT_ATTRIBUTE, ATTRIBUTE_MODE | ATTRIBUTE_VIDEO_ON);
	uint8_t mode = io_in8(PORT_ATTRIBUTE + 1);
	io_out8(PORT_ATTRIBUTE, mode & (uint8_t)~BIT(3));
	(void)io_in8(PORT_STATUS);
}

const struct display *vga_text_display(void)
{
	static const struct display display = {.name = "VGA text",
					       .rows = ROWS,
					       .columns = COLUMNS,
					       .draw = draw,
					       .cursor = cursor};
	if (!present())
		return NULL;
	memory = kmap_device(paddr(VGA_MEMORY), ROWS * COLUMNS * sizeof(uint16_t));
	if (!memory)
		return NULL;
	blinking_off();
	crtc_write(CRTC_CURSOR_START, CURSOR_HIDDEN);
	return &display;
}
