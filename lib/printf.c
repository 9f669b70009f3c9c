/*
 * Formatted output.
 *
 * A format is walked once: plain stretches go to the sink as they are, each conversion is first parsed into a `spec`
 * and then rendered. Every rendered conversion is [blanks][prefix][zeros][body][blanks], so one function does all the
 * padding. Digits are produced backwards into a buffer large enough for 64 bits in octal; longer precision is padding,
 * not buffer.
 */
#include "lib/printf.h"

#include "lib/string.h"

#define INT_LIMIT __INT_MAX__ /* <limits.h> is not freestanding everywhere */
#define DIGITS_MAX 22	      /* 2^64 - 1 in octal */

struct spec {
	bool left, plus, blank, alternate, zero;
	bool has_precision;
	size_t width, precision;
	int length; /* bytes of the integer argument */
	char conversion;
};

struct output {
	struct fmt_sink *sink;
	size_t total;
	va_list args;
};

static void put(struct output *out, const char *text, size_t len)
{
	if (len)
		out->sink->put(out->sink, text, len);
	if (__builtin_add_overflow(out->total, len, &out->total))
		out->total = SIZE_MAX;
}

static void put_repeated(struct output *out, char c, size_t count)
{
	char chunk[16];

	if (!count)
		return;
	memset(chunk, c, sizeof(chunk));
	for (; count > sizeof(chunk); count -= sizeof(chunk))
		put(out, chunk, sizeof(chunk));
	put(out, chunk, count);
}

static void put_padded(struct output *out, const struct spec *spec, const char *prefix, size_t zeros, const char *body,
		       size_t body_len)
{
	size_t prefix_len = strlen(prefix), len = prefix_len + zeros + body_len;
	size_t blanks = spec->width > len ? spec->width - len : 0;

	if (!spec->left)
		put_repeated(out, ' ', blanks);
	put(out, prefix, prefix_len);
	put_repeated(out, '0', zeros);
	put(out, body, body_len);
	if (spec->left)
		put_repeated(out, ' ', blanks);
}

static uint64_t fetch_unsigned(struct output *out, const struct spec *spec)
{
	switch (spec->length) {
	case 1:
		return (uint8_t)va_arg(out->args, unsigned int);
	case 2:
		return (uint16_t)va_arg(out->args, unsigned int);
	case 4:
		return va_arg(out->args, unsigned int);
	default:
		return va_arg(out->args, unsigned long long);
	}
}

static int64_t fetch_signed(struct output *out, const struct spec *spec)
{
	switch (spec->length) {
	case 1:
		return (int8_t)va_arg(out->args, int);
	case 2:
		return (int16_t)va_arg(out->args, int);
	case 4:
		return va_arg(out->args, int);
	default:
		return va_arg(out->args, long long);
	}
}

/* Writes the digits of `value` so that they end at `end` and returns their start; none at all for 0. */
static char *render_digits(char *end, uint64_t value, unsigned int base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	if (base == 10) {
		for (; value; value /= 10)
			*--end = (char)('0' + value % 10);
	} else {
		unsigned int shift = base == 16 ? 4 : 3;

		for (; value; value >>= shift)
			*--end = digits[value & (base - 1)];
	}
	return end;
}

static void put_number(struct output *out, const struct spec *spec, uint64_t value, const char *prefix,
		       unsigned int base)
{
	char buf[DIGITS_MAX], *end = buf + sizeof(buf);
	char *start = render_digits(end, value, base, spec->conversion == 'X');
	size_t count = end - start;
	size_t wanted = spec->has_precision ? spec->precision : 1;

	if (base == 8 && spec->alternate && wanted <= count)
		wanted = count + 1;
	if (spec->zero && !spec->left && !spec->has_precision) {
		size_t prefix_len = strlen(prefix);

		wanted = MAX(wanted, spec->width > prefix_len ? spec->width - prefix_len : 0);
	}
	put_padded(out, spec, prefix, wanted > count ? wanted - count : 0, start, count);
}

static void put_signed(struct output *out, const struct spec *spec)
{
	int64_t value = fetch_signed(out, spec);
	const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->blank ? " " : "";

	put_number(out, spec, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, sign, 10);
}

static void put_hex(struct output *out, const struct spec *spec)
{
	uint64_t value = fetch_unsigned(out, spec);
	const char *prefix = !spec->alternate || !value ? "" : spec->conversion == 'X' ? "0X" : "0x";

	put_number(out, spec, value, prefix, 16);
}

static void put_string(struct output *out, const struct spec *spec)
{
	const char *text = va_arg(out->args, const char *);

	if (!text)
		text = "(null)";
	put_padded(out, spec, "", 0, text, spec->has_precision ? strnlen(text, spec->precision) : strlen(text));
}

static void put_char(struct output *out, const struct spec *spec)
{
	char c = (char)va_arg(out->args, int);

	put_padded(out, spec, "", 0, &c, 1);
}

/* Renders one conversion; false if it is not known. */
static bool convert(struct output *out, const struct spec *spec)
{
	switch (spec->conversion) {
	case 'd':
	case 'i':
		put_signed(out, spec);
		return true;
	case 'u':
		put_number(out, spec, fetch_unsigned(out, spec), "", 10);
		return true;
	case 'o':
		put_number(out, spec, fetch_unsigned(out, spec), "", 8);
		return true;
	case 'x':
	case 'X':
		put_hex(out, spec);
		return true;
	case 'p':
		put_number(out, spec, (uintptr_t)va_arg(out->args, void *), "0x", 16);
		return true;
	case 's':
		put_string(out, spec);
		return true;
	case 'c':
		put_char(out, spec);
		return true;
	case '%':
		put(out, "%", 1);
		return true;
	default:
		return false;
	}
}

static const char *parse_flags(const char *fmt, struct spec *spec)
{
	for (;; fmt++) {
		switch (*fmt) {
		case '-':
			spec->left = true;
			break;
		case '+':
			spec->plus = true;
			break;
		case ' ':
			spec->blank = true;
			break;
		case '#':
			spec->alternate = true;
			break;
		case '0':
			spec->zero = true;
			break;
		default:
			return fmt;
		}
	}
}

/* A decimal number or '*'. A value too large for an int is taken as INT_LIMIT. */
static const char *parse_count(const char *fmt, struct output *out, int *count)
{
	*count = 0;
	if (*fmt == '*') {
		*count = va_arg(out->args, int);
		return fmt + 1;
	}
	for (; *fmt >= '0' && *fmt <= '9'; fmt++) {
		if (__builtin_mul_overflow(*count, 10, count) || __builtin_add_overflow(*count, *fmt - '0', count))
			*count = INT_LIMIT;
	}
	return fmt;
}

static const char *parse_length(const char *fmt, struct spec *spec)
{
	spec->length = sizeof(int);
	switch (*fmt) {
	case 'h':
		spec->length = fmt[1] == 'h' ? sizeof(char) : sizeof(short);
		return fmt[1] == 'h' ? fmt + 2 : fmt + 1;
	case 'l':
		spec->length = sizeof(long long);
		return fmt[1] == 'l' ? fmt + 2 : fmt + 1;
	case 'z':
	case 't':
	case 'j':
		spec->length = sizeof(long long);
		return fmt + 1;
	default:
		return fmt;
	}
}

_Static_assert(sizeof(long) == sizeof(long long) && sizeof(size_t) == sizeof(long long),
	       "LP64: l, ll, z, t, j are one");

/* Parses from behind the '%' up to and including the conversion character (not including a terminating NUL). */
static const char *parse_spec(const char *fmt, struct output *out, struct spec *spec)
{
	int count;

	*spec = (struct spec){0};
	fmt = parse_flags(fmt, spec);
	fmt = parse_count(fmt, out, &count);
	spec->left |= count < 0;
	spec->width = count < 0 ? 0u - (unsigned int)count : (unsigned int)count;
	if (*fmt == '.') {
		fmt = parse_count(fmt + 1, out, &count);
		spec->has_precision = count >= 0;
		spec->precision = count < 0 ? 0 : count;
	}
	fmt = parse_length(fmt, spec);
	spec->conversion = *fmt;
	return *fmt ? fmt + 1 : fmt;
}

int fmt_vprint(struct fmt_sink *sink, const char *fmt, va_list args)
{
	struct output out = {.sink = sink};

	va_copy(out.args, args);
	while (*fmt) {
		const char *start = fmt;
		struct spec spec;

		while (*fmt && *fmt != '%')
			fmt++;
		put(&out, start, fmt - start);
		if (!*fmt)
			break;
		start = fmt;
		fmt = parse_spec(fmt + 1, &out, &spec);
		if (!convert(&out, &spec))
			put(&out, start, fmt - start);
	}
	va_end(out.args);
	return out.total > INT_LIMIT ? INT_LIMIT : (int)out.total;
}

int fmt_print(struct fmt_sink *sink, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = fmt_vprint(sink, fmt, args);
	va_end(args);
	return len;
}

/* A sink that keeps what fits into a buffer. */
struct buffer_sink {
	struct fmt_sink sink;
	char *at;
	size_t room;
};

static void buffer_put(struct fmt_sink *sink, const char *text, size_t len)
{
	struct buffer_sink *buffer = container_of(sink, struct buffer_sink, sink);
	size_t kept = MIN(len, buffer->room);

	if (!kept)
		return; /* full; or `at` is NULL, as only the length is asked for */
	memcpy(buffer->at, text, kept);
	buffer->at += kept;
	buffer->room -= kept;
}

int vsnprintf(char *to, size_t size, const char *fmt, va_list args)
{
	struct buffer_sink buffer = {.sink.put = buffer_put, .at = to, .room = size ? size - 1 : 0};
	int len = fmt_vprint(&buffer.sink, fmt, args);

	if (size)
		*buffer.at = '\0';
	return len;
}

int snprintf(char *to, size_t size, const char *fmt, ...)
{
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(to, size, fmt, args);
	va_end(args);
	return len;
}
