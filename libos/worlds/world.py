"""A world as the supervisor holds it: the channel to its init, and the programs that run in it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import trio

from libos.errors import SupervisorError
from libos.keeper import channel
from libos.keeper.identity import Identity
from libos.keeper.network import APP, GATE
from libos.keeper.refusals import RECORD
from libos.worlds.messages import Messages, check_kind, close_all, helper_error
from libos.worlds.outside import Outside

# Records of refused calls read at once.
_RECORDS = 64

SocketKind = tuple[int, int, int]


class Change:
    """What a running program's state became: "stopped", "continued" or "exit"."""

    STOPPED = "stopped"
    CONTINUED = "continued"
    EXIT = "exit"


class Running:
    """One program in a world, from its start to its wait status."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None
        self.terminal_fd: int | None = None
        self.wait_status: int | None = None
        self.failure: channel.Message | None = None
        self.started = trio.Event()
        self.ended = trio.Event()
        # Bounded by what job control can produce; the newest matter, so the oldest go first.
        self.changes: deque[str] = deque(maxlen=64)
        self.changed = trio.Event()

    def take_pidfd(self, pidfd: int) -> None:
        """Learn the pid, as the supervisor's pid namespace has it; -1 when the program has been reaped."""
        self.pid = pid_of(pidfd)
        os.close(pidfd)

    def note(self, change: str) -> None:
        """Record a change and wake who waits for one."""
        self.changes.append(change)
        self.changed.set()
        self.changed = trio.Event()

    def end(self, wait_status: int | None) -> None:
        """Record the end; None where nobody could know how it ended."""
        self.wait_status = wait_status
        self.note(Change.EXIT)
        self.started.set()
        self.ended.set()


class World:
    """The link to one init. Its `run` task reads; everything else may be called from any task."""

    def __init__(self, world_id: str, end: socket.socket, identity: Identity, outside: Outside) -> None:
        self.id = world_id
        self.identity = identity
        self.outside = outside
        self.network = trio.Event()
        self.refusals_told = trio.Event()
        self.gone = trio.Event()
        self.failure: channel.Message | None = None
        self._pidfd = -1
        # Where init tells of listen(2), in a world that was asked for it.
        self._hints_fd = -1
        # Where it tells of refused system calls.
        self._refused_fd = -1
        # Where listeners of filters are offered, in a world with interposed calls.
        self._intake: socket.socket | None = None
        self._offers = trio.Event()
        self._programs: dict[int, Running] = {}
        self._spare: defaultdict[tuple[str, SocketKind], list[socket.socket]] = defaultdict(list)
        self._spare_kinds: Sequence[tuple[str, SocketKind]] = ()
        self._messages = Messages(end, "world", self._news)
        self._handlers: dict[str, Callable[[channel.Message, list[int]], None]] = {
            "network": self._on_network,
            "hearing": self._on_hearing,
            "interposed": self._on_interposed,
            "failed": self._on_failed,
            "error": self._on_failed,
            "spawned": self._on_spawned,
            "unstarted": self._on_unstarted,
            "stopped": self._on_change,
            "continued": self._on_change,
            "exit": self._on_exit,
        }

    def expect_sockets(self, app: Sequence[SocketKind], gate: Sequence[SocketKind]) -> None:
        """Say which sockets of each side init sends by itself, so that they cost no round trip later."""
        self._spare_kinds = [*((APP, kind) for kind in app), *((GATE, kind) for kind in gate)]

    async def run(self) -> None:
        """Read from init until its channel closes; then no program of this world runs any more. Where it
        sends garbage it is killed, and the world has failed."""
        try:
            await self._messages.run()
        except SupervisorError as error:
            self.fail({"errno": errno.EPROTO, "message": str(error)})
            self.kill()
        finally:
            self._end_programs()
            self.network.set()

    def _end_programs(self) -> None:
        while self._programs:
            _, running = self._programs.popitem()
            running.end(None)

    def _news(self, message: channel.Message, fds: list[int]) -> None:
        if not isinstance(message.get("id", 0), int):
            raise TypeError("a program's id is a number")
        self._handlers[message["event"]](message, fds)

    def _on_network(self, _message: channel.Message, fds: list[int]) -> None:
        if len(fds) != len(self._spare_kinds):
            raise ValueError(f"{len(fds)} sockets came where {len(self._spare_kinds)} were asked for")
        check_kind(fds, stat.S_IFSOCK)
        for kind, fd in zip(self._spare_kinds, fds, strict=True):
            self._spare[kind].append(socket.socket(fileno=fd))
        self.network.set()

    def _on_hearing(self, _message: channel.Message, fds: list[int]) -> None:
        check_kind(fds, stat.S_IFIFO)
        if self._hints_fd >= 0:
            raise ValueError("it tells a second time where it is heard")
        self._hints_fd, self._refused_fd = fds

    def _on_interposed(self, _message: channel.Message, fds: list[int]) -> None:
        check_kind(fds, stat.S_IFSOCK)
        if self._intake is not None:
            raise ValueError("it tells a second time where listeners are offered")
        (fd,) = fds
        self._intake = socket.socket(fileno=fd)
        self._offers.set()

    async def intake(self) -> socket.socket:
        """Where each program's child offers the listener of its filter, in a world with interposed calls; it
        is the caller's. Waits until init has sent it."""
        await self._offers.wait()
        assert self._intake is not None
        intake, self._intake = self._intake, None
        return intake

    async def hear(self, hint: Callable[[], None]) -> None:
        """Call `hint` whenever a program of the world has begun to listen somewhere; until the world ends."""
        fd, self._hints_fd = self._hints_fd, -1
        if fd < 0:
            return
        async with trio.lowlevel.FdStream(fd) as hints:
            while await hints.receive_some():
                hint()

    async def hear_refusals(self, tell: Callable[[bytes], None]) -> None:
        """Call `tell` with each record about a refused system call; until the world ends. Then
        `refusals_told` is set."""
        fd, self._refused_fd = self._refused_fd, -1
        try:
            async with trio.lowlevel.FdStream(fd) as records:
                # Each record is written whole, pipe(7), so what is read are whole ones.
                while received := await records.receive_some(_RECORDS * RECORD.size):
                    for start in range(0, len(received), RECORD.size):
                        tell(received[start : start + RECORD.size])
        finally:
            self.refusals_told.set()

    def _on_failed(self, message: channel.Message, fds: list[int]) -> None:
        helper_error(message)
        self.fail(message)
        close_all(fds)

    def fail(self, message: channel.Message) -> None:
        """Take it that the world cannot be: its start raises, its programs are lost."""
        self.failure = message
        self._end_programs()
        self.network.set()

    def _on_spawned(self, message: channel.Message, fds: list[int]) -> None:
        pidfd, *rest = fds
        running = self._programs.get(message["id"])
        if running is None:
            close_all(fds)
            return
        if len(rest) > 1:
            raise ValueError("more than a program's pidfd and its terminal")
        running.take_pidfd(pidfd)
        running.terminal_fd = rest[0] if rest else None
        running.started.set()

    def _on_unstarted(self, message: channel.Message, fds: list[int]) -> None:
        helper_error(message)
        running = self._programs.pop(message["id"], None)
        close_all(fds)
        if running is not None:
            running.failure = message
            running.end(None)

    def _on_change(self, message: channel.Message, fds: list[int]) -> None:
        if running := self._programs.get(message["id"]):
            running.note(message["event"])
        close_all(fds)

    def _on_exit(self, message: channel.Message, fds: list[int]) -> None:
        status = message["status"]
        os.waitstatus_to_exitcode(status)  # ValueError, TypeError for what is none
        running = self._programs.pop(message["id"], None)
        close_all(fds)
        if running:
            running.end(status)

    async def spawn(self, request: dict[str, Any], fds: Sequence[int]) -> Running:
        """Start a program. Gives it once execve(2) has succeeded, or with its `failure` set, or without a pid
        where the world has ended."""
        running = Running(request["id"])
        self._programs[running.number] = running
        try:
            await self._messages.send({"op": "spawn"} | request, fds)
        except SupervisorError:
            if self._messages.closed:
                self._end_programs()
            # Else init may have said why before it ended, and `run` ends the program when it has read that.
        await running.started.wait()
        return running

    async def send_signal(self, number: int, signal_number: int) -> None:
        """Send a signal to a program's process group; a program that has ended gets none."""
        await self._messages.send({"op": "signal", "id": number, "signal": int(signal_number)})

    async def open_sockets(self, kinds: Sequence[SocketKind], side: str = APP) -> list[socket.socket]:
        """Open sockets in this world's network, on the app's side or, with `side`, on the gate's; in a flat
        world both are one. Raises OSError: EMFILE …, EPIPE where the world has ended."""
        spare = self._spare
        opened = {place: spare[side, kind].pop() for place, kind in enumerate(kinds) if spare[side, kind]}
        missing = [place for place in range(len(kinds)) if place not in opened]
        if missing:
            try:
                request = {"op": "sockets", "kinds": [kinds[place] for place in missing], "side": side}
                _, fds = await self._messages.request(request, wanted=len(missing), kind=stat.S_IFSOCK)
            except BaseException as error:
                for each in opened.values():
                    each.close()
                if isinstance(error, SupervisorError):  # libos.net knows errors of the system alone
                    raise BrokenPipeError(errno.EPIPE, str(error)) from None  # noqa: ASYNC104 - not Cancelled
                raise
            opened |= {place: socket.socket(fileno=fd) for place, fd in zip(missing, fds, strict=True)}
        return [opened[place] for place in range(len(kinds))]

    async def mount(self, name: str, step: channel.Message, tree_fd: int | None = None) -> None:
        """Mount a detached tree, or the tmpfs that the step describes, known by `name`. Raises OSError."""
        request = {"op": "mount", "name": name, "step": step}
        await self._messages.request(request, [] if tree_fd is None else [tree_fd])

    async def is_directory(self, path: str) -> bool:
        """Whether the world shows a directory at a path. Raises OSError."""
        answer, _ = await self._messages.request({"op": "look", "path": path})
        return bool(answer["directory"])

    async def bind(self, name: str, source: str, step: channel.Message) -> list[str]:
        """Mount a second time what the world shows at `source`, known by `name`; give the names of the mounts
        of which something is shown. Raises OSError."""
        answer, _ = await self._messages.request({"op": "bind", "name": name, "source": source, "step": step})
        return list(answer["shown"])

    async def copy_mount(self, name: str) -> int:
        """Give a detached copy of the mount known by this name; the caller owns it. Raises OSError."""
        _, (tree_fd,) = await self._messages.request({"op": "copy", "name": name}, wanted=1)
        return tree_fd

    async def unmount(self, name: str) -> None:
        """Detach the mount known by this name (a step of the plan by its place). Raises OSError."""
        await self._messages.request({"op": "unmount", "name": name})

    async def empty(self) -> None:
        """Take all names from all programs of the world: their root is an empty directory. Raises OSError."""
        await self._messages.request({"op": "empty"})

    async def restrict(self, name: str, *, alone: bool = False) -> None:
        """Make a mount read-only, and what is mounted on it, unless `alone`. Raises OSError (EBUSY while a
        file is open for writing)."""
        await self._messages.request({"op": "restrict", "name": name, "alone": alone})

    def born(self, pidfd: int) -> None:
        """Take the descriptor of init, by which the whole world can be ended. Raises ValueError where it is
        none, or the second one."""
        if pid_of(pidfd) and self._pidfd >= 0:
            raise ValueError("a world that is made twice")
        self._pidfd = pidfd

    @property
    def init_pid(self) -> int:
        """The number on the host of its process 1; 0 once that has gone."""
        return max(0, pid_of(self._pidfd)) if self._pidfd >= 0 else 0

    def kill(self) -> None:
        """End every process of the world at once: SIGKILL to its process 1. pid_namespaces(7).

        Where its descriptor could not be had, process 1 ends by the end of its channel.
        """
        if self._pidfd < 0:
            self._messages.hang_up()
        else:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def close(self) -> None:
        """Close what is left of a world that is gone."""
        for sockets in self._spare.values():
            for each in sockets:
                each.close()
        close_all([fd for fd in (self._pidfd, self._hints_fd, self._refused_fd) if fd >= 0])
        self._pidfd = self._hints_fd = self._refused_fd = -1
        if self._intake is not None:
            self._intake.close()
        self._messages.close()


def pid_of(pidfd: int) -> int:
    """The number of the process that a pidfd stands for, -1 when it has been reaped; pidfd_open(2). Raises
    ValueError where it is no pidfd, OSError."""
    with open(f"/proc/self/fdinfo/{pidfd}") as file:
        numbers = [int(line.split()[1]) for line in file if line.startswith("Pid:")]
    if not numbers:
        raise ValueError("a descriptor that is no pidfd")
    return numbers[0]


def failure_text(message: channel.Message) -> str:
    """Give init's or the keeper's own words for what failed."""
    return str(message.get("message") or os.strerror(message.get("errno", 0)))
