"""What planning asks the host: which paths exist, what they are, where links lead.

`lower` and `find_command` take a `HostView`, so that they can be tested by comparing values; `Host` is the
real one. Every answer is about the moment of asking: what is planned is opened again when it is mounted.
"""

from __future__ import annotations

import os
import re
import stat
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from libos.limits.model import Cgroups


class Kind(StrEnum):
    """What stands at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"  # a socket, a FIFO, a device


class HostView(Protocol):
    """Questions about the host. No answer raises: what cannot be looked at is as good as absent."""

    def kind(self, path: str) -> Kind | None:
        """What stands at the path itself (lstat(2)); None when nothing does."""

    def resolve(self, path: str) -> str | None:
        """The path with every link resolved (realpath(3)); None when it leads to nothing."""

    def link(self, path: str) -> str:
        """Where the link at a path points (readlink(2)); an empty text when there is none."""

    def executable(self, path: str) -> bool:
        """Whether the file has an execute bit."""

    def head(self, path: str) -> bytes:
        """The first 256 bytes of the file, which execve(2) looks at; empty when unreadable."""

    def mounts_below(self, path: str) -> tuple[str, ...]:
        """The host's mount points below a real path, without itself; proc_pid_mountinfo(5)."""

    def cgroups(self) -> Cgroups:
        """Which cgroup controllers can be used, and where; cgroups(7)."""

    def kernel(self) -> tuple[int, int]:
        """The kernel's version, as (6, 18)."""

    def image(self, reference: str, path: str) -> str:
        """The host path, without links, of what an image holds at a path; it is unpacked where it is not yet.
        The one answer that may take long, and that raises: ImageError with the reason for which there is
        none."""


class Host:
    """This host."""

    def kind(self, path: str) -> Kind | None:
        try:
            mode = os.lstat(path).st_mode
        except (OSError, ValueError):
            return None
        if stat.S_ISLNK(mode):
            return Kind.LINK
        if stat.S_ISDIR(mode):
            return Kind.DIRECTORY
        return Kind.FILE if stat.S_ISREG(mode) else Kind.OTHER

    def resolve(self, path: str) -> str | None:
        try:
            return os.path.realpath(path, strict=True)
        except (OSError, ValueError):
            return None

    def link(self, path: str) -> str:
        try:
            return os.readlink(path)
        except (OSError, ValueError):
            return ""

    def executable(self, path: str) -> bool:
        try:
            return bool(os.stat(path).st_mode & 0o111)
        except (OSError, ValueError):
            return False

    def head(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read(256)
        except (OSError, ValueError):
            return b""

    def mounts_below(self, path: str) -> tuple[str, ...]:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            points = [_unescaped(line.split(" ")[4]) for line in table]
        top = path.rstrip("/") + "/"
        return tuple(dict.fromkeys(point for point in points if point.startswith(top) and point != top))

    def cgroups(self) -> Cgroups:
        from libos.limits.finding import find

        return find()

    def kernel(self) -> tuple[int, int]:
        major, minor = re.findall(r"\d+", os.uname().release)[:2]
        return int(major), int(minor)

    def image(self, reference: str, path: str) -> str:
        from libos.images.inside import at
        from libos.images.reference import parse
        from libos.images.unpacking import unpacked

        return at(unpacked(parse(reference)), path)


def _unescaped(field: str) -> str:
    """A path of mountinfo without its escapes: space, tab, line break and backslash as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
