"""The event trace, from /proc/ashlar/trace to the JSON that Perfetto opens."""
import json
import os

from ashlartest import cases, timeout
import schedtrace


def tracks(events, pid):
    """{tid: its slices, in order}."""
    found = {}
    for event in events:
        if event["ph"] == "X" and event["pid"] == pid:
            found.setdefault(event["tid"], []).append(event)
    return {tid: sorted(slices, key=lambda s: s["ts"]) for tid, slices in found.items()}


@cases(cpus=[1, 2])
@timeout(90)
def test_picture(ctx, cpus):
    """One slice after the other on each CPU, programs by their names, calls with their results, wake-ups answered."""
    with ctx.guest(append="console=ttyS0 loglevel=1", smp=cpus) as guest:
        guest.boot()
        assert guest.shell("cat /proc/ashlar/trace/control") == "off 0"
        output, rings = schedtrace.record(guest, "for n in 1 2 3; do ls /bin | wc -l; done; cat /nowhere 2>/dev/null; sleep 0.1")
        assert output.split() and len(set(output.split())) == 1, output
        assert guest.shell("cat /proc/ashlar/trace/control") == "off 16384"
        for bad in ("on x", "on -1", "onward", "", "on 99999999999999999999"):
            assert guest.run(f"echo '{bad}' >/proc/ashlar/trace/control 2>/dev/null; echo $?").strip() != "0", bad
        guest.run("for n in 1 2 3; do echo on >/proc/ashlar/trace/control; echo off >/proc/ashlar/trace/control; done")
        assert guest.shell("cat /proc/ashlar/trace/control") == "off 16384"
    path = os.path.join(ctx.scratch(), "trace.json")
    schedtrace.write(rings, path)
    with open(path) as text:
        events = json.load(text)["traceEvents"]
    assert rings and set(rings) == set(range(len(rings)))
    running = tracks(events, schedtrace.CPUS_PID)
    for cpu, slices in running.items():
        for before, after in zip(slices, slices[1:]):
            assert before["ts"] + before["dur"] <= after["ts"] + 1e-3, f"cpu{cpu}: {before} overlaps {after}"
        assert all(s["dur"] >= 0 for s in slices)
    # Nobody runs on two CPUs at once.
    everyone = sorted((s for slices in running.values() for s in slices), key=lambda s: s["ts"])
    last = {}
    for s in everyone:
        end = last.get(s["args"]["tid"], 0)
        assert end <= s["ts"] + 1e-3, f"{s} overlaps what the thread did elsewhere until {end}"
        last[s["args"]["tid"]] = s["ts"] + s["dur"]
    assert {"ls", "wc", "cat", "sleep", "sh"} <= {s["name"] for s in everyone}, {s["name"] for s in everyone}
    calls = [s for slices in tracks(events, schedtrace.THREADS_PID).values() for s in slices]
    assert any(s["name"].startswith("open") and s["args"].get("result") == -2 for s in calls), "cat /nowhere"
    assert any("sleep" in s["name"] and s["dur"] >= 90e3 for s in calls), "sleep 0.1"
    begun = {e["id"]: e["ts"] for e in events if e["ph"] == "s"}
    ended = {e["id"]: e["ts"] for e in events if e["ph"] == "f"}
    assert begun and begun.keys() == ended.keys() and all(ended[n] >= begun[n] for n in begun)
    named = {e["args"]["name"] for e in events if e["ph"] == "M"}
    assert {"CPUs", "threads", "cpu0"} <= named and any(name.startswith("ls ") for name in named)


def test_converter(ctx):
    """Bad text is refused; a slice ends where the ring does."""
    rings = {0: "1000\t5\ta\tcall\tread\t3\n2000\t5\ta\tswitch\t-7\tidle/0\tsleep\n"
                "9000\t-7\tidle/0\twake\t5\ta\n9500\t-7\tidle/0\tswitch\t5\ta\trun\n9900\t5\ta\tresult\tread\t1\n"}
    events = schedtrace.convert(rings)["traceEvents"]
    slices = [(e["tid"], e["name"], e["ts"], e["dur"]) for e in events if e["ph"] == "X"]
    assert slices == [(0, "a", 1.0, 1.0), (0, "a", 9.5, 0.4), (5, "waits to run", 9.0, 0.5), (5, "read", 1.0, 8.9)], slices
    for bad in ("x\t5\ta\tcall\n", "1\t2\n"):
        try:
            schedtrace.convert({0: bad})
        except ValueError:
            continue
        raise AssertionError(bad)
