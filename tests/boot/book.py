"""
The book's sessions (docs/*.md, "see it live") print what the book says they print.  How they are written: tools/book/live.py.

One test for each place a session is typed in, so that each shares one machine.
"""
import os
import shutil
import sys

from ashlartest import Skip, TestFailure, cases, needs, timeout

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../tools/book"))
import ashlartest  # noqa: E402
import live  # noqa: E402


def run(ctx, *kinds):
    if not ashlartest.VARIANT.ordinary:
        raise Skip("the book shows the ordinary builds")
    problems = live.run_all(ctx, [session for session in live.sessions() if session.kind in kinds])
    for guest in ctx.guests:
        guest.kill()
    if problems:
        raise TestFailure("\n".join(problems))


@cases(kind=["shell", "monitor", "panic", "host"])
@timeout(90)
def test_sessions(ctx, kind):
    run(ctx, kind)


@cases(kind=["debug", "ktest"])
@timeout(90)
@needs("out-debug/ashlar", "out-debug/ashlar-ktest")
def test_debug_sessions(ctx, kind):
    run(ctx, kind)


@timeout(120)
@needs("out-debug/ashlar")
def test_gdb_sessions(ctx):
    if not shutil.which("gdb"):
        raise Skip("there is no gdb (make debug installs it)")
    run(ctx, "gdb", "gdb-debug")
