"""The terminal under somebody's fingers: line editing, job control, full-screen programs."""
import hashlib
import re
import time

from ashlartest import TestFailure, timeout

QUIET = "console=ttyS0 loglevel=1"


@timeout(60)
def test_ctrl_c_stops_a_flood(ctx):
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        guest.send("yes\n")
        guest.expect(r"y\r?\ny\r?\ny\r?\n")
        guest.send("\x03")
        guest.expect(r"\^C")
        guest.boot(20)
        guest.run("true")
        guest.send("cat\n")
        time.sleep(0.2)
        guest.send("\x03")
        guest.boot(10)
        assert guest.shell("echo alive") == "alive"


@timeout(60)
def test_job_control(ctx):
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        guest.send("sleep 100\n")
        time.sleep(0.3)
        guest.send("\x1a")
        guest.expect(r"Stopped")
        guest.boot(10)
        assert "Stopped" in guest.shell("jobs")
        guest.send("bg\n")
        guest.boot(10)
        assert "Running" in guest.shell("jobs")
        guest.send("fg\n")
        guest.expect(r"sleep 100")
        time.sleep(0.2)
        guest.send("\x03")
        guest.boot(10)
        assert guest.shell("jobs") == ""
        # A job in the background that wants to read has to wait for its turn.
        guest.send("cat &\n")
        guest.boot(10)
        time.sleep(0.2)
        assert "Stopped" in guest.shell("jobs")
        guest.send("fg\n")
        time.sleep(0.2)
        guest.send("hello\n")
        guest.expect(r"hello\r?\nhello\r?\n")
        guest.send("\x04")
        guest.boot(10)


@timeout(60)
def test_erasing_and_end_of_file(ctx):
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        # The terminal's own editing, as a program that reads lines sees it.
        guest.send("cat >/tmp/typed\n")
        time.sleep(0.3)
        guest.send("abX\x7fc\n")          # backspace
        guest.send("old words\x15new\n")   # Ctrl-U
        guest.send("one two\x17three\n")   # Ctrl-W
        guest.send("\x16\x03\n")           # Ctrl-V takes the next one as it is
        guest.send("\x04")
        guest.boot(10)
        assert guest.shell("od -An -c /tmp/typed | tr -d ' \\n'") == r"abc\nnew\nonethree\n003\n"
        # Ctrl-D behind text hands over what is there; alone it ends the file.
        guest.send("cat\n")
        time.sleep(0.3)
        guest.send("part\x04")
        guest.expect(r"partpart")
        guest.send("\x04")
        guest.boot(10)


@timeout(60)
def test_shell_line_editing(ctx):
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        assert guest.shell("echo first") == "first"
        assert guest.shell("echo second") == "second"
        guest.send("\x1b[A\x1b[A\n")  # up twice
        guest.expect(r"\nfirst\r?\n")
        guest.boot(10)
        guest.send("echo wrng\x1b[D\x1b[Do\n")  # two to the left, then the missing letter
        guest.expect(r"\nwrong\r?\n")
        guest.boot(10)
        guest.send("ech\tcompleted\n")
        guest.expect(r"\ncompleted\r?\n")
        guest.boot(10)
        guest.send("echo nevertyped\x03")
        guest.expect(r"\^C")
        guest.boot(10)


@timeout(60)
def test_end_of_a_shell(ctx):
    """init starts a new one; killing a shell ends that shell and nothing else."""
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        first = guest.shell("echo $$")
        guest.send("\x04")
        guest.boot(20)
        second = guest.shell("echo $$")
        assert first != second
        guest.send("kill -SEGV $$\n")
        guest.boot(20)
        assert guest.shell("echo $$") not in (first, second)
        guest.run("sh -c 'kill -SEGV $$'")
        assert guest.status == 139, guest.status


@timeout(60)
def test_window_size(ctx):
    with ctx.guest(append=QUIET + " LINES=40 COLUMNS=132") as guest:
        guest.boot()
        assert guest.shell("stty size") == "40 132"
        guest.shell("unset LINES COLUMNS; stty rows 30 cols 90")
        assert guest.shell("stty size") == "30 90"
        # A program in the foreground is told.
        assert guest.shell("sh -c 'trap \"echo told\" WINCH; stty rows 31; true'") == "told"


@timeout(60)
def test_stty(ctx):
    with ctx.guest(append="console=ttyS0,115200 loglevel=1") as guest:
        guest.boot()
        settings = guest.shell("stty -a")
        assert re.search(r"speed 115200 baud", settings) and "intr = ^C" in settings and re.search(r"\bisig\b", settings), settings
        # Reading a password: no echo.
        guest.send("read -s secret; echo got ${#secret}\n")
        time.sleep(0.3)
        guest.send("hidden\n")
        guest.expect(r"got 6")
        guest.boot(10)
        if guest.console.count("hidden") != 0:
            raise TestFailure("the password was echoed")


@timeout(60)
def test_vi_edits_and_saves(ctx):
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        guest.shell("printf 'one\\ntwo\\nthree\\n' >/tmp/x")
        guest.send("vi /tmp/x\n")
        guest.expect(r"three")
        guest.expect(r"/tmp/x")
        time.sleep(0.3)
        guest.send("ihello \x1b")     # insert in front of "one"
        time.sleep(0.2)
        guest.send("jdd")             # delete "two"
        time.sleep(0.2)
        guest.send("Anew\x1b")        # at the end of "three"
        time.sleep(0.2)
        guest.send("G\x1b[A")         # an arrow key
        time.sleep(0.2)
        guest.send("oinserted\x1b")
        time.sleep(0.2)
        guest.send(":wq\r")
        guest.boot(10)
        assert guest.shell("cat /tmp/x").split("\n") == ["hello one", "inserted", "threenew"]


@timeout(60)
def test_full_screen_top(ctx):
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        guest.send("top -d 1\n")
        guest.expect(r"Mem: \d+K used")
        guest.expect(r"Mem: \d+K used", 10)  # it comes again by itself
        guest.send("q")
        guest.boot(10)


@timeout(60)
def test_large_paste(ctx):
    """More than the FIFO of the chip and the line's buffer hold at once, typed without waiting."""
    text = "".join(f"line {i} of what somebody pasted into the terminal\n" for i in range(400))
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        guest.send("stty -echo; cat >/tmp/pasted; stty echo\n")
        time.sleep(0.3)
        guest.send(text)
        guest.send("\x04")
        guest.boot(30)
        assert guest.shell("wc -c </tmp/pasted") == str(len(text))
        assert guest.shell("tail -n 1 /tmp/pasted") == text.splitlines()[-1]
        # Nobody reads at first: what does not fit waits on the other side of the line.
        idle = "grep -w cpu /proc/stat | cut -d' ' -f6"  # in hundredths of a second
        guest.send(f"stty -echo; sleep 2; {idle} >/tmp/then; sleep 2; {idle} >/tmp/now; cat >/tmp/pasted; stty echo\n")
        time.sleep(0.3)
        guest.send(text)
        guest.send("\x04")
        guest.boot(30)
        then, now = map(int, guest.shell("cat /tmp/then /tmp/now").split())
        if now - then < 100:
            raise TestFailure(f"the machine is busy while nobody reads: idle for {(now - then) * 10} of 2000 ms")
        assert guest.shell("md5sum </tmp/pasted").split()[0] == hashlib.md5(text.encode()).hexdigest()


@timeout(60)
def test_much_output(ctx):
    """All of it, in order: who writes waits for room, and is told when there is some."""
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        assert guest.shell("seq 1 20000").split() == [str(n) for n in range(1, 20001)]


@timeout(60)
def test_background_output_and_quit_key(ctx):
    with ctx.guest(append=QUIET) as guest:
        guest.boot()
        guest.send("sleep 100\n")
        time.sleep(0.3)
        guest.send("\x1c")  # Ctrl-\
        guest.expect(r"Quit")
        guest.boot(10)
        guest.send("(sleep 0.3; echo from the background) &\n")
        guest.expect(r"from the background\r?\n", 10)
        # XON/XOFF.
        guest.send("\x13")
        guest.send("echo held\n")
        time.sleep(0.4)
        if "\nheld" in guest.console[guest.position:].replace("\r", ""):
            raise TestFailure("output came although it was stopped")
        guest.send("\x11")
        guest.expect(r"\nheld\r?\n", 10)
