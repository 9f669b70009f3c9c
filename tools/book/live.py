#!/usr/bin/env python3
"""
The book's sessions: takes them out of docs/*.md, runs them, and compares what is shown with what comes.

    tools/book/live.py [--show] [PAGE...]      by hand; --show prints what comes, for pasting; make test runs them all

A session is a fenced block. The word behind ``` says where it is typed:

    shell     ashlar:~#    at the guest's shell
    monitor   monitor>     in the kernel's monitor, no program on board
    panic     monitor>     the same in a machine of its own, and on at `panic>` after a `crash`
    debug     monitor>     in the monitor of a debug kernel
    ktest     monitor>     in the monitor of the debug kernel that has the in-kernel tests in it
    host      $            on the machine that builds Ashlar, in the repository's root, with bash
    gdb       (gdb)        in gdb, from the guest's first instruction on
    gdb-debug (gdb)        the same with a debug kernel

Behind it may stand how many CPUs the machine has, if it is not one: shell-4.

A line that begins with the prompt is typed; those up to the next one are what it has to print. Numbers stand for any
number, and … for anything; a line of … alone for any number of lines. What is typed must end with status 0 (shell, host).
"""
import argparse
import glob
import os
import re
import select
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import ashlartest  # noqa: E402
from ashlartest import TestFailure, plain  # noqa: E402

# Kind: prompts, as they stand in the book.
KINDS = {"shell": "ashlar:~# ", "monitor": "monitor> ", "panic": "monitor> |panic> ", "debug": "monitor> ", "ktest": "monitor> ",
         "host": r"\$ ", "gdb": r"\(gdb\) ", "gdb-debug": r"\(gdb\) "}
# What a fence may say: a kind, and how many CPUs.
FENCE = re.compile(r"(.*?)(?:-(\d+))?")
# How long gdb may need for an answer, that is, the guest to a breakpoint.
ANSWER_S = 8
PATIENCE = float(os.environ.get("ASHLAR_TEST_PATIENCE", "1"))
MONITOR, PANIC, GDB = r"monitor> $", r"(?:monitor|panic)> $", "(gdb) "


def fences(text):
    """(kind, line number) of each fenced block."""
    opened = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("```"):
            opened = not opened
            if opened:
                yield line[3:].strip(), number


class Session:
    def __init__(self, page, number, kind, cpus, lines):
        self.place, self.kind, self.cpus = f"{page}:{number}", kind, cpus
        self.steps = []     # (what is typed, lines that it prints)
        for line in lines:
            match = re.match(KINDS[kind], line)
            if match:
                self.steps.append((line[match.end():], []))
            elif self.steps:
                self.steps[-1][1].append(line)
            elif line.strip():
                raise TestFailure(f"{self.place}: does not begin with a prompt")


def sessions(pages=None):
    found = []
    for page in pages or sorted(glob.glob("docs/*.md", root_dir=ROOT)):
        with open(os.path.join(ROOT, page)) as file:
            lines = file.read().split("\n")
        for fence, number in fences("\n".join(lines)):
            kind, cpus = FENCE.fullmatch(fence).groups()
            if kind in KINDS:
                end = lines.index("```", number)
                found.append(Session(page, number + 1, kind, int(cpus or 1), lines[number:end]))
    return found


NUMBER = re.compile(r"0x[0-9a-f]+|\b(?=[0-9a-f]*\d)[0-9a-f]{5,}\b|\d+(?:\.\d+)*")


def pattern(line):
    """The shown line as a regular expression for what comes, with numbers and blanks of any length."""
    parts = [re.escape(" ".join(NUMBER.sub("#", part).split())) for part in line.split("…")]
    return r"\s*" + r".*".join(part.replace(r"\ ", r"\s*").replace(r"\#", "#+") for part in parts) + r"\s*"


def differs(shown, came):
    """None if what came is what the book shows, else the first shown line that is not there."""
    came = [" ".join(NUMBER.sub("#", line).split()) for line in came.split("\n")]
    came = [line for line in came if line]
    at, gap = 0, False
    for line in shown:
        if not line.strip():
            continue
        if line.strip() == "…":
            gap = True
            continue
        wanted = re.compile(pattern(line))
        places = range(at, len(came)) if gap else range(at, min(at + 1, len(came)))
        hit = next((n for n in places if wanted.fullmatch(came[n])), None)
        if hit is None:
            return line
        at, gap = hit + 1, False
    return None if gap or at >= len(came) or not any(line.strip() for line in shown) else "(the end)"


class Shell:
    def __init__(self, ctx, cpus):
        self.guest = ctx.guest(smp=cpus)
        self.guest.boot()

    def run(self, typed):
        return self.guest.shell(typed)


class Monitor:
    def __init__(self, ctx, cpus, kernel="out/ashlar", append="console=ttyS0"):
        self.guest = ctx.guest(kernel=kernel, initrd=None, append=append, smp=cpus)
        self.guest.expect(MONITOR)

    def run(self, typed):
        self.guest.send(typed + "\r")
        match = self.guest.expect(r"(?s)(.*?)" + PANIC, forbid=None)
        output = plain(match.group(1)).split("\n", 1)[1]
        if "no such command" in output:
            self.guest.fail(f"the monitor does not know: {typed}")
        return output


class Host:
    def run(self, typed):
        done = subprocess.run(["bash", "-c", typed], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise TestFailure(f"`{typed}` ended with status {done.returncode}\n{done.stdout}")
        return done.stdout


class Gdb:
    """gdb beside a guest that waits for it, connected by a socket of their own."""

    def __init__(self, ctx, cpus, kernel="out/ashlar"):
        socket = os.path.join(ctx.scratch(), f"gdb{len(ctx.guests)}")
        self.guest = ctx.guest(kernel=kernel, smp=cpus, extra=["-gdb", f"unix:{socket},server=on,wait=off", "-S"])
        while not os.path.exists(socket):
            self.guest._read(0.05)
        with open(os.path.join(ROOT, "tools/gdb/ashlar.gdb")) as file:
            script = file.read().replace(":1234", socket)
        own = os.path.join(ctx.scratch(), "ashlar.gdb")
        with open(own, "w") as file:
            file.write(script + "\nset pagination off\nset width 0\n")
        self.process = subprocess.Popen(["gdb", "-q", "-nx", "-x", own, ctx.path(kernel)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT)
        self.answer()

    def answer(self):
        data = b""
        while not data.endswith(GDB.encode()):
            if not select.select([self.process.stdout], [], [], ANSWER_S * PATIENCE)[0]:
                self.process.kill()
                raise TestFailure(f"gdb says nothing in {ANSWER_S} s: the breakpoint is never reached?\n"
                                  + data.decode(errors="replace"))
            byte = self.process.stdout.read1(4096)
            if not byte:
                raise TestFailure("gdb ended:\n" + data.decode(errors="replace"))
            data += byte
        return data.decode(errors="replace").removesuffix(GDB)

    def run(self, typed):
        self.process.stdin.write((typed + "\n").encode())
        self.process.stdin.flush()
        output = self.answer()
        if re.search(r"^(No symbol|Undefined|Cannot access|Function .* not defined|Invalid|A syntax error)", output, flags=re.M):
            raise TestFailure(f"gdb does not take `{typed}`: {output}")
        return output

    def close(self):
        self.process.kill()
        self.process.wait()


def run_all(ctx, chosen, show=False):
    """Run the sessions; the list of what is not as the book says."""
    places, problems = {}, []
    make = {"shell": lambda n: Shell(ctx, n), "monitor": lambda n: Monitor(ctx, n), "panic": lambda n: Monitor(ctx, n),
            "debug": lambda n: Monitor(ctx, n, "out-debug/ashlar"),
            "ktest": lambda n: Monitor(ctx, n, "out-debug/ashlar-ktest", "console=ttyS0 monitor" + " quiet" * (n > 1)), "host": lambda n: Host(),
            "gdb": lambda n: Gdb(ctx, n), "gdb-debug": lambda n: Gdb(ctx, n, "out-debug/ashlar")}
    for session in chosen:
        own = session.kind in ("panic", "gdb", "gdb-debug")      # these leave no machine that others could use
        place, machine = None, (session.kind, session.cpus)
        try:
            place = (not own and places.get(machine)) or make[session.kind](session.cpus)
            if not own:
                places[machine] = place
            for typed, shown in session.steps:
                came = plain(place.run(typed))
                if show:
                    print(f"--- {session.place}: {typed}\n{came.rstrip()}")
                missing = differs(shown, came)
                if missing is not None:
                    problems.append(f"{session.place}: `{typed}` does not print {missing!r} (there) but\n{came}")
        except TestFailure as error:
            problems.append(f"{session.place}: {error}")
            places.pop(machine, None)
        finally:
            if hasattr(place, "close"):
                place.close()
            if own and hasattr(place, "guest"):
                place.guest.kill()
    return problems


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--show", action="store_true")
    cli.add_argument("--kind", choices=list(KINDS))
    cli.add_argument("pages", nargs="*")
    args = cli.parse_args()
    chosen = [s for s in sessions([os.path.relpath(page, ROOT) for page in args.pages]) if args.kind in (None, s.kind)]
    ctx = ashlartest.Context(300)
    try:
        problems = run_all(ctx, chosen, args.show)
    finally:
        for guest in ctx.guests:
            guest.kill()
        ctx.close()
    print("\n".join(problems + [f"{len(chosen)} sessions, {len(problems)} not as the book says"]))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
