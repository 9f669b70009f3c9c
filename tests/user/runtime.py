"""The programs of user/example/, on our own runtime: the same output and status on the host's Linux and in the guest."""
import os
import subprocess

from ashlartest import cases, timeout

FOLDER = os.path.join(os.path.dirname(__file__), "../../user/example")
EXAMPLES = sorted(name[:-2] for name in os.listdir(FOLDER) if name.endswith(".c"))


@cases(program=EXAMPLES)
@timeout(60)
def test_same_as_on_linux(ctx, program):
    built = ctx.path(f"out/user/example/{program}")
    host = subprocess.run([built, "one", "two"], capture_output=True, text=True, timeout=20)
    assert host.stdout, f"{program} printed nothing on the host"
    with ctx.guest(initrd=ctx.shell_initramfs({f"/{program}": f"out/user/example/{program}"}),
                   append="console=ttyS0 quiet") as guest:
        guest.boot()
        output = guest.run(f"/{program} one two")
        if output.strip().splitlines() != host.stdout.strip().splitlines() or guest.status != host.returncode:
            guest.fail(f"differs from Linux, which printed\n{host.stdout}\nand ended with {host.returncode}, not {guest.status}")
