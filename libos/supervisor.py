"""The supervisor: serves worlds, starts apps in them, and ends both.

Rules:
- One supervisor serves at a time in a process: pyfuse3 has one session a process. One after another works.
- No app outlives it: leaving the block, by whatever way, ends every world before it returns.
- Whatever fails inside a running world ends that world and is an event; the others go on.
- All methods are for the trio thread that entered the block.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import count
from os import PathLike
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any

import trio

from libos.app import App
from libos.errors import ManifestError, SupervisorError
from libos.events import Event, Hub
from libos.hosttrees import HostTrees
from libos.keeper.identity import serves_root
from libos.keeping import Keeper, start_keeper
from libos.spawn import Terminal, terminal_size
from libos.streams import Stream
from libos.unwrap import unwrapped

if TYPE_CHECKING:
    from libos.fs.server import Server
    from libos.manifest import Manifest
    from libos.plan import Plan

# Seconds that a world's processes get to be gone after SIGKILL; only a kernel that is stuck needs longer.
_END_TIMEOUT = 10.0

_serving = threading.Lock()


class Supervisor:
    """`async with Supervisor() as supervisor: app = await supervisor.start(manifest)`.

    With `serve_all` nothing is lowered to kernel mounts: every file is answered by this process, which is
    slower and shows every access. Entering raises HostError where the host lacks what is needed, and
    SupervisorError where another supervisor serves in this process.
    """

    def __init__(self, *, serve_all: bool = False) -> None:
        self.serve_all = serve_all
        self.apps: dict[str, App] = {}
        self._hub = Hub()
        self._numbers = count(1)
        self._stack = AsyncExitStack()
        self._names: set[str] = set()
        self._nursery: trio.Nursery
        self._keeper: Keeper
        self._server: Server
        self._trees: HostTrees | None = None
        self._broken: str | None = "it is not running"

    async def __aenter__(self) -> Supervisor:
        await self._stack.enter_async_context(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        with _one_at_a_time(), start_keeper() as self._keeper:
            # Imported while the keeper starts on another processor: this takes some 100 ms.
            from libos import seccomp
            from libos.fs.server import Server
            from libos.net import link_messages, sysctls

            setup = {
                "netlink": [
                    (each.purpose, each.data.hex(), each.required) for each in link_messages.MESSAGES
                ],
                "sysctls": [(each.path, each.value.decode(), each.required) for each in sysctls.SYSCTLS],
            }
            async with unwrapped(), trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._watch_keeper)
                await self._keeper.wait_ready()
                await self._keeper.set_up(setup, seccomp.program())
                self._server = Server(self._keeper.fuse_fd, on_fault=self._on_fault)
                await self._nursery.start(self._watch_server)
                self._trees = HostTrees(self._keeper.id_map) if serves_root() else None
                self._broken = None
                try:
                    yield
                finally:
                    await self._end()

    async def _end(self) -> None:
        self._broken = "it is ending"
        for app in self.apps.values():
            app.end("killed")
        with trio.move_on_after(_END_TIMEOUT, shield=True):
            for app in list(self.apps.values()):
                await app.wait()
        if self._trees is not None:
            self._trees.close()
        self._hub.close()
        self._nursery.cancel_scope.cancel()

    async def _watch_keeper(self) -> None:
        await self._keeper.run()
        self._break(f"the keeper ended: {self._keeper.last_words()}")

    async def _watch_server(self, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with unwrapped():
                await self._server.serve(task_status=task_status)
        except OSError as error:
            self._break(f"the file server ended: {error}")

    def _break(self, why: str) -> None:
        """Give up: no world can go on, and no new one can start."""
        if self._broken is None:
            self._broken = why
            self._hub.emit("error", None, reason=why)
            for app in self.apps.values():
                app.end("lost")

    def _on_fault(self, fault: Any) -> None:
        path = fault.path.decode(errors="surrogateescape") if isinstance(fault.path, bytes) else fault.path
        self._hub.emit(
            "error", self._name_of(fault.world), path=path, operation=fault.operation, reason=str(fault.error)
        )

    def _name_of(self, world_id: str | None) -> str | None:
        return next((name for name, app in self.apps.items() if app.world_id == world_id), None)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Event]]:
        """Give an iterator over what happens from now on. It ends with the supervisor."""
        with self._hub.read() as reader:
            yield reader

    async def start(
        self,
        manifest: Manifest | Plan | Mapping[str, Any] | str | PathLike[str],
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        terminal: Terminal = False,
        name: str | None = None,
    ) -> App:
        """Make a world from a manifest (its file, its value, or a plan) and start its program there.

        Gives the app once the program has been exec'd. Streams are subprocess's; with `terminal` (True, or
        rows and columns) those of None are a pty. Raises ManifestError, CommandNotFoundError, CommandError, HostError, SupervisorError.
        """
        from libos.launch import Launch

        if self._broken is not None:
            raise SupervisorError(f"this supervisor cannot start an app: {self._broken}")
        plan = self._plan(manifest)
        with self._named(name or plan.name, plan.command) as known_as:
            launch = Launch(
                known_as, f"{next(self._numbers)}", plan, self._keeper, self._server, self._hub, self._trees
            )
            app: App = await self._nursery.start(
                self._live, launch, (stdin, stdout, stderr), terminal_size(terminal)
            )
            return app

    async def _live(
        self,
        launch: Any,
        streams: tuple[Stream, Stream, Stream],
        terminal: tuple[int, int] | None,
        task_status: trio.TaskStatus[App],
    ) -> None:
        """A world's task, from its first namespace to its last process."""
        try:
            await launch.run(streams, terminal, self.apps, task_status)
        finally:
            self.apps.pop(launch.name, None)
            self._names.discard(launch.name)

    def _plan(self, manifest: Manifest | Plan | Mapping[str, Any] | str | PathLike[str]) -> Plan:
        from libos.manifest import Manifest, from_mapping, load
        from libos.plan import Plan, lower

        if isinstance(manifest, Plan):
            return manifest
        if isinstance(manifest, (str, PathLike)):
            manifest = load(manifest)
        elif not isinstance(manifest, Manifest):
            manifest = from_mapping(manifest)
        return lower(manifest, serve_all=self.serve_all)

    @contextmanager
    def _named(self, name: str | None, command: tuple[str, ...]) -> Iterator[str]:
        """Give the app's name, which no other app of this supervisor has while it runs."""
        if name is None:
            stem = PurePath(command[0]).name
            name = next(each for n in count(1) if (each := f"{stem}-{n}") not in self._names)
        elif name in self._names:
            raise ManifestError(f'an app named "{name}" is running; give another name with --name')
        self._names.add(name)
        try:
            yield name
        except BaseException:
            self._names.discard(name)
            raise

    def sweep(self, path: str) -> None:
        """Have a file removed even when this process is killed, such as a socket; see `keep`."""
        self._keeper.sweep(path)

    def keep(self, path: str) -> None:
        """Take `sweep` back after removing the file."""
        self._keeper.keep(path)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _serving.acquire(blocking=False):
        raise SupervisorError(
            "another Supervisor serves in this process; start further apps with it, or leave its block first"
        )
    try:
        yield
    finally:
        _serving.release()
