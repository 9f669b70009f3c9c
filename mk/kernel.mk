# The kernel: every .c and .S of the floors, found by name.  No list of files to keep.

floor_globs := lib/*.c lib/alloc/*.c arch/$(ARCH)/*.c arch/$(ARCH)/*.S sync/*.c mm/*.c sched/*.c vm/*.c \
	       dev/*.c dev/*/*.c dev/*/*/*.c fs/*.c fs/*/*.c net/*.c net/*/*.c proc/*.c syscall/*.c core/*.c
test_globs  := arch/$(ARCH)/test/*.c sync/test/*.c mm/test/*.c sched/test/*.c vm/test/*.c dev/test/*.c \
	       fs/test/*.c net/test/*.c proc/test/*.c syscall/test/*.c core/test/*.c

# arch/x86_64/string.S has memcpy and its relatives; offsets.c only feeds the offsets header; ktest.c is in the test image.
not_kernel_x86_64 := lib/memops.c
not_kernel := $(not_kernel_$(ARCH)) arch/$(ARCH)/offsets.c core/ktest.c
# Sanitizer runtimes and their tests are only in the builds they serve.
# Debug builds find what a slab's own records show, and report it like the sanitizers.
not_kernel += $(if $(filter release,$(BUILD)),mm/slab_debug.c mm/alloc_record.c mm/test/test_slab_debug.c)
not_kernel += $(if $(filter release,$(BUILD)),$(if $(filter none,$(SAN)),core/sanitizer.c)) \
	      $(if $(filter ubsan,$(SAN)),,core/ubsan.c core/test/ubsan.c) \
	      $(if $(filter kasan,$(SAN)),,$(wildcard mm/kasan*.c) mm/test/test_kasan.c)

without_tests = $(foreach f,$(1),$(if $(findstring /test/,$(f)),,$(f)))
kernel_srcs := $(sort $(filter-out $(not_kernel),$(call without_tests,$(wildcard $(floor_globs)))))
ktest_only  := $(sort $(filter-out $(not_kernel),$(wildcard $(test_globs))) $(wildcard core/ktest.c))
# A file that asks CONFIG_KTEST is compiled twice, the others serve both images.
ktest_twice := $(if $(kernel_srcs),$(shell grep -l CONFIG_KTEST $(kernel_srcs) 2>/dev/null))

zlib_srcs := infback.c inftrees.c inffast.c zutil.c
zlib_objs := $(zlib_srcs:%.c=$(out)/obj/zlib/%.o)

# The framebuffer console's font, as data with console_font_start and console_font_end around it; and a second one for the
# lines and blocks that the first, which has more letters, shows by others (dev/video/font.c).
fonts    := $(deps)/console-setup-linux/usr/share/consolefonts
font_obj := $(out)/gen/console-font.o

# The vDSO (arch/$(ARCH)/vdso): a shared object for programs, built here and carried as data.
vdso_srcs := $(wildcard arch/$(ARCH)/vdso/*.c)
vdso_so   := $(out)/gen/vdso/linux-vdso.so.1
vdso_obj  := $(out)/gen/vdso/image.o

to_obj      = $(patsubst %,$(out)/$(2)/%.o,$(basename $(1)))
kernel_objs := $(call to_obj,$(kernel_srcs),obj) $(zlib_objs) $(font_obj) $(keymap_obj) $(vdso_obj)
ktest_objs  := $(call to_obj,$(filter-out $(ktest_twice),$(kernel_srcs)),obj) \
	       $(call to_obj,$(ktest_twice) $(ktest_only),ktest) $(zlib_objs) $(font_obj) $(keymap_obj) $(vdso_obj)

offsets_h := $(if $(wildcard arch/$(ARCH)/offsets.c),$(out)/gen/arch/offsets.h)

common_prereqs := $(flags_file) | $(kernel_deps) build/need-$(compiler)

$(out)/obj/%.o: %.c $(common_prereqs)
	@mkdir -p $(@D); $(call say,CC,$<)
	$(Q)$(CC) $(kernel_cpp) -DCONFIG_KTEST=0 $(kernel_cflags) $(call san_of,$<) -MMD -MP -c $< -o $@

$(out)/ktest/%.o: %.c $(common_prereqs)
	@mkdir -p $(@D); $(call say,CC,$< (ktest))
	$(Q)$(CC) $(kernel_cpp) -DCONFIG_KTEST=1 $(kernel_cflags) $(call san_of,$<) -MMD -MP -c $< -o $@

$(out)/obj/%.o: %.S $(common_prereqs) $(offsets_h)
	@mkdir -p $(@D); $(call say,AS,$<)
	$(Q)$(CC) $(kernel_cpp) $(kernel_asflags) -MMD -MP -c $< -o $@

# Foreign code: our code generation, their warnings.
$(out)/obj/zlib/%.o: $(common_prereqs)
	@mkdir -p $(@D); $(call say,CC,zlib/$*.c)
	$(Q)$(CC) $(kernel_cpp) $(filter-out -W%,$(kernel_cflags)) $(if $(filter kasan,$(SAN)),$(san_flags)) -w -DHAVE_HIDDEN -c $(deps)/zlib/$*.c -o $@

$(font_obj): $(call dep,console-setup-linux) mk/kernel.mk $(common_prereqs)
	@mkdir -p $(@D); $(call say,FONT,$@)
	$(Q)gzip -dc $(fonts)/Uni2-Terminus16.psf.gz >$(@D)/console_font
	$(Q)gzip -dc $(fonts)/FullGreek-Terminus16.psf.gz >$(@D)/console_lines
	$(Q)cd $(@D) && $(LD) -r -b binary -z noexecstack -o console-font.o.tmp console_font console_lines
	$(Q)$(OBJCOPY) --rename-section .data=.rodata.console_font,alloc,load,readonly,data,contents \
		$(foreach n,console_font console_lines,$(foreach e,start end,--redefine-sym _binary_$(n)_$(e)=$(n)_$(e)) \
		--strip-symbol _binary_$(n)_size) $@.tmp $@

# Code of a program, not of the kernel: position independent, unwindable, without sanitizers. It may have no relocations,
# since nobody would apply them (the linker script asserts it), and is carried without its debugging information.
vdso_cflags_x86_64 := -m64 -march=x86-64 -mgeneral-regs-only -fcf-protection=none
vdso_cflags := -std=gnu17 -O2 -g $(warnings) -Wno-missing-prototypes -ffreestanding -fPIC -fvisibility=hidden -fno-common \
	       -fno-stack-protector -fno-strict-aliasing -fomit-frame-pointer -fasynchronous-unwind-tables $(vdso_cflags_$(ARCH))
vdso_ldflags := -shared -nostdlib -soname linux-vdso.so.1 -Bsymbolic --hash-style=both --eh-frame-hdr --build-id=none \
		-z max-page-size=4096 -z noexecstack --orphan-handling=place --fatal-warnings
$(vdso_so): $(vdso_srcs) arch/$(ARCH)/vdso/vdso.ld mk/kernel.mk $(common_prereqs)
	@mkdir -p $(@D); $(call say,VDSO,$@)
	$(Q)$(CC) $(kernel_cpp) $(vdso_cflags) -MMD -MP -MT $@ -MF $@.d -c $(vdso_srcs) -o $@.o
	$(Q)$(LD) $(vdso_ldflags) -T arch/$(ARCH)/vdso/vdso.ld -o $@ $@.o
$(vdso_obj): $(vdso_so)
	$(Q)$(OBJCOPY) -S $< $(@D)/vdso
	$(Q)cd $(@D) && $(LD) -r -b binary -z noexecstack -o image.o.tmp vdso
	$(Q)$(OBJCOPY) --rename-section .data=.rodata.vdso,alloc,load,readonly,data,contents --set-section-alignment .data=4096 \
		--redefine-sym _binary_vdso_start=vdso_image --redefine-sym _binary_vdso_end=vdso_image_end \
		--strip-symbol _binary_vdso_size $@.tmp $@

# Frame offsets are generated from C: offsets.c is compiled to assembly, in which each `->NAME value` becomes a #define.
# (clang's own assembler would read these lines, hence -fno-integrated-as.)
offsets_flags := $(if $(filter clang,$(compiler)),-fno-integrated-as)
$(out)/gen/arch/offsets.h: arch/$(ARCH)/offsets.c $(common_prereqs)
	@mkdir -p $(@D); $(call say,GEN,$@)
	$(Q)$(CC) $(kernel_cpp) -DCONFIG_KTEST=0 $(kernel_cflags) -MMD -MP -MT $@ -MF $@.d $(offsets_flags) -S $< -o $@.s
	$(Q)( echo '/* Generated from $<. */'; echo '#pragma once'; \
	  sed -nE 's/^.*->([A-Za-z0-9_]+) [$$#]?(-?[0-9]+).*/#define \1 \2/p' $@.s ) >$@

# Linking is done twice: the first kernel yields the addresses of its functions, the second carries them as a table
# for backtraces.  The table lies behind all text, so that no address moves; tools/symtab --check makes sure.
define link_rules
$(out)/$(1).first: $(2) $(out)/gen/no-symbols.o arch/$(ARCH)/kernel.ld
	@$$(call say,LD,$$@)
	$$(Q)$(LD) $(kernel_ldflags) -T arch/$(ARCH)/kernel.ld -o $$@ $(2) $(out)/gen/no-symbols.o
$(out)/gen/$(1)-symbols.S: $(out)/$(1).first tools/symtab
	$$(Q)$(NM) -n $$< | tools/symtab >$$@
$(out)/$(1): $(out)/gen/$(1)-symbols.o
	@$$(call say,LD,$$@)
	$$(Q)$(LD) $(kernel_ldflags) -T arch/$(ARCH)/kernel.ld -o $$@.tmp $(2) $(out)/gen/$(1)-symbols.o
	$$(Q)$(NM) -n $$@.tmp | tools/symtab --check $(out)/gen/$(1)-symbols.S
	$$(Q)mv $$@.tmp $$@
endef
$(eval $(call link_rules,ashlar,$(kernel_objs)))
$(eval $(call link_rules,ashlar-ktest,$(ktest_objs)))

$(out)/gen/no-symbols.S: tools/symtab
	@mkdir -p $(@D)
	$(Q)tools/symtab </dev/null >$@
$(out)/gen/%.o: $(out)/gen/%.S $(flags_file)
	$(Q)$(CC) $(kernel_asflags) -c $< -o $@

.PHONY: kernel ktest
kernel: $(out)/ashlar
ktest: $(out)/ashlar-ktest

# Compile only: everything, or the floors named, e.g. `make obj DIRS="lib sync"`.
DIRS ?= .
obj_wanted := $(if $(filter .,$(DIRS)),%,$(foreach d,$(DIRS),$(out)/obj/$(d:/=)/% $(out)/ktest/$(d:/=)/%))
.PHONY: obj
obj: $(filter $(obj_wanted),$(kernel_objs) $(filter $(out)/ktest/%,$(ktest_objs))) ## compile without linking; DIRS="lib sync" picks floors

-include $(vdso_so).d $(patsubst %.o,%.d,$(filter-out $(zlib_objs) $(font_obj) $(keymap_obj) $(vdso_obj),$(kernel_objs) $(filter $(out)/ktest/%,$(ktest_objs)))) $(out)/gen/arch/offsets.h.d
