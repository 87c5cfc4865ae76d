"""Waits for the sockets of all relays at once, and tells a relay what can be done.

Rules:
- One epoll(7) for a run of trio, edge-triggered, and one task that waits for it. A relay has no task that
  waits for its sockets: a nursery, a task and trio's waits cost several times what carrying a few bytes does.
- Who is told carries until the kernel says EAGAIN, or at most its share; then it is told again after others
  (`again`: EPOLL_CTL_MOD looks anew at what is ready).
- What all relays carry in one turn of trio's scheduler is bounded, and not only what each of them does: else
  an app with thousands of connections would hold up files and other worlds for seconds.
- A socket that is closed leaves the epoll by itself. An event that is left of it finds nobody, or a relay
  that then hears EAGAIN; an edge comes once, so that neither is ever a loop.
"""

from __future__ import annotations

import select
from typing import Protocol

import trio

# Bytes that one direction of a relay carries in a turn: about 2 ms.
MOST = 4 * 1024 * 1024
# The same where it must be little: what costs little more a byte than a whole block.
_LEAST = 16 * 1024
# Bytes of all relays in a turn: about 15 ms, and eight streams are not slowed.
_ALL = 32 * 1024 * 1024
# Sockets in a turn: with the least each, an eighth of that.
_SOCKETS = 256

_READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_WRITE = _READ | select.EPOLLOUT
# Something has come, or never will.
READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
# What comes has an end, or has ended.
HUNG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
# Something can be sent, or never will be.
WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR


class Told(Protocol):
    """What is told of its sockets."""

    def ready(self, fd: int, events: int, share: int) -> None:
        """Carry at most `share` bytes each way. It never waits and never raises."""


class Poller:
    """That of one run of trio: made by `poller`."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._told: dict[int, Told] = {}

    def watch(self, fd: int, told: Told) -> None:
        """Tell what can be read of a socket from now on, and what is there already. Raises OSError (ENOMEM,
        ENOSPC)."""
        self._epoll.register(fd, _READ)
        self._told[fd] = told

    def again(self, fd: int, writes: bool) -> None:
        """Tell of it anew where it is ready now, or when it becomes so; with `writes` that it takes bytes
        too. Raises OSError (ENOMEM)."""
        self._epoll.modify(fd, _WRITE if writes else _READ)

    def forget(self, fd: int) -> None:
        """Tell no more of a socket, which is then closed."""
        self._told.pop(fd, None)

    async def run(self) -> None:
        """Tell, until cancelled."""
        with self._epoll as epoll:
            while True:
                await trio.lowlevel.wait_readable(epoll.fileno())
                ready = epoll.poll(0, _SOCKETS)
                share = max(_LEAST, min(MOST, _ALL // (len(ready) or 1)))
                for fd, events in ready:
                    if (told := self._told.get(fd)) is not None:
                        told.ready(fd, events, share)


_poller: trio.lowlevel.RunVar[Poller] = trio.lowlevel.RunVar("libos.net poller")


def poller() -> Poller:
    """That of the run that this is called in."""
    try:
        return _poller.get()
    except LookupError:
        made = Poller()
        _poller.set(made)
        trio.lowlevel.spawn_system_task(made.run)
        return made
