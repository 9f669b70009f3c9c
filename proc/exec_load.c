/*
 * Mapping an ELF image and its interpreter into a fresh address space. lib/elf.c has judged the headers; what is left
 * is placement.
 *
 * Placement: a static-PIE or PIE program at 0x555555554000 as Linux without randomisation, the interpreter at the top
 * of the mapping area. Nothing is random in the layout (AT_RANDOM's bytes are); runs repeat exactly, which debugging
 * and tests gain from.
 */
#include <asm/errno.h>
#include <linux/resource.h>

#include "core/log.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "proc/exec_internal.h"
#include "vm/aspace.h"

#define PIE_BASE 0x555555554000ull
#define STACK_GAP_MIN (128 * MIB)
#define STACK_GAP_MAX (USER_VA_END / 6 * 5)
#define STACK_GUARD_GAP MIB

static int read_exactly(struct file *f, uint64_t pos, void *buf, size_t len)
{
	int64_t n = vfs_read_kernel(f, pos, buf, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -ENOEXEC;
}

static uint64_t file_bytes(const struct file *f)
{
	return f->inode->object ? READ_ONCE(f->inode->object->size_bytes) : READ_ONCE(f->inode->size);
}

static int elf_headers(struct exec_elf *x, const void *head, size_t head_len, const char **why)
{
	int err = elf_parse_header(head, head_len, file_bytes(x->file), EM_X86_64, &x->image, why);
	if (err)
		return err;
	x->phdrs = kmalloc(x->image.phdrs_bytes);
	if (!x->phdrs)
		return -ENOMEM;
	/* Almost always they follow the header and have been read with it. */
	uint64_t offset = x->image.phdrs_offset;
	if (offset <= head_len && x->image.phdrs_bytes <= head_len - offset)
		memcpy(x->phdrs, (const char *)head + offset, x->image.phdrs_bytes);
	else
		err = read_exactly(x->file, offset, x->phdrs, x->image.phdrs_bytes);
	if (!err)
		err = elf_parse_segments(&x->image, x->phdrs, x->image.phdrs_bytes, PAGE_SIZE, USER_VA_END, why);
	return err;
}

static int load_interp_headers(struct exec *e, const char **why)
{
	const struct elf_image *image = &e->program.image;
	char *path AUTO_KFREE = kmalloc(PATH_MAX_BYTES);

	if (!path)
		return -ENOMEM;
	if (image->interp_bytes > PATH_MAX_BYTES) {
		*why = "the interpreter's path is too long";
		return -ENOEXEC;
	}
	int err = read_exactly(e->program.file, image->interp_offset, path, image->interp_bytes);
	if (!err)
		err = elf_check_interp(path, image->interp_bytes, why);
	if (err)
		return err;
	err = vfs_open_exec(&e->who, NULL, path, LOOKUP_FOLLOW, &e->interp.file);
	if (err) {
		*why = "its interpreter cannot be opened";
		return err;
	}
	int64_t n = vfs_read_kernel(e->interp.file, 0, e->head, sizeof(e->head));
	if (n < 0)
		return (int)n;
	err = elf_headers(&e->interp, e->head, (size_t)n, why);
	return err == -ENOMEM || err == -EIO || !err ? err : -ELIBBAD;
}

int exec_load_headers(struct exec *e)
{
	const char *why = NULL;
	int err = elf_headers(&e->program, e->head, e->head_len, &why);

	if (!err && e->program.image.interp_bytes)
		err = load_interp_headers(e, &why);
	/* A file that is no ELF at all is an everyday thing (the shell then tries it as a script); a damaged one
	 * deserves a word. */
	if (err && why && e->head_len >= 4 && memcmp(e->head, ELFMAG, SELFMAG) == 0)
		log_info("exec: %s: %s", e->filename, why);
	return err;
}

/* --- mapping ----------------------------------------------------------------------------------------------------- */

static unsigned area_flags_of(const Elf64_Phdr *ph)
{
	return (ph->p_flags & PF_R ? AREA_READ : 0) | (ph->p_flags & PF_W ? AREA_WRITE : 0) |
		(ph->p_flags & PF_X ? AREA_EXEC : 0) | AREA_MAY_WRITE;
}

static int map_file_part(struct aspace *as, struct file *f, const Elf64_Phdr *ph, uint64_t start, uint64_t end)
{
	struct map_request r = {.addr = start,
				.len = end - start,
				.flags = area_flags_of(ph),
				.fixed = true,
				.noreplace = true,
				.offset = ALIGN_DOWN(ph->p_offset, (uint64_t)PAGE_SIZE),
				.file = f};
	uint64_t at;
	int err = vfs_mmap(f, r.offset, r.len, r.flags, &r.object);

	if (err)
		return err;
	err = aspace_map(as, &r, &at);
	if (r.object)
		vm_object_put(r.object);
	return err;
}

static int map_zero_part(struct aspace *as, const Elf64_Phdr *ph, uint64_t start, uint64_t end)
{
	struct map_request r = {.addr = start,
				.len = end - start,
				.flags = area_flags_of(ph),
				.fixed = true,
				.noreplace = true};
	uint64_t at;

	return aspace_map(as, &r, &at);
}

/* Linux refuses such a segment too (its "obvious overcommits of address space"). */
static bool more_than_memory(uint64_t len)
{
	struct page_stats s;

	page_stats_get(&s);
	return len / PAGE_SIZE > s.total;
}

/* What the page holds of the file behind the segment's end must read as zero (.bss begins there). */
static int zero_page_tail(struct aspace *as, const Elf64_Phdr *ph, uint64_t from)
{
	static const uint8_t zeros[PAGE_SIZE];
	uint64_t len = ALIGN_UP(from, (uint64_t)PAGE_SIZE) - from;

	if (len == 0 || !(ph->p_flags & PF_W))
		return 0; /* read-only and yet larger in memory: as on Linux the rest of the file page shows */
	int64_t n = aspace_access(as, from, (void *)zeros, len, true);
	return n == (int64_t)len ? 0 : n < 0 ? (int)n : -EFAULT;
}

static int map_segment(struct exec *e, const struct exec_elf *x, const Elf64_Phdr *ph)
{
	uint64_t va = ph->p_vaddr + x->bias, start = ALIGN_DOWN(va, (uint64_t)PAGE_SIZE);
	uint64_t file_end = va + ph->p_filesz, end = va + ph->p_memsz;
	uint64_t mapped = start;
	int err;

	if (ph->p_filesz) {
		mapped = ALIGN_UP(file_end, (uint64_t)PAGE_SIZE);
		err = map_file_part(e->aspace, x->file, ph, start, mapped);
		if (!err && ph->p_memsz > ph->p_filesz)
			err = zero_page_tail(e->aspace, ph, file_end);
		if (err)
			return err;
	}
	if (ALIGN_UP(end, (uint64_t)PAGE_SIZE) > mapped && more_than_memory(end - mapped)) {
		log_info("exec: %s: a segment of %llu MiB of zeros, more than the machine has memory", e->filename,
			 (unsigned long long)((end - mapped) / MIB));
		return -ENOMEM;
	}
	if (ALIGN_UP(end, (uint64_t)PAGE_SIZE) > mapped)
		return map_zero_part(e->aspace, ph, mapped, ALIGN_UP(end, (uint64_t)PAGE_SIZE));
	return 0;
}

/* For /proc/pid/stat and statm, and where the heap begins. */
static void note_segment(struct exec *e, const Elf64_Phdr *ph)
{
	struct aspace *as = e->aspace;
	uint64_t start = ph->p_vaddr + e->program.bias, file_end = start + ph->p_filesz;

	if (ph->p_flags & PF_X) {
		as->code_start = as->code_start ? MIN(as->code_start, start) : start;
		as->code_end = MAX(as->code_end, file_end);
	} else if (ph->p_flags & PF_W) {
		as->data_start = as->data_start ? as->data_start : start;
		as->data_end = MAX(as->data_end, file_end);
	}
	e->bss_end = MAX(e->bss_end, start + ph->p_memsz);
}

static int map_image(struct exec *e, const struct exec_elf *x)
{
	const Elf64_Phdr *ph;
	unsigned index = 0;

	while ((ph = elf_next_load(&x->image, x->phdrs, &index))) {
		int err = map_segment(e, x, ph);
		if (err)
			return err == -EEXIST ? -ENOMEM : err;
		if (x == &e->program)
			note_segment(e, ph);
	}
	return 0;
}

/* Mappings grow down from below the largest stack this process may have (man 2 setrlimit, RLIMIT_STACK). */
static uint64_t mmap_top(void)
{
	uint64_t gap = process_limit(RLIMIT_STACK);

	if (gap > STACK_GAP_MAX - STACK_GUARD_GAP)
		gap = STACK_GAP_MAX - STACK_GUARD_GAP;
	gap = MAX(gap + STACK_GUARD_GAP, STACK_GAP_MIN);
	return ALIGN_DOWN(EXEC_STACK_TOP - gap, (uint64_t)PAGE_SIZE);
}

int exec_load_map(struct exec *e)
{
	struct aspace *as = e->aspace;
	const struct elf_image *image = &e->program.image;
	int err;

	as->mmap_top = mmap_top();
	as->limit_bytes = process_limit(RLIMIT_AS);
	as->limit_data_bytes = process_limit(RLIMIT_DATA);
	as->limit_stack_bytes = process_limit(RLIMIT_STACK);
	if (image->type == ET_DYN) {
		e->program.bias = ALIGN_UP(PIE_BASE, image->load_align) - image->load_start;
		if (image->load_end + e->program.bias > as->mmap_top)
			return -ENOMEM;
	}
	err = map_image(e, &e->program);
	if (err)
		return err;
	e->entry = image->entry + e->program.bias;
	as->brk_start = as->brk_end = ALIGN_UP(e->bss_end, (uint64_t)PAGE_SIZE);
	if (!e->interp.file)
		return 0;

	struct elf_image *in = &e->interp.image;
	if (in->type == ET_DYN) {
		uint64_t span = in->load_end - in->load_start;
		if (span > as->mmap_top)
			return -ENOMEM;
		e->interp.bias = ALIGN_DOWN(as->mmap_top - span, in->load_align) - in->load_start;
	}
	e->entry = in->entry + e->interp.bias;
	return map_image(e, &e->interp);
}
