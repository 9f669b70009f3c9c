/*
 * The stack a program starts with (psABI x86-64 3.4.1):
 *
 *   EXEC_STACK_TOP   8 zero bytes
 *                    file name, environment strings, argument strings (lowest)
 *                    "x86_64", 16 random bytes
 *                    auxv, NULL, envp[], NULL, argv[]
 *   SP, 16-aligned   argc
 *
 * It is written into the new address space before the old one is given up, so that running out of memory here still
 * leaves the caller intact.
 */
#include <asm/errno.h>
#include <linux/auxvec.h>
#include <linux/resource.h>

#include "abi/rseq.h"
#include "dev/random.h"
#include "lib/string.h"
#include "mm/page.h"
#include "proc/exec_internal.h"
#include "vm/aspace.h"

#define INITIAL_STACK_BYTES (128 * KIB)
#define CHUNK_WORDS 128u
#define SIGFRAME_BYTES 720 /* registers, siginfo, red zone and alignment around the FP state of a signal frame */
#define AUXV_WORDS ARRAY_SIZE(((struct aspace *)0)->auxv)

/* Writes words upwards, a chunk at a time. */
struct word_writer {
	struct aspace *as;
	uint64_t at;
	unsigned n;
	int err;
	uint64_t chunk[CHUNK_WORDS];
};

static int write_bytes(struct aspace *as, uint64_t at, const void *buf, size_t len)
{
	int64_t n = aspace_access(as, at, (void *)buf, len, true);

	return n == (int64_t)len ? 0 : n < 0 ? (int)n : -EFAULT;
}

static void writer_flush(struct word_writer *w)
{
	if (!w->err && w->n)
		w->err = write_bytes(w->as, w->at, w->chunk, w->n * sizeof(uint64_t));
	w->at += w->n * sizeof(uint64_t);
	w->n = 0;
}

static void put_word(struct word_writer *w, uint64_t v)
{
	if (w->n == CHUNK_WORDS)
		writer_flush(w);
	w->chunk[w->n++] = v;
}

static unsigned fill_auxv(struct exec *e, uint64_t random_at, uint64_t platform_at, uint64_t execfn_at)
{
	const struct cred *c = e->cred ? e->cred : e->who.cred;
	const struct elf_image *image = &e->program.image;
	uint64_t phdr = image->phdrs_vaddr ? image->phdrs_vaddr + e->program.bias : 0;
	uint64_t interp_base = e->interp.file ? e->interp.image.load_start + e->interp.bias : 0;
	const uint64_t pairs[][2] = {
		{AT_SYSINFO_EHDR, e->vdso_start},
		{AT_HWCAP, cpu_hwcap(0)},
		{AT_PAGESZ, PAGE_SIZE},
		{AT_CLKTCK, 100},
		{AT_PHDR, phdr},
		{AT_PHENT, sizeof(Elf64_Phdr)},
		{AT_PHNUM, image->phnum},
		{AT_BASE, interp_base},
		{AT_FLAGS, 0},
		{AT_ENTRY, image->entry + e->program.bias},
		{AT_UID, c->uid},
		{AT_EUID, c->euid},
		{AT_GID, c->gid},
		{AT_EGID, c->egid},
		{AT_SECURE, e->secure},
		{AT_RANDOM, random_at},
		{AT_HWCAP2, cpu_hwcap(1)},
		{AT_EXECFN, execfn_at},
		{AT_PLATFORM, platform_at},
		{AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_BYTES},
		{AT_RSEQ_ALIGN, RSEQ_ALIGN},
		{AT_MINSIGSTKSZ, fpu_area_bytes() + SIGFRAME_BYTES},
		{AT_NULL, 0},
	};

	_Static_assert(sizeof(pairs) <= sizeof(((struct aspace *)0)->auxv), "/proc/pid/auxv keeps a copy");
	memcpy(e->aspace->auxv, pairs, sizeof(pairs));
	return ARRAY_SIZE(pairs) * 2;
}

static int map_stack(struct exec *e, uint64_t lowest)
{
	uint64_t limit = MAX(ALIGN_DOWN(process_limit(RLIMIT_STACK), (uint64_t)PAGE_SIZE), (uint64_t)PAGE_SIZE);
	uint64_t need = EXEC_STACK_TOP - ALIGN_DOWN(lowest, (uint64_t)PAGE_SIZE);
	uint64_t len = MIN(need + INITIAL_STACK_BYTES, MAX(limit, need));
	const struct elf_image *image = &e->program.image;
	/* Without PT_GNU_STACK Linux on x86-64 gives a 64-bit program a stack that is not executable (5.8
	 * and later). */
	struct map_request r = {.addr = EXEC_STACK_TOP - len,
				.len = len,
				.flags = AREA_READ | AREA_WRITE | AREA_MAY_WRITE | AREA_GROWSDOWN | AREA_STACK |
					(image->has_stack_flags && image->stack_exec ? AREA_EXEC : 0),
				.fixed = true,
				.noreplace = true};
	uint64_t at;
	int err = aspace_map(e->aspace, &r, &at);

	return err == -EEXIST ? -ENOMEM : err;
}

static int write_strings(struct exec *e, uint64_t strings)
{
	const struct exec_args *a = &e->args;

	for (uint64_t done = 0; done < a->used; done += PAGE_SIZE) {
		int err = write_bytes(e->aspace, strings + done, a->pages[done >> PAGE_SHIFT],
				      MIN(a->used - done, (uint64_t)PAGE_SIZE));
		if (err)
			return err;
	}
	return 0;
}

int exec_stack_build(struct exec *e)
{
	struct exec_args *a = &e->args;
	struct aspace *as = e->aspace;
	uint64_t strings = EXEC_STACK_TOP - 8 - a->used;
	uint64_t platform_at = ALIGN_DOWN(strings, 16ull) - 16, random_at = platform_at - 16;
	uint64_t execfn_at = strings + a->argv_bytes + a->envp_bytes;
	uint64_t tail[4] = {0};

	unsigned auxv_words = fill_auxv(e, random_at, platform_at, execfn_at);
	uint64_t words = 1 + (uint64_t)a->argc + 1 + a->envc + 1 + auxv_words;
	e->sp = ALIGN_DOWN(random_at - words * sizeof(uint64_t), 16ull);
	int err = map_stack(e, e->sp);
	if (err)
		return err;

	struct word_writer w; /* the chunk is filled before it is read */
	w.as = as;
	w.at = e->sp;
	w.n = 0;
	w.err = 0;
	put_word(&w, a->argc);
	for (uint32_t i = 0; i < a->argc; i++)
		put_word(&w, strings + a->offsets[i]);
	put_word(&w, 0);
	for (uint32_t i = 0; i < a->envc; i++)
		put_word(&w, strings + a->offsets[a->argc + i]);
	put_word(&w, 0);
	for (unsigned i = 0; i < auxv_words; i++)
		put_word(&w, as->auxv[i]);
	while (w.at + w.n * sizeof(uint64_t) < random_at)
		put_word(&w, 0);
	random_bytes(tail, 16);
	memcpy(&tail[2], "x86_64", 7);
	for (unsigned i = 0; i < ARRAY_SIZE(tail); i++)
		put_word(&w, tail[i]);
	writer_flush(&w);
	if (w.err)
		return w.err;

	as->stack_start = e->sp;
	as->arg_start = strings;
	as->arg_end = as->env_start = strings + a->argv_bytes;
	as->env_end = execfn_at;
	return write_strings(e, strings);
}
