# Benchmarks of single mechanisms.

.PHONY: bench-alloc
bench-alloc: $(out)/ashlar-ktest | build/need-run ## the allocator designs side by side on one recorded trace; a table and docs/images/alloc.svg
	$(Q)tools/bench/alloc --kernel $(out)/ashlar-ktest $(BENCH)

# Another trace: what a debug kernel allocates while it boots and works.
.PHONY: bench-alloc-record
bench-alloc-record: $(out)/initramfs.cpio | build/need-run ## record tools/bench/alloc.trace anew, from a debug kernel at work
	$(Q)$(MAKE) --no-print-directory BUILD=debug build/$(variant:%-debug=%)-debug/ashlar
	$(Q)tools/bench/alloc --record --kernel build/$(variant:%-debug=%)-debug/ashlar --initrd $(out)/initramfs.cpio
