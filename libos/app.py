"""Apps: what `Supervisor.start` gives, and the further programs of their worlds.

An app is its first program (`libos.process`), its files (`libos.app_files`) and its network
(`libos.app_network`). All methods are for the supervisor's own trio thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import trio

from libos.app_files import AppFiles
from libos.app_network import AppNetwork
from libos.errors import CommandError
from libos.process import ExitStatus, Process, Reason
from libos.seeing import stats
from libos.worlds.spawn import FIRST_PROGRAM, Start, Terminal, explained, spawn, terminal_size
from libos.worlds.streams import Stream, Streams, open_streams
from libos.worlds.world import Running, World

if TYPE_CHECKING:
    from libos.asking import Questions
    from libos.branch import Branch
    from libos.dialing import DialGrant
    from libos.events import Hub, Reader
    from libos.fs.recording import Uses
    from libos.grants import Grant, Grants
    from libos.net.gate import Gate
    from libos.plan import Plan
    from libos.publishing import PublishGrant
    from libos.worlds.filtering import Refused
    from libos.worlds.limiting import Limiting

__all__ = ["App", "ExitStatus", "Process", "Reason"]


class App(AppFiles, AppNetwork):
    """The process tree of one world, from its first program."""

    # What its `ask` mounts and dials want to know: `open()` lists it, `answer(id, "once")` answers.
    questions: Questions
    # Where its events go.
    hub: Hub
    # Its place among the worlds: what stands above and below it.
    branch: Branch
    # What holds what it uses up.
    limiting: Limiting
    refused: Refused
    # What it has used of its mounts, where that is recorded.
    uses: Uses | None

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

    def all_grants(self) -> list[Grant | DialGrant | PublishGrant]:
        """Everything that the app holds and its holder can take back: mounts, publications."""
        return [*self.grants, *self.dials, *self.publications]

    def grant(self, name: str) -> Grant | DialGrant | PublishGrant:
        """The grant of an id, or at a place. Raises SupervisorError where there is none."""
        found = self.all_grants()
        by_id = next((each for each in found if each.id == name), None)
        by_place = next((each for each in found if each.at == name), None)
        return by_id or by_place or self.grants.get(name)

    @contextmanager
    def events(self) -> Iterator[Reader]:
        """Give an iterator over its events, which ends after the last: first those that are kept of what has
        happened (none, unless the supervisor has a history), then what comes, and errors of the whole
        supervisor. A reader that is too far behind is told how many it lost."""
        with self.hub.read(self.name) as reader:
            yield reader

    async def stats(self) -> dict[str, object]:
        """What it has used until now: `programs`, `dials`, `mounts`, `link`, see `libos.seeing.stats`,
        `limits`, see `Limiting.seen`, and `syscalls`, None where refused ones are not told."""
        used = await stats(self._world.init_pid, self.dials, self.counts(), self.gate)
        return used | {"limits": self.limiting.seen(), "syscalls": self.refused.summary()}

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
        with open_streams(
            stdin, stdout, stderr, self._world.identity, terminal=start.terminal is not None
        ) as streams:
            try:
                running = await spawn(self._world, next(self._numbers), start, streams)
            except CommandError as error:
                raise explained(plan, start, error) from None
            process = Process(self._world, running, streams)
            process.ended_by_limit = self.ended_by_limit
            return process
