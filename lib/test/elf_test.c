/* lib/elf: programs of the host, a good image made by hand with each rule broken in turn, and random mutations. */
#include "lib/test/test.h"

#include "lib/elf.h"

enum { PAGE = 4096, PHDRS = 5 };
#define LIMIT 0x7ffffffff000ull

struct file {
	Elf64_Ehdr header;
	Elf64_Phdr phdr[PHDRS];
};

static const struct file good = {
	.header =
		{
			.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = 0x401100,
			.e_phoff = offsetof(struct file, phdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = PHDRS,
		},
	.phdr =
		{
			{.p_type = PT_INTERP, .p_offset = 0x300, .p_filesz = 28, .p_memsz = 28},
			{.p_type = PT_LOAD,
			 .p_flags = PF_R,
			 .p_vaddr = 0x400000,
			 .p_filesz = 0x400,
			 .p_memsz = 0x400,
			 .p_align = PAGE},
			{.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_X,
			 .p_offset = 0x1000,
			 .p_vaddr = 0x401000,
			 .p_filesz = 0x800,
			 .p_memsz = 0x800,
			 .p_align = PAGE},
			{.p_type = PT_LOAD,
			 .p_flags = PF_R | PF_W,
			 .p_offset = 0x1e00,
			 .p_vaddr = 0x403e00,
			 .p_filesz = 0x200,
			 .p_memsz = 0x5000,
			 .p_align = 0x200000},
			{.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W},
		},
};
#define GOOD_FILE_BYTES 0x2000ull

static int parse(const struct file *file, uint64_t file_bytes, struct elf_image *image, const char **why)
{
	int error = elf_parse_header(file, sizeof(*file), file_bytes, EM_X86_64, image, why);

	return error ? error : elf_parse_segments(image, file->phdr, sizeof(file->phdr), PAGE, LIMIT, why);
}

static void test_good(void **state maybe_unused)
{
	struct elf_image image;
	const char *why = NULL;
	unsigned int index = 0;

	assert_int_equal(parse(&good, GOOD_FILE_BYTES, &image, &why), 0);
	assert_null(why);
	assert_int_equal(image.type, ET_EXEC);
	assert_int_equal(image.entry, 0x401100);
	assert_int_equal(image.loads, 3);
	assert_int_equal(image.load_start, 0x400000);
	assert_int_equal(image.load_end, 0x409000);
	assert_int_equal(image.load_align, 0x200000);
	assert_int_equal(image.phdrs_vaddr, 0x400040);
	assert_int_equal(image.interp_offset, 0x300);
	assert_int_equal(image.interp_bytes, 28);
	assert_true(image.has_stack_flags);
	assert_false(image.stack_exec);
	assert_true(image.entry_in_load);
	assert_ptr_equal(elf_next_load(&image, good.phdr, &index), &good.phdr[1]);
	assert_ptr_equal(elf_next_load(&image, good.phdr, &index), &good.phdr[2]);
	assert_ptr_equal(elf_next_load(&image, good.phdr, &index), &good.phdr[3]);
	assert_null(elf_next_load(&image, good.phdr, &index));
}

/* Breaks one field of the good file and says what should come of it. */
#define EXPECT(error_code, part_of_why, change)                                       \
	do {                                                                          \
		struct file file = good;                                              \
		struct elf_image image = {0};                                         \
		const char *why = NULL;                                               \
		uint64_t file_bytes = GOOD_FILE_BYTES;                                \
		change;                                                               \
		assert_int_equal(parse(&file, file_bytes, &image, &why), error_code); \
		if (error_code)                                                       \
			assert_non_null(why);                                         \
		if (error_code && !strstr(why, part_of_why))                          \
			fail_msg("'%s' where '%s' was expected", why, part_of_why);   \
	} while (0)

static void test_bad_headers(void **state maybe_unused)
{
	EXPECT(-ENOEXEC, "not an ELF", file.header.e_ident[0] = '#');
	EXPECT(-ENOEXEC, "64-bit", file.header.e_ident[EI_CLASS] = ELFCLASS32);
	EXPECT(-ENOEXEC, "little-endian", file.header.e_ident[EI_DATA] = ELFDATA2MSB);
	EXPECT(-ENOEXEC, "version", file.header.e_ident[EI_VERSION] = 0);
	EXPECT(-ENOEXEC, "version", file.header.e_version = 2);
	EXPECT(-ENOEXEC, "neither", file.header.e_type = ET_REL);
	EXPECT(-ENOEXEC, "neither", file.header.e_type = ET_CORE);
	EXPECT(-ENOEXEC, "another machine", file.header.e_machine = EM_AARCH64);
	EXPECT(-ENOEXEC, "wrong size", file.header.e_phentsize = 32);
	EXPECT(-ENOEXEC, "no program headers", file.header.e_phnum = 0);
	EXPECT(-ENOEXEC, "too many", file.header.e_phnum = 1171);
	EXPECT(-ENOEXEC, "outside the file", file.header.e_phoff = GOOD_FILE_BYTES - 100);
	EXPECT(-ENOEXEC, "outside the file", file.header.e_phoff = UINT64_MAX - 100);
	EXPECT(-ENOEXEC, "outside the file", file_bytes = 200);
	EXPECT(-ENOEXEC, "inside the ELF header", file_bytes = 63);
}

static void test_short_headers(void **state maybe_unused)
{
	struct elf_image image;
	const char *why;

	for (size_t len = 0; len < sizeof(Elf64_Ehdr); len++) {
		uint8_t *copy = malloc(len ? len : 1);

		memcpy(copy, &good, len);
		assert_int_equal(elf_parse_header(copy, len, GOOD_FILE_BYTES, EM_X86_64, &image, &why), -ENOEXEC);
		assert_non_null(strstr(why, len < 4 ? "not an ELF" : "inside the ELF header"));
		free(copy);
	}
}

static void test_bad_segments(void **state maybe_unused)
{
	EXPECT(-EINVAL, "larger in the file", file.phdr[2].p_memsz = 0x7ff);
	EXPECT(-EINVAL, "larger in the file", file.phdr[2].p_memsz = 0);
	EXPECT(-ENOEXEC, "outside the file", file.phdr[3].p_filesz = 0x201);
	EXPECT(-ENOEXEC, "outside the file", file.phdr[3].p_offset = UINT64_MAX - 0x1ff);
	EXPECT(-ENOEXEC, "outside the file", file.phdr[3].p_filesz = file.phdr[3].p_memsz = UINT64_MAX);
	EXPECT(-EINVAL, "differ within the page", file.phdr[2].p_vaddr = 0x401010);
	EXPECT(-EINVAL, "wraps", (file.phdr[3].p_filesz = 0, file.phdr[3].p_memsz = UINT64_MAX));
	EXPECT(-EINVAL, "wraps",
	       (file.phdr[3].p_filesz = 0, file.phdr[3].p_vaddr = UINT64_MAX - 0xfff, file.phdr[3].p_memsz = 0xfff));
	EXPECT(-EINVAL, "overlap", file.phdr[2].p_vaddr = 0x400000);
	EXPECT(-EINVAL, "overlap", file.phdr[3].p_vaddr = 0x401e00);
	EXPECT(-EINVAL, "overlap", file.phdr[3].p_vaddr = 0x300e00);
	EXPECT(-EINVAL, "overlap", file.phdr[1].p_memsz = 0x1001);
	EXPECT(-ENOMEM, "user address limit", file.phdr[3].p_memsz = LIMIT);
	EXPECT(-ENOMEM, "user address limit", file.phdr[3].p_vaddr = LIMIT - 0x200);
	EXPECT(-ENOMEM, "user address limit", file.phdr[3].p_vaddr = 0xffffffff80000e00);
	EXPECT(-ENOMEM, "user address limit", (file.header.e_type = ET_DYN, file.phdr[3].p_vaddr = 0x403e00 + LIMIT));
	EXPECT(-ENOEXEC, "interpreter", file.phdr[0].p_filesz = 1);
	EXPECT(-ENOEXEC, "interpreter", file.phdr[0].p_filesz = 4097);
	EXPECT(-ENOEXEC, "interpreter", file.phdr[0].p_offset = GOOD_FILE_BYTES - 27);
	EXPECT(-ENOEXEC, "interpreter", file.phdr[0].p_offset = UINT64_MAX);
	EXPECT(-EINVAL, "nothing to load", file.phdr[1].p_type = file.phdr[2].p_type = file.phdr[3].p_type = PT_NULL);
	EXPECT(0, "", file.phdr[1].p_memsz = 0x1000);
	/* only zeros: the file is not read */
	EXPECT(0, "", (file.phdr[3].p_filesz = 0, file.phdr[3].p_offset = UINT64_MAX));
	EXPECT(0, "", (file.phdr[1].p_filesz = file.phdr[1].p_memsz = 0));  /* empty: ignored */
	EXPECT(0, "", file.phdr[3].p_memsz = LIMIT - file.phdr[3].p_vaddr); /* up to the limit exactly */
	EXPECT(0, "", (file.header.e_type = ET_DYN, file.phdr[1].p_vaddr = 0));
}

static void test_details(void **state maybe_unused)
{
	struct file file = good;
	struct elf_image image, before;
	const char *why;

	file.phdr[4].p_flags |= PF_X;
	file.phdr[1].p_filesz = sizeof(file) - 1; /* the program headers are not all loaded */
	file.phdr[0].p_type = PT_NULL;
	file.header.e_entry = 0x400100; /* not executable */
	file.phdr[3].p_align = 0x3000;	/* not a power of two: ignored */
	assert_int_equal(parse(&file, GOOD_FILE_BYTES, &image, &why), 0);
	assert_true(image.stack_exec);
	assert_int_equal(image.phdrs_vaddr, 0);
	assert_int_equal(image.interp_bytes, 0);
	assert_false(image.entry_in_load);
	assert_int_equal(image.load_align, PAGE);

	assert_int_equal(elf_parse_header(&good, sizeof(good), GOOD_FILE_BYTES, EM_X86_64, &image, &why), 0);
	before = image;
	assert_int_equal(elf_parse_segments(&image, good.phdr, sizeof(good.phdr) - 1, PAGE, LIMIT, &why), -ENOEXEC);
	assert_int_equal(elf_parse_segments(&image, good.phdr, sizeof(good.phdr), PAGE, 0x405000, &why), -ENOMEM);
	assert_memory_equal(&image, &before, sizeof(image));

	assert_int_equal(elf_check_interp("/lib/ld.so", 11, &why), 0);
	assert_int_equal(elf_check_interp("/lib/ld.so", 10, &why), -ENOEXEC);
	assert_int_equal(elf_check_interp("/lib\0ld.so", 11, &why), -ENOEXEC);
	assert_int_equal(elf_check_interp("", 1, &why), -ENOEXEC);
}

/* What elf.h promises about an accepted image. */
static void check_promises(const struct elf_image *image, const Elf64_Phdr *phdrs)
{
	uint64_t last_end = 0;
	unsigned int index = 0, loads = 0;
	const Elf64_Phdr *segment;

	while ((segment = elf_next_load(image, phdrs, &index))) {
		uint64_t start = segment->p_vaddr & ~(uint64_t)(PAGE - 1);

		assert_true(segment->p_filesz <= segment->p_memsz);
		assert_true(segment->p_vaddr + segment->p_memsz > segment->p_vaddr);
		assert_true(!loads || start >= last_end);
		last_end = (segment->p_vaddr + segment->p_memsz + PAGE - 1) & ~(uint64_t)(PAGE - 1);
		assert_true(start >= image->load_start && last_end <= image->load_end);
		if (image->type == ET_EXEC)
			assert_true(last_end <= LIMIT);
		if (segment->p_filesz) {
			assert_true(segment->p_offset + segment->p_filesz <= image->file_bytes);
			assert_true(segment->p_offset + segment->p_filesz > segment->p_offset);
			assert_int_equal(segment->p_vaddr % PAGE, segment->p_offset % PAGE);
		}
		loads++;
	}
	assert_int_equal(loads, image->loads);
	assert_true(loads > 0 && image->load_end - image->load_start <= LIMIT);
	assert_true(image->interp_bytes <= 4096 && image->interp_offset + image->interp_bytes <= image->file_bytes);
}

static void test_mutations(void **state maybe_unused)
{
	unsigned int accepted = 0;

	test_random_seed(14);
	for (int round = 0; round < 300000; round++) {
		struct file file = good;
		struct elf_image image;
		const char *why;
		int changes = 1 + (int)test_random_below(3);

		for (int i = 0; i < changes; i++) {
			uint64_t *words = (uint64_t *)&file;
			size_t at = test_random_below(sizeof(file) / 8);

			switch (test_random_below(4)) {
			case 0:
				words[at] = test_random() >> test_random_below(64);
				break;
			case 1:
				words[at] += test_random_below(0x2001) - 0x1000;
				break;
			case 2:
				words[at] = words[test_random_below(sizeof(file) / 8)];
				break;
			default:
				((uint8_t *)&file)[test_random_below(sizeof(file))] = (uint8_t)test_random();
			}
		}
		if (parse(&file, GOOD_FILE_BYTES, &image, &why) == 0 && image.phnum <= PHDRS) {
			accepted++;
			check_promises(&image, file.phdr);
		}
	}
	assert_in_range(accepted, 1000, 200000);
}

static void check_program(const char *path, bool must_exist)
{
	size_t len;
	uint8_t *bytes = test_read_file(path, &len);
	struct elf_image image;
	const char *why = "";
	char interp[4096];

	if (!bytes) {
		assert_false(must_exist);
		return;
	}
	if (elf_parse_header(bytes, MIN(len, (size_t)64), len, ((Elf64_Ehdr *)bytes)->e_machine, &image, &why) != 0 ||
	    elf_parse_segments(&image, bytes + image.phdrs_offset, image.phdrs_bytes, PAGE, LIMIT, &why) != 0)
		fail_msg("%s: %s", path, why);
	check_promises(&image, (const Elf64_Phdr *)(bytes + image.phdrs_offset));
	assert_true(image.phdrs_vaddr != 0);
	if (image.interp_bytes) {
		memcpy(interp, bytes + image.interp_offset, image.interp_bytes);
		assert_int_equal(elf_check_interp(interp, image.interp_bytes, &why), 0);
		assert_true(interp[0] == '/');
	}
	free(bytes);
}

static void test_host_programs(void **state maybe_unused)
{
	size_t len;
	char *list = (char *)test_read_command(
		"find /usr/bin /usr/sbin /usr/lib/x86_64-linux-gnu -maxdepth 1 -type f -size -900k | sort | head -600;"
		" find -L build -name 'busybox*' -type f -size -4M 2>/dev/null | head; true",
		&len);
	unsigned int checked = 0;

	assert_non_null(list);
	check_program("/proc/self/exe", true);
	for (char *path = list, *end; path < list + len && (end = memchr(path, '\n', (size_t)(list + len - path)));
	     path = end + 1) {
		unsigned char head[18] = ""; /* up to e_type: 2 and 3 are programs and libraries, others object files */
		FILE *file;

		*end = '\0';
		file = fopen(path, "rb");
		if (!file)
			continue;
		if (fread(head, 1, sizeof(head), file) == sizeof(head) && memcmp(head, "\177ELF\2", 5) == 0 &&
		    (head[16] == 2 || head[16] == 3)) {
			check_program(path, true);
			checked++;
		}
		fclose(file);
	}
	free(list);
	assert_true(checked > 20);
}

int elf_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	      cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_bad_segments),  cmocka_unit_test(test_short_headers),
		cmocka_unit_test(test_details),	      cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_host_programs),
	};

	return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
