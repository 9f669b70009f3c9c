"""The same kernel by the other compiler and with assertions."""
from ashlartest import cases, needs, timeout

WORK = ("i=0; while [ $i -lt 20 ]; do (echo $i | cat >/tmp/$i); i=$((i+1)); done; cat /tmp/[0-9]* | sort -n | tail -1; "
        "sleep 1 & wait; find / -xdev | wc -l >/dev/null; dmesg | grep -c Ashlar")


@needs("out-clang/ashlar")
@timeout(60)
def test_clang(ctx):
    with ctx.guest(kernel="out-clang/ashlar") as guest:
        guest.boot()
        assert guest.shell(WORK).split()[0] == "19"
        guest.send("poweroff\n")
        assert guest.wait(20) == ("off", 0)


@cases(machine=["pc", "microvm"])
@needs("out-debug/ashlar")
@timeout(90)
def test_debug(ctx, machine):
    with ctx.guest(kernel="out-debug/ashlar", machine=machine) as guest:
        guest.boot()
        assert guest.shell(WORK).split()[0] == "19"
        guest.send("poweroff\n")
        assert guest.wait(20) == ("off", 0)
