/*
 * The screen's terminal: escape sequences against what is on the screen, and the keyboard's codes against what it
 * sends.
 */
#include "lib/test/test.h"

#include "dev/char/cp437.h"
#include "dev/char/screen.h"
#include "dev/input/keyboard.h"

#define SCREEN_ROWS 25
#define SCREEN_COLUMNS 80

static screen_cell_t cells[SCREEN_ROWS * SCREEN_COLUMNS];
static struct screen screen;

static void show(const char *text)
{
	screen_write(&screen, text, strlen(text));
}

/* Row `row` without trailing blanks. */
static const char *row_text(unsigned row)
{
	static char text[SCREEN_COLUMNS + 1];
	unsigned n = 0;
	for (unsigned c = 0; c < SCREEN_COLUMNS; c++) {
		text[c] = (char)screen_cell_code(screen.cells[row * SCREEN_COLUMNS + c]);
		if (text[c] != ' ')
			n = c + 1;
	}
	text[n] = 0;
	return text;
}

static uint8_t attribute(unsigned row, unsigned column)
{
	return screen_cell_attribute(screen.cells[row * SCREEN_COLUMNS + column]);
}

static void expect_cursor(unsigned row, unsigned column)
{
	assert_int_equal(screen.row, row);
	assert_int_equal(screen.column, column);
}

static const char *reply(void)
{
	static char text[SCREEN_REPLY + 1];
	memcpy(text, screen.reply, screen.reply_len);
	text[screen.reply_len] = 0;
	screen.reply_len = 0;
	return text;
}

static int fresh(void **state maybe_unused)
{
	screen_init(&screen, cells, SCREEN_ROWS, SCREEN_COLUMNS);
	return 0;
}

static void test_text(void **state maybe_unused)
{
	show("hello\r\nworld\b!");
	assert_string_equal(row_text(0), "hello");
	assert_string_equal(row_text(1), "worl!");
	expect_cursor(1, 5);
	show("\r\tx");
	expect_cursor(1, 9);
	assert_int_equal(attribute(0, 0), 0x07);
}

static void test_wrap(void **state maybe_unused)
{
	for (unsigned i = 0; i < 80; i++)
		show("a");
	expect_cursor(0, 79);
	show("\r\n");
	expect_cursor(1, 0);
	for (unsigned i = 0; i < 81; i++)
		show("b");
	expect_cursor(2, 1);
	show("\x1b[?7l");
	for (unsigned i = 0; i < 100; i++)
		show("c");
	expect_cursor(2, 79);
}

static void test_scroll(void **state maybe_unused)
{
	for (unsigned i = 0; i < 30; i++) {
		char line[16];
		sprintf(line, "%u\r\n", i);
		show(line);
	}
	assert_string_equal(row_text(0), "6");
	assert_string_equal(row_text(23), "29");
	assert_string_equal(row_text(24), "");
	show("\x1b[5;10r"); /* region, cursor home */
	expect_cursor(0, 0);
	show("\x1b[10;1H\n");
	assert_string_equal(row_text(3), "9");
	assert_string_equal(row_text(4), "11");
	assert_string_equal(row_text(9), "");
	assert_string_equal(row_text(10), "16");
	show("\x1b[5;1H\x1bM");
	assert_string_equal(row_text(4), "");
	assert_string_equal(row_text(5), "11");
	show("\x1b[r\x1b[2S");
	assert_string_equal(row_text(0), "8");
	show("\x1b[T");
	assert_string_equal(row_text(1), "8");
}

static void test_moves(void **state maybe_unused)
{
	show("\x1b[10;20H");
	expect_cursor(9, 19);
	show("\x1b[3A\x1b[2C\x1b[B\x1b[5D");
	expect_cursor(7, 16);
	show("\x1b[999;999H");
	expect_cursor(24, 79);
	show("\x1b[H\x1b[A\x1b[D");
	expect_cursor(0, 0);
	show("\x1b[5G\x1b[7d\x1b[s\x1b[H\x1b[u");
	expect_cursor(6, 4);
	show("\x1b"
	     "7\x1b[1;1H\x1b"
	     "8");
	expect_cursor(6, 4);
	show("\x1b[3E");
	expect_cursor(9, 0);
	show("\x1b[17G\x1b[Z");
	expect_cursor(9, 8);
	show("\x1b[99999999999999A");
	expect_cursor(0, 8);
	show("\x1b[5;10r\x1b[12;1H\x1b[99B"); /* from below the region to the end of the screen */
	expect_cursor(24, 0);
	show("\x1b[99C");
	expect_cursor(24, 79);
}

static void test_erase(void **state maybe_unused)
{
	show("0123456789\x1b[5G\x1b[K");
	assert_string_equal(row_text(0), "0123");
	show("\r0123456789\x1b[5G\x1b[1K");
	assert_string_equal(row_text(0), "     56789");
	show("\r0123456789\x1b[3G\x1b[2P");
	assert_string_equal(row_text(0), "01456789");
	show("\x1b[2@");
	assert_string_equal(row_text(0), "01  456789");
	show("\x1b[3X");
	assert_string_equal(row_text(0), "01   56789");
	show("\r\nb\r\nc\x1b[1;1H\x1b[L");
	assert_string_equal(row_text(0), "");
	assert_string_equal(row_text(2), "b");
	show("\x1b[2M");
	assert_string_equal(row_text(0), "b");
	show("\x1b[1;1H\x1b[J");
	assert_string_equal(row_text(0), "");
	show("\x1b[4hx\x1b[1Gy");
	assert_string_equal(row_text(0), "yx");
}

static void test_colours(void **state maybe_unused)
{
	show("\x1b[31mr\x1b[1;44mb\x1b[7mv\x1b[0mn\x1b[97;101mw\x1b[m\x1b[38;5;9mp\x1b[38;2;0;0;100mq\x1b[39ms");
	assert_int_equal(attribute(0, 0), 0x04);
	assert_int_equal(attribute(0, 1), 0x1c);
	assert_int_equal(attribute(0, 2), 0x41);
	assert_int_equal(attribute(0, 3), 0x07);
	assert_int_equal(attribute(0, 4), 0xcf);
	assert_int_equal(attribute(0, 5), 0x0c);
	assert_int_equal(attribute(0, 6), 0x01);
	assert_int_equal(attribute(0, 7), 0x07);
	show("\x1b[42m\x1b[2J");
	assert_int_equal(attribute(10, 10), 0x27);
}

static void test_replies(void **state maybe_unused)
{
	show("\x1b[5;7H\x1b[6n");
	assert_string_equal(reply(), "\x1b[5;7R");
	show("\x1b[5n");
	assert_string_equal(reply(), "\x1b[0n");
	show("\x1b[c");
	assert_string_equal(reply(), "\x1b[?6c");
	show("\x1b[>c\x1b[?1049h\x1b[?25l");
	assert_string_equal(reply(), "");
	assert_false(screen.cursor_visible);
	show("\x1b[?1h");
	assert_true(screen.application_cursor);
}

static void test_strings_and_unknown(void **state maybe_unused)
{
	show("\x1b]0;title\x07"
	     "a\x1b]2;t\x1b\\b\x1bP+q544e\x1b\\c\x1b]P1aabbccd\x1b(0e\x1b[1;2;3y\x1b[ qf\x1b]Rg\x1b[12\x18h");
	assert_string_equal(row_text(0), "abcdefgh");
	for (unsigned i = 0; i < 40; i++)
		show(i ? ";1" : "\x1b[1");
	show("mz");
	assert_string_equal(row_text(0), "abcdefghz");
}

static void test_characters(void **state maybe_unused)
{
	show("\xc3\xa4\xe2\x94\x80\xe4\xb8\xad\xff");
	assert_int_equal(screen_cell_code(screen.cells[0]), 0xe4);
	assert_int_equal(screen_cell_code(screen.cells[1]), 0x2500);
	assert_int_equal(screen_cell_code(screen.cells[2]), 0x4e2d);
	assert_int_equal(screen_cell_code(screen.cells[3]), UTF8_REPLACEMENT);
	expect_cursor(0, 4);
	show("e\xcc\x81\xe2\x80\x8b"); /* a combining accent and a space of no width take no cell */
	expect_cursor(0, 5);
	show("\x1b[4mu\x1b[24mn");
	assert_true(screen.cells[5] & SCREEN_CELL_UNDERLINE);
	assert_false(screen.cells[6] & SCREEN_CELL_UNDERLINE);
	screen_clean(&screen);
	assert_true(screen.dirty_first > screen.dirty_last);
	show("\x1b[7;1Hx");
	assert_int_equal(screen.dirty_first, 6);
	assert_int_equal(screen.dirty_last, 6);
}

static void test_code_page(void **state maybe_unused)
{
	bool seen[256] = {false};
	for (uint32_t code = 0; code < 0x3000; code++)
		seen[cp437_byte(code)] = true;
	for (unsigned byte = 1; byte < 256; byte++)
		assert_true(seen[byte]); /* each byte shows some character */
	assert_int_equal(cp437_byte('A'), 'A');
	assert_int_equal(cp437_byte(0xe4), 0x84);
	assert_int_equal(cp437_byte(0x2500), 0xc4);
	assert_int_equal(cp437_byte(0x2192), 0x1a);
	assert_int_equal(cp437_byte(0x2501), 0xc4); /* a heavy line as a light one */
	assert_int_equal(cp437_byte(0x201c), '"');
	assert_int_equal(cp437_byte(0x2302), 0x7f);
	assert_int_equal(cp437_byte(0x4e2d), CP437_UNPRINTABLE);
	assert_int_equal(cp437_byte(UTF8_REPLACEMENT), CP437_UNPRINTABLE);
	assert_int_equal(cp437_byte(SCREEN_UNPRINTABLE), CP437_UNPRINTABLE);
}

/* The largest screen there is: positions beyond 255 and all its cells. */
static void test_large(void **state maybe_unused)
{
	static screen_cell_t many[SCREEN_ROWS_MAX * SCREEN_COLUMNS_MAX];
	screen_init(&screen, many, SCREEN_ROWS_MAX, SCREEN_COLUMNS_MAX);
	show("\x1b[256;512Hx\x1b[6n");
	assert_string_equal(reply(), "\x1b[256;512R");
	assert_int_equal(screen_cell_code(many[ARRAY_SIZE(many) - 1]), 'x');
	show("y"); /* wraps and scrolls */
	assert_int_equal(screen_cell_code(many[ARRAY_SIZE(many) - SCREEN_COLUMNS_MAX - 1]), 'x');
	assert_int_equal(screen_cell_code(many[ARRAY_SIZE(many) - SCREEN_COLUMNS_MAX]), 'y');
	assert_int_equal(screen.dirty_first, 0);
	assert_int_equal(screen.dirty_last, SCREEN_ROWS_MAX - 1);
	show("\x1b[1;505H\t");
	expect_cursor(0, 511);
}

static void test_reset_in_the_middle(void **state maybe_unused)
{
	show("\x1b[3;9r\x1b[?25l\x1b[31mtext\x1b[12;");
	screen_reset(&screen);
	show("H");
	assert_string_equal(row_text(0), "H");
	assert_int_equal(attribute(0, 0), 0x07);
	assert_int_equal(screen.bottom, SCREEN_ROWS - 1);
	assert_true(screen.cursor_visible);
}

static void test_random_output(void **state maybe_unused)
{
	static const char *const pieces[] = {"\x1b[", "\x1b", ";", "?",	 "m",  "H", "r",  "L", "M", "P",
					     "@",     "J",    "K", "99", "25", "b", "\n", "S", "T"};
	test_random_seed(7);
	for (unsigned i = 0; i < 400000; i++) {
		if (test_random_below(3)) {
			show(pieces[test_random_below(ARRAY_SIZE(pieces))]);
		} else {
			char c = (char)test_random();
			screen_write(&screen, &c, 1);
		}
		screen.reply_len = 0;
		assert_true(screen.row < SCREEN_ROWS && screen.column < SCREEN_COLUMNS);
		assert_true(screen.top < screen.bottom && screen.bottom < SCREEN_ROWS);
	}
}

/* --- keyboard --- */

static struct keyboard keyboard;

static const char *keys(const char *codes, size_t n, bool application)
{
	static char text[64];
	size_t len = 0;
	for (size_t i = 0; i < n; i++)
		len += keyboard_decode(&keyboard, (uint8_t)codes[i], application, text + len);
	text[len] = 0;
	return text;
}
#define KEYS(codes) keys(codes, sizeof(codes) - 1, false)

static void test_keyboard(void **state maybe_unused)
{
	keyboard_init(&keyboard, &keymap_us);
	assert_string_equal(KEYS("\x1e\x9e\x30\xb0"), "ab");
	assert_string_equal(KEYS("\x2a\x1e\x9e\xaa\x1e\x9e"), "Aa");
	assert_string_equal(KEYS("\x3a\xba\x1e\x02\x3a\xba\x1e"), "A1a");
	assert_true(keyboard.leds_changed);
	assert_string_equal(KEYS("\x1d\x2e\xae\x9d"), "\x03");
	assert_string_equal(KEYS("\x38\x30\xb0\xb8"),
			    "\x1b"
			    "b");
	assert_string_equal(KEYS("\xe0\x38\x30\xe0\xb8\x30"),
			    "\x1b"
			    "bb");
	assert_string_equal(KEYS("\xe0\x48\xe0\xc8\xe0\x47\xe0\x53"), "\x1b[A\x1b[1~\x1b[3~");
	assert_string_equal(keys("\xe0\x48\xe0\x4d", 4, true), "\x1bOA\x1bOC");
	assert_string_equal(KEYS("\x3b\x3f\x40\x44\x57\x58"), "\x1b[[A\x1b[[E\x1b[17~\x1b[21~\x1b[23~\x1b[24~");
	assert_string_equal(KEYS("\x47\x45\xc5\x47\x53\x45\xc5\x4a\x4e\x37\xe0\x35\xe0\x1c"), "\x1b[1~7.-+*/\r");
	assert_string_equal(KEYS("\x0e\x0f\x2a\x0f\xaa\x1c\x01"), "\x7f\t\x1b[Z\r\x1b");
	assert_string_equal(KEYS("\xe1\x1d\x45\xe1\x9d\xc5\x1e"), "a");		      /* Pause */
	assert_string_equal(KEYS("\xe0\x2a\xe0\x4b\xe0\xcb\xe0\xaa\x1e"), "\x1b[Da"); /* invented shifts */
	assert_ptr_equal(keymap_find("us"), &keymap_us);
	assert_null(keymap_find("xx"));
}

static void test_keyboard_random(void **state maybe_unused)
{
	test_random_seed(11);
	for (unsigned i = 0; i < 300000; i++) {
		char out[KEYBOARD_OUT_MAX];
		assert_true(keyboard_decode(&keyboard, (uint8_t)test_random(), test_random_below(2), out) <=
			    KEYBOARD_OUT_MAX);
	}
}

int screen_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_text, fresh),
		cmocka_unit_test_setup(test_wrap, fresh),
		cmocka_unit_test_setup(test_scroll, fresh),
		cmocka_unit_test_setup(test_moves, fresh),
		cmocka_unit_test_setup(test_erase, fresh),
		cmocka_unit_test_setup(test_colours, fresh),
		cmocka_unit_test_setup(test_replies, fresh),
		cmocka_unit_test_setup(test_strings_and_unknown, fresh),
		cmocka_unit_test_setup(test_characters, fresh),
		cmocka_unit_test(test_code_page),
		cmocka_unit_test_setup(test_large, fresh),
		cmocka_unit_test_setup(test_reset_in_the_middle, fresh),
		cmocka_unit_test_setup(test_random_output, fresh),
		cmocka_unit_test(test_keyboard),
		cmocka_unit_test(test_keyboard_random),
	};
	return cmocka_run_group_tests_name("screen and keyboard", tests, NULL, NULL);
}
