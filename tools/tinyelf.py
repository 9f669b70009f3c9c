"""The smallest programs (man 5 elf), whole or damaged on purpose."""
import struct

HEADERS = 64 + 56


def program(code, **changes):
    """An ELF64 program of one segment, its code at 0x400078.  changes: fields of its header (e_…) and its segment (p_…)."""
    header = dict(e_type=2, e_machine=62, e_version=1, e_entry=0x400000 + HEADERS, e_phoff=64, e_shoff=0, e_flags=0, e_ehsize=64,
                  e_phentsize=56, e_phnum=1, e_shentsize=0, e_shnum=0, e_shstrndx=0)
    segment = dict(p_type=1, p_flags=5, p_offset=0, p_vaddr=0x400000, p_paddr=0x400000, p_filesz=HEADERS + len(code),
                   p_memsz=HEADERS + len(code), p_align=4096)
    for name, value in changes.items():
        (header if name in header else segment)[name] = value
    return (b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", *header.values())
            + struct.pack("<IIQQQQQQ", *segment.values()) + code)
