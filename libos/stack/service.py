"""One world of a running stack: its state, and how often it was started."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

from libos.stack.model import Member, When

if TYPE_CHECKING:
    import socket

    from libos.app import App, ExitStatus


class State(StrEnum):
    """What a world is doing."""

    WAITING = "waiting"  # for what it needs
    STARTING = "starting"  # it runs and is not ready yet
    READY = "ready"
    STOPPING = "stopping"
    RESTARTING = "restarting"  # it waits for its turn
    ENDED = "ended"  # for good, and well
    FAILED = "failed"  # for good


FINAL = (State.ENDED, State.FAILED)
# What a world's end counts as where it could not be started: docker's status of a launcher that failed.
_NOT_STARTED = 125
_NOT_READY = 124  # timeout(1)'s


class Service:
    """`changed` is called at each change of state."""

    def __init__(
        self, member: Member, changed: Callable[[Service], None], clock: Callable[[], float]
    ) -> None:
        self.member = member
        self.app: App | None = None
        self.starts = 0
        self.status: int | None = None  # of its last end, as a shell has it
        self.reason = ""
        self.recycling = False  # it was ended so that it starts anew with another one
        self._changed = changed
        self._clock = clock
        self._restarts: deque[float] = deque()
        self._state = State.WAITING

    @property
    def name(self) -> str:
        """Its name in the stack."""
        return self.member.name

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        self._changed(self)

    @property
    def satisfied(self) -> bool:
        """Whether what needs it may start: it is ready, or has done its work."""
        return self._state in (State.READY, State.ENDED)

    async def connect(self, port: int) -> socket.socket:
        """A connection to a port of its app. Raises OSError: ECONNREFUSED where it does not run."""
        if self.app is None:
            raise ConnectionRefusedError(111, f'the world "{self.name}" does not run')
        return await self.app.connect(port)

    def note_end(self, status: ExitStatus) -> None:
        """Take how its app ended."""
        code = status.returncode
        self.app = None
        self.status = 128 - code if code < 0 else code
        self.reason = status.reason if code <= 0 else f"exit status {code}"
        if status.reason == "time":
            self.status = _NOT_READY

    def note_failure(self, reason: str, *, started: bool) -> None:
        """Take why it could not be started, or did not become ready."""
        self.app = None
        self.status = _NOT_READY if started else _NOT_STARTED
        self.reason = reason

    @property
    def wants_restart(self) -> bool:
        """Whether it is started again after its last end."""
        when = self.member.restart.when
        return when is When.ALWAYS or (when is When.ON_FAILURE and self.status != 0)

    def next_wait(self) -> float | None:
        """Seconds until the next start; None where it was restarted too often. Counts the restart."""
        restart = self.member.restart
        now = self._clock()
        while self._restarts and now - self._restarts[0] > restart.within:
            self._restarts.popleft()
        if len(self._restarts) >= restart.limit:
            return None
        wait = min(restart.most, restart.first * 2.0 ** len(self._restarts))
        self._restarts.append(now)
        return wait

    def describe(self) -> dict[str, object]:
        """What it is doing, as `libos ps` and the status of a stack tell it."""
        return {
            "world": self.name,
            "state": str(self._state),
            "starts": self.starts,
            "pid": None if self.app is None else self.app.pid,
            "status": self.status,
            "reason": self.reason,
        }
