"""
The programs of user/test/ print in the guest what they print on this machine's Linux, and end with status 0.

All of them as musl, static; `threads` as every kind of program there is.
"""
import os
import subprocess

import ashlartest
from ashlartest import cases, needs, plain, TestFailure, timeout

FOLDER = os.path.join(os.path.dirname(__file__), "../../user/test")
PROGRAMS = sorted(name[:-2] for name in os.listdir(FOLDER) if name.endswith(".c")) if os.path.isdir(FOLDER) else []
KINDS = ["test", "musl", "static-pie", "glibc-static", "glibc"]
# The kernel's own lines must not mix with the program's.
QUIET = "console=ttyS0 loglevel=1"


def results(text):
    """The lines that have to be the same everywhere: what needs root is skipped where there is none."""
    return [line for line in plain(text).splitlines() if not line.startswith("skip ")]


def on_this_machine(path):
    done = subprocess.run([path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100,
                          stdin=subprocess.DEVNULL)
    return done.returncode, results(done.stdout)


def compare(guest, name, path, host_path):
    status, wanted = on_this_machine(host_path)
    if status:
        raise TestFailure(f"{name} fails on this machine's Linux: see user-host/{os.path.basename(host_path)}")
    got = results(guest.run(path))
    failures = [line for line in got if not line.startswith("ok ")]
    # Without root here, those tests are missing from the host's output only.
    missing = [line for line in wanted if line not in got]
    if guest.status or failures or missing:
        guest.fail(f"{name}: status {guest.status}\n" + "\n".join(failures + ["missing: " + line for line in missing]))


@cases(program=PROGRAMS)
@timeout(120)
def test_as_on_linux(ctx, program):
    with ctx.guest(initrd="out/initramfs-test.cpio", append=QUIET) as guest:
        guest.boot()
        compare(guest, program, f"/test/{program}", ctx.path(f"out/user/test/{program}"))


@cases(kind=KINDS)
@timeout(120)
def test_threads(ctx, kind):
    """Threads, signals and mappings: static or not, musl or glibc, at a fixed place or not."""
    files = {"test/threads": f"out/user/{kind}/threads"}
    if kind == "glibc":
        # glibc opens it by name when a thread is cancelled.
        place = subprocess.run(["gcc", "-print-file-name=libgcc_s.so.1"], capture_output=True, text=True).stdout.strip()
        files["lib/x86_64-linux-gnu/libgcc_s.so.1"] = os.path.realpath(place)
    archive = ctx.shell_initramfs(files)
    with ctx.guest(initrd=archive, append=QUIET) as guest:
        guest.boot()
        compare(guest, f"threads ({kind})", "/test/threads", ctx.path(f"out/user/{kind}/threads"))


@timeout(200)
def test_glibc_locks(ctx):
    """Every kind of lock of glibc's pthreads; musl's are in test_as_on_linux."""
    archive = ctx.shell_initramfs({"test/pthreads": "out/user/glibc-static/pthreads"})
    with ctx.guest(initrd=archive, append=QUIET) as guest:
        guest.boot()
        compare(guest, "pthreads (glibc)", "/test/pthreads", ctx.path("out/user/glibc-static/pthreads"))


@cases(build=["out", "out-debug"])
@needs("out-debug/ashlar")
@timeout(200)
def test_all_at_once(ctx, build):
    """All of them side by side, twice, in little memory: they disturb neither each other nor the machine."""
    programs = [name for name in PROGRAMS if name != "tty"]  # there is one terminal only
    with ctx.guest(kernel=f"{build}/ashlar", initrd="out/initramfs-test.cpio", append=QUIET,
                   memory="192M" if ashlartest.VARIANT.san == "kasan" else "96M") as guest:  # its shadow and larger stacks count too
        guest.boot()
        guest.shell("cd /tmp")
        guest.run("export TEST_SECONDS=170; for p in " + " ".join(programs) + "; do for n in 1 2; do "
                  "(/test/$p >$p.$n 2>&1; echo status $? >>$p.$n) & done; done; wait", 180)
        bad = guest.run("grep -v '^ok ' *.[12] | grep -v ':status 0$'")
        assert bad == "", bad
        assert guest.run("cat *.[12] | grep -c '^status 0'") == str(2 * len(programs))


@timeout(60)
def test_unknown_calls_are_listed(ctx):
    """What a program lacked can be seen."""
    with ctx.guest(initrd="out/initramfs-test.cpio", append=QUIET) as guest:
        guest.boot()
        guest.shell("/test/system unknown_calls")
        assert "400" in guest.shell("cat /proc/ashlar/unknown_syscalls")
