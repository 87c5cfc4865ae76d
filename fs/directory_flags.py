"""What pyfuse3's opendir has no word for: the kernel may keep a listing, and answer the next ones by itself.

libfuse takes that by two bits of struct fuse_file_info (`cache_readdir` and `keep_cache`, FOPEN_CACHE_DIR and
FOPEN_KEEP_CACHE in linux/fuse.h); pyfuse3 sets them for no directory. How they get there:

- pyfuse3 puts what it knows of a request into a `_Container`, a copy of libfuse's struct with it, calls its
  module's function `fuse_opendir_async` with that, and hands the same struct to libfuse's fuse_reply_open
  when our handler has returned. It looks the function up in the module each time, so another one can stand
  in front of it, as another trio does (libos.fs.eager): it notes the container and calls the first one.
- The handler begins before anything else runs (all of it is on the trio thread), so what was noted last is
  its own request. It sets the bits in the container's memory, where the struct begins.

Nothing is believed of that memory. What kind of object the container is, and its size, is looked at once;
for each request the inode's number must stand where it has to, and the bits and the handle must be as clear
as libfuse leaves them. Where anything is not so, no bit is set: each listing is then asked for, as without
this file. To replace fuse_reply_open for the extension module (in its global offset table, or by a library
that is preloaded) would rest on less of pyfuse3, and on the linker, its protections and the machine instead.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeGuard

# Bits of the second word of struct fuse_file_info, as compilers lay bit fields out on little-endian machines:
# libfuse's include/fuse_common.h, the same since 3.5; to older ones the second is padding.
KEEP_CACHE = 1 << 2
CACHE_READDIR = 1 << 6

# What comes before the struct: the object's head, and a device number.
_BEFORE = object.__basicsize__ + 8
# Bytes of the struct, after which the inode's number comes: until libfuse 3.16, and from 3.17 on.
_SIZES = (40, 64)


class _Beginning(ctypes.Structure):
    """How struct fuse_file_info begins."""

    _fields_ = (
        ("flags", ctypes.c_int32),
        ("bits", ctypes.c_uint32),
        ("padding", ctypes.c_uint64),
        ("handle", ctypes.c_uint64),
    )


class Request:
    """One opendir that is being answered; `container` is pyfuse3's."""

    __slots__ = ("_container",)

    def __init__(self, container: object) -> None:
        self._container = container

    def set(self, bits: int, number: int) -> bool:
        """Has the reply about the inode `number` carry these bits; False, and nothing done, where the memory
        is not as expected. Only until the handler returns."""
        start = id(self._container) + _BEFORE
        info = _Beginning.from_address(start)
        numbers = [ctypes.c_uint64.from_address(start + size).value for size in _SIZES]
        if info.bits or info.padding or info.handle or number not in numbers:
            return False
        info.bits = bits
        return True


class _Noting:
    """Stands in front of pyfuse3's function. `kind` is the container's class."""

    latest: Request | None = None

    def __init__(self, first: Callable[[object], Any], kind: type) -> None:
        self._first = first
        self._kind = kind

    def __call__(self, container: object) -> Any:
        _Noting.latest = Request(container) if type(container) is self._kind else None
        return self._first(container)


def stand_before(pyfuse3: ModuleType) -> None:
    """Notes each opendir of pyfuse3 from now on. Does nothing the second time, nor where pyfuse3 is not as
    expected."""
    first = getattr(pyfuse3, "fuse_opendir_async", None)
    kind = getattr(pyfuse3, "_Container", None)
    if callable(first) and not isinstance(first, _Noting) and _as_expected(kind):
        pyfuse3.fuse_opendir_async = _Noting(first, kind)  # type: ignore[attr-defined]


def taken() -> Request | None:
    """The opendir whose handler was called just now, if its reply can carry more. To be asked before the
    handler waits."""
    request, _Noting.latest = _Noting.latest, None
    return request


def _as_expected(kind: object) -> TypeGuard[type]:
    """Whether the container's objects are their own fields and nothing else, and have those looked at."""
    return (
        sys.implementation.name == "cpython"
        and sys.byteorder == "little"
        and isinstance(kind, type)
        and kind.__base__ is object
        and kind.__itemsize__ == 0
        and kind.__basicsize__ >= _BEFORE + max(_SIZES) + 8
    )
