/* Runs every group of host tests, lib/'s and those of other floors' pure parts (tests/host/); the exit status is 0 if
 * all of them pass.  An argument picks tests by name, with `*` for any characters. */
#include "lib/test/test.h"

static uint64_t random_state;

void test_random_seed(uint64_t seed)
{
	random_state = seed;
}

uint64_t test_random(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint8_t *read_stream(FILE *stream, size_t *len)
{
	size_t size = 0, capacity = 1 << 16;
	uint8_t *bytes = malloc(capacity);

	for (;;) {
		size_t got = fread(bytes + size, 1, capacity - size, stream);

		if (!got)
			break;
		size += got;
		if (size == capacity) {
			uint8_t *larger = realloc(bytes, capacity *= 2);

			if (!larger)
				abort();
			bytes = larger;
		}
	}
	*len = size;
	/* exactly as long as it is, so that the address sanitizer sees reads past the end */
	uint8_t *exact = malloc(size ? size : 1);

	memcpy(exact, bytes, size);
	free(bytes);
	return exact;
}

uint8_t *test_read_file(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rb");

	if (!file)
		return NULL;

	uint8_t *bytes = read_stream(file, len);

	fclose(file);
	return bytes;
}

uint8_t *test_read_command(const char *command, size_t *len)
{
	FILE *pipe = popen(command, "r");

	if (!pipe)
		return NULL;

	uint8_t *bytes = read_stream(pipe, len);

	if (pclose(pipe) != 0) {
		free(bytes);
		return NULL;
	}
	return bytes;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	failed += list_tests();
	failed += rbtree_tests();
	failed += radix_tests();
	failed += bitmap_tests();
	failed += ring_tests();
	failed += string_tests();
	failed += printf_tests();
	failed += hash_tests();
	failed += utf8_tests();
	failed += psf_tests();
	failed += cpio_tests();
	failed += gzip_tests();
	failed += elf_tests();
	failed += cmdline_tests();
	failed += memmap_tests();
	failed += allocator_tests();
	failed += lineedit_tests();
	failed += ntty_tests();
	failed += screen_tests();
	failed += keyboard_tests();
	failed += devmisc_tests();
	return failed != 0;
}
