"""From 8 MiB to 16 GiB of RAM (QEMU takes only what the guest touches), and what happens when it runs out."""
import gzip
import re
import time

from ashlartest import cases, timeout


def test_8_mib_reach_pid1(ctx):
    """With one CPU, as each more takes memory of its own."""
    archive = ctx.bare_initramfs({}, init="out/user/init/hello")
    with ctx.guest(initrd=archive, memory="8M", smp=1) as guest:
        guest.expect(r"init: here after \d+ cycles")
        assert guest.wait(10) == ("off", 0)


@cases(memory=["16M", "128M", "4G", "16G"])
@timeout(90)
def test_shell(ctx, memory):
    with ctx.guest(memory=memory, machine="q35") as guest:
        guest.boot()
        total_kib = int(guest.shell("awk '/^MemTotal/ { print $2 }' /proc/meminfo"))
        unit = {"M": 1 << 10, "G": 1 << 20}[memory[-1]]
        given_kib = int(memory[:-1]) * unit
        assert given_kib * 0.6 < total_kib <= given_kib, total_kib
        # Use some of it, and get it back.
        assert guest.shell("for i in 1 2 3; do dd if=/dev/zero of=/tmp/x bs=64k count=16 2>/dev/null; done; "
                           "wc -c </tmp/x; rm /tmp/x") == "1048576"


@timeout(90)
def test_pages_above_4_gib_work(ctx):
    with ctx.guest(memory="6G") as guest:
        guest.boot()
        guest.shell("mount -t tmpfs -o size=5g big /mnt")
        # More than lies below the hole at 4 GiB, but sparse, so only the pages at the ends are real.
        guest.shell("dd if=/dev/urandom of=/mnt/f bs=1M count=1 seek=4500 2>/dev/null")
        assert guest.shell("stat -c %s /mnt/f") == str(4501 << 20)


@timeout(60)
def test_mem_word_limits(ctx):
    with ctx.guest(memory="512M", append="console=ttyS0 mem=64M") as guest:
        guest.boot()
        assert int(guest.shell("awk '/^MemTotal/ { print $2 }' /proc/meminfo")) < 70 << 10  # and the initramfs, wherever it lies


@timeout(60)
def test_too_little_for_the_kernel(ctx):
    """Nobody's bug: a line that says what is missing, and the reset that panic= asks for."""
    with ctx.guest(memory="64M", append="console=ttyS0 mem=2M panic=-1") as guest:
        guest.expect(r"boot: not enough memory: \d+ KiB are needed.*give the machine more RAM")
        assert guest.wait(10) == ("off", 0)


@timeout(60)
def test_initramfs_too_large(ctx):
    """Its content does not fit: a line that says what would do, and no panic."""
    archive = ctx.bare_initramfs({"a": b"\0" * (60 << 20), "init": b"#!/bin/sh\n"})
    with open(archive, "rb") as plain:
        packed = gzip.compress(plain.read())
    with open(archive, "wb") as out:
        out.write(packed)
    with ctx.guest(initrd=archive, memory="32M") as guest:
        line = guest.expect(r"initramfs: out of memory[^\n]*\n").group(0)
        assert re.search(r"\d+ MiB", line), line
        guest.expect("no init could be started")


@timeout(90)
def test_memory_hog_is_killed(ctx):
    with ctx.guest(memory="64M") as guest:
        guest.boot()
        # tail keeps all of its input as long as no line ends.
        guest.run("tail /dev/zero")
        assert guest.status == 137, f"the hog ended with status {guest.status}"
        assert "out of memory" in guest.console
        assert guest.shell("echo still here") == "still here"
        assert guest.shell("ls / | grep -c init") == "1"


@timeout(90)
def test_who_takes_page_tables_is_killed(ctx):
    """Not the largest of those that have pages: the tables of who has hardly any are what memory went into."""
    with ctx.guest(memory="128M", initrd="out/initramfs-test.cpio") as guest:
        guest.boot()
        guest.shell("(dd if=/dev/zero bs=1M count=12 2>/dev/null; sleep 1000) | tail -c 12582912 >/dev/null & sleep 1")
        assert int(guest.shell("awk '/VmRSS/ { print $2 }' /proc/$(pidof tail)/status")) > 12288
        guest.run("/test/memory --tables")
        assert guest.status == 137, f"the hog ended with status {guest.status}"
        assert "out of memory" in guest.console
        assert guest.shell("pidof tail | wc -w") == "1"


@timeout(90)
def test_full_tmpfs_is_enospc(ctx):
    with ctx.guest(memory="64M") as guest:
        guest.boot()
        guest.run("dd if=/dev/zero of=/tmp/big bs=1M")
        assert "No space left on device" in guest.console
        guest.shell("rm /tmp/big")
        assert guest.shell("echo fine >/tmp/small && cat /tmp/small") == "fine"


@timeout(120)
def test_fork_bomb_ends_in_eagain(ctx):
    with ctx.guest(memory="64M") as guest:
        guest.boot()
        # Each generation leaves a sleeper; the shell says "can't fork" when the kernel has had enough.
        guest.send("b() { b | b & }; b 2>/tmp/err\n")
        time.sleep(5)
        # On a line of its own: if the first shell is among those that cannot fork, it drops the rest of that line.
        guest.send("echo o''ver\n")
        guest.expect(r"\nover\r?\n", 100)
        # Whoever is left is put away, and the shell still answers.
        guest.send("\n")
        for _ in range(3):
            guest.send("trap '' TERM; kill -TERM -1; sleep 1\n")
        guest.send("echo a''live\n")
        guest.expect(r"alive\r?\n", 60)


@timeout(60)
def test_a_file_larger_than_memory(ctx):
    """fallocate(2) of what is not there fails, and what it took until then is free again at once."""
    with ctx.guest(memory="128M", append="console=ttyS0 loglevel=1") as guest:
        guest.boot()
        free = "awk '/^MemFree/ { print $2 }' /proc/meminfo"
        before_kib = int(guest.shell(free))
        assert guest.shell("fallocate -l 100000000000 /big 2>&1; stat -c %s /big").split()[-1] == "0"
        assert int(guest.shell(free)) > before_kib - 4096
        assert guest.shell("fallocate -l 1000000 /small; stat -c %s /small") == "1000000"
