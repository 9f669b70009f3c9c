"""The keyboard as a user has it: QEMU presses keys, the VGA screen's memory shows what came of them."""
import re
import time

from ashlartest import cases, timeout


def screen(guest, columns=80, rows=25):
    """The text on the screen, all of code page 437."""
    dump = guest.monitor(f"xp /{columns * rows}hx 0xb8000")
    cells = [int(word, 16) & 0xff for word in re.findall(r"0x([0-9a-f]{4})\b", dump.replace(":", " : "))]
    text = bytes(cells[-columns * rows:]).decode("cp437")
    return [text[start:start + columns].rstrip() for start in range(0, len(text), columns)]


def wait_for(guest, wanted, times=1):
    """Until so many lines of the screen are wanted, a regular expression."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        lines = screen(guest)
        if sum(bool(re.fullmatch(wanted, line)) for line in lines) >= times:
            return
        time.sleep(0.1)
    guest.fail(f"the screen does not show {wanted!r} but\n" + "\n".join(line for line in screen(guest) if line))


def shell_on_screen(ctx, layout, **options):
    guest = ctx.guest(append=f"console=tty0 keymap={layout} quiet", **options)
    wait_for(guest, r".*# ?")
    return guest


def press(guest, *keys):
    """Each of them a key, or keys together: "a", "shift+a"."""
    for key in keys:
        guest.send_key(*key.split("+"))


# What is pressed, by the names of the US keys in the same places, and what has to stand on the screen.
TYPED = {
    "us": (["a", "shift+2", "bracket_left", "shift+apostrophe", "z", "backslash"], 'a@["z\\'),
    "de": (["y", "bracket_left", "apostrophe", "minus", "alt_r+q", "alt_r+8", "equal", "e", "grave_accent", "spc",
            "shift+7", "less"], "züäß@[é^/<"),
    "fr": (["q", "2", "shift+2", "alt_r+0", "alt_r+3", "bracket_left", "e", "shift+bracket_left", "i", "semicolon",
            "slash"], "aé2@#êïm!"),
}


@timeout(60)
@cases(layout=list(TYPED))
def test_layout(ctx, layout):
    keys, text = TYPED[layout]
    with shell_on_screen(ctx, layout, machine="q35") as guest:
        press(guest, "c", "q" if layout == "fr" else "a", "t", "ret")
        press(guest, *keys, "ret")
        wait_for(guest, re.escape(text), times=2)  # the terminal's echo, and what cat read


@timeout(60)
def test_unknown_layout(ctx):
    """A layout nobody built in is said so, and the keyboard works as a US one."""
    with shell_on_screen(ctx, "klingon") as guest:
        guest.type_keys("dmesg | grep layout\n")
        wait_for(guest, r".*keyboard: no layout klingon was built in.*")
        wait_for(guest, r".*keyboard: PS/2, layout us")


@timeout(60)
def test_locks_and_lights(ctx):
    """Caps and Num Lock turn what is typed, and QEMU's keyboard is told which lights to light."""
    with shell_on_screen(ctx, "us", extra=["-trace", "ps2_set_ledstate"]) as guest:
        press(guest, "c", "a", "t", "ret", "caps_lock", "a", "1", "shift+b", "caps_lock", "c", "num_lock", "kp_7", "num_lock",
              "ret")
        wait_for(guest, "A1bc7")
        guest._read(0.2)
        lights = [int(value) for value in re.findall(r"ps2_set_ledstate .*ledstate (\d+)", guest.console)]
        # Bit 2 is Caps Lock, bit 1 Num Lock; what the firmware set before is of no interest.
        assert lights[-4:] == [4, 0, 2, 0], lights


@timeout(60)
def test_pause_and_print_are_harmless(ctx):
    """Long sequences that are no characters leave nothing behind, neither on the screen nor in the modifiers."""
    with shell_on_screen(ctx, "us") as guest:
        press(guest, "c", "a", "t", "ret", "x", "pause", "y", "print", "z", "ctrl+pause", "w", "ret")
        wait_for(guest, "xyzw")
