/* The Bochs display adapter: QEMU's -vga std and -device bochs-display. */
#pragma once

#include "core/boot_info.h"
#include "lib/types.h"

/*
 * Finds the adapter on the PCI bus and switches it to width x height with 32 bits a pixel. 0; -ENODEV: there is none;
 * -EINVAL: it cannot show that size. Boot, thread context.
 */
int bochs_set_mode(unsigned width, unsigned height, struct boot_framebuffer *fb) must_check;
