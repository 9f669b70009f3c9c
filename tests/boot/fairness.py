"""
Shares of one CPU, among threads, among sessions and by budget, and the wait after a sleep (user/bench/fairness.c, PID 1 here).

A nanosecond is an instruction (-icount), so the figures are the same in each run and may be asserted.
"""
import re

from ashlartest import needs, plain, timeout

SLICE_NS = 3_000_000
TICK_NS = 1_000_000     # the alarm, its interrupt, two switches


@timeout(120)
@needs("out/user/bench/fairness")
def test_shares_and_wakeups(ctx):
    initrd = ctx.bare_initramfs({}, init="out/user/bench/fairness")
    with ctx.guest(initrd=initrd, append="console=ttyS0 panic=-1", smp=1, icount=True, devices=False) as guest:
        guest.expect(r"(?m)^fair end")
        console = plain(guest.console)
        shares = re.findall(r"(?m)^fair (\S+) (\d+) (\d+) (\d+)$", console)
        wakes = re.findall(r"(?m)^wake (\S+) (\d+) (\d+)$", console)
        assert len(shares) == 24 and len(wakes) == 3, console
        for row, member, used, due in shares:
            if abs(int(used) - int(due)) > 0.02 * int(due):
                guest.fail(f"{row}: member {member} computed {used} us; it was due {due}")
        for row, worst, mean in wakes:
            if int(worst) > SLICE_NS + TICK_NS:
                guest.fail(f"{row}: a sleeper came {worst} ns late")
