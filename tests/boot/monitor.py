"""The kernel's monitor: its four ways in, its commands, its line editor, and what is left of it after a panic."""
import os
import re
import struct

import ashlartest
import cpio
from ashlartest import PROMPT, cases, plain, timeout

MONITOR = r"monitor> $"
PANIC = r"panic> $"


def command(guest, text, prompt=MONITOR):
    """Run one command at the prompt; what it printed."""
    guest.send(text + "\r")
    match = guest.expect(r"(?s)(.*?)" + prompt, forbid=None)
    return plain(match.group(1)).split("\n", 1)[1]


def no_init(ctx, **options):
    guest = ctx.guest(initrd=None, **options)
    guest.expect(r"no init could be started.*")
    guest.expect(MONITOR)
    return guest


@cases(machine=["pc", "q35", "microvm"])
@timeout(60)
def test_without_init(ctx, machine):
    with no_init(ctx, machine=machine) as guest:
        assert "nothing to go back to" in command(guest, "exit")
        assert "no such command" in command(guest, "nonsense")
        guest.send("poweroff\r")
        assert guest.wait(20) == ("off", 0)


SHOWS = {
    "help": [r"^words on the kernel's command line", r"^  monitor +the kernel's monitor", r"^  bt \[TID\|NAME\] +where", r"^  help \[COMMAND\] "],
    "help mem": [r"^  mem +memory"],
    "ps": [r"^ +tid name +cpu state +nice +ms +waits for$", r"^ +- init +\d+ runs ", r"^ +- monitor +\d+ blocked +rt99"],
    "bt": [r"^  ffffffff8[0-9a-f]{7} +\w+\+0x", r"thread_begin\+0x"],
    "bt monitor": [r"^  ffffffff8[0-9a-f]{7} +switch", r"monitor_thread\+0x"],
    "bt nobody": [r"nobody: no such thread"],
    "mem": [r"^\d+ KiB RAM: \d+ KiB free", r"^free blocks: \d+ x 4 K,", r"^  0000\w+-\w+ usable$"],
    "slab": [r"^cache +bytes +used", r"^kmalloc-32 +32 +\d+ "],
    "irq": [r"^ +4: +\d+ .*ttyS0$", r"^LOC: +\d+ "],
    "cpu": [r"^Ashlar [0-9.]+, up \d+\.\d+ s$", r"^clock: .*, alarm: ", r"^cpu 0: .*, online, hardware id 0(, in an interrupt)?$"],
    "sched": [r"^cpu 0: \d+ runnable, \d+ switches", r"^load: \d+\.\d\d \d"],
    "locks": [r"keeps no record of held locks|holds a lock|rank"],
    "timers": [r"^cpu 0: "],
    "mounts": [r"^rootfs / rootfs rw"],
    "syscalls": [r"^none: "],
    "log 1": [r"^\[ +\d+\.\d{6}\] \d .+\n\Z"],
    "log": [r"boot: command line: console=ttyS0"],
    "pagetables": [r"^direct map ffff888000000000-", r"^  ffff888000000000-\w+ +\d+ .iB .. rw--- -> 0",
                   r"^kernel image ", r" 4K r-x-- -> 0x100000$", r"writable and executable: 0$"],
    "pagetables 0xffffffff80100000": [r"kernel image$", r"level 3 \[511\] \w+ +512 GiB: table at",
                                      r"level 0 \[256\] \w+ +4 KiB: page at 0x100000 r-x--"],
    "pagetables 0x1000": [r"a program's half$", r"not present$"],
    "pagetables 77": [r"77: no such program"],
    "peek 0xffffffff80100000 32": [r"^ffffffff80100000 ( [0-9a-f]{2}){16}  .{16}\nffffffff80100010 "],
    "peek 0 1": [r"^0000000000000000  -- +\.$"],
    "peek zero": [r"zero: not a number"],
    "symbol 0xffffffff80000000": [r"no function of the kernel"],
    "tests": [r"has no tests in it"],
    "clear": [r""],
}


@timeout(90)
def test_commands(ctx):
    with no_init(ctx) as guest:
        listed = re.findall(r"^  (\w+)", command(guest, "help").split("words on")[0], flags=re.M)
        # These end the machine, and are used in the other tests.
        ending = {"reboot", "poweroff", "crash"}
        for other in sorted(set(listed) - {shown.split()[0] for shown in SHOWS} - ending):
            assert command(guest, other), f"`{other}` shows nothing"
        for shown, patterns in SHOWS.items():
            output = command(guest, shown)
            for pattern in patterns:
                if not re.search(pattern, output, flags=re.M):
                    guest.fail(f"`{shown}` did not show {pattern!r} but:\n{output}")


@timeout(60)
def test_reboot(ctx):
    with no_init(ctx) as guest:
        guest.send("reboot\r")
        assert guest.wait(20) == ("off", 0)     # QEMU is started with -no-reboot


@timeout(60)
def test_line_editor(ctx):
    with no_init(ctx) as guest:
        assert "kmalloc-32" in command(guest, "sl\t")           # completed
        assert "kmalloc-32" in command(guest, "\x1b[A")         # from the history
        guest.send("m\t\t")                                     # two choices
        guest.expect(r"\nmem  mounts  \r\nmonitor> m$")
        assert "KiB RAM" in command(guest, "em")
        assert "KiB RAM" in command(guest, "XXem\x01\x04\x04m")  # Ctrl-A, Ctrl-D twice
        assert "KiB RAM" in command(guest, "junk words\x15mxx\x17mem")  # Ctrl-U, Ctrl-W
        guest.send("half a line\x03")
        guest.expect(r"\^C\r\n" + MONITOR)
        assert "KiB RAM" in command(guest, "mem")


@timeout(60)
def test_ctrl_c_ends_long_output(ctx):
    """Typed while the output comes; a fast machine may be done with it sooner than we can type, so it has some tries."""
    with no_init(ctx) as guest:
        for _ in range(50):
            guest.send("peek 0xffffffff80100000 4096\r")
            guest.expect(r"ffffffff80100010 ")
            guest.send("\x03")
            shown = guest.expect(r"(?s)(.*?)\^C\r\n" + MONITOR).group(1)
            if "ffffffff80100ff0" not in shown:
                break
        else:
            guest.fail("Ctrl-C never ended the output")
        assert "KiB RAM" in command(guest, "mem")


@timeout(60)
def test_word_on_the_command_line(ctx):
    """`monitor` comes before init, and `exit` goes on to it."""
    with ctx.guest(append="console=ttyS0 monitor") as guest:
        guest.expect(r"instead of init")
        guest.expect(MONITOR)
        assert " 1 init" not in command(guest, "ps")
        guest.send("exit\r")
        guest.boot()
        assert guest.shell("echo $((6 * 7))") == "42"


def send_break(guest):
    guest.qmp("chardev-send-break", id="serial0")


@cases(machine=["pc", "microvm"])
@timeout(60)
def test_break_while_programs_run(ctx, machine):
    with ctx.guest(machine=machine) as guest:
        guest.boot()
        guest.send("echo typ")
        guest.expect("echo typ")
        send_break(guest)
        guest.send("m")
        guest.expect(MONITOR)
        shown = command(guest, "ps")
        shell = re.search(r"^ +(\d+) (sh|ash) .*read_wait|^ +(\d+) (sh|ash) ", shown, flags=re.M)
        assert shell, shown
        tid = shell.group(1) or shell.group(3)
        assert re.search(r"sys_\w+\+0x", command(guest, f"bt {tid}"))
        tables = command(guest, f"pagetables {tid}")
        assert re.search(r"^  0000\w{12}-0000\w{12} .* r-xu-", tables, flags=re.M), tables
        assert re.search(r"^  00007f\w{10}-00007f\w{10} .* rw-u-", tables, flags=re.M), tables
        assert "xu" not in re.sub(r"r-xu", "", tables)
        guest.send("exit\r")
        guest.send("ed\n")           # the shell's line is where it was
        guest.expect(r"(?m)^typed\r?$")
        guest.expect(PROMPT)
        assert guest.shell("echo back") == "back"


@timeout(60)
def test_program_output_waits(ctx):
    with ctx.guest() as guest:
        guest.boot()
        guest.send("(sleep 1; echo from the background) &\n")
        guest.expect(PROMPT)
        send_break(guest)
        guest.send("m")
        guest.expect(MONITOR)
        for _ in range(30):
            shown = command(guest, "ps")
            assert "from the background" not in shown
            guest._read(0.1)
        guest.send("exit\r")
        guest.expect("from the background")


@timeout(60)
def test_other_keys(ctx):
    with ctx.guest() as guest:
        guest.boot()
        send_break(guest)
        guest.send("?")
        guest.expect(r"sysrq: keys are: ")
        assert guest.shell("echo x") == "x"     # the key was no input
        send_break(guest)
        guest.send("o")
        assert guest.wait(20) == ("off", 0)


@timeout(60)
def test_keyboard_and_screen(ctx):
    with ctx.guest(append="console=ttyS0 console=tty0") as guest:
        guest.expect(r"running .* as PID 1")
        for _ in range(100):
            if any(re.search(r"# ?$", row) for row in guest.screen_text()):
                break
            guest._read(0.1)
        guest.send_key("alt", "print")
        guest.send_key("m")
        guest.expect(MONITOR)
        guest.type_keys("mem\n")
        guest.expect(r"\d+ KiB RAM")
        guest.expect(MONITOR)
        for _ in range(100):
            if any("KiB RAM" in row for row in guest.screen_text()):
                break
            guest._read(0.1)        # each terminal has its own pace
        else:
            guest.fail("the screen does not show what `mem` says")
        guest.type_keys("poweroff\n")
        assert guest.wait(20) == ("off", 0)


FAULTS = {
    "crash": ["crash: as the user wished"],
    "crash read 0x8": ["to read from 0x8", "kernel thread init", "nothing is mapped there", "NULL: a member"],
    "crash write 0xffffffff80100000": ["to write to 0xffffffff80100000", "the page is read-only", "the kernel's code"],
    "crash call 0xffff888000200000": ["to execute 0xffff888000200000", "the page is not executable",
                                      "physical address 0x200000, which is RAM"],
    "crash read 0xffff890000000000": ["physical address 0x8000000000, which is no RAM", "bytes above the end of"],
    "crash read HOLE": ["region kernel ranges", "0x1 bytes above the end of", "nothing is mapped there"],
    "crash read 0xffffa00000000000": ["nothing is mapped there", "direct map"],
    "crash read 0xffffe00000000000": ["in no region of the kernel's"],
    "crash overflow": ["stack overflow of thread init", "crash_overflow+0x"],
}


@cases(fault=list(FAULTS))
@timeout(60)
def test_panic(ctx, fault):
    """The report says what happened; the monitor's safe commands work afterwards, the others refuse."""
    with no_init(ctx) as guest:
        if "HOLE" in fault:     # the byte behind the first kernel range
            ranges = command(guest, "pagetables").split("kernel ranges", 1)[1]
            last = re.search(r"\n  \w{16}-(\w{16})", ranges).group(1)
            fault_typed = fault.replace("HOLE", hex(int(last, 16) + 1))
        else:
            fault_typed = fault
        output = command(guest, fault_typed, PANIC)
        for text in FAULTS[fault]:
            assert text in output, f"{text!r} is not in:\n{output}"
        assert "+0x" in command(guest, "bt", PANIC)
        assert "not after a panic" in command(guest, "slab", PANIC)
        assert "mounts" not in command(guest, "help", PANIC)
        # On another CPU it may not have got to sleep again after the line it handed on.
        state = "blocked" if ashlartest.VARIANT.cpus == 1 else "(blocked|ready|runs)"
        assert re.search(rf"^ +- monitor +\d+ {state}", command(guest, "ps", PANIC), flags=re.M)
        assert "monitor_thread+0x" in command(guest, "bt monitor", PANIC)
        for safe in ("mem", "cpu", "locks", "log 5", "pagetables", "peek 0xffffffff80100000", "syscalls"):
            assert command(guest, safe, PANIC)
        guest.send("poweroff\r")
        assert guest.wait(20) == ("off", 0)


@timeout(60)
def test_panic_while_programs_run(ctx):
    with ctx.guest() as guest:
        guest.boot()
        send_break(guest)
        guest.send("m")
        guest.expect(MONITOR)
        output = command(guest, "crash read 0x123450000", PANIC)
        assert "kernel thread monitor" in output, output
        assert re.search(r"^ +1 (init|linuxrc|sh)", command(guest, "ps", PANIC), flags=re.M)
        guest.send("reboot\r")
        assert guest.wait(20) == ("off", 0)


@timeout(60)
def test_keyboard_after_panic(ctx):
    with no_init(ctx, append="console=ttyS0 console=tty0") as guest:
        command(guest, "crash", PANIC)
        guest.type_keys("cpu\n")
        guest.expect(r"cpu 0: .* online", forbid=None)
        guest.expect(PANIC, forbid=None)
        guest.type_keys("poweroff\n")
        assert guest.wait(20) == ("off", 0)


def faulting_program(address, written):
    """A static program of one page at 0x400000 that writes to, or reads from, an address."""
    code = b"\x48\xb8" + struct.pack("<Q", address) + (b"\xc6\x00\x00" if written else b"\x8a\x00")
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 0x78 + len(code), 0x78 + len(code), 0x1000)
    return header + segment + code


@cases(what=["nothing", "forbidden"])
@timeout(60)
def test_fault_of_a_program(ctx, what):
    """The log says what a program wanted where, and what is nearest."""
    archive = cpio.Archive()
    archive.directory("dev")
    address, written = (0x401010, False) if what == "nothing" else (0x400010, True)
    archive.file("init", faulting_program(address, written), 0o755)
    initrd = os.path.join(ctx.scratch(), "initrd")
    with open(initrd, "wb") as file:
        file.write(archive.finished())
    with ctx.guest(initrd=initrd) as guest:
        guest.expect(rf"init\[1\]: segfault at {address:x} ip 0000000000400082 ")
        if what == "nothing":
            guest.expect(r"init\[1\]: read where nothing is; 0x11 bytes above 0x400000-0x401000 r-x \(file\)")
            guest.expect(r"init\[1\]: read where nothing is; 0x\w+ bytes below 0x7f\w+-0x7f\w+ r--")
        else:
            guest.expect(r"init\[1\]: write forbidden; inside 0x400000-0x401000 r-x \(file\)")
        guest.expect(r"PID 1 was killed by signal 11")
        guest.expect(MONITOR)


@timeout(60)
def test_no_monitor_where_a_reset_is_asked_for(ctx):
    with ctx.guest(initrd=None, append="console=ttyS0 panic=-1") as guest:
        guest.expect(r"no init could be started")
        assert guest.wait(20) == ("off", 0)


@timeout(60)
def test_after_init_exits(ctx):
    with ctx.guest(append="console=ttyS0 rdinit=/bin/true") as guest:
        guest.expect(r"PID 1 exited with status 0")
        guest.expect(MONITOR)
        assert re.search(r"^ +1 true +\d+ runs", command(guest, "ps"), flags=re.M)
        guest.send("poweroff\r")
        assert guest.wait(20) == ("off", 0)


@timeout(120)
def test_in_kernel_tests(ctx):
    with ctx.guest(kernel="out/ashlar-ktest", initrd=None, append="console=ttyS0 monitor") as guest:
        guest.expect(MONITOR)
        output = command(guest, "tests core.symbol")
        assert "ok core.symbol_lookup_names_a_function" in output
        assert re.search(r"^0 failed", output, flags=re.M)


@timeout(60)
def test_trace(ctx):
    """What ran between `trace on` and a look: system calls with their results, switches, interrupts and faults."""
    with ctx.guest(append="console=ttyS0 monitor") as guest:
        guest.expect(MONITOR)
        assert "nothing recorded" in command(guest, "trace")
        assert "tracing is on" in command(guest, "trace on")
        guest.send("exit\r")
        guest.expect(PROMPT)
        assert guest.shell("cat /nowhere 2>/dev/null; echo done") == "done"
        send_break(guest)
        guest.send("m")
        guest.expect(MONITOR)
        shown = command(guest, "trace 512")
        for pattern in (r"cpu\d+ cat +open\w*\(0x[0-9a-f]+, \.\.\.\)\r?\n(.*\n)*?.*cat +open\w* = -2\b", r"cpu\d+ \S+ +-> \S+", r"irq 4 at 0x",
                        r"page fault at 0x[0-9a-f]+, access 0x"):
            assert re.search(pattern, shown), f"{pattern!r} is not in\n{shown}"
        assert "tracing is off" in command(guest, "trace off")
