"""Exceptions that come from outside: NMI and machine check, by QEMU's monitor."""
import re
import time

from ashlartest import cases, plain, timeout


@timeout(60)
@cases(machine=["pc", "q35"])
def test_nmi(ctx, machine):
    """Each is counted and reported; the machine goes on, also when they come in the middle of a program's system calls."""
    with ctx.guest(machine=machine, append="console=ttyS0 loglevel=3") as guest:
        guest.boot()
        guest.send("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); read x </proc/uptime; done; echo done $i\n")
        for _ in range(100):
            guest.monitor("nmi")
            time.sleep(0.005)
        guest.expect(r"done 30000")
        guest.boot()
        # The monitor's command goes to each CPU.
        for count in re.search(r"NMI:((?: +\d+)+) ", guest.shell("cat /proc/interrupts")).group(1).split():
            assert 10 <= int(count) <= 100, count
        assert re.search(r"trap: unexpected NMI on cpu \d+; going on", guest.shell("dmesg | tail -n 3"))


@timeout(60)
def test_machine_check_is_fatal(ctx):
    """An uncorrected error: the report names the bank, its code and address; then as after any panic."""
    with ctx.guest(append="console=ttyS0 panic=-1") as guest:
        guest.boot()
        # cpu bank status mcg_status addr misc: valid, uncorrected, enabled, address valid, context corrupt; code 0x134
        guest.monitor("mce 0 2 0xb600000000000134 0x5 0xabc000 0x0")
        guest.expect(r"machine check: bank 2: uncorrected error, code 0x134 at 0xabc000, context corrupt", forbid=None)
        guest.expect(r"kernel panic.*\r?\n.*machine check in the kernel: bank 2: uncorrected", forbid=None)
        assert guest.wait(10)[0] in ("reset", "off", "code"), plain(guest.console)[-300:]


@timeout(60)
def test_machine_check_without_a_report(ctx):
    """A corrected error raises no exception; it stays in its bank, and nothing happens."""
    with ctx.guest(append="console=ttyS0") as guest:
        guest.boot()
        guest.monitor("mce 0 3 0x9000000000000134 0x0 0x0 0x0")
        assert guest.shell("echo alive") == "alive"
