# Ashlar: how everything is built, run and checked.  `make help` lists the targets.
#
# Variables for the command line, each combination with its own folder under build/:
#   ARCH=x86_64        the machine
#   CC=gcc|clang       the compiler (LLVM=1 is short for CC=clang)
#   BUILD=release      -O2 -g;  BUILD=debug adds assertions and lock checking (CONFIG_DEBUG=1)
#   SAN=ubsan|kasan    checks for undefined behaviour, or of each memory access; kernel only
#   CPUS=1             with `make test`, which takes all of these: how many CPUs its guests have
#   V=1                show whole command lines
#
# The rules are in mk/: config (variants and flags), kernel, user (programs, initramfs), host (unit tests, fuzzing),
# run (QEMU, ISO, gdb), check (tests, lint), bench, book.

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += --no-builtin-rules
# As many jobs as there are CPUs, unless -j says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

include mk/config.mk
include mk/keymap.mk
include mk/kernel.mk
include mk/user.mk
include mk/programs.mk
include mk/host.mk
include mk/run.mk
include mk/check.mk
include mk/bench.mk
include mk/book.mk

.PHONY: all
all: $(out)/ashlar $(out)/initramfs.cpio ## build the kernel and the initramfs (the default)

.PHONY: clean
clean: ## remove what is built, keep what is fetched
	$(Q)find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} + 2>/dev/null || true

.PHONY: distclean
distclean: ## remove build/ altogether
	$(Q)rm -rf build compile_commands.json

.PHONY: help
help: ## this list
	@echo 'Ashlar: make [TARGET] [CC=clang] [BUILD=debug] [SAN=ubsan|kasan] [V=1]'
	@sed -nE 's/^([a-z_.-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26
