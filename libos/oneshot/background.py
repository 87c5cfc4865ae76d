"""A supervisor in a background thread, for callers that have no trio loop to run one in.

All calls of a process share one thread and one supervisor, from the first call that needs it until the last
one ends; so calls from several threads, and from trio and asyncio programs alike, may overlap.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from libos.errors import SupervisorError
from libos.oneshot.captured import Captured, capture
from libos.worlds.streams import Stream

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from libos.manifest import Manifest
    from libos.supervisor import Supervisor


# Seconds that a cancelled run's world gets to be gone.
_END_TIMEOUT = 15.0


class Call:
    """One program's run on the background supervisor. `run` blocks; `cancel` may come from any thread."""

    def __init__(
        self,
        manifest: Manifest,
        streams: tuple[Stream, Stream, Stream],
        data: bytes | None,
        timeout: float | None,
    ) -> None:
        self._arguments = (manifest, streams, data, timeout)
        self._lock = threading.Lock()
        self._future: Future[Captured] | None = None
        self._cancelled = False
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def run(self) -> None:
        """Run to the end; what it raises is kept for `result`. An interrupt ends the world first."""
        try:
            with _shared.use() as (portal, supervisor):
                future = self._start(portal, supervisor)
                try:
                    future.exception()
                except BaseException:  # cancelled, or KeyboardInterrupt in the thread that waits
                    self.cancel()
                    self._ended.wait(_END_TIMEOUT)
                    raise
        except CancelledError:  # noqa: ASYNC103 - of concurrent.futures: a result here, no cancellation
            self._error = SupervisorError("the run was cancelled")
        except Exception as error:
            self._error = error

    def _start(self, portal: BlockingPortal, supervisor: Supervisor) -> Future[Captured]:
        with self._lock:
            if self._cancelled:
                raise CancelledError
            self._future = portal.start_task_soon(self._capture, supervisor)
            return self._future

    async def _capture(self, supervisor: Supervisor) -> Captured:
        try:
            return await capture(supervisor, *self._arguments)
        finally:
            self._ended.set()

    def cancel(self) -> None:
        """End the run's world; `run` returns when it has ended."""
        with self._lock:
            self._cancelled = True
            if self._future is not None:
                self._future.cancel()

    def result(self) -> Captured:
        """Give how the run ended, or raise what it raised."""
        if self._error is not None:
            raise self._error
        assert self._future is not None
        return self._future.result()


class _Shared:
    """The thread and its supervisor, counted by their users."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._stack = ExitStack()
        self._running: tuple[BlockingPortal, Supervisor] | None = None

    @contextmanager
    def use(self) -> Iterator[tuple[BlockingPortal, Supervisor]]:
        """Give the portal into the thread and the supervisor there. Raises as entering a Supervisor does."""
        with self._lock:
            if self._running is None:
                self._running = self._enter()
            self._users += 1
            running = self._running
        try:
            yield running
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._running = None
                    self._stack.close()

    def _enter(self) -> tuple[BlockingPortal, Supervisor]:
        from anyio.from_thread import start_blocking_portal

        from libos.supervisor import Supervisor

        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("trio"))
            supervisor = stack.enter_context(portal.wrap_async_context_manager(Supervisor()))
            self._stack = stack.pop_all()
        return portal, supervisor


_shared = _Shared()
