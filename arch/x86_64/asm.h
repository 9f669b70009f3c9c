/*
 * What all assembly files here share: function brackets, the exception table and patchable instructions.
 */
#pragma once

#include <arch/layout.h>
#include <arch/offsets.h>

#include "arch/x86_64/regs.h"

/* Physical address of a linked symbol: what it has before paging is on. */
#define PHYS(sym) ((sym) - KERNEL_BASE)

.macro FUNC name
	.globl \name
	.type \name, @function
	.balign 16
\name:
.endm

.macro END name
	.size \name, . - \name
.endm

/* If the instruction at `insn` faults and nobody can resolve it, go on at `fixup` (struct extable_entry). */
.macro EXTABLE insn, fixup
	.pushsection .extable, "a", @progbits
	.balign 4
	.long \insn - .
	.long \fixup - .
	.popsection
.endm

/*
 * An instruction only some CPUs have: three bytes of NOP, which alternatives_apply() overwrites at boot when the CPU
 * has the feature (struct alternative).  NOP is what stands in the image, so that code that runs before the patching is
 * right everywhere.
 */
.macro ALT_INSN3 feature, byte0, byte1, byte2
.Lalt\@:
	.byte 0x0f, 0x1f, 0x00
	.pushsection .alternatives, "a", @progbits
	.balign 8
	.long .Lalt\@ - .
	.byte \feature, \byte0, \byte1, \byte2
	.popsection
.endm

/* Opens and closes the window in which the kernel may touch user pages (SDM 3A 4.6.1). */
.macro STAC
	ALT_INSN3 ALT_SMAP, 0x0f, 0x01, 0xcb
.endm

.macro CLAC
	ALT_INSN3 ALT_SMAP, 0x0f, 0x01, 0xca
.endm
