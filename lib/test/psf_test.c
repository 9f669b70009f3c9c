/* lib/psf: fonts of both versions, made here; cut off and changed at random they must be refused or read
 * inside bounds. */
#include "lib/test/test.h"

#include "lib/psf.h"
#include "lib/unaligned.h"

static uint32_t last_glyph[0x3000]; /* glyph + 1 of each character seen */
static unsigned characters;

static void note(void *arg maybe_unused, uint32_t code, uint32_t glyph)
{
	characters++;
	if (code < ARRAY_SIZE(last_glyph))
		last_glyph[code] = glyph + 1;
}

static void read_table(const struct psf_font *f)
{
	memset(last_glyph, 0, sizeof(last_glyph));
	characters = 0;
	psf_each_character(f, note, NULL);
}

/* 256 glyphs of 8 x 4; glyph 1 is A and U+2500, glyph 2 is B and, as a sequence, e with an accent. */
static size_t make1(uint8_t *to)
{
	static const uint16_t table[] = {0xffff, 'A', 0x2500, 0xffff, 'B', 0xfffe, 'e', 0x301, 0xffff};
	to[0] = 0x36;
	to[1] = 0x04;
	to[2] = 0x02;
	to[3] = 4;
	for (unsigned i = 0; i < 1024; i++)
		to[4 + i] = (uint8_t)(i / 4);
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		store_le16(to + 1028 + 2 * i, table[i]);
	return 1028 + sizeof(table);
}

/* Two glyphs of 12 x 3. */
static size_t make2(uint8_t *to)
{
	static const uint8_t table[] = {'A', 0xe2, 0x94, 0x80, 0xff, 'B', 0xfe, 'e', 0xcc, 0x81, 0xff};
	static const uint32_t header[8] = {0x864ab572, 0, 32, 1, 2, 6, 3, 12};
	for (unsigned i = 0; i < 8; i++)
		store_le32(to + 4 * i, header[i]);
	for (unsigned i = 0; i < 12; i++)
		to[32 + i] = (uint8_t)(0x10 + i);
	memcpy(to + 44, table, sizeof(table));
	return 44 + sizeof(table);
}

/* The table has three characters: A and U+2500 of one glyph, B of another. */
static void check_table(const struct psf_font *f, uint32_t a, uint32_t b)
{
	read_table(f);
	assert_int_equal(characters, 3);
	assert_int_equal(last_glyph['A'], a + 1);
	assert_int_equal(last_glyph[0x2500], a + 1);
	assert_int_equal(last_glyph['B'], b + 1);
}

static void test_version1(void **state maybe_unused)
{
	uint8_t data[2048];
	struct psf_font f;
	assert_int_equal(psf_open(data, make1(data), &f), 0);
	assert_int_equal(f.count, 256);
	assert_int_equal(f.width, 8);
	assert_int_equal(f.height, 4);
	assert_int_equal(psf_glyph(&f, 7)[3], 7);
	check_table(&f, 1, 2);
	assert_int_equal(last_glyph['e'], 0);
}

static void test_version2(void **state maybe_unused)
{
	uint8_t data[128];
	struct psf_font f;
	assert_int_equal(psf_open(data, make2(data), &f), 0);
	assert_int_equal(f.count, 2);
	assert_int_equal(f.width, 12);
	assert_int_equal(f.row_bytes, 2);
	assert_int_equal(psf_glyph(&f, 1)[0], 0x16);
	check_table(&f, 0, 1);
}

/* Every glyph and the whole table are touched, in a copy that is exactly as long as it says (ASan looks on). */
static void use(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct psf_font f;
	unsigned sum = 0;
	memcpy(copy, data, len);
	if (psf_open(copy, len, &f) == 0) {
		for (uint32_t g = 0; g < f.count; g++)
			for (uint32_t i = 0; i < f.height * f.row_bytes; i++)
				sum += psf_glyph(&f, g)[i];
		read_table(&f);
	}
	assert_true(sum < UINT32_MAX);
	free(copy);
}

static void test_damaged(void **state maybe_unused)
{
	uint8_t data[2][2048];
	size_t len[2] = {make1(data[0]), make2(data[1])};
	struct psf_font f;
	assert_int_equal(psf_open("no font at all, but long enough for one", 39, &f), -EINVAL);
	for (unsigned v = 0; v < 2; v++)
		for (size_t cut = 0; cut < len[v]; cut++)
			use(data[v], cut);
	test_random_seed(3);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t changed[2048];
		unsigned v = i & 1;
		memcpy(changed, data[v], len[v]);
		for (unsigned n = 0; n < 3; n++)
			changed[test_random_below(v ? len[v] : 8)] = (uint8_t)test_random();
		use(changed, len[v]);
	}
}

int psf_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_version1),
		cmocka_unit_test(test_version2),
		cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests_name("fonts", tests, NULL, NULL);
}
