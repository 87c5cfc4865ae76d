"""Files that Python code answers: text, bytes, the result of a function, a symbolic link.

Text, data and symbolic links never change, so the kernel keeps them: after the first read no request arrives.
A function is called at each open; every read of that open sees that one result, and its size is 0 unless it
is told, as in proc(5).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Awaitable, Callable

from libos.fs.calling import Content, Function, as_bytes
from libos.fs.node import (
    APP,
    STATIC,
    TARGET_MAX,
    Attributes,
    Caller,
    File,
    Handle,
    Node,
    ReportedError,
    Symlink,
    refusal,
)
from libos.fs.program import ProgramFile, fixed


def text(content: str, *, mode: int = 0o444, owner: tuple[int, int] = APP) -> Node:
    """A read-only file of this text in UTF-8. `mode` has the permission bits, `owner` is (uid, gid) in the
    world. UnicodeEncodeError for lone surrogates. Opening it for writing is EACCES."""
    return Constant(content.encode(), mode, owner)


def data(content: bytes, *, mode: int = 0o444, owner: tuple[int, int] = APP) -> Node:
    """A read-only file of these bytes; otherwise as `text`."""
    return Constant(bytes(content), mode, owner)


def function(
    produce: Callable[..., Content | Awaitable[Content]],
    *,
    mode: int = 0o444,
    owner: tuple[int, int] = APP,
    deadline: float | None = None,
    size: int | None = None,
) -> Node:
    """A read-only file whose content is what `produce()` returns, called anew at each open; `produce(caller)`
    where it takes an argument.

    A coroutine function runs on the trio thread; any other callable runs in a worker thread, so it may
    block, and several calls may run at once. `deadline`: seconds until the open is answered with ETIMEDOUT
    (None: the server's limit, math.inf: none). An OSError passes to the program as its errno; any other
    exception, or a result that is neither str nor bytes, is EIO and a fault event. When the program is
    killed the call is cancelled; a thread that cannot be cancelled is left to finish by itself.

    `size` is what stat(2) shows (0 unless given) and the most that `produce` may return, as in sysfs(5): more
    is EIO and a fault event, for a content that was cut would look whole.
    """
    return Computed(Function(produce, 0, "a served function"), mode, owner, deadline, size)


def symlink(target: str | bytes, *, owner: tuple[int, int] = APP) -> Node:
    """A symbolic link; the target is resolved in the world of who follows it. ValueError if it is empty,
    longer than 4095 bytes or holds NUL."""
    raw = os.fsencode(target)
    if not 0 < len(raw) <= TARGET_MAX or b"\0" in raw:
        raise ValueError(f"a link's target has 1 to {TARGET_MAX} bytes and no NUL, not {target!r}")
    return ConstantLink(raw, owner)


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
        self._attributes = fixed(stat.S_IFREG | stat.S_IMODE(mode), len(content), owner)

    def known(self) -> Attributes:
        return self._attributes

    async def open(self, flags: int, caller: Caller) -> Handle:
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            raise refusal(errno.EACCES)
        return Snapshot(self._content)


class Computed(ProgramFile):
    """See `function`."""

    def __init__(
        self,
        produce: Function,
        mode: int,
        owner: tuple[int, int],
        deadline: float | None = None,
        size: int | None = None,
    ) -> None:
        super().__init__(mode, owner, deadline, size or 0)
        self._produce = produce
        self._size = size

    async def open(self, flags: int, caller: Caller) -> Handle:
        self.refuse_other_than(os.O_RDONLY, flags)
        content = as_bytes(await self._produce(caller=caller), "a served function returns")
        if self._size is not None and len(content) > self._size:
            text = f"a served function returned {len(content)} bytes, more than its size of {self._size}"
            raise ReportedError(errno.EIO, text)
        return Snapshot(content)


class ConstantLink(Symlink):
    """See `symlink`."""

    cache = STATIC

    def __init__(self, target: bytes, owner: tuple[int, int]) -> None:
        self._target = target
        self._attributes = fixed(stat.S_IFLNK | 0o777, len(target), owner)

    def known(self) -> Attributes:
        return self._attributes

    async def readlink(self) -> bytes:
        return self._target
