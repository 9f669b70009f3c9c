# Variants, tools and flags.

ARCH  ?= x86_64
BUILD ?= release
SAN   ?= none

ifeq ($(origin CC),default)
CC := $(if $(LLVM),clang,gcc)
endif
ifeq ($(origin LD),default)
LD := ld
endif
PYTHON    ?= python3
OBJCOPY   ?= objcopy
NM        ?= nm
compiler  := $(if $(findstring clang,$(notdir $(CC))),clang,gcc)

ifeq ($(filter $(ARCH),x86_64),)
$(error ARCH=$(ARCH) is not known; there is x86_64)
endif
ifeq ($(filter $(BUILD),release debug),)
$(error BUILD=$(BUILD) is not known; there are release and debug)
endif

ifeq ($(filter $(SAN),none ubsan kasan),)
$(error SAN=$(SAN) is not known; there are ubsan and kasan)
endif

variant := $(ARCH)$(if $(filter clang,$(compiler)),-clang)$(if $(filter debug,$(BUILD)),-debug)$(SAN:%=-%)
variant := $(variant:%-none=%)
out     := build/$(variant)
deps    := build/deps

# The flags below ask the compiler where its headers are, so it has to be there before any rule runs.
ifeq ($(shell command -v $(CC)),)
$(shell tools/need $(compiler) >&2)
endif

# Short lines by default: $(call say,CC,file) prints, $(Q) hides the command.
Q   := $(if $(V),,@)
say  = $(if $(V),:,printf '%-6s %s\n' '$(1)' '$(2)')

# (-Wextra, but a table may leave its last fields zero.)
warnings := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-missing-field-initializers
config   := -DCONFIG_DEBUG=$(if $(filter debug,$(BUILD)),1,0) -DCONFIG_UBSAN=$(if $(filter ubsan,$(SAN)),1,0) \
	    -DCONFIG_KASAN=$(if $(filter kasan,$(SAN)),1,0)

abi_includes := -isystem $(deps)/linux-libc-dev/usr/include \
		-isystem $(deps)/linux-libc-dev/usr/include/$(ARCH)-linux-gnu
ext_includes := $(abi_includes) -isystem $(deps)/libxen-dev/usr/include -isystem $(deps)/zlib
compiler_includes := -isystem $(shell $(CC) -print-file-name=include 2>/dev/null)

arch_flags_x86_64 := -m64 -march=x86-64 -mno-red-zone -mgeneral-regs-only -mcmodel=kernel -fcf-protection=none
kernel_cpp := -nostdinc -I. -Iarch/$(ARCH)/include -I$(out)/gen $(compiler_includes) $(ext_includes) -DZ_SOLO $(config)
kernel_cflags := -std=gnu17 -O2 -g $(warnings) -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
		 -fno-strict-aliasing -fno-omit-frame-pointer -fno-common -fno-delete-null-pointer-checks \
		 -fno-asynchronous-unwind-tables $(arch_flags_$(ARCH)) $(if $(filter gcc,$(compiler)),-fno-allow-store-data-races)
# Sanitizers: checks by the compiler, reports by core/ubsan.c and mm/kasan*.c.  No alignment check: x86 has no such rule, and
# packed structures are read where they lie.  KASAN: every check is a call, so only what mm/kasan.h knows needs a shadow;
# KASAN_SHADOW_OFFSET of <arch/layout.h> is told to the compiler because it clears and poisons stack frames inline.
shadow_offset_x86_64 := 0xdffffc0000000000
san_flags_ubsan := -fsanitize=shift,$(if $(filter clang,$(compiler)),array-bounds,bounds),signed-integer-overflow,null,object-size,vla-bound,unreachable,enum,bool \
		   -fsanitize=integer-divide-by-zero,return,nonnull-attribute,returns-nonnull-attribute,builtin,pointer-overflow
san_flags_kasan := -fsanitize=kernel-address
san_flags_kasan += $(if $(filter clang,$(compiler)),\
		   -mllvm -asan-mapping-offset=$(shadow_offset_$(ARCH)) -mllvm -asan-instrumentation-with-call-threshold=0 \
		   -mllvm -asan-globals=1 -mllvm -asan-stack=1 -mllvm -asan-use-after-scope=1,\
		   -fasan-shadow-offset=$(shadow_offset_$(ARCH)) --param asan-instrumentation-with-call-threshold=0 \
		   --param asan-globals=1 --param asan-stack=1 -fsanitize-address-use-after-scope)
# (With each caller in the stacks, also where it ends in a call.)
san_flags := $(strip $(san_flags_$(SAN)) $(if $(filter none,$(SAN)),,-fno-optimize-sibling-calls))
# Without: the runtimes themselves, and what handles memory that is not to be touched by others.
san_exempt_ubsan := core/ubsan.c core/sanitizer.c
san_exempt_kasan := $(wildcard mm/kasan*.c mm/slab*.c) core/sanitizer.c arch/$(ARCH)/trap_print.c
# $(call san_of,FILE.c): the flags for one file.
san_of = $(if $(filter $(san_exempt_$(SAN)),$(1)),,$(san_flags))

kernel_asflags := -g -fno-pic $(arch_flags_$(ARCH)) -Wa,--fatal-warnings
kernel_ldflags := -nostdlib -static -z max-page-size=0x1000 -z noexecstack --build-id=none --fatal-warnings

# What was built with other flags is built again: each object depends on this file, and the file changes with the flags.
flags_now := $(CC) $(shell $(CC) -dumpfullversion -dumpversion 2>/dev/null) $(LD) $(kernel_cpp) $(kernel_cflags) \
	     $(kernel_asflags) $(kernel_ldflags) $(san_flags)
flags_file := $(out)/flags
ifneq ($(strip $(file <$(flags_file))),$(strip $(flags_now)))
$(shell mkdir -p $(out))
$(file >$(flags_file),$(strip $(flags_now)))
endif

# Programs a target needs are installed by Debian's apt when they are missing; nothing happens when all are there.
build/need-%: tools/need
	$(Q)tools/need $* && mkdir -p build && touch $@

# Foreign parts: one stamp each, named by $(call dep,PACKAGE).  The kernel needs the first list; the others are fetched by
# the targets that use them.
dep          = $(1:%=$(deps)/%/.ashlar-stamp)
kernel_deps := $(call dep,linux-libc-dev libxen-dev zlib console-setup-linux)
$(deps)/%/.ashlar-stamp: tools/deps.lock tools/deps | build/need-deps
	$(Q)tools/deps fetch $*

.PHONY: deps
deps: $(kernel_deps) $(call dep,busybox-static) ## fetch and unpack what tools/deps.lock pins

.PHONY: deps-update
deps-update: | build/need-deps ## re-pin tools/deps.lock to what Debian holds today
	$(Q)tools/deps update
