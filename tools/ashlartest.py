"""
What a boot or user test needs: a guest it can talk to.

A test file is tests/AREA/NAME.py; each function in it called test_WHAT(ctx) is one test, `AREA/NAME-WHAT` in the report.
A test passes when it returns and fails when it raises.  It may carry

    @cases(machine=["pc", "q35"])   run once per value (and per combination), given as keyword arguments; the values
                                    become part of the test's name
    @timeout(seconds)               end it after that long (60 by default)
    @needs("out-clang/ashlar")      files to be there, as Context.path() names them; make test builds them

    def test_prompt(ctx):
        with ctx.guest(machine="q35") as guest:
            guest.expect(r"# $")
            assert guest.run("echo hello") == "hello"
"""
import codecs
import itertools
import json
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time

import cpio
import machine as qemu

# The shell asks the terminal for the cursor (ESC [ 6 n) behind its prompt.
PROMPT = r"(?m)^[^\r\n]*# (?:\x1b\[6n)?$"


class Variant:
    """
    Which kernels a run of the tests is about: make's CC, BUILD and SAN, and how many CPUs each guest gets.

    `out/x` in a test is a file of that variant; `out-debug/x` one of the variant with assertions, but else the same, and
    `out-clang/x` the like with the compiler.
    """

    def __init__(self, cc="gcc", build="release", san="none", cpus=1):
        self.cc, self.build, self.san, self.cpus = cc, build, san, cpus
        self.compiler = "clang" if "clang" in os.path.basename(cc) else "gcc"
        # A run that looks at the other compiler as well; the others stay with their own.
        self.mixed = (self.compiler, build) == ("gcc", "release")
        # What `make test` looks at when it is told nothing.
        self.ordinary = self.mixed and san == "none" and cpus == 1

    def like(self, kind):
        """The variant of `out-KIND`; of `out`, where kind is empty, itself."""
        cc = "clang" if kind == "clang" and self.compiler != "clang" else self.cc
        return Variant(cc, "debug" if kind == "debug" else self.build, self.san, self.cpus)

    def folder(self):
        """Its folder below build/, as mk/config.mk names it."""
        return "-".join(["x86_64"] + ["clang"] * (self.compiler == "clang") + ["debug"] * (self.build == "debug") +
                        [self.san] * (self.san != "none"))

    def __str__(self):
        return " ".join([self.compiler, self.build] + [self.san] * (self.san != "none") + [f"{self.cpus} CPUs"] * (self.cpus > 1))


# tools/test sets it before it looks at the tests.
VARIANT = Variant()


class TestFailure(AssertionError):
    """A failed test, with what the console last said."""


class Skip(Exception):
    """The test cannot run here; the reason is printed and the test counts as neither passed nor failed."""


def cases(**values):
    def mark(test):
        names = list(values)
        test.cases = [dict(zip(names, choice)) for choice in itertools.product(*values.values())]
        return test
    return mark


def timeout(seconds):
    def mark(test):
        test.timeout = seconds
        return test
    return mark


def needs(*paths):
    def mark(test):
        test.needs = paths
        return test
    return mark


def plain(text):
    """Console text without carriage returns and escape sequences."""
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[()][0AB]|[=>78])", "", text).replace("\r", "")


class Guest:
    """QEMU with a guest, its serial line in our hands.  Use as a context manager: the guest never outlives the block."""

    def __init__(self, timeout_s=60, **options):
        self.timeout_s = timeout_s
        self.directory = tempfile.mkdtemp(prefix="ashlar-")
        self.qmp_path = os.path.join(self.directory, "qmp")
        options.setdefault("smp", VARIANT.cpus)
        self.line = qemu.command(serial="stdio", qmp=self.qmp_path, **options)
        self.console = ""       # all output so far
        self.position = 0       # how far expect() has consumed it
        self.qmp_socket = None
        self.deadline = time.monotonic() + timeout_s
        self.process = subprocess.Popen(self.line, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        if self.qmp_socket:
            self.qmp_socket.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def last_lines(self):
        last = "\n".join("    | " + line for line in plain(self.console).splitlines()[-25:])
        return f"  last lines of the console:\n{last or '    | (nothing)'}"

    def fail(self, message):
        raise TestFailure(f"{message}\n{self.last_lines()}")

    def _read(self, wait_s):
        """Take in what the guest has written; return False at the end of the stream."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(wait_s, 0))
        if not ready:
            return True
        data = self.process.stdout.read(65536)
        if data == b"":
            return False
        if data:
            self.console += self.decoder.decode(data)
        return True

    def expect(self, pattern, timeout_s=None, forbid=r"PANIC|[Kk]ernel panic"):
        """
        Wait until the console shows pattern (a regular expression, or several as a list) behind what earlier calls
        matched.  Returns the match (of a list: its index and the match).  Fails at once when the guest ends, when
        forbid shows up first, or after timeout_s (by default: what is left of the guest's own time).
        """
        patterns = [re.compile(p) for p in ([pattern] if isinstance(pattern, str) else pattern)]
        bad = re.compile(forbid) if forbid else None
        deadline = min(self.deadline, time.monotonic() + timeout_s) if timeout_s else self.deadline
        alive = True
        while True:
            text = self.console[self.position:]
            hits = [(m.start(), n, m) for n, m in enumerate(p.search(text) for p in patterns) if m]
            if hits:
                _, number, match = min(hits, key=lambda hit: hit[:2])
                self.position += match.end()
                return match if isinstance(pattern, str) else (number, match)
            if bad and bad.search(text):
                self._read(0.5)
                self.fail(f"the kernel panicked while the test waited for {pattern!r}")
            if not alive:
                self.fail(f"QEMU ended with status {self.process.wait()} before {pattern!r} was seen")
            if time.monotonic() >= deadline:
                self.fail(f"timeout: {pattern!r} was not seen")
            alive = self._read(min(1.0, deadline - time.monotonic()))

    def send(self, text):
        """Type text; nothing is added.  In small pieces, as a 16550 has a FIFO of 16 bytes and a tty a buffer of 4 KiB."""
        data = text.encode() if isinstance(text, str) else text
        while data:
            self.process.stdin.write(data[:512])
            self.process.stdin.flush()
            data = data[512:]

    def run(self, command, timeout_s=None, prompt=PROMPT):
        """Type a command at the shell's prompt; return what it printed.  Its exit status is left in self.status."""
        # The marks look different in the echo, which the shell may break into several lines.
        self.send(f"echo @''B@; {command}; echo @$?@\n")
        match = self.expect(r"(?s)@B@\r?\n(.*?)@(\d+)@\r?\n", timeout_s)
        self.expect(prompt, timeout_s)
        self.status = int(match.group(2))
        return plain(match.group(1)).rstrip("\n")

    def shell(self, command, timeout_s=None):
        """As run(), but a status other than 0 fails the test."""
        output = self.run(command, timeout_s)
        if self.status:
            self.fail(f"`{command}` ended with status {self.status}")
        return output

    def boot(self, timeout_s=None):
        """Wait for the shell's prompt."""
        return self.expect(PROMPT, timeout_s)

    def wait(self, timeout_s=None):
        """Wait for QEMU to end; return qemu.exit_meaning() of its status."""
        deadline = min(self.deadline, time.monotonic() + timeout_s) if timeout_s else self.deadline
        while self._read(min(1.0, deadline - time.monotonic())):
            if time.monotonic() >= deadline:
                self.fail("timeout: the guest did not end")
        return qemu.exit_meaning(self.process.wait())

    def qmp(self, command, **arguments):
        """Run a QMP command and return its answer."""
        if self.qmp_socket is None:
            self.qmp_socket = socket.socket(socket.AF_UNIX)
            self.qmp_socket.settimeout(10)
            while self.qmp_socket.connect_ex(self.qmp_path) != 0:  # QEMU has only just been started
                if self.process.poll() is not None or time.monotonic() >= self.deadline:
                    self.fail("QEMU does not listen at its monitor's socket")
                time.sleep(0.01)
            self.qmp_stream = self.qmp_socket.makefile("rw")
            self.qmp_stream.readline()
            self.qmp("qmp_capabilities")
        self.qmp_stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp_stream.flush()
        while True:
            answer = json.loads(self.qmp_stream.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                self.fail(f"QMP {command}: {answer['error']['desc']}")

    def monitor(self, command):
        return self.qmp("human-monitor-command", **{"command-line": command})

    def send_key(self, *names):
        """Press keys of the PS/2 keyboard together, by QEMU's names: send_key("ctrl", "c")."""
        self.qmp("send-key", keys=[{"type": "qcode", "data": name} for name in names])
        time.sleep(0.02)

    def type_keys(self, text):
        """Type text on the PS/2 keyboard (US layout)."""
        named = {" ": "spc", "\n": "ret", "-": "minus", "/": "slash", ".": "dot", ",": "comma", ";": "semicolon",
                 "=": "equal", "'": "apostrophe", "\\": "backslash", "[": "bracket_left", "]": "bracket_right"}
        shifted = {"|": "backslash", ">": "dot", "<": "comma", "$": "4", "&": "7", "!": "1", "_": "minus", "+": "equal",
                   '"': "apostrophe", ":": "semicolon", "?": "slash", "*": "8", "(": "9", ")": "0", "#": "3"}
        for char in text:
            if char in named:
                self.send_key(named[char])
            elif char in shifted:
                self.send_key("shift", shifted[char])
            elif char.isupper():
                self.send_key("shift", char.lower())
            else:
                self.send_key(char)

    def screen(self):
        """The VGA screen as a picture: (width, height, bytes of RGB)."""
        path = os.path.join(self.directory, "screen.ppm")
        self.qmp("screendump", filename=path)
        with open(path, "rb") as picture:
            data = picture.read()
        magic, width, height, _ = data.split(maxsplit=4)[:4]
        assert magic == b"P6"
        return int(width), int(height), data[-int(width) * int(height) * 3:]

    def screen_text(self, columns=80, rows=25):
        """The VGA text buffer's characters, one string per row, read from guest memory."""
        dump = self.monitor(f"xp /{columns * rows}hx 0xb8000")
        cells = [int(word, 16) & 0xff for word in re.findall(r"0x([0-9a-f]{4})\b", dump.replace(":", " : "))]
        text = "".join(chr(cell) if 32 <= cell < 127 else " " for cell in cells[-columns * rows:])
        return [text[start:start + columns].rstrip() for start in range(0, len(text), columns)]


def memory_bytes(size):
    """QEMU's "256M" as a number."""
    return int(size[:-1]) << {"K": 10, "M": 20, "G": 30}[size[-1]]


class Context:
    """What a test is given: where things are, and how to start a guest with the usual defaults."""

    def __init__(self, timeout_s=60):
        self.timeout_s = timeout_s
        self.root = qemu.ROOT
        self.started = time.monotonic()
        self.directory = None
        self.guests = []

    def path(self, name):
        """`out/x` is build/x86_64/x in an ordinary run, `out-debug/x` build/x86_64-debug/x; see Variant."""
        match = re.match(r"out(?:-(debug|clang))?/(.*)", name)
        if match:
            return os.path.join(self.root, "build", VARIANT.like(match.group(1)).folder(), match.group(2))
        return os.path.join(self.root, name)

    def scratch(self):
        """A directory of the test's own, removed when it ends."""
        if self.directory is None:
            self.directory = tempfile.mkdtemp(prefix="ashlar-test-")
        return self.directory

    def close(self):
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def guest(self, kernel="out/ashlar", initrd="out/initramfs.cpio", append="console=ttyS0", iso=None, **options):
        """Start a guest.  Its time is what is left of the test's."""
        if VARIANT.san == "kasan" and not 32 << 20 <= memory_bytes(options.get("memory", "256M")) <= 4 << 30:
            raise Skip("KASAN's shadow takes more than such a machine has, or more than this one should give")
        left_s = max(1, self.timeout_s - (time.monotonic() - self.started))
        if iso:
            guest = Guest(timeout_s=left_s, iso=self.path(iso), **options)
        else:
            guest = Guest(timeout_s=left_s, kernel=self.path(kernel), initrd=self.path(initrd) if initrd else None,
                          append=append, **options)
        self.guests.append(guest)
        return guest

    def check_reports(self):
        """Fail if a kernel with a sanitizer has said something.  (KASAN panics as well; UBSAN goes on.)"""
        for guest in self.guests:
            report = re.search(r"(UBSAN|KASAN): .*(\n.*){0,20}", plain(guest.console))
            if report:
                raise TestFailure(f"the kernel reports\n{report.group(0)}")

    def consoles(self):
        """The last lines of every guest the test started, for its report."""
        return "\n".join(guest.last_lines() for guest in self.guests)

    def bare_initramfs(self, files, init=None, name="bare.cpio"):
        """An initramfs with nothing else in it: {path in the guest: bytes, or path of a host file}.  Returns its path."""
        archive = os.path.join(self.scratch(), name)
        with open(archive, "wb") as out:
            out.write(cpio.archive_of({guest: content if isinstance(content, bytes) else self.path(content)
                                       for guest, content in files.items()}, init and self.path(init)))
        return archive

    def shell_initramfs(self, add, name="shell.cpio"):
        """The usual initramfs and further files, {path in the guest: host file}, with the libraries they are linked to."""
        archive = os.path.join(self.scratch(), name)
        wanted = {}
        for guest, host in add.items():
            wanted[guest] = self.path(host)
            wanted.update(libraries_of(self.path(host)))
        line = [os.path.join(self.root, "tools/mkinitramfs"), "--output", archive, "--rootfs", self.path("user/rootfs"),
                "--busybox", self.path("build/deps/busybox-static/bin/busybox")]
        for guest, host in wanted.items():
            line += ["--add", f"{host}:{guest}"]
        subprocess.run(line, check=True)
        return archive


def libraries_of(program):
    """{path in the guest: host file} of the program interpreter and shared libraries an ELF file asks for."""
    headers = subprocess.run(["readelf", "-lW", program], capture_output=True, text=True).stdout
    match = re.search(r"program interpreter: ([^\]]+)", headers)
    if not match:
        return {}
    found = {match.group(1): os.path.realpath(match.group(1))}
    # musl's interpreter is its libc; glibc's can list the rest.
    if "musl" not in match.group(1):
        listed = subprocess.run([match.group(1), "--list", program], capture_output=True, text=True).stdout
        for path in re.findall(r"=> (/\S+)", listed):
            found[path] = os.path.realpath(path)
    return found
