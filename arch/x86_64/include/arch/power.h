/* The end: power off, reset, and the test runner's exit code.  None returns; each falls back to the next best way and
 * finally halts. */
#pragma once

#include "lib/types.h"

noreturn void power_off(void);	 /* ACPI S5 */
noreturn void power_reset(void); /* ACPI reset register, keyboard controller, triple fault */
/* QEMU's isa-debug-exit at 0xf4: the process exits with (code << 1) | 1. Powers off where the device is absent. */
noreturn void power_test_exit(unsigned code);
