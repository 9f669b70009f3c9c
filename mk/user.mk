# Programs for the guest, and the initramfs they go into.  None of them is kernel code: they are built as any Linux
# program is, and every test program runs on the host's Linux first.

USER_CC    ?= gcc
MUSL_CC    ?= musl-gcc
user_flags := -std=gnu17 -O2 -g -Wall -Wextra -Werror -pthread -I.

user_tests := $(notdir $(basename $(wildcard user/test/*.c)))
# One source, five ways to be a program: the kernel's ELF loader has to know them all.
user_kinds := test static-pie glibc-static glibc musl
user_link_test         = $(MUSL_CC) $(user_flags) -static
user_link_musl         = $(MUSL_CC) $(user_flags)
user_link_glibc        = $(USER_CC) $(user_flags)
user_link_glibc-static = $(USER_CC) $(user_flags) -static
user_link_static-pie   = $(USER_CC) $(user_flags) -static-pie -fPIE

# build/x86_64/user/test/NAME is NAME with musl, static; user/glibc/NAME the one that runs on the host; and so on.
define user_rule
$(out)/user/$(1)/%: user/test/%.c $(wildcard user/test/*.h) mk/user.mk | build/need-user
	@mkdir -p $$(@D); $$(call say,UCC,user/$(1)/$$*)
	$$(Q)$$(user_link_$(1)) $$< -o $$@ $$(USER_LIBS)
endef
$(foreach kind,$(user_kinds),$(eval $(call user_rule,$(kind))))

user_programs := $(user_tests:%=$(out)/user/test/%)
# Everything as the guest and the oracle run it; `threads` also in the other ways.
user_all      := $(foreach kind,test glibc,$(user_tests:%=$(out)/user/$(kind)/%)) $(user_kinds:%=$(out)/user/%/threads) $(out)/user/glibc-static/pthreads

# Benchmarks: static, each also as the only program (PID 1) of an initramfs of its own.
bench_programs := $(patsubst user/bench/%.c,$(out)/user/bench/%,$(wildcard user/bench/*.c))
$(out)/user/bench/%: user/bench/%.c user/bench/bench.h mk/user.mk | build/need-user
	@mkdir -p $(@D); $(call say,UCC,$<)
	$(Q)$(MUSL_CC) $(user_flags) -static -s $< -o $@
$(out)/user/bench/%.cpio: $(out)/user/bench/% tools/mkinitramfs tools/cpio.py
	$(Q)tools/mkinitramfs --output $@ --init $<

# Programs without a libc: for the boot benchmark and for tests of the kernel alone.
init_programs := $(patsubst user/init/%,$(out)/user/init/%,$(basename $(wildcard user/init/*.S user/init/*.c)))
init_flags    := $(abi_includes) -O2 -nostdlib -nostartfiles -static -fno-pic -no-pie -fno-stack-protector \
		 -fno-asynchronous-unwind-tables -Wl,-z,noexecstack,--build-id=none -s
$(out)/user/init/%: user/init/%.S mk/user.mk $(call dep,linux-libc-dev)
	@mkdir -p $(@D); $(call say,UCC,$<)
	$(Q)$(USER_CC) $(init_flags) $< -o $@
$(out)/user/init/%: user/init/%.c mk/user.mk $(call dep,linux-libc-dev)
	@mkdir -p $(@D); $(call say,UCC,$<)
	$(Q)$(USER_CC) -std=gnu17 -Wall -Wextra -Werror $(init_flags) $< -o $@
$(out)/user/init/%.cpio: $(out)/user/init/% tools/mkinitramfs tools/cpio.py
	$(Q)tools/mkinitramfs --output $@ --init $<

# The examples of the book: on our own runtime in user/rt, which shares lib/'s formatter and strings with the kernel.
rt_srcs   := $(wildcard user/rt/*.c user/rt/*.S) lib/printf.c lib/string.c lib/memops.c
rt_objs   := $(patsubst %,$(out)/rt/%.o,$(basename $(rt_srcs)))
rt_flags  := -std=gnu17 -O2 -g -Wall -Wextra -Werror -ffreestanding -fno-builtin -nostdinc \
	     -isystem $(shell $(USER_CC) -print-file-name=include) $(abi_includes) -I. -DCONFIG_DEBUG=0 -DCONFIG_KTEST=0 \
	     -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables
examples  := $(patsubst user/example/%.c,$(out)/user/example/%,$(wildcard user/example/*.c))
$(out)/rt/%.o: %.c mk/user.mk $(call dep,linux-libc-dev)
	@mkdir -p $(@D); $(call say,UCC,$<)
	$(Q)$(USER_CC) $(rt_flags) -MMD -MP -c $< -o $@
$(out)/rt/%.o: %.S mk/user.mk $(call dep,linux-libc-dev)
	@mkdir -p $(@D); $(call say,UCC,$<)
	$(Q)$(USER_CC) $(rt_flags) -c $< -o $@
$(out)/user/example/%: $(out)/rt/user/example/%.o $(rt_objs) mk/user.mk
	@mkdir -p $(@D); $(call say,ULD,$@)
	$(Q)$(USER_CC) -nostdlib -static -no-pie -Wl,-z,noexecstack,--build-id=none $(filter %.o,$^) -o $@
.PRECIOUS: $(out)/rt/user/example/%.o
.PHONY: examples
examples: $(examples) ## the book's programs, on the runtime in user/rt: no libc
-include $(wildcard $(out)/rt/*/*.d $(out)/rt/user/*/*.d)

.PHONY: user
user: $(examples) $(user_all) $(init_programs) $(bench_programs) ## build the programs of user/

rootfs_files := $(shell find user/rootfs -type f -o -type l)
initramfs_prereqs := $(rootfs_files) $(call dep,busybox-static) tools/mkinitramfs tools/cpio.py
initramfs_args := --rootfs user/rootfs --busybox $(deps)/busybox-static/bin/busybox

$(out)/initramfs.cpio: $(initramfs_prereqs)
	@mkdir -p $(@D); $(call say,CPIO,$@)
	$(Q)tools/mkinitramfs --output $@ $(initramfs_args)
$(out)/initramfs.cpio.gz: $(initramfs_prereqs)
	@mkdir -p $(@D); $(call say,CPIO,$@)
	$(Q)tools/mkinitramfs --output $@ --gzip $(initramfs_args)
# With the test programs in /test.
$(out)/initramfs-test.cpio: $(initramfs_prereqs) $(user_programs)
	@mkdir -p $(@D); $(call say,CPIO,$@)
	$(Q)tools/mkinitramfs --output $@ $(initramfs_args) $(foreach t,$(user_tests),--add $(out)/user/test/$(t):/test/$(t))

.PHONY: initramfs initramfs-test
initramfs-test: $(out)/initramfs-test.cpio
initramfs: $(out)/initramfs.cpio $(out)/initramfs.cpio.gz ## build the initramfs, plain and gzip

# Linux's own test of its smallest libc, from its source package (130 MB: tools/test needs it, nothing else does).
linux_source := $(deps)/linux-source-6.1/usr/src/linux-source-6.1
$(linux_source)/.nolibc: $(call dep,linux-source-6.1)
	@$(call say,UNPACK,$(linux_source) (nolibc))
	$(Q)mkdir -p $(@D) && tar -xJf $(linux_source).tar.xz -C $(@D) --strip-components=1 --wildcards \
		'*/tools/include/nolibc' '*/tools/testing/selftests/nolibc' && touch $@
$(out)/user/nolibc-test: $(linux_source)/.nolibc $(call dep,linux-libc-dev) mk/user.mk | build/need-user
	@mkdir -p $(@D); $(call say,UCC,nolibc-test)
	$(Q)$(USER_CC) -Os -w -fno-asynchronous-unwind-tables -fno-ident -fno-stack-protector -nostdlib -static $(abi_includes) \
		-include $(linux_source)/tools/include/nolibc/nolibc.h -I$(linux_source)/tools/include/nolibc \
		$(linux_source)/tools/testing/selftests/nolibc/nolibc-test.c -o $@ -lgcc
$(out)/user/nolibc-test.cpio: $(out)/user/nolibc-test tools/mkinitramfs tools/cpio.py
	$(Q)tools/mkinitramfs --output $@ --init $<
.PHONY: nolibc-test
nolibc-test: $(out)/user/nolibc-test.cpio
# What Linux's kernel prints for it, for tests/user/nolibc.py to compare with.
.PHONY: nolibc-expected
nolibc-expected: $(out)/user/nolibc-test.cpio $(call dep,linux-image-cloud-amd64) $(call dep,busybox-static) | build/need-run ## run Linux's nolibc-test on Linux, record what it prints
	$(Q)PYTHONPATH=tools python3 tests/user/nolibc.py
