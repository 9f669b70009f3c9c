/*
 * UBSAN: what the compiler calls when a program does what C leaves undefined (make SAN=ubsan).
 *
 * Purpose: find shifts by too much, indexes out of bounds, signed overflow and their like where they happen, rather
 * than where an optimiser's conclusion from them shows.
 *
 * How.  Each check the compiler inserts has a static record: file, line, column, and the types involved.  The handlers
 * here, with names and arguments that GCC and clang agree on (the interface is that of their own runtime library),
 * print it with the values and a backtrace, and return: the operation then gives what the machine gives.  A place is
 * reported once, so that a loop does not flood the log: its column is overwritten as a mark, unless a test waits for
 * the report. In the test image each report fails the test that is running (core/ktest.c); elsewhere the system goes
 * on, and whoever tests it looks for "UBSAN:" on the console.
 *
 * Locking: none but the report's own; the mark is one atomic exchange.
 * Context: any; the handlers do not allocate.
 *
 * Not checked: alignment (x86 has no such rule and packed structures are read where they lie), conversions that change
 * a value (defined), unsigned overflow (defined).
 */
#include "core/panic.h"
#include "core/sanitizer.h"
#include "lib/printf.h"
#include "sync/atomic.h"

#define REPORTED UINT32_MAX

struct source_location {
	const char *file;
	uint32_t line, column;
};

struct type_descriptor {
	uint16_t kind; /* 0: integer */
	uint16_t info; /* integer: bit 0 signed, from bit 1 the binary logarithm of its width */
	char name[];
};

/* Records, each begun by the place. */
struct type_data { /* one type */
	struct source_location loc;
	const struct type_descriptor *type;
};

struct types_data { /* two */
	struct source_location loc;
	const struct type_descriptor *left, *right;
};

struct mismatch_data {
	struct source_location loc;
	const struct type_descriptor *type;
	uint8_t log_alignment, access;
};

struct nonnull_data {
	struct source_location loc, attribute;
	int argument;
};

struct builtin_data {
	struct source_location loc;
	uint8_t kind;
};

struct place_data {
	struct source_location loc;
};

/* The calls the compiler makes; nobody else may. */
#define HANDLER(name, ...)                       \
	void __ubsan_handle_##name(__VA_ARGS__); \
	void __ubsan_handle_##name(__VA_ARGS__)

/* Whether the place has not been reported yet. */
static bool first_time(struct source_location *loc, uint32_t *column)
{
	*column = san_expecting() ? loc->column : atomic_exchange(&loc->column, REPORTED);
	return *column != REPORTED;
}

#define REPORT(loc_, ...)                                                                            \
	do {                                                                                         \
		struct source_location *at_ = (loc_);                                                \
		uint32_t column_;                                                                    \
		char what_[96];                                                                      \
		if (!first_time(at_, &column_))                                                      \
			break;                                                                       \
		snprintf(what_, sizeof(what_), __VA_ARGS__);                                         \
		if (san_report_begin("UBSAN: %s:%u:%u: %s", at_->file, at_->line, column_, what_)) { \
			san_report_caller(1);                                                        \
			(void)san_report_end();                                                      \
		}                                                                                    \
	} while (0)

/* An operand as text. Operands of at most a word are passed as they are, wider ones by address. */
static const char *value_text(char *buf, size_t size, const struct type_descriptor *type, uint64_t value)
{
	unsigned width = 1u << (type->info >> 1);

	if (type->kind != 0 || width > 64)
		snprintf(buf, size, "(%s)", type->name);
	else if (type->info & 1)
		snprintf(buf, size, "%lld", (long long)((int64_t)(value << (64 - width)) >> (64 - width)));
	else
		snprintf(buf, size, "%llu", (unsigned long long)value);
	return buf;
}

#define VALUE(type, value) value_text((char[24]){0}, 24, type, value)

HANDLER(add_overflow, struct type_data *d, uint64_t a, uint64_t b)
{
	REPORT(&d->loc, "%s + %s overflows %s", VALUE(d->type, a), VALUE(d->type, b), d->type->name);
}

HANDLER(sub_overflow, struct type_data *d, uint64_t a, uint64_t b)
{
	REPORT(&d->loc, "%s - %s overflows %s", VALUE(d->type, a), VALUE(d->type, b), d->type->name);
}

HANDLER(mul_overflow, struct type_data *d, uint64_t a, uint64_t b)
{
	REPORT(&d->loc, "%s * %s overflows %s", VALUE(d->type, a), VALUE(d->type, b), d->type->name);
}

HANDLER(negate_overflow, struct type_data *d, uint64_t a)
{
	REPORT(&d->loc, "-(%s) overflows %s", VALUE(d->type, a), d->type->name);
}

HANDLER(divrem_overflow, struct type_data *d, uint64_t a, uint64_t b)
{
	REPORT(&d->loc, "%s divided by %s in %s", VALUE(d->type, a), VALUE(d->type, b), d->type->name);
}

HANDLER(shift_out_of_bounds, struct types_data *d, uint64_t a, uint64_t b)
{
	REPORT(&d->loc, "%s, a %s, shifted by %s", VALUE(d->left, a), d->left->name, VALUE(d->right, b));
}

HANDLER(out_of_bounds, struct types_data *d, uint64_t index)
{
	REPORT(&d->loc, "index %s is outside %s", VALUE(d->right, index), d->left->name);
}

HANDLER(type_mismatch_v1, struct mismatch_data *d, uint64_t pointer)
{
	static const char *const accesses[] = {"load of",	  "store to",	    "reference to",
					       "member of",	  "member call on", "constructor on",
					       "cast of",	  "cast of",	    "cast of reference",
					       "cast to base of", "base of",	    "dynamic type of"};
	const char *access = d->access < ARRAY_SIZE(accesses) ? accesses[d->access] : "use of";

	if (!pointer)
		REPORT(&d->loc, "%s a null pointer of type %s", access, d->type->name);
	else if (pointer & ((1ull << d->log_alignment) - 1))
		REPORT(&d->loc, "%s %#llx, not aligned for %s", access, (unsigned long long)pointer, d->type->name);
	else
		REPORT(&d->loc, "%s %#llx, which has no room for %s", access, (unsigned long long)pointer,
		       d->type->name);
}

HANDLER(pointer_overflow, struct place_data *d, uint64_t base, uint64_t result)
{
	REPORT(&d->loc, "pointer arithmetic from %#llx to %#llx wraps", (unsigned long long)base,
	       (unsigned long long)result);
}

HANDLER(vla_bound_not_positive, struct type_data *d, uint64_t bound)
{
	REPORT(&d->loc, "array of %s elements", VALUE(d->type, bound));
}

HANDLER(load_invalid_value, struct type_data *d, uint64_t value)
{
	REPORT(&d->loc, "load of %s, which is no value of %s", VALUE(d->type, value), d->type->name);
}

HANDLER(nonnull_arg, struct nonnull_data *d)
{
	REPORT(&d->loc, "argument %d must not be null", d->argument);
}

HANDLER(nonnull_return_v1, struct nonnull_data *d, struct source_location *loc)
{
	(void)d;
	REPORT(loc, "a null pointer is returned where none may be");
}

HANDLER(invalid_builtin, struct builtin_data *d)
{
	REPORT(&d->loc, "%s of zero", d->kind ? "count leading zeros" : "count trailing zeros");
}

/* These two cannot be returned from: there is no code behind the call. */
noreturn HANDLER(builtin_unreachable, struct place_data *d)
{
	panic("UBSAN: %s:%u:%u: code that must not be reached was", d->loc.file, d->loc.line, d->loc.column);
}

noreturn HANDLER(missing_return, struct place_data *d)
{
	panic("UBSAN: %s:%u:%u: a function ends without a value", d->loc.file, d->loc.line, d->loc.column);
}
