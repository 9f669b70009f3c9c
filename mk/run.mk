# Running: QEMU on this terminal, in a window, under gdb; the bootable CD image.  tools/machine.py knows QEMU's options.

MACHINE ?= pc
MEMORY  ?= 256M
APPEND  ?=
qemu_args = --kernel $(out)/ashlar --initrd $(out)/initramfs.cpio --machine $(MACHINE) --memory $(MEMORY) --smp $(CPUS) --append '$(APPEND)'

.PHONY: run
run: $(out)/ashlar $(out)/initramfs.cpio | build/need-run ## boot to a shell on this terminal; CPUS=1 MACHINE=pc|q35|microvm MEMORY=256M APPEND=…
	@echo 'Ctrl-A X ends QEMU at once, poweroff ends it in good order.'
	$(Q)tools/qemu $(qemu_args)

.PHONY: run-window
run-window: $(out)/ashlar $(out)/initramfs.cpio | build/need-run ## the same in a window: VGA screen and PS/2 keyboard
	$(Q)tools/qemu --window --print >/dev/null && tools/need window
	$(Q)tools/qemu $(qemu_args) --window

.PHONY: run-iso
run-iso: $(out)/ashlar.iso | build/need-run ## boot the CD image by BIOS
	$(Q)tools/qemu --iso $(out)/ashlar.iso --machine $(MACHINE) --memory $(MEMORY)

.PHONY: debug
debug: $(out)/ashlar $(out)/initramfs.cpio | build/need-run build/need-debug ## boot and wait for gdb on port 1234
	@echo 'In another terminal:  gdb -x tools/gdb/ashlar.gdb $(out)/ashlar'
	$(Q)tools/qemu $(qemu_args) --gdb

# The CD boots by BIOS and by UEFI; GRUB hands the kernel over by Multiboot2.  Debug information stays behind.
iso_dir := $(out)/iso
$(out)/ashlar.iso: $(out)/ashlar $(out)/initramfs.cpio tools/grub.cfg mk/run.mk | build/need-iso
	@$(call say,ISO,$@)
	$(Q)rm -rf $(iso_dir) && mkdir -p $(iso_dir)/boot/grub
	$(Q)$(OBJCOPY) --strip-debug $(out)/ashlar $(iso_dir)/boot/ashlar
	$(Q)cp $(out)/initramfs.cpio $(iso_dir)/boot/
	$(Q)cp tools/grub.cfg $(iso_dir)/boot/grub/
	$(Q)grub-mkrescue -o $@.tmp $(iso_dir) >$(iso_dir).log 2>&1 || { cat $(iso_dir).log; exit 1; }
	$(Q)mv $@.tmp $@

.PHONY: screenshots
screenshots: $(out)/ashlar $(out)/initramfs.cpio | build/need-run ## take the pictures of docs/images from a running system
	$(Q)$(MAKE) --no-print-directory BUILD=debug ktest
	$(Q)tools/screenshots

.PHONY: iso
iso: $(out)/ashlar.iso ## a CD image that boots by BIOS and UEFI
	@echo '$(out)/ashlar.iso'
