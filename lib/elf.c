/*
 * Judging ELF headers before anything is mapped.
 *
 * A program file is hostile input, so nothing is taken from it that was not compared with the file's size, the page
 * size and the address-space limit first, and every sum is checked for overflow. What passes can be mapped without
 * further thought: the segments are in order, apart by whole pages, backed by the file where they say so, and inside
 * the limit.
 *
 * Stricter than Linux in one respect: two PT_LOAD that meet in one page are refused instead of being laid over one
 * another, since then the contents would depend on the order of mapping. Linkers do not make such files.
 */
#include "lib/elf.h"

#include <linux/errno.h>

#include "lib/string.h"

static int fail(int code, const char **why, const char *text)
{
	*why = text;
	return code;
}

static int check_ident(const Elf64_Ehdr *header, unsigned int machine, const char **why)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return fail(-ENOEXEC, why, "not an ELF file");
	if (header->e_ident[EI_CLASS] != ELFCLASS64)
		return fail(-ENOEXEC, why, "not a 64-bit program");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB)
		return fail(-ENOEXEC, why, "not a little-endian program");
	if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT)
		return fail(-ENOEXEC, why, "unknown ELF version");
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return fail(-ENOEXEC, why, "neither an executable nor a shared object");
	if (header->e_machine != machine)
		return fail(-ENOEXEC, why, "built for another machine");
	return 0;
}

int elf_parse_header(const void *buf, size_t len, uint64_t file_bytes, unsigned int machine, struct elf_image *out,
		     const char **why)
{
	Elf64_Ehdr header;
	uint64_t end;
	int error;

	if (len < sizeof(header) || file_bytes < sizeof(header)) {
		bool elf = len >= SELFMAG && memcmp(buf, ELFMAG, SELFMAG) == 0;

		return fail(-ENOEXEC, why, elf ? "the file ends inside the ELF header" : "not an ELF file");
	}
	memcpy(&header, buf, sizeof(header));
	error = check_ident(&header, machine, why);
	if (error)
		return error;
	if (header.e_phentsize != sizeof(Elf64_Phdr))
		return fail(-ENOEXEC, why, "program headers have the wrong size");

	uint32_t phdrs_bytes = (uint32_t)header.e_phnum * sizeof(Elf64_Phdr);

	if (!phdrs_bytes)
		return fail(-ENOEXEC, why, "no program headers");
	if (phdrs_bytes > ELF_PHDRS_BYTES_MAX)
		return fail(-ENOEXEC, why, "too many program headers");
	if (__builtin_add_overflow(header.e_phoff, phdrs_bytes, &end) || end > file_bytes)
		return fail(-ENOEXEC, why, "the program headers lie outside the file");
	*out = (struct elf_image){
		.type = header.e_type,
		.phnum = header.e_phnum,
		.file_bytes = file_bytes,
		.entry = header.e_entry,
		.phdrs_offset = header.e_phoff,
		.phdrs_bytes = phdrs_bytes,
	};
	return 0;
}

static int check_load_file_range(const struct elf_image *image, const Elf64_Phdr *segment, uint64_t page_bytes,
				 const char **why)
{
	uint64_t file_end;

	if (segment->p_filesz > segment->p_memsz)
		return fail(-EINVAL, why, "a segment is larger in the file than in memory");
	if (!segment->p_filesz)
		return 0; /* nothing is mapped from the file */
	if (__builtin_add_overflow(segment->p_offset, segment->p_filesz, &file_end) || file_end > image->file_bytes)
		return fail(-ENOEXEC, why, "a segment lies outside the file");
	if ((segment->p_vaddr ^ segment->p_offset) & (page_bytes - 1))
		return fail(-EINVAL, why, "a segment's address and file offset differ within the page");
	return 0;
}

/* Adds one PT_LOAD of nonzero size to the image. */
static int take_load(struct elf_image *image, const Elf64_Phdr *segment, uint64_t page_bytes, uint64_t user_limit,
		     const char **why)
{
	uint64_t start = ALIGN_DOWN(segment->p_vaddr, page_bytes), end, covered;
	int error = check_load_file_range(image, segment, page_bytes, why);

	if (error)
		return error;
	if (__builtin_add_overflow(segment->p_vaddr, segment->p_memsz, &end) ||
	    __builtin_add_overflow(end, page_bytes - 1, &end))
		return fail(-EINVAL, why, "a segment wraps around the address space");
	end = ALIGN_DOWN(end, page_bytes);
	if (image->loads && start < image->load_end)
		return fail(-EINVAL, why, "segments overlap or are not in ascending order");
	if (!image->loads)
		image->load_start = start;
	image->load_end = end;
	image->loads++;
	if (image->type == ET_EXEC ? end > user_limit : end - image->load_start > user_limit)
		return fail(-ENOMEM, why, "the program does not fit below the user address limit");
	if (segment->p_align > image->load_align && (segment->p_align & (segment->p_align - 1)) == 0)
		image->load_align = segment->p_align;
	if (segment->p_flags & PF_X && image->entry - segment->p_vaddr < segment->p_memsz)
		image->entry_in_load = true;

	/* AT_PHDR: where the file's bytes of the table ended up, if one segment holds them all */
	if (image->phdrs_offset >= segment->p_offset && image->phdrs_offset - segment->p_offset <= segment->p_filesz) {
		covered = segment->p_filesz - (image->phdrs_offset - segment->p_offset);
		if (covered >= image->phdrs_bytes && !image->phdrs_vaddr)
			image->phdrs_vaddr = segment->p_vaddr + (image->phdrs_offset - segment->p_offset);
	}
	return 0;
}

static int take_interp(struct elf_image *image, const Elf64_Phdr *segment, const char **why)
{
	uint64_t end;

	if (image->interp_bytes)
		return 0; /* the first one counts, as in Linux */
	if (segment->p_filesz < 2 || segment->p_filesz > 4096)
		return fail(-ENOEXEC, why, "the interpreter's name is empty or too long");
	if (__builtin_add_overflow(segment->p_offset, segment->p_filesz, &end) || end > image->file_bytes)
		return fail(-ENOEXEC, why, "the interpreter's name lies outside the file");
	image->interp_offset = segment->p_offset;
	image->interp_bytes = (uint32_t)segment->p_filesz;
	return 0;
}

int elf_parse_segments(struct elf_image *image, const void *phdrs, size_t len, uint64_t page_bytes, uint64_t user_limit,
		       const char **why)
{
	const Elf64_Phdr *segment = phdrs;
	struct elf_image result = *image;
	int error = 0;

	if (len < image->phdrs_bytes)
		return fail(-ENOEXEC, why, "the program headers are incomplete");
	result.load_align = page_bytes;
	for (unsigned int i = 0; i < image->phnum && !error; i++, segment++) {
		switch (segment->p_type) {
		case PT_LOAD:
			if (segment->p_memsz || segment->p_filesz)
				error = take_load(&result, segment, page_bytes, user_limit, why);
			break;
		case PT_INTERP:
			error = take_interp(&result, segment, why);
			break;
		case PT_GNU_STACK:
			result.has_stack_flags = true;
			result.stack_exec = segment->p_flags & PF_X;
			break;
		default:
			break; /* PT_PHDR, PT_TLS, PT_DYNAMIC, PT_NOTE, PT_GNU_PROPERTY …: the C library's business */
		}
	}
	if (error)
		return error;
	if (!result.loads)
		return fail(-EINVAL, why, "nothing to load");
	*image = result;
	return 0;
}

const Elf64_Phdr *elf_next_load(const struct elf_image *image, const void *phdrs, unsigned int *index)
{
	const Elf64_Phdr *table = phdrs;

	while (*index < image->phnum) {
		const Elf64_Phdr *segment = &table[(*index)++];

		if (segment->p_type == PT_LOAD && segment->p_memsz)
			return segment;
	}
	return NULL;
}

int elf_check_interp(const char *path, size_t len, const char **why)
{
	if (len < 2 || strnlen(path, len) != len - 1)
		return fail(-ENOEXEC, why, "the interpreter's name is not one NUL-terminated string");
	return 0;
}
