"""The directories that a world's mount points need, and nothing else.

A skeleton is read-only for the app: creating, removing and renaming answer EROFS. A name that is not there
is ENOENT, reported each time with its absolute path in the world; the absence is never cached, so that
every attempt is seen and a node attached later is found at once. What is there is cached for long, and the
server is told when it changes.

Changing a skeleton while it is served is allowed, on the trio thread. Paths are absolute and clean
(b"/etc/hosts").
"""

from __future__ import annotations

import errno
import stat
import time
from collections.abc import Awaitable, Callable

from libos.fs.node import APP, STATIC, Attributes, Caller, Changed, Directory, File, Handle, Node, refusal

# What is told of names that were looked up and are not there; what it gives is awaited before the answer.
OnAbsent = Callable[[bytes], Awaitable[None] | None]


class Point(Directory):
    """One directory of a skeleton."""

    cache = STATIC

    def __init__(self, path: bytes, on_absent: OnAbsent) -> None:
        self.path = path
        self.children: dict[bytes, Node] = {}
        self._on_absent = on_absent
        self._changed = time.time_ns()

    def known(self) -> Attributes:
        links = 2 + sum(isinstance(child, Directory) for child in self.children.values())
        when = self._changed
        return Attributes(stat.S_IFDIR | 0o555, 0, links, *APP, atime=when, mtime=when, ctime=when)

    async def walk(self, name: bytes) -> Node:
        child = self.children.get(name)
        if child is None:
            await self.tell_absent(name)
            raise refusal(errno.ENOENT, name)
        return child

    async def tell_absent(self, name: bytes) -> None:
        """Tell that a name was looked up and is not there."""
        if (told := self._on_absent(join(self.path, name))) is not None:
            await told

    async def readdir(self) -> list[bytes]:
        return list(self.children)

    def put(self, name: bytes, node: Node | None) -> None:
        """Makes `name` lead to `node`, or to nothing."""
        if node is None:
            del self.children[name]
        else:
            self.children[name] = node
        self._changed = time.time_ns()

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        raise refusal(errno.EROFS, name)

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        raise refusal(errno.EROFS, name)

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        raise refusal(errno.EROFS, name)

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        raise refusal(errno.EROFS, name)

    async def link(self, name: bytes, node: Node) -> None:
        raise refusal(errno.EROFS, name)

    async def remove(self, name: bytes, *, directory: bool) -> None:
        raise refusal(errno.EROFS, name)

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        raise refusal(errno.EROFS, name)


class Placeholder(File):
    """An empty file for a mount to stand on. Nobody can open it: what is not mounted cannot be read."""

    cache = STATIC

    def __init__(self) -> None:
        now = time.time_ns()
        self._attributes = Attributes(stat.S_IFREG, 0, 1, *APP, atime=now, mtime=now, ctime=now)

    def known(self) -> Attributes:
        return self._attributes


class Skeleton(Point):
    """The root of a world: a tree of mount points, made and changed by `attach`, `placeholder` and `detach`.

    `on_absent(path)` is called on the trio thread for every name that was looked up and is not there, with
    the absolute path in the world. What it gives is awaited before the app has its answer: so an app can be
    held up that looks up names faster than events are read.
    """

    def __init__(self, on_absent: OnAbsent) -> None:
        super().__init__(b"/", on_absent)
        self._listeners: list[Changed] = []

    def watch(self, changed: Changed) -> None:
        self._listeners.append(changed)

    def attach(self, path: bytes, node: Node) -> None:
        """Serves `node` at `path`, with the directories on the way, in place of what stood there.
        ValueError if the path is not absolute and clean or is "/", NotADirectoryError if it leads through
        something that is not a directory of this skeleton."""
        parent, name = self._parent(path)
        replaced = name in parent.children
        parent.put(name, node)
        if isinstance(node, Directory):
            node.watch(self._pass_on(path, parent, name, node))
        self._tell(path if replaced else parent.path, replaced)

    def placeholder(self, path: bytes, directory: bool) -> None:
        """Something for a kernel mount to stand on: an empty directory or an empty file. Leaves a directory
        that is there already. Errors as `attach`; FileExistsError if what is there is of the other kind."""
        if path == b"/" and directory:
            return
        parent, name = self._parent(path)
        present = parent.children.get(name)
        if present is None:
            node = Point(join(parent.path, name), self._on_absent) if directory else Placeholder()
            parent.put(name, node)
            self._tell(parent.path, False)
        elif isinstance(present, Directory) != directory:
            raise FileExistsError(errno.EEXIST, "the mount point is of the other kind", path)

    def has(self, path: bytes) -> bool:
        """Whether something stands at an absolute, clean path of the skeleton."""
        here: Node | None = self
        for name in components(path):
            here = here.children.get(name) if isinstance(here, Point) else None
        return here is not None

    def swap(self, path: bytes, node: Node) -> None:
        """Serves `node` at `path` in place of what stands there, and tells nobody: what the kernel knows of
        it is the new node's already, and a kernel mount stays on it."""
        parent, name = self._parent(path)
        parent.put(name, node)

    def detach(self, path: bytes) -> None:
        """Takes away what stands at `path`, whole; the directories on the way stay. FileNotFoundError if
        nothing does. A kernel mount on it is taken away with it."""
        parent, name = self._parent(path)
        if name not in parent.children:
            raise FileNotFoundError(errno.ENOENT, "nothing is attached there", path)
        parent.put(name, None)
        self._tell(path, True)

    def _parent(self, path: bytes) -> tuple[Point, bytes]:
        """The directory that holds the last name of a path, made where it is missing."""
        names = components(path)
        if not names:
            raise ValueError("the root itself cannot be replaced")
        here: Point = self
        for name in names[:-1]:
            below = here.children.get(name)
            if below is None:
                below = Point(join(here.path, name), self._on_absent)
                here.put(name, below)
            if not isinstance(below, Point):
                raise NotADirectoryError(errno.ENOTDIR, "not a directory of the skeleton", path)
            here = below
        return here, names[-1]

    def _pass_on(self, at: bytes, parent: Point, name: bytes, node: Node) -> Changed:
        """Tells of the changes of a tree for as long as it is attached."""

        def changed(path: bytes, gone: bool) -> None:
            if parent.children.get(name) is node:
                self._tell(at + b"/" + path if path else at, gone)

        return changed

    def _tell(self, path: bytes, gone: bool) -> None:
        for changed in self._listeners:
            changed(path[1:], gone)


def components(path: bytes) -> list[bytes]:
    """The names of an absolute, clean path; ValueError for any other."""
    names = path.split(b"/")[1:] if path.startswith(b"/") else []
    if names == [b""] and path == b"/":
        return []
    if not names or any(name in (b"", b".", b"..") for name in names) or b"\0" in path:
        raise ValueError(f"not an absolute, clean path: {path!r}")
    return names


def join(directory: bytes, name: bytes) -> bytes:
    """The path of a name in a directory whose path is absolute."""
    return (b"" if directory == b"/" else directory) + b"/" + name
