"""The panic report on the serial line, from states in which reporting is hard (core/test/panic.c)."""
import re

from ashlartest import cases, needs, plain, timeout

KERNEL = "out-debug/ashlar-ktest"
TEST_EXIT_PANIC = 0x7f
BEGIN, END = "*** kernel panic: this is a bug in Ashlar", "*** end of panic report ***"


def report(ctx, how, append="console=tty0 console=ttyS0", **options):
    """Panic in the way named; return the report's lines."""
    with ctx.guest(kernel=KERNEL, append=f"{append} ktest-panic={how}", **options) as guest:
        status = guest.wait()
        text = plain(guest.console)
        if status != ("code", TEST_EXIT_PANIC):
            guest.fail(f"QEMU ended with {status}")
        if END not in text:
            guest.fail("the report has no end")
        start = text.find("*** ")
        return text[start:text.index(END)].splitlines()


def expect(lines, *patterns):
    """Each pattern matches a line, in this order."""
    at = 0
    for pattern in patterns:
        while at < len(lines) and not re.search(pattern, lines[at]):
            at += 1
        assert at < len(lines), f"{pattern!r} is not in the report (or not in this order):\n" + "\n".join(lines)
        at += 1


@timeout(60)
@needs(KERNEL)
def test_plain(ctx):
    lines = report(ctx, "plain")
    assert lines[0].startswith(BEGIN), lines[0]
    expect(lines, r"^core/test/panic\.c:\d+: test: plain, number 42$", r"^cpu \d+, thread init, \d+\.\d{6} s after boot$",
           r"^backtrace:$", r"^  [0-9a-f]{16}  plain\+0x", r"ktest_panic\+0x", r"thread_begin\+0x", r"^last log lines:$",
           r"^\[ +\d+\.\d+\] tty1: ")
    assert not any("holds" in line for line in lines)


@timeout(60)
@needs(KERNEL)
def test_under_console_lock(ctx):
    expect(report(ctx, "console-lock"), r"test: under the console's lock", r"under_console_lock\+0x",
           r"screen_console_locked\+0x", r"^locks:$", r"^  holds screen \(rank \d+\) 0x[0-9a-f]+, taken in screen_console_locked",
           r"^last log lines:$", r"a log line written under the screen's lock")


@timeout(60)
@needs(KERNEL)
def test_lock_order(ctx):
    """Two locks the wrong way round: both names, and how the code came to each."""
    expect(report(ctx, "lock-order"), r"lockdep: inner \(rank \d+\) taken at .* under outer \(rank \d+", r"^backtrace:$",
           r"take_inner\+0x", r"lock_order\+0x", r"^locks:$", r"^  holds outer \(rank \d+\) .*taken in take_outer\+0x",
           r"^    called from lock_order\+0x", r"^    called from ktest_panic\+0x")


# What the report has to say: both locks, where the second was wanted (its backtrace) and how the code came to the first.
HELD = (r"^locks:$", r"^  holds outer \(rank \d+\) .*taken in take_outer\+0x")
LOCK_BUGS = {
    "lock-again": (r"lockdep: outer \(rank \d+\) taken again at .* by its holder \(first at", r"^backtrace:$", r"take_outer\+0x",
                   r"lock_again\+0x", *HELD, r"^    called from lock_again\+0x"),
    "lock-interruptible": (r"lockdep: spinlock outer \(rank \d+\) taken at .* with interrupts on", r"^backtrace:$",
                           r"lock_interruptible\+0x"),
    "lock-in-handler": (r"lockdep: .* \(rank \d+\) taken at .* in a handler that interrupted the holder of spinlock outer \(rank",
                        r"^backtrace:$", r"kernel_interrupt\+0x", *HELD, r"^    called from lock_in_handler\+0x"),
    "lock-not-held": (r"lockdep: lock 0x[0-9a-f]+ released at .* but not held", r"^backtrace:$", r"lock_not_held\+0x"),
    "lock-same-rank": (r"lockdep: twin \(rank (\d+)\) taken at .* under outer \(rank \1,", r"^backtrace:$", r"lock_same_rank\+0x", *HELD,
                       r"^    called from lock_same_rank\+0x"),
    "lock-uninitialised": (r"lockdep: lock 0x[0-9a-f]+ taken at .* was never initialised", r"^backtrace:$", r"lock_uninitialised\+0x"),
    "mutex-again": (r"lockdep: sleeping \(rank \d+\) taken again at .* by its holder \(first at", r"^backtrace:$", r"take_sleeping\+0x",
                    r"^locks:$", r"^  holds sleeping \(rank \d+\)", r"^    called from mutex_again\+0x"),
    "mutex-not-mine": (r"mutex sleeping released by init, who does not hold it", r"^backtrace:$", r"mutex_unlock"),
    "mutex-under-lock": (r"lockdep: sleeping \(rank \d+\), which may sleep, taken at .* under spinlock outer \(rank \d+, taken at",
                         r"^backtrace:$", r"take_sleeping\+0x", r"mutex_under_lock\+0x", *HELD,
                         r"^    called from mutex_under_lock\+0x"),
    "mutex-in-handler": (r"lockdep: sleeping \(rank \d+\), which may sleep, taken at .* in an interrupt handler", r"^backtrace:$",
                         r"in_timer_mutex\+0x", r"kernel_interrupt\+0x"),
    "sleep-under-lock": (r"lockdep: sleep at .* under spinlock outer \(taken at", r"^backtrace:$", r"sched_switch\+0x",
                         r"sleep_under_lock\+0x", *HELD, r"^    called from sleep_under_lock\+0x"),
    "sleep-uninterruptible": (r"lockdep: sleep at .* with interrupts off", r"^backtrace:$", r"sched_switch\+0x",
                              r"sleep_uninterruptible\+0x"),
}


@cases(bug=list(LOCK_BUGS))
@timeout(60)
@needs(KERNEL)
def test_lock_checking(ctx, bug):
    """Each mistake that lock checking knows, made once."""
    expect(report(ctx, bug), *LOCK_BUGS[bug])


@timeout(60)
@needs(KERNEL)
def test_stray_access(ctx):
    """A program's memory touched by other code than the copy functions: reported at once, not resolved and retried."""
    expect(report(ctx, "stray-access"), r"page fault in the kernel", r"^backtrace:$", r"stray_access\+0x")


@timeout(60)
@needs(KERNEL)
def test_read_program(ctx):
    """A page of a program that is there: SMAP keeps the kernel from reading it by accident."""
    expect(report(ctx, "read-program"), r"page fault in the kernel: read of a protected page", r"^  why: .*\(SMAP\); mapped as",
           r"read_program\+0x")


@timeout(60)
@needs(KERNEL)
def test_call_program(ctx):
    """SMEP keeps it from running what a program wrote."""
    expect(report(ctx, "call-program"), r"page fault in the kernel: instruction fetch", r"^  why: .*\(SMEP\); mapped as",
           r"^backtrace:$")


@timeout(60)
@needs(KERNEL)
def test_in_interrupt(ctx):
    expect(report(ctx, "interrupt"), r"test: in an interrupt", r"^cpu \d+, thread \S+, in an interrupt,", r"in_timer\+0x",
           r"timers_run\+0x", r"kernel_interrupt\+0x")


@timeout(60)
@needs(KERNEL)
def test_in_allocator(ctx):
    expect(report(ctx, "allocator"), r"^mm/zone\.c:\d+: page 0x[0-9a-f]+ freed in state", r"zone_free", r"ktest_panic\+0x",
           r"holds zone \(rank \d+\)")


@timeout(60)
@needs(KERNEL)
def test_stack_overflow(ctx):
    lines = report(ctx, "stack-overflow")
    expect(lines, r"stack overflow of thread init in dig_deeper \(double fault at 0x", r"^backtrace:$", r"dig_deeper\+0x",
           r"\.\.\. and \d+ times more", r"stack_overflow\+0x|ktest_panic\+0x", r"thread_begin\+0x", r"^rip 0010:",
           r"cr2 [0-9a-f]{16}")


@timeout(60)
@needs(KERNEL)
def test_page_fault(ctx):
    expect(report(ctx, "page-fault"), r"page fault in the kernel: write to a not-present page in kernel mode, address 0xffffc8",
           r"^backtrace:$", r"page_fault\+0x", r"^rip 0010:ffffffff8", r"^rax ", r"^r13 ")


@timeout(60)
@needs(KERNEL)
def test_console_breaks_in_report(ctx):
    """A page fault inside a console's write: the other consoles still say all there is to say."""
    lines = report(ctx, "twice")
    assert sum("panic inside the panic report" in line for line in lines) == 1, lines  # and not written to again
    expect(lines, r"\*\*\* panic inside the panic report \*\*\*", r"page fault in the kernel: write .* address 0xffffc8ffffffe000",
           r"broken_write\+0x", r"^the first panic was:$", r"^core/test/panic\.c:\d+: test: the first panic$")


@timeout(60)
@needs(KERNEL)
def test_while_a_console_writes(ctx):
    """The log was being written out, and now never will be: nobody waits for that."""
    expect(report(ctx, "console-write"), r"test: in a console's write", r"^backtrace:$", r"panic_in_write(\.cold)?\+0x",
           r"^last log lines:$", r"the last straw")


@timeout(60)
@needs(KERNEL)
@cases(word=["panic=-1", "panic=1"])
def test_word_resets(ctx, word):
    """panic= decides what comes behind the report.  (`monitor`: else the test image ends with a code of its own.)"""
    with ctx.guest(kernel=KERNEL, append=f"console=ttyS0 monitor {word} ktest-panic=plain") as guest:
        assert guest.wait(20) == ("off", 0)
        text = plain(guest.console)
        assert END in text and "monitor" not in text.split(END)[1], text[-300:]
        assert ("resetting in 1 seconds (panic=1)" if word == "panic=1" else "resetting (panic=-1)") in text


@timeout(60)
@needs(KERNEL)
def test_screen_breaks_in_report(ctx):
    lines = report(ctx, "twice-screen")
    assert sum("panic inside the panic report" in line for line in lines) == 1, lines
    expect(lines, r"\*\*\* panic inside the panic report \*\*\*", r"test: the screen broke",
           r"^the first panic was:$", r"test: the first panic$")


@timeout(60)
@needs(KERNEL)
def test_without_a_console(ctx):
    """No console= names the serial line and no screen is there: it still speaks, as the first terminal."""
    lines = report(ctx, "plain", append="console=none")
    expect(lines, r"test: plain, number 42", r"^backtrace:$")


@timeout(60)
@needs("out/ashlar-ktest")
def test_release_build(ctx):
    with ctx.guest(kernel="out/ashlar-ktest", append="console=ttyS0 ktest-panic=stack-overflow") as guest:
        status = guest.wait()
        if status != ("code", TEST_EXIT_PANIC) or "stack overflow of thread init in dig_deeper" not in guest.console:
            guest.fail(f"status {status}")


@timeout(60)
@needs(KERNEL)
def test_all_processors(ctx):
    """The others are stopped wherever they are, and their backtraces shown."""
    lines = report(ctx, "plain", smp=4)
    first = next(int(line[4]) for line in lines if re.match(r"cpu \d, thread init", line))
    for cpu in {0, 1, 2, 3} - {first}:
        # Mostly it halts in its executor (or its idle thread), but it may just have something to do: the screen is drawn.
        expect(lines, rf"^cpu {cpu}, thread [^,]+(, in an interrupt)?$", r"^backtrace:$", r"^  [0-9a-f]{16}  \w+\+0x",
               r"^last log lines:$")
    assert any(re.search(r"(executor_thread|sched_idle_loop)\+0x", line) for line in lines), lines
