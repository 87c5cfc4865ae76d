"""What a stack says, as frozen values, every one checked before it was built.

The strategies are Erlang/OTP's (supervisor(3)), in its words: what is restarted with a world that ended.
Times are in seconds, sizes in bytes.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import StrEnum

from libos.manifest.model import Manifest


class Strategy(StrEnum):
    """What is restarted when one world is."""

    ONE_FOR_ONE = "one-for-one"  # it alone
    REST_FOR_ONE = "rest-for-one"  # it, and all that were started after it
    ALL = "all"  # every world of the stack


class When(StrEnum):
    """When a world that ended is started again."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


@dataclass(frozen=True)
class Ready:
    """When a world counts as ready: exactly one of these holds. `seconds` is how long it may take."""

    port: int | None = None  # the app listens there
    file: str | None = None  # it exists in the world
    line: str | None = None  # a line of its output contains this
    command: tuple[str, ...] | None = None  # it succeeds in the world
    seconds: float = 60.0

    def __str__(self) -> str:
        if self.port is not None:
            return f"it listens at port {self.port}"
        if self.file is not None:
            return f"{self.file} is there"
        if self.line is not None:
            return f'it prints "{self.line}"'
        return f"{' '.join(self.command or ())} succeeds"


@dataclass(frozen=True)
class Restart:
    """Whether and how a world is started again. The wait doubles from `first` to `most` seconds; more than
    `limit` restarts within `within` seconds end the whole stack."""

    when: When = When.NEVER
    limit: int = 5
    within: float = 60.0
    first: float = 0.1
    most: float = 10.0


@dataclass(frozen=True)
class Stop:
    """How a world is asked to end, and how long it may take until it is killed."""

    signal: int = signal.SIGTERM
    grace: float = 10.0


@dataclass(frozen=True)
class Member:
    """One world of a stack. `needs` are the worlds that must be ready before it starts, those that it dials
    among them; `links` are what it dials of other worlds: (name, port)."""

    name: str
    manifest: Manifest
    needs: tuple[str, ...] = ()
    links: tuple[tuple[str, int], ...] = ()
    expose: tuple[int, ...] = ()
    ready: Ready | None = None
    restart: Restart = Restart()
    stop: Stop = Stop()
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Stack:
    """A whole stack. `members` are in an order in which they can be started."""

    name: str
    members: tuple[Member, ...]
    strategy: Strategy = Strategy.ONE_FOR_ONE
    log_size: int = 10 << 20  # of one file; there are at most `log_files`
    log_files: int = 3
    source: str = field(default="", compare=False)

    def member(self, name: str) -> Member:
        """The world of a name. KeyError where there is none."""
        for each in self.members:
            if each.name == name:
                return each
        raise KeyError(name)
