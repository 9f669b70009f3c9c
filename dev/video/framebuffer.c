/*
 * A linear framebuffer as a display of cells: theory.
 *
 * A cell is drawn by turning each row of its glyph into pixels: foreground where the bit is set, background elsewhere.
 * Only cells that changed are drawn (screen_console.c knows which) and each pixel is written once, in ascending order,
 * so a scroll touches what differs and shows no half-erased state; memory is mapped write-combining, which turns the
 * stores of a row into bursts.  Video memory is never read: reads of it are a hundred times dearer than writes.
 *
 * Pixel formats: 16, 24 and 32 bits with the colours wherever the boot loader says (Multiboot2 3.6.12).  Rows of a
 * 32-bit cell, the usual case, are written by pairs of pixels from a table of four.
 *
 * The grid is as many whole cells as fit, up to what struct screen holds; the rest stays black.
 *
 * Locking: the caller's (display.h).  Rejected: a shadow of the pixels (3 MiB at this size) that is copied as a whole:
 * a hundred times the bytes of the changed cells; hardware panning, which only some adapters have.
 */
#include <arch/mmu.h>

#include "core/boot_info.h"
#include "core/log.h"
#include "dev/video/bochs.h"
#include "dev/video/display.h"
#include "dev/video/font.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/kmap.h"

#define DEFAULT_WIDTH 1024
#define DEFAULT_HEIGHT 768
#define SIDE_MAX 16384u

const uint32_t display_palette[16] = {
	0x000000, 0x0000aa, 0x00aa00, 0x00aaaa, 0xaa0000, 0xaa00aa, 0xaa5500, 0xaaaaaa,
	0x555555, 0x5555ff, 0x55ff55, 0x55ffff, 0xff5555, 0xff55ff, 0xffff55, 0xffffff,
};

static struct {
	uint8_t *memory; /* all of it immutable once set up, but for the cursor */
	unsigned pitch_bytes, pixel_bytes;
	uint32_t colours[16]; /* the palette in this framebuffer's format */
	unsigned cursor;      /* cell; DISPLAY_NO_CURSOR */
	char name[40];
	struct display display;
} fb;

/* One row of a glyph, 32 bits a pixel; bits has the leftmost pixel in its highest of `width`. */
static void row32(uint8_t *to, uint32_t bits, unsigned width, const uint64_t pairs[4], uint32_t fg, uint32_t bg)
{
	unsigned x = width;
	for (; x >= 2; x -= 2, to += 8)
		*(volatile uint64_t *)to = pairs[bits >> (x - 2) & 3];
	if (x)
		*(volatile uint32_t *)to = bits & 1 ? fg : bg;
}

static void row_any(uint8_t *to, uint32_t bits, unsigned width, uint32_t fg, uint32_t bg)
{
	for (unsigned x = width; x-- > 0;) {
		uint32_t colour = bits >> x & 1 ? fg : bg;
		for (unsigned b = 0; b < fb.pixel_bytes; b++, colour >>= 8)
			*(volatile uint8_t *)to++ = (uint8_t)colour;
	}
}

static uint32_t glyph_row(const uint8_t *glyph, unsigned y)
{
	uint32_t bits = 0;
	const uint8_t *row = glyph + (size_t)y * font.row_bytes;
	for (unsigned i = 0; i < font.row_bytes; i++)
		bits = bits << 8 | row[i];
	return bits >> (font.row_bytes * 8 - font.width);
}

static void draw_cell(unsigned at, screen_cell_t c)
{
	uint8_t attribute = screen_cell_attribute(c);
	uint32_t fg = fb.colours[attribute & 15], bg = fb.colours[attribute >> 4];
	const uint64_t pairs[4] = {bg | (uint64_t)bg << 32, bg | (uint64_t)fg << 32, fg | (uint64_t)bg << 32,
				   fg | (uint64_t)fg << 32};
	const uint8_t *glyph = font_glyph(screen_cell_code(c));
	uint8_t *to = fb.memory + (size_t)(at / fb.display.columns) * font.height * fb.pitch_bytes +
		(size_t)(at % fb.display.columns) * font.width * fb.pixel_bytes;
	uint32_t all = (uint32_t)(BIT(font.width) - 1);

	for (unsigned y = 0; y < font.height; y++, to += fb.pitch_bytes) {
		uint32_t bits = glyph_row(glyph, y);
		if (c & SCREEN_CELL_UNDERLINE && y == font.height - 2)
			bits = all;
		if (at == fb.cursor && y >= font.height - 2)
			bits = all;
		if (fb.pixel_bytes == 4)
			row32(to, bits, font.width, pairs, fg, bg);
		else
			row_any(to, bits, font.width, fg, bg);
	}
}

static void draw(const screen_cell_t *cells, unsigned first, unsigned end)
{
	for (unsigned i = first; i < end; i++)
		draw_cell(i, cells[i]);
}

static void cursor(const screen_cell_t *cells, unsigned from, unsigned to)
{
	fb.cursor = to;
	if (from != DISPLAY_NO_CURSOR)
		draw_cell(from, cells[from]);
	if (to != DISPLAY_NO_CURSOR)
		draw_cell(to, cells[to]);
}

static uint32_t channel(uint32_t value8, struct boot_colour_field f)
{
	return f.bits ? value8 >> (8 - MIN(f.bits, 8)) << f.shift : 0;
}

static void blacken(const struct boot_framebuffer *info)
{
	for (unsigned y = 0; y < info->height; y++)
		memset(fb.memory + (size_t)y * fb.pitch_bytes, 0, (size_t)info->width * fb.pixel_bytes);
}

static const struct display *start(const struct boot_framebuffer *info, const char *source)
{
	unsigned pixel_bytes = info->bits_per_pixel / 8;
	if ((info->bits_per_pixel != 16 && info->bits_per_pixel != 24 && info->bits_per_pixel != 32) ||
	    info->width > SIDE_MAX || info->height > SIDE_MAX || info->pitch_bytes < info->width * pixel_bytes ||
	    info->pitch_bytes > SIDE_MAX * 8 || info->red.shift > 24 || info->green.shift > 24 ||
	    info->blue.shift > 24) {
		log_warn("framebuffer: %ux%u with %u bits a pixel is not supported", info->width, info->height,
			 info->bits_per_pixel);
		return NULL;
	}
	if (font_init()) {
		log_warn("framebuffer: no font");
		return NULL;
	}
	unsigned rows = MIN(info->height / font.height, (unsigned)SCREEN_ROWS_MAX);
	unsigned columns = ALIGN_DOWN(MIN(info->width / font.width, (unsigned)SCREEN_COLUMNS_MAX), 8u);
	if (rows < 2 || columns < 8)
		return NULL;
	fb.memory = kmap_device_as(info->base, (size_t)info->pitch_bytes * info->height, MMU_WRITE_COMBINE);
	if (!fb.memory)
		return NULL;
	fb.pitch_bytes = info->pitch_bytes;
	fb.pixel_bytes = pixel_bytes;
	for (unsigned i = 0; i < 16; i++)
		fb.colours[i] = channel(display_palette[i] >> 16, info->red) |
			channel(display_palette[i] >> 8 & 0xff, info->green) |
			channel(display_palette[i] & 0xff, info->blue);
	fb.cursor = DISPLAY_NO_CURSOR;
	snprintf(fb.name, sizeof(fb.name), "framebuffer %ux%u (%s)", info->width, info->height, source);
	fb.display = (struct display){.name = fb.name,
				      .rows = rows,
				      .columns = columns,
				      .is_black = true,
				      .draw = draw,
				      .cursor = cursor};
	blacken(info);
	return &fb.display;
}

const struct display *framebuffer_display(unsigned width, unsigned height)
{
	struct boot_framebuffer set;
	int err = -1;

	if (width) {
		err = bochs_set_mode(width, height, &set);
		if (err)
			log_warn("framebuffer: there is no adapter here that can be set to %ux%u", width, height);
	}
	if (err && boot_info.framebuffer.base.v)
		return start(&boot_info.framebuffer, boot_info.protocol);
	if (err)
		err = bochs_set_mode(DEFAULT_WIDTH, DEFAULT_HEIGHT, &set);
	return err ? NULL : start(&set, "Bochs");
}
