"""
What is on the screen.  VGA: the text buffer read back from guest memory, and the colours of the picture.  Framebuffer:
each cell of the picture compared with the same character drawn here from the same font.
"""
import re
import time

from ashlartest import cases, needs, timeout
from screenshot import PALETTE, Font, Picture

CLEAR = r"\033[2J\033[H\033[?25l"


def show(guest, text):
    """Write text, in printf's notation, to tty1, and wait for the redraw: in the guest's time, as this machine may be busy."""
    assert "'" not in text
    guest.shell(f"printf '{text}' >/dev/tty1; sleep 0.3")


def vga_cells(guest):
    """The 2,000 words at 0xb8000."""
    dump = guest.monitor("xp /2000hx 0xb8000")
    return [int(word, 16) for word in re.findall(r"\b0x([0-9a-f]{4})\b", dump)][-2000:]


def vga_row(cells, row):
    return bytes(cell & 0xff for cell in cells[row * 80:(row + 1) * 80])


def start(ctx, words="", **options):
    guest = ctx.guest(append=f"quiet console=tty0 console=ttyS0 {words}", **options)
    guest.boot()
    return guest


@timeout(60)
def test_vga_text(ctx):
    """Wrap, scroll, tabs, backspace, what cannot be printed, Latin and box characters."""
    with start(ctx) as guest:
        show(guest, CLEAR + r"ab\tc\bd\r\n" + "x" * 85 + r"\r\n\344\270\255\377\r\n\303\244\342\224\200\342\225\254")
        cells = vga_cells(guest)
        assert vga_row(cells, 0).rstrip() == b"ab      d"
        assert vga_row(cells, 1) == b"x" * 80
        assert vga_row(cells, 2).rstrip() == b"xxxxx"
        assert vga_row(cells, 3).rstrip() == b"\xfe\xfe"
        assert vga_row(cells, 4).rstrip() == b"\x84\xc4\xce"
        show(guest, r"\033[25;1Hlast\nnext\033[24;1H\033[K24")
        cells = vga_cells(guest)
        assert vga_row(cells, 0) == b"x" * 80
        assert vga_row(cells, 23).rstrip() == b"24"
        assert vga_row(cells, 24).rstrip() == b"next"


@timeout(60)
def test_vga_colours(ctx):
    """16 foregrounds and 16 backgrounds, in memory and, as blinking is off, in the picture."""
    with start(ctx) as guest:
        order = (0, 4, 2, 6, 1, 5, 3, 7)
        text = "".join(rf"\033[{30 + n}mA" for n in range(8)) + "".join(rf"\033[{90 + n}mB" for n in range(8))
        text += "".join(rf"\033[{40 + n}m " for n in range(8)) + "".join(rf"\033[{100 + n}m " for n in range(8))
        show(guest, CLEAR + text + r"\033[m")
        cells = vga_cells(guest)
        assert [cell >> 8 & 0x0f for cell in cells[:16]] == list(order) + [8 + n for n in order]
        assert [cell >> 12 for cell in cells[16:32]] == list(order) + [8 + n for n in order]
        picture = Picture(*guest.screen())
        assert (picture.width, picture.height) == (720, 400)
        for n, colour in enumerate(list(order) + [8 + n for n in order]):
            seen = picture.colour((16 + n) * 9 + 4, 8)
            # (The VGA's palette has six bits a colour.)
            assert all(abs(a - b) < 4 for a, b in zip(seen, PALETTE[colour])), f"colour {colour} looks like {seen}"


@timeout(60)
def test_vga_cursor(ctx):
    """The cursor's place, read from the picture: an underline in the bottom lines of its cell; hidden on request."""
    with start(ctx) as guest:
        show(guest, CLEAR + r"\033[5;11H\033[?25h")
        lit = set()
        for _ in range(12):  # it blinks
            picture = Picture(*guest.screen())
            lit |= {(x // 9, y // 16) for x in range(0, 720, 3) for y in range(400) if picture.colour(x, y) != (0, 0, 0)}
            time.sleep(0.1)
        assert lit == {(10, 4)}, lit
        show(guest, r"\033[?25l")
        for _ in range(12):
            assert not any(Picture(*guest.screen()).rgb)
            time.sleep(0.1)


def check_framebuffer(guest, font):
    """Draws a bit of everything and compares it, pixel by pixel."""
    show(guest, CLEAR + r"Hello, \033[1;33mcolours\033[m and \033[37;44mbackgrounds\033[m\r\n" +
         r"\342\224\214\342\224\200\342\224\220 \303\244\303\266\303\274\303\237 \342\225\221\342\226\210\r\n\344\270\255")
    picture = Picture(*guest.screen())
    wrong = picture.differences(0, 0, "Hello, ", font) + picture.differences(0, 7, "colours", font, 14) + \
        picture.differences(0, 14, " and ", font) + picture.differences(0, 19, "backgrounds", font, 7, 1)
    assert not wrong, f"columns {wrong} of the first row differ"
    wrong = picture.differences(1, 0, "┌─┐ äöüß ║█", font)
    assert not wrong, f"columns {wrong} of the second row differ"
    assert not picture.differences(2, 0, "■", font)
    columns, rows = picture.width // 8, picture.height // font.height
    assert not picture.differences(rows - 1, 0, " " * columns, font), "the last row is not empty"
    return columns, rows


@timeout(60)
def test_framebuffer(ctx):
    """-vga std through its PCI BAR, at the size that video= asks for."""
    font = Font()
    with start(ctx, "video=1024x768") as guest:
        columns, rows = check_framebuffer(guest, font)
        assert (columns, rows) == (128, 48)
        assert guest.shell("stty size </dev/tty1") == "48 128"
        # Scroll everything out, with more lines than fit, then look at each row.
        guest.shell("for i in $(seq 1 200); do echo line $i; done >/dev/tty1; sleep 0.5")
        picture = Picture(*guest.screen())
        for row in range(rows - 1):
            text = f"line {200 - (rows - 2) + row}"
            wrong = picture.differences(row, 0, text + " " * (columns - len(text)), font)
            assert not wrong, f"row {row}: columns {wrong} do not show {text!r}"
        show(guest, r"\033[10;20r\033[20;1H\n\n\033[r")
        picture = Picture(*guest.screen())
        assert not picture.differences(9, 0, f"line {200 - (rows - 2) + 11}", font), "the region did not scroll"
        assert not picture.differences(8, 0, f"line {200 - (rows - 2) + 8}", font), "what is outside the region moved"
        assert not picture.differences(18, 0, " " * columns, font)


@timeout(60)
def test_framebuffer_cursor(ctx):
    font = Font()
    with start(ctx, "video=800x600") as guest:
        show(guest, CLEAR + r"ab\033[?25h\033[1D")
        picture = Picture(*guest.screen())
        assert not picture.differences(0, 0, "a", font)
        cell = picture.cell(0, 1, font)
        assert cell[:-2] == font.pixels("b", 7, 0)[:-2] and cell[-2:] == [bytes(PALETTE[7]) * 8] * 2
        show(guest, r"\033[5;5H")
        picture = Picture(*guest.screen())
        assert not picture.differences(0, 0, "ab", font), "the cursor left a trace"
        assert picture.cell(4, 4, font)[-1] == bytes(PALETTE[7]) * 8


@cases(size=["640x480", "1280x1024", "1600x1200"])
@timeout(60)
def test_framebuffer_sizes(ctx, size):
    with start(ctx, f"video={size}") as guest:
        columns, rows = check_framebuffer(guest, Font())
        assert f"{columns * 8}x{rows * 16}" == size.replace("1080", "1072")


@timeout(60)
def test_bochs_display_without_vga(ctx):
    """A display that has no text mode and no ports at all: found on the PCI bus, 1024x768."""
    with start(ctx, extra=["-vga", "none", "-device", "bochs-display"]) as guest:
        assert check_framebuffer(guest, Font()) == (128, 48)


@timeout(60)
def test_size_that_cannot_be(ctx):
    """A size no adapter has: the console works all the same."""
    with start(ctx, "video=31999x31999") as guest:
        check_framebuffer(guest, Font())
        assert "cannot be" in guest.shell("dmesg | grep framebuffer: ") or "can be set" in guest.shell("dmesg")


@timeout(120)
def test_framebuffer_of_uefi(ctx):
    """What GRUB leaves us on a machine without text mode."""
    with ctx.guest(iso="out/ashlar.iso", machine="q35", memory="512M", firmware="uefi") as guest:
        guest.boot()
        columns, rows = check_framebuffer(guest, Font())
        assert columns >= 80 and rows >= 25


@timeout(60)
@needs("out-debug/ashlar-ktest")
def test_log_under_its_lock(ctx):
    """An error reported by who holds the screen's lock, with the screen as a console: it is not waited for."""
    with ctx.guest(kernel="out-debug/ashlar-ktest", initrd=None, append="console=tty0 console=ttyS0 panic=-1 ktest=screen.") as guest:
        guest.expect(r"ktest: ok screen\.error_under_its_lock_does_not_wait")
        guest.expect(r"ktest: \d+ passed, 0 failed")


@cases(video=["", "video=1024x768"])
@timeout(60)
@needs("out-debug/ashlar-ktest")
def test_panic_screen(ctx, video):
    """White on red, complete and not scrolled away, also when tty0 is no console."""
    with ctx.guest(kernel="out-debug/ashlar-ktest", smp=1,
                   append=f"console=ttyS0 {video} panic=60 ktest-panic=console-lock") as guest:
        guest.expect(r"end of panic report", forbid=None)
        time.sleep(0.5)
        picture = Picture(*guest.screen())
        if video:
            font = Font()
            assert not picture.differences(0, 0, "*** kernel panic: this is a bug in Ashlar", font, 15, 4)
            assert not picture.differences(1, 0, "core/test/panic.c:", font, 15, 4)
            assert not picture.differences(2, 0, "cpu 0, thread init", font, 15, 4)
            assert picture.colours() == {PALETTE[4], PALETTE[15]}
        else:
            cells = vga_cells(guest)
            assert all(cell >> 12 == 4 for cell in cells)
            assert vga_row(cells, 0).startswith(b"*** kernel panic: this is a bug in Ashlar")
            assert b"test: under the console's lock" in vga_row(cells, 1)
            rows = [vga_row(cells, row) for row in range(25)]
            assert any(row.startswith(b"*** end of panic report ***") for row in rows)
            assert not any(row.strip() for row in rows[22:])  # room for the monitor
            assert len(picture.colours()) == 2
