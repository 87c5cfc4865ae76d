"""Who forks a world's programs: a thread of init behind the world's own layer of Landlock (second.py).

Landlock's layers are a thread's and go to what it forks (landlock(7)), and init must not be behind one: it
mounts. So one thread goes behind the layer and does nothing but fork. All programs of the world, whenever
they start, are behind that one layer then: they signal each other and meet at abstract sockets, and nobody
else's.

Rules:
- Init waits while the thread forks, so never do two threads run: what a child finds is what init left.
- The child is init's, as if init had forked it: wait(2) is a process's, not a thread's.
- The thread is made while init is on the app's side of the network, and never moves.
"""

from __future__ import annotations

import _thread
import errno
import os
from collections.abc import Callable

from libos.kernel import landlock

# What a child does; it never returns.
Become = Callable[[], None]


class Starter:
    """`fork` starts a child that becomes something else. Without a ruleset it is os.fork(2) and no more."""

    def __init__(self, ruleset_fd: int | None) -> None:
        """Takes the descriptor over. Raises OSError where the thread cannot be made, or go behind it."""
        self._threaded = ruleset_fd is not None
        if ruleset_fd is None:
            return
        self._work: Callable[[], int]
        self._wanted, self._done = _thread.allocate_lock(), _thread.allocate_lock()
        self._wanted.acquire()
        self._done.acquire()
        self._answer: int | OSError | MemoryError = 0
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, "a thread of init: the limit of processes is reached") from error
        self._ask(lambda: _go_behind(ruleset_fd))
        os.close(ruleset_fd)

    def fork(self, become: Become) -> int:
        """Fork a child that calls `become`, and give its pid. Raises OSError."""
        return self._ask(lambda: _fork(become)) if self._threaded else _fork(become)

    def _ask(self, work: Callable[[], int]) -> int:
        self._work = work
        self._wanted.release()
        self._done.acquire()
        if isinstance(self._answer, int):
            return self._answer
        raise self._answer

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            try:
                self._answer = self._work()
            except (OSError, MemoryError) as error:
                self._answer = error
            self._done.release()


def _fork(become: Become) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            become()
        finally:
            os._exit(127)
    return pid


def _go_behind(ruleset_fd: int) -> int:
    landlock.restrict_self(ruleset_fd)
    return 0
