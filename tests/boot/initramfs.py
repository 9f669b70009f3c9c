"""
The initramfs and command line of somebody else's making, good and bad.  Bad: each names its cause on the console, and the
machine neither panics nor resets.
"""
import gzip
import os
import struct
import subprocess

import cpio
import tinyelf
from ashlartest import cases, timeout

BUSYBOX = "build/deps/busybox-static/bin/busybox"


def written(ctx, name, data):
    path = os.path.join(ctx.scratch(), name)
    with open(path, "wb") as out:
        out.write(data)
    return path


def usual(ctx, name="out/initramfs.cpio"):
    with open(ctx.path(name), "rb") as data:
        return data.read()


def told(ctx, pattern, **options):
    """Boot and return the line; wait until the kernel has told that there is no init, or has found another."""
    with ctx.guest(**options) as guest:
        line = guest.expect(pattern + r"[^\n]*\n").group(0)
        if "no init could be started" not in line:
            guest.expect(r"no init could be started|running /\S+ as PID 1")
        return line


@timeout(60)
def test_gzip(ctx):
    with ctx.guest(initrd="out/initramfs.cpio.gz") as guest:
        guest.boot()
        assert guest.shell("echo $((6 * 7))") == "42"


@timeout(90)
def test_somebody_elses(ctx):
    """As anyone makes one for Linux: a folder, find | cpio | gzip; and a command line as Linux gets it."""
    root = os.path.join(ctx.scratch(), "root")
    os.makedirs(f"{root}/bin")
    for folder in ("proc", "sys", "dev", "etc", "newroot"):
        os.makedirs(f"{root}/{folder}")
    subprocess.run(["cp", ctx.path(BUSYBOX), f"{root}/bin/busybox"], check=True)
    for applet in ("sh", "mount", "cat", "echo", "uname", "ls", "poweroff", "setsid", "cttyhack"):
        os.symlink("busybox", f"{root}/bin/{applet}")
    with open(f"{root}/init", "w") as out:
        out.write("#!/bin/sh\nmount -t proc none /proc\nmount -t sysfs none /sys\nmount -t devtmpfs none /dev\n"
                  "echo \"Welcome to $(uname -s), $1 $2, FOO is $FOO\"\ncat /proc/cmdline\nls -l /dev/console\n"
                  "exec setsid cttyhack sh\n")
    os.chmod(f"{root}/init", 0o755)
    archive = os.path.join(ctx.scratch(), "foreign.cpio.gz")
    subprocess.run(f"find . | {ctx.path(BUSYBOX)} cpio -o -H newc 2>/dev/null | gzip -9 >{archive}", shell=True, check=True, cwd=root)
    words = ("BOOT_IMAGE=/boot/vmlinuz-6.1 root=/dev/sda1 ro console=tty0 console=ttyS0,115200n8 earlyprintk=serial,ttyS0 nokaslr "
             "net.ifnames=0 FOO=bar mitigations=off single -- extra")
    with ctx.guest(initrd=archive, append=words) as guest:
        guest.expect(r"Welcome to \S+, single extra, FOO is bar")
        guest.expect(r"BOOT_IMAGE=/boot/vmlinuz-6\.1 .* -- extra\r?\n")
        guest.expect(r"crw\S* +1 \S+ +\S+ +5, +1 .*/dev/console")
        guest.boot()
        assert guest.shell("echo it works") == "it works"
        guest.send("poweroff -f\n")
        assert guest.wait(20) == ("off", 0)


@timeout(60)
def test_several_archives_in_a_row(ctx):
    """Linux takes archives one after the other, packed or not (kernel documentation, early user-space)."""
    extra = ctx.bare_initramfs({"added": b"from the second\n", "etc/hostname": b"second\n"}, name="second.cpio")
    with open(extra, "rb") as second:
        data = usual(ctx) + b"\0" * 512 + gzip.compress(second.read())
    with ctx.guest(initrd=written(ctx, "both", data)) as guest:
        guest.boot()
        assert guest.shell("cat /added") == "from the second"
        assert guest.shell("hostname") == "second"


@timeout(30)
def test_none(ctx):
    assert "no init could be started" in told(ctx, r"no init could be started", initrd=None)


@timeout(30)
def test_garbage(ctx):
    told(ctx, r"initramfs: .*(neither|not|start)", initrd=written(ctx, "x", bytes(range(256)) * 64))


@timeout(30)
def test_empty(ctx):
    told(ctx, r"no init could be started", initrd=written(ctx, "x", b"\0" * 512))


@cases(part=[0.1, 0.5, 0.999])
@timeout(30)
def test_truncated(ctx, part):
    data = usual(ctx)
    told(ctx, r"initramfs: .*(cut|ends|short|truncated|damaged)", initrd=written(ctx, "x", data[:int(len(data) * part)]))


@timeout(30)
def test_corrupt_header(ctx):
    """A field of the second member holds no hexadecimal number."""
    data = bytearray(usual(ctx))
    second = data.index(b"070701", 6)
    data[second + 14:second + 22] = b"zzzzzzzz"
    told(ctx, r"initramfs: .*hexadecimal at byte %d" % (second + 14), initrd=written(ctx, "x", bytes(data)))


@timeout(30)
def test_huge_size_field(ctx):
    data = bytearray(usual(ctx))
    second = data.index(b"070701", 6)
    data[second + 54:second + 62] = b"FFFFFFFF"
    told(ctx, r"initramfs: ", initrd=written(ctx, "x", bytes(data)))


@timeout(30)
def test_truncated_gzip(ctx):
    data = usual(ctx, "out/initramfs.cpio.gz")
    told(ctx, r"initramfs: .*gzip", initrd=written(ctx, "x", data[:len(data) // 2]))


@timeout(30)
def test_corrupt_gzip(ctx):
    data = bytearray(usual(ctx, "out/initramfs.cpio.gz"))
    for at in range(len(data) // 2, len(data) // 2 + 64):
        data[at] ^= 0x5a
    told(ctx, r"initramfs: (gzip data|bytes that are neither)", initrd=written(ctx, "x", bytes(data)))


@timeout(30)
def test_gzip_with_wrong_checksum(ctx):
    data = bytearray(usual(ctx, "out/initramfs.cpio.gz"))
    data[-8] ^= 1
    told(ctx, r"initramfs: .*gzip", initrd=written(ctx, "x", bytes(data)))


@timeout(30)
def test_init_missing(ctx):
    archive = ctx.bare_initramfs({"etc/x": b"x"})
    told(ctx, r"no init could be started", initrd=archive)


@timeout(30)
def test_init_not_executable(ctx):
    archive = cpio.Archive()
    archive.directory("dev")
    archive.node("dev/console", "c", 5, 1)
    archive.file("init", b"#!/bin/sh\n", 0o644)
    archive = written(ctx, "x", archive.finished())
    assert "chmod" in told(ctx, r"cannot run /init", initrd=archive)


@timeout(30)
def test_rdinit_missing(ctx):
    told(ctx, r"cannot run /no/such", append="console=ttyS0 rdinit=/no/such")


@timeout(30)
def test_interpreter_missing(ctx):
    archive = ctx.bare_initramfs({}, init=written(ctx, "init", b"#!/no/such/shell\n"))
    told(ctx, r"cannot run /init.*interpreter", initrd=archive)


# Fields of an ELF header and its segment that no program may have.
DAMAGES = {
    "huge": dict(p_memsz=1 << 46),
    "wrapping": dict(p_memsz=(1 << 64) - 1),
    "misaligned": dict(p_vaddr=0x400123),
    "in-the-kernel": dict(p_vaddr=0xffffffff80000000),
    "beyond-the-file": dict(p_offset=1 << 40),
    "more-in-file-than-memory": dict(p_filesz=1 << 20),
    "other-machine": dict(e_machine=183),
    "no-segments": dict(e_phnum=0),
}


@cases(damage=list(DAMAGES))
@timeout(30)
def test_damaged_elf(ctx, damage):
    program = written(ctx, "init", tinyelf.program(b"\xb8\x3c\0\0\0\x31\xff\x0f\x05", **DAMAGES[damage]))
    archive = ctx.bare_initramfs({}, init=program)
    told(ctx, r"cannot run /init", initrd=archive)


@timeout(30)
def test_overlapping_elf_segments(ctx):
    """Two segments on the same pages: refused, or the later one wins, as on Linux; PID 1 ends either way."""
    code = b"\xb8\x3c\0\0\0\xbf\x05\0\0\0\x0f\x05"  # exit(5)
    image = bytearray(tinyelf.program(code, e_phnum=2, e_entry=0x4000b0))
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 176 + len(code), 176 + len(code), 4096)
    image[64:] = segment + segment + code
    archive = ctx.bare_initramfs({}, init=written(ctx, "init", bytes(image)))
    with ctx.guest(initrd=archive) as guest:
        guest.expect(r"PID 1 exited with status 5|PID 1 was killed|cannot run /init")


@timeout(60)
def test_unknown_words(ctx):
    with ctx.guest(append="console=ttyS0 frobnicate=1 wibble panic=soon") as guest:
        guest.expect(r'"frobnicate=1" is no word')
        guest.expect(r'"panic=soon" has a value that makes no sense')
        guest.boot()
        assert guest.shell("echo $frobnicate") in ("", "1")
