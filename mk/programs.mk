# Programs nobody here wrote: Debian's rt-tests, stress-ng and perf, unmodified, with the libraries they are linked to.

debian_packages := rt-tests stress-ng linux-perf \
	libapparmor1 libbabeltrace1 libbsd0 libbz2-1.0 libc6 libcap2 libcrypt1 libdrm2 libdw1 libegl1 libelf1 libexpat1 libffi8 \
	libgbm1 libgcc-s1 libgles2 libglib2.0-0 libglvnd0 libipsec-mb1 libjpeg62-turbo libjudydebian1 libkmod2 liblzma5 libmd0 \
	libnuma1 libopencsd1 libpcre2-8-0 libperl5.36 libpython3.11 libsctp1 libslang2 libssl3 libstdc++6 libunwind8 libuuid1 \
	libwayland-server0 libxxhash0 libzstd1 zlib1g
debian_programs := rt-tests/usr/bin/* stress-ng/usr/bin/stress-ng linux-perf/usr/bin/perf

$(out)/initramfs-debian.cpio: $(initramfs_prereqs) $(call dep,$(debian_packages)) mk/programs.mk
	@mkdir -p $(@D); $(call say,CPIO,$@)
	$(Q)tools/mkinitramfs --output $@ $(initramfs_args) --packages $(deps) $(foreach p,$(debian_programs),--program '$(p)')
.PHONY: initramfs-debian
initramfs-debian: $(out)/initramfs-debian.cpio ## an initramfs with Debian's rt-tests, stress-ng and perf

# What the scheduler does while a command runs, as a picture.
CMD  ?= hackbench -p -g 1 -l 20
# CPUS where somebody said it, else so many.
cpus_or = $(if $(filter command environment,$(firstword $(origin CPUS))),$(CPUS),$(1))
.PHONY: trace
trace: $(out)/ashlar $(out)/initramfs-debian.cpio | build/need-run ## CMD="…" CPUS=2: run a command, write build/trace.json for ui.perfetto.dev
	$(Q)tools/trace --kernel $(out)/ashlar --initrd $(out)/initramfs-debian.cpio --smp $(call cpus_or,2) '$(subst ','\'',$(CMD))'

# The torture run.
soak_sources = user/soak/soak.c user/soak/actions.c
$(out)/user/soak/soak: $(soak_sources) user/soak/soak.h mk/user.mk mk/programs.mk | build/need-user
	@mkdir -p $(@D); $(call say,UCC,$@)
	$(Q)$(MUSL_CC) $(user_flags) -static $(soak_sources) -o $@
$(out)/initramfs-soak.cpio: $(initramfs_prereqs) $(out)/user/soak/soak $(user_programs) $(call dep,$(debian_packages)) mk/programs.mk
	@mkdir -p $(@D); $(call say,CPIO,$@)
	$(Q)tools/mkinitramfs --output $@ $(initramfs_args) --packages $(deps) $(foreach p,$(debian_programs),--program '$(p)') \
		--add $(out)/user/soak/soak:/soak $(foreach t,$(user_tests),--add $(out)/user/test/$(t):/test/$(t))

# The kernel that the seeds are tried on is a debug build: it checks its locks.
MINUTES ?= 10
SEEDS   ?= 200
SEED    ?= 1
TEST    ?= ktest/sched
debug_out := build/$(variant:%-debug=%)-debug
soak_args  = --kernel $(out)/ashlar --ktest $(debug_out)/ashlar-ktest --initrd $(out)/initramfs-soak.cpio --cpus $(call cpus_or,4)
.PHONY: soak-kernels
soak-kernels: $(out)/ashlar $(out)/initramfs-soak.cpio | build/need-run
	$(Q)$(MAKE) --no-print-directory BUILD=debug ktest
.PHONY: soak
soak: soak-kernels ## MINUTES=10 CPUS=4 SEEDS=200: a torture run, Debian's programs, 200 seeds of the concurrency tests
	$(Q)tools/soak $(soak_args) --minutes $(MINUTES) --seeds $(SEEDS) --seed $(SEED) $(SOAK)
.PHONY: replay
replay: soak-kernels ## SEED=N TEST=ktest/sched: run a seed that failed once more, the same way
	$(Q)tools/soak $(soak_args) --replay $(SEED) --test $(TEST)
