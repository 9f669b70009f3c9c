"""BusyBox: a script of more than 60 applets prints in the guest, over the serial line, what it prints on this machine."""
import difflib
import os
import re
import subprocess

from ashlartest import plain, timeout

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(HERE, "applets.sh")
BUSYBOX = "build/deps/busybox-static/bin/busybox"


def on_this_machine(ctx, applets):
    folder = ctx.scratch()
    os.makedirs(f"{folder}/bin")
    os.makedirs(f"{folder}/work")
    for applet in applets:
        os.symlink(ctx.path(BUSYBOX), f"{folder}/bin/{applet}")
    done = subprocess.run([ctx.path(BUSYBOX), "sh", SCRIPT], cwd=f"{folder}/work", stdin=subprocess.DEVNULL,
                          env={"PATH": f"{folder}/bin"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=60)
    return done.stdout.replace(SCRIPT, "/test/applets.sh")


@timeout(120)
def test_applets(ctx):
    applets = set(subprocess.run([ctx.path(BUSYBOX), "--list"], capture_output=True, text=True).stdout.split())
    with open(SCRIPT) as script:
        used = set(re.findall(r"[a-z0-9_]+", script.read())) & applets
    assert len(used) >= 60, f"only {len(used)} applets are used"
    wanted = on_this_machine(ctx, applets)
    archive = ctx.shell_initramfs({"test/applets.sh": SCRIPT})
    with ctx.guest(initrd=archive, append="console=ttyS0 loglevel=1") as guest:
        guest.boot()
        guest.shell("mkdir /tmp/work && cd /tmp/work")
        got = guest.run("sh /test/applets.sh </dev/null 2>&1 | cat", 100) + "\n"
        difference = "\n".join(difflib.unified_diff(wanted.splitlines(), plain(got).splitlines(), "here", "guest", "", "", 1))
        if difference:
            guest.fail("the output differs:\n" + difference)


@timeout(120)
def test_everyday_commands(ctx):
    """The issue's own list."""
    with ctx.guest(append="console=ttyS0 loglevel=1") as guest:
        guest.boot()
        assert guest.shell("seq 1 100000 | sort -rn | head -3").split() == ["100000", "99999", "99998"]
        jobs = guest.shell("for i in 1 2 3; do sleep 1 & done; wait; jobs", 20)
        assert "Running" not in jobs
        assert guest.shell("dd if=/dev/urandom bs=1M count=16 of=/tmp/a 2>/dev/null; sha256sum /tmp/a | cut -c65-; "
                           "gzip -k /tmp/a; gunzip -c /tmp/a.gz | cmp - /tmp/a && echo same", 60).split() == ["/tmp/a", "same"]
        assert int(guest.shell("find / -xdev | wc -l")) > 200
        assert int(guest.shell("tar c /bin 2>/dev/null | tar t | wc -l")) > 50
        assert "PID" in guest.shell("top -b -n1 | head -n 5")
        assert "Ashlar" in guest.shell("dmesg | head -n 3")
        assert guest.shell("dmesg | tail | wc -l") != "0"
        timed = guest.shell("time sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'", 60)
        assert re.search(r"real\s+0m", timed), timed


@timeout(60)
def test_proc_is_read_by_applets(ctx):
    with ctx.guest(append="console=ttyS0 loglevel=1") as guest:
        guest.boot()
        assert re.search(r"\s1 root\s+(\S+\s+)*init", guest.shell("ps")), "ps shows no init"
        assert re.search(r"Mem:\s+\d+\s+\d+", guest.shell("free"))
        assert "load average" in guest.shell("uptime")
        assert re.search(r"\S+ +\d+ +\d+ +\d+ +\d+% /tmp", guest.shell("df"))
        assert " / " in guest.shell("mount")
        assert guest.shell("pidof init") == "1"
        assert "model name" in guest.shell("cat /proc/cpuinfo")
        assert guest.shell("cat /proc/cmdline") == "console=ttyS0 loglevel=1"
        assert "ttyS0" in guest.shell("tty")
        assert guest.shell("hostname") == "ashlar"
        assert guest.shell("cut -d' ' -f19 /proc/$$/stat") == "0"  # nice
        assert "Linux" in guest.shell("cat /proc/version; uname -a")
        assert re.match(r"[A-Z][a-z]{2} .* 20\d\d$", guest.shell("date -u"))
        for device in ("null", "zero", "full", "random", "urandom", "tty", "console", "ttyS0", "kmsg"):
            guest.shell(f"test -c /dev/{device}")
        guest.shell("echo from user space >/dev/kmsg")
        assert "from user space" in guest.shell("dmesg")
        for link in ("exe", "cwd", "root", "fd/0"):
            guest.shell(f"readlink /proc/$$/{link}")
        for file in ("stat", "status", "cmdline", "maps", "comm"):
            guest.shell(f"cat /proc/$$/{file} >/dev/null")
