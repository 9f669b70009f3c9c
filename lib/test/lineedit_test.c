/* The line editor, played against a terminal of one row: what it shows must be what it holds. */
#include "lib/test/test.h"

#include "lib/lineedit.h"
#include "lib/string.h"

static struct lineedit editor;
static char row[256]; /* the terminal's row, and where its cursor is */
static size_t column;
static unsigned bells, new_lines;
static char all[65536]; /* everything shown */
static size_t all_len;

static void terminal(struct lineedit *e maybe_unused, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (all_len < sizeof(all) - 1)
			all[all_len++] = text[i];
		if (text[i] == '\n') {
			memset(row, ' ', sizeof(row));
			column = 0;
			new_lines++;
		} else if (text[i] == '\b') {
			assert_true(column > 0);
			column--;
		} else if (text[i] == '\a') {
			bells++;
		} else if ((unsigned char)text[i] >= ' ') {
			assert_true(column < 80);
			row[column++] = text[i];
		}
	}
	all[all_len] = '\0';
}

static const char *const words[] = {"clear", "help", "locks", "log", "mem", "mounts"};

static const char *candidate(struct lineedit *e maybe_unused, const char *before, unsigned i)
{
	if (before[0] && !str_equal(before, "help "))
		return NULL;
	return i < ARRAY_SIZE(words) ? words[i] : NULL;
}

static const struct lineedit_ops ops = {.show = terminal, .candidate = candidate};

static int fresh(void **state maybe_unused)
{
	memset(row, ' ', sizeof(row));
	column = bells = new_lines = 0;
	all_len = 0;
	lineedit_init(&editor, &ops, "> ");
	lineedit_start(&editor);
	return 0;
}

static enum lineedit_result type(const char *text)
{
	enum lineedit_result r = LINEEDIT_MORE;
	for (; *text; text++) {
		r = lineedit_byte(&editor, (uint8_t)*text);
		if (r != LINEEDIT_MORE && text[1])
			lineedit_start(&editor);
	}
	return r;
}

/* The row shows the prompt and the line, nothing behind it, and the cursor where the editor has it. */
static void expect(const char *line, size_t cursor)
{
	char want[256];
	memset(want, ' ', sizeof(want));
	memcpy(want, "> ", 2);
	memcpy(want + 2, line, strlen(line));
	assert_string_equal(editor.text, line);
	assert_int_equal(editor.len, strlen(line));
	assert_int_equal(editor.cursor, cursor);
	assert_int_equal(column, cursor + 2);
	assert_memory_equal(row, want, sizeof(want));
}

static void test_typing_and_moving(void **state maybe_unused)
{
	type("helo\x02l");
	expect("hello", 4);
	type("\x01>\x05<");
	expect(">hello<", 7);
	type("\x1b[D\x1b[D\x1b[D\x7f");
	expect(">helo<", 3);
	type("\x1b[H\x1b[3~\x1b[F\b");
	expect("helo", 4);
	type("\x1bOD\x1bOD\x04");
	expect("heo", 2);
	type("\x1b[1~\x1b[C\x1b[4~!");
	expect("heo!", 4);
	assert_int_equal(bells, 0);
}

static void test_erasing(void **state maybe_unused)
{
	type("peek 0x1000  64\x17");
	expect("peek 0x1000  ", 13);
	type("\x17");
	expect("peek ", 5);
	type("\x19"
	     "b\x01\x06\x0b");
	expect("p", 1);
	type("\x15");
	expect("", 0);
	type("\x19");
	expect("p", 1);
	type("\x15\x15\x0b\x17\x7f");
	assert_int_equal(bells, 4);
}

static void test_limits(void **state maybe_unused)
{
	char line[LINEEDIT_MAX + 1];
	memset(line, 'x', LINEEDIT_MAX);
	line[LINEEDIT_MAX] = '\0';
	type(line);
	expect(line, LINEEDIT_MAX);
	type("y");
	assert_int_equal(bells, 1);
	expect(line, LINEEDIT_MAX);
	type("\x1b[C\xc3\xa4\x01\x1b[D");
	assert_int_equal(bells, 5);
	type("\x1b[99;5~\x1b[200z");
	expect(line, 0);
}

static void test_results(void **state maybe_unused)
{
	assert_int_equal(type("mem\r"), LINEEDIT_LINE);
	assert_string_equal(editor.text, "mem");
	lineedit_start(&editor);
	assert_int_equal(type("abc\x03"), LINEEDIT_INTERRUPT);
	lineedit_start(&editor);
	expect("", 0);
	assert_int_equal(type("\x04"), LINEEDIT_END);
}

static void test_history(void **state maybe_unused)
{
	type("one\ntwo\ntwo\n\nthree\ndra\x10");
	expect("three", 5);
	type("\x1b[A");
	expect("two", 3);
	type("\x10");
	expect("one", 3);
	assert_int_equal(bells, 0);
	type("\x10");
	assert_int_equal(bells, 1);
	type("\x0e\x0e\x1b[B");
	expect("dra", 3);
	type("\x0e");
	assert_int_equal(bells, 2);
	for (int i = 0; i < 2 * LINEEDIT_HISTORY; i++) {
		char line[16];
		sprintf(line, "\x15n%d\n.", i);
		type(line);
	}
	for (int i = 0; i < LINEEDIT_HISTORY; i++)
		type("\x10");
	expect("n16", 3);
}

static void test_completion(void **state maybe_unused)
{
	type("c\t");
	expect("clear ", 6);
	type("\x15m\t");
	assert_int_equal(bells, 1);
	expect("m", 1);
	type("\t");
	assert_non_null(strstr(all, "\nmem  mounts  \n> m"));
	expect("m", 1);
	type("o\t");
	expect("mounts ", 7);
	type("\x15help l\t");
	expect("help lo", 7);
	type("c\t");
	expect("help locks ", 11);
	type("\x15peek \t");
	expect("peek ", 5);
	type("\x15zz\t");
	expect("zz", 2);
	type("\x15"
	     "cx\x02\t"); /* in the middle: completes up to the cursor */
	expect("clearx", 5);
}

static void test_split(void **state maybe_unused)
{
	char line[] = "  bt   \"two words\" 12  ", *w[3];
	assert_int_equal(lineedit_split(line, w, 3), 3);
	assert_string_equal(w[0], "bt");
	assert_string_equal(w[1], "two words");
	assert_string_equal(w[2], "12");
	char none[] = "   ", many[] = "a b c d", open[] = "\"a b";
	assert_int_equal(lineedit_split(none, w, 3), 0);
	assert_int_equal(lineedit_split(many, w, 3), 3);
	assert_string_equal(w[2], "c");
	assert_int_equal(lineedit_split(open, w, 3), 1);
	assert_string_equal(w[0], "a b");
}

static void test_random_keys(void **state maybe_unused)
{
	static const char *const keys[] = {"\x1b[", "\x1b", "\x1bO", "A",    "B",    "C",  "D",
					   "3~",    "\x01", "\x05",  "\x02", "\x06", " ",  "mem",
					   "\x0b",  "\x15", "\x17",  "\x19", "\t",   "\n", "\x10"};
	test_random_seed(3);
	for (unsigned i = 0; i < 200000; i++) {
		char one[2] = {(char)(1 + test_random_below(255)), 0};
		const char *text = test_random_below(4) ? keys[test_random_below(ARRAY_SIZE(keys))] : one;
		for (; *text; text++) {
			if (*text == 0x0c)
				continue; /* this terminal cannot clear */
			if (lineedit_byte(&editor, (uint8_t)*text) != LINEEDIT_MORE) {
				memset(row, ' ', sizeof(row));
				column = 0;
				lineedit_start(&editor);
			}
			char line[LINEEDIT_MAX + 1];
			strlcpy(line, editor.text, sizeof(line));
			expect(line, editor.cursor);
		}
		all_len = 0;
	}
}

int lineedit_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_typing_and_moving, fresh),
		cmocka_unit_test_setup(test_erasing, fresh),
		cmocka_unit_test_setup(test_limits, fresh),
		cmocka_unit_test_setup(test_results, fresh),
		cmocka_unit_test_setup(test_history, fresh),
		cmocka_unit_test_setup(test_completion, fresh),
		cmocka_unit_test_setup(test_split, fresh),
		cmocka_unit_test_setup(test_random_keys, fresh),
	};
	return cmocka_run_group_tests_name("line editor", tests, NULL, NULL);
}
