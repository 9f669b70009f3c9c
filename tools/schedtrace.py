"""
The kernel's event trace (/proc/ashlar/trace/cpuN, core/trace_show.c) as Chrome trace JSON, which Perfetto
(https://ui.perfetto.dev) and speedscope open.

    process "CPUs"      a track for each CPU: which thread ran from when to when, interrupts, page faults
    each process        a track for each thread: its system calls with their results, and the times it waited to run
    arrows              from who wakes a thread to where it runs again

Times are microseconds since the kernel's start.
"""
import json

CPUS_PID = 1000000  # of the made-up process that holds the CPUs' tracks
THREADS_PID = 1000001


def parse(text, cpu):
    """[{cpu, time, tid, thread, kind, fields}] of one CPU's lines."""
    events = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("\t")
        if len(words) < 4 or not words[0].isdigit():
            raise ValueError(f"cpu{cpu}, line {number}: {line!r} is no event")
        events.append({"cpu": cpu, "time": int(words[0]), "tid": int(words[1]), "thread": words[2], "kind": words[3],
                       "fields": words[4:]})
    return events


def idle(name):
    return name.startswith("idle/")


class Converter:
    def __init__(self, rings):
        """rings: {cpu: text}."""
        self.out = []
        self.rings = {cpu: parse(text, cpu) for cpu, text in rings.items()}
        self.names = {}      # tid: name
        self.waiting = {}    # tid: (time, flow number) of the wake-up that no switch has answered yet
        self.flows = 0

    def emit(self, phase, pid, tid, time, name, **more):
        self.out.append({"ph": phase, "pid": pid, "tid": tid, "ts": time / 1000, "name": name, **more})

    def slice(self, pid, tid, begin, end, name, args):
        self.emit("X", pid, tid, begin, name, dur=(end - begin) / 1000, args=args)

    def cpu_slices(self, cpu, events):
        """Who ran: from a switch to the next."""
        since = None  # (time, tid, name): before the first switch nobody knows when it began
        for event in events:
            if since is None:
                since = (event["time"], event["tid"], event["thread"])
            if event["kind"] != "switch":
                continue
            begin, tid, name = since
            # The name may have changed on the way, by exec: the last one counts.
            if not idle(name):
                self.slice(CPUS_PID, cpu, begin, event["time"], event["thread"],
                           {"tid": tid, "then": event["fields"][2]})
            since = (event["time"], int(event["fields"][0]), event["fields"][1])
        if since and events and not idle(since[2]):
            self.slice(CPUS_PID, cpu, since[0], events[-1]["time"], since[2], {"tid": since[1], "then": "?"})

    def marks(self, cpu, events):
        for event in events:
            if event["kind"] == "irq":
                self.emit("i", CPUS_PID, cpu, event["time"], f"irq {event['fields'][0]}", s="t")
            elif event["kind"] == "fault":
                self.emit("i", CPUS_PID, cpu, event["time"], "page fault", s="t",
                          args={"address": "0x" + event["fields"][0], "access": "0x" + event["fields"][1], "thread": event["thread"]})

    def arrows(self, events):
        """All CPUs' events in order: each wake-up to the switch that follows it."""
        for event in events:
            if event["kind"] == "wake":
                self.flows += 1
                self.waiting[int(event["fields"][0])] = (event, self.flows)
            elif event["kind"] == "switch" and int(event["fields"][0]) in self.waiting:
                wake, number = self.waiting.pop(int(event["fields"][0]))
                if event["time"] < wake["time"]:
                    continue
                self.emit("s", CPUS_PID, wake["cpu"], wake["time"], "wake", id=number, cat="wake")
                self.emit("f", CPUS_PID, event["cpu"], event["time"], "wake", id=number, cat="wake", bp="e")
                if int(event["fields"][0]) > 0:
                    self.slice(THREADS_PID, int(event["fields"][0]), wake["time"], event["time"], "waits to run",
                               {"woken by": wake["thread"]})

    def calls(self, events):
        """Each thread's system calls, on whatever CPUs it ran."""
        open_calls = {}  # tid: event
        last = {}
        for event in events:
            tid = event["tid"]
            if event["kind"] == "call":
                open_calls[tid] = event
            elif event["kind"] == "result" and tid in open_calls:
                call = open_calls.pop(tid)
                if call["fields"][0] == event["fields"][0]:
                    self.slice(THREADS_PID, tid, call["time"], event["time"], call["fields"][0],
                               {"argument": "0x" + call["fields"][1], "result": int(event["fields"][1])})
            last[tid] = event["time"]
        for tid, call in open_calls.items():  # exit, or one that still sleeps
            self.slice(THREADS_PID, tid, call["time"], last[tid], call["fields"][0],
                       {"argument": "0x" + call["fields"][1]})

    def convert(self):
        everything = sorted((event for ring in self.rings.values() for event in ring), key=lambda event: event["time"])
        for cpu, events in self.rings.items():
            self.cpu_slices(cpu, events)
            self.marks(cpu, events)
        self.arrows(everything)
        self.calls(everything)
        for event in everything:
            self.names[event["tid"]] = event["thread"]
        names = [("process_name", CPUS_PID, 0, "CPUs"), ("process_name", THREADS_PID, 0, "threads")]
        names += [("thread_name", CPUS_PID, cpu, f"cpu{cpu}") for cpu in self.rings]
        names += [("thread_name", THREADS_PID, tid, f"{name} {tid}") for tid, name in self.names.items() if tid > 0]
        for kind, pid, tid, name in names:
            self.out.append({"ph": "M", "pid": pid, "tid": tid, "name": kind, "args": {"name": name}})
        return {"displayTimeUnit": "ns", "traceEvents": self.out}


def convert(rings):
    """{cpu: text of /proc/ashlar/trace/cpuN} as an object to be written as JSON."""
    return Converter(rings).convert()


def write(rings, path):
    with open(path, "w") as out:
        json.dump(convert(rings), out)


def record(guest, command, events=16384, timeout_s=None):
    """Run command in a guest at its shell, and return (what it printed, {cpu: text})."""
    import base64
    import gzip
    folder = "/proc/ashlar/trace"
    # The shell that types is in the picture only until it sleeps: the command is run by one of its own.
    quoted = command.replace("'", "'\\''")
    output = guest.run(f"echo on {events} >{folder}/control; sh -c '{quoted}'; echo off >{folder}/control", timeout_s)
    rings = {}
    for name in guest.shell(f"cd {folder} && echo cpu*").split():
        packed = guest.shell(f"gzip -c <{folder}/{name} | base64", timeout_s)
        rings[int(name[3:])] = gzip.decompress(base64.b64decode(packed)).decode("utf-8", "replace")
    guest.shell("cd")
    return output, rings
