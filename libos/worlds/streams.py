"""The standard streams of a program, in subprocess's words: None inherits, PIPE, DEVNULL, STDOUT, a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import trio

from libos.keeper.identity import Identity, serves_root


class HasFileno(Protocol):
    """A file, a socket: whatever has a descriptor."""

    def fileno(self) -> int:
        """Give the descriptor."""
        ...


Stream = int | HasFileno | None


@dataclass
class Streams:
    """Descriptors for the program, and our ends of its pipes (None where a stream is no pipe)."""

    fds: list[int]
    on_terminal: list[int]
    _ends: list[int | None]
    _closing: ExitStack

    def take(self) -> list[trio.lowlevel.FdStream | None]:
        """Give our ends as streams, which then belong to the caller."""
        self._closing.pop_all()
        return [None if fd is None else trio.lowlevel.FdStream(fd) for fd in self._ends]


@contextmanager
def open_streams(
    stdin: Stream, stdout: Stream, stderr: Stream, identity: Identity, *, terminal: bool = False
) -> Iterator[Streams]:
    """Open what the three arguments ask for. All closes with the block, but for our ends that were taken.

    Pipes belong to who the app is. With `terminal` a stream of None is the program's terminal, and is not
    among the descriptors.
    """
    with ExitStack() as theirs, ExitStack() as ours:
        asked = (stdin, stdout, stderr)
        fds: list[int] = []
        on_terminal = [n for n in range(3) if terminal and asked[n] is None]
        if subprocess.STDOUT in (stdin, stdout):
            raise ValueError("STDOUT is for stderr alone")
        if stderr == subprocess.STDOUT and 1 in on_terminal:
            on_terminal.append(2)
        ends = [
            None if number in on_terminal else _open(fds, stream, number, identity, theirs, ours)
            for number, stream in enumerate(asked)
        ]
        yield Streams(fds, on_terminal, ends, ours)


def _open(
    fds: list[int], stream: Stream, number: int, identity: Identity, theirs: ExitStack, ours: ExitStack
) -> int | None:
    if stream == subprocess.PIPE:
        return _open_pipe(fds, number, identity, theirs, ours)
    if stream == subprocess.DEVNULL:
        fds.append(os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
        theirs.callback(os.close, fds[-1])
    elif stream == subprocess.STDOUT:
        fds.append(fds[-1])
    elif stream is None:
        fds.append(number)
    else:
        fds.append(stream if isinstance(stream, int) else stream.fileno())
    return None


def _open_pipe(fds: list[int], number: int, identity: Identity, theirs: ExitStack, ours: ExitStack) -> int:
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    their_fd, our_fd = (read_fd, write_fd) if number == 0 else (write_fd, read_fd)
    if serves_root():
        # A pipe has an owner and mode 0600: /dev/stdout, opened by its path, must be the app's own. pipe(7)
        os.fchown(their_fd, *identity.owner)
    fds.append(their_fd)
    theirs.callback(os.close, their_fd)
    ours.callback(os.close, our_fd)
    return our_fd
