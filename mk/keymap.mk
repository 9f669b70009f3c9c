# Keyboard layouts: Debian's keymaps, made into tables by tools/keymap.  `us` is always there (dev/input/keymap_us.c).
#
# KEYMAPS is a list of NAME or NAME=FILE: the word for keymap=, and a keymap of Debian's console-data package (without
# .kmap.gz), or a path: of a keymap, or of what `loadkeys --mktable --unicode` printed.

KEYMAPS ?= de=de-latin1 de-nodeadkeys=de-latin1-nodeadkeys fr=fr-latin9

keymaps_c  := build/gen/keymaps.c
keymap_obj := $(out)/gen/keymaps.o

# Made anew when the list changes.
keymaps_list := build/gen/keymaps.list
ifneq ($(strip $(file <$(keymaps_list))),$(strip $(KEYMAPS)))
$(shell mkdir -p build/gen)
$(file >$(keymaps_list),$(strip $(KEYMAPS)))
endif

$(keymaps_c): tools/keymap $(keymaps_list) $(call dep,kbd console-data) $(foreach m,$(KEYMAPS),$(wildcard $(lastword $(subst =, ,$(m)))))
	@mkdir -p $(@D); $(call say,KEYMAP,us $(KEYMAPS))
	$(Q)tools/keymap --loadkeys $(deps)/kbd/bin/loadkeys --folder $(deps)/console-data/usr/share/keymaps/i386 $(KEYMAPS) >$@.tmp
	$(Q)mv $@.tmp $@

$(keymap_obj): $(keymaps_c) dev/input/keyboard.h $(flags_file)
	@mkdir -p $(@D)
	$(Q)$(CC) $(kernel_cpp) $(kernel_cflags) $(san_of) -c $< -o $@
