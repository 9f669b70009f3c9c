# Pure code on the host: unit tests (cmocka) under ASan and UBSan, and a fuzz target for each parser.
#
# All of lib/ is pure and tested in lib/test/; so are the files of other floors named in host_pure_srcs, tested in tests/host/.
# A file with a main() is one test program; files without one are linked into all of them.
# lib/fuzz/NAME.c has LLVMFuzzerTestOneInput(); seeds, if any, are in lib/fuzz/NAME.corpus/.

HOST_CC  ?= gcc
FUZZ_CC  ?= clang
host_kind := host$(if $(findstring clang,$(notdir $(HOST_CC))),-clang)
host_out := build/$(host_kind)
fuzz_out := build/fuzz
host_flags := -std=gnu17 -O1 -g $(warnings) -I. -D_GNU_SOURCE -DCONFIG_DEBUG=1 -DCONFIG_KTEST=0 -DCONFIG_HOST=1 -DZ_SOLO \
	      -fno-omit-frame-pointer
sanitize   := -fsanitize=address,undefined -fno-sanitize-recover=undefined

# Hosted, lib/string.h and lib/printf.h give lib's functions names of their own (lib_memcpy …), so all of lib/ is linked.
host_lib_srcs := $(wildcard lib/*.c lib/alloc/*.c)
host_pure_srcs := $(addprefix dev/char/,n_tty.c screen.c ansi.c cp437.c chacha20.c) $(addprefix dev/input/,keyboard.c keymap_us.c) \
		  arch/x86_64/acpi_aml.c
host_lib_objs := $(patsubst %.c,$(host_out)/%.o,$(host_lib_srcs) $(host_pure_srcs)) $(zlib_srcs:%.c=$(host_out)/zlib/%.o) $(host_out)/gen/keymaps.o
fuzz_lib_objs := $(host_lib_srcs:%.c=$(fuzz_out)/%.o) $(zlib_srcs:%.c=$(fuzz_out)/zlib/%.o)

lib_test_srcs  := $(wildcard lib/test/*.c tests/host/*.c)
host_mains     := $(if $(lib_test_srcs),$(shell grep -l '^int main\>' $(lib_test_srcs)))
host_shared    := $(patsubst %.c,$(host_out)/%.o,$(filter-out $(host_mains),$(lib_test_srcs)))
# NAME_model.c stands alone; so does NAME_tsan.c, built with ThreadSanitizer, which does not go together with the others.
model_programs := $(patsubst lib/test/%.c,$(host_out)/%,$(filter %_model.c,$(host_mains)))
tsan_mains     := $(filter %_tsan.c,$(host_mains))
tsan_programs  := $(tsan_mains:lib/test/%.c=$(host_out)/%)
host_programs  := $(patsubst lib/test/%.c,$(host_out)/%,$(filter-out %_tsan.c %_model.c,$(host_mains)))
fuzz_programs  := $(patsubst lib/fuzz/%.c,$(fuzz_out)/%,$(wildcard lib/fuzz/*.c))

$(host_out)/%.o: %.c mk/host.mk mk/config.mk | $(kernel_deps) build/need-$(host_kind)
	@mkdir -p $(@D); $(call say,HOSTCC,$<)
	$(Q)$(HOST_CC) $(host_flags) $(sanitize) -isystem $(deps)/zlib -MMD -MP -c $< -o $@
$(host_out)/gen/keymaps.o: $(keymaps_c) dev/input/keyboard.h mk/host.mk
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) $(host_flags) $(sanitize) -c $< -o $@
$(host_out)/zlib/%.o: mk/host.mk | $(kernel_deps) build/need-$(host_kind)
	@mkdir -p $(@D)
	$(Q)$(HOST_CC) -O1 -g -w -DZ_SOLO $(sanitize) -c $(deps)/zlib/$*.c -o $@
$(host_programs): $(host_out)/%: $(host_out)/lib/test/%.o $(host_shared) $(host_lib_objs)
	@$(call say,HOSTLD,$@)
	$(Q)$(HOST_CC) $(sanitize) $^ -lcmocka -o $@
$(model_programs): $(host_out)/%: $(host_out)/lib/test/%.o
	@$(call say,HOSTLD,$@)
	$(Q)$(HOST_CC) $(sanitize) $^ -lcmocka -o $@
$(tsan_programs): $(host_out)/%: lib/test/%.c mk/host.mk mk/config.mk | build/need-$(host_kind)
	@mkdir -p $(@D); $(call say,TSAN,$<)
	$(Q)$(HOST_CC) $(host_flags) -Iarch/x86_64/include -fsanitize=thread -MMD -MP -MF $@.d $< -lcmocka -o $@

$(fuzz_out)/%.o: %.c mk/host.mk mk/config.mk | $(kernel_deps) build/need-fuzz
	@mkdir -p $(@D); $(call say,FUZZCC,$<)
	$(Q)$(FUZZ_CC) $(host_flags) $(sanitize) -fsanitize=fuzzer-no-link -isystem $(deps)/zlib -MMD -MP -c $< -o $@
$(fuzz_out)/zlib/%.o: mk/host.mk | $(kernel_deps) build/need-fuzz
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -O1 -g -w -DZ_SOLO $(sanitize) -fsanitize=fuzzer-no-link -c $(deps)/zlib/$*.c -o $@
$(fuzz_programs): $(fuzz_out)/%: $(fuzz_out)/lib/fuzz/%.o $(fuzz_lib_objs)
	@$(call say,FUZZLD,$@)
	$(Q)$(FUZZ_CC) $(sanitize) -fsanitize=fuzzer $^ -o $@

.PHONY: host
host: $(host_programs) $(model_programs) $(tsan_programs)

FUZZ_SECONDS ?= 30
.PHONY: fuzz
fuzz: $(fuzz_programs) ## run each fuzz target for FUZZ_SECONDS=30
	$(Q)tools/fuzz --seconds $(FUZZ_SECONDS) $(fuzz_programs)

-include $(wildcard $(host_out)/lib/*.d $(host_out)/lib/alloc/*.d $(host_out)/lib/test/*.d $(host_out)/*.d $(host_out)/tests/host/*.d $(host_out)/dev/*/*.d $(host_out)/arch/*/*.d $(fuzz_out)/lib/*.d $(fuzz_out)/lib/fuzz/*.d)
