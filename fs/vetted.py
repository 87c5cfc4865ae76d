"""A sealed tree of which only some files may be executed.

Rules:
- The kernel says by a flag of open(2) that it opens a file to execute it: a program, the script of one, or
  the interpreter of either. What did not pass is then EACCES.
- What did not pass and would be taken for code is not opened at all: a loader (ld.so FILE, dlopen(3)) opens
  what it maps and runs as any reader does.
- Content is that of the seal, so that what was checked is what runs.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from libos.fs.node import Caller, Handle, Node, refusal
from libos.fs.recording import FMODE_EXEC
from libos.fs.sealed import Sealed, SealedFile, sealed

# Told of a refusal: the path below the tree's top, "execute" or "read", and why.
Tell = Callable[[bytes, str, str], None]


@dataclass(frozen=True)
class Verdict:
    """Of a file: why it may not be executed ("" where it may), and whether a loader would take it."""

    problem: str = ""
    code: bool = False


def vetted(top_fd: int, entries: Iterable[tuple[Sealed, Verdict]], tell: Tell, name: bytes = b"") -> Node:
    """The tree of a seal, whose content lies below a directory, or its one file that has a name. The
    descriptor stays the caller's, and must stay open. ValueError where the entries are no tree."""
    verdicts: dict[bytes, Verdict] = {}
    listed: list[Sealed] = []
    for entry, verdict in entries:
        listed.append(entry)
        if stat.S_ISREG(entry.mode):
            verdicts[entry.path] = verdict

    def file(top_fd: int, entry: Sealed) -> VettedFile:
        return VettedFile(top_fd, entry, verdicts[entry.path], tell)

    return file(top_fd, listed[0]) if name else sealed(top_fd, listed, file)


class VettedFile(SealedFile):
    """A file of a vetted tree."""

    def __init__(self, top_fd: int, entry: Sealed, verdict: Verdict, tell: Tell) -> None:
        super().__init__(top_fd, entry)
        self._path = entry.path
        self._verdict = verdict
        self._tell = tell

    async def open(self, flags: int, caller: Caller) -> Handle:
        executes = bool(flags & FMODE_EXEC)
        if self._verdict.problem and (executes or self._verdict.code):
            self._tell(self._path, "execute" if executes else "read", self._verdict.problem)
            raise refusal(errno.EACCES, self._path)
        return await super().open(flags, caller)
