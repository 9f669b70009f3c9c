"""The one place that knows QEMU's command line: run targets, tests and benchmarks all build theirs here."""
import os
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MACHINES = ("pc", "q35", "microvm")
DEBUG_EXIT_PORT = "0xf4"
OVMF_PLACES = ("/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd")


def ovmf():
    """Path of the UEFI firmware, or None."""
    return next((place for place in OVMF_PLACES if os.path.exists(place)), None)


def command(kernel=None, initrd=None, append="", machine="pc", memory="256M", cpu="max", smp=1, iso=None, firmware=None,
            display="none", serial="stdio", qmp=None, gdb=False, icount=False, devices=True, extra=()):
    """
    The argument list that starts QEMU.

    kernel, initrd, append   as for Linux; or iso, a CD image
    machine                  pc, q35 or microvm
    memory                   with unit: "16M", "4G"
    firmware                 None: QEMU's own BIOS; "uefi": OVMF; else a path
    display                  "none" or what QEMU's -display takes
    serial                   "stdio"; "mon:stdio" for a terminal (Ctrl-A C is QEMU's monitor, Ctrl-C the guest's)
    qmp                      path of a socket to serve QMP on
    gdb                      wait for gdb on port 1234 before the first instruction
    icount                   one instruction a nanosecond, the same in each run: for counting, not for waiting
    devices                  False: none of the machine's default devices but the serial port
    extra                    further arguments
    """
    assert machine in MACHINES, machine
    options = ""
    if machine == "microvm":
        options = ",isa-serial=on,rtc=on,acpi=on"
    line = [shutil.which("qemu-system-x86_64") or "qemu-system-x86_64", "-M", machine + options, "-accel", "tcg",
            "-cpu", cpu, "-smp", str(smp), "-m", memory, "-no-reboot", "-no-user-config", "-nic", "none",
            "-display", display, "-serial", serial,
            "-device", f"isa-debug-exit,iobase={DEBUG_EXIT_PORT},iosize=4"]
    if not serial.startswith("mon:"):
        line += ["-monitor", "none"]
    if not devices:
        line += ["-nodefaults"]
    if icount:
        line += ["-icount", "shift=0,sleep=off"]
    if kernel:
        line += ["-kernel", kernel]
        if initrd:
            line += ["-initrd", initrd]
        if append:
            line += ["-append", append]
    if iso:
        line += ["-cdrom", iso, "-boot", "d"]
    if firmware:
        path = ovmf() if firmware == "uefi" else firmware
        if path is None:
            raise FileNotFoundError("no UEFI firmware: install the package 'ovmf'")
        line += ["-bios", path]
    if qmp:
        line += ["-qmp", f"unix:{qmp},server=on,wait=off"]
    if gdb:
        line += ["-s", "-S"]
    return line + list(extra)


def exit_meaning(status):
    """What QEMU's exit status says about the guest: ('off', 0), ('code', n) from isa-debug-exit, or ('killed', signal)."""
    if status < 0:
        return "killed", -status
    if status & 1:
        return "code", status >> 1
    return "off", status
