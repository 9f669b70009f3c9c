"""Several processors: found, started, used, and left out when asked."""
from ashlartest import cases, timeout


def cpus(guest):
    return guest.shell("grep -c ^processor /proc/cpuinfo"), guest.shell("nproc")


@cases(machine=["pc", "q35", "microvm"], smp=[2, 4])
@timeout(60)
def test_all_come_up(ctx, machine, smp):
    with ctx.guest(machine=machine, smp=smp) as guest:
        guest.boot()
        assert cpus(guest) == (str(smp), str(smp))
        assert f"cpu: {smp} of {smp} are up" in guest.shell("dmesg")
        # Each gets its share of more threads than there are processors, and says so.
        guest.shell("for i in 1 2 3 4 5 6 7 8; do (i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done) & done; wait")
        used = [line.split() for line in guest.shell("grep '^cpu[0-9]' /proc/stat").splitlines()]
        assert len(used) == smp and all(int(line[1]) > 0 for line in used), used


@timeout(120)
def test_as_many_as_there_are(ctx):
    """64, more than this machine has: the firmware's list, not luck, says who there is."""
    with ctx.guest(smp=64) as guest:
        guest.boot()
        assert cpus(guest) == ("64", "64")


@timeout(60)
def test_more_than_64(ctx):
    with ctx.guest(smp=66) as guest:
        guest.boot()
        assert cpus(guest) == ("64", "64")
        assert "2 more than the 64 that Ashlar can use" in guest.shell("dmesg")


@cases(words=["maxcpus=2", "maxcpus=1", "nosmp"])
@timeout(60)
def test_fewer_when_asked(ctx, words):
    wanted = "2" if words.endswith("2") else "1"
    with ctx.guest(smp=4, append=f"console=ttyS0 {words}") as guest:
        guest.boot()
        assert cpus(guest) == (wanted, wanted)


@timeout(60)
def test_one_alarm_for_all_is_too_few(ctx):
    """With the HPET's alarm chosen, which the machine has once, the others are left out with a word."""
    with ctx.guest(smp=2, machine="q35", append="console=ttyS0 clockevent=hpet") as guest:
        guest.boot()
        assert cpus(guest) == ("1", "1")
        assert "1 more left out: the alarm hpet" in guest.shell("dmesg")
