/* Fuzzes lib/elf: the input is a file; of an accepted one, what lib/elf.h promises must hold. */
#include <stdlib.h>
#include <string.h>

#include "lib/elf.h"

#define PAGE 4096ull
#define LIMIT 0x7ffffffff000ull

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_promises(const struct elf_image *image, const Elf64_Phdr *phdrs)
{
	uint64_t last_end = 0;
	unsigned int index = 0, loads = 0;
	const Elf64_Phdr *segment;

	while ((segment = elf_next_load(image, phdrs, &index))) {
		uint64_t start = segment->p_vaddr & ~(PAGE - 1), end;

		require(segment->p_filesz <= segment->p_memsz);
		require(!__builtin_add_overflow(segment->p_vaddr, segment->p_memsz, &end) && end <= UINT64_MAX - PAGE);
		require(!loads || start >= last_end);
		last_end = (end + PAGE - 1) & ~(PAGE - 1);
		require(start >= image->load_start && last_end <= image->load_end);
		require(image->type == ET_DYN || last_end <= LIMIT);
		if (segment->p_filesz) {
			require(segment->p_offset <= image->file_bytes);
			require(segment->p_filesz <= image->file_bytes - segment->p_offset);
			require((segment->p_vaddr ^ segment->p_offset) % PAGE == 0);
		}
		loads++;
	}
	require(loads && loads == image->loads && image->load_end - image->load_start <= LIMIT);
	require(image->load_start % PAGE == 0 && image->load_end % PAGE == 0 && image->load_align >= PAGE);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t len)
{
	struct elf_image image;
	const char *why = NULL;
	uint64_t file_bytes = len;
	char *interp;

	/* most interesting offsets are larger than a fuzzer's input: take the file for longer than it is */
	if (len > 16 && input[9] & 1)
		file_bytes += (uint64_t)input[10] << (input[11] & 31);
	if (elf_parse_header(input, MIN(len, (size_t)64), file_bytes, EM_X86_64, &image, &why) != 0) {
		require(why);
		return 0;
	}
	require(image.phdrs_offset + image.phdrs_bytes <= file_bytes);
	if (image.phdrs_offset > len)
		return 0;

	size_t bytes = MIN((size_t)image.phdrs_bytes, len - image.phdrs_offset);
	Elf64_Phdr *phdrs = malloc(bytes ? bytes : 1);

	memcpy(phdrs, input + image.phdrs_offset, bytes);
	if (elf_parse_segments(&image, phdrs, bytes, PAGE, LIMIT, &why) == 0) {
		check_promises(&image, phdrs);
		require(image.interp_bytes <= 4096);
		if (image.interp_bytes && image.interp_offset + image.interp_bytes <= len) {
			interp = malloc(image.interp_bytes);
			memcpy(interp, input + image.interp_offset, image.interp_bytes);
			require(elf_check_interp(interp, image.interp_bytes, &why) != 0 ||
				strlen(interp) + 1 == image.interp_bytes);
			free(interp);
		}
	} else {
		require(why);
	}
	free(phdrs);
	return 0;
}
