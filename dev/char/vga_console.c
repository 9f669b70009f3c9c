/*
 * The VGA text screen: tty1, 80 x 25 at 0xB8000.
 *
 * screen.c keeps the picture in ordinary memory; video memory is only written, and only where it differs from what was
 * written last, because every access to it is slow (an exit each in a virtual machine, uncached on hardware). A burst
 * of output (scrolling text) would redraw the screen for each line, so after a redraw the next one waits FRAME_NS and
 * a timer does it if nobody else did. The kernel log cannot set timers (it may be called under the timers' own lock)
 * and draws at once.
 *
 * Locking: vga.lock guards picture and hardware. The log takes it by trying, outside the lock checker, as the UART
 * does and for the same reason.
 *
 * Absence: VGA answers on its own ports whatever memory lies at 0xB8000 (which is RAM on a microvm), so the ports are
 * asked, and a card in graphics mode counts as absent.
 */
#include <arch/cpu.h>
#include <arch/io.h>
#include <arch/mmu.h>
#include <arch/time.h>
#include <linux/kd.h>
#include <linux/vt.h>
#include "abi/errno_kernel.h"
#include "core/log.h"
#include "core/panic.h"
#include "dev/char/screen.h"
#include "dev/char/vga_console.h"
#include "dev/tty.h"
#include "mm/kmap.h"
#include "mm/slab.h"
#include "mm/usercopy.h"
#include "sched/timer.h"
#include "sync/atomic.h"
#include "sync/spinlock.h"

#define VGA_MEMORY 0xb8000
#define CELLS (SCREEN_ROWS * SCREEN_COLUMNS)
#define PORT_CRTC 0x3d4
#define CRTC_CURSOR_START 0x0a
#define CRTC_CURSOR_END 0x0b
#define CRTC_CURSOR_HIGH 0x0e
#define CRTC_CURSOR_LOW 0x0f
#define CURSOR_HIDDEN BIT(5)
#define PORT_GRAPHICS 0x3ce
#define GRAPHICS_MISC 0x06 /* bit 0: graphics mode */
#define PORT_STATUS 0x3da
#define PORT_ATTRIBUTE 0x3c0
#define ATTRIBUTE_MODE 0x10 /* bit 3: the attribute's top bit blinks instead of brightening the background */
#define ATTRIBUTE_VIDEO_ON 0x20
#define FRAME_NS (16 * NSEC_PER_MSEC)
#define LOCK_TRIES 100000

static struct {
	struct spinlock lock;
	struct tty *tty;	   /* I */
	volatile uint32_t *memory; /* I: two cells a word */
	struct screen *screen;	   /* lock */
	screen_cell_t *shown;	   /* lock: what video memory holds */
	uint16_t cursor_shown;	   /* lock; 0xffff: hidden */
	uint64_t drawn_ns;	   /* lock */
	bool redraw_waits;	   /* lock: the timer is armed */
	struct timer timer;
	struct log_console log;
	struct chardev on_view; /* tty0: the screen on view, which is always this one */
} vga;

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

static void cursor_draw_locked(void)
{
	const struct screen *s = vga.screen;
	uint16_t at = s->cursor_visible ? (uint16_t)(s->row * SCREEN_COLUMNS + s->column) : 0xffff;
	if (at == vga.cursor_shown)
		return;
	if (at == 0xffff) {
		crtc_write(CRTC_CURSOR_START, CURSOR_HIDDEN);
	} else {
		if (vga.cursor_shown == 0xffff) {
			crtc_write(CRTC_CURSOR_START, 13);
			crtc_write(CRTC_CURSOR_END, 14);
		}
		if (vga.cursor_shown == 0xffff || (vga.cursor_shown ^ at) & 0xff00)
			crtc_write(CRTC_CURSOR_HIGH, (uint8_t)(at >> 8));
		crtc_write(CRTC_CURSOR_LOW, (uint8_t)at);
	}
	vga.cursor_shown = at;
}

static void draw_locked(void)
{
	struct screen *s = vga.screen;
	if (s->dirty_first <= s->dirty_last) {
		const uint32_t *from = (const uint32_t *)s->cells;
		uint32_t *shown = (uint32_t *)vga.shown;
		unsigned end = (s->dirty_last + 1u) * SCREEN_COLUMNS / 2;
		for (unsigned i = s->dirty_first * SCREEN_COLUMNS / 2; i < end; i++) {
			if (from[i] != shown[i]) {
				shown[i] = from[i];
				mmio_write32(&vga.memory[i], from[i]);
			}
		}
		screen_clean(s);
	}
	cursor_draw_locked();
}

static void redraw_timer(struct timer *t)
{
	(void)t;
	SPIN_GUARD(&vga.lock);
	vga.redraw_waits = false;
	draw_locked();
	vga.drawn_ns = time_ns();
}

static size_t vga_write(struct tty *t, const char *buf, size_t len)
{
	(void)t;
	irqflags_t f = spin_lock(&vga.lock);
	screen_write(vga.screen, buf, len);
	uint64_t now = time_ns();
	if (!vga.redraw_waits) {
		if (now - vga.drawn_ns >= FRAME_NS) {
			draw_locked();
			vga.drawn_ns = now;
		} else {
			vga.redraw_waits = true;
			timer_set(&vga.timer, vga.drawn_ns + FRAME_NS);
		}
	}
	spin_unlock(&vga.lock, f);
	return len;
}

/* What the terminal answers is typed after the write is over: tty_input takes the lock that our caller holds. */
static void vga_write_done(struct tty *t)
{
	char reply[SCREEN_REPLY];
	irqflags_t f = spin_lock(&vga.lock);
	size_t n = vga.screen->reply_len;
	for (size_t i = 0; i < n; i++)
		reply[i] = vga.screen->reply[i];
	vga.screen->reply_len = 0;
	spin_unlock(&vga.lock, f);
	if (n > 0)
		(void)tty_input(t, reply, n);
}

static size_t vga_write_room(struct tty *t)
{
	(void)t;
	return 4096;
}

static size_t vga_chars_in_buffer(struct tty *t)
{
	(void)t;
	return 0;
}

/* The questions by which programs recognise the Linux console. */
static long vga_ioctl(struct tty *t, unsigned cmd, uint64_t arg)
{
	(void)t;
	switch (cmd) {
	case KDGKBTYPE: {
		uint8_t type = KB_101;
		return copy_to_user(uptr(arg), &type, 1);
	}
	case KDGETMODE:
		return put_user_u32(uptr(arg), KD_TEXT);
	case KDGKBMODE:
		return put_user_u32(uptr(arg), K_UNICODE);
	case VT_OPENQRY:
		return put_user_u32(uptr(arg), (uint32_t)-1); /* one screen, and it is in use */
	case VT_GETSTATE: {
		struct vt_stat state = {.v_active = 1, .v_state = 1u << 1 | 1};
		return copy_to_user(uptr(arg), &state, sizeof(state));
	}
	}
	return -ENOTTY;
}

static const struct tty_driver_ops vga_ops = {
	.write = vga_write,
	.write_done = vga_write_done,
	.write_room = vga_write_room,
	.chars_in_buffer = vga_chars_in_buffer,
	.ioctl = vga_ioctl,
};

static bool lock_for_log(void)
{
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		uint16_t owner = atomic_load_acquire(&vga.lock.owner);
		uint16_t expected = owner;
		if (atomic_load_relaxed(&vga.lock.next) == owner &&
		    atomic_cas(&vga.lock.next, &expected, (uint16_t)(owner + 1)))
			return true;
		if (panic_in_progress)
			return false;
		cpu_relax();
	}
	return false;
}

/* A log line begins at the left and in plain colours, whatever a program was painting. In a panic: white on red. */
static void vga_log_write(const char *text, size_t len)
{
	irqflags_t f = irq_save();
	bool locked = lock_for_log();
	struct screen *s = vga.screen;
	struct screen_style style = s->style;
	enum screen_state state = s->state;
	s->style = (struct screen_style){.foreground = 7};
	if (panic_in_progress)
		s->style = (struct screen_style){.foreground = 15, .background = 4};
	s->state = SCREEN_GROUND;
	bool newline_mode = s->newline_mode;
	s->newline_mode = true;
	screen_write(s, text, len);
	s->newline_mode = newline_mode;
	s->style = style;
	s->state = state;
	draw_locked();
	if (locked)
		__atomic_store_n(&vga.lock.owner, (uint16_t)(vga.lock.owner + 1), __ATOMIC_RELEASE);
	irq_restore(f);
}

/* The cursor position keeps what is written to it only where there is a CRTC at the colour address. */
static bool vga_text_present(void)
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

struct tty *vga_console_tty(void)
{
	return vga.tty;
}

bool vga_console_application_cursor(void)
{
	return vga.screen && READ_ONCE(vga.screen->application_cursor);
}

void vga_console_init(void)
{
	if (!vga_text_present())
		return;
	struct tty *t = kzalloc(tty_struct_bytes());
	vga.screen = kzalloc(sizeof(*vga.screen));
	vga.shown = kzalloc(CELLS * sizeof(*vga.shown));
	vga.memory = kmap_device(paddr(VGA_MEMORY), CELLS * sizeof(*vga.shown));
	if (!t || !vga.screen || !vga.shown || !vga.memory)
		goto err_free;
	spin_init(&vga.lock, LOCK_CONSOLE, "vga");
	timer_init(&vga.timer, redraw_timer);
	screen_init(vga.screen);
	blinking_off();
	vga.cursor_shown = 0xffff;
	draw_locked();
	tty_init(t, "tty1", 4, 1, &vga_ops, NULL);
	tty_set_window(t, SCREEN_ROWS, SCREEN_COLUMNS);
	vga.log = (struct log_console){.name = "tty1", .write = vga_log_write};
	tty_set_log_console(t, &vga.log, true);
	if (tty_register(t) < 0)
		goto err_free;
	vga.tty = t;
	vga.on_view = *tty_chardev(t);
	vga.on_view.name = "tty0";
	vga.on_view.minor = 0;
	if (chardev_register(&vga.on_view) < 0)
		log_warn("tty0: cannot be registered");
	log_info("tty1: VGA text %ux%u", SCREEN_COLUMNS, SCREEN_ROWS);
	return;

err_free:
	log_warn("tty1: no memory for the screen");
	kfree(t);
	kfree(vga.screen);
	kfree(vga.shown);
	vga.screen = NULL;
}
