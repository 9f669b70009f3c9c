/*
 * Validation of ELF64 executables and interpreters, on copies of their headers.
 *
 * Two steps, so that the caller reads the file and this code only judges bytes: elf_parse_header() takes the first
 * bytes of the file and says where the program headers are; elf_parse_segments() takes those and checks every segment
 * the loader will use. Afterwards elf_next_load() yields the PT_LOAD segments, and the loader may rely on this:
 *
 *   - at least one PT_LOAD has a size; addresses ascend and no two touch the same page
 *   - p_filesz <= p_memsz, and with p_filesz > 0: the bytes are inside the file and p_vaddr and p_offset agree modulo
 *     the page size
 *   - for ET_EXEC every byte lies in [0, user_limit); for ET_DYN the span fits below user_limit
 *
 * Errors are those execve(2) gives: -ENOEXEC (not a program for this machine, or damaged), -EINVAL (impossible
 * segments), -ENOMEM (does not fit the address space). The loader of an interpreter turns each of them into -ELIBBAD.
 * `*why` is a static string, set on failure only.
 */
#pragma once

#include <linux/elf.h>

#include "lib/types.h"

#define ELF_PHDRS_BYTES_MAX 65536u /* more is refused, as by Linux */

struct elf_image {
	/* by elf_parse_header */
	uint16_t type; /* ET_EXEC or ET_DYN */
	uint16_t phnum;
	uint64_t file_bytes;
	uint64_t entry;
	uint64_t phdrs_offset;
	uint32_t phdrs_bytes; /* how much elf_parse_segments needs */
	/* by elf_parse_segments; addresses are as in the file, before any load bias */
	uint64_t load_start, load_end; /* page-aligned span of all PT_LOAD */
	uint64_t load_align;	       /* the largest p_align that is a power of two, at least the page size */
	uint64_t phdrs_vaddr;	       /* where the program headers are in memory (AT_PHDR), 0 if not loaded */
	uint64_t interp_offset;
	uint32_t interp_bytes; /* with NUL; 0: no interpreter */
	uint32_t loads;	       /* PT_LOAD segments with a size */
	bool has_stack_flags;  /* a PT_GNU_STACK is present … */
	bool stack_exec;       /* … and asks for an executable stack */
	bool entry_in_load;    /* `entry` is inside an executable PT_LOAD */
};

/* `buf` holds the first `len` bytes of a file of `file_bytes`; `machine` is EM_X86_64 and so on. */
int must_check elf_parse_header(const void *buf, size_t len, uint64_t file_bytes, unsigned int machine,
				struct elf_image *out, const char **why);

/*
 * `phdrs` holds the image->phdrs_bytes read from image->phdrs_offset (8-aligned); `len` is checked against that.
 * `page_bytes` is a power of two; `user_limit` the first address that programs may not have. On failure the image is
 * as elf_parse_header left it.
 */
int must_check elf_parse_segments(struct elf_image *image, const void *phdrs, size_t len, uint64_t page_bytes,
				  uint64_t user_limit, const char **why);

/* The next PT_LOAD with p_memsz > 0 at or after *index in a validated table, advancing *index past it; NULL at
 * the end. */
const Elf64_Phdr *elf_next_load(const struct elf_image *image, const void *phdrs, unsigned int *index);

/* Checks the bytes of PT_INTERP: NUL at the end and nowhere else, not empty. 0 or -ENOEXEC. */
int must_check elf_check_interp(const char *path, size_t len, const char **why);
