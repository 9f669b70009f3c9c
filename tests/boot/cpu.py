"""CPU models: everything QEMU can emulate, and a plain one without SMEP, SMAP, XSAVE, 1 GiB pages or invariant TSC."""
from ashlartest import cases, timeout


@cases(cpu=["max", "qemu64", "Nehalem"], machine=["pc", "microvm"])
@timeout(60)
def test_shell(ctx, cpu, machine):
    with ctx.guest(cpu=cpu, machine=machine) as guest:
        guest.boot()
        # Floating point, in two processes at once.
        assert guest.shell("(awk 'BEGIN { for (i = 0; i < 20000; i++) s += i * 0.37; printf \"%.3f\\n\", s }') & "
                           "awk 'BEGIN { for (i = 0; i < 20000; i++) s += 1 / (i + 1); printf \"%.6f\\n\", s }' >/tmp/b; wait; cat /tmp/b"
                           ).split() == ["73996300.000", "10.480728"]
