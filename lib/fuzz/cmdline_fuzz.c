/* Fuzzes lib/cmdline: the first byte sizes the buffer, the rest is the line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cmdline.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	size_t size = len ? 1 + input[0] : 1, words = 0;
	char *line, *buf, *other;
	struct cmdline_iter iter;
	struct cmdline_word word, found;
	uint64_t number;
	int got;

	if (!len)
		return 0;
	line = malloc(len);
	memcpy(line, input + 1, len - 1);
	line[len - 1] = '\0';
	buf = malloc(size);
	other = malloc(size);
	iter = CMDLINE_ITER(line);
	while ((got = cmdline_next(&iter, buf, size, &word)) != 0) {
		require(++words <= len);
		if (got < 0) {
			require(got == -ENAMETOOLONG);
			continue;
		}
		require(word.text == buf && strlen(buf) < size);
		require(word.value ? word.value == buf + word.key_len + 1 : word.key_len == strlen(buf));
		if (word.value) {
			buf[word.key_len] = '\0';
			/* the last one with this key is found, unless it does not fit */
			got = cmdline_find(line, buf, other, size, &found);
			require(got == 1 || got == -ENAMETOOLONG);
			require(got < 0 || cmdline_key_is(&found, buf));
			(void)cmdline_u64(word.value, &number);
		}
	}
	require(!*iter.next);
	free(other);
	free(buf);
	free(line);
	return 0;
}
