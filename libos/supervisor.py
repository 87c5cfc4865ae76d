"""The supervisor: serves worlds, starts apps in them, and ends both.

Rules:
- One supervisor serves at a time in a process: pyfuse3 has one session a process. One after another works.
- No app outlives it: leaving the block, by whatever way, ends every world before it returns.
- Whatever fails inside a running world ends that world and is an event; the others go on.
- All methods are for the trio thread that entered the block.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from os import PathLike
from pathlib import PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any

import trio

from libos.app import App
from libos.branch import whole_name
from libos.errors import HostError, LibosError, ManifestError, SupervisorError
from libos.events import Event, Hub, Kind
from libos.keeper.identity import serves_root
from libos.limits.missing import refuse
from libos.spares import Spares, can_be_spare
from libos.unwrap import unwrapped
from libos.worlds.hosttrees import HostTrees
from libos.worlds.identities import identities
from libos.worlds.images import HeldImages
from libos.worlds.keeping import Keeper, start_keeper
from libos.worlds.spawn import Start, Terminal, terminal_size
from libos.worlds.streams import Stream

if TYPE_CHECKING:
    from libos.asking import OnAsk
    from libos.branch import Branch
    from libos.files import Files
    from libos.fs.server import Server
    from libos.interposing import Handler, Monitor
    from libos.launch import Launch, Parts
    from libos.manifest import Manifest
    from libos.plan import Plan
    from libos.worlds.outside import Enclosure

# Seconds that a world's processes get to be gone after SIGKILL; only a kernel that is stuck needs longer.
_END_TIMEOUT = 10.0

# Why nothing can be started before the block is entered.
_NOT_YET = "it is not running"
_serving = threading.Lock()


class Supervisor:
    """`async with Supervisor() as supervisor: app = await supervisor.start(manifest)`.

    With `serve_all` nothing is lowered to kernel mounts: every file is answered by this process, which is
    slower and shows every access. With `spare` the world of the last plan is prepared anew in the background,
    so that the next start of it is quicker. `on_ask(asked)` answers the questions of mounts that ask: "once",
    "always", "no", or None to leave it to others; it may be a coroutine function. With `history`, so many
    events of each world are kept for who asks late (`App.events`). With `sub_ids` a root inside has the
    sub-ids of an ordinary caller too (subuid(5)): a privileged program maps them as the block is entered.
    Where that does not work it has uid 0 alone, and a `missing` event of its world says why. `enclose()` is
    called once, when the keeper is ready and before anything is served: it may put this process behind
    Landlock, and says then what its rules cover (`libos.cli.enclosing`). Entering raises
    HostError where the host lacks what is needed, and SupervisorError where another supervisor serves in this
    process.

    Open files and connections of worlds take descriptors of this process, parts of its soft limit: a program
    with busy worlds raises that (`resource.setrlimit(resource.RLIMIT_NOFILE, …)`), which `libos run` does.
    """

    def __init__(
        self,
        *,
        serve_all: bool = False,
        spare: bool = True,
        on_ask: OnAsk | None = None,
        history: int = 0,
        sub_ids: bool = False,
        enclose: Callable[[], Enclosure | None] | None = None,
    ) -> None:
        self.serve_all = serve_all
        self._spare = spare
        self._on_ask = on_ask
        self._sub_ids = sub_ids and not serves_root()
        self._enclose = enclose
        self.apps: dict[str, App] = {}
        self._hub = Hub(history)
        self._numbers = count(1)
        self._stack = AsyncExitStack()
        self._names: set[str] = set()
        self._nursery: trio.Nursery
        self._keeper: Keeper
        self._parts: Parts
        self._spares: Spares
        self.images = HeldImages()
        self._broken: str | None = _NOT_YET

    async def __aenter__(self) -> Supervisor:
        await self._stack.enter_async_context(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, traceback)  # noqa: ASYNC102 - `_run` shields its end

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[None]:
        with (
            _one_at_a_time(),
            identities() as own,
            start_keeper(own.locks_fd, sub_ids=self._sub_ids) as self._keeper,
        ):
            # Imported while the keeper starts on another processor: this takes some 100 ms.
            from libos.fs.server import Server
            from libos.launch import Parts
            from libos.syscalls import DEFAULT
            from libos.syscalls.compiling import program
            from libos.worlds.networking import network_setup

            async with unwrapped(), trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._watch_keeper)
                try:
                    await self._keeper.wait_ready()
                except HostError as error:
                    from libos.doctor.examine import remedy

                    raise HostError(f"{error}{await trio.to_thread.run_sync(remedy)}") from None
                enclosure = self._enclose() if self._enclose is not None else None
                if enclosure is not None:
                    self._keeper.enclosed(enclosure)
                await self._keeper.set_up({"network": network_setup()}, program(DEFAULT))
                server = Server(
                    self._keeper.take_fuse_fd(),
                    on_fault=self._on_fault,
                    look_around=self._keeper.outside.look_around,
                )
                await self._nursery.start(self._watch_server, server)
                trees = HostTrees(self._keeper.id_map) if serves_root() else None
                self._parts = Parts(self._keeper, server, self._hub, trees, own, self._on_ask)
                self._spares = Spares(self._prepare)
                self._broken = None
                try:
                    yield
                finally:
                    with trio.move_on_after(_END_TIMEOUT, shield=True):
                        await self._end()
                    self._nursery.cancel_scope.cancel()

    async def _end(self) -> None:
        self._broken = "it is ending"
        for app in self.apps.values():
            app.end("killed")
        await self._spares.drop()
        self._spares.close()
        for app in list(self.apps.values()):
            await app.wait()
        self.images.close()
        if self._parts.trees is not None:
            self._parts.trees.close()
        self._hub.close()

    async def _watch_keeper(self) -> None:
        try:
            await self._keeper.run()
        except SupervisorError as error:
            self._break(str(error))
        else:
            self._break(f"the keeper ended: {self._keeper.last_words()}")

    async def _watch_server(self, server: Server, task_status: trio.TaskStatus[None]) -> None:
        try:
            async with unwrapped():
                await server.serve(task_status=task_status)
        except OSError as error:
            if self._broken == _NOT_YET:  # the keeper was killed between its mount and our serving it
                raise SupervisorError(f"the file server ended while it started: {error}") from None
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
        files: Files | None = None,
        keep: str | None = None,
        parent: App | None = None,
        on_syscall: Monitor | Mapping[str, Handler] | None = None,
    ) -> App:
        """Make a world from a manifest (its file, its value, or a plan) and start its program there.

        Gives the app once the program has been exec'd. Streams are subprocess's; with `terminal` (True, or
        rows and columns) those of None are a pty. `files` are mounted besides what the manifest mounts.
        With `keep`, changes to copy-on-write mounts are kept under that name (`App.changes`,
        `libos.changes`), and the next run with it goes on from there. Below a `parent`, an app of this
        supervisor, it holds at most what that holds, follows what is taken from it and ends with it at the
        latest; a name that begins with the parent's does the same (build/tests). `on_syscall` has a handler
        for each call that this process is to answer (`libos.Monitor`). Raises ManifestError,
        CommandNotFoundError, CommandError, HostError, SupervisorError, ChangesError.
        """
        plan = await self._plan(manifest, files)
        if keep is not None:
            plan = plan.keeping(keep)
        if not plan.command:
            raise ManifestError("no command is given: write one after --, or as command in [app]")
        refuse(plan.limits.missing, plan.allow_missing)
        if terminal and plan.limits.output is not None:
            raise ManifestError("limits.output counts files and pipes: run the app without a terminal, by -T")
        monitor = _monitor(on_syscall, plan)
        start = Start(
            plan.command, plan.environment, plan.directory, terminal_size(terminal), plan.descriptors
        )
        parent = parent or self._parent(name or plan.name)
        with self._named(name or plan.name, plan.command, parent) as known_as:
            launch = await self._launch(plan, known_as, parent, monitor)
            app = await launch.begin(known_as, start, (stdin, stdout, stderr), self.apps)
        if self._spare and parent is None and monitor is None and can_be_spare(plan):
            self._nursery.start_soon(self._spares.replenish, plan, app.ended)
        return app

    async def spare_ready(self) -> Launch | None:
        """Wait until the spare of the last start waits, and give it; None where there is none."""
        return await self._spares.settled()

    async def _launch(self, plan: Plan, name: str, parent: App | None, monitor: Monitor | None) -> Launch:
        if parent is None and monitor is None:
            return await self._spares.take(plan) or await self._prepare(plan)
        prepare = partial(self._prepare, monitor=monitor)
        if parent is None:
            return await prepare(plan)
        from libos.nesting.starting import prepared_below, require_same

        require_same(parent, name, monitor)
        return await prepared_below(parent, name, plan, prepare)

    async def _prepare(
        self, plan: Plan, branch: Branch | None = None, *, monitor: Monitor | None = None
    ) -> Launch:
        from libos.launch import Launch

        self._check()
        launch = Launch(f"{next(self._numbers)}", plan, self._parts, branch, monitor)
        try:
            prepared: Launch = await self._nursery.start(self._live, launch)
        except SupervisorError:
            self._check()  # which knows why
            raise
        except OSError as error:
            about = f" (about {error.filename})" if error.filename else ""
            raise HostError(f"the world cannot be made: {error.strerror or error}{about}") from error
        return prepared

    def _check(self) -> None:
        if self._broken is not None:
            raise SupervisorError(f"this supervisor cannot start an app: {self._broken}")

    async def _live(self, launch: Launch, task_status: trio.TaskStatus[Launch]) -> None:
        """A world's task. What fails in a world that was handed out is its own end, and an event."""
        try:
            await launch.run(task_status)
        except (LibosError, OSError) as error:
            if not launch.prepared:
                raise
            self._hub.emit("error", launch.name, reason=str(error))
        finally:
            if launch.name is not None:
                self.apps.pop(launch.name, None)
                self._names.discard(launch.name)
                self._hub.forget(launch.name)

    async def _plan(
        self,
        manifest: Manifest | Plan | Mapping[str, Any] | str | PathLike[str],
        files: Files | None,
    ) -> Plan:
        from libos.manifest import Manifest, from_mapping, load
        from libos.plan import Plan, lower

        if isinstance(manifest, Plan):
            if files is not None:
                raise ManifestError("a plan takes no further files; give the manifest that it was made from")
            self.images.hold(manifest.namespace)
            return manifest
        if isinstance(manifest, (str, PathLike)):
            manifest = load(manifest)
        elif not isinstance(manifest, Manifest):
            manifest = from_mapping(manifest)
        if files is not None:
            manifest = files.laid_over(manifest)
        await self.images.unpack(manifest.mounts)
        plan = lower(manifest, serve_all=self.serve_all)
        self.images.hold(plan.namespace)
        return plan

    @contextmanager
    def _named(self, name: str | None, command: tuple[str, ...], parent: App | None) -> Iterator[str]:
        """Give the app's name, which no other app of this supervisor has while it runs."""
        above = None if parent is None else parent.name
        name = whole_name(name, PurePath(command[0]).name, above, self._names)
        self._names.add(name)
        try:
            yield name
        except BaseException:
            self._names.discard(name)
            raise

    def _parent(self, name: str | None) -> App | None:
        """The app below which a name is one; None for a name without any above it."""
        above = (name or "").rpartition("/")[0]
        if above and above not in self.apps:
            raise SupervisorError(f'no world "{above}" runs here, below which "{name}" would stand')
        return self.apps[above] if above else None

    def emit(self, kind: Kind, world: str | None, **fields: object) -> None:
        """Tell the readers of `events` of something that a part above this one saw."""
        self._hub.emit(kind, world, **fields)

    def sweep(self, path: str) -> None:
        """Have a file removed even when this process is killed, such as a socket; see `keep`."""
        self._keeper.sweep(path)

    def keep(self, path: str) -> None:
        """Take `sweep` back after removing the file."""
        self._keeper.keep(path)


def _monitor(wanted: Monitor | Mapping[str, Handler] | None, plan: Plan) -> Monitor | None:
    """What answers for system calls, where that was asked for. Raises ManifestError."""
    if wanted is None:
        return None
    from libos.interposing.monitor import check, monitor

    made = monitor(wanted)
    check(made, plan.syscalls, hears=plan.hears)
    return made if made.calls else None


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
