"""Faults at the steps of a launch and of its end, put into libos's processes from outside of it.

Rules:
- libos knows nothing of this: its functions are exchanged for ones that look at a page of memory first. The
  keeper's are exchanged by an entry of the tests' own (entry.py), the supervisor's by supervised.py.
- The page is a file that is mapped and shared: a mapping survives fork(2), a change of root and the closing
  of all descriptors. The test writes into it which step is meant, and reads that the step was reached.
- A step is met once: right before its function, by the first process that comes to it.
- Standard library only, and it polls while it holds a process: nothing else reaches a process of a world.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import mmap
import os
import resource
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# The process that met it, by its number in its own pid namespace; step, fault, and last the state, since it
# says that the others stand.
_LAYOUT = struct.Struct("=iiii")
IDLE, ARMED, MET, GO_ON = range(4)
# What a process that met its step does: wait to be told to go on (and be killed or stopped meanwhile); do the
# step without a free descriptor; do it without any more address space; be told that there is no memory.
HOLD, DESCRIPTORS, ADDRESSES, MEMORY = FAULTS = range(4)
# Seconds between two looks of a process that is held.
_TICK = 0.001


class Page:
    """The shared page."""

    def __init__(self, path: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.ftruncate(fd, _LAYOUT.size)
        self._memory = mmap.mmap(fd, _LAYOUT.size)
        os.close(fd)

    def read(self) -> tuple[int, int, int, int]:
        """Step, fault, state, process."""
        process, step, fault, state = _LAYOUT.unpack(self._memory[:])
        return step, fault, state, process

    def write(self, step: int, fault: int, state: int, process: int = 0) -> None:
        self._memory[:] = _LAYOUT.pack(process, step, fault, state)

    def meets(self, number: int) -> int | None:
        """The fault, where this is the step that is meant; it is met by that."""
        step, fault, state, _ = self.read()
        if step != number or state != ARMED:
            return None
        self.write(step, fault, MET, os.getpid())
        return fault


def install(page: Page, steps: list[str]) -> None:
    """Exchange the function of each step, "libos.module:Class.function"; none where it is empty."""
    for number, step in enumerate(steps):
        if not step:
            continue
        module, _, path = step.partition(":")
        *owners, name = path.split(".")
        owner = functools.reduce(getattr, owners, importlib.import_module(module))
        setattr(owner, name, _watched(page, number, getattr(owner, name)))


def _watched(page: Page, number: int, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        fault = page.meets(number)
        if fault is None:
            return function(*arguments, **named)
        if fault == HOLD:
            while page.read()[2] == MET:
                time.sleep(_TICK)
            return function(*arguments, **named)
        if fault == MEMORY:
            raise MemoryError("no memory is left")
        if inspect.iscoroutinefunction(function):
            return _exhausted(fault, function, *arguments, **named)
        with _limited(fault):
            return function(*arguments, **named)

    return run


async def _exhausted(fault: int, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    with _limited(fault):
        return await function(*arguments, **named)


@contextmanager
def _limited(fault: int) -> Iterator[None]:
    """Nothing more of a kind may be had: setrlimit(2)."""
    kind = resource.RLIMIT_NOFILE if fault == DESCRIPTORS else resource.RLIMIT_AS
    before = resource.getrlimit(kind)
    resource.setrlimit(kind, (_next_descriptor() if fault == DESCRIPTORS else _addresses(), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(kind, before)


def _next_descriptor() -> int:
    fd = os.dup(0)
    os.close(fd)
    return fd


def _addresses() -> int:
    """Bytes of address space in use, where /proc is there to tell; proc_pid_statm(5)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * mmap.PAGESIZE
    except OSError:
        return 1 << 20
