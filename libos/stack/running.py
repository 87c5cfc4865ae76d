"""Keeping a stack up: a task for each world, from what it needs to its end for good.

Rules:
- A world starts once all that it needs is ready; it is stopped after all that need it are down.
- Whatever happens in one world becomes its state, never an exception in the tree. Leaving the tree, by
  cancellation too, ends every world: the supervisor's own rule.
- A world that is restarted too often ends the stack: the others are stopped in order.
- The status of the whole is 0 where every world ended well or the stack was stopped, else that of the first
  world that failed for good.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING

import trio

from libos.errors import LibosError
from libos.plan import lower
from libos.stack.links import linked
from libos.stack.model import Stack, Strategy
from libos.stack.output import LogBook, lines
from libos.stack.readiness import wait_ready
from libos.stack.service import FINAL, Service, State

if TYPE_CHECKING:
    from libos.app import App, ExitStatus
    from libos.supervisor import Supervisor

Record = dict[str, str]

# Seconds for a killed world to be gone; only a kernel that is stuck needs longer.
_GONE_TIMEOUT = 10.0


class Running:
    """A stack that runs. Made by `run_stack`; methods are for the trio thread."""

    def __init__(
        self,
        supervisor: Supervisor,
        stack: Stack,
        attend: Callable[[App], Awaitable[None]] | None,
        tell: Callable[[Record], None] | None,
    ) -> None:
        self.stack = stack
        self.stopping = False
        self.failed: Service | None = None
        self.services = {
            member.name: Service(member, self._on_change, trio.current_time) for member in stack.members
        }
        self._supervisor = supervisor
        self._attend = attend
        self._tell = tell
        self._book = LogBook(stack.name, stack.log_size, stack.log_files)
        self._changed = trio.Event()
        self._nursery: trio.Nursery

    @property
    def status(self) -> int:
        """The exit status of the whole, as it stands."""
        return 0 if self.failed is None else self.failed.status or 0

    async def ready(self) -> bool:
        """Wait until every world is ready or has ended; give whether none has failed, and nobody has stopped
        them before that."""
        services = self.services.values()
        await self._until(lambda: all(each.satisfied or each.state in FINAL for each in services))
        return not self.stopping and all(each.satisfied for each in services)

    def stop(self) -> None:
        """Stop all worlds, each after those that need it. May be called again."""
        if not self.stopping:
            self.stopping = True
            for service in self.services.values():
                self._nursery.start_soon(self._stop_in_turn, service)
            self._on_change(None)

    async def run(self, task_status: trio.TaskStatus[Running]) -> int:
        """Run it to the end of its last world; gives the status."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started(self)
                for service in self.services.values():
                    self._nursery.start_soon(self._keep, service)
        finally:
            self._book.close()
        return self.status

    # --- one world

    async def _keep(self, service: Service) -> None:
        while await self._may_start(service):
            await self._live(service)
            if self.stopping:
                break
            if service.recycling:
                service.recycling = False
                service.state = State.WAITING
            elif not await self._restarts(service):
                return
        service.state = State.ENDED if self.stopping else State.FAILED

    async def _may_start(self, service: Service) -> bool:
        """Wait until what it needs is ready; False where that will never be, or the stack is stopping."""
        needs = [self.services[name] for name in service.member.needs]
        await self._until(
            lambda: (
                self.stopping
                or all(each.satisfied for each in needs)
                or any(each.state is State.FAILED for each in needs)
            )
        )
        failed = next((each for each in needs if each.state is State.FAILED), None)
        if failed is not None and not self.stopping:
            service.note_failure(f'it needs "{failed.name}", which failed', started=False)
            return False
        return not self.stopping

    async def _live(self, service: Service) -> None:
        """Start it once, and wait for its end."""
        service.starts += 1
        service.state = State.STARTING
        try:
            app = await self._start(service)
        except LibosError as error:
            service.note_failure(str(error), started=False)
            self._say(service, str(error))
            return
        service.app = app
        if service.recycling or self.stopping:  # asked while it was being started
            app.end("killed")
        try:
            status = await self._attended(service, app)
        finally:
            app.end("killed")  # where this is cancelled
            with trio.move_on_after(_GONE_TIMEOUT, shield=True):
                await app.wait()
                await app.aclose()
        if service.app is app:
            service.note_end(status)

    async def _attended(self, service: Service, app: App) -> ExitStatus:
        """Its end, with all that it printed kept until then."""
        line_seen = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._make_ready, service, app, line_seen)
            if self._attend is not None:
                nursery.start_soon(self._attend, app)
            async with trio.open_nursery() as pumps:
                pumps.start_soon(self._pump, service, app.stdout, "stdout", line_seen)
                pumps.start_soon(self._pump, service, app.stderr, "stderr", line_seen)
                status = await app.wait()
            nursery.cancel_scope.cancel()
        return status

    async def _start(self, service: Service) -> App:
        await self._supervisor.images.unpack(service.member.manifest.mounts)
        plan = linked(lower(service.member.manifest, serve_all=self._supervisor.serve_all), self.services)
        return await self._supervisor.start(
            plan,
            name=f"{self.stack.name}.{service.name}",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    async def _make_ready(self, service: Service, app: App, line_seen: trio.Event) -> None:
        ready = service.member.ready
        try:
            with trio.fail_after(math.inf if ready is None else ready.seconds):
                await wait_ready(app, ready, line_seen)
        except (LibosError, OSError):
            return  # it is ending: `_live` sees that
        except trio.TooSlowError:
            assert ready is not None
            service.note_failure(f"not ready within {ready.seconds:g} s: {ready}", started=True)
            self._say(service, service.reason)
            app.end("killed")
            return
        if service.state is State.STARTING:
            service.state = State.READY

    async def _pump(
        self, service: Service, stream: trio.abc.ReceiveStream | None, name: str, line_seen: trio.Event
    ) -> None:
        assert stream is not None
        ready = service.member.ready
        wanted = None if ready is None or ready.line is None else ready.line.encode()
        async with aclosing(lines(stream)) as found:
            async for line in found:
                if wanted is not None and wanted in line:
                    line_seen.set()
                self._record(service.name, name, line.decode(errors="backslashreplace"))

    # --- ends and restarts

    async def _restarts(self, service: Service) -> bool:
        """Whether it starts again; waits for its turn."""
        if not service.wants_restart:
            well = service.status == 0
            self._note_final(service, well)
            return False
        wait = service.next_wait()
        if wait is None:
            restart = service.member.restart
            often = f"restarted {restart.limit} times within {restart.within:g} s"
            self._say(service, f"{often}, and ended again ({service.reason}): the stack is stopped")
            self._note_final(service, False)
            self.stop()
            return False
        service.state = State.RESTARTING
        self._say(service, f"ended ({service.reason}); it starts again in {wait:g} s")
        for other in self._restarted_with(service):
            self._recycle(other)
        with trio.move_on_after(wait):
            await self._until(lambda: self.stopping)
        return True

    def _note_final(self, service: Service, well: bool) -> None:
        if not well and self.failed is None:
            self.failed = service
        service.state = State.ENDED if well else State.FAILED

    def _restarted_with(self, service: Service) -> Iterator[Service]:
        after = False
        for other in self.services.values():
            if other is service:
                after = True
            elif self.stack.strategy is Strategy.ALL or (
                self.stack.strategy is Strategy.REST_FOR_ONE and after
            ):
                yield other

    def _recycle(self, service: Service) -> None:
        if service.state in (State.STARTING, State.READY):
            service.recycling = True
            self._nursery.start_soon(self._end, service)

    async def _stop_in_turn(self, service: Service) -> None:
        dependents = [each for each in self.services.values() if service.name in each.member.needs]
        await self._until(lambda: all(each.state in FINAL for each in dependents))
        await self._end(service)

    async def _end(self, service: Service) -> None:
        """Ask it to end, and kill it once its time is over."""
        app, stop = service.app, service.member.stop
        if app is None:
            return
        service.state = State.STOPPING
        await app.send_signal(stop.signal)
        with trio.move_on_after(stop.grace):
            await app.ended()
            return
        self._say(service, f"did not end within {stop.grace:g} s: killed")
        app.end("killed")

    # --- what is told

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _on_change(self, service: Service | None) -> None:
        if service is not None:
            fields = {key: value for key, value in service.describe().items() if key != "world"}
            self._supervisor.emit("world.state", f"{self.stack.name}.{service.name}", **fields)
        self._changed.set()
        self._changed = trio.Event()

    def _say(self, service: Service, text: str) -> None:
        for line in text.splitlines():
            self._record(service.name, "libos", line)

    def _record(self, world: str, stream: str, text: str) -> None:
        record = self._book.add(world, stream, text)
        if self._tell is not None:
            self._tell(record)


async def run_stack(
    supervisor: Supervisor,
    stack: Stack,
    *,
    attend: Callable[[App], Awaitable[None]] | None = None,
    tell: Callable[[Record], None] | None = None,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> int:
    """Run a stack to its end and give the status of the whole; started() gives its `Running` at once.

    `attend(app)` runs beside each app and is cancelled at its end; `tell` gets each record of what the worlds
    print. Raises SupervisorError where no log can be kept. Cancelling it kills every world.
    """
    running = Running(supervisor, stack, attend, tell)
    return await running.run(task_status)
