"""Interrupt controllers: what the in-kernel tests need a machine of their own for, and /proc/interrupts."""
import re

from ashlartest import cases, needs, plain, timeout


def run_ktests(ctx, prefix, append="", **options):
    """Run the in-kernel tests whose names begin with prefix; return the console and how many passed, failed, were skipped."""
    with ctx.guest(kernel="out-debug/ashlar-ktest", initrd=None, append=f"console=ttyS0 panic=-1 ktest={prefix} {append}",
                   **options) as guest:
        count = guest.expect(r"ktest: (\d+) passed, (\d+) failed, (\d+) skipped")
        guest.wait(10)
        if int(count.group(2)):
            guest.fail(f"tests of {prefix} failed")
        return plain(guest.console), [int(n) for n in count.groups()]


@timeout(60)
@needs("out-debug/ashlar-ktest")
@cases(machine=["pc", "q35"])
def test_messages(ctx, machine):
    """MSI by the edu device, MSI-X by a network card."""
    console, counts = run_ktests(ctx, "msi.", machine=machine, extra=["-device", "edu", "-device", "e1000e"])
    assert counts == [3, 0, 0], console


@timeout(60)
@needs("out-debug/ashlar-ktest")
def test_8259(ctx):
    """Without ACPI there is no I/O APIC: the 8259 pair is in charge, and tells its spurious interrupts from real ones."""
    for cpu in ("max", "max,-apic"):
        console, counts = run_ktests(ctx, "irq.", machine="pc", cpu=cpu, smp=1, extra=["-machine", "acpi=off"])
        assert "interrupts: 8259" in console
        assert "ok irq.pic_spurious" in console


@timeout(60)
def test_proc_interrupts(ctx):
    """The table has Linux's columns, and a line counts when its device is used."""
    with ctx.guest(machine="q35") as guest:
        guest.boot()

        def table():
            head, *rows = guest.shell("cat /proc/interrupts").splitlines()
            cpus = head.split()
            assert cpus == [f"CPU{n}" for n in range(len(cpus))] and head.startswith(" " * 11 + "CPU0"), head
            found = {}
            for row in rows:
                # A column a CPU; ERR and MIS are the machine's.
                match = re.fullmatch(rf" *(\w+):((?: +\d+){{{len(cpus)}}}|(?<=ERR:) +\d+|(?<=MIS:) +\d+)( .*)?", row)
                assert match, row
                found[match.group(1)] = (sum(map(int, match.group(2).split())), match.group(3) or "")
            return found

        before = table()
        assert re.fullmatch(r" +IO-APIC +4-edge +\w+.*", before["4"][1]), before["4"]
        assert before["LOC"][1].strip() == "Local timer interrupts"
        assert "ERR" in before
        for _ in range(20):
            guest.shell("true")
        after = table()
        assert after["4"][0] > before["4"][0] + 20
        assert after["LOC"][0] >= before["LOC"][0]
        intr = guest.shell("grep ^intr /proc/stat").split()
        assert int(intr[1]) >= after["4"][0]
