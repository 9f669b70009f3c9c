"""Time under each clock source and clock event: the in-kernel tests of `time.` and a boot to the shell."""
from ashlartest import cases, needs, plain, timeout


def run_ktests(ctx, prefix, append="", **options):
    """Run the in-kernel tests whose names begin with prefix; return the console."""
    with ctx.guest(kernel="out-debug/ashlar-ktest", initrd=None, append=f"console=ttyS0 panic=-1 ktest={prefix} {append}",
                   **options) as guest:
        count = guest.expect(r"ktest: (\d+) passed, (\d+) failed")
        if int(count.group(1)) == 0 or int(count.group(2)):
            guest.fail(f"tests of {prefix} failed")
        guest.wait(10)
        return plain(guest.console)


def chosen(console):
    words = console.split("time: clock ")[1].splitlines()[0]
    return words.split()[0], words.split("alarm ")[1].split()[0]


@timeout(60)
@needs("out-debug/ashlar-ktest")
@cases(clocksource=["tsc", "hpet", "acpi_pm", "pit"], clockevent=["lapic", "hpet", "pit"])
def test_each(ctx, clocksource, clockevent):
    console = run_ktests(ctx, "time.", f"clocksource={clocksource} clockevent={clockevent}", machine="q35")
    assert chosen(console) == (clocksource, clockevent), chosen(console)
    assert "not to be had" not in console


@timeout(60)
@needs("out-debug/ashlar-ktest")
def test_no_local_apic(ctx):
    """A machine with nothing but an 8259, so one CPU: the PIT rings, or the HPET in its place."""
    console = run_ktests(ctx, "time.", "", machine="pc", cpu="max,-apic", smp=1, extra=["-machine", "hpet=off"])
    assert chosen(console) == ("tsc", "pit"), chosen(console)
    console = run_ktests(ctx, "time.", "clocksource=pit", machine="pc", cpu="max,-apic", smp=1)
    assert chosen(console) == ("pit", "hpet"), chosen(console)


@timeout(60)
@needs("out-debug/ashlar-ktest")
def test_what_is_not_there(ctx):
    """A source the machine lacks, or an unusable TSC: a line says so, and the next best is taken."""
    console = run_ktests(ctx, "time.never", "clocksource=kvm-clock clockevent=tsc-deadline")
    assert chosen(console) == ("tsc", "lapic")
    assert "clocksource=kvm-clock is not to be had" in console
    assert "clockevent=tsc-deadline is not to be had" in console
    console = run_ktests(ctx, "time.runs", "tsc=unstable")
    assert chosen(console) == ("hpet", "lapic")


@timeout(60)
@cases(clocksource=["hpet", "acpi_pm", "pit"])
def test_programs(ctx, clocksource):
    """What a program sees: sleep(1) sleeps, the clock moves, and the wall clock is today's."""
    with ctx.guest(append=f"console=ttyS0 clocksource={clocksource}") as guest:
        guest.boot()
        start, end = guest.shell("cut -d. -f1 /proc/uptime; sleep 2; cut -d. -f1 /proc/uptime").split()
        assert 2 <= int(end) - int(start) <= 10, (start, end)
