/*
 * Keyboard layouts and broken input: what tools/keymap made of Debian's layouts, AltGr, dead keys, locks, key repeat,
 * and sequences that are not what they should be.
 */
#include "lib/test/test.h"

#include "dev/input/keyboard.h"

static struct keyboard keyboard;

static const char *keys(const char *codes, size_t n)
{
	static char text[256];
	size_t len = 0;
	for (size_t i = 0; i < n && len < sizeof(text) - KEYBOARD_OUT_MAX; i++)
		len += keyboard_decode(&keyboard, (uint8_t)codes[i], false, text + len);
	text[len] = 0;
	return text;
}
#define KEYS(codes) keys(codes, sizeof(codes) - 1)
#define SHIFT(key) "\x2a" key "\xaa"
#define ALTGR(key) "\xe0\x38" key "\xe0\xb8"

static void use(const char *layout)
{
	const struct keymap *map = keymap_find(layout);
	assert_non_null(map);
	keyboard_init(&keyboard, map);
}

static void test_german(void **state maybe_unused)
{
	use("de");
	assert_string_equal(KEYS("\x15\x2c"), "zy");
	assert_string_equal(KEYS("\x1a\x27\x28\x0c"), "üöäß");
	assert_string_equal(KEYS(SHIFT("\x1a\x27\x28\x0c")), "ÜÖÄ?");
	assert_string_equal(KEYS(ALTGR("\x10\x12\x08\x09\x0a\x0b\x0c\x56\x1b") "\x39"), "@€{[]}\\|~");
	assert_string_equal(KEYS("\x56" SHIFT("\x56")), "<>");
	/* Caps Lock turns letters only, umlauts among them. */
	assert_string_equal(KEYS("\x3a\xba\x1a\x15\x02\x0c\x3a\xba\x1a"), "ÜZ1ßü");
	/* Ctrl goes by the layout, too. */
	assert_string_equal(KEYS("\x1d\x2c\x9d"), "\x19");
}

static void test_german_dead_keys(void **state maybe_unused)
{
	use("de");
	assert_string_equal(KEYS("\x0d\x12"), "é");	      /* acute, e */
	assert_string_equal(KEYS(SHIFT("\x0d") "\x1e"), "à"); /* grave, a */
	assert_string_equal(KEYS("\x29\x18"), "ô");	      /* circumflex, o */
	assert_string_equal(KEYS("\x29" SHIFT("\x18")), "Ô");
	assert_string_equal(KEYS("\x29\x39"), "^");	  /* space: the accent alone */
	assert_string_equal(KEYS("\x29\x29"), "^");	  /* twice: the same */
	assert_string_equal(KEYS("\x29\x2d"), "^x");	  /* nothing to become */
	assert_string_equal(KEYS("\x0d\x29\x12"), "´ê");  /* the second takes over */
	assert_string_equal(KEYS("\x29\x1c\x12"), "\re"); /* another key forgets it */
	use("de-nodeadkeys");
	assert_string_equal(KEYS("\x29\x18"), "^o");
}

static void test_french(void **state maybe_unused)
{
	use("fr");
	assert_string_equal(KEYS("\x10\x11\x1e\x2c\x27"), "azqwm");
	assert_string_equal(KEYS("\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"), "&é\"'(-è_çà");
	assert_string_equal(KEYS(SHIFT("\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b")), "1234567890");
	assert_string_equal(KEYS(ALTGR("\x04\x05\x06\x07\x09\x0b\x0d\x12")), "#{[|\\@}€");
	assert_string_equal(KEYS("\x1a\x12\x1a\x16"), "êû");
	assert_string_equal(KEYS(SHIFT("\x1a") "\x12\x17"), "ëi");
	assert_string_equal(KEYS("\x29"), "œ"); /* outside Latin-1 */
}

/* In the US layout the right Alt key is a second Alt; elsewhere it is not. */
static void test_altgr_or_alt(void **state maybe_unused)
{
	use("us");
	assert_string_equal(KEYS(ALTGR("\x10")), "\x1bq");
	use("de");
	assert_string_equal(KEYS(ALTGR("\x30")), "b");
	assert_string_equal(KEYS("\x38\x15\xb8"), "\x1bz");
}

/* Shift and Ctrl are there twice, and each counts until both are let go; Ctrl makes the control codes, and nothing of
 * what has none. */
static void test_modifiers(void **state maybe_unused)
{
	use("us");
	assert_string_equal(KEYS("\x36\x1e\xb6\x1e"), "Aa"); /* right Shift */
	assert_string_equal(KEYS("\x2a\x36\x1e\xaa\x1e\xb6\x1e"), "AAa");
	assert_string_equal(KEYS("\xe0\x1d\x2e\xe0\x9d\x2e"),
			    "\x03"
			    "c"); /* right Ctrl */
	assert_string_equal(KEYS("\x1d\x1a\x2b\x1b\x04\x06\x09\x35\x9d"), "\x1b\x1c\x1d\x1b\x1d\x7f\x1f");
	assert_string_equal(KEYS("\x1d\x2a\x07\xaa\x0a\x9d\x1e"),
			    "\x1e"
			    "a"); /* Ctrl-^; Ctrl-9 is nothing */
}

static void test_repeat(void **state maybe_unused)
{
	use("us");
	assert_string_equal(KEYS("\x1e\x1e\x1e\x1e\x9e"), "aaaa");
	assert_string_equal(KEYS("\xe0\x48\xe0\x48\xe0\x48\xe0\xc8"), "\x1b[A\x1b[A\x1b[A");
	/* A lock that is held toggles once. */
	assert_string_equal(KEYS("\x3a\x3a\x3a\x3a\xba\x1e\x3a\xba\x1e"), "Aa");
	keyboard.leds_changed = false;
	assert_string_equal(KEYS("\x45\x45\x45\xc5\x47"), "7");
	assert_true(keyboard.leds_changed && keyboard.num_lock);
	/* So does Shift. */
	assert_string_equal(KEYS("\x2a\x2a\x2a\x1e\xaa\x1e"), "Aa");
}

static void test_print_and_pause(void **state maybe_unused)
{
	use("us");
	assert_string_equal(KEYS("\xe0\x2a\xe0\x37\xe0\xb7\xe0\xaa\x1e"), "a"); /* Print, and its invented Shift */
	assert_string_equal(KEYS("\xe0\x2a\x1e\xe0\xaa\xe0\x36\x1e\xe0\xb6"), "aa");
	assert_string_equal(KEYS("\x2a\xe0\xaa\x1e\xaa"), "A"); /* nor is its release */
	assert_string_equal(KEYS("\xe1\x1d\x45\xe1\x9d\xc5\x1e\x47"),
			    "a\x1b[1~");				/* Pause: neither Ctrl nor Num Lock */
	assert_string_equal(KEYS("\x1d\xe0\x46\xe0\xc6\x9d\x1e"), "a"); /* Ctrl-Break */
	assert_false(keyboard.num_lock || keyboard.scroll_lock || keyboard.ctrl_left);
}

/* Wherever a sequence is cut, the key after it counts again. */
static void test_malformed(void **state maybe_unused)
{
	static const char pause[] = "\xe1\x1d\x45\xe1\x9d\xc5";
	for (size_t cut = 1; cut < sizeof(pause) - 1; cut++) {
		use("us");
		(void)keys(pause, cut);
		assert_string_equal(KEYS("\x1e\x9e"), "a");
	}
	use("us");
	assert_string_equal(KEYS("\xe0\xe0\xe0\x48"), "\x1b[A");
	assert_string_equal(KEYS("\xe0\xe1\x1d\x45\xe1\x9d\xc5\x1e"), "a");
	assert_string_equal(KEYS("\xe0\x00\x1e"), "a");
	/* Bytes were lost, the release of Shift and Ctrl maybe among them. */
	assert_string_equal(KEYS("\x2a\x1d\xff\x1e\x00\x1e"), "aa");
	/* Codes of no key at all. */
	assert_string_equal(KEYS("\x55\x59\x5a\x6f\x7e\x80\xd9\xfe\x1e"), "a");
	assert_string_equal(KEYS("\xe0\x01\xe0\x02\xe0\x10\xe0\x5b\xe0\xdb\x1e"), "a");
}

static void test_random_in_each_layout(void **state maybe_unused)
{
	test_random_seed(12);
	for (const struct keymap *const *m = keymaps_generated; *m; m++) {
		keyboard_init(&keyboard, *m);
		assert_true((*m)->compose_count > 20);
		for (int i = 0; i < 200000; i++) {
			char out[KEYBOARD_OUT_MAX];
			assert_true(keyboard_decode(&keyboard, (uint8_t)test_random(), test_random_below(2), out) <=
				    KEYBOARD_OUT_MAX);
		}
		(void)KEYS("\xff\x1c"); /* let go of all, end what was begun */
		keyboard.caps_lock = false;
		assert_string_equal(KEYS("\x39"), " ");
	}
}

int keyboard_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_german),
		cmocka_unit_test(test_german_dead_keys),
		cmocka_unit_test(test_french),
		cmocka_unit_test(test_altgr_or_alt),
		cmocka_unit_test(test_modifiers),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_print_and_pause),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_random_in_each_layout),
	};
	return cmocka_run_group_tests_name("keyboard", tests, NULL, NULL);
}
