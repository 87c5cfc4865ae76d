"""Files that Python code answers: text, bytes, the result of a function, a symbolic link.

Text, data and symbolic links never change, so the kernel keeps them: after the first read no request arrives.
A function is called at each open; every read of that open sees that one result, and its size is 0 until it is
read, as in proc(5).
"""

from __future__ import annotations

import errno
import inspect
import os
import stat
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import trio

from libos.fs.node import (
    APP,
    STATIC,
    STREAM,
    TARGET_MAX,
    Attributes,
    Caller,
    File,
    Handle,
    Node,
    Symlink,
    refusal,
)

Content = str | bytes


def text(content: str, *, mode: int = 0o444, owner: tuple[int, int] = APP) -> Node:
    """A read-only file of this text in UTF-8. `mode` has the permission bits, `owner` is (uid, gid) in the
    world. UnicodeEncodeError for lone surrogates. Opening it for writing is EACCES."""
    return Constant(content.encode(), mode, owner)


def data(content: bytes, *, mode: int = 0o444, owner: tuple[int, int] = APP) -> Node:
    """A read-only file of these bytes; otherwise as `text`."""
    return Constant(bytes(content), mode, owner)


def function(
    produce: Callable[[], Content | Awaitable[Content]],
    *,
    mode: int = 0o444,
    owner: tuple[int, int] = APP,
    deadline: float | None = None,
) -> Node:
    """A read-only file whose content is what `produce()` returns, called anew at each open.

    A coroutine function runs on the trio thread; any other callable runs in a worker thread, so it may
    block, and several calls may run at once. `deadline`: seconds until the open is answered with ETIMEDOUT
    (None: the server's limit, math.inf: none). An OSError passes to the program as its errno; any other
    exception, or a result that is neither str nor bytes, is EIO and a fault event. When the program is
    killed the call is cancelled; a thread that cannot be cancelled is left to finish by itself.
    """
    return Computed(produce, mode, owner, deadline)


def symlink(target: str | bytes, *, owner: tuple[int, int] = APP) -> Node:
    """A symbolic link; the target is resolved in the world of who follows it. ValueError if it is empty,
    longer than 4095 bytes or holds NUL."""
    raw = os.fsencode(target)
    if not 0 < len(raw) <= TARGET_MAX or b"\0" in raw:
        raise ValueError(f"a link's target has 1 to {TARGET_MAX} bytes and no NUL, not {target!r}")
    return ConstantLink(raw, owner)


def _fixed(mode: int, size: int, owner: tuple[int, int]) -> Attributes:
    """Attributes of something made now that does not change."""
    now = time.time_ns()
    blocks = (size + 511) // 512
    return Attributes(mode, size, 1, *owner, atime=now, mtime=now, ctime=now, blocks=blocks)


def _refuse_writing(flags: int) -> None:
    """EACCES, as open(2) says for a file that one may only read."""
    if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
        raise refusal(errno.EACCES)


class Snapshot(Handle):
    """An open file whose bytes are all there."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def read(self, offset: int, size: int) -> bytes:
        return self._content[offset : offset + size]


class Constant(File):
    """See `data`."""

    cache = STATIC

    def __init__(self, content: bytes, mode: int, owner: tuple[int, int]) -> None:
        self._content = content
        self._attributes = _fixed(stat.S_IFREG | stat.S_IMODE(mode), len(content), owner)

    def known(self) -> Attributes:
        return self._attributes

    async def open(self, flags: int, caller: Caller) -> Handle:
        _refuse_writing(flags)
        return Snapshot(self._content)


class Computed(File):
    """See `function`."""

    cache = STREAM

    def __init__(
        self,
        produce: Callable[[], Content | Awaitable[Content]],
        mode: int,
        owner: tuple[int, int],
        deadline: float | None,
    ) -> None:
        self._produce = produce
        self._attributes = _fixed(stat.S_IFREG | stat.S_IMODE(mode), 0, owner)
        self.deadline = deadline

    def known(self) -> Attributes:
        return self._attributes

    async def open(self, flags: int, caller: Caller) -> Handle:
        _refuse_writing(flags)
        return Snapshot(_as_bytes(await self._call()))

    async def _call(self) -> object:
        """The function's result, wherever it has to run."""
        produce = cast("Callable[[], Any]", self._produce)
        if any(map(inspect.iscoroutinefunction, (produce, type(produce).__call__))):
            return await produce()
        # In a tuple, since trio lets no coroutine out of a thread, and a lambda may give one.
        (result,) = await trio.to_thread.run_sync(lambda: (produce(),), abandon_on_cancel=True)
        return await result if inspect.isawaitable(result) else result


def _as_bytes(content: object) -> bytes:
    """Text in UTF-8, bytes as they are, TypeError for all else."""
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    raise TypeError(f"a served function returns str or bytes, not {type(content).__name__}")


class ConstantLink(Symlink):
    """See `symlink`."""

    cache = STATIC

    def __init__(self, target: bytes, owner: tuple[int, int]) -> None:
        self._target = target
        self._attributes = _fixed(stat.S_IFLNK | 0o777, len(target), owner)

    def known(self) -> Attributes:
        return self._attributes

    async def readlink(self) -> bytes:
        return self._target
