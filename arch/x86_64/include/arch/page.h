/* Whole pages, the fastest way the CPU has. Any context; addresses page-aligned and mapped. */
#pragma once

void page_clear(void *page);
void page_copy(void *to, const void *from);
