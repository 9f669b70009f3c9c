"""Every program of user/test/ (musl, static) passes in the guest as it does on the host (`user-host/…`)."""
import os

from ashlartest import cases, timeout

FOLDER = os.path.join(os.path.dirname(__file__), "../../user/test")
PROGRAMS = sorted(name[:-2] for name in os.listdir(FOLDER) if name.endswith(".c")) if os.path.isdir(FOLDER) else []


@cases(program=PROGRAMS)
@timeout(90)
def test_passes(ctx, program):
    with ctx.guest(initrd="out/initramfs-test.cpio") as guest:
        guest.boot()
        guest.shell(f"/test/{program}")
