/*
 * The few fixed ACPI tables the arch itself needs (MADT, FADT, HPET, MCFG), parsed without AML.  Arch-internal except
 * for the debug view.  Tables are untrusted input: checksums and lengths are verified and a bad table is treated as
 * absent with a log line.
 */
#pragma once

#include "lib/types.h"

/* Finds tables from the RSDP (0: search the BIOS area). Needs the direct map. */
void acpi_init(paddr_t rsdp);
/* A table by signature, mapped and verified, or NULL. */
const void *acpi_table(const char signature[4]);
