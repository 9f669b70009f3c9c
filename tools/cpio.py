"""Writing newc cpio archives (man 5 cpio), always owned by root and always the same for the same input."""
import os
import stat

# Every file's time: an archive must not depend on when it was made.
MTIME = int(os.environ.get("SOURCE_DATE_EPOCH", "1735689600"))


class Archive:
    def __init__(self):
        self.parts = []
        self.known = set()
        self.inode = 0

    def _entry(self, name, mode, data=b"", rdev=(0, 0), links=1):
        self.inode += 1
        name_bytes = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, links, MTIME, len(data), 0, 0, rdev[0], rdev[1], len(name_bytes), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name_bytes
        self.parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]

    def directory(self, name, mode=0o755):
        """Add a directory and those above it; one that is there already stays as it is."""
        name = name.strip("/")
        if not name or name in self.known:
            return
        self.directory(os.path.dirname(name))
        self.known.add(name)
        self._entry(name, stat.S_IFDIR | mode, links=2)

    def file(self, name, data, mode=0o644):
        name = name.strip("/")
        self.directory(os.path.dirname(name))
        self.known.add(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def symlink(self, name, target):
        name = name.strip("/")
        if name in self.known:
            return
        self.directory(os.path.dirname(name))
        self.known.add(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name, kind, major, minor, mode=0o600):
        """kind: 'c' or 'b'."""
        name = name.strip("/")
        self.directory(os.path.dirname(name))
        self._entry(name, (stat.S_IFCHR if kind == "c" else stat.S_IFBLK) | mode, rdev=(major, minor))

    def tree(self, source, target="/"):
        """Add a directory of the host: files are 0755 when executable there, else 0644."""
        for folder, folders, files in sorted(os.walk(source)):
            folders.sort()
            place = os.path.join(target, os.path.relpath(folder, source))
            self.directory(os.path.normpath(place))
            for name in sorted(files):
                path = os.path.join(folder, name)
                inside = os.path.normpath(os.path.join(place, name))
                if os.path.islink(path):
                    self.symlink(inside, os.readlink(path))
                else:
                    with open(path, "rb") as data:
                        self.file(inside, data.read(), 0o755 if os.access(path, os.X_OK) else 0o644)

    def finished(self):
        """The whole archive, padded to a block of 512 as cpio(1) does."""
        self.inode = -1
        self._entry("TRAILER!!!", 0)
        data = b"".join(self.parts)
        return data + b"\0" * (-len(data) % 512)


def archive_of(files, init=None):
    """{path in the guest: bytes, or path of a host file} as an archive; all executable.  init: host file for /init."""
    archive = Archive()
    archive.directory("dev")
    archive.node("dev/console", "c", 5, 1)
    for name, content in ({"init": init} | files if init else files).items():
        if isinstance(content, str):
            with open(content, "rb") as data:
                content = data.read()
        archive.file(name, content, 0o755)
    return archive.finished()
