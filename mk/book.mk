# The book: web pages of docs/, and its pictures.

.PHONY: book
# Debian's own Python, which the package is for.
book: | build/need-book ## the book of docs/ as web pages, links and names checked: build/book/index.html
	$(Q)/usr/bin/python3 tools/book/book.py build build/book

.PHONY: book-live
book-live: $(out)/ashlar $(out)/initramfs.cpio | build/need-run build/need-debug ## run the book's sessions and compare; PAGES=docs/05-memory.md picks some
	$(Q)$(MAKE) --no-print-directory BUILD=debug kernel ktest
	$(Q)tools/book/live.py $(PAGES)

.PHONY: pictures
pictures: $(out)/ashlar $(out)/initramfs.cpio | build/need-run ## draw the memory map and the boot in docs/images from a running system
	$(Q)tools/book/pictures.py
