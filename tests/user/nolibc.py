"""
Linux's own test of its smallest libc (tools/testing/selftests/nolibc of linux-source-6.1) prints on Ashlar what it prints on
Debian's cloud kernel in the same QEMU: as PID 1, and from the shell.

What Linux prints is kept beside this file (nolibc-pid1.linux, nolibc-shell.linux); `make nolibc-expected` runs Linux and writes both anew.
"""
import os
import re
import sys

from ashlartest import PROMPT, Context, needs, plain, timeout

HERE = os.path.dirname(os.path.abspath(__file__))
LINUX = "build/deps/linux-image-cloud-amd64/boot"


def results(text):
    """
    The lines of the test itself; its socket cases wait for networking.  Numbers that are the system's own business (how long
    the list of the root folder is, which process numbers came before) give way to a #.
    """
    lines = [re.sub(r"^(\d+ (?:getdents64_root|getpid|getppid|gettid|getpgid_self) =) (?!0 |1 |-1)\d+ +", r"\1 # ", line.rstrip())
             for line in plain(text).splitlines()]
    keep = re.compile(r"\d+ \w+|Running test|Errors during|Total number of errors")
    return [line for line in lines if keep.match(line) and "socket" not in line]


def as_pid1(ctx, kernel):
    # It powers off when all is well, and exits where it finds a fault.
    with ctx.guest(kernel=kernel, initrd="out/user/nolibc-test.cpio", append="console=ttyS0 quiet panic=-1") as guest:
        guest.expect(r"Total number of errors: \d+\s", forbid=None)
        return results(guest.console)


def from_shell(ctx, kernel):
    archive = ctx.shell_initramfs({"test/nolibc-test": "out/user/nolibc-test"})
    with ctx.guest(kernel=kernel, initrd=archive, append="console=ttyS0 loglevel=1") as guest:
        guest.expect(PROMPT, forbid=None)
        return results(guest.run("/test/nolibc-test"))


RUNS = {"pid1": as_pid1, "shell": from_shell}


def compare(ctx, name):
    with open(os.path.join(HERE, f"nolibc-{name}.linux")) as expected:
        wanted = expected.read().splitlines()
    got = RUNS[name](ctx, "out/ashlar")
    differences = [f"Linux:  {line}" for line in wanted if line not in got] + [f"Ashlar: {line}" for line in got if line not in wanted]
    assert got == wanted, "\n".join(differences)


@needs("out/user/nolibc-test.cpio")
@timeout(60)
def test_pid1(ctx):
    compare(ctx, "pid1")


@needs("out/user/nolibc-test")
@timeout(60)
def test_shell(ctx):
    compare(ctx, "shell")


def main():
    """Write the expectations from a run of Linux."""
    kernel = next(name for name in sorted(os.listdir(LINUX)) if name.startswith("vmlinuz"))
    for name, run in RUNS.items():
        ctx = Context(300)
        try:
            lines = run(ctx, f"{LINUX}/{kernel}")
        finally:
            ctx.close()
        path = os.path.join(HERE, f"nolibc-{name}.linux")
        with open(path, "w") as out:
            out.write("\n".join(lines) + "\n")
        print(f"{os.path.relpath(path)}: {len(lines)} lines")


if __name__ == "__main__":
    sys.exit(main())
