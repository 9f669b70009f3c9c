/*
 * The vDSO in programs (theory: arch/x86_64/vdso/vdso.c): one memory object for the whole system, of which page 0 is
 * the kernel's own page of clock parameters and the rest a copy of the embedded ELF file. exec maps it as two areas,
 * [vvar] and behind it [vdso]; fork copies them like any others.
 *
 * Both are private mappings of the object. A debugger may write a breakpoint into [vdso]: it gets a copy. [vvar] can
 * become neither writable nor executable.
 *
 * Placement: like a mapping of the program's own, top down; so right below the interpreter, and random when mmap is.
 */
#include <arch/vdso.h>

#include "core/panic.h"
#include "lib/string.h"
#include "mm/page.h"
#include "proc/exec_internal.h"
#include "vm/aspace.h"

static struct vm_object *object; /* immutable after vdso_init() */
static uint64_t text_bytes;

static bool copy_text(void)
{
	size_t len = (size_t)(vdso_image_end - vdso_image);
	struct page *p;

	for (uint64_t at = 0; at < text_bytes; at += PAGE_SIZE) {
		if (vm_object_page(object, 1 + (at >> PAGE_SHIFT), true, &p) != 0)
			return false;
		memcpy(page_to_ptr(p), vdso_image + at, MIN(len - at, (uint64_t)PAGE_SIZE));
		page_put(p);
	}
	return true;
}

void vdso_init(void)
{
	struct page *numbers = paddr_to_page(time_page_paddr());

	text_bytes = ALIGN_UP((uint64_t)(vdso_image_end - vdso_image), (uint64_t)PAGE_SIZE);
	refcount_init(&numbers->refs, 1); /* part of the kernel's image: never given back */
	if (vm_object_create(PAGE_SIZE + text_bytes, &object) != 0 || vm_object_add(object, 0, numbers) != 0 ||
	    !copy_text())
		boot_stop("no memory for the vDSO");
}

static int map(struct aspace *as, uint64_t at, uint64_t offset, uint64_t len, unsigned flags)
{
	struct map_request r =
		{.addr = at, .len = len, .flags = flags, .fixed = true, .offset = offset, .object = object};

	return aspace_map(as, &r, &at);
}

int exec_map_vdso(struct exec *e)
{
	/* Room for both first: the code finds its numbers on the page before it. */
	struct map_request r = {.len = PAGE_SIZE + text_bytes, .flags = AREA_READ | AREA_VVAR, .object = object};
	uint64_t at;
	int err = aspace_map(e->aspace, &r, &at);

	if (!err)
		err = map(e->aspace, at + PAGE_SIZE, PAGE_SIZE, text_bytes, AREA_READ | AREA_EXEC | AREA_VDSO);
	e->vdso_start = at + PAGE_SIZE;
	return err;
}
