"""The standard streams of a program, with subprocess's words: None inherits, PIPE, DEVNULL, STDOUT, a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

import trio


class HasFileno(Protocol):
    """A file, a socket: whatever has a descriptor."""

    def fileno(self) -> int:
        """Give the descriptor."""
        ...


Stream = int | HasFileno | None


@dataclass
class Streams:
    """Descriptors for the program, and our ends of its pipes (None where it is no pipe)."""

    fds: list[int]
    on_terminal: list[int]
    stdin: trio.lowlevel.FdStream | None = None
    stdout: trio.lowlevel.FdStream | None = None
    stderr: trio.lowlevel.FdStream | None = None


@contextmanager
def open_streams(
    stdin: Stream, stdout: Stream, stderr: Stream, *, terminal: bool = False
) -> Iterator[Streams]:
    """Open what the three arguments ask for. The program's ends close with the block, ours only on an error.

    With `terminal` a stream of None is the program's terminal, and is not among the descriptors.
    """
    with ExitStack() as theirs, ExitStack() as ours:
        asked = (stdin, stdout, stderr)
        opened = Streams([], [n for n in range(3) if terminal and asked[n] is None])
        ends = [
            None if number in opened.on_terminal else _open(opened.fds, stream, number, theirs, ours)
            for number, stream in enumerate(asked)
        ]
        opened.stdin, opened.stdout, opened.stderr = ends
        yield opened
        ours.pop_all()


def _open(
    fds: list[int], stream: Stream, number: int, theirs: ExitStack, ours: ExitStack
) -> trio.lowlevel.FdStream | None:
    if stream == subprocess.PIPE:
        return _open_pipe(fds, number, theirs, ours)
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


def _open_pipe(fds: list[int], number: int, theirs: ExitStack, ours: ExitStack) -> trio.lowlevel.FdStream:
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    their_fd, our_fd = (read_fd, write_fd) if number == 0 else (write_fd, read_fd)
    fds.append(their_fd)
    theirs.callback(os.close, their_fd)
    end = trio.lowlevel.FdStream(our_fd)
    ours.callback(os.close, our_fd)
    return end
