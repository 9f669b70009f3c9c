"""
Programs nobody here wrote: Debian's rt-tests, stress-ng and perf, unmodified.

They check themselves: an exit status other than 0, a line that says "fail" or a missing last word is a failure.  What they
measure is not looked at here; `make bench` does that.
"""
import re

from ashlartest import cases, needs, timeout, TestFailure

QUIET = "console=ttyS0 loglevel=1"

# command: what it has to print
RT_TESTS = {
    "hackbench -p -g 2 -l 50": r"Time: ",
    "hackbench -p -T -g 2 -l 50": r"Time: ",
    "cyclictest -q -m -p 80 -i 1000 -l 200": r"C: +200 ",
    "cyclictest -q -S -p 80 -i 2000 -l 100": r"C: +100 ",
    "pi_stress -q -D 2 -g 1": r"Total inversion performed: [1-9]",
    "ptsematest -q -p 80 -l 50": r"Min ",
    "signaltest -q -t 2 -p 80 -l 50": r"C: +50 ",
}
PERF = {
    "perf bench sched messaging -p -g 2 -l 50": r"Total time: ",
    "perf bench sched messaging -t -p -g 2 -l 50": r"Total time: ",
    "perf bench sched pipe -l 2000": r"ops/sec",
    "perf bench futex hash -r 1 -t 2": r"Averaged [1-9]",
    "perf bench futex wake -t 4": r"Wokeup 4 of 4 threads",
    "perf bench futex wake-parallel -t 4": r"Avg per-thread latency \(waking \d/4 threads\)",
    "perf bench futex requeue -t 4": r"Requeued 4 of 4 threads",
    "perf bench futex requeue -p -t 4": r"Requeued 4 of 4 threads|Awoke and Requeued \(4\+\d\)",
    "perf bench futex lock-pi -r 1 -t 2": r"Averaged [1-9]",
    "perf bench syscall basic -l 10000": r"ops/sec",
}
# The stressors the scheduler, the threads and the memory behind them are tried with.
STRESSORS = """affinity alarm brk clone context cpu daemon exit-group fork futex kill madvise malloc membarrier mmap mprotect mremap
    munmap mutex nanosleep nice pipe poll pthread race-sched resched schedpolicy sem sigchld sigpending sigq sigrt sigsegv
    sigsuspend sigtrap signal sleep spawn stack switch vfork vm vm-rw wait yield zombie""".split()


def stressors(cpus, seconds):
    # The first thread of "mutex" is real-time and spins: until the throttle, the others do not even come to be.
    return {f"stress-ng --{name} {cpus} --verify --timeout {seconds + (name == 'mutex')}": r"successful run completed|must not run as root"
            for name in STRESSORS}


def run_one(guest, command, pattern, limit_s):
    """None, or what is wrong."""
    output = guest.run(command, limit_s)
    # cyclictest would like to keep the processor from sleeping deeply, and goes on where it can't.
    output = re.sub(r"WARN: .*cpu_dma_latency.*\n?", "", output)
    if not guest.status and re.search(pattern, output) and not re.search(r"\bfail|unsuccessful|not implemented", output):
        return None
    lines = output.splitlines()
    shown = lines if len(lines) < 16 else lines[:10] + ["..."] + lines[-5:]
    return f"{command}: status {guest.status}\n" + "\n".join("    | " + line for line in shown)


def run_all(ctx, cpus, commands, limit_s):
    """commands: {line: pattern of its output}.  All are run; the failures are told together."""
    with ctx.guest(initrd="out/initramfs-debian.cpio", append=QUIET, machine="q35", memory="768M", smp=cpus) as guest:
        guest.boot()
        guest.shell("cd /tmp")
        failures = [wrong for wrong in (run_one(guest, *command, limit_s) for command in commands.items()) if wrong]
    if failures:
        raise TestFailure("\n".join(failures))


@cases(cpus=[1, 4])
@timeout(200)
@needs("out/initramfs-debian.cpio")
def test_rt_tests(ctx, cpus):
    run_all(ctx, cpus, RT_TESTS, 40)


@cases(cpus=[1, 4])
@timeout(200)
@needs("out/initramfs-debian.cpio")
def test_perf_bench(ctx, cpus):
    run_all(ctx, cpus, PERF, 40)


@cases(cpus=[1, 4])
@timeout(500)
@needs("out/initramfs-debian.cpio")
def test_stress_ng(ctx, cpus):
    run_all(ctx, cpus, stressors(cpus, 1), 200)
