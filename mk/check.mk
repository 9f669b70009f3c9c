# Checking: tests, style and structure, benchmarks.

# The kernels under test are those of CC, BUILD and SAN, and their guests have this many CPUs.
CPUS ?= 1
test_variant = --cc '$(CC)' --build $(BUILD) --san $(SAN) --cpus $(CPUS)

.PHONY: test
test: ## build and run every test; T="boot user/programs" picks some, CPUS=4 gives each guest so many
	$(Q)tools/test $(test_variant) $(T)

.PHONY: test-all
test-all: ## make test by gcc and clang: release, debug, KASAN and UBSAN, one after the other (half an hour or more)
	$(Q)tools/test-all --cpus $(CPUS) $(T)

.PHONY: test-host test-kernel test-boot test-user
test-host: ## unit tests of lib/ on this machine
	$(Q)tools/test $(test_variant) host
test-kernel: ## the kernel's own tests in QEMU
	$(Q)tools/test $(test_variant) ktest ktest-release ktest-clang
test-boot: ## machines, firmwares, memory sizes, bad input
	$(Q)tools/test $(test_variant) boot
test-user: ## programs, on this machine's Linux and in the guest
	$(Q)tools/test $(test_variant) user-host user

.PHONY: mutants
mutants: $(out)/ashlar $(out)/initramfs.cpio | build/need-host build/need-user build/need-run ## break each mechanism on purpose, see that a test fails; M="9 ch03.txt" picks some
	$(Q)tools/mutants $(M)

.PHONY: bench
bench: $(out)/ashlar $(out)/initramfs-debian.cpio $(addsuffix .cpio,$(init_programs) $(bench_programs)) $(call dep,linux-image-cloud-amd64) | build/need-run ## boot and system calls, side by side with Linux in the same QEMU
	$(Q)tools/bench/bench --kernel $(out)/ashlar --programs $(out)/user $(BENCH)

.PHONY: bench-async
bench-async: $(out)/ashlar-ktest | build/need-run ## asynchronous tasks beside kernel threads: memory and instructions
	$(Q)tools/bench/async --kernel $(out)/ashlar-ktest

# Every C file and header that is ours.
our_c  = $(shell git ls-files -co --exclude-standard '*.c' '*.h' 2>/dev/null)
# What the kernel is built from, with the headers it uses.
kernel_c = $(filter %.c,$(kernel_srcs) $(ktest_only))

.PHONY: lint
lint: | build/need-lint $(kernel_deps) ## include direction, style, headers, file sizes, cppcheck
	$(Q)CC='$(CC)' KERNEL_FLAGS='$(kernel_cpp) -DCONFIG_KTEST=0 $(kernel_cflags)' tools/lint/lint

.PHONY: format
format: | build/need-format ## lay out all C as .clang-format says
	$(Q)tools/lint/rewrap $(our_c) $(shell git ls-files -co --exclude-standard '*.S' 2>/dev/null)
	$(Q)clang-format -i $(filter-out %/asm.h,$(our_c))

.PHONY: compile_commands.json
compile_commands.json: ## for clangd and other tools that read C
	$(Q)tools/compile-commands '$(CC) $(kernel_cpp) -DCONFIG_KTEST=0 $(kernel_cflags)' $(kernel_c) >$@
