/*
 * The one piece of AML the kernel reads: the constant package \_S5_, whose first two numbers are what to write into
 * the sleep registers to turn the machine off (ACPI 6.4 §7.4.2).
 *
 * Rejected: an AML interpreter for this alone. Every machine we know declares `Name (\_S5, Package { a, b, ... })`
 * with literal numbers at the top level, so a scan for that byte pattern finds it; anything else counts as "no S5" and
 * power_off() goes on to its next way.
 */
#include "arch/x86_64/acpi_tables.h"
#include "lib/string.h"

enum aml_op {
	AML_ZERO = 0x00,
	AML_ONE = 0x01,
	AML_NAME = 0x08,
	AML_BYTE = 0x0a,
	AML_WORD = 0x0b,
	AML_PACKAGE = 0x12,
};

/* One literal integer at *pos; moves *pos behind it. §20.2.3 */
static bool aml_integer(const uint8_t *aml, size_t len, size_t *pos, unsigned *value)
{
	if (*pos >= len)
		return false;
	switch (aml[*pos]) {
	case AML_ZERO:
	case AML_ONE:
		*value = aml[*pos];
		*pos += 1;
		return true;
	case AML_BYTE:
		if (len - *pos < 2)
			return false;
		*value = aml[*pos + 1];
		*pos += 2;
		return true;
	case AML_WORD:
		if (len - *pos < 3)
			return false;
		*value = aml[*pos + 1] | (unsigned)aml[*pos + 2] << 8;
		*pos += 3;
		return true;
	default:
		return false;
	}
}

/*
 * The package that begins at pos: op, PkgLength (its top two bits say how many bytes follow, §20.2.4), count,
 * elements.
 */
static bool s5_package(const uint8_t *aml, size_t len, size_t pos, unsigned *type_a, unsigned *type_b)
{
	if (len - pos < 4 || aml[pos] != AML_PACKAGE)
		return false;
	pos += 2u + (aml[pos + 1] >> 6);
	if (pos >= len)
		return false;
	unsigned elements = aml[pos++];
	unsigned a, b = 0;
	if (elements < 1 || !aml_integer(aml, len, &pos, &a))
		return false;
	if (elements >= 2 && !aml_integer(aml, len, &pos, &b))
		return false;
	*type_a = a & 7;
	*type_b = b & 7;
	return true;
}

bool acpi_aml_find_s5(const uint8_t *aml, size_t len, unsigned *type_a, unsigned *type_b)
{
	for (size_t i = 1; i + 4 < len; i++) {
		if (aml[i] != '_' || memcmp(aml + i, "_S5_", 4) != 0)
			continue;
		/* It must be the name being declared, perhaps with the root prefix, not a reference to it. */
		bool declared = aml[i - 1] == AML_NAME || (aml[i - 1] == '\\' && i >= 2 && aml[i - 2] == AML_NAME);
		if (declared && s5_package(aml, len, i + 4, type_a, type_b))
			return true;
	}
	return false;
}
