"""A directory whose entries are computed, and a symbolic link whose target is.

- The names are asked for at each listing, an entry at each lookup: what vanished is ENOENT from then on.
- An entry that is text or bytes is a file; its content is asked for anew at each open.
- An entry is the same file for as long as somebody holds it and it has one kind, even where the function
  makes a new node each time.
- A mapping of many entries answers lookups and opens for ten times as long as making it took, and for a
  second at most: a listing, which the kernel follows with a lookup of each, does not make it over and over.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import trio

from libos.fs.calling import Content, Function, as_bytes, as_name, as_names
from libos.fs.checks import checked_names
from libos.fs.node import APP, Attributes, Caller, Directory, Handle, Node, Symlink, refusal
from libos.fs.program import ProgramFile, fixed
from libos.fs.synthetic import Snapshot

# Entries of a mapping up to which each lookup makes it anew, and sees what is there at that moment.
FEW = 100
# How long a larger one is used: so many times what it took to make, and so many seconds at most.
TIMES = 10.0
FRESH_MAX = 1.0

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
    not listed. A mapping of more than 100 entries may be used again for up to a second. Async functions run
    on the trio thread, others in worker threads; while a lookup waits, others in this directory wait with it.
    An OSError is the errno of the lookup or listing, anything else, or a result of another type, EIO and a
    fault event. A listing leaves out what is gone when its turn comes.
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
        self._made: dict[bytes, object] = {}
        self._fresh_until = -math.inf

    def known(self) -> Attributes:
        return self._attributes

    async def readdir(self) -> list[bytes]:
        given = await self._ask()
        names = list(given) if isinstance(given, dict) else as_names(given, "a directory's function returns")
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

    async def value(self, name: bytes) -> object:
        """What the functions give for a name."""
        if self._entry is not None:
            return await self._entry(os.fsdecode(name))
        if trio.current_time() >= self._fresh_until:
            given = await self._ask()
            if not isinstance(given, dict):
                raise self._entries.wrong(given, "a mapping, unless an entry function is given")
        return self._made.get(name)

    async def _ask(self) -> object:
        """What `entries` gives; a mapping as a dict with names of bytes, which is kept."""
        began = trio.current_time()
        given = await self._entries()
        if not isinstance(given, Mapping):
            return given
        made = {as_name(name, "a directory has"): value for name, value in given.items()}
        now = trio.current_time()
        self._made, self._fresh_until = made, now
        if len(made) > FEW:
            self._fresh_until += min(TIMES * (now - began), FRESH_MAX)
        return made


class EntryFile(ProgramFile):
    """An entry that is text or bytes."""

    def __init__(self, directory: ComputedDirectory, name: bytes, owner: tuple[int, int]) -> None:
        super().__init__(0o444, owner, directory.deadline)
        self._directory = directory
        self._name = name

    async def open(self, flags: int, caller: Caller) -> Handle:
        self.refuse_other_than(os.O_RDONLY, flags)
        value = await self._directory.value(self._name)
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
