"""`qemu -kernel`: the way of QEMU and of microVM monitors (PVH)."""
from ashlartest import cases, timeout


@cases(machine=["pc", "q35", "microvm"])
@timeout(60)
def test_reaches_shell(ctx, machine):
    with ctx.guest(machine=machine) as guest:
        guest.boot()
        assert guest.shell("echo $((6 * 7))") == "42"


@cases(machine=["pc", "q35", "microvm"])
@timeout(60)
def test_poweroff_ends_qemu(ctx, machine):
    with ctx.guest(machine=machine) as guest:
        guest.boot()
        guest.send("poweroff -f\n")
        assert guest.wait(20) == ("off", 0)
