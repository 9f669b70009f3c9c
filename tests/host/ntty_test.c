/* The line discipline: what is typed against what is echoed and what a program reads. */
#include "lib/test/test.h"

#include "dev/char/n_tty.h"

static struct ntty tty;

static void type_bytes(const char *text, size_t len)
{
	ntty_receive(&tty, (const uint8_t *)text, len);
}

static void type(const char *text)
{
	type_bytes(text, strlen(text));
}

/* All echo so far, taken. */
static const char *echoed(void)
{
	static char text[NTTY_ECHO + 1];
	const uint8_t *bytes;
	size_t n = 0, len;
	while ((len = ntty_echo_peek(&tty, &bytes)) > 0) {
		memcpy(text + n, bytes, len);
		n += len;
		ntty_echo_take(&tty, len);
	}
	text[n] = 0;
	return text;
}

static void expect_read(size_t room, const char *expected, bool expected_done)
{
	uint8_t bytes[NTTY_BUFFER + 1];
	bool done;
	size_t n = ntty_read(&tty, bytes, room, &done);
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(bytes, expected, n);
	assert_int_equal(done, expected_done);
}

static void change(uint32_t lflag_on, uint32_t lflag_off, uint32_t iflag_on, uint32_t iflag_off)
{
	struct termios2 t = tty.termios;
	t.c_lflag = (t.c_lflag | lflag_on) & ~lflag_off;
	t.c_iflag = (t.c_iflag | iflag_on) & ~iflag_off;
	ntty_set_termios(&tty, &t);
}

static int fresh(void **state maybe_unused)
{
	ntty_init(&tty);
	return 0;
}

static void test_line(void **state maybe_unused)
{
	type("hel");
	assert_false(ntty_readable(&tty, 1));
	assert_int_equal(ntty_available(&tty), 0);
	assert_int_equal(tty.effects & NTTY_READABLE, 0);
	type("lo\r");
	assert_true(ntty_readable(&tty, 1));
	assert_true(tty.effects & NTTY_READABLE);
	assert_int_equal(ntty_available(&tty), 6);
	assert_string_equal(echoed(), "hello\r\n");
	expect_read(3, "hel", false);
	expect_read(100, "lo\n", true);
	assert_false(ntty_readable(&tty, 1));
	type("a\nb\n");
	expect_read(100, "a\n", true);
	expect_read(100, "b\n", true);
}

static void test_erase(void **state maybe_unused)
{
	type("abc\x7f\x7f");
	assert_string_equal(echoed(), "abc\b \b\b \b");
	type("\x7f\x7f\x7f");
	assert_string_equal(echoed(), "\b \b");
	type("x\n");
	expect_read(100, "x\n", true);
	echoed();
	type("\x16\x03\x7f"); /* a literal ^C takes two columns */
	assert_string_equal(echoed(), "^\b^C\b \b\b \b");
}

static void test_erase_word_and_line(void **state maybe_unused)
{
	type("one two  three\x17");
	assert_string_equal(echoed(), "one two  three\b \b\b \b\b \b\b \b\b \b");
	type("\x17\n");
	expect_read(100, "one \n", true);
	echoed();
	type("abc\x15");
	assert_string_equal(echoed(), "abc\b \b\b \b\b \b");
	change(0, ECHOKE, 0, 0);
	type("abc\x15");
	assert_string_equal(echoed(), "abc^U\r\n");
	type("\n");
	expect_read(100, "\n", true);
}

static void test_erase_tab(void **state maybe_unused)
{
	type("ab\t\x7f");
	assert_string_equal(echoed(), "ab\t\b\b\b\b\b\b");
	type("c\n");
	expect_read(100, "abc\n", true);
	/* The line begins behind a prompt of three columns. */
	uint8_t out[64];
	size_t used;
	echoed();
	ntty_output(&tty, (const uint8_t *)"\r$ >", 4, &used, out, sizeof(out));
	type("a\t\x7f");
	assert_string_equal(echoed(), "a\t\b\b\b\b");
}

static void test_erase_utf8(void **state maybe_unused)
{
	change(0, 0, IUTF8, 0);
	type("a\xc3\xa4\xe2\x82\xac");
	echoed();
	type("\x7f");
	assert_string_equal(echoed(), "\b \b");
	type("\x7f\n");
	expect_read(100, "a\n", true);
	change(0, 0, 0, IUTF8);
	type("\xc3\xa4\x7f\n");
	expect_read(100, "\xc3\n", true);
}

static void test_erase_print(void **state maybe_unused)
{
	change(ECHOPRT, 0, 0, 0);
	type("abc\x7f\x7f");
	assert_string_equal(echoed(), "abc\\cb");
	type("x");
	assert_string_equal(echoed(), "/x");
	change(0, ECHOPRT | ECHOE, 0, 0);
	type("\x7f");
	assert_string_equal(echoed(), "^?");
}

static void test_end_of_file(void **state maybe_unused)
{
	type("\x04");
	assert_true(ntty_readable(&tty, 1));
	assert_string_equal(echoed(), "");
	expect_read(100, "", true);
	assert_false(ntty_readable(&tty, 1));
	type("abc\x04");
	assert_int_equal(ntty_available(&tty), 3);
	expect_read(100, "abc", true);
	/* A read of just the bytes takes the mark behind them too, or the next read would see a file end. */
	type("abc\x04");
	expect_read(3, "abc", true);
	assert_false(ntty_readable(&tty, 1));
	/* A literal NUL is no mark. */
	type_bytes("\x16\0x\n", 4);
	uint8_t bytes[8];
	bool done;
	assert_int_equal(ntty_read(&tty, bytes, 8, &done), 3);
	assert_memory_equal(bytes, "\0x\n", 3);
}

static void test_line_ends(void **state maybe_unused)
{
	struct termios2 t = tty.termios;
	t.c_cc[VEOL] = ';';
	t.c_cc[VEOL2] = '.';
	ntty_set_termios(&tty, &t);
	type("a;b.c\n");
	expect_read(100, "a;", true);
	expect_read(100, "b.", true);
	expect_read(100, "c\n", true);
}

static void test_literal(void **state maybe_unused)
{
	type("\x16\x03\x16\x16\x16\x7f\x16\n\n");
	assert_int_equal(tty.effects & NTTY_SIGNALS, 0);
	assert_string_equal(echoed(), "^\b^C^\b^V^\b^?^\b^J\r\n");
	expect_read(100, "\x03\x16\x7f\n\n", true);
}

static void test_reprint(void **state maybe_unused)
{
	type("ab\x01\x12");
	assert_string_equal(echoed(), "ab^A^R\r\nab^A");
}

static void test_carriage_returns(void **state maybe_unused)
{
	change(0, 0, IGNCR, 0);
	type("a\rb\n");
	expect_read(100, "ab\n", true);
	change(0, 0, INLCR, IGNCR | ICRNL);
	type("a\nb");
	assert_false(ntty_readable(&tty, 1));
	change(0, 0, ICRNL, INLCR);
	type("\r");
	expect_read(100, "a\rb\n", true);
	change(0, 0, ISTRIP | IUCLC, 0);
	type("\xc1Z\n");
	expect_read(100, "az\n", true);
}

static void test_signals(void **state maybe_unused)
{
	type("abc\x03");
	assert_int_equal(tty.effects & (NTTY_SIGNALS | NTTY_FLUSH_OUTPUT), NTTY_SIGINT | NTTY_FLUSH_OUTPUT);
	assert_string_equal(echoed(), "^C");
	type("\n");
	expect_read(100, "\n", true);
	tty.effects = 0;
	change(NOFLSH, 0, 0, 0);
	type("abc\x1c\x1a\n");
	assert_int_equal(tty.effects & (NTTY_SIGNALS | NTTY_FLUSH_OUTPUT), NTTY_SIGQUIT | NTTY_SIGTSTP);
	expect_read(100, "abc\n", true);
	tty.effects = 0;
	change(0, ISIG, 0, 0);
	type("\x03\n");
	assert_int_equal(tty.effects & NTTY_SIGNALS, 0);
	expect_read(100, "\x03\n", true);
}

static void test_flow(void **state maybe_unused)
{
	type("\x13");
	assert_true(tty.stopped);
	assert_true(tty.effects & NTTY_FLOW);
	type("x");
	assert_true(tty.stopped);
	type("\x11");
	assert_false(tty.stopped);
	type("\x13");
	type("\x03"); /* a signal lets the output go on */
	assert_false(tty.stopped);
	change(0, 0, IXANY, 0);
	type("\x13y");
	assert_false(tty.stopped);
	type("\x13");
	change(0, 0, 0, IXON);
	assert_false(tty.stopped);
	type("\x13\n");
	expect_read(100, "y\x13\n", true);
}

static void test_raw(void **state maybe_unused)
{
	change(0, ICANON | ECHO | ISIG | IEXTEN, 0, ICRNL | IXON);
	type("a\r\x03\x7f\x04");
	assert_true(ntty_readable(&tty, 5));
	assert_false(ntty_readable(&tty, 6));
	assert_string_equal(echoed(), "");
	expect_read(2, "a\r", false);
	expect_read(100, "\x03\x7f\x04", false);
}

static void test_mode_switch(void **state maybe_unused)
{
	type("abc");
	change(0, ICANON, 0, 0);
	assert_int_equal(ntty_available(&tty), 3);
	expect_read(1, "a", false);
	change(ICANON, 0, 0, 0); /* what was typed ahead becomes a line */
	assert_true(ntty_readable(&tty, 1));
	expect_read(100, "bc", true);
	type("x\x7f\n");
	expect_read(100, "\n", true);
}

static void test_full(void **state maybe_unused)
{
	change(0, 0, 0, IMAXBEL);
	for (unsigned i = 0; i < NTTY_BUFFER + 100; i++)
		type("x");
	assert_int_equal(tty.head - tty.tail, NTTY_BUFFER - 1);
	assert_int_equal(tty.dropped, 101);
	type("\n");
	assert_int_equal(ntty_available(&tty), NTTY_BUFFER);
	assert_int_equal(ntty_receive(&tty, (const uint8_t *)"\ny", 2), 0);
	type("\x03"); /* still works */
	assert_true(tty.effects & NTTY_SIGINT);
	assert_int_equal(ntty_available(&tty), 0);
	for (unsigned i = 0; i < 5000; i++) { /* all the way round */
		type("ab\n");
		expect_read(100, "ab\n", true);
		echoed();
	}
}

static void expect_output(const char *in, const char *expected)
{
	uint8_t out[256];
	size_t used;
	size_t n = ntty_output(&tty, (const uint8_t *)in, strlen(in), &used, out, sizeof(out));
	assert_int_equal(used, strlen(in));
	assert_int_equal(n, strlen(expected));
	assert_memory_equal(out, expected, n);
}

static void output_flags(uint32_t flags)
{
	struct termios2 t = tty.termios;
	t.c_oflag = flags;
	ntty_set_termios(&tty, &t);
}

static void test_output(void **state maybe_unused)
{
	expect_output("a\nb\n", "a\r\nb\r\n");
	output_flags(OPOST | XTABS);
	expect_output("\rab\tc\b\b\td\n\t", "\rab      c\b\b d\n       ");
	output_flags(OPOST | OCRNL);
	expect_output("a\r", "a\n");
	output_flags(OPOST | ONOCR);
	expect_output("x\r\r\r", "x\r");
	output_flags(OPOST | OLCUC);
	expect_output("aZ1", "AZ1");
	output_flags(0);
	expect_output("a\n\t", "a\n\t");
	/* Little room: what does not fit is left for the next call. */
	output_flags(OPOST | ONLCR);
	uint8_t out[NTTY_OUTPUT_MAX + 1];
	size_t used;
	assert_int_equal(ntty_output(&tty, (const uint8_t *)"\n\n\n", 3, &used, out, sizeof(out)), 2);
	assert_int_equal(used, 1);
	assert_int_equal(ntty_output(&tty, (const uint8_t *)"\n", 1, &used, out, 3), 0);
}

/* Nothing typed may ever lead outside the buffers or break the order tail <= canon <= head. */
static void test_random_input(void **state maybe_unused)
{
	test_random_seed(42);
	for (unsigned round = 0; round < 200; round++) {
		ntty_init(&tty);
		for (unsigned i = 0; i < 3000; i++) {
			uint8_t bytes[64];
			bool done;
			size_t n = 1 + test_random_below(20);
			for (size_t k = 0; k < n; k++)
				bytes[k] = (uint8_t)(test_random_below(3) ? test_random_below(128) : test_random());
			if (test_random_below(100) == 0) {
				struct termios2 t = tty.termios;
				t.c_iflag = (uint32_t)test_random();
				t.c_lflag = (uint32_t)test_random();
				t.c_oflag = (uint32_t)test_random();
				t.c_cc[test_random_below(NCCS)] = (uint8_t)test_random_below(64);
				ntty_set_termios(&tty, &t);
			}
			ntty_receive(&tty, bytes, n);
			if (test_random_below(4) == 0)
				assert_true(ntty_read(&tty, bytes, test_random_below(64), &done) <= 64);
			if (test_random_below(8) == 0)
				echoed();
			assert_true(tty.head - tty.tail <= NTTY_BUFFER);
			assert_true(tty.head - tty.canon <= NTTY_BUFFER || !(tty.termios.c_lflag & ICANON));
			assert_true(tty.echo_head - tty.echo_tail <= NTTY_ECHO);
			(void)ntty_available(&tty);
		}
	}
}

int ntty_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_line, fresh),
		cmocka_unit_test_setup(test_erase, fresh),
		cmocka_unit_test_setup(test_erase_word_and_line, fresh),
		cmocka_unit_test_setup(test_erase_tab, fresh),
		cmocka_unit_test_setup(test_erase_utf8, fresh),
		cmocka_unit_test_setup(test_erase_print, fresh),
		cmocka_unit_test_setup(test_end_of_file, fresh),
		cmocka_unit_test_setup(test_line_ends, fresh),
		cmocka_unit_test_setup(test_literal, fresh),
		cmocka_unit_test_setup(test_reprint, fresh),
		cmocka_unit_test_setup(test_carriage_returns, fresh),
		cmocka_unit_test_setup(test_signals, fresh),
		cmocka_unit_test_setup(test_flow, fresh),
		cmocka_unit_test_setup(test_raw, fresh),
		cmocka_unit_test_setup(test_mode_switch, fresh),
		cmocka_unit_test_setup(test_full, fresh),
		cmocka_unit_test_setup(test_output, fresh),
		cmocka_unit_test_setup(test_random_input, fresh),
	};
	return cmocka_run_group_tests_name("n_tty", tests, NULL, NULL);
}
