"""Which calls are interposed, by which handlers, on what terms.

Rules: what a handler would never be asked about is an error when it is named, not silence later. These are
calls that the C library answers without the kernel, and those that libos or every program needs while a
filter is loaded or a thread made, which nobody could answer then.
"""

from __future__ import annotations

import errno as errnos
import math
from collections.abc import Awaitable, Callable, Mapping

from libos.errors import ManifestError
from libos.interposing.answers import Answer
from libos.interposing.call import SystemCall
from libos.syscalls import Wanted, tables
from libos.syscalls.resolving import entry, resolve

# Answers for a call, at once or later. It runs on the trio thread.
Handler = Callable[[SystemCall], "Answer | Awaitable[Answer]"]

# Seconds that a handler gets: as long as a person waits for a program that seems to hang.
TIMEOUT = 5.0
# Calls of one world that are answered at once; the kernel keeps the others waiting.
MOST = 64
# How a call fails whose handler raised or was late.
FAILED = errnos.EIO
# Groups of calls without which no program starts, has a thread, or memory.
_NEEDED = (tables.START, "memory", "threads")
# By what a program's first moment hands its listener over (libos/keeper/refusals.py).
_HANDING_OVER = frozenset(["read", "write"])
# Answered in the process itself, vdso(7).
_SELDOM = frozenset(["clock_gettime", "clock_getres", "gettimeofday", "time"])


class Monitor:
    """Handlers by the names of calls, for `Supervisor.start(…, on_syscall=…)`; one may serve several worlds.

    A handler that takes longer than `timeout` seconds, or raises anything but an OSError, has its call fail
    with `errno`. Of one world at most `most` calls are answered at once. Raises ValueError for others.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler] | None = None,
        *,
        timeout: float = TIMEOUT,
        errno: int = FAILED,
        most: int = MOST,
    ) -> None:
        if not 0 < timeout < math.inf:
            raise ValueError(f"timeout is a number of seconds above 0, not {timeout}")
        if errno not in errnos.errorcode:
            raise ValueError(f"errno {errno} is none; take one of the module errno")
        if most < 1:
            raise ValueError(f"most is 1 or more, not {most}")
        self.timeout = timeout
        self.errno = errno
        self.most = most
        self.handlers: dict[str, Handler] = {}
        self._used = False
        for name, handler in (handlers or {}).items():
            self.on(name)(handler)

    def on(self, *names: str) -> Callable[[Handler], Handler]:
        """A decorator: the function answers for these calls. Raises ValueError for a call that is unknown,
        has a handler, or cannot be interposed, and for all once a world was started with the monitor: its
        filter is fixed."""
        if self._used:
            raise ValueError("a world has these handlers already, and its filter is fixed: name all before")
        for name in names:
            check_name(name)
            if name in self.handlers:
                raise ValueError(f'"{name}" has a handler already')

        def add(handler: Handler) -> Handler:
            self.handlers |= dict.fromkeys(names, handler)
            return handler

        return add

    def use(self) -> frozenset[str]:
        """Fix the handlers, for a world that is started with them, and give the names of their calls."""
        self._used = True
        return self.calls

    @property
    def calls(self) -> frozenset[str]:
        """The names of the calls."""
        return frozenset(self.handlers)


def monitor(wanted: Monitor | Mapping[str, Handler]) -> Monitor:
    """A monitor, of a mapping too. Raises ManifestError for handlers that cannot be."""
    try:
        return wanted if isinstance(wanted, Monitor) else Monitor(wanted)
    except ValueError as error:
        raise ManifestError(f"on_syscall: {error}") from None


def check_name(name: str) -> None:
    """Raises ValueError for what is no call, or cannot be interposed."""
    if entry(name).startswith("@"):
        raise ValueError(f'"{name}" is a group; a handler is for calls by name')
    group = tables.group_of()[name].name
    if group in _NEEDED:
        raise ValueError(
            f'"{name}" cannot be interposed: every program needs it to start, where nobody answers yet'
        )
    if name in _HANDING_OVER:
        raise ValueError(f'"{name}" cannot be interposed: libos itself needs it once the filter is loaded')
    if name in _SELDOM:
        raise ValueError(
            f'"{name}" cannot be interposed: the C library answers it without the kernel, vdso(7)'
        )


def check(monitor: Monitor, wanted: Wanted, *, hears: bool) -> None:
    """Whether a world can have these handlers. Raises ManifestError with the remedy."""
    if wanted.log:
        raise ManifestError("on_syscall and [syscalls] log do not go together: leave log out")
    if hears and "listen" in monitor.calls:
        raise ManifestError(
            'on_syscall: "listen" is heard by libos where a manifest has [[listen]], or is recorded: '
            "leave it out"
        )
    refused = monitor.use() - {rule.call for rule in resolve(wanted).allowed}
    if refused:
        named = ", ".join(sorted(refused))
        raise ManifestError(
            f"on_syscall: the profile {wanted.profile} refuses {named}, and what is refused reaches no "
            "handler: allow it in [syscalls], or leave the handler out"
        )
