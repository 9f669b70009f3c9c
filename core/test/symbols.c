/*
 * The kernel's symbol table: it must name the function that asks, and nothing outside the text.
 */
#include "core/ktest.h"
#include "core/symbols.h"
#include "lib/string.h"

KTEST(core, symbol_lookup_names_a_function)
{
	uintptr_t offset = 99;
	const char *name = symbol_lookup((uintptr_t)symbol_lookup + 3, &offset);

	KTEST_TRUE(name != NULL && strcmp(name, "symbol_lookup") == 0);
	KTEST_EQ(offset, 3);
	name = symbol_lookup((uintptr_t)symbol_lookup, &offset); /* its first byte is its own */
	KTEST_TRUE(name != NULL && strcmp(name, "symbol_lookup") == 0);
	KTEST_EQ(offset, 0);
}

KTEST(core, symbol_lookup_refuses_other_addresses)
{
	uintptr_t offset = 99;
	static const char not_text[] = "data";

	KTEST_TRUE(symbol_lookup(0, &offset) == NULL);
	KTEST_TRUE(symbol_lookup(4096, &offset) == NULL);
	KTEST_TRUE(symbol_lookup((uintptr_t)not_text, &offset) == NULL);
	KTEST_TRUE(symbol_lookup(UINTPTR_MAX, &offset) == NULL);
	KTEST_EQ(offset, 99);
}
