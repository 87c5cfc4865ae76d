"""How a program starts in a world: a child goes behind its walls (walls.py) and execs.

What fails is written to a report pipe that closes on exec, and the child ends. The first program's child is
made ahead (`Ahead`): it goes behind its walls while init still builds the root, and then waits to be told
what to exec. A program on a terminal has its monitor between itself and init (terminal.py).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import NoReturn

from libos.keeper import channel, descriptors, terminal, walls
from libos.keeper.base import HOST_PROC
from libos.keeper.channel import Message
from libos.keeper.starting import Starter
from libos.keeper.walls import Walls
from libos.kernel import process

# The report's place in a child, right behind the standard streams.
_REPORT_FD = 3
# Bytes; a report is an errno and a sentence.
_REPORT_LIMIT = 65_536


class Program:
    """A program that init started. `group` is its process group; `pid` is what init waits for: the program
    itself, or the monitor of its terminal."""

    def __init__(
        self,
        number: int,
        pid: int,
        report_fd: int,
        state_fd: int | None = None,
        pty_fds: list[int] | None = None,
    ) -> None:
        self.id = number
        self.pid = pid
        self.group = pid
        # Opened while the child cannot have been waited for yet, so that its number means nobody else.
        self.pidfd = os.pidfd_open(pid)
        self.report_fd = report_fd
        self.state_fd = state_fd
        self.pty_fds = pty_fds or []

    def read_report(self) -> Message | None:
        """Give what went wrong, or None. Waits for execve(2) or the child's end."""
        text = b""
        while more := os.read(self.report_fd, _REPORT_LIMIT):
            text += more
        report: Message = {}
        for line in text.splitlines():
            report |= json.loads(line)
        if group := report.pop("group", None):
            self._follow(group)
        return report or None

    def _follow(self, group: int) -> None:
        """Mean the program below a monitor from here on, unless it has ended already."""
        self.group = group
        try:
            pidfd = os.pidfd_open(group)
        except ProcessLookupError:
            return
        os.dup2(pidfd, self.pidfd, inheritable=False)
        os.close(pidfd)

    def send_signal(self, number: int) -> None:
        """Signal the process group, as a terminal does it: a shell's children get the signal too."""
        try:
            os.killpg(self.group, number)
        except ProcessLookupError:
            pass


class Ahead:
    """A child behind its walls that waits for what to exec. The root is not built yet, hence HOST_PROC."""

    def __init__(self, wanted: Walls, starter: Starter) -> None:
        self._channel, theirs = channel.pair()
        with theirs, ExitStack() as stack:
            self._report_fd, write_fd = _pipe(stack)
            self.pid = _fork(starter, write_fd, lambda: _wait_behind_walls(theirs, write_fd, wanted))

    def wait_for_walls(self) -> None:
        """Wait until the walls are up: unshare(2) refuses a user namespace while the root is being changed.

        Raises OSError with what failed.
        """
        if channel.receive(self._channel) is None:
            failure = Program(0, self.pid, self._report_fd).read_report() or {
                "errno": errno.ESRCH,
                "message": "it ended",
            }
            raise OSError(failure["errno"], f"the walls of the app: {failure['message']}")

    def start(self, message: Message, fds: list[int]) -> Program:
        """Let it exec. Raises OSError where it is gone; then nothing was started."""
        with self._channel:
            channel.send(self._channel, message, fds)
        return Program(message["id"], self.pid, self._report_fd)

    def drop(self) -> None:
        """Let it go: its end is of no interest."""
        self._channel.close()
        os.close(self._report_fd)


def _wait_behind_walls(supervised: socket.socket, report_fd: int, wanted: Walls) -> None:
    (channel_fd,), wanted = _keep(report_fd, [supervised.detach()], wanted)
    waiting = socket.socket(fileno=channel_fd)
    wanted = walls.raise_walls(wanted, HOST_PROC)
    channel.send(waiting, {})
    received = channel.receive(waiting)
    if received is None:
        os._exit(0)  # another program came first
    _exec(*received, wanted)


def start(message: Message, fds: list[int], wanted: Walls, starter: Starter) -> Program:
    """Fork a child that becomes the program of a spawn request. Raises OSError where nothing was forked."""
    with ExitStack() as stack:
        report_fd, write_fd = _pipe(stack)
        if message["terminal"] is None:
            pid = _fork(starter, write_fd, lambda: _become(message, fds, write_fd, wanted))
            return Program(message["id"], pid, report_fd)
        master_fd, slave_fd = terminal.open_pty(*message["terminal"]["size"])
        stack.callback(os.close, slave_fd)
        state_fd, their_state_fd = _pipe(stack)
        on_terminal, given = message["terminal"]["streams"], iter(fds)
        streams = [slave_fd if n in on_terminal else next(given) for n in range(3)]
        pid = _fork(
            starter,
            write_fd,
            lambda: _become_below_monitor(message, streams, write_fd, their_state_fd, wanted),
        )
        return Program(message["id"], pid, report_fd, state_fd, [master_fd])


def _become(message: Message, fds: list[int], report_fd: int, wanted: Walls) -> None:
    fds, wanted = _keep(report_fd, fds, wanted)
    wanted = walls.raise_walls(wanted, "/proc")
    _exec(message, fds, wanted)


def _become_below_monitor(
    message: Message, fds: list[int], report_fd: int, state_fd: int, wanted: Walls
) -> None:
    (*fds, state_fd), wanted = _keep(report_fd, [*fds, state_fd], wanted)
    tty_fd = fds[message["terminal"]["streams"][0]]
    terminal.fork_below(tty_fd, state_fd, lambda pid: _tell({"group": pid}))
    wanted = walls.raise_walls(wanted, "/proc")
    _exec(message, fds, wanted)


def _pipe(stack: ExitStack) -> tuple[int, int]:
    """Give a pipe whose write end closes with the stack."""
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    stack.callback(os.close, write_fd)
    return read_fd, write_fd


def _fork(starter: Starter, report_fd: int, become: Callable[[], None]) -> int:
    """Fork a child with a session of its own that becomes something else, and says where it cannot. Raises
    OSError."""

    def child() -> None:
        try:
            _Report.fd = report_fd
            signal.set_wakeup_fd(-1)
            os.setsid()
            become()
        except (OSError, MemoryError) as error:
            _tell(channel.failure(error))
        except Exception as error:
            _tell({"errno": errno.EIO, "message": f"{type(error).__name__}: {error}"})

    return starter.fork(child)


def _keep(report_fd: int, fds: list[int], wanted: Walls) -> tuple[list[int], Walls]:
    """Move the report to its place and `fds` behind it, then what the walls need; close all else, and give
    their new numbers."""
    kept = [report_fd, *fds, *wanted.fds]
    # First above all that will be written to, so that no move overwrites one of them.
    above = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _REPORT_FD + len(kept)) for fd in kept]
    _Report.fd = above[0]
    placed = [os.dup2(fd, _REPORT_FD + n, inheritable=False) for n, fd in enumerate(above)]
    _Report.fd = _REPORT_FD
    process.close_from(_REPORT_FD + len(kept))
    wanted = wanted.moved(dict(zip(kept, placed, strict=True)))
    return placed[1 : 1 + len(fds)], wanted


class _Report:
    """Where the report of this child stands now: in its place init has its channel to the supervisor, until
    `_keep` has moved it there."""

    fd = -1

    @classmethod
    def move(cls, fd: int) -> None:
        """Stand behind what the program gets."""
        cls.fd = os.dup2(cls.fd, fd, inheritable=False)


def _tell(report: Message) -> None:
    os.write(_Report.fd, json.dumps(report).encode()[: _REPORT_LIMIT - 1] + b"\n")


def _exec(message: Message, fds: list[int], wanted: Walls) -> NoReturn:
    """Hand the streams on, close all else, go to the working directory, and exec. Raises OSError."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    if wanted.intake_fd is not None:
        os.dup2(wanted.intake_fd, _REPORT_FD + 1, inheritable=False)
        wanted = wanted._replace(intake_fd=_REPORT_FD + 1)
    process.close_from(_REPORT_FD + (1 if wanted.intake_fd is None else 2))
    wanted, told = descriptors.take(message.get("descriptors", ()), wanted, _Report.move)
    directory = message["directory"]
    try:
        os.chdir(directory)
    except OSError as error:
        raise OSError(error.errno, f"working directory {directory}: {error.strerror}") from error
    walls.finish(wanted)
    _exec_by_path(message["argv"], message["environment"] | told)


def _exec_by_path(argv: list[str], environment: dict[str, str]) -> NoReturn:
    """Exec the program, looked up in the world's own PATH. Raises OSError as execvp(3) chooses it."""
    if "/" in argv[0]:
        os.execve(argv[0], argv, environment)  # noqa: S606 - this is what it is for
    failure: OSError | None = None
    for folder in environment.get("PATH", "").split(":"):
        try:
            os.execve(f"{folder or '.'}/{argv[0]}", argv, environment)  # noqa: S606 - as above
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            failure = failure or error
    raise failure or OSError(errno.ENOENT, os.strerror(errno.ENOENT))
