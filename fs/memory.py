"""A writable tree in memory that behaves as tmpfs(5) does.

- Bytes of content, names and extended attributes, and the number of nodes, are counted against the tree's
  limits: ENOSPC beyond them. What is removed but still open counts until it is closed.
- Times: a change of content sets mtime and ctime, a change of anything else ctime; reading does not set
  atime.
- Writing, truncating and changing the owner clear set-user-id and set-group-id bits, as for anybody without
  CAP_FSETID (chown(2), write(2)).
- Everything is done at once, without a checkpoint, so each operation is atomic.

The kernel caches the tree for long, since every change comes through it. Who changes the tree by calling
nodes while it is served tells the server (`Attachment.invalidate`); the server itself keeps two worlds that
share a tree coherent.
"""

from __future__ import annotations

import errno
import stat
import weakref

from libos.fs.memory_nodes import Budget, MemoryFile, MemoryHandle, MemoryLink, MemoryNode, MemorySpecial
from libos.fs.node import APP, Caller, Directory, Handle, Node, refusal

# renameat2(2), linux/fs.h
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
# What a directory says is its size, and what one name costs: as ext4 has it.
DIRECTORY_SIZE = 4096
NAME_COST = 64


def memory_tree(
    *,
    limit_bytes: int = 256 << 20,
    limit_nodes: int = 100_000,
    mode: int = 0o755,
    owner: tuple[int, int] = APP,
) -> Directory:
    """The root of a new, empty tree. `limit_bytes` of content, names and attributes; `limit_nodes` files of
    any kind, the root among them. `mode` and `owner` are the root's."""
    return MemoryDirectory(Budget(limit_bytes, limit_nodes), mode, owner)


class MemoryDirectory(MemoryNode, Directory):
    """A directory. `parent` is None for the root and for a directory that was removed."""

    def __init__(self, budget: Budget, mode: int, owner: tuple[int, int]) -> None:
        super().__init__(budget, mode, owner)
        self.links = 2
        self.children: dict[bytes, MemoryNode] = {}
        # How often a name was put or taken away.
        self.moves = 0
        self.removed = False
        self.parent: weakref.ref[MemoryDirectory] | None = None

    def size(self) -> int:
        return DIRECTORY_SIZE

    def held(self) -> int:
        return 0

    def cost(self) -> int:
        names = getattr(self, "children", ())
        return super().cost() + sum(NAME_COST + len(name) for name in names)

    # --- looking

    async def walk(self, name: bytes) -> Node:
        return self.child(name)

    async def readdir(self) -> list[bytes]:
        return list(self.children)

    def same_names(self) -> object:
        return self.moves

    def child(self, name: bytes) -> MemoryNode:
        """What a name leads to; ENOENT."""
        try:
            return self.children[name]
        except KeyError:
            raise refusal(errno.ENOENT, name) from None

    # --- making

    async def create(self, name: bytes, mode: int, flags: int, caller: Caller) -> tuple[Node, Handle]:
        self._check_free(name)
        file = MemoryFile(self.budget, mode, self._owner(caller))
        self._put(name, file)
        return file, MemoryHandle(file, flags)

    async def mkdir(self, name: bytes, mode: int, caller: Caller) -> Node:
        self._check_free(name)
        mode |= self.mode & stat.S_ISGID
        directory = MemoryDirectory(self.budget, mode, self._owner(caller))
        self._put(name, directory)
        return directory

    async def symlink(self, name: bytes, target: bytes, caller: Caller) -> Node:
        self._check_free(name)
        link = MemoryLink(self.budget, target, self._owner(caller))
        self._put(name, link)
        return link

    async def mknod(self, name: bytes, mode: int, device: int, caller: Caller) -> Node:
        self._check_free(name)
        node: MemoryNode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            node = MemorySpecial(self.budget, mode, self._owner(caller))
        elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
            node = MemoryFile(self.budget, mode, self._owner(caller))
        else:
            raise refusal(errno.EPERM, name)
        self._put(name, node)
        return node

    async def link(self, name: bytes, node: Node) -> None:
        if not isinstance(node, MemoryNode) or node.budget is not self.budget:
            raise refusal(errno.EXDEV, name)
        if isinstance(node, MemoryDirectory):
            raise refusal(errno.EPERM, name)
        self._check_free(name)
        if node.links == 0:
            raise refusal(errno.ENOENT, name)
        self._put(name, node)
        node.links += 1
        node.changed()

    def _owner(self, caller: Caller) -> tuple[int, int]:
        """Who owns what is made here: the caller, with this directory's group where its set-group-id bit is
        set."""
        return caller.uid, self.gid if self.mode & stat.S_ISGID else caller.gid

    def _check_free(self, name: bytes) -> None:
        if self.removed:
            raise refusal(errno.ENOENT, name)
        if name in self.children:
            raise refusal(errno.EEXIST, name)

    def _put(self, name: bytes, node: MemoryNode) -> None:
        """Gives a node a name that is free."""
        self.budget.charge(NAME_COST + len(name))
        self._set(name, node)
        self.changed(content=True)

    def _set(self, name: bytes, node: MemoryNode) -> None:
        self.moves += 1
        self.children[name] = node
        if isinstance(node, MemoryDirectory):
            node.parent = weakref.ref(self)
            self.links += 1

    def _unset(self, name: bytes) -> MemoryNode:
        self.moves += 1
        node = self.children.pop(name)
        if isinstance(node, MemoryDirectory):
            self.links -= 1
        return node

    # --- removing and moving

    async def remove(self, name: bytes, *, directory: bool) -> None:
        node = self.child(name)
        if isinstance(node, MemoryDirectory) != directory:
            raise refusal(errno.ENOTDIR if directory else errno.EISDIR, name)
        self._check_removable(node, name)
        self._drop(name)
        self.changed(content=True)

    def _check_removable(self, node: MemoryNode, name: bytes) -> None:
        if isinstance(node, MemoryDirectory) and node.children:
            raise refusal(errno.ENOTEMPTY, name)

    def _drop(self, name: bytes) -> None:
        """Takes a name away, and one link of its node."""
        node = self._unset(name)
        self.budget.charge(-NAME_COST - len(name))
        if isinstance(node, MemoryDirectory):
            node.removed, node.parent, node.links = True, None, 0
        else:
            node.links -= 1
        node.changed()

    async def rename(self, name: bytes, parent: Directory, new_name: bytes, flags: int) -> None:
        if flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE) or flags == RENAME_NOREPLACE | RENAME_EXCHANGE:
            raise refusal(errno.EINVAL)
        if not isinstance(parent, MemoryDirectory) or parent.budget is not self.budget:
            raise refusal(errno.EXDEV, name)
        moved = self.child(name)
        replaced = parent.children.get(new_name)
        if parent.removed:
            raise refusal(errno.ENOENT, new_name)
        if isinstance(moved, MemoryDirectory) and parent.is_below(moved):
            raise refusal(errno.EINVAL, name)
        if flags & RENAME_EXCHANGE:
            if replaced is not moved:
                self._exchange(name, moved, parent, new_name)
        elif replaced is not None and flags & RENAME_NOREPLACE:
            raise refusal(errno.EEXIST, new_name)
        elif replaced is not moved:
            self._move(name, moved, parent, new_name)

    def _move(self, name: bytes, moved: MemoryNode, parent: MemoryDirectory, new_name: bytes) -> None:
        """rename(2), onto a free name or a node of the same kind."""
        replaced = parent.children.get(new_name)
        if replaced is not None:
            self._check_replaceable(moved, replaced, new_name)
            parent._drop(new_name)
        self.budget.charge(len(new_name) - len(name))
        parent._set(new_name, self._unset(name))
        for node in (self, parent):
            node.changed(content=True)
        moved.changed()

    def _check_replaceable(self, moved: MemoryNode, replaced: MemoryNode, new_name: bytes) -> None:
        """EISDIR, ENOTDIR or ENOTEMPTY: rename(2)."""
        if isinstance(replaced, MemoryDirectory) != isinstance(moved, MemoryDirectory):
            raise refusal(errno.EISDIR if isinstance(replaced, MemoryDirectory) else errno.ENOTDIR, new_name)
        self._check_removable(replaced, new_name)

    def _exchange(self, name: bytes, moved: MemoryNode, parent: MemoryDirectory, new_name: bytes) -> None:
        """RENAME_EXCHANGE: both names stay, their nodes change places."""
        other = parent.child(new_name)
        if isinstance(other, MemoryDirectory) and self.is_below(other):
            raise refusal(errno.EINVAL, new_name)
        self._unset(name)
        parent._unset(new_name)
        self._set(name, other)
        parent._set(new_name, moved)
        for node in (self, parent):
            node.changed(content=True)
        for swapped in (moved, other):
            swapped.changed()

    def is_below(self, other: MemoryDirectory) -> bool:
        """Whether this is `other` or stands somewhere below it."""
        here: MemoryDirectory | None = self
        while here is not None:
            if here is other:
                return True
            here = here.parent() if here.parent is not None else None
        return False
