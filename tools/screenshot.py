"""Pictures of a guest's screen: read the console font, say which character a cell shows, write PNG files."""
import gzip
import os
import struct
import zlib

import machine as qemu

FONTS = os.path.join(qemu.ROOT, "build/deps/console-setup-linux/usr/share/consolefonts")
PALETTE = [(0, 0, 0), (0, 0, 170), (0, 170, 0), (0, 170, 170), (170, 0, 0), (170, 0, 170), (170, 85, 0), (170, 170, 170),
           (85, 85, 85), (85, 85, 255), (85, 255, 85), (85, 255, 255), (255, 85, 85), (255, 85, 255), (255, 255, 85),
           (255, 255, 255)]


class PsfFile:
    """A PSF version 1 font with its Unicode table, 8 pixels wide: {character: rows}."""

    def __init__(self, name):
        with gzip.open(os.path.join(FONTS, name)) as file:
            data = file.read()
        magic, mode, self.height = struct.unpack_from("<HBB", data)
        assert magic == 0x0436 and mode & 6, "not a PSF 1 font with a table"
        count = 512 if mode & 1 else 256
        glyphs = [data[4 + n * self.height:4 + (n + 1) * self.height] for n in range(count)]
        self.of_character = {}
        glyph, sequence = 0, False
        for (word,) in struct.iter_unpack("<H", data[4 + count * self.height:]):
            if word == 0xffff:
                glyph, sequence = glyph + 1, False
            elif word == 0xfffe:
                sequence = True
            elif not sequence:
                self.of_character.setdefault(chr(word), glyphs[glyph])


class Font:
    """The console's font, put together as dev/video/font.c does."""

    def __init__(self):
        letters, lines = PsfFile("Uni2-Terminus16.psf.gz"), PsfFile("FullGreek-Terminus16.psf.gz")
        self.height = letters.height
        self.of_character = letters.of_character | {character: rows for character, rows in lines.of_character.items()
                                                    if 0x2550 <= ord(character) <= 0x259f}

    def pixels(self, character, foreground, background):
        """The cell as rows of RGB bytes; None where the font lacks the character."""
        rows = self.of_character.get(character)
        if rows is None:
            return None
        colours = bytes(PALETTE[background]), bytes(PALETTE[foreground])
        return [b"".join(colours[row >> x & 1] for x in range(7, -1, -1)) for row in rows]


class Picture:
    """A screendump: (width, height, RGB bytes) of Guest.screen()."""

    def __init__(self, width, height, rgb):
        self.width, self.height, self.rgb = width, height, rgb

    def cell(self, row, column, font):
        """The cell's rows of pixels."""
        start = (row * font.height * self.width + column * 8) * 3
        return [self.rgb[start + y * self.width * 3:start + y * self.width * 3 + 24] for y in range(font.height)]

    def differences(self, row, column, text, font, foreground=7, background=0):
        """The columns, from `column` on, that do not show text in these colours."""
        return [column + n for n, character in enumerate(text)
                if self.cell(row, column + n, font) != font.pixels(character, foreground, background)]

    def colours(self):
        return {tuple(self.rgb[n:n + 3]) for n in range(0, len(self.rgb), 3)}

    def colour(self, x, y):
        start = (y * self.width + x) * 3
        return tuple(self.rgb[start:start + 3])

    def save_png(self, path):
        """With a palette: console pictures have few colours, and the file is a tenth of the size."""
        pixels = [self.rgb[n:n + 3] for n in range(0, len(self.rgb), 3)]
        palette = sorted(set(pixels))
        if len(palette) <= 16:
            index = {colour: n for n, colour in enumerate(palette)}
            flat = [index[pixel] for pixel in pixels]
            depth, kind, lines = 4, 3, []
            for y in range(self.height):
                line = flat[y * self.width:(y + 1) * self.width] + [0] * (self.width % 2)
                lines.append(b"\0" + bytes(line[n] << 4 | line[n + 1] for n in range(0, len(line), 2)))
        else:
            depth, kind = 8, 2
            lines = [b"\0" + self.rgb[y * self.width * 3:(y + 1) * self.width * 3] for y in range(self.height)]

        def chunk(name, data):
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        with open(path, "wb") as out:
            out.write(b"\x89PNG\r\n\x1a\n")
            out.write(chunk(b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, depth, kind, 0, 0, 0)))
            if kind == 3:
                out.write(chunk(b"PLTE", b"".join(palette)))
            out.write(chunk(b"IDAT", zlib.compress(b"".join(lines), 9)))
            out.write(chunk(b"IEND", b""))
