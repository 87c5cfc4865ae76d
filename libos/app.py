"""Apps: what `Supervisor.start` gives, and the further programs of their worlds.

All methods are for the supervisor's own trio thread. A program's end is seen once and kept: `wait` may be
called by any number of tasks, before and after.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

import trio

from libos.errors import CommandError, SupervisorError
from libos.seeing import connections, stats
from libos.worlds.spawn import FIRST_PROGRAM, Start, Terminal, explained, spawn, terminal_size
from libos.worlds.streams import Stream, Streams, open_streams
from libos.worlds.world import Change, Running, World

if TYPE_CHECKING:
    from libos.asking import Questions
    from libos.dialing import DialGrant, Dials
    from libos.fs.node import Node
    from libos.grants import Grant, Grants
    from libos.kept import Changes
    from libos.net.gate import Gate
    from libos.plan import Plan
    from libos.publishing import Publications, PublishGrant

# Seconds for a grant's end; only a kernel that is stuck needs longer.
_REVOKE_TIMEOUT = 10.0

Reason = Literal["exit", "signal", "time", "killed", "lost"]


@dataclass(frozen=True)
class ExitStatus:
    """How a program ended.

    `returncode` is subprocess's: the exit status, or minus the signal's number. `reason` says who ended it:
    the program itself ("exit"), a signal ("signal"), its time limit ("time"), `kill` ("killed"), or the loss
    of its world ("lost": the keeper or init was killed).
    """

    returncode: int
    reason: Reason


class Process:
    """A program in a world: the app's own, or one that `App.exec` started."""

    def __init__(self, world: World, running: Running, streams: Streams) -> None:
        self._world = world
        self._running = running
        self._ended_by: Reason | None = None
        assert running.pid is not None  # it has started
        self.pid = running.pid
        self.stdin, self.stdout, self.stderr = streams.take()
        # The pty's master where the program was started with a terminal; belongs to this object.
        self.terminal_fd = running.terminal_fd

    @property
    def status(self) -> ExitStatus | None:
        """How it ended; None while it runs."""
        return self._exit_status() if self._running.ended.is_set() else None

    def _exit_status(self) -> ExitStatus:
        status = self._running.wait_status
        if status is None:
            return ExitStatus(-signal.SIGKILL, self._ended_by or "lost")
        code = os.waitstatus_to_exitcode(status)
        return ExitStatus(code, self._ended_by or ("signal" if code < 0 else "exit"))

    async def wait(self) -> ExitStatus:
        """Wait for the end and give it."""
        await self._running.ended.wait()
        return self._exit_status()

    async def send_signal(self, number: int) -> None:
        """Send a signal to the program's process group. Nothing happens when it has ended."""
        if not self._running.ended.is_set():
            await self._world.send_signal(self._running.number, number)

    async def job_changes(self) -> AsyncIterator[str]:
        """Give each "stopped" and "continued" as it happens, for job control; ends with the program."""
        while True:
            while self._running.changes:
                change = self._running.changes.popleft()
                if change == Change.EXIT:
                    return
                yield change
            if self._running.ended.is_set():
                return
            await self._running.changed.wait()

    async def aclose(self) -> None:
        """Close our ends of its streams and its terminal."""
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream is not None:
                await stream.aclose()
        self.close_terminal()

    def close_terminal(self) -> None:
        """Close the pty's master: the program then gets SIGHUP."""
        if self.terminal_fd is not None:
            os.close(self.terminal_fd)
            self.terminal_fd = None


class App(Process):
    """The process tree of one world, from its first program."""

    async def changes(self) -> Changes:
        """Give what it changed in its copy-on-write mounts until now; also after its end.

        SupervisorError where it was started without `keep`; ChangesError.
        """
        from libos.kept import changes

        if self.plan.keep is None:
            raise SupervisorError("this app's changes are not kept: start it with keep=NAME")
        return await trio.to_thread.run_sync(changes, self.plan.keep)

    # What its `ask` mounts and dials want to know: `open()` lists it, `answer(id, "once")` answers.
    questions: Questions
    # What it may connect to: iterate over it.
    dials: Dials
    # What has passed its counted mounts.
    counts: Callable[[], list[dict[str, int | str]]]
    # Where it is reached from outside.
    publications: Publications

    def __init__(
        self,
        name: str,
        plan: Plan,
        world: World,
        running: Running,
        streams: Streams,
        over: trio.Event,
        granting: Callable[[], Grants],
        gate: Gate,
    ) -> None:
        super().__init__(world, running, streams)
        self._granting = granting
        self.gate = gate
        # Set when the world's task has ended: its last bytes are carried, its last events told.
        self._over = over
        self.name = name
        self.plan = plan
        self.world_id = world.id
        self._numbers = count(FIRST_PROGRAM + 1)

    @property
    def grants(self) -> Grants:
        """What is mounted in its world, each a handle."""
        return self._granting()

    async def ended(self) -> None:
        """Wait for the first program's end; the rest of its world may still be going down."""
        await self._running.ended.wait()

    async def wait(self) -> ExitStatus:
        """Wait until the program has ended and nothing of its world is left, then give how it ended.

        All events of the world have been told by then.
        """
        await self._running.ended.wait()
        await self._over.wait()
        return self._exit_status()

    async def kill(self) -> None:
        """End every process of the world at once and wait until it is gone."""
        self.end("killed")
        await self._over.wait()

    def end(self, reason: Reason) -> None:
        """End every process of the world, without waiting; `reason` becomes the exit status's."""
        if not self._running.ended.is_set():
            self._ended_by = self._ended_by or reason
            self._world.kill()

    async def mount(self, at: str, what: Grant | Node | Mapping[str, Any], **keys: Any) -> Grant:
        """Mount something more while the app runs, and give the grant of it.

        `what` says what it is as a [[mount]] of a manifest does ({"host": "/srv/data"}, or `libos.host(…)`),
        or is a node of `libos.fs`, or a grant: of this app or another one, handed on; `keys` are further keys
        of a [[mount]] (mode, hide, revocable …), for a grant read_only, hide and only. With `order`, "before"
        or "after", it joins what stands there as a union, and its grant is of it alone. Raises ManifestError
        where it cannot stand there, SupervisorError, OSError.
        """
        from libos.granting import mount_what

        return await mount_what(self.grants, at, what, keys)

    async def unmount(self, at: str) -> None:
        """Take out all that is mounted at a path and below it: of a union every element; a grant by its id is
        taken back with `Grant.revoke`. Raises SupervisorError where nothing is mounted there, OSError."""
        found = self.grants.at(at)
        if not found:
            raise SupervisorError(f'nothing is mounted at "{at}": libos grants lists what is mounted')
        for grant in found:
            await grant.revoke()

    @asynccontextmanager
    async def granted(
        self, at: str, what: Grant | Node | Mapping[str, Any], **keys: Any
    ) -> AsyncIterator[Grant]:
        """Mount something for the length of a block; see `mount`."""
        grant = await self.mount(at, what, **keys)
        try:
            yield grant
        finally:
            with trio.move_on_after(_REVOKE_TIMEOUT, shield=True):
                await grant.revoke()

    def all_grants(self) -> list[Grant | DialGrant | PublishGrant]:
        """Everything that the app holds and its holder can take back: mounts, publications."""
        return [*self.grants, *self.dials, *self.publications]

    def grant(self, name: str) -> Grant | DialGrant | PublishGrant:
        """The grant of an id, or at a place. Raises SupervisorError where there is none."""
        found = self.all_grants()
        by_id = next((each for each in found if each.id == name), None)
        by_place = next((each for each in found if each.at == name), None)
        return by_id or by_place or self.grants.get(name)

    async def publish(
        self,
        port: int,
        where: str | int | None = None,
        *,
        network: Literal["tcp", "udp"] | None = None,
        proxy_protocol: bool = False,
    ) -> PublishGrant:
        """Make a port of the app reachable from outside while it runs, and give the grant of it; it listens
        outside by then, whether the app listens yet or not.

        `where` is as in a [[listen]]: "IP:PORT", a port at 127.0.0.1 (0 is any free one), "5353/udp",
        "unix:/PATH"; the same port unless said. Raises ManifestError, HostError where the address is taken,
        SupervisorError where the world has ended.
        """
        await trio.lowlevel.checkpoint()
        keys = {"network": network, "proxy_protocol": proxy_protocol}
        return self.publications.publish(port, where, keys)

    async def dial(self, to: str, **keys: Any) -> DialGrant:
        """Let the app connect somewhere more while it runs, and give the grant of it.

        `to` and `keys` are those of a [[dial]]: deny, private, via, connections, sent, received, rate, ask.
        `via` may be an async function: it gets the stream, as a trio.SocketStream, and the address where it
        takes two arguments. A new name stands in the world's /etc/hosts from now on. Exactly the same as was
        granted before is that grant. Raises ManifestError, SupervisorError (the app listens there itself).
        """
        return await self.dials.dial(to, keys)

    @asynccontextmanager
    async def dialed(self, to: str, **keys: Any) -> AsyncIterator[DialGrant]:
        """Let the app connect somewhere for the length of a block; see `dial`."""
        grant = await self.dial(to, **keys)
        try:
            yield grant
        finally:
            with trio.move_on_after(_REVOKE_TIMEOUT, shield=True):
                await grant.revoke()

    def connections(self) -> list[dict[str, object]]:
        """The connections that are open now, oldest first; see `libos.seeing.connections`."""
        return connections(self.gate)

    async def stats(self) -> dict[str, object]:
        """What it has used until now: `programs`, `dials`, `mounts`; see `libos.seeing.stats`."""
        return await stats(self._world.init_pid, self.dials, self.counts())

    async def wait_listening(self, port: int) -> None:
        """Wait until a program of the world listens at a TCP port, where `connect` and publications find it:
        at 127.0.0.1, at ::1, or at all addresses. At once where it does already.

        The world must have been started with a [[listen]], of this port or another one. Raises
        SupervisorError where it was not and does not listen yet, and where the world ends.
        """
        from libos.publishing import wait_listening

        await wait_listening(self.gate.listening, port, self.ended, hears=bool(self.plan.listens))

    async def connect(self, port: int) -> socket.socket:
        """A connection to a TCP port on which the app listens, at its loopback: non-blocking, the caller's.

        Raises OSError: ECONNREFUSED where it does not listen, EPIPE where its world has ended.
        """
        return await self.gate.connect(port)

    async def exists(self, path: str) -> bool:
        """Whether the app's view has something at an absolute path. Raises OSError but for ENOENT and
        ENOTDIR."""
        try:
            await self._world.is_directory(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    async def exec(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        terminal: Terminal = False,
    ) -> Process:
        """Start a further program in this world; it ends with the world at the latest.

        Environment and working directory are the app's own unless given. Raises CommandNotFoundError,
        CommandError, SupervisorError.
        """
        plan = self.plan
        start = Start(
            tuple(command),
            plan.environment if environment is None else environment,
            plan.directory if directory is None else directory,
            terminal_size(terminal),
        )
        with open_streams(stdin, stdout, stderr, terminal=start.terminal is not None) as streams:
            try:
                running = await spawn(self._world, next(self._numbers), start, streams)
            except CommandError as error:
                raise explained(plan, start, error) from None
            return Process(self._world, running, streams)
