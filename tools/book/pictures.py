#!/usr/bin/env python3
"""
Draw pictures of a running Ashlar: tools/book/pictures.py [--out FOLDER]

    memory-map.svg      physical memory by its owners, the kernel's half by regions: what `mem` and `pagetables` print
    boot-timeline.svg   when each line of the boot log came, and how long until the next: what `log` prints
"""
import argparse
import html
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

import ashlartest  # noqa: E402
from ashlartest import plain  # noqa: E402

MONITOR = r"monitor> $"
COLOURS = {"usable": "#cfe8cf", "kernel and boot data": "#f3c98b", "reserved": "#d5d5d5", "acpi": "#b9c7e8",
           "rw---": "#cfe0f5", "r-x--": "#f2b8b5", "r----": "#dcd3ee", "rw--d": "#f3e3a8"}


def ask(guest, command):
    guest.send(command + "\r")
    return plain(guest.expect(r"(?s)(.*?)" + MONITOR).group(1)).split("\n", 1)[1]


class Picture:
    def __init__(self, width):
        self.width, self.parts = width, []

    def box(self, x, y, width, height, colour, stroke="#777"):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}" stroke="{stroke}"/>')

    def text(self, x, y, text, anchor="start", bold=False, colour="#222", family="monospace", size=12):
        weight = ' font-weight="bold"' if bold else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-family="{family}" font-size="{size}" '
                          f'fill="{colour}"{weight} xml:space="preserve">{html.escape(text)}</text>')

    def line(self, x1, y1, x2, y2, colour="#999"):
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>')

    def write(self, path, height):
        with open(path, "w") as out:
            out.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {height:.0f}" width="{self.width}" '
                      f'height="{height:.0f}"><rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")
        print(os.path.relpath(path, os.getcwd()))


def size(count):
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >> shift:
            return f"{count / (1 << shift):.4g} {unit}"
    return f"{count} B"


def memory_map(mem, tables, path):
    """Rows of equal height (the true sizes differ by a million), lowest address at the bottom."""
    picture, row, top = Picture(980), 22, 60
    picture.text(20, 24, "physical memory, as the firmware and the kernel share it", bold=True, family="sans-serif")
    picture.text(480, 24, "the kernel's half of every address space", bold=True, family="sans-serif")
    picture.text(20, 42, "monitor> mem", colour="#777")
    picture.text(480, 42, "monitor> pagetables", colour="#777")

    ranges = [(int(a, 16), int(b, 16), what) for a, b, what in re.findall(r"^  (\w{12})-(\w{12}) (.+)$", mem, flags=re.M)]
    y = top
    for low, high, what in reversed(ranges):
        picture.box(20, y, 190, row, COLOURS.get(what, "#eee"))
        picture.text(26, y + 15, what[:26])
        picture.text(220, y + 15, f"{low:x}  {size(high - low + 1)}")
        y += row
    left = y

    y, region = top, None
    blocks = []
    for line in tables.split("\n"):
        head = re.match(r"(\S.*?) (ffff\w{12})-(ffff\w{12})$", line)
        entry = re.match(r"  (\w{16})-(\w{16}) +(\S+ \S+) (\S+) (\S+) (.*)", line)
        if head:
            region = [head.group(1), head.group(2), []]
            blocks.append(region)
        elif entry and region:
            region[2].append(entry.groups())
    for name, base, entries in reversed(blocks):
        for low, _, length, page, rights, where in reversed(entries):
            picture.box(480, y, 190, row, COLOURS.get(rights, "#eee"))
            picture.text(486, y + 15, f"{rights} {page:>2} pages")
            picture.text(680, y + 15, f"{low}  {length}")
            y += row
        picture.box(480, y, 480, row, "#444", "#444")
        picture.text(486, y + 15, f"{name}, from {base}", colour="#fff", bold=True)
        y += row + 8
    for number, (rights, what) in enumerate((("r-x--", "code"), ("r----", "constants"), ("rw---", "data"), ("rw--d", "device"))):
        picture.box(20 + 110 * number, left + 24, 18, 14, COLOURS[rights])
        picture.text(44 + 110 * number, left + 36, what, family="sans-serif")
    picture.write(path, max(left + 50, y) + 20)


def boot_timeline(log, path):
    """One row a line of the log; the bar is the time until the next one."""
    lines = [(float(at) * 1000, text) for at, text in re.findall(r"^\[ *(\d+\.\d+)\] \d (.*)$", log, flags=re.M)]
    end = lines[-1][0] * 1.02 + 0.1
    picture, row, top, left, width = Picture(980), 20, 60, 560, 390
    picture.text(20, 24, "the boot, line by line (milliseconds since the clock exists)", bold=True, family="sans-serif")
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if end / step <= 8)
    for tick in range(0, int(end) + 1, step):
        x = left + width * tick / end
        picture.line(x, top - 8, x, top + row * len(lines), "#ddd")
        picture.text(x, top - 12, str(tick), "middle", colour="#777")
    for number, (at, text) in enumerate(lines):
        after = lines[number + 1][0] if number + 1 < len(lines) else at
        y = top + row * number
        picture.text(20, y + 14, text if len(text) <= 72 else text[:71] + "…", size=11.5)
        picture.box(left + width * at / end, y + 3, max(width * (after - at) / end, 1.5), row - 6, "#6a9955", "#4a7935")
    picture.write(path, top + row * len(lines) + 20)


def main():
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--out", default=os.path.join(ROOT, "docs/images"))
    args = cli.parse_args()
    ctx = ashlartest.Context(120)
    with ctx.guest() as guest:
        guest.boot()
        guest.qmp("chardev-send-break", id="serial0")
        guest.send("m")
        guest.expect(MONITOR)
        memory_map(ask(guest, "mem"), ask(guest, "pagetables"), os.path.join(args.out, "memory-map.svg"))
        boot_timeline(re.sub(r"(?m)^\[.*sysrq.*\n", "", ask(guest, "log")), os.path.join(args.out, "boot-timeline.svg"))


main()
