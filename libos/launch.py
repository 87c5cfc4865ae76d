"""One world, from its plan to its end: the order in which its parts come up and go down.

Up: the skeleton is served, the keeper forks the world, init builds the view and sends the sockets, the gate
listens; now the world is prepared, and nothing of the app runs in it. Then the program is exec'd. What is not
ready stops the start, and all that was up goes down again.

Down: the program ends or the world is killed; waiting file operations are cancelled, so that no process can
hang in one; the world's last process goes; the gate closes; the skeleton is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import trio

from libos.announcing import tell_exit, tell_plan, tell_start
from libos.app import App
from libos.asking import OnAsk, Questions
from libos.branch import NO_LIMITS, Branch
from libos.consulting import Consulting
from libos.dialing import Dials
from libos.errors import CommandError, HostError, SupervisorError
from libos.events import Hub, Kind
from libos.gates import first_sockets, new_gate, published
from libos.interposing.serving import Interposing
from libos.introspection import Introspection
from libos.keeper import channel
from libos.listening import Ready
from libos.net.gate import Gate
from libos.net.granting.rule import host_names
from libos.net.naming.names import Names
from libos.notices import Notices
from libos.plan.rootids import RootIds, root_ids
from libos.programs import Finder
from libos.publishing import Publications
from libos.secrets import nodes as web_nodes
from libos.secrets import with_placeholders, world_web
from libos.unwrap import unwrapped
from libos.worlds.entering import entering_nodes
from libos.worlds.filtering import Refused, own_filter
from libos.worlds.hostmounts import HostMounts
from libos.worlds.hosttrees import HostTrees
from libos.worlds.identities import Identities
from libos.worlds.limiting import Limiting
from libos.worlds.messages import close_all
from libos.worlds.output import Output
from libos.worlds.pacing import Pace
from libos.worlds.persisting import Persisting, kept_changes
from libos.worlds.recording import Recording
from libos.worlds.spawn import FIRST_PROGRAM, Start, check_built, explained, spawn
from libos.worlds.steps import step_message
from libos.worlds.streams import Stream, open_streams
from libos.worlds.view import View
from libos.worlds.world import World

if TYPE_CHECKING:
    from libos.fs.server import Server
    from libos.grants import Grants
    from libos.interposing import Monitor
    from libos.net.http.web import Web
    from libos.plan import Plan
    from libos.worlds.keeping import Keeper

# Seconds for the last process of a killed world to be gone; only a kernel that is stuck needs longer.
_GONE_TIMEOUT = 10.0


@dataclass(frozen=True)
class Parts:
    """What all worlds of a supervisor share."""

    keeper: Keeper
    server: Server
    hub: Hub
    trees: HostTrees | None
    identities: Identities
    on_ask: OnAsk | None = None


class Launch:
    """The task of one world. `world_id` is its directory in the FUSE mount; `name` is its name for people."""

    def __init__(
        self,
        world_id: str,
        plan: Plan,
        parts: Parts,
        branch: Branch | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        self.name: str | None = None
        self.branch = branch or Branch(limits=plan.asked or NO_LIMITS)
        self.branch.end = self._end_with_parent
        self.branch.cgroup = lambda: self._limiting.held
        self.plan = plan
        self.prepared = False
        self.ended = trio.Event()
        self._id = world_id
        self._parts = parts
        self._identity = parts.identities.take()
        self._mounts = HostMounts(parts.keeper, parts.trees, self._identity, plan.limits.disk, root=plan.root)
        # /etc/hosts is made before the gate runs, so its names are granted here.
        self._names = Names(plan.hostname, host_names(plan.dials))
        self._notices = Notices()
        self._introspection = Introspection(self.plan, self._notices)
        self._questions = Questions(self._observe, parts.on_ask)
        self._consulting = Consulting(self._questions)
        self._refused = Refused(plan.syscalls)
        self.branch.monitor = monitor
        self._interposing = Interposing(monitor, self._observe)
        self._limiting = Limiting(world_id, plan, parts.keeper)
        self._output = None if plan.limits.output is None else Output(plan.limits.output)
        self._recording = Recording(plan, parts.hub) if plan.record else None
        self._scope = trio.CancelScope()
        self._world: World
        self._left = False  # something of it lives on: the kernel is stuck
        self._view: View
        self._gate: Gate
        self._web: Web
        self._app: App | None = None
        self._granted: Grants | None = None
        self._begun = trio.Event()
        self._kept: Persisting  # its descriptors are open in the world's init too, for as long as it lives

    async def run(self, task_status: trio.TaskStatus[Launch]) -> None:
        """Prepare the world, wait for its app, and take it down when that ends or this task is cancelled.

        started() comes when it is prepared. Raises HostError, SupervisorError, OSError.
        """
        try:
            with self._scope:
                await self._live(task_status)
            if not self.prepared:
                raise SupervisorError("the world above it has ended")
        finally:
            await self.branch.end_below(_GONE_TIMEOUT)  # noqa: ASYNC102 - shields itself, with a limit
            self._mounts.services.close()
            self._give_back_identity()
            self.ended.set()
            if (alone := self.branch.leave()) is not None and self._app is not None:
                self._parts.hub.emit("world.empty", alone)

    def _end_with_parent(self) -> None:
        """The world above has ended."""
        if self._app is None:
            self._scope.cancel()
        else:
            self._app.end("parent")

    def _give_back_identity(self) -> None:
        """Let another world be who this one was, once nothing of it is left."""
        parts = self._parts
        if self._left:
            return
        if not parts.identities.give_back(self._identity) and parts.trees is not None:
            parts.trees.forget(self._identity.id)

    async def _live(self, task_status: trio.TaskStatus[Launch]) -> None:
        async with kept_changes(self.plan) as self._kept:
            self.plan = self._kept.plan
            await self._serve(task_status)

    async def _serve(self, task_status: trio.TaskStatus[Launch]) -> None:
        parts = self._parts
        self._web = await world_web(self._id, self.plan, self._observe, parts.keeper.outside.read)
        own = {**self._introspection.nodes(), **web_nodes(self._web, self.plan)}
        own |= entering_nodes(self.plan, lambda: self._world, self._introspection)
        self.plan = replace(self.plan, environment=with_placeholders(self._web, self.plan.environment))
        questions, app = self._questions, self._identity.id
        with View(
            *(parts.server, self._id, self.plan, self._observe, own, questions, app),
            Pace(parts.hub.room),
            self._recording,
        ) as view:
            await view.serve(self._names, self._mounts)
            self._view = view
            async with self._forked(view) as nursery:
                gate = self._gate = new_gate(
                    self._id, self._world, self.plan, self._names, self._observe, parts.keeper, self._web
                )
                finder = Finder(self._world.init_pid, parts.keeper.outside.open_sockets)
                gate.consult, gate.carrier.opened = self._consulting.consult, finder.opened
                nursery.start_soon(finder.run)
                try:
                    await nursery.start(gate.run, self.plan.dials, published(self.plan))
                except BrokenPipeError:
                    check_built(self._world)
                    raise SupervisorError("the world ended while it was made") from None
                except OSError as error:
                    raise HostError(f"the world's network cannot be made: {error.strerror}") from error
                nursery.start_soon(self._interposing.run, self._world.intake, gate.listening.hint)
                self._mounts.services.open(gate)
                nursery.start_soon(self._questions.consult)
                self.prepared = True
                task_status.started(self)
                await self._begun.wait()
                assert self._app is not None
                self._attend(nursery, self._app)
                began = time.monotonic()
                await self._app.ended()
                self.branch.close()
                self._notices.close()
                view.close()
                await self._world.gone.wait()
                self._limiting.settle()
                if self._output is not None:
                    await self._output.finish()
                await gate.finish()
                await gate.close()
                if self._recording is not None:
                    await self._recording.finish()
                if self.plan.syscalls.log:
                    await self._world.refusals_told.wait()
                await self.branch.end_below(_GONE_TIMEOUT)
                await self._interposing.close()
                self._emit_exit(self._app, time.monotonic() - began)

    def _attend(self, nursery: trio.Nursery, app: App) -> None:
        """Start what goes on beside the app for as long as it runs."""
        nursery.start_soon(self._world.hear, self._gate.listening.hint)
        if self.plan.syscalls.log:
            nursery.start_soon(self._world.hear_refusals, self._tell_refused)
        ready = Ready(self._gate.listening, self._observe, self._world.gone)
        for listen in self.plan.listens:
            nursery.start_soon(ready.tell, listen)
        if self.plan.record:
            nursery.start_soon(ready.tell_others, self.plan.listens)
        if self.plan.time is not None:
            nursery.start_soon(_limit_time, app, self.plan.time)
        nursery.start_soon(self._limiting.watch, self._observe)
        if self._recording is not None:
            nursery.start_soon(self._recording.run)
        if self._output is not None:
            nursery.start_soon(self._output.carry)

    @asynccontextmanager
    async def _forked(self, view: View) -> AsyncIterator[trio.Nursery]:
        """Fork the world and read from it; after the block nothing of it is left."""
        ours, theirs = channel.pair()
        world = self._world = World(self._id, ours, self._identity, self._parts.keeper.outside)
        world.expect_sockets(*first_sockets(self.plan))
        try:
            async with unwrapped(), trio.open_nursery() as nursery:
                await self._fork(world, theirs.fileno())
                nursery.start_soon(world.run)
                theirs.close()
                try:
                    await world.network.wait()
                    check_built(world)
                    yield nursery
                finally:
                    world.kill()
                    view.close()
                    with trio.move_on_after(_GONE_TIMEOUT, shield=True):
                        await world.gone.wait()
                        await self._limiting.close()
                    self._left = not world.gone.is_set()
                    nursery.cancel_scope.cancel()
        finally:
            theirs.close()
            world.close()

    async def _fork(self, world: World, init_fd: int) -> None:
        app = self._identity.id
        steps = [step_message(step, self._id) for step in self.plan.steps]
        wanted = steps + [step["changes"] for step in steps if "changes" in step]
        trees = []
        if self._parts.trees:
            trees = await self._parts.trees.open_for(wanted, app, root=self.plan.root)
        app_sockets, gate_sockets = first_sockets(self.plan)
        message = {
            "app": app,
            "root": self._root_ids().length,
            "hostname": self.plan.hostname,
            "steps": steps,
            "noexec": self.plan.vets,
            "routed": self.plan.routed,
            "sockets": app_sockets,
            "gate_sockets": gate_sockets,
            **await own_filter(self.plan.syscalls, self._interposing.calls, hearing=self.plan.hears),
        }
        try:
            entries = self._limiting.open(self.branch.cgroups_above())
            message |= self._limiting.message()
            trees += await self._mounts.services.trees(self.plan, steps, len(trees))
            await self._parts.keeper.fork_world(world, message, [init_fd, *trees, *self._kept.fds, *entries])
        finally:
            self._limiting.joined()
            close_all(trees)

    def _root_ids(self) -> RootIds:
        """The ids of a root inside."""
        return root_ids(self.plan, self._identity.length, self._parts.keeper.sub_ids_lack)

    async def begin(
        self, name: str, start: Start, streams: tuple[Stream, Stream, Stream], apps: dict[str, App]
    ) -> App:
        """Exec the program in the prepared world and give its app.

        Where that fails or is cancelled, the world is taken down first. Raises CommandNotFoundError,
        CommandError, HostError, SupervisorError.
        """
        self.name = self.branch.name = name
        tell_plan(self._parts.hub, name, self.plan)
        start = replace(start, environment=with_placeholders(self._web, start.environment))
        if self._recording is not None:
            self._recording.begin(name)
        # Before the program runs: it may look into /mnt/ns before the supervisor hears that it was started.
        granting = self._introspection.granting = partial(self.grants, name)
        dials = Dials(name, self._gate, self._parts.hub, self.plan, self._notices)
        self._introspection.dials, self._introspection.limits = dials, self._limiting.seen
        try:
            with (
                open_streams(*streams, self._identity, terminal=start.terminal is not None) as opened,
                self._output.between(opened, self._identity) if self._output else nullcontext(),
            ):
                running = await spawn(self._world, FIRST_PROGRAM, start, opened)
                app = App(name, self.plan, self._world, running, opened, self.ended, granting, self._gate)
        except BaseException as error:
            await self.cancel()  # noqa: ASYNC102 - shields itself, with a limit
            if isinstance(error, CommandError):
                raise explained(self.plan, start, error) from None  # noqa: ASYNC104 - not Cancelled
            raise
        app.branch = self.branch
        app.questions, app.hub = self._questions, self._parts.hub
        app.uses = self._recording.uses if self._recording is not None else None
        app.dials = dials
        app.counts = self._view.layering.counts
        app.publications = Publications(name, self._gate, self._parts.hub, self.plan)
        app.limiting, app.refused = self._limiting, self._refused
        app.ended_by_limit = self._limiting.reason
        if self._output is not None:
            self._output.over = partial(app.end, "output")
        tell_start(self._parts.hub, app, start.command, self.plan, self._root_ids().missing, self._observe)
        apps[name] = self._app = app
        self._begun.set()
        return app

    def grants(self, name: str) -> Grants:
        """What the app holds, as it was mounted. Made when it is first asked for: a plain run never does."""
        if self._granted is None:
            from libos.grants import Grants
            from libos.worlds.live import LiveView

            keeper, mounts = self._parts.keeper, self._mounts
            live = LiveView(self._world, self._view, keeper, mounts, self._names, self.plan, self._kept)
            live.stores_nothing = self._root_ids().shared
            self._granted = Grants(name, live, self._parts.hub, self._notices)
        return self._granted

    async def cancel(self) -> None:
        """Take the world down and wait until it is."""
        self._scope.cancel()
        with trio.move_on_after(_GONE_TIMEOUT, shield=True):
            await self.ended.wait()

    def _observe(self, kind: str, fields: Mapping[str, object]) -> None:
        self._introspection.denials.note(kind, fields)
        self._parts.hub.emit(cast(Kind, kind), self.name, **fields)

    def _tell_refused(self, record: bytes) -> None:
        self._observe("syscall.refused", self._refused.told(record))

    def _emit_exit(self, app: App, seconds: float) -> None:
        used = self._limiting.used()
        self._limiting.tell(self._observe)
        fields = {
            "used": used,
            "counts": self._view.layering.counts(),
            "channels": self._view.channels(),
            "syscalls": self._refused.summary(),
        }
        tell_exit(self._parts.hub, app, seconds, fields)


async def _limit_time(app: App, seconds: float) -> None:
    await trio.sleep(seconds)
    app.end("time")
