"""The ways out: power off, reset, and PID 1's end."""
import os

import tinyelf
from ashlartest import cases, timeout

# Lets the machine start again, where the usual command line ends QEMU at a reset.
REBOOTS = ("-action", "reboot=reset")


@cases(machine=["pc", "q35", "microvm"])
@timeout(60)
def test_poweroff(ctx, machine):
    """By way of init: SIGTERM to all, sync, reboot(2)."""
    with ctx.guest(machine=machine) as guest:
        guest.boot()
        guest.send("poweroff\n")
        assert guest.wait(20) == ("off", 0)


@timeout(60)
def test_halt(ctx):
    """reboot(2) with HALT: says so, and stays."""
    with ctx.guest() as guest:
        guest.boot()
        guest.send("halt -f\n")
        guest.expect(r"reboot: system halted")


@cases(machine=["pc", "q35", "microvm"])
@timeout(60)
def test_reboot(ctx, machine):
    with ctx.guest(machine=machine, extra=REBOOTS) as guest:
        guest.boot()
        guest.send("reboot -f\n")
        guest.expect(r"boot: Ashlar")
        guest.boot()
        guest.send("poweroff -f\n")
        assert guest.wait(20) == ("off", 0)


def shell_script(ctx, text):
    """An initramfs whose /init is this script."""
    busybox = os.path.join(ctx.root, "build/deps/busybox-static/bin/busybox")
    path = os.path.join(ctx.scratch(), "init")
    with open(path, "w") as out:
        out.write("#!/bin/sh\n" + text)
    return ctx.bare_initramfs({"bin/busybox": busybox, "bin/sh": busybox}, init=path)


@timeout(30)
def test_exit_of_pid1_is_told(ctx):
    with ctx.guest(initrd=shell_script(ctx, "exit 3\n")) as guest:
        guest.expect(r"PID 1 exited with status 3")


@timeout(30)
def test_death_of_pid1_is_told(ctx):
    """Signals do not reach PID 1, but its own faults kill it."""
    with ctx.guest(initrd=ctx.bare_initramfs({}, init=faulting_program(ctx))) as guest:
        guest.expect(r"PID 1 was killed by signal 11")


def faulting_program(ctx):
    path = os.path.join(ctx.scratch(), "fault")
    with open(path, "wb") as out:
        out.write(tinyelf.program(b"\x31\xc0\x8b\x00"))  # xor eax, eax; mov eax, [rax]
    return path


@timeout(30)
def test_panic_word_resets_at_once(ctx):
    with ctx.guest(initrd=shell_script(ctx, "exit 3\n"), append="console=ttyS0 panic=-1") as guest:
        guest.expect(r"PID 1 exited with status 3")
        assert guest.wait(5) == ("off", 0)


@timeout(30)
def test_panic_word_resets_after_seconds(ctx):
    with ctx.guest(initrd=shell_script(ctx, "exit 4\n"), append="console=ttyS0 panic=1") as guest:
        guest.expect(r"PID 1 exited with status 4")
        guest.expect(r"resetting in 1 second")
        assert guest.wait(10) == ("off", 0)
