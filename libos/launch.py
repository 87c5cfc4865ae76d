"""One world, from its plan to its end: the order in which its parts come up and go down.

Up: the skeleton is served, the keeper forks the world, init builds the view and sends the sockets, the gate
listens, the program is exec'd. What is not ready stops the start, and all that was up goes down again.

Down: the program ends or the world is killed; waiting file operations are cancelled, so that no process can
hang in one; the world's last process goes; the gate closes; the skeleton is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import trio

from libos.app import App
from libos.errors import HostError
from libos.events import Hub, Kind
from libos.hosttrees import HostTrees
from libos.keeper import channel
from libos.messages import close_all
from libos.net import dns, watcher
from libos.net.gate import Gate
from libos.net.names import Names
from libos.net.publish import Publication
from libos.spawn import FIRST_PROGRAM, Start, spawn
from libos.steps import step_message
from libos.streams import Stream, open_streams
from libos.unwrap import unwrapped
from libos.view import View
from libos.world import World, failure_text

if TYPE_CHECKING:
    from libos.fs.server import Server
    from libos.keeping import Keeper
    from libos.plan import Plan

# What every world's gate needs: init opens them at once, without being asked.
_SOCKETS = [*watcher.SPECS, *dns.SPECS]
# Seconds for the last process of a killed world to be gone.
_GONE_TIMEOUT = 10.0


class Launch:
    """The task of one world. `world_id` is its directory in the FUSE mount, `name` its name for people."""

    def __init__(
        self,
        name: str,
        world_id: str,
        plan: Plan,
        keeper: Keeper,
        server: Server,
        hub: Hub,
        trees: HostTrees | None,
    ) -> None:
        self.name = name
        self._id = world_id
        self._plan = plan
        self._keeper = keeper
        self._server = server
        self._hub = hub
        self._trees = trees
        self._names = Names(plan.hostname)

    async def run(
        self,
        streams: tuple[Stream, Stream, Stream],
        terminal: tuple[int, int] | None,
        apps: dict[str, App],
        task_status: trio.TaskStatus[App],
    ) -> None:
        """Bring the world up, hand its app out, and bring it down when it ends or this task is cancelled."""
        began = time.monotonic()
        with View(self._server, self._id, self._plan, self._names, self._observe) as view:
            async with self._world(view) as (world, nursery):
                await nursery.start(self._gate(world).run, self._plan.dials, self._publications())
                app = await self._start(world, streams, terminal)
                apps[self.name] = app
                self._hub.emit("app.start", self.name, pid=app.pid, command=list(self._plan.command))
                task_status.started(app)
                if self._plan.time is not None:
                    nursery.start_soon(self._limit_time, app, self._plan.time)
                await app.ended()
                view.close()
                await world.gone.wait()
                self._emit_exit(app, time.monotonic() - began)

    def _gate(self, world: World) -> Gate:
        return Gate(self.name, world.open_sockets, self._names, self._observe)

    def _publications(self) -> list[Publication]:
        return [Publication(each.port, each.host, each.outside) for each in self._plan.listens]

    def _observe(self, kind: str, fields: Mapping[str, object]) -> None:
        self._hub.emit(cast(Kind, kind), self.name, **fields)

    @asynccontextmanager
    async def _world(self, view: View) -> AsyncIterator[tuple[World, trio.Nursery]]:
        """Fork the world and read from it; after the block nothing of it is left."""
        ours, theirs = channel.pair()
        world = World(self._id, ours)
        world.expect_sockets(_SOCKETS)
        try:
            async with unwrapped(), trio.open_nursery() as nursery:
                await self._fork(world, theirs.fileno())
                nursery.start_soon(world.run)
                theirs.close()
                try:
                    await world.network.wait()
                    _check(world)
                    yield world, nursery
                finally:
                    world.kill()
                    view.close()
                    with trio.move_on_after(_GONE_TIMEOUT, shield=True):
                        await world.gone.wait()
                    nursery.cancel_scope.cancel()
        finally:
            theirs.close()
            world.close()

    async def _fork(self, world: World, init_fd: int) -> None:
        steps = [step_message(step, self._id) for step in self._plan.steps]
        trees: list[int] = []
        if self._trees is not None:
            trees = await self._trees.open_for(steps)
        message = {
            "hostname": self._plan.hostname,
            "steps": steps,
            "sockets": [list(spec) for spec in _SOCKETS],
        }
        try:
            await self._keeper.fork_world(world, message, [init_fd, *trees])
        finally:
            close_all(trees)

    async def _start(
        self, world: World, streams: tuple[Stream, Stream, Stream], terminal: tuple[int, int] | None
    ) -> App:
        plan = self._plan
        start = Start(plan.command, plan.environment, plan.directory, terminal)
        with open_streams(*streams, terminal=terminal is not None) as opened:
            running = await spawn(world, FIRST_PROGRAM, start, opened)
            return App(self.name, plan, world, running, opened)

    async def _limit_time(self, app: App, seconds: float) -> None:
        await trio.sleep(seconds)
        app.end("time")

    def _emit_exit(self, app: App, seconds: float) -> None:
        status = app.status
        assert status is not None
        fields = {"status": status.returncode, "reason": status.reason, "seconds": round(seconds, 6)}
        self._hub.emit("app.exit", self.name, **fields)


def _check(world: World) -> None:
    if world.failure is not None:
        raise HostError(f"the world cannot be built: {failure_text(world.failure)}")
