"""
Kernels that boot for one purpose, each with the transcript its serial line has to show and the code QEMU ends with.

They are the test image with one of its tests picked: `ktest=AREA.NAME` runs an in-kernel test alone, `ktest-panic=HOW`
(core/test/panic.c) breaks the kernel on purpose.  A transcript lists whole lines, as regular expressions, without their time
stamps; in this order, other lines may stand between them.
"""
import re

from ashlartest import cases, needs, plain, timeout

KERNEL = "out-debug/ashlar-ktest"
ALL_PASSED, PANICKED = ("code", 0x10), ("code", 0x7f)
BOOTED = [r"boot: Ashlar \d\S*, started by PVH", r"boot: command line: .*", r"memory: \d+ KiB, \d+ KiB free, .*",
          r"interrupts: I/O APIC", r"time: clock tsc .*, alarm \S+ .*", r"initramfs: .*"]


def check(guest, ending, transcript):
    got_ending = guest.wait()
    lines = [re.sub(r"^\[ *\d+\.\d{6}\] ", "", line) for line in plain(guest.console).splitlines()]
    at = 0
    for pattern in transcript:
        while at < len(lines) and not re.fullmatch(pattern, lines[at]):
            at += 1
        if at == len(lines):
            guest.fail(f"the transcript has no line {pattern!r} (or not there)")
        at += 1
    if got_ending != ending:
        guest.fail(f"QEMU ended with {got_ending}, not {ending}")


@timeout(60)
def test_basic_boot(ctx):
    """Nothing but a kernel and a program without a libc: it is PID 1, says so, and switches the machine off."""
    initrd = ctx.bare_initramfs({}, init="out/user/init/hello")
    with ctx.guest(kernel="out/ashlar", initrd=initrd) as guest:
        check(guest, ("off", 0), [*BOOTED, r"init: running /init as PID 1", r"init: here after \d{20} cycles"])


def panics(ctx, how, *report):
    with ctx.guest(kernel=KERNEL, initrd=None, append=f"console=ttyS0 ktest-panic={how}") as guest:
        check(guest, PANICKED, [*BOOTED, r"\*\*\* kernel panic: this is a bug in Ashlar.*", *report,
                                r"\*\*\* end of panic report \*\*\*.*"])


def passes(ctx, test, *said, memory="256M"):
    """The in-kernel test alone, whose name begins so, and what the kernel says before it has passed."""
    with ctx.guest(kernel=KERNEL, initrd=None, memory=memory, append=f"console=ttyS0 ktest={test}") as guest:
        check(guest, ALL_PASSED, [*BOOTED, *said, rf"ktest: ok {re.escape(test)}\w*", r"ktest: 1 passed, 0 failed, 0 skipped"])


@timeout(60)
@needs(KERNEL)
def test_should_panic(ctx):
    panics(ctx, "plain", r"core/test/panic\.c:\d+: test: plain, number 42", r"backtrace:", r"  [0-9a-f]{16}  plain\+0x[0-9a-f]+")


@timeout(60)
@needs(KERNEL)
def test_breakpoint(ctx):
    """INT3 in the kernel is reported, and execution goes on behind it."""
    passes(ctx, "trap.int3_is_reported_and_resumes_behind_it",
           r"trap: breakpoint in the kernel at 0xffffffff8\w{7}; going on")


@timeout(60)
@needs(KERNEL)
def test_stack_overflow(ctx):
    """The guard page turns it into a double fault on a stack of its own, and that into a report: no triple fault."""
    panics(ctx, "stack-overflow", r"\S+: stack overflow of thread init in dig_deeper \(double fault at 0x\w+\)")


@timeout(60)
@needs(KERNEL)
def test_page_fault(ctx):
    panics(ctx, "page-fault",
           r"\S+: page fault in the kernel: write to a not-present page in kernel mode, address 0x\w+",
           r"  wanted:  to write to 0x\w+", r"  who:     .*thread init.*", r"  why:     .*", r"  nearest: .*")


@timeout(60)
@needs(KERNEL)
def test_heap_exhaustion(ctx):
    """All of memory taken: an error and no panic; given back: all is well."""
    passes(ctx, "exhaustion.heap_runs_out_and_recovers", r"exhaustion: \d+ pages and \d+ small objects, then none",
           memory="64M")


@timeout(60)
@needs(KERNEL)
@cases(test=["failed_check", "false_condition", "leak"])
def test_failing_test(ctx, test):
    """Tests that are to fail (core/test/runner.c): each says why, and the code tells the runner."""
    why = {"failed_check": r"6 \* 7 is 42, expected 54 = 54", "false_condition": r"options\.ktest == .* is false",
           "leak": r"leaks 4 pages each time it runs"}[test]
    with ctx.guest(kernel=KERNEL, initrd=None, append=f"console=ttyS0 ktest=runner.{test}") as guest:
        check(guest, ("code", 1), [*BOOTED, rf"ktest: FAIL runner\.{test} core/test/runner\.c:\d+: {why}",
                                   r"ktest: 0 passed, 1 failed, 0 skipped"])
