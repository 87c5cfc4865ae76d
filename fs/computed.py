"""A directory whose entries are computed, and a symbolic link whose target is.

- The names are asked for at each listing, an entry at each lookup: what vanished is ENOENT from then on.
- An entry that is text or bytes is a file; its content is asked for anew at each open.
- An entry is the same file for as long as somebody holds it and it has one kind, even where the function
  makes a new node each time.
- A listing of what `entries` gives as a mapping serves one lookup of each name that follows, so that listing
  many does not ask many times.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from libos.fs.calling import Content, Function, as_bytes, as_name, as_names
from libos.fs.checks import checked_names
from libos.fs.node import APP, Attributes, Caller, Directory, Handle, Node, Symlink, refusal
from libos.fs.program import ProgramFile, fixed
from libos.fs.synthetic import Snapshot

# Seconds for which a listing answers lookups: those that the kernel makes with it come within much less.
FRESH = 1.0

Entry = Node | Content | None
Entries = Mapping[Any, Any] | Iterable[Any]


def directory(
    entries: Callable[..., Entries | Awaitable[Entries]],
    entry: Callable[..., Entry | Awaitable[Entry]] | None = None,
    *,
    mode: int = 0o555,
    owner: tuple[int, int] = APP,
    deadline: float | None = None,
) -> Node:
    """A directory of what `entries()` gives: a mapping of names to entries, or names alone, for each of which
    `entry(name)` then gives the entry. Names are str (or bytes), as os.fsencode has them; `entry` gets str.

    An entry is a node, or str or bytes (a read-only file), or None: ENOENT. `entry` may know names that are
    not listed. Async functions run on the trio thread, others in worker threads; while a lookup waits, others
    in this directory wait with it. An OSError is the errno of the lookup or listing, anything else, or a
    result of another type, EIO and a fault event. A listing leaves out what is gone when its turn comes.
    """
    named = None if entry is None else Function(entry, 1, "a directory's entry function", asked=False)
    return ComputedDirectory(
        Function(entries, 0, "a directory's function", asked=False), named, mode, owner, deadline
    )


def link(
    target: Callable[..., Content | Awaitable[Content]],
    *,
    owner: tuple[int, int] = APP,
    deadline: float | None = None,
) -> Node:
    """A symbolic link to what `target()` returns, asked each time it is followed or read. 1 to 4095 bytes
    without NUL; anything else is EIO and a fault event. Errors as for `synthetic.function`."""
    return ComputedLink(Function(target, 0, "a link's function", asked=False), owner, deadline)


class ComputedDirectory(Directory):
    """See `directory`."""

    def __init__(
        self,
        entries: Function,
        entry: Function | None,
        mode: int,
        owner: tuple[int, int],
        deadline: float | None,
    ) -> None:
        self._entries = entries
        self._entry = entry
        self._owner = owner
        self._attributes = fixed(stat.S_IFDIR | stat.S_IMODE(mode), 0, owner)._replace(links=2)
        self.deadline = deadline
        self._held: WeakValueDictionary[bytes, Node] = WeakValueDictionary()
        self._listed: dict[bytes, object] = {}
        self._listed_at = 0.0

    def known(self) -> Attributes:
        return self._attributes

    async def readdir(self) -> list[bytes]:
        given = await self._all()
        names = (
            list(given) if isinstance(given, Mapping) else as_names(given, "a directory's function returns")
        )
        self._listed = dict(given) if isinstance(given, Mapping) else {}
        self._listed_at = time.monotonic()
        checked_names(names)
        return list(dict.fromkeys(names))

    async def walk(self, name: bytes) -> Node:
        value = await self.value(name)
        held = self._held.get(name)
        if isinstance(value, Node):
            node = value if held is None or held.kind != value.kind or isinstance(held, EntryFile) else held
        elif value is None:
            self._held.pop(name, None)
            raise refusal(errno.ENOENT, name)
        else:
            as_bytes(value, "a directory's entry is a node,")
            node = held if isinstance(held, EntryFile) else EntryFile(self, name, self._owner)
        self._held[name] = node
        return node

    async def value(self, name: bytes, *, fresh: bool = False) -> object:
        """What the functions give for a name; `fresh`: not from a listing."""
        if not fresh and time.monotonic() - self._listed_at < FRESH and name in self._listed:
            return self._listed.pop(name)
        if self._entry is not None:
            return await self._entry(os.fsdecode(name))
        given = await self._all()
        if not isinstance(given, Mapping):
            raise self._entries.wrong(given, "a mapping, unless an entry function is given,")
        return given.get(name)

    async def _all(self) -> object:
        """What `entries` gives, with a mapping's names as bytes."""
        given = await self._entries()
        if isinstance(given, Mapping):
            return {as_name(name, "a directory has"): value for name, value in given.items()}
        return given


class EntryFile(ProgramFile):
    """An entry that is text or bytes."""

    def __init__(self, directory: ComputedDirectory, name: bytes, owner: tuple[int, int]) -> None:
        super().__init__(0o444, owner, directory.deadline)
        self._directory = directory
        self._name = name

    async def open(self, flags: int, caller: Caller) -> Handle:
        self.refuse_other_than(os.O_RDONLY, flags)
        value = await self._directory.value(self._name, fresh=True)
        if value is None or isinstance(value, Node):
            raise refusal(errno.ESTALE)
        return Snapshot(as_bytes(value, "a directory's entry is a node,"))


class ComputedLink(Symlink):
    """See `link`."""

    def __init__(self, target: Function, owner: tuple[int, int], deadline: float | None) -> None:
        self._target = target
        self._attributes = fixed(stat.S_IFLNK | 0o777, 0, owner)
        self.deadline = deadline

    def known(self) -> Attributes:
        return self._attributes

    async def readlink(self) -> bytes:
        target = await self._target()
        if isinstance(target, str):
            return os.fsencode(target)
        return as_bytes(target, "a link's function returns")
