/*
 * The command-line splitter. Words are copied out of the line, which stays untouched: it is shown in /proc/cmdline as
 * the boot loader passed it.
 */
#include "lib/cmdline.h"

#include <linux/errno.h>

#include "lib/string.h"

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The end of the raw word at `s`, quotes included: a blank that is not quoted, or the NUL. */
static const char *raw_end(const char *s)
{
	bool quoted = false;

	for (; *s && (quoted || !is_blank(*s)); s++)
		quoted ^= *s == '"';
	return s;
}

/*
 * A raw word is at most [quote] key [= [quote] value [quote]] [quote]; the marked quotes, where present, go. A '=' at
 * the very start belongs to the key.
 */
struct raw_word {
	const char *key, *key_end;
	const char *value, *value_end; /* NULL without '=' */
};

static struct raw_word raw_split(const char *start, const char *end)
{
	bool whole_quoted = *start == '"';
	struct raw_word raw = {.key = start + whole_quoted};

	for (raw.key_end = raw.key; raw.key_end < end; raw.key_end++) {
		if (*raw.key_end == '=' && raw.key_end > raw.key)
			break;
	}
	if (raw.key_end < end) {
		raw.value = raw.key_end + 1;
		raw.value_end = end;
		bool value_quoted = raw.value < end && *raw.value == '"';

		raw.value += value_quoted;
		if ((value_quoted || whole_quoted) && raw.value_end > raw.value && raw.value_end[-1] == '"')
			raw.value_end--;
	} else if (whole_quoted && raw.key_end > raw.key && raw.key_end[-1] == '"') {
		raw.key_end--;
	}
	return raw;
}

int cmdline_next(struct cmdline_iter *iter, char *buf, size_t buf_len, struct cmdline_word *word)
{
	const char *start = iter->next, *end;

	for (;;) {
		while (is_blank(*start))
			start++;
		end = raw_end(start);
		iter->next = end;
		if (start == end)
			return 0;
		if (iter->after_dashes || end - start != 2 || start[0] != '-' || start[1] != '-')
			break;
		iter->after_dashes = true;
		start = end;
	}

	struct raw_word raw = raw_split(start, end);
	size_t key_len = (size_t)(raw.key_end - raw.key);
	size_t value_len = raw.value ? (size_t)(raw.value_end - raw.value) : 0;
	size_t len = key_len + (raw.value ? 1 + value_len : 0);

	if (len >= buf_len)
		return -ENAMETOOLONG;
	memcpy(buf, raw.key, key_len);
	if (raw.value) {
		buf[key_len] = '=';
		memcpy(buf + key_len + 1, raw.value, value_len);
	}
	buf[len] = '\0';
	*word = (struct cmdline_word){.text = buf, .key_len = len, .for_init = iter->after_dashes};
	if (raw.value && !word->for_init) {
		word->key_len = key_len;
		word->value = buf + key_len + 1;
	}
	return 1;
}

bool cmdline_key_is(const struct cmdline_word *word, const char *key)
{
	size_t i;

	if (word->for_init)
		return false;
	for (i = 0; i < word->key_len && key[i]; i++) {
		char a = word->text[i] == '-' ? '_' : word->text[i];
		char b = key[i] == '-' ? '_' : key[i];

		if (a != b)
			return false;
	}
	return i == word->key_len && !key[i];
}

/* Whether the raw word at `iter` would have this key, without a buffer to copy it to. */
static bool raw_key_is(const char *start, const char *key)
{
	struct raw_word raw = raw_split(start, raw_end(start));
	struct cmdline_word word = {.text = raw.key, .key_len = (size_t)(raw.key_end - raw.key)};

	return cmdline_key_is(&word, key);
}

int cmdline_find(const char *line, const char *key, char *buf, size_t buf_len, struct cmdline_word *word)
{
	const char *found = NULL;

	for (const char *end; *line; line = end) {
		while (is_blank(*line))
			line++;
		end = raw_end(line);
		if (end - line == 2 && line[0] == '-' && line[1] == '-')
			break;
		if (end > line && raw_key_is(line, key))
			found = line;
	}
	if (!found)
		return 0;
	return cmdline_next(&CMDLINE_ITER(found), buf, buf_len, word);
}

/* How many bits K, M, G … shift, or 0. */
static unsigned int suffix_shift(char c)
{
	static const char suffixes[] = "KMGTPE";

	for (unsigned int i = 0; suffixes[i]; i++) {
		if (c == suffixes[i] || c == (suffixes[i] | 0x20))
			return (i + 1) * 10;
	}
	return 0;
}

int cmdline_u64(const char *value, uint64_t *out)
{
	char digits[72]; /* more than 64 bits need in any base */
	size_t len = strlen(value);
	unsigned int shift = 0;
	uint64_t number;
	int error;

	/* 'e' is a digit in base 16, so there "0x1e" is thirty and not 1 EiB */
	if (len && !(value[0] == '0' && (value[1] | 0x20) == 'x' && (value[len - 1] | 0x20) == 'e'))
		shift = suffix_shift(value[len - 1]);
	if (shift)
		len--;
	if (len >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, value, len);
	digits[len] = '\0';
	error = str_to_u64(digits, 0, &number);
	if (error)
		return error;
	if (number << shift >> shift != number)
		return -ERANGE;
	*out = number << shift;
	return 0;
}
