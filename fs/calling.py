"""Calling what the user of libos wrote: a function, sync or async, with or without a word of who asks.

- A coroutine function runs on the trio thread, any other in a worker thread, so it may block. Each function
  has THREADS threads of its own: one whose calls hang holds up no other.
- A function that takes one argument more than it is given gets the `Caller` as its last.
- A thread cannot be cancelled: its call is left to end by itself, and nobody waits for it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable
from typing import Any, cast

import trio

from libos.fs.node import Caller

# Calls of one function in threads at once, as many as trio has for all by default; the next ones wait.
THREADS = 40

Content = str | bytes
# Nobody who could be named: an operation that comes without its caller.
NONE = Caller()


class Function:
    """A function of `count` arguments, or of one more where `asked`: the caller. TypeError for any other,
    before it is called. `what` names it in messages: "a sink's function"."""

    def __init__(self, function: Callable[..., Any], count: int, what: str, *, asked: bool = True) -> None:
        if not callable(function):
            raise TypeError(f"{what} is to be callable, and {type(function).__name__} is not")
        self._function = function
        self._what = what
        self._caller_too = _takes_caller(function, count, asked, what)
        self._threads: dict[trio.lowlevel.TrioToken, trio.CapacityLimiter] = {}

    async def __call__(self, *arguments: object, caller: Caller = NONE) -> object:
        """Its result, wherever it has to run. Raises what it raises."""
        given = (*arguments, caller) if self._caller_too else arguments
        function = self._function
        if is_async(function):
            return await function(*given)
        # In a tuple, since trio lets no coroutine out of a thread, and a lambda may give one.
        (result,) = await trio.to_thread.run_sync(
            lambda: (function(*given),), abandon_on_cancel=True, limiter=self._limiter()
        )
        return await result if inspect.isawaitable(result) else result

    def _limiter(self) -> trio.CapacityLimiter:
        """This run's: a thread that outlives its run never gives its place back."""
        run = trio.lowlevel.current_trio_token()
        if run not in self._threads:
            self._threads = {run: trio.CapacityLimiter(THREADS)}
        return self._threads[run]

    def start(self, caller: Caller) -> object:
        """What calling an async generator function gives: nothing of it runs yet."""
        return self._function(*((caller,) if self._caller_too else ()))

    @property
    def generates(self) -> bool:
        """Whether it is an async generator function."""
        return any(map(inspect.isasyncgenfunction, (self._function, _call_of(self._function))))

    def wrong(self, result: object, expected: str) -> TypeError:
        """The error of a result that is not what it has to be."""
        return TypeError(f"{self._what} returns {expected}, not {type(result).__name__}")


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return any(map(inspect.iscoroutinefunction, (function, _call_of(function))))


def _call_of(function: Callable[..., Any]) -> Callable[..., Any]:
    return cast("Callable[..., Any]", getattr(type(function), "__call__", function))  # noqa: B004 - not a test


def _takes_caller(function: Callable[..., Any], count: int, asked: bool, what: str) -> bool:
    """Whether a function wants one argument more than `count`. Those with defaults do not count."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False  # a builtin that does not say
    places = [each for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    needed = sum(each.default is each.empty for each in places)
    named = [
        each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty
    ]
    enough = len(places) >= count or any(each.kind is each.VAR_POSITIONAL for each in parameters)
    if named or not enough or needed > count + asked:
        number = ("no argument", "one argument")[count]
        more = ", and one more where it wants to know the caller" if asked else ""
        raise TypeError(f"{what} takes {number}{more}")
    return needed == count + 1


def as_bytes(content: object, what: str) -> bytes:
    """Text in UTF-8, bytes as they are, TypeError for all else."""
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    raise TypeError(f"{what} str or bytes, not {type(content).__name__}")


def as_names(names: object, what: str) -> list[bytes]:
    """Names of files as bytes; TypeError for what is no collection of names. Whether each can stand in a
    directory is checked where it is served."""
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(f"{what} names, not {type(names).__name__}")
    return [as_name(name, what) for name in names]


def as_name(name: object, what: str) -> bytes:
    """One name; TypeError for what is neither str nor bytes."""
    if not isinstance(name, str | bytes):
        raise TypeError(f"{what} names of str or bytes, not {type(name).__name__}")
    return os.fsencode(name)
